package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// tickInterval is how often a worker tells all stitch tasks how far its tasks
// are. It bounds how exact timers are; per commit it would cost a record for
// each worker and exchange partition.
const tickInterval = 500 * time.Millisecond

// worker is one goroutine, one group member and one transactional producer. All
// fields but those that say otherwise belong to its goroutine.
type worker struct {
	cfg     *Config
	id      string // transactional id, group instance id and client id
	topics  topics
	encoder *encoder
	slots   chan struct{} // restores of the process
	log     *slog.Logger
	metrics *metrics
	status  *Status

	// Of one session; made anew after every failure.
	session  *kgo.GroupTransactSession
	cl       *kgo.Client
	mailbox  *mailbox                    // shared with callbacks
	fetched  map[topicPartition]assigned // of the group's goroutine only
	parts    map[topicPartition]*partition
	aborts   int  // in a row
	more     bool // timers are due: the next transaction must not wait for records
	nextTick time.Time
	observed *atomic.Pointer[observation] // shared with observe; nil when it was used
	watching atomic.Bool                  // shared: an observe is under way
	asked    int                          // observations so far
	lag      int64                        // of the exchange, as last observed
	throttle bool                         // raw partitions are paused
	purged   time.Time                    // when the exchange was
	reported time.Time                    // when the status was
}

// run keeps a session going until ctx ends or something fails for good. Whatever
// else fails costs the session: client and state are thrown away and made anew,
// because after most failures of a transactional producer only the changelog
// knows what is true (P3, P13).
func (w *worker) run(ctx, hard context.Context) error {
	const firstBackoff, lastBackoff = 200 * time.Millisecond, 10 * time.Second
	backoff := firstBackoff
	for {
		begun := time.Now()
		err := w.sessionOnce(ctx, hard)
		switch {
		case err == nil, final(err):
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("stop worker %s: %w", w.id, err)
		}
		if time.Since(begun) > time.Minute {
			backoff = firstBackoff
		}
		w.metrics.sessions.Inc()
		w.log.Warn("starting over from the changelog", "error", err, "in", backoff)
		wait(ctx, backoff)
		if ctx.Err() != nil {
			return nil
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// sessionOnce is one life of a client.
func (w *worker) sessionOnce(ctx, hard context.Context) error {
	w.parts, w.mailbox = make(map[topicPartition]*partition), new(mailbox)
	w.more, w.throttle, w.lag, w.nextTick = false, false, 0, time.Time{}
	w.observed = new(atomic.Pointer[observation])
	if err := w.open(hard); err != nil {
		return err
	}
	defer w.close()
	// The first thing is to end what a crash of this id left open (P11).
	if _, _, err := w.cl.ProducerID(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("fence the last transaction of %s: %w", w.id, err)
	}
	for ctx.Err() == nil {
		if err := w.turn(ctx, hard); err != nil {
			return w.classify(ctx, err)
		}
	}
	w.leave(hard)
	return nil
}

func (w *worker) open(hard context.Context) error {
	ready := make(chan struct{}) // the callbacks use w.cl
	session, err := kgo.NewGroupTransactSession(append(w.cfg.workerOptions(w.id, w.topics.batchBytes),
		kgo.WithContext(hard),
		kgo.WithHooks(w.metrics.hooks()...),
		kgo.OnPartitionsAssigned(func(ctx context.Context, cl *kgo.Client, added map[string][]int32) {
			<-ready
			w.onAssigned(ctx, cl, added)
		}),
		kgo.OnOffsetsFetched(w.onFetched),
		kgo.AdjustFetchOffsetsFn(w.onOffsets),
	)...)
	if err != nil {
		return fmt.Errorf("%w: make a client: %w", errBroken, err)
	}
	w.session, w.cl = session, session.Client()
	close(ready)
	return nil
}

func (w *worker) close() {
	for _, p := range w.parts {
		w.drop(p)
		if p.restore != nil {
			<-p.restore.result
		}
	}
	w.session.Close()
	w.status.expect(w.id)
}

// leaveLimit bounds leaving the group: who does not manage it is given up after
// the session time-out.
const leaveLimit = 2 * time.Second

// leave hands the partitions to the others at once. A static member that only
// goes away keeps them until its session times out (P24). The client's part in the
// group is over before that: in a rebalance, which the first to leave begins, it
// would join again.
func (w *worker) leave(hard context.Context) {
	ctx, cancel := context.WithTimeout(hard, leaveLimit)
	defer cancel()
	ended, stop := context.WithTimeout(ctx, leaveLimit/2)
	defer stop()
	w.cl.LeaveGroupContext(ended) // of a static member it only ends the part; if not in time, leaving may still help
	if err := leaveGroup(ctx, w.cl, w.cfg.ApplicationID, w.id); err != nil {
		w.log.Warn("could not leave the group; its partitions move when the session times out", "error", err)
	}
}

// leaveGroup removes a static member, which closing its client does not.
func leaveGroup(ctx context.Context, cl *kgo.Client, group, instance string) error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = group
	m := kmsg.NewLeaveGroupRequestMember()
	m.InstanceID = &instance
	m.Reason = kmsg.StringPtr("callstitch stops")
	req.Members = append(req.Members, m)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

// turn is one round: take in assignments, and one transaction if there is
// anything to do.
func (w *worker) turn(ctx, hard context.Context) error {
	if err := w.receive(ctx); err != nil {
		return err
	}
	w.reconcile()
	if err := w.finishRestores(); err != nil {
		return err
	}
	w.balanceInput()
	w.report()
	first, err := w.poll(ctx, w.idleWait())
	if err != nil {
		return err
	}
	if first.NumRecords() == 0 && !w.more && !w.tickDue() {
		return nil
	}
	return w.transact(ctx, hard, first)
}

// idleWait is how long to wait for records: not past the next tick, and not so
// long that a finished restore has to wait.
func (w *worker) idleWait() time.Duration {
	if w.more {
		return 0
	}
	return min(w.cfg.CommitInterval, max(time.Until(w.nextTick), 0))
}

func (w *worker) tickDue() bool { return !time.Now().Before(w.nextTick) && w.anyActive() }

func (w *worker) anyActive() bool {
	for _, p := range w.parts {
		if p.active() {
			return true
		}
	}
	return false
}

// poll fetches what is there, waiting at most so long for a first record.
func (w *worker) poll(ctx context.Context, wait time.Duration) (kgo.Fetches, error) {
	ctx, cancel := context.WithTimeout(ctx, max(wait, time.Millisecond))
	defer cancel()
	fetches := w.cl.PollRecords(ctx, pollRecords)
	if fetches.IsClientClosed() {
		return nil, errors.New("the client was closed")
	}
	return fetches, fetchError(fetches)
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
