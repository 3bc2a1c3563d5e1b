package kafka

import (
	"context"
	"errors"
	"fmt"
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
	maxTransactionRecords = 20_000
	maxTransactionBytes   = 32 << 20
)

// transaction is one batch: what was read, what it caused, and whose state it
// touched.
type transaction struct {
	begun   time.Time
	records int
	bytes   int // of records read
	touched []*partition
	ticked  bool

	fx                        topology.Effects
	exchange, outputs, change int           // effects produced so far
	sent                      []*kgo.Record // the exchange records, in the order of fx.Exchange
	changelog                 []*kgo.Record // the last record for each changelog partition
	encodeErr                 error
	produceErr                atomic.Pointer[error]
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

// transact is one transaction: it gathers records for up to the commit interval,
// starting with those that were polled already.
func (s *session) transact(ctx, hard context.Context, first kgo.Fetches) error {
	if err := s.member.Begin(); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	tx := &transaction{begun: time.Now(), changelog: make([]*kgo.Record, s.cfg.ExchangePartitions)}
	if err := s.gather(ctx, hard, tx, first); err != nil {
		return errors.Join(err, s.abort(hard))
	}
	if err := s.finish(hard, tx); err != nil {
		return errors.Join(err, s.abort(hard))
	}
	begun := time.Now()
	how, err := s.end(hard, tx)
	s.metrics.commits.WithLabelValues(how.String()).Inc()
	s.metrics.commitLatency.Observe(time.Since(begun).Seconds())
	switch how {
	case committed:
		s.commit(ctx, tx)
		s.aborts = 0
		return nil
	case aborted:
		if err := s.rollback(tx); err != nil {
			return err
		}
		s.aborts++
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
func (s *session) gather(ctx, hard context.Context, tx *transaction, fetches kgo.Fetches) error {
	for {
		if err := s.process(tx, fetches); err != nil {
			return err
		}
		s.produce(hard, tx)
		wait := time.Until(tx.begun.Add(s.cfg.CommitInterval))
		if wait <= 0 || tx.full(s.cfg) || ctx.Err() != nil || s.more || s.tickDue() {
			return nil
		}
		wait = min(wait, max(time.Until(s.nextTick), 0))
		var err error
		if fetches, err = s.poll(ctx, wait); err != nil {
			return err
		}
	}
}

// process hands records to their tasks, those of the exchange first: what is
// further on its way goes before what is new.
func (s *session) process(tx *transaction, fetches kgo.Fetches) error {
	var failed error
	topic := s.cfg.ExchangeTopic()
	for _, exchange := range []bool{true, false} {
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			if failed == nil && len(f.Records) > 0 && (f.Topic == topic) == exchange {
				failed = s.processPartition(tx, f)
			}
		})
	}
	return failed
}

func (s *session) processPartition(tx *transaction, f kgo.FetchTopicPartition) error {
	p := s.parts[topicPartition{f.Topic, f.Partition}]
	if p == nil || !p.active() || f.Records[0].Offset < p.position {
		return fmt.Errorf("fetched %s-%d at %d, for which there is no task here", f.Topic, f.Partition, f.Records[0].Offset)
	}
	tx.touch(p)
	for _, rec := range f.Records {
		tx.records++
		tx.bytes += len(rec.Key) + len(rec.Value)
		p.position, p.epoch = rec.Offset+1, rec.LeaderEpoch
		if rec.Attrs.IsControl() {
			continue
		}
		p.newest = rec.Timestamp.UnixMilli()
		p.records++
		if p.decode != nil {
			p.decode.Process(fromKafka(rec), &tx.fx)
		} else if err := p.stitch.Process(fromKafka(rec), &tx.fx); err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
	}
	return nil
}

// touch notes that the state of a partition's task is in this transaction. Its
// offset is committed with it, moved or not: the group refuses the commit of a
// member that lost the partition, and so the whole transaction (K5).
func (tx *transaction) touch(p *partition) {
	if !p.touched {
		p.touched = true
		tx.touched = append(tx.touched, p)
	}
}

func (tx *transaction) full(cfg *Config) bool {
	written := tx.bytes
	for _, p := range tx.touched {
		if p.stitch != nil {
			written += p.stitch.Pending()
		}
	}
	return tx.records >= maxTransactionRecords || written >= maxTransactionBytes ||
		time.Since(tx.begun) >= cfg.TransactionTimeout/2
}

// produce hands the effects that are new to the producer.
func (s *session) produce(ctx context.Context, tx *transaction) {
	exchange, changelog := s.cfg.ExchangeTopic(), s.cfg.ChangelogTopic()
	for _, e := range tx.fx.Exchange[tx.exchange:] {
		rec := s.encoder.next(exchange, e.Partition, e.Key, e.Value)
		tx.sent = append(tx.sent, rec)
		s.cl.Produce(ctx, rec, tx.acknowledged)
	}
	for _, c := range tx.fx.Changelog[tx.change:] {
		rec := s.encoder.next(changelog, c.Partition, c.Key, c.Value)
		tx.changelog[c.Partition] = rec
		s.cl.Produce(ctx, rec, tx.acknowledged)
	}
	for _, o := range tx.fx.Outputs[tx.outputs:] {
		rec, err := s.encoder.record(o)
		if err != nil {
			tx.encodeErr = errors.Join(tx.encodeErr, err)
			continue
		}
		s.cl.Produce(ctx, rec, tx.acknowledged)
	}
	tx.exchange, tx.change, tx.outputs = len(tx.fx.Exchange), len(tx.fx.Changelog), len(tx.fx.Outputs)
}

// acknowledged keeps the first error of any record: a commit would go through
// without the records that failed (K4).
func (tx *transaction) acknowledged(rec *kgo.Record, err error) {
	if err != nil {
		err = fmt.Errorf("produce to %s: %w", rec.Topic, err)
		tx.produceErr.CompareAndSwap(nil, &err)
	}
}

func (tx *transaction) err() error {
	if err := tx.produceErr.Load(); err != nil {
		return *err
	}
	return nil
}

// finish closes the batch: timers, changelog, and where one is due the tick,
// which must follow the events of its own transaction.
func (s *session) finish(ctx context.Context, tx *transaction) error {
	tick := s.tickDue()
	due := s.more
	s.more = false
	for _, p := range s.sorted() {
		if !p.active() || p.stitch == nil || !p.touched && !due && !tick {
			continue
		}
		tx.touch(p)
		more, err := p.stitch.Finish(&tx.fx)
		if err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		s.more = more || s.more
	}
	if tick {
		s.tick(tx)
	}
	s.produce(ctx, tx)
	return nil
}

// end commits what was produced, or aborts. At each step it is told what a crash
// there leaves behind; the next start is always the same: fence the own
// transactional id, which aborts what is open, fetch stable offsets, restore.
func (s *session) end(ctx context.Context, tx *transaction) (outcome, error) {
	// Crash here: records of an open transaction. They are aborted when the id
	// is fenced, at the latest at the transaction time-out.
	if err := s.cl.Flush(ctx); err != nil {
		return unknown, fmt.Errorf("flush: %w", err)
	}
	if tx.encodeErr != nil {
		return aborted, errors.Join(fmt.Errorf("%w: %w", errBroken, tx.encodeErr), s.abort(ctx))
	}
	if err := tx.err(); err != nil {
		return aborted, errors.Join(err, s.abort(ctx))
	}
	tx.tell()
	// Crash between the offset commit and the end of the transaction: offsets
	// are pending. A successor's stable fetch waits until they are aborted.
	// Crash while the end is under way: the coordinator finishes what it wrote
	// down. The successor's fetch waits for that, and sees all or nothing.
	done, err := s.member.End(kgo.PreTxnCommitFnContext(ctx, s.offsets(tx)), kgo.TryCommit)
	switch {
	case err != nil:
		return unknown, fmt.Errorf("end the transaction: %w", err)
	case done:
		// Crash here: committed, but this process does not know. It restores.
		return committed, nil
	default:
		return s.verify(ctx, tx)
	}
}

func (s *session) abort(ctx context.Context) error {
	if _, err := s.member.End(ctx, kgo.TryAbort); err != nil {
		return fmt.Errorf("abort the transaction: %w", err)
	}
	return nil
}

// tell tells the stitch tasks the offsets of what they sent.
func (tx *transaction) tell() {
	for i, e := range tx.fx.Exchange {
		if e.From < 0 {
			continue
		}
		for _, p := range tx.touched {
			if p.stitch != nil && p.partition == e.From {
				p.stitch.Sent(e, tx.sent[i].Offset)
			}
		}
	}
	for _, p := range tx.touched {
		if p.stitch == nil {
			continue
		}
		if rec := tx.changelog[p.partition]; rec != nil {
			p.changelogNext = rec.Offset + 1
		}
	}
}

// offsets replaces what franz-go would commit by the offset and metadata of
// every partition that the transaction touched.
func (s *session) offsets(tx *transaction) func(*kmsg.TxnOffsetCommitRequest) error {
	return func(req *kmsg.TxnOffsetCommitRequest) error {
		ids := make(map[string][16]byte)
		for _, t := range req.Topics {
			ids[t.Topic] = t.TopicID
		}
		req.Topics = req.Topics[:0]
		for _, p := range tx.touched {
			i := slices.IndexFunc(req.Topics, func(t kmsg.TxnOffsetCommitRequestTopic) bool { return t.Topic == p.topic })
			if i < 0 {
				t := kmsg.NewTxnOffsetCommitRequestTopic()
				t.Topic, t.TopicID = p.topic, ids[p.topic]
				i, req.Topics = len(req.Topics), append(req.Topics, t)
			}
			rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			m := p.metadata(s.id).String()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = p.partition, p.position, p.epoch, &m
			req.Topics[i].Partitions = append(req.Topics[i].Partitions, rp)
		}
		return nil
	}
}

// verify resolves a transaction that franz-go reports as neither committed nor
// failed. It says so too where the broker answered a commit with an unknown
// error, so the stable offsets decide: unmoved means aborted (K3, K22).
func (s *session) verify(ctx context.Context, tx *transaction) (outcome, error) {
	owned := s.cl.CommittedOffsets()
	expected := make(map[topicPartition]stable)
	for _, p := range tx.touched {
		if _, ok := owned[p.topic][p.partition]; ok { // else its next owner may have moved it
			expected[p.topicPartition] = p.stable
		}
	}
	now, err := stableOffsets(ctx, s.cl, s.cfg.ApplicationID, expected)
	if err != nil {
		return unknown, fmt.Errorf("resolve the outcome of a transaction: %w", err)
	}
	for tp, want := range expected {
		if now[tp] != want {
			return unknown, fmt.Errorf("resolve the outcome of a transaction: %s-%d stands at %d, where %d was expected",
				tp.topic, tp.partition, now[tp].offset, want.offset)
		}
	}
	return aborted, nil
}

// commit makes the transaction this worker's state.
func (s *session) commit(ctx context.Context, tx *transaction) {
	for _, p := range tx.touched {
		p.touched = false
		p.stable = stable{p.position, p.metadata(s.id).String()}
		if p.decode != nil {
			p.decode.Commit()
		} else {
			p.stitch.Commit(p.position)
		}
	}
	s.metrics.committed(tx.touched, tx.fx.Outputs)
	s.status.committed(tx.fx.Outputs)
	if s.cfg.OnCommit != nil && len(tx.fx.Outputs) > 0 {
		s.cfg.OnCommit(tx.fx.Outputs)
	}
	if tx.ticked {
		s.nextTick = time.Now().Add(tickInterval)
		s.observe(ctx)
		s.purge(ctx)
	}
}

// rollback drops all of the transaction. Aborts are part of every rebalance
// (K22); franz-go has gone back to the committed offsets, and so does this.
func (s *session) rollback(tx *transaction) error {
	for _, p := range tx.touched {
		p.touched = false
		p.position, p.records = p.stable.offset, 0
		if p.decode != nil {
			p.decode.Abort()
		} else if err := p.stitch.Abort(); err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
	}
	s.more = true // what was due before is due again
	return nil
}
