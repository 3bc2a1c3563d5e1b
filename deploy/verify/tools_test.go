package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// python is the directory with the programs of requirements.txt: a virtual environment
// that is made once, in the user's cache, and named by what is in it.
func python(t *testing.T) (bin string) {
	t.Helper()
	sum := sha256.Sum256([]byte(read(t, "deploy/verify/requirements.txt")))
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	venv := filepath.Join(cache, "callstitch", "verify-"+hex.EncodeToString(sum[:4]))
	bin, complete := filepath.Join(venv, "bin"), filepath.Join(venv, "complete")
	if err := os.MkdirAll(filepath.Dir(venv), 0o755); err != nil {
		t.Fatal(err)
	}
	// Another test may be making it.
	lock, err := os.Create(venv + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	// The interpreter is asked, not only looked for: it is a link to the system's, which may be gone.
	if _, err := os.Stat(complete); err == nil && exec.Command(filepath.Join(bin, "python"), "--version").Run() == nil {
		return bin
	}
	if out, err := exec.CommandContext(t.Context(), "python3", "-m", "venv", "--clear", venv).CombinedOutput(); err != nil {
		t.Fatalf("python3 -m venv: %v; Python 3.11 or newer is needed, with venv; type: sudo apt-get update && sudo apt-get install -y python3-venv\n%s", err, out)
	}
	run(t, nil, filepath.Join(bin, "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "deploy/verify/requirements.txt")
	if err := os.WriteFile(complete, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return bin
}
