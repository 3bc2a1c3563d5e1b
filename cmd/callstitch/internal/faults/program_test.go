package faults

import (
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"callstitch/deploy/localkafka"
)

// program is callstitch as users run it, and the broker and registry that it meets.
type program struct {
	path     string
	cluster  *localkafka.Cluster
	broker   *broker
	registry string
}

func newProgram(t *testing.T) *program {
	t.Helper()
	cluster := localkafka.Shared(t)
	return &program{path: build(t), cluster: cluster, broker: newBroker(t, cluster.Brokers()), registry: localkafka.SharedRegistry(t)}
}

func build(t *testing.T) (path string) {
	t.Helper()
	lookAtSources(t)
	path = filepath.Join(t.TempDir(), "callstitch")
	output(t, exec.CommandContext(t.Context(), "go", "build", "-o", path, "callstitch/cmd/callstitch"))
	return path
}

// lookAtSources is for go test, which runs a test again only if a file changed that
// the test itself opened, and knows nothing of what its child processes open.
func lookAtSources(t *testing.T) {
	t.Helper()
	const root = "../../../.."
	for _, dir := range []string{"cmd", "processor", "schemas", "topology"} {
		if err := filepath.WalkDir(filepath.Join(root, dir), func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
}

// output runs a command and returns what it prints, without what it says on stderr.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, complaint.String())
	}
	return string(out)
}

func lines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}
