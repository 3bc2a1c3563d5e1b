package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology"
)

// session is one life of a client: one group member and one transactional
// producer, with the tasks of the partitions that it was assigned. What fails in
// it ends it, and nothing of it is left for the next. All fields but those that
// say otherwise belong to the worker's goroutine.
type session struct {
	*worker
	member *kgo.GroupTransactSession
	cl     *kgo.Client // of the member
	cut    func()      // ends whatever the client still waits for

	mailbox *mailbox                             // shared with callbacks
	fetched map[topology.TopicPartition]assigned // of the group's goroutine only
	parts   map[topology.TopicPartition]*partition
	tasks   *topology.Worker // of the partitions that are active

	readAhead    []fetched // for the next transaction
	readAheadErr error     // that ended the reading ahead
	spares       [][]topology.Record

	aborts   int // in a row
	nextTick time.Time
	reported time.Time // when the status was

	observed atomic.Pointer[observation] // shared with observe; nil when it was used
	watching atomic.Bool                 // shared with observe: one is under way
	deaf     atomic.Int64                // shared with observe: when the first of those failed that failed in a row, as Unix nanoseconds; 0: none
	asked    int                         // observations so far
	lag      int64                       // of the exchange, as last observed
	heard    observation                 // of the brokers' clock, the last
	throttle bool                        // raw partitions are paused
	backlog  backlog                     // of the sources

	assigned            time.Time // when the group last assigned something
	holdUntil, holdNext time.Time // sources are held until, and may be again from

	told atomic.Bool // shared with callbacks: the group has said what is the worker's own
}

// newSession makes the client. It joins the group at once, and its calls come
// from other goroutines.
func newSession(hard context.Context, w *worker) (*session, error) {
	s := &session{worker: w, mailbox: new(mailbox), parts: make(map[topology.TopicPartition]*partition), tasks: topology.NewWorker(&w.cfg.Config, threads(w.cfg.Workers))}
	ready := make(chan struct{}) // the callbacks use s.cl
	hard, s.cut = context.WithCancel(hard)
	member, err := kgo.NewGroupTransactSession(append(w.cfg.workerOptions(w.id, w.limits.of),
		kgo.WithContext(hard),
		kgo.WithHooks(w.metrics.hooks()...),
		kgo.OnPartitionsAssigned(func(ctx context.Context, cl *kgo.Client, added map[string][]int32) {
			<-ready
			s.onAssigned(ctx, cl, added)
		}),
		kgo.OnOffsetsFetched(s.onFetched),
		kgo.AdjustFetchOffsetsFn(s.onOffsets),
	)...)
	if err != nil {
		s.cut()
		return nil, fmt.Errorf("%w: make a client: %w", errBroken, err)
	}
	s.member, s.cl = member, member.Client()
	w.client.Store(s.cl)
	rejects := s.encoders[0].rejects
	rejects.limit, rejects.dates = int(w.limits.of(w.cfg.Topics.Rejects)), w.topics.rejects
	close(ready)
	return s, nil
}

// run works until ctx ends, and then leaves the group. Its error says what ended
// the session before that.
func (s *session) run(ctx, hard context.Context) error {
	// The first thing is to end what a crash of this id left open (K11).
	s.pulse.goesTo(atFence)
	if _, _, err := s.cl.ProducerID(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("fence the last transaction of %s: %w", s.id, err)
	}
	s.pulse.goesTo(atJoin)
	var err error
	for err == nil && ctx.Err() == nil {
		err = s.turn(ctx, hard)
	}
	if err != nil {
		err = s.classify(ctx, err)
		switch {
		case errors.Is(err, ErrFenced): // the name in the group is then the other's
			return err
		case final(err):
			s.leave(hard)
			return err
		case ctx.Err() == nil:
			return err
		}
		// Nothing of the batch at hand is visible, or all of it: whoever takes over finds out.
		s.log.Warn("stopped without knowing of a commit; what was not committed is done again", "error", err)
	}
	s.leave(hard)
	return nil
}

// turn is one round: take in assignments, and one transaction if there is
// anything to do.
func (s *session) turn(ctx, hard context.Context) error {
	if err := s.receive(ctx); err != nil {
		return err
	}
	s.reconcile()
	if err := s.finishRestores(); err != nil {
		return err
	}
	s.feel()
	s.balanceInput()
	s.report()
	if err := s.examine(ctx); err != nil {
		return err
	}
	first, err := s.next(ctx, s.idleWait())
	if err != nil {
		return err
	}
	if len(first) == 0 && !s.tasks.More() && !s.tickDue() && !s.readsByHand() {
		return nil
	}
	return s.transact(ctx, hard, first)
}

// feel says what the worker is at between two transactions.
func (s *session) feel() {
	s.pulse.hears(s.unheard())
	s.pulse.restores(s.restoring())
	switch {
	case !s.tasks.Empty():
		s.pulse.goesTo(atWork)
	case len(s.parts) > 0:
		s.pulse.goesTo(atRestore)
	case !s.told.Load(), s.pulse.lacksOffsets():
		s.pulse.goesTo(atJoin)
	default: // nothing is its own
		s.pulse.beat()
	}
}

// restoring is how much is left of the restores under way, if there are any.
func (s *session) restoring() (some bool, left int64) {
	for _, p := range s.parts {
		if p.restore != nil {
			some = true
			left += p.restore.remaining()
		}
	}
	return some, left
}

// idleWait is how long to wait for records: not past the next tick, and not so
// long that a finished restore has to wait.
func (s *session) idleWait() time.Duration {
	if s.tasks.More() || s.readsByHand() {
		return 0
	}
	return min(s.cfg.CommitInterval, max(time.Until(s.nextTick), 0))
}

func (s *session) tickDue() bool { return !time.Now().Before(s.nextTick) && !s.tasks.Empty() }

func (s *session) close() {
	s.tasks = topology.NewWorker(&s.cfg.Config, threads(s.cfg.Workers)) // whatever was open in the old one is lost with it
	for _, p := range s.parts {
		s.drop(p)
		if p.restore != nil {
			<-p.restore.result
		}
	}
	defer time.AfterFunc(closeLimit, s.cut).Stop()
	s.member.Close()
	s.cut()
	s.forgetRecords()
	s.status.leave()
}

// forgetRecords leaves the memory of records to the client, which may hold some that were
// not acknowledged.
func (s *session) forgetRecords() {
	for _, e := range s.encoders {
		e.forget()
	}
}

// closeLimit bounds the end of a client, which may wait for a broker that hangs.
const closeLimit = time.Second

// leaveLimit bounds leaving the group: who does not manage it is given up after
// the session time-out.
const leaveLimit = 2 * time.Second

// leave hands the partitions to the others at once. A static member that only
// goes away keeps them until its session times out (K24). The client's part in the
// group is over before that: in a rebalance, which the first to leave begins, it
// would join again.
func (s *session) leave(hard context.Context) {
	ctx, cancel := context.WithTimeout(hard, leaveLimit)
	defer cancel()
	ended, stop := context.WithTimeout(ctx, leaveLimit/2)
	defer stop()
	err := within(ctx, func() error {
		s.cl.LeaveGroupContext(ended) // of a static member it only ends the part; if not in time, leaving may still help
		return leaveGroup(ctx, s.cl, s.cfg.ApplicationID, s.id)
	})
	if err != nil {
		s.log.Warn("could not leave the group; its partitions move when the session times out", "error", err)
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
