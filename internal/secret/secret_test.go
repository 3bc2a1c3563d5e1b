package secret

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLines(t *testing.T) {
	for _, test := range []struct {
		content string
		want    []string
		problem string
	}{
		{"one", []string{"one"}, ""},
		{"one\n", []string{"one"}, ""},
		{"one\r\ntwo\r\n", []string{"one", "two"}, ""},
		{"\n one \n\n\ttwo", []string{"one", "two"}, ""},
		{"with a space\n", []string{"with a space"}, ""},
		{"", nil, "holds no secret"},
		{" \r\n\n", nil, "holds no secret"},
		{"a\nb\nc\n", nil, "has 3 lines"},
		{strings.Repeat("a", fileBytesMax), []string{strings.Repeat("a", fileBytesMax)}, ""},
		{strings.Repeat("a", fileBytesMax+1), nil, "is over"},
	} {
		got, err := parse([]byte(test.content))
		if !slices.Equal(got, test.want) {
			t.Errorf("%.20q: got %d secrets, want %d", test.content, len(got), len(test.want))
		}
		if (err == nil) != (test.problem == "") || err != nil && !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%.20q: got %v, want %q", test.content, err, test.problem)
		}
	}
}

func TestAProblemNamesTheFileAndNoSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, "first\nsecond\nthird")
	f, err := Open(path)
	if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "third") {
		t.Errorf("got %v", err)
	}
	if len(f.Values()) > 0 {
		t.Error("a file of three secrets has values")
	}
	if f.String() != path {
		t.Errorf("got %s", f)
	}
	if _, err := Open(path + "-not"); err == nil {
		t.Error("a file that is not there was opened")
	}
}

// TestRotation changes a file in each way in which people and programs do.
func TestRotation(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, path, content string){
		"written over": write,
		"renamed over": func(t *testing.T, path, content string) {
			write(t, path+".new", content)
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		},
		"removed, then made": func(t *testing.T, path, content string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			write(t, path, content)
		},
		"exchanged behind a symbolic link": func(t *testing.T, path, content string) {
			dir, err := os.MkdirTemp(filepath.Dir(path), "data")
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "secret"), content)
			if err := os.Symlink(filepath.Join(dir, "secret"), path+".link"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".link", path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "secret")
				write(t, path, "old")
				f, err := Open(path)
				if err != nil {
					t.Fatal(err)
				}
				for _, content := range []string{"old\nnew", "new", "anew"} {
					replace(t, path, content)
					time.Sleep(lookInterval)
					if got := strings.Join(f.Values(), "\n"); got != content {
						t.Errorf("got %q, want %q", got, content)
					}
					if err := f.Problem(); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// TestAFileThatIsGoneLeavesItsSecrets keeps what was read last until there is something
// to replace it, and says that it does.
func TestAFileThatIsGoneLeavesItsSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "secret")
		write(t, path, "old")
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, damage := range []func(){
			func() { write(t, path, "") },
			func() { _ = os.Remove(path) },
			func() { write(t, path, "a\nb\nc") },
		} {
			damage()
			time.Sleep(lookInterval)
			if got := f.Values(); !slices.Equal(got, []string{"old"}) {
				t.Errorf("got %d values", len(got))
			}
			if f.Problem() == nil {
				t.Error("nothing is said of a file without a secret")
			}
		}
		write(t, path, "new")
		time.Sleep(lookInterval)
		if got := f.Values(); !slices.Equal(got, []string{"new"}) || f.Problem() != nil {
			t.Errorf("got %d values, %v", len(got), f.Problem())
		}
	})
}

func TestFilesAreLookedAtOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
		write(t, a, "1")
		read := 0
		k, err := Keep(func() (int, error) { read++; return read, nil }, a, b)
		times := func(want int, when string) {
			t.Helper()
			if got, err := k.Now(); err != nil || got != want {
				t.Errorf("%s they were read %d times, want %d: %v", when, got, want, err)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		write(t, b, "1")
		times(1, "before a second has passed")
		time.Sleep(lookInterval)
		times(2, "when a file has come")
		time.Sleep(lookInterval)
		times(2, "when none has changed")
	})
}

// TestAFileThatCouldNotBeReadIsTriedAgain mends a file such that its size, date and place
// stay as they were, as they do when it is given to its reader only after it was written.
func TestAFileThatCouldNotBeReadIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, date := filepath.Join(t.TempDir(), "secret"), time.Unix(1_790_000_000, 0)
		dated := func(content string) {
			write(t, path, content)
			if err := os.Chtimes(path, date, date); err != nil {
				t.Fatal(err)
			}
		}
		write(t, path, "old")
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		dated("a\nb\nc")
		time.Sleep(lookInterval)
		if f.Problem() == nil {
			t.Fatal("nothing is said of a file of three secrets")
		}
		dated("a new")
		time.Sleep(lookInterval)
		if got := f.Values(); !slices.Equal(got, []string{"a new"}) || f.Problem() != nil {
			t.Errorf("got %d values, %v", len(got), f.Problem())
		}
	})
}
