package faults

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"callstitch/deploy/localkafka"
	"callstitch/internal/receive/spool"
)

const (
	postsTotal  = 20_000
	postClients = 32
	// postsLast is how long the posts are spread over, about as long as the faults take.
	postsLast = 30 * time.Second
	// doorHold is short, so that an outage need not be long.
	doorHold = time.Second
	spoolMax = 1 << 30
)

// standalone is the configuration of a `callstitch receive` without a `callstitch run`.
const standalone = `
kafka: {brokers: ["%s"]}
receive:
  listen: "127.0.0.1:0"
  topic: %s
  hold: %s
  probe_period: 0s
  spool: {dir: "%s", max: 1GiB}
  endpoints: [{path: /events, provider: opentact, auth: {none: true}}]
  http: {listen: ""}
log: {format: json}
`

// frontDoor is a process of `callstitch receive`, and after a kill the next one.
type frontDoor struct {
	t       *testing.T
	program string
	dir     string
	topic   string
	cluster *localkafka.Cluster
	starts  int
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process has ended
	err     error         // how it did
	url     atomic.Pointer[string]
}

func newFrontDoor(t *testing.T, program string, cluster *localkafka.Cluster) *frontDoor {
	t.Helper()
	d := &frontDoor{t: t, program: program, dir: t.TempDir(), topic: "raw." + t.Name(), cluster: cluster}
	if err := cluster.CreateTopic(t.Context(), d.topic, rawPartitions); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(standalone, cluster.Brokers()[0], d.topic, doorHold, d.spool())
	if err := os.WriteFile(d.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *frontDoor) config() string { return filepath.Join(d.dir, "callstitch.yaml") }
func (d *frontDoor) spool() string  { return filepath.Join(d.dir, "spool") }
func (d *frontDoor) log() string {
	return filepath.Join(d.dir, fmt.Sprintf("receive.%d.log", d.starts))
}

// start starts the process, and waits until it listens.
func (d *frontDoor) start() {
	d.t.Helper()
	d.starts++
	log, err := os.Create(d.log())
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	cmd, ended := exec.CommandContext(d.t.Context(), d.program, "receive", "-c", d.config()), make(chan struct{})
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.cmd, d.ended = cmd, ended
	go func() {
		d.err = cmd.Wait()
		close(ended)
	}()
	file := d.log()
	d.t.Cleanup(func() {
		<-ended // the test's context kills it
		if d.t.Failed() {
			d.t.Logf("%s:\n%s", filepath.Base(file), tailOf(file))
		}
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if at := listening.FindSubmatch(text); err == nil && at != nil {
			url := "http://" + string(at[1]) + "/events"
			d.url.Store(&url)
			return
		}
		select {
		case <-ended:
			d.t.Fatalf("callstitch receive ended: %v\n%s", d.err, text)
		default:
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("callstitch receive does not listen after %v", patience)
		}
	}
}

// kill is kill -9.
func (d *frontDoor) kill() {
	d.t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		d.t.Fatal(err)
	}
	<-d.ended
}

// stop stops it in order.
func (d *frontDoor) stop() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	select {
	case <-d.ended:
		if d.err != nil {
			d.t.Errorf("callstitch receive stopped with %v", d.err)
		}
	case <-time.After(doorHold + stopLimit):
		d.t.Errorf("callstitch receive is not stopped after %v", doorHold+stopLimit)
	}
}

// fullDisk has the process write nothing into files, as if the disk were full, or lets it
// again. What it is refused with is another error than that of a full disk.
func (d *frontDoor) fullDisk(full bool) {
	d.t.Helper()
	limit := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if full {
		limit.Cur = 100
	}
	if err := unix.Prlimit(d.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		d.t.Fatal(err)
	}
}

// kept are the bodies in the topic, and those that are left in the spool.
func (d *frontDoor) kept() (topic, left []string) {
	d.t.Helper()
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		d.t.Fatal("kcat is not installed; type: sudo apt-get update && sudo apt-get install -y kcat")
	}
	topic = lines(output(d.t, exec.CommandContext(d.t.Context(), kcat, "-C", "-e", "-q", "-f", "%s\n", "-b", d.cluster.Brokers()[0], "-t", d.topic)))
	s, err := spool.Open(spool.Config{Dir: d.spool(), Max: spoolMax, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(d.t.Context())
	defer cancel()
	go func() {
		for n := int64(1); n > 0 && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			n, _ = s.Size()
		}
		cancel()
	}()
	s.Drain(ctx, func(_ context.Context, records []spool.Record) []error {
		for _, r := range records {
			left = append(left, string(r.Body))
		}
		return make([]error, len(records))
	})
	if err := s.Close(); err != nil {
		d.t.Fatal(err)
	}
	return topic, left
}

// posts are requests from several clients, and what was answered.
type posts struct {
	url   func() string
	over  atomic.Bool // nothing more befalls the door
	begun time.Time

	mu           sync.Mutex // guards the rest
	answers      map[string]int
	acknowledged map[string]bool
}

// send posts from all clients, until all is posted and nothing more befalls the door.
func (p *posts) send(total int) {
	p.begun, p.answers, p.acknowledged = time.Now(), map[string]int{}, map[string]bool{}
	var next atomic.Int64
	var clients sync.WaitGroup
	for range postClients {
		clients.Go(func() {
			client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{}}
			for i := next.Add(1); i <= int64(total) || !p.over.Load(); i = next.Add(1) {
				if !p.over.Load() {
					time.Sleep(time.Until(p.begun.Add(time.Duration(i) * postsLast / postsTotal)))
				}
				p.post(client, fmt.Sprintf(`{"uuid":"%d","pad":"%s"}`, i, strings.Repeat("x", 500)))
			}
		})
	}
	clients.Wait()
}

func (p *posts) post(client *http.Client, body string) {
	answer, err := client.Post(p.url(), "application/json", strings.NewReader(body))
	code := "no answer"
	if err == nil {
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		code = strconv.Itoa(answer.StatusCode)
	}
	p.mu.Lock()
	p.answers[code]++
	if err == nil && answer.StatusCode/100 == 2 {
		p.acknowledged[body] = true
	}
	p.mu.Unlock()
	if code != "200" {
		time.Sleep(20 * time.Millisecond) // there may be nobody for now
	}
}

func (p *posts) count(code string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers[code]
}

// lost are those that were acknowledged, and are nowhere.
func (p *posts) lost(kept ...[]string) (n int) {
	there := map[string]bool{}
	for _, bodies := range kept {
		for _, body := range bodies {
			there[body] = true
		}
	}
	for body := range p.acknowledged {
		if !there[body] {
			n++
		}
	}
	return n
}

// TestEveryAcknowledgedPostHasItsRecord: whatever befalls the door, its disk and the
// broker, what was answered with success is in the topic, or in the spool.
func TestEveryAcknowledgedPostHasItsRecord(t *testing.T) {
	t.Parallel() // most of the time it waits
	cluster := localkafka.ForTest(t, localkafka.Options{Props: map[string]string{"broker.session.timeout.ms": "60000"}})
	d := newFrontDoor(t, build(t), cluster)
	d.start()
	p := &posts{url: func() string { return *d.url.Load() }}
	var sending sync.WaitGroup
	sending.Go(func() { p.send(postsTotal) })
	defer sending.Wait()
	defer p.over.Store(true)
	d.suffer(p)
	p.over.Store(true)
	sending.Wait()
	d.stop()
	topic, left := d.kept()
	t.Logf("%v: %v, %d in the topic, %d in the spool", time.Since(p.begun).Round(time.Second), p.answers, len(topic), len(left))
	if n := p.lost(topic, left); n > 0 {
		t.Errorf("%d of %d posts that were acknowledged are nowhere", n, len(p.acknowledged))
	}
	if len(p.acknowledged) < postsTotal/2 {
		t.Errorf("%d of %d posts were acknowledged", len(p.acknowledged), postsTotal)
	}
}

// suffer has everything befall the door, one after the other and together.
func (d *frontDoor) suffer(p *posts) {
	t := d.t
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	again := func() { // it is killed in the middle of its work
		t.Helper()
		d.kill()
		d.start()
	}
	awaitMore := func(what, code string, more int) {
		t.Helper()
		from := p.count(code)
		for deadline := time.Now().Add(patience); p.count(code) < from+more; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: not answered with %s any more", what, code)
			}
		}
	}
	awaitMore("everything is well", "200", 1000)
	again()
	awaitMore("killed", "200", 1000)
	must(d.cluster.Pause(0))
	awaitMore("the broker is frozen", "200", 1000) // spooled
	again()                                        // what is spooled is all there is
	awaitMore("killed while the broker is frozen", "200", 500)
	d.fullDisk(true)
	awaitMore("the disk is full", "503", 500)
	d.fullDisk(false)
	awaitMore("the disk has room again", "200", 500)
	d.fullDisk(true)
	again() // with a disk that takes writes
	awaitMore("killed while the disk is full", "200", 500)
	must(d.cluster.Continue(0))
	time.Sleep(500 * time.Millisecond) // it drains
	again()
	awaitMore("killed while it drains", "200", 1000)
	must(d.cluster.Restart(t.Context(), 0))
	awaitMore("the broker was restarted", "200", 1000)
	again()
	awaitMore("killed once more", "200", 500)
}

// TestHastyDoorIsNoticed: one that answers before it has a promise fails the test above.
func TestHastyDoorIsNoticed(t *testing.T) {
	t.Parallel()
	d := newFrontDoor(t, build(t), localkafka.Shared(t))
	d.start()
	var under sync.WaitGroup
	hasty := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		under.Go(func() {
			if answer, err := http.Post(*d.url.Load(), "application/json", strings.NewReader(string(body))); err == nil {
				answer.Body.Close()
			}
		})
	}))
	defer hasty.Close()
	p := &posts{url: func() string { return hasty.URL }}
	var sending sync.WaitGroup
	sending.Go(func() { p.send(postsTotal / 20) })
	time.Sleep(time.Second)
	d.kill()
	d.start()
	p.over.Store(true)
	sending.Wait()
	under.Wait()
	d.stop()
	if topic, left := d.kept(); p.lost(topic, left) == 0 {
		t.Errorf("all of %d posts that were acknowledged too early are there", len(p.acknowledged))
	}
}
