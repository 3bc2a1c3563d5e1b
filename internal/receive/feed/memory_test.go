package feed

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A network connects one server with its clients in memory: in virtual time,
// nothing may wait for the kernel.
type network struct {
	arrive chan net.Conn
	down   atomic.Bool  // nobody answers
	dials  atomic.Int64 // that were tried
	server *http.Server
}

func newNetwork(t *testing.T, handler http.Handler) *network {
	n := &network{arrive: make(chan net.Conn), server: &http.Server{Handler: handler}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.server.Serve(n)
	}()
	t.Cleanup(func() {
		n.server.Close()
		<-done
	})
	return n
}

func (n *network) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

func (n *network) Accept() (net.Conn, error) {
	conn, ok := <-n.arrive
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (n *network) Close() error {
	close(n.arrive)
	return nil
}

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.dials.Add(1)
	if n.down.Load() {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	select {
	case n.arrive <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (n *network) client() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DialContext: n.dial, DisableKeepAlives: true},
		CheckRedirect: ours.CheckRedirect,
	}
}

// A taker takes frames, or refuses them while it is told to.
type taker struct {
	refuse atomic.Bool
	mu     sync.Mutex
	frames []string
	at     []time.Time
}

var errNoRoom = errors.New("no room")

func (k *taker) take(_ context.Context, received time.Time, body []byte) error {
	if k.refuse.Load() {
		return errNoRoom
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.frames, k.at = append(k.frames, string(body)), append(k.at, received)
	return nil
}

// taken are the frames so far, sorted: their order is nobody's.
func (k *taker) taken() []string {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(slices.Values(k.frames))
}

// A journal is a log that is looked at.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	synctest.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) has(text string) bool { return strings.Contains(j.String(), text) }

// A life is one process's run of a feed.
type life struct {
	cfg      Config
	counters Counters
	journal  journal
	taker    taker
	cancel   context.CancelFunc
	ended    chan error
}

// run starts a feed. It is stopped at the latest with the test.
func run(t *testing.T, cfg Config) *life {
	t.Helper()
	l := &life{cfg: cfg, ended: make(chan error, 1)}
	l.cfg.Counters = &l.counters
	l.cfg.Log = slog.New(slog.NewTextHandler(&l.journal, nil))
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	go func() { l.ended <- Run(ctx, l.cfg, l.taker.take) }()
	t.Cleanup(func() {
		cancel()
		if t.Failed() {
			t.Log(l.journal.String())
		}
	})
	synctest.Wait()
	return l
}

// stop ends a feed as SIGTERM does, and waits for it.
func (l *life) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	if err := <-l.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	synctest.Wait()
}

// rest lets time pass, and what is to happen then happen.
func rest(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// within waits until something holds, in virtual time, and tells how long it took.
func within(t *testing.T, most time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		synctest.Wait()
		switch {
		case holds():
			return time.Since(began)
		case time.Since(began) >= most:
			t.Fatalf("not within %v: %s", most, what)
		}
		rest(100 * time.Millisecond)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if gs, ok := got.([]string); ok {
		if !slices.Equal(gs, want.([]string)) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
		return
	}
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
