package receive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// serveDoor opens a door on a port of this machine.
func serveDoor(t *testing.T, change func(*Config), k *taker) (d *door, url string) {
	t.Helper()
	cfg := testConfig(t).withDefaults()
	if change != nil {
		change(&cfg)
	}
	d, err := newDoor(&cfg, k.Take, newMetrics(cfg.Metrics))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := d.server()
	go func() { _ = server.Serve(listener{l, d.connections}) }()
	t.Cleanup(func() { _ = server.Close() })
	return d, "http://" + l.Addr().String()
}

func post(t *testing.T, url string, body io.Reader) int {
	t.Helper()
	resp, err := http.Post(url, "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestTooLarge: a byte more than max_body is too much, whether a length says so or not,
// and the client that still sends hears of it.
func TestTooLarge(t *testing.T) {
	k := new(taker)
	_, url := serveDoor(t, nil, k)
	body := strings.Repeat("x", 1<<20)
	for _, src := range []func(string) io.Reader{
		func(s string) io.Reader { return strings.NewReader(s) },
		func(s string) io.Reader { return io.MultiReader(strings.NewReader(s)) }, // in chunks
	} {
		if got := post(t, url+"/open/a/b", src(body)); got != http.StatusOK {
			t.Errorf("max_body: answered %d", got)
		}
		if got := post(t, url+"/open/a/b", src(body+"x")); got != http.StatusRequestEntityTooLarge {
			t.Errorf("a byte more: answered %d", got)
		}
	}
	if got := k.bodies(); !slices.Equal(got, []string{body, body}) {
		t.Errorf("took %d events", len(got))
	}
}

// TestTheLongestWaitedForMakesRoom: with as many connections as may be, the next one is
// served; the one that goes is the one that has been waited for the longest, and not
// one whose event is being taken.
func TestTheLongestWaitedForMakesRoom(t *testing.T) {
	k := new(taker)
	virtually(t, nil, k, func(d testDoor) {
		free := make(chan struct{})
		k.take = func(_ context.Context, e Event) error {
			if string(e.Body) == "held" {
				<-free
			}
			return nil
		}
		d.connections.max = 4
		var posts sync.WaitGroup
		posts.Go(func() { d.want(d.post("/open/a/b", "held"), http.StatusOK) })
		synctest.Wait()
		silent, silentReader := d.raw("")
		defer silent.Close()
		synctest.Wait()
		slow, slowReader := d.raw("POST /open/a/b HTTP/1.1\r\nHost: door\r\nContent-Length: 2\r\n\r\n1")
		defer slow.Close()
		synctest.Wait()
		idle, idleReader := d.raw("POST /open/a/b HTTP/1.1\r\nHost: door\r\nContent-Length: 1\r\n\r\n1")
		defer idle.Close()
		if got, _ := d.answer(idleReader); got != http.StatusOK {
			t.Errorf("answered %d", got)
		}
		d.want(d.post("/open/a/b", "next"), http.StatusOK)
		if got, after := d.answer(silentReader); got != 0 || after != 0 {
			t.Errorf("the silent one was answered %d after %s", got, after)
		}
		posts.Go(func() { d.want(d.post("/open/a/b", "held"), http.StatusOK) })
		synctest.Wait()
		posts.Go(func() { d.want(d.post("/open/a/b", "held"), http.StatusOK) })
		synctest.Wait()
		if got, after := d.answer(slowReader); got != 0 || after != 0 {
			t.Errorf("the slow one was answered %d after %s", got, after)
		}
		posts.Go(func() { d.want(d.post("/open/a/b", "held"), http.StatusOK) })
		synctest.Wait()
		if got, after := d.answer(idleReader); got != 0 || after != 0 {
			t.Errorf("the idle one was answered %d after %s", got, after)
		}
		// Now all hold an event: the next is refused, for none of them is cut off.
		if _, err := d.try(http.MethodPost, "/open/a/b", strings.NewReader("one too many")); err == nil {
			t.Error("served beyond the limit")
		}
		close(free)
		posts.Wait()
		d.want(d.post("/open/a/b", "last"), http.StatusOK)
		if ended := d.metric("connections_ended_total"); ended != "4" {
			t.Errorf("%s ended connections are counted, want 4", ended)
		}
	})
}

// TestRequestsAreBounded: of as many requests as may be, one that is not whole makes
// room, and if all are, the next one is refused. A client without a request makes none.
func TestRequestsAreBounded(t *testing.T) {
	k := new(taker)
	virtually(t, nil, k, func(d testDoor) {
		free := make(chan struct{})
		k.take = func(context.Context, Event) error {
			<-free
			return nil
		}
		d.connections.requestsMax = 2
		idle, idleReader := d.raw("")
		defer idle.Close()
		synctest.Wait()
		slow, reader := d.raw("POST /open/a/b HTTP/1.1\r\nHost: door\r\nContent-Length: 2\r\n\r\n1")
		defer slow.Close()
		synctest.Wait()
		var posts sync.WaitGroup
		for range 2 {
			posts.Go(func() { d.want(d.post("/open/a/b", "held"), http.StatusOK) })
			synctest.Wait()
		}
		if got, after := d.answer(reader); got != 0 || after != 0 {
			t.Errorf("the slow one was answered %d after %s", got, after)
		}
		d.want(d.post("/open/a/b", "one too many"), http.StatusServiceUnavailable)
		if _, err := d.try(http.MethodPost, "/open/bandwidth", strings.NewReader("one too many")); err == nil {
			t.Error("a provider that repeats only what broke is given an answer")
		}
		close(free)
		posts.Wait()
		if got, after := d.answer(idleReader); got != 0 || after != headerLimit {
			t.Errorf("the idle one was answered %d after %s", got, after)
		}
	})
}

// TestAClientMakesNoRoomForItself: one with a request that is not whole is not ended for
// its own next one, which HTTP/2 has beside it.
func TestAClientMakesNoRoomForItself(t *testing.T) {
	cs := &connections{max: 2, requestsMax: 1, metrics: newMetrics(prometheus.NewRegistry())}
	ours, _ := net.Pipe()
	c := cs.add(ours)
	if !c.begin() {
		t.Error("no room for the first request")
	}
	if c.begin() || c.closed {
		t.Errorf("the second one is taken, or the first cut off: %t", c.closed)
	}
}

// TestOthersAreServedMeanwhile: while ten thousand clients are idle, and hundreds are
// slow, claim too much and lie, an event is taken at once, and memory has a bound. The
// clients are another process, as they are in life: what they hold is not the door's.
func TestOthersAreServedMeanwhile(t *testing.T) {
	if address := os.Getenv("CALLSTITCH_TEST_CROWD"); address != "" {
		crowd(t, address)
		return
	}
	k := new(taker)
	d, url := serveDoor(t, nil, k)
	before := memory()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.timeout", "2m")
	cmd.Env = append(os.Environ(), "CALLSTITCH_TEST_CROWD="+strings.TrimPrefix(url, "http://"))
	leave, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	told := new(bytes.Buffer)
	cmd.Stderr = told
	came, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(came, make([]byte, len(crowded))); err != nil {
		t.Fatalf("the crowd did not come: %v\n%s", err, told)
	}
	const limit = 2 * time.Second // on a machine that is busy with the crowd
	for i := range 100 {
		begun := time.Now()
		if got := post(t, url+"/open/a/b", strings.NewReader(strconv.Itoa(i))); got != http.StatusOK {
			t.Errorf("answered %d", got)
		}
		if took := time.Since(begun); took > limit {
			t.Errorf("event %d took %s", i, took)
		}
		http.DefaultClient.CloseIdleConnections() // each comes anew, through the crowd
	}
	open := d.connections.count()
	const most = 256 << 20
	after := memory()
	t.Logf("%d connections, %d MiB for them", open, (after-before)>>20)
	if open > d.connections.max || after-before > most {
		t.Errorf("%d connections and %d MiB, want at most %d and %d", open, (after-before)>>20, d.connections.max, most>>20)
	}
	_ = leave.Close()
	_ = cmd.Wait()
}

// count is how many connections are open.
func (cs *connections) count() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.open
}

// memory is what Go has taken from the system and not given back.
func memory() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}

// crowded is what a crowd says when it is there.
const crowded = "here\n"

// crowd is ten thousand clients and more, until its standard input ends.
func crowd(t *testing.T, address string) {
	var all []net.Conn
	come := func(n int, request string) {
		for range n {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, request) // the door may have closed it by now
			all = append(all, c)
		}
	}
	const line = "POST /open/a/b HTTP/1.1\r\nHost: door\r\n"
	come(10_000, "")
	come(500, "POST /open/a/b HTTP/1.1\r\nHo")
	come(500, line+"Content-Length: 1048576\r\n\r\n{")
	come(500, line+"Transfer-Encoding: chunked\r\n\r\n100000\r\n"+strings.Repeat("x", 4<<10))
	come(100, line+"Content-Length: 1048577\r\n\r\n")
	come(100, line+"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\ncompressed")
	fmt.Print(crowded)
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, c := range all {
		_ = c.Close()
	}
}
