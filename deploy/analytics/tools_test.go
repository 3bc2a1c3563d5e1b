package analytics

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// installLine is what to type where a tool is missing. `.ci/run` does it where it may.
const installLine = "sudo apt-get update && sudo apt-get install -y python3-venv kcat"

// requirements are what pip installs: the analyst's, and what ClickHouse's and Iceberg's answers need besides.
var requirements = []string{"requirements.txt", "requirements-clickhouse.txt", "requirements-iceberg.txt"}

// TestTools is run by `make test` before the tests that take long, so that what
// is missing is said at once, and no single test waits for a download.
func TestTools(t *testing.T) {
	python(t)
	kcat(t)
}

// kcat is Debian's Kafka client.
func kcat(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("kcat")
	if err != nil {
		t.Fatalf("kcat is not installed; type: %s", installLine)
	}
	return path
}

// python is the interpreter of a virtual environment with the requirements. It
// is made once, in the user's cache, and named by what is in it.
func python(t *testing.T) string {
	t.Helper()
	sum := sha256.New()
	for _, name := range requirements {
		sum.Write(read(t, name))
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	venv := filepath.Join(cache, "callstitch", "analytics-"+hex.EncodeToString(sum.Sum(nil)[:4]))
	defer lock(t, venv+".lock").Close()
	interpreter, complete := filepath.Join(venv, "bin", "python"), filepath.Join(venv, "complete")
	// The interpreter is asked, not only looked for: it is a link to the system's, which may be gone.
	if _, err := os.Stat(complete); err == nil && exec.Command(interpreter, "--version").Run() == nil {
		return interpreter
	}
	if out, err := exec.CommandContext(t.Context(), "python3", "-m", "venv", "--clear", venv).CombinedOutput(); err != nil {
		t.Fatalf("python3 -m venv: %v; Python 3.11 or newer is needed, with venv; type: %s\n%s", err, installLine, out)
	}
	pip := []string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check"}
	for _, name := range requirements {
		pip = append(pip, "-r", name)
	}
	if out, err := exec.CommandContext(t.Context(), interpreter, pip...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v; can pip reach PyPI from here?\n%s", strings.Join(pip, " "), err, out)
	}
	if err := os.WriteFile(complete, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return interpreter
}

// lock waits for a lock file, which falls free when it is closed.
func lock(t *testing.T, path string) *os.File {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return f
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
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
