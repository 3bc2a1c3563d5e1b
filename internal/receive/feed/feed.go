package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// A Take takes one frame: nil once it is safe, and never before. It is called from
// several goroutines, keeps body as it is, and may be asked the same again.
type Take func(ctx context.Context, received time.Time, body []byte) error

const (
	// After a connection ends, the next is tried for after a random time of up to
	// retryMin, doubled with each failure up to retryMax: a provider that comes back is
	// not met by all of its customers at once.
	retryMin = time.Second
	retryMax = time.Minute
	// farewell is how long frames in hand are offered after the end of the context.
	farewell = 10 * time.Second
)

// feed is a feed that runs.
type feed struct {
	cfg     Config
	dialect dialect
	manner  manner
	hand    *hand
	ended   time.Time // when the connection before did; zero: there was none
}

// Run receives a feed until ctx ends, and returns nil then. It fails only for a
// configuration that cannot be.
func Run(ctx context.Context, cfg Config, take Take) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("feed %s: %w", cfg.Name, err)
	}
	f := &feed{cfg: cfg}
	f.cfg.Log = cfg.Log.With("feed", cfg.Name)
	f.dialect = f.cfg.dialect()
	f.manner = f.dialect.manner()
	f.manner.drop = append(f.manner.drop, cfg.Drop...)
	f.hand = newHand(ctx, take, f.cfg.Counters, f.cfg.Log)
	f.stay(ctx)
	f.leave(ctx)
	f.hand.empty()
	return nil
}

// stay connects, again and again.
func (f *feed) stay(ctx context.Context) {
	for failures := 0; ; failures++ {
		began := time.Now()
		err := f.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > retryMax {
			failures = 0 // connecting takes less time to fail
		}
		pause, level := max(backOff(failures), waitOf(err)), slog.LevelWarn
		if pause > retryMax {
			level = slog.LevelError // somebody has to do something
		}
		f.cfg.Log.Log(ctx, level, "feed is not connected", "err", err, "next_try_in", pause.Round(time.Millisecond))
		if wait(ctx, pause) != nil {
			return
		}
		f.cfg.Counters.reconnects.Add(1)
	}
}

// leave ends the session: after the feed's context, within the limit of a request.
func (f *feed) leave(ctx context.Context) {
	if err := f.dialect.leave(context.WithoutCancel(ctx)); err != nil {
		f.cfg.Log.Warn("feed was left without a farewell", "err", err)
	}
}

// backOff is a random wait after so many failures.
func backOff(failures int) time.Duration {
	most := retryMax
	if failures < 6 { // 1 s << 6 is above retryMax
		most = min(retryMin<<failures, retryMax)
	}
	return rand.N(most)
}

// waitOf is how long a refusal asks to wait.
func waitOf(err error) time.Duration {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.wait
	}
	return 0
}

// wait waits for a while, or for the end of ctx, which is its error.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
