package number

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"callstitch/internal/docpage"
)

const privacyPage = "../../docs/privacy.md"

// TestDocumentedToken has the shell of docs/privacy.md make tokens.
func TestDocumentedToken(t *testing.T) {
	shown := docpage.Read(t, privacyPage).Section(t, "## The key").Blocks("sh")
	if len(shown) != 1 {
		t.Fatalf("%s shows %d ways to make a token", privacyPage, len(shown))
	}
	file := filepath.Join(t.TempDir(), "numbers.key")
	if err := os.WriteFile(file, []byte(testSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := newMinter(testKey(t, testSecret))
	for _, of := range [][2]string{
		{"acme", "+15550100199"}, {"acme", "15550100199"}, {"7", "1001"}, {"7", "+1001"}, {"müller", "15550100199"}, {strings.Repeat("t", 300), "sip:alice@example.com"},
	} {
		cmd := exec.Command("sh", "-c", shown[0]+"\ntoken \"$@\"", "sh", file, of[0], of[1])
		got, err := cmd.Output()
		if want := m.token(of[0], of[1]) + "\n"; err != nil || string(got) != want {
			t.Errorf("%s of %s: got %s, want %s (%v)", of[1], of[0], got, want, err)
		}
	}
}
