package kafka

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// worker is one goroutine, which works through one session after the other under
// one name. Its fields are what outlives a session.
type worker struct {
	cfg      *Config
	id       string // transactional id, group instance id and client id
	topics   topics
	encoders []*encoder    // one for each thread
	slots    chan struct{} // restores of the process
	log      *slog.Logger
	metrics  *metrics
	status   *Status
	limits   *limits
	pulse    *pulse
	client   atomic.Pointer[kgo.Client] // of the last session, for those who look from outside
	// finishing ends a while after the run was told to stop, and with it what still waits
	// for the end of a transaction.
	finishing context.Context
	purged    time.Time // when the exchange was; a session that ends early must not put it off
}

// run keeps a session going until ctx ends or something fails for good. Whatever
// else fails costs the session: client and state are thrown away and made anew,
// because after most failures of a transactional producer only the changelog
// knows what is true (K3, K13).
func (w *worker) run(ctx, hard context.Context) error {
	const firstBackoff, lastBackoff = 200 * time.Millisecond, 10 * time.Second
	backoff := firstBackoff
	var stop context.CancelFunc
	w.finishing, stop = outlive(ctx, func() time.Duration { return w.commitLimit(ctx) })
	defer stop()
	for {
		begun := time.Now()
		err := w.runSession(ctx, hard)
		if e, ok := errors.AsType[*tooLargeError](err); ok {
			err = errors.Join(err, w.learn(hard, e))
		}
		if e, ok := errors.AsType[*untimelyError](err); ok && e.topic == w.cfg.Topics.Rejects && !w.encoders[0].rejects.now {
			w.encoders[0].rejects.now = true
			w.log.Warn("rejects get the time of their writing, since the topic does not take that of their records", "topic", e.topic)
		}
		switch {
		case err == nil, final(err):
			return err
		case ctx.Err() != nil:
			return nil // a session says what it leaves behind
		}
		if time.Since(begun) > time.Minute {
			backoff = firstBackoff
		}
		w.metrics.restarts.Inc()
		w.pulse.failed(err)
		w.log.Warn("starting over from the changelog", "error", err, "in", backoff)
		wait(ctx, backoff)
		if ctx.Err() != nil {
			return nil
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

const (
	// commitLimit is how long the transaction at hand is waited for after the run was
	// told to stop; hopelessLimit, where the worker stands still already, or the watch has
	// found what ends the run for good.
	commitLimit   = 4 * time.Second
	hopelessLimit = 500 * time.Millisecond
)

func (w *worker) commitLimit(ctx context.Context) time.Duration {
	if w.pulse.hopeless() || final(context.Cause(ctx)) {
		return hopelessLimit
	}
	return commitLimit
}

// runSession is one session, from its client to its end.
func (w *worker) runSession(ctx, hard context.Context) error {
	s, err := newSession(hard, w)
	if err != nil {
		return err
	}
	defer s.close()
	return s.run(ctx, hard)
}

// learn takes in that a topic refused something as too large.
func (w *worker) learn(ctx context.Context, e *tooLargeError) error {
	cl, err := kgo.NewClient(append(w.cfg.clientOptions(w.id+"-limits"), kgo.WithContext(ctx))...)
	if err != nil {
		return nil
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	return w.limits.learn(ctx, kadm.NewClient(cl), e)
}
