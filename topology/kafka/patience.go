package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// patience is with a cluster that answers: what is tried is given up when no broker has
// answered anything for a while, not when all of it takes long (K52). It is a hook of the
// client that tries.
type patience struct{ timer atomic.Pointer[time.Timer] }

var errSilence = errors.New("no broker answers")

// OnBrokerE2E begins the wait anew at each answer.
func (p *patience) OnBrokerE2E(_ kgo.BrokerMetadata, _ int16, e kgo.BrokerE2E) {
	if timer := p.timer.Load(); timer != nil && e.Err() == nil {
		timer.Reset(attemptLimit)
	}
}

// try does something, for as long as brokers answer.
func (p *patience) try(ctx context.Context, do func(context.Context) error) error {
	ctx, stop := context.WithTimeout(ctx, tryLimit)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(attemptLimit, func() { cancel(errSilence) })
	defer func() { p.timer.Store(nil); timer.Stop() }()
	p.timer.Store(timer)
	err := do(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errSilence) {
		return fmt.Errorf("%w for %v: %w", errSilence, attemptLimit, err)
	}
	return err
}
