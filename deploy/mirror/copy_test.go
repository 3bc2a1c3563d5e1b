package mirror

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"callstitch/internal/docpage"
)

// driver has the snippet send two copies, and waits until they are out.
const driver = `
import sys
start(sys.argv[1], "t0ken")
copy(b'{"eventType":"answer"}')
copy(b'\xff{}')
sys.stdin.read()
`

// TestDocumentedCopy runs the snippet of docs/receive.md for call-control applications
// before a front door that refuses the first post.
func TestDocumentedCopy(t *testing.T) {
	snippets := docpage.Read(t, "../../docs/receive.md").Blocks("python")
	if len(snippets) != 1 {
		t.Fatalf("docs/receive.md shows %d snippets", len(snippets))
	}
	refused := false
	d := newDoor(t, func(w http.ResponseWriter) {
		if !refused {
			refused = true
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	file := filepath.Join(t.TempDir(), "application.py")
	if err := os.WriteFile(file, []byte(snippets[0]+driver), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", file, d.URL)
	var said bytes.Buffer
	cmd.Stderr = &said
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`{"eventType":"answer"}`, `{"eventType":"answer"}`, "\xff{}"} {
		select {
		case got := <-d.came:
			if string(got.body) != want || got.authorization != "Bearer t0ken" {
				t.Errorf("post %d is %q with %q", i+1, got.body, got.authorization)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("post %d does not come\n%s", i+1, said.String())
		}
	}
	if err := stdin.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, said.String())
	}
}
