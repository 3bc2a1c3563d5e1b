package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callstitch/deploy/localkafka"
	"callstitch/schemas"
	"callstitch/topology/topologytest"
)

// registryProxy is before a real registry and does to its answers what networks,
// proxies and busy machines do.
type registryProxy struct {
	url      string
	fault    atomic.Pointer[func(w http.ResponseWriter, r *http.Request, n int64) (done bool)]
	requests atomic.Int64
}

func newRegistryProxy(t *testing.T) *registryProxy {
	t.Helper()
	base, err := url.Parse(localkafka.SharedRegistry(t))
	if err != nil {
		t.Fatal(err)
	}
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: base.Scheme, Host: base.Host})
	p := &registryProxy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := p.requests.Add(1)
		if fault := p.fault.Load(); fault == nil || !(*fault)(w, r, n) {
			behind.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	p.url = server.URL + base.Path
	return p
}

// does sets the fault, and begins to count anew. It answers a request, or lets it
// through; n counts from 1.
func (p *registryProxy) does(fault func(w http.ResponseWriter, r *http.Request, n int64) (done bool)) {
	p.requests.Store(0)
	p.fault.Store(&fault)
}

// late is a registry that takes its time.
func late(d time.Duration) func(http.ResponseWriter, *http.Request, int64) bool {
	return func(http.ResponseWriter, *http.Request, int64) bool {
		time.Sleep(d)
		return false
	}
}

// hang answers nothing until the client has gone.
func hang(r *http.Request) (done bool) {
	_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice
	<-r.Context().Done()
	return true
}

// withRegistry is a configuration for the shared broker and a real registry.
func (p *registryProxy) withRegistry(t *testing.T) Config {
	t.Helper()
	cfg := apache(t, 1)
	cfg.schemas, cfg.Registry = nil, RegistryConfig{RegistryConfig: schemas.RegistryConfig{URL: p.url}, AutoRegister: true}
	cfg.StartupTimeout = time.Minute
	return cfg
}

// The first start, when nothing is registered, and a later one.
func TestSlowRegistry(t *testing.T) {
	t.Parallel() // most of it is waiting
	proxy := newRegistryProxy(t)
	cfg := proxy.withRegistry(t)
	lines := &recorder{}
	cfg.Log = slog.New(lines)
	records := onTopic(cfg, topologytest.Calls(1, 20, 2*time.Second).Shuffle(1, 1, time.Second, 0))
	want := inMemory(t, records).Canonical()
	feed(t, cfg, records)
	proxy.does(late(time.Second))
	begun := time.Now()
	r := startRun(t, cfg)
	awaitReady(t, r, 40*time.Second)
	first := proxy.requests.Load()
	t.Logf("the first start took %v and %d requests", time.Since(begun).Round(time.Second), first)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	if n := int64(lines.count("the schema registry answers slowly, waiting")); n == 0 || n > first/4 {
		t.Errorf("%d lines for %d requests", n, first)
	}

	proxy.does(late(4 * time.Second))
	got := newCollector()
	cfg.OnCommit = got.take
	r = startRun(t, cfg)
	awaitReady(t, r, 40*time.Second)
	if n := proxy.requests.Load(); n != 4 {
		t.Errorf("%d requests for 4 schemas that are registered", n)
	}
	awaitPublished(t, cfg, want, 20*time.Second)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
}

// A registry that answers too late for one try, or not at all, gets the rest asked
// in the next: what was learnt stays.
func TestRegistryThatComesAndGoes(t *testing.T) {
	t.Parallel() // most of it is waiting
	var hung atomic.Bool
	for name, fault := range map[string]func(w http.ResponseWriter, r *http.Request, n int64) bool{
		"unavailable": func(w http.ResponseWriter, _ *http.Request, n int64) bool {
			if n < 20 {
				w.Header().Set("Retry-After", "0")
				http.Error(w, "<html>Service Unavailable</html>", http.StatusServiceUnavailable)
			}
			return n < 20
		},
		"cut": func(w http.ResponseWriter, _ *http.Request, n int64) bool {
			if n < 20 {
				w.Header().Set("Content-Length", "1000")
				_, _ = io.WriteString(w, `{"id": 1, "schema": "`)
			}
			return n < 20
		},
		"endless": func(w http.ResponseWriter, _ *http.Request, n int64) bool {
			for n < 6 {
				if _, err := io.WriteString(w, strings.Repeat("[", 1<<16)); err != nil {
					break
				}
			}
			return n < 6
		},
		"login page": func(w http.ResponseWriter, _ *http.Request, n int64) bool {
			if n < 6 {
				_, _ = io.WriteString(w, "<html>Log in</html>")
			}
			return n < 6
		},
		"hangs once": func(_ http.ResponseWriter, r *http.Request, _ int64) bool {
			return hung.CompareAndSwap(false, true) && hang(r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := newRegistryProxy(t)
			cfg := proxy.withRegistry(t)
			lines := &recorder{}
			cfg.Log = slog.New(lines)
			proxy.does(fault)
			r := startRun(t, cfg)
			awaitReady(t, r, 50*time.Second)
			if lines.count("waiting") == 0 {
				t.Error("it does not say what it waited for")
			}
			if err := r.stop(t); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A start that ends says what it waited for, and one that is stopped just ends.
func TestRegistryThatNeverAnswers(t *testing.T) {
	t.Parallel() // most of it is waiting
	proxy := newRegistryProxy(t)
	proxy.does(func(_ http.ResponseWriter, r *http.Request, _ int64) bool { return hang(r) })
	cfg := proxy.withRegistry(t)
	cfg.StartupTimeout = 2 * time.Second
	err := Run(t.Context(), cfg, nil)
	if err == nil || !strings.Contains(err.Error(), "look up the schema of ") || !strings.Contains(err.Error(), proxy.url) {
		t.Errorf("it ends with %v", err)
	}

	cfg.StartupTimeout = time.Minute
	r := startRun(t, cfg)
	awaitStatus(t, r.status, 20*time.Second, func(s Snapshot) bool { return strings.Contains(s.Waiting, proxy.url) })
	if err := r.stop(t); err != nil {
		t.Errorf("it stops with %v", err)
	}
}

// Two first starts at once both succeed: each of a program that knows nothing of the other.
func TestFirstStartsAtOnce(t *testing.T) {
	t.Parallel() // most of it is waiting
	proxy := newRegistryProxy(t)
	var failures []error
	var mu sync.Mutex
	for round := range 10 {
		var group sync.WaitGroup
		ids := make([][]int, 2)
		for i := range ids {
			group.Go(func() {
				registry, err := schemas.NewRegistry(schemas.RegistryConfig{URL: proxy.url})
				for _, s := range schemas.Subjects() {
					var id int
					if err == nil {
						id, err = registry.Register(context.Background(), s, fmt.Sprintf("race%d.%s", round, s))
					}
					ids[i] = append(ids[i], id)
				}
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, err)
			})
		}
		group.Wait()
		if fmt.Sprint(ids[0]) != fmt.Sprint(ids[1]) {
			t.Errorf("ids differ: %v", ids)
		}
	}
	if err := errors.Join(failures...); err != nil {
		t.Error(err)
	}
}

func awaitReady(t *testing.T, r *run, within time.Duration) {
	t.Helper()
	awaitStatus(t, r.status, within, Snapshot.Ready)
}

func awaitStatus(t *testing.T, s *Status, within time.Duration, is func(Snapshot) bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !is(s.Snapshot()); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v it is %v, waiting: %q", within, s.Snapshot().State, s.Snapshot().Waiting)
		}
	}
}

// recorder keeps the lines of a log.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (*recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler     { return r }
func (r *recorder) WithGroup(string) slog.Handler          { return r }

func (r *recorder) Handle(_ context.Context, rec slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, rec.Message)
	return nil
}

// count counts the lines that have a text.
func (r *recorder) count(text string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}
