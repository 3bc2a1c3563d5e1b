package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology"
)

const (
	// A transaction ends early at these bounds: what it wrote is held in memory,
	// and is done again if it aborts (P16).
	maxTransactionRecords = 20_000
	maxTransactionBytes   = 32 << 20
	// pollRecords bounds one poll, so that the bounds above and the time are
	// looked at often enough (P28).
	pollRecords = 2_000
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

// touch notes that the state of a partition's task is in this transaction. Its
// offset is committed with it, moved or not: the group refuses the commit of a
// member that lost the partition, and so the whole transaction (P5).
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
func (w *worker) produce(ctx context.Context, tx *transaction) {
	exchange, changelog := w.cfg.ExchangeTopic(), w.cfg.ChangelogTopic()
	for _, e := range tx.fx.Exchange[tx.exchange:] {
		rec := w.encoder.next(exchange, e.Partition, e.Key, e.Value)
		tx.sent = append(tx.sent, rec)
		w.cl.Produce(ctx, rec, tx.acknowledged)
	}
	for _, c := range tx.fx.Changelog[tx.change:] {
		rec := w.encoder.next(changelog, c.Partition, c.Key, c.Value)
		tx.changelog[c.Partition] = rec
		w.cl.Produce(ctx, rec, tx.acknowledged)
	}
	for _, o := range tx.fx.Outputs[tx.outputs:] {
		rec, err := w.encoder.record(o)
		if err != nil {
			tx.encodeErr = errors.Join(tx.encodeErr, err)
			continue
		}
		w.cl.Produce(ctx, rec, tx.acknowledged)
	}
	tx.exchange, tx.change, tx.outputs = len(tx.fx.Exchange), len(tx.fx.Changelog), len(tx.fx.Outputs)
}

// acknowledged keeps the first error of any record: a commit would go through
// without the records that failed (P4).
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

// outcome is how a transaction ended (P3).
type outcome uint8

const (
	committed outcome = iota
	aborted           // nothing of it is visible; the batch is done again
	unknown           // the broker may have done either: only the changelog knows
)

var outcomeNames = [...]string{"committed", "aborted", "unknown"}

func (o outcome) String() string { return outcomeNames[o] }

// end commits what was produced, or aborts. At each step it is told what a crash
// there leaves behind; the next start is always the same: fence the own
// transactional id, which aborts what is open, fetch stable offsets, restore.
func (w *worker) end(ctx context.Context, tx *transaction) (outcome, error) {
	// Crash here: records of an open transaction. They are aborted when the id
	// is fenced, at the latest at the transaction time-out.
	if err := w.cl.Flush(ctx); err != nil {
		return unknown, fmt.Errorf("flush: %w", err)
	}
	if tx.encodeErr != nil {
		return aborted, errors.Join(fmt.Errorf("%w: %w", errBroken, tx.encodeErr), w.abort(ctx))
	}
	if err := tx.err(); err != nil {
		return aborted, errors.Join(err, w.abort(ctx))
	}
	tx.tell()
	// Crash between the offset commit and the end of the transaction: offsets
	// are pending. A successor's stable fetch waits until they are aborted.
	// Crash while the end is under way: the coordinator finishes what it wrote
	// down. The successor's fetch waits for that, and sees all or nothing.
	done, err := w.session.End(kgo.PreTxnCommitFnContext(ctx, w.offsets(tx)), kgo.TryCommit)
	switch {
	case err != nil:
		return unknown, fmt.Errorf("end the transaction: %w", err)
	case done:
		// Crash here: committed, but this process does not know. It restores.
		return committed, nil
	default:
		return w.verify(ctx, tx)
	}
}

func (w *worker) abort(ctx context.Context) error {
	if _, err := w.session.End(ctx, kgo.TryAbort); err != nil {
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
func (w *worker) offsets(tx *transaction) func(*kmsg.TxnOffsetCommitRequest) error {
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
			m := p.metadata(w.id).String()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = p.partition, p.position, p.epoch, &m
			req.Topics[i].Partitions = append(req.Topics[i].Partitions, rp)
		}
		return nil
	}
}

// verify resolves a transaction that franz-go reports as neither committed nor
// failed. It says so too where the broker answered a commit with an unknown
// error, so the stable offsets decide: unmoved means aborted (P3, P22).
func (w *worker) verify(ctx context.Context, tx *transaction) (outcome, error) {
	owned := w.cl.CommittedOffsets()
	expected := make(map[topicPartition]stable)
	for _, p := range tx.touched {
		if _, ok := owned[p.topic][p.partition]; ok { // else its next owner may have moved it
			expected[p.topicPartition] = p.stable
		}
	}
	now, err := stableOffsets(ctx, w.cl, w.cfg.ApplicationID, expected)
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

// stable is a committed offset with its metadata. Timers change state without
// moving an offset, but they move the changelog end in the metadata.
type stable struct {
	offset   int64
	metadata string
}

// stableOffsets are the group's committed offsets of some partitions, once no
// transaction on them is pending.
func stableOffsets(ctx context.Context, cl *kgo.Client, group string, of map[topicPartition]stable) (map[topicPartition]stable, error) {
	const again = 100 * time.Millisecond
	for {
		offsets, err := fetchStable(ctx, cl, group, of)
		if !errors.Is(err, kerr.UnstableOffsetCommit) {
			return offsets, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(again): // a transaction ends, or times out
		}
	}
}

func fetchStable(ctx context.Context, cl *kgo.Client, group string, of map[topicPartition]stable) (map[topicPartition]stable, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	req.Groups = append(req.Groups, g)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("fetch stable offsets: %w", err)
	}
	offsets := make(map[topicPartition]stable)
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				tp := topicPartition{t.Topic, p.Partition}
				if _, ok := of[tp]; !ok {
					continue // other workers' transactions are pending all the time
				}
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, fmt.Errorf("fetch the stable offset of %s-%d: %w", t.Topic, p.Partition, err)
				}
				offsets[tp] = stable{p.Offset, text(p.Metadata)}
			}
		}
	}
	return offsets, nil
}
