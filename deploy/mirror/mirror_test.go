package mirror

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callstitch/deploy/localkafka"
)

const bxml = `<?xml version="1.0"?><Response><SpeakSentence>One moment.</SpeakSentence></Response>`

// copied is a post that came to the front door.
type copied struct {
	path, method, authorization, signature, forwarded string
	body                                              []byte
}

// door is a front door that answers as it is told.
type door struct {
	*httptest.Server
	came   chan copied
	answer func(http.ResponseWriter)
}

func newDoor(t *testing.T, answer func(http.ResponseWriter)) *door {
	t.Helper()
	d := &door{came: make(chan copied, 10), answer: answer}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		d.came <- copied{
			r.URL.Path, r.Method, r.Header.Get("Authorization"), r.Header.Get("X-Stringee-Signature"), r.Header.Get("X-Forwarded-For"), body,
		}
		d.answer(w)
	}))
	t.Cleanup(d.Close)
	return d
}

// application is the one that the provider's calls are controlled by.
func application(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server that answers before it has read all resets the connection
		if _, _, given := r.BasicAuth(); !given {
			w.Header().Set("WWW-Authenticate", `Basic realm="app"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprint(w, bxml)
	}))
	t.Cleanup(s.Close)
	return s
}

// nginx runs the configuration between the two, and returns its address.
func nginx(t *testing.T, application, door string) (url string) {
	t.Helper()
	program := find(t)
	text, err := os.ReadFile("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	listen := localkafka.FreeAddresses(t, 1)[0]
	for _, r := range [][2]string{
		{"server 127.0.0.1:3000;", "server " + strings.TrimPrefix(application, "http://") + ";"},
		{"server 127.0.0.1:8085;", "server " + strings.TrimPrefix(door, "http://") + ";"},
		{"listen 8443;", "listen " + listen + ";"},
	} {
		if !bytes.Contains(text, []byte(r[0])) {
			t.Fatalf("nginx.conf has no %q", r[0])
		}
		text = bytes.ReplaceAll(text, []byte(r[0]), []byte(r[1]))
	}
	dir := t.TempDir()
	var paths strings.Builder // where nginx may write
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&paths, "%s_temp_path %s/%s;\n", what, dir, what)
	}
	whole := fmt.Sprintf("daemon off;\nmaster_process off;\npid %[1]s/pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;\n%[2]s%[3]s}\n", dir, paths.String(), text)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, "-p", dir, "-c", file)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("nginx says:\n%s", said.String())
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", listen)
		if err == nil {
			c.Close()
			return "http://" + listen
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen: %v", err)
		}
	}
}

func find(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("nginx is not installed; type: sudo apt-get update && sudo apt-get install -y --no-install-recommends nginx-light")
	return ""
}

func post(t *testing.T, c *http.Client, url string, body []byte) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/voice/answer?leg=1", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("bw", "s3cret")
	r.Header.Set("X-Stringee-Signature", "c2lnbmF0dXJl")
	a, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(text)
}

// The application's answer is what the provider gets, and the door has a copy of the
// post: every byte, with what it is authenticated by.
func TestCopy(t *testing.T) {
	d := newDoor(t, func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) })
	url := nginx(t, application(t).URL, d.URL)
	for _, body := range [][]byte{
		[]byte(`{"eventType":"answer","callId":"c-1"}`),
		append([]byte("{\"x\":\"\xff\x00"), bytes.Repeat([]byte("y"), 1<<20-10)...), // no UTF-8, 1 MiB
	} {
		if status, answer := post(t, http.DefaultClient, url, body); status != http.StatusOK || answer != bxml {
			t.Errorf("status %d, %s", status, answer)
		}
		got := <-d.came
		if got.path != "/bandwidth/acme" || got.method != http.MethodPost || got.authorization != "Basic Ync6czNjcmV0" ||
			got.signature != "c2lnbmF0dXJl" || got.forwarded != "127.0.0.1" {
			t.Errorf("the copy came to %s by %s, with %q, %q, for %q", got.path, got.method, got.authorization, got.signature, got.forwarded)
		}
		if !bytes.Equal(got.body, body) {
			t.Errorf("of %d bytes %d came, or others", len(body), len(got.body))
		}
	}
}

// A door that is not there, or hangs, is nothing to the provider, whose requests follow
// one on the other.
func TestDoorIsAway(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		url := nginx(t, application(t).URL, "http://"+localkafka.FreeAddresses(t, 1)[0])
		if status, answer := post(t, http.DefaultClient, url, []byte("{}")); status != http.StatusOK || answer != bxml {
			t.Errorf("status %d, %s", status, answer)
		}
	})
	t.Run("hangs", func(t *testing.T) {
		release := make(chan struct{})
		d := newDoor(t, func(http.ResponseWriter) { <-release })
		defer close(release)
		url := nginx(t, application(t).URL, d.URL)
		client := &http.Client{Transport: &http.Transport{}}
		for range 3 {
			begun := time.Now()
			if status, answer := post(t, client, url, []byte("{}")); status != http.StatusOK || answer != bxml {
				t.Errorf("status %d, %s", status, answer)
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("the answer waited %v for copies", took)
			}
		}
	})
}
