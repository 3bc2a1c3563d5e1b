package receive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// flushLimit is how long Kafka has, at the end, for what it has not acknowledged yet.
// All of it was answered by then: with a refusal, or because the spool has it.
const flushLimit = 5 * time.Second

// Run receives until ctx is cancelled. Then it says so at /readyz for ProbePeriod,
// stops accepting, answers what is in flight, logs feeds out, hands Kafka what it has,
// and returns nil. It returns an error where it cannot begin or go on. Kafka need not
// be there, neither at the start nor later.
func Run(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if err := wrong(cfg.Validate()); err != nil {
		return err
	}
	in, err := NewIntake(cfg)
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx)) // until all is answered
	var intakeRuns sync.WaitGroup
	intakeRuns.Go(func() { in.Run(working) })
	err = receive(ctx, &cfg, in)
	stop()
	intakeRuns.Wait()
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
	defer cancel()
	return errors.Join(err, in.Close(flush))
}

// receive is a run with an intake that works.
func receive(ctx context.Context, cfg *Config, in intake) error {
	r, err := open(cfg, in)
	if err != nil {
		return err
	}
	return r.run(ctx)
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.InstanceID == "" {
		c.InstanceID, _ = os.Hostname() // a feed whose provider needs a name says that it has none
	}
	return c
}

// wrong is all that is wrong, as one error.
func wrong(problems []Problem) error {
	var errs []error
	for _, p := range problems {
		errs = append(errs, fmt.Errorf("receive.%s %s", p.Key, p.Text))
	}
	return errors.Join(errs...)
}

// intake is where events go.
type intake interface {
	Take(ctx context.Context, e Event) error
	Ready() error // nil while events can be taken
	Stats() Stats
}

// receiver is a run after its start: all that it needs is open.
type receiver struct {
	cfg    *Config
	gate   gate
	door   *door
	health *health
	feeds  []*runningFeed

	doorServer, healthServer     *http.Server
	doorListener, healthListener net.Listener // nil where none was asked for
}

// open opens what a run needs. Where it fails it leaves nothing open.
func open(cfg *Config, in intake) (*receiver, error) {
	m := newMetrics(cfg.Metrics)
	r := &receiver{cfg: cfg, gate: gate{take: in.Take}, health: &health{ready: in.Ready, metrics: cfg.Metrics}}
	var err error
	if r.door, err = newDoor(cfg, r.gate.Take, m); err != nil {
		return nil, err
	}
	for i := range cfg.Feeds {
		f, err := newFeed(cfg, &cfg.Feeds[i], r.gate.Take, m)
		if err != nil {
			return nil, err
		}
		r.feeds = append(r.feeds, f)
	}
	cfg.Metrics.MustRegister(gauges{in, cfg.Spool, r.feeds})
	r.doorServer, r.healthServer = r.door.server(), r.health.server(cfg.Log)
	if cfg.TLS.CertFile != "" {
		certificates, err := openCertificates(cfg.TLS, cfg.Log)
		if err != nil {
			return nil, err
		}
		r.doorServer.TLSConfig = certificates.server()
	}
	if r.doorListener, err = listen(cfg.Listen); err != nil {
		return nil, fmt.Errorf("listen for events: %w: set receive.listen to another address", err)
	}
	if r.healthListener, err = listen(cfg.HTTPListen); err != nil {
		if r.doorListener != nil {
			err = errors.Join(err, r.doorListener.Close())
		}
		return nil, fmt.Errorf("listen for health and metrics: %w: set receive.http.listen to another address, or to nothing", err)
	}
	return r, nil
}

// listen listens at an address; an empty one is none.
func listen(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	return net.Listen("tcp", address)
}

// run receives until ctx ends, or something that it needs fails.
func (r *receiver) run(ctx context.Context) error {
	beyond := context.WithoutCancel(ctx) // what is told to end ends in order
	group, failed := errgroup.WithContext(beyond)
	group.Go(r.serveDoor)
	group.Go(func() error { return serve(r.healthServer, r.healthListener) })
	pushed, leaveFeeds := context.WithCancel(beyond)
	defer leaveFeeds()
	var feeds sync.WaitGroup
	for _, f := range r.feeds {
		feeds.Add(1)
		group.Go(func() error {
			defer feeds.Done()
			return f.run(pushed)
		})
	}
	if r.cfg.Listening != nil {
		r.cfg.Listening(addressOf(r.doorListener), addressOf(r.healthListener))
	}
	select {
	case <-ctx.Done():
	case <-failed.Done():
	}
	r.leave(failed)
	leaveFeeds() // they log out while the door answers
	r.answerRest(beyond)
	feeds.Wait()
	r.gate.close()
	_ = r.healthServer.Close() // nobody asks any more
	return group.Wait()
}

// leave tells whoever asks that this instance ends, and lets them find out, so that
// what comes next goes to another one.
func (r *receiver) leave(failed context.Context) {
	r.health.leaving.Store(true)
	r.door.leaving.Store(true)
	r.cfg.Log.Info("leaving: events are still taken while others notice", "for", r.cfg.ProbePeriod)
	select {
	case <-time.After(r.cfg.ProbePeriod):
	case <-failed.Done():
	}
}

// answerRest answers what is in flight, and nothing that comes after it. What has not
// been answered when hold is over is not answered at all, so its sender knows that it
// was not taken.
func (r *receiver) answerRest(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Hold+takeMargin)
	defer cancel()
	if r.doorServer.Shutdown(ctx) != nil {
		r.cfg.Log.Warn("some requests were not answered in time, and are cut off")
		_ = r.doorServer.Close()
	}
}

// gate lets events pass until it is closed, and knows when the last one has.
type gate struct {
	take Take

	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

// errClosed is what is said to an event that comes when all is over. Its sender's
// connection is closed by then.
var errClosed = errors.New("this instance has ended")

// Take is a Take.
func (g *gate) Take(ctx context.Context, e Event) error {
	if !g.enter() {
		return errClosed
	}
	defer g.inside.Done()
	return g.take(ctx, e)
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.inside.Add(1)
	}
	return !g.closed
}

// close returns when all that has entered has left.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
}

func (r *receiver) serveDoor() error {
	if r.doorListener == nil {
		return nil
	}
	l := listener{r.doorListener, r.door.connections}
	r.cfg.Log.Info("events are taken", "address", l.Addr().String(), "tls", r.doorServer.TLSConfig != nil, "endpoints", len(r.cfg.Endpoints))
	if r.doorServer.TLSConfig == nil {
		return ended(r.doorServer.Serve(l))
	}
	return ended(r.doorServer.ServeTLS(l, "", "")) // the files are read by certificates
}

func serve(s *http.Server, l net.Listener) error {
	if l == nil {
		return nil
	}
	return ended(s.Serve(l))
}

// ended is why a server ended, nil where it was told to.
func ended(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

func addressOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}
