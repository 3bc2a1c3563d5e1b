package kafka

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology"
)

const (
	// A transaction ends early at these bounds: what it wrote is held in memory,
	// and is done again if it aborts (K16).
	maxTransactionRecords = 50_000
	maxTransactionBytes   = 32 << 20
)

// transaction is what a batch is beside what topology.Worker holds of it: how old and
// large it is, and what became of its records.
type transaction struct {
	begun   time.Time
	records int
	bytes   int   // of records read
	ahead   int64 // records dated later are ahead of the brokers' clock
	ticked  bool

	exchange, outputs, change int           // effects produced so far
	sent                      []*kgo.Record // the exchange records, in the order of fx.Exchange
	changelog                 []*kgo.Record // the last record for each changelog partition
	encodeErr                 error

	// intact ends with the first record that failed, which is its cause: a commit
	// would go through without it (K4).
	intact context.Context
	fail   context.CancelCauseFunc

	awaited *awaited
	// acknowledged gets what became of each record, by where it went.
	acknowledged [toOutputs + topology.SinkCount]func(*kgo.Record, error)
}

// newTransaction begins with an empty batch. What it waits for ends with ctx.
func newTransaction(ctx context.Context, cfg *Config, ahead int64) *transaction {
	tx := &transaction{begun: time.Now(), ahead: ahead, changelog: make([]*kgo.Record, cfg.ExchangePartitions), awaited: &awaited{cfg: cfg}}
	tx.intact, tx.fail = context.WithCancelCause(ctx)
	for to := range tx.acknowledged {
		tx.acknowledged[to] = func(rec *kgo.Record, err error) {
			tx.awaited.left[to].Add(-1)
			if err != nil {
				tx.fail(produceError(rec, err))
			}
		}
	}
	return tx
}

// outcome is how a transaction ended (K3).
type outcome uint8

const (
	committed outcome = iota
	aborted           // nothing of it is visible; the batch is done again
	unknown           // the broker may have done either: only the changelog knows
)

var outcomeNames = [...]string{"committed", "aborted", "unknown"}

func (o outcome) String() string { return outcomeNames[o] }

// transact is one transaction: it gathers records for a while, starting with those that
// were polled already.
func (s *session) transact(ctx, hard context.Context, first []fetched) error {
	if err := s.member.Begin(); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	tx := newTransaction(s.finishing, s.cfg, s.aheadFrom())
	defer tx.fail(nil)
	if err := s.gather(ctx, hard, tx, first); err != nil {
		return errors.Join(err, s.abort(hard))
	}
	if err := s.finish(tx); err != nil {
		return errors.Join(err, s.abort(hard))
	}
	s.produce(hard, tx)
	begun := time.Now()
	how, err := s.end(hard, tx)
	s.metrics.commits.WithLabelValues(how.String()).Inc()
	s.metrics.commitLatency.Observe(time.Since(begun).Seconds())
	switch how {
	case committed:
		s.commit(ctx, tx)
		for _, e := range s.encoders {
			e.again()
		}
		s.aborts = 0
		return nil
	case aborted:
		if err := s.rollback(); err != nil {
			return err
		}
		s.aborts++
		s.pulse.aborted()
		wait(ctx, min(time.Duration(s.aborts)*abortPause, maxAbortPause))
	}
	return err
}

const (
	// abortPause is the wait after an abort, and grows with each one in a row: a
	// rebalance needs a moment to end.
	abortPause    = 20 * time.Millisecond
	maxAbortPause = 500 * time.Millisecond
)

// gather processes records until the transaction is old or large enough. Once
// the run is to stop, it takes no further ones.
func (s *session) gather(ctx, hard context.Context, tx *transaction, more []fetched) error {
	for {
		if err := errors.Join(s.process(tx, more), s.processByHand(tx), s.work()); err != nil {
			return err
		}
		s.produce(hard, tx)
		wait := time.Until(tx.begun.Add(s.interval()))
		if wait <= 0 || s.full(tx) || ctx.Err() != nil || s.tasks.More() || s.tickDue() {
			return nil
		}
		wait = min(wait, max(time.Until(s.nextTick), 0))
		var err error
		if more, err = s.poll(ctx, wait); err != nil {
			return err
		}
	}
}

func (s *session) full(tx *transaction) bool {
	return tx.records >= maxTransactionRecords || tx.bytes+s.tasks.Pending() >= maxTransactionBytes ||
		time.Since(tx.begun) >= s.cfg.TransactionTimeout/2
}

// produce hands the effects that are new to the producer.
func (s *session) produce(ctx context.Context, tx *transaction) {
	exchange, changelog, fx := s.cfg.ExchangeTopic(), s.cfg.ChangelogTopic(), s.tasks.Effects()
	for _, e := range fx.Exchange[tx.exchange:] {
		rec := s.encoders[0].next(exchange, e.Partition, e.Key, e.Value)
		tx.sent = append(tx.sent, rec)
		s.send(ctx, tx, toExchange, rec)
	}
	for _, c := range fx.Changelog[tx.change:] {
		rec := s.encoders[0].next(changelog, c.Partition, c.Key, c.Value)
		tx.changelog[c.Partition] = rec
		s.send(ctx, tx, toChangelog, rec)
	}
	records, err := s.encode(fx.Outputs[tx.outputs:])
	tx.encodeErr = errors.Join(tx.encodeErr, err)
	for i, o := range fx.Outputs[tx.outputs:] {
		if records[i] != nil {
			s.send(ctx, tx, toOutputs+int(o.Sink()), records[i])
		}
	}
	tx.exchange, tx.change, tx.outputs = len(fx.Exchange), len(fx.Changelog), len(fx.Outputs)
}

// encode makes records of outputs, on all threads.
func (s *session) encode(outputs []topology.Output) ([]*kgo.Record, error) {
	records, errs := make([]*kgo.Record, len(outputs)), make([]error, len(s.encoders))
	share := (len(outputs) + len(s.encoders) - 1) / len(s.encoders)
	threads(len(s.encoders))(len(s.encoders), func(n int) {
		for i := n * share; i < min((n+1)*share, len(outputs)); i++ {
			var err error
			if records[i], err = s.encoders[n].record(outputs[i]); err != nil {
				errs[n] = errors.Join(errs[n], err)
			}
		}
	})
	return records, errors.Join(errs...)
}

func (s *session) send(ctx context.Context, tx *transaction, to int, rec *kgo.Record) {
	tx.awaited.left[to].Add(1)
	s.cl.Produce(ctx, rec, tx.acknowledged[to])
}

// finish closes the batch, with a tick where one is due.
func (s *session) finish(tx *transaction) error {
	var seen topology.Seen
	if tx.ticked = s.tickDue(); tx.ticked {
		seen = s.seen()
	}
	if err := s.tasks.Finish(seen); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return nil
}

// end commits what was produced, or aborts. At each step it is told what a crash
// there leaves behind; the next start is always the same: fence the own
// transactional id, which aborts what is open, fetch stable offsets, restore.
func (s *session) end(hard context.Context, tx *transaction) (outcome, error) {
	// Crash here: records of an open transaction. They are aborted when the id
	// is fenced, at the latest at the transaction time-out.
	// Once a record has failed, the rest is not waited for: where the producer was
	// fenced, franz-go can forget records of a topic that it has just come to know.
	s.pulse.flushes(tx.awaited)
	flushed := make(chan struct{})
	go func() {
		_ = s.cl.Flush(tx.intact) // its error is that intact is over
		close(flushed)
	}()
	s.lookAhead(hard, flushed)
	<-flushed
	if tx.encodeErr != nil {
		return aborted, errors.Join(fmt.Errorf("%w: %w", errBroken, tx.encodeErr), s.abort(hard))
	}
	if err := context.Cause(tx.intact); err != nil {
		if s.finishing.Err() != nil {
			err = fmt.Errorf("no acknowledgements%s: %w", tx.awaited.from(), err)
		}
		return aborted, errors.Join(err, s.abort(hard))
	}
	s.pulse.goesTo(atCommit)
	s.noteChangelog(tx)
	// Crash between the offset commit and the end of the transaction: offsets
	// are pending. A successor's stable fetch waits until they are aborted.
	// Crash while the end is under way: the coordinator finishes what it wrote
	// down. The successor's fetch waits for that, and sees all or nothing.
	var done atomic.Bool
	err := within(s.finishing, func() error {
		committed, err := s.member.End(kgo.PreTxnCommitFnContext(s.finishing, s.offsets), kgo.TryCommit)
		done.Store(committed)
		return err
	})
	switch {
	case err != nil:
		return unknown, fmt.Errorf("end the transaction: %w", err)
	case done.Load():
		// Crash here: committed, but this process does not know. It restores.
		return committed, nil
	default:
		s.pulse.goesTo(atResolve)
		return s.verify(s.finishing)
	}
}

func (s *session) abort(ctx context.Context) error {
	s.pulse.goesTo(atAbort)
	ctx, cancel := context.WithTimeout(ctx, abortLimit)
	defer cancel()
	err := within(ctx, func() error {
		_, err := s.member.End(ctx, kgo.TryAbort)
		return err
	})
	if err != nil {
		return fmt.Errorf("abort the transaction: %w", err)
	}
	return nil
}

// noteChangelog notes how far the changelog holds the state that this transaction
// commits (K10).
func (s *session) noteChangelog(tx *transaction) {
	for p, rec := range tx.changelog {
		if rec != nil {
			s.parts[topology.TopicPartition{Topic: s.cfg.ExchangeTopic(), Partition: int32(p)}].changelogNext = rec.Offset + 1
		}
	}
}

// offsets replaces what franz-go would commit by the offset and metadata of every
// partition whose task the transaction touched, moved or not: the group refuses the
// commit of a member that lost one, and so the whole transaction (K5).
func (s *session) offsets(req *kmsg.TxnOffsetCommitRequest) error {
	ids := make(map[string][16]byte)
	for _, t := range req.Topics {
		ids[t.Topic] = t.TopicID
	}
	req.Topics = req.Topics[:0]
	for p, at := range s.touched() {
		i := slices.IndexFunc(req.Topics, func(t kmsg.TxnOffsetCommitRequestTopic) bool { return t.Topic == p.Topic })
		if i < 0 {
			t := kmsg.NewTxnOffsetCommitRequestTopic()
			t.Topic, t.TopicID = p.Topic, ids[p.Topic]
			i, req.Topics = len(req.Topics), append(req.Topics, t)
		}
		rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = p.Partition, at.offset, p.epoch, &at.metadata
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, rp)
	}
	return nil
}

// touched are the partitions whose tasks the open transaction has touched, each with
// what is committed of it.
func (s *session) touched() iter.Seq2[*partition, stable] {
	return func(yield func(*partition, stable) bool) {
		for _, o := range s.tasks.Offsets() {
			p := s.parts[o.TopicPartition]
			m := metadata{owner: s.id, changelog: p.changelogNext, task: o.Metadata, at: o.Next, made: s.topics.made[p.Topic]}
			if !p.source {
				m.outputs = s.cfg.outputs()
			}
			if !yield(p, stable{o.Next, m.String()}) {
				return
			}
		}
	}
}

// verify resolves a transaction that franz-go reports as neither committed nor
// failed. It says so too where the broker answered a commit with an unknown
// error, so the stable offsets decide: unmoved means aborted (K3, K22).
func (s *session) verify(ctx context.Context) (outcome, error) {
	owned := s.cl.CommittedOffsets()
	expected := make(map[topology.TopicPartition]stable)
	for p := range s.touched() {
		if _, ok := owned[p.Topic][p.Partition]; ok { // else its next owner may have moved it
			expected[p.TopicPartition] = p.stable
		}
	}
	now, err := stableOffsets(ctx, s.cl, s.cfg.ApplicationID, expected)
	if err != nil {
		return unknown, fmt.Errorf("resolve the outcome of a transaction: %w", err)
	}
	for tp, want := range expected {
		if now[tp] != want {
			return unknown, fmt.Errorf("resolve the outcome of a transaction: %s-%d stands at %d, where %d was expected",
				tp.Topic, tp.Partition, now[tp].offset, want.offset)
		}
	}
	return aborted, nil
}

// commit makes the transaction this worker's state.
func (s *session) commit(ctx context.Context, tx *transaction) {
	outputs, ways := s.tasks.Effects().Outputs, s.tasks.Ways()
	var touched []*partition
	for p, at := range s.touched() {
		p.stable = at
		touched = append(touched, p)
	}
	s.metrics.written(outputs)
	s.status.committed(outputs, ways)
	if s.cfg.OnCommit != nil && len(outputs) > 0 {
		s.cfg.OnCommit(outputs)
	}
	s.tasks.Commit(func(i int) int64 { return tx.sent[i].Offset }) // which forgets the effects
	s.metrics.committed(touched, ways)
	s.pulse.beat()
	if tx.ticked {
		s.nextTick = time.Now().Add(tickInterval)
		s.observe(ctx)
		s.purge(ctx)
	}
}

// rollback drops all of the transaction, and what was read ahead. Aborts are part of every
// rebalance (K22); franz-go has gone back to the committed offsets, and so do the tasks.
func (s *session) rollback() error {
	for p := range s.touched() {
		p.records, p.lead.records = 0, 0
	}
	if err := s.tasks.Abort(); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	s.dropAhead()
	s.forgetRecords()
	return nil
}
