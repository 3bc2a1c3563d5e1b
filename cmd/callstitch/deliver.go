package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/webhook"
	"callstitch/internal/simulator"
)

// postsAtOnce is how many events are on their way to the door at a time, as with a
// provider that does not wait for the answer to one event before it posts the next.
const postsAtOnce = 32

// postman brings a simulator's records to the front door.
type postman struct {
	client *webhook.Client
	door   *webhook.Door
	whole  bool // what no endpoint takes as it is, is an error

	posts     errgroup.Group
	delivered atomic.Int64

	foreign map[string]int // records that another tenant's endpoint takes, by provider; the sender's alone
}

func newPostman(cfg *config.Config, to string, whole bool) (*postman, error) {
	door, err := webhook.Open(to)
	if err != nil {
		return nil, usageError{fmt.Errorf("--to: %w", err)}
	}
	if len(cfg.Receive.Endpoints) > 0 {
		if door, err = cfg.Receive.Door(to); err != nil {
			return nil, err
		}
	}
	trust, err := cfg.Receive.Trust()
	if err != nil {
		return nil, err
	}
	p := &postman{client: webhook.NewClient(trust), door: door, whole: whole, foreign: map[string]int{}}
	p.posts.SetLimit(postsAtOnce)
	return p, nil
}

// send posts a record, and waits only while as many are on their way as may be.
func (p *postman) send(ctx context.Context, failed context.CancelCauseFunc, r simulator.Record) error {
	if r.Value == nil {
		return nil // nobody posts nothing
	}
	to, exact, ok := p.door.For(r.Provider, r.Tenant)
	if !ok {
		return usageError{fmt.Errorf("no endpoint takes events of %s: add one, or name other --providers", r.Provider)}
	}
	if p.whole && !exact {
		return usageError{fmt.Errorf("no endpoint takes events of %s of %s, which the truth has: add one with {tenant} in its path", r.Provider, r.Tenant)}
	}
	if !exact {
		p.foreign[r.Provider]++
	}
	p.posts.Go(func() error {
		err := p.client.Deliver(ctx, to, r.Value)
		if err != nil {
			failed(err)
			return err
		}
		p.delivered.Add(1)
		return nil
	})
	return nil
}

// close waits for what is on its way. The error is the first that there was.
func (p *postman) close() error {
	defer p.client.Close()
	return p.posts.Wait()
}

// report says what did not go as it was drawn.
func (p *postman) report(w io.Writer) {
	for _, provider := range slices.Sorted(maps.Keys(p.foreign)) {
		fmt.Fprintf(w, "%d records of %s went to another tenant's endpoint: none is theirs\n", p.foreign[provider], provider)
	}
	fmt.Fprintf(w, "%d records were taken\n", p.delivered.Load())
}

func (o *simulateOptions) toDoor(ctx context.Context, w io.Writer, cfg *config.Config, truth *truthFile) error {
	p, err := newPostman(cfg, o.to, o.truth != "")
	if err != nil {
		return err
	}
	if len(o.traffic.Providers) == 0 {
		o.traffic.Providers = p.door.Providers()
	}
	live := o.traffic.Start.IsZero()
	if live {
		o.traffic.Start = time.Now()
	}
	sim := simulator.New(o.traffic)
	sending, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	err = send(sending, sim, live, func(r simulator.Record) error {
		if err := p.send(sending, failed, r); err != nil {
			return err
		}
		return truth.write(sim)
	})
	if late := p.close(); ctx.Err() == nil { // else what was on its way is given up
		err = errors.Join(err, late)
	}
	p.report(w)
	return err
}
