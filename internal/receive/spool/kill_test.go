package spool

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// childDir is in the environment of a process of this test that has a spool to itself:
// it appends records, drains them, and prints what it was told, until it is killed.
const childDir = "CALLSTITCH_TEST_SPOOL"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

func child(dir string) {
	s, err := Open(Config{Dir: dir, Max: 1 << 30, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	say := func(what, body string) {
		id, _, _ := strings.Cut(body, " ")
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, id)
	}
	for c := range 8 {
		go func() {
			for i := 0; ; i++ {
				body := fmt.Sprintf("%d-%d-%d %s", os.Getpid(), c, i, strings.Repeat("x", rand.IntN(20_000)))
				if err := <-s.Append(record(body)); err != nil {
					say("failed", err.Error())
				}
				say("appended", body)
			}
		}()
	}
	s.Drain(context.Background(), func(_ context.Context, records []Record) []error {
		time.Sleep(20 * time.Millisecond) // appending is faster than draining
		for _, r := range records {
			say("drained", string(r.Body))
		}
		return make([]error, len(records))
	})
}

// TestKilled: whenever the process is killed, in the middle of a write, of an fsync or of
// draining, what it has said to be appended comes out sooner or later.
func TestKilled(t *testing.T) {
	t.Parallel()
	cfg, _ := testConfig(t)
	cfg.Max = 1 << 30
	appended, out := map[string]bool{}, map[string]bool{}
	for range 8 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+cfg.Dir)
		cmd.Stderr = os.Stderr
		said, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(200+rand.IntN(1500))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		listen(t, said, appended, out)
		_ = cmd.Wait() // it was killed
	}
	mid := len(out)
	s := mustOpen(t, cfg)
	defer mustClose(t, s)
	for _, body := range drained(t, s) {
		id, _, _ := strings.Cut(body, " ")
		out[id] = true
	}
	lost := 0
	for id := range appended {
		if !out[id] {
			lost++
		}
	}
	if lost > 0 || len(appended) == 0 || mid == 0 || mid >= len(appended) {
		t.Errorf("%d of %d records are lost; %d were drained by the killed", lost, len(appended), mid)
	}
	t.Logf("%d records appended, %d drained by the killed processes", len(appended), mid)
}

// listen takes in what a process says until it ends. Its last line may be cut.
func listen(t *testing.T, said io.Reader, appended, out map[string]bool) {
	t.Helper()
	for lines := bufio.NewReader(said); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		switch what, id, _ := strings.Cut(strings.TrimSpace(line), " "); what {
		case "appended":
			appended[id] = true
		case "drained":
			out[id] = true
		default:
			t.Errorf("it says %q", line)
		}
	}
}
