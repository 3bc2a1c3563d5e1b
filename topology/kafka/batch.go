package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/topology"
)

// transact is one transaction: it gathers records for up to the commit interval,
// starting with those that were polled already.
func (w *worker) transact(ctx, hard context.Context, first kgo.Fetches) error {
	if err := w.session.Begin(); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	tx := &transaction{begun: time.Now(), changelog: make([]*kgo.Record, w.cfg.ExchangePartitions)}
	if err := w.gather(ctx, hard, tx, first); err != nil {
		return errors.Join(err, w.abort(hard))
	}
	if err := w.finish(hard, tx); err != nil {
		return errors.Join(err, w.abort(hard))
	}
	begun := time.Now()
	how, err := w.end(hard, tx)
	w.metrics.commits.WithLabelValues(how.String()).Inc()
	w.metrics.commitLatency.Observe(time.Since(begun).Seconds())
	switch how {
	case committed:
		w.commit(ctx, tx)
		w.aborts = 0
		return nil
	case aborted:
		if err := w.rollback(tx); err != nil {
			return err
		}
		w.aborts++
		wait(ctx, min(time.Duration(w.aborts)*abortPause, maxAbortPause))
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
func (w *worker) gather(ctx, hard context.Context, tx *transaction, fetches kgo.Fetches) error {
	for {
		if err := w.process(tx, fetches); err != nil {
			return err
		}
		w.produce(hard, tx)
		wait := time.Until(tx.begun.Add(w.cfg.CommitInterval))
		if wait <= 0 || tx.full(w.cfg) || ctx.Err() != nil || w.more || w.tickDue() {
			return nil
		}
		wait = min(wait, max(time.Until(w.nextTick), 0))
		var err error
		if fetches, err = w.poll(ctx, wait); err != nil {
			return err
		}
	}
}

// process hands records to their tasks, those of the exchange first: what is
// further on its way goes before what is new.
func (w *worker) process(tx *transaction, fetches kgo.Fetches) error {
	var failed error
	topic := w.cfg.ExchangeTopic()
	for _, exchange := range []bool{true, false} {
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			if failed == nil && len(f.Records) > 0 && (f.Topic == topic) == exchange {
				failed = w.processPartition(tx, f)
			}
		})
	}
	return failed
}

func (w *worker) processPartition(tx *transaction, f kgo.FetchTopicPartition) error {
	p := w.parts[topicPartition{f.Topic, f.Partition}]
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

func fromKafka(rec *kgo.Record) topology.Record {
	r := topology.Record{
		Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset,
		Timestamp: rec.Timestamp.UnixMilli(), Key: rec.Key, Value: rec.Value,
	}
	if len(rec.Headers) > 0 {
		r.Headers = make([]call.Header, len(rec.Headers))
		for i, h := range rec.Headers {
			r.Headers[i] = call.Header{Key: h.Key, Value: h.Value}
		}
	}
	return r
}

// finish closes the batch: timers, changelog, and where one is due the tick,
// which must follow the events of its own transaction.
func (w *worker) finish(ctx context.Context, tx *transaction) error {
	tick := w.tickDue()
	due := w.more
	w.more = false
	for _, p := range w.sorted() {
		if !p.active() || p.stitch == nil || !p.touched && !due && !tick {
			continue
		}
		tx.touch(p)
		more, err := p.stitch.Finish(&tx.fx)
		if err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		w.more = more || w.more
	}
	if tick {
		w.tick(tx)
	}
	w.produce(ctx, tx)
	return nil
}

// tick tells all stitch tasks how far this worker's tasks are. It speaks for the
// partitions, so it commits their offsets too: a worker that lost one cannot
// vouch for it any more.
func (w *worker) tick(tx *transaction) {
	seen := w.observed.Swap(nil)
	if seen != nil {
		w.lag = seen.exchangeLag
	}
	var k topology.Tick
	for _, p := range w.sorted() {
		if !p.active() {
			continue
		}
		tx.touch(p)
		p.end = max(seen.end(p), p.position)
		if p.decode != nil {
			k.Progress = append(k.Progress, p.decode.Progress(seen.idle(p, w.throttle), seen.heardAt()))
			continue
		}
		k.Clocks = append(k.Clocks, p.stitch.Clock())
		k.Answers = append(k.Answers, p.stitch.Answers()...)
	}
	tx.ticked = true
	tx.fx.Exchange = append(tx.fx.Exchange, k.Envelopes(&w.cfg.Config)...)
}

// commit makes the transaction this worker's state.
func (w *worker) commit(ctx context.Context, tx *transaction) {
	for _, p := range tx.touched {
		p.touched = false
		p.stable = stable{p.position, p.metadata(w.id).String()}
		if p.decode != nil {
			p.decode.Commit()
		} else {
			p.stitch.Commit(p.position)
		}
	}
	w.metrics.committed(tx)
	w.status.committed(tx)
	if w.cfg.OnCommit != nil && len(tx.fx.Outputs) > 0 {
		w.cfg.OnCommit(tx.fx.Outputs)
	}
	if tx.ticked {
		w.nextTick = time.Now().Add(tickInterval)
		w.observe(ctx)
		w.purge(ctx)
	}
}

// rollback drops all of the transaction. Aborts are part of every rebalance
// (P22); franz-go has gone back to the committed offsets, and so does this.
func (w *worker) rollback(tx *transaction) error {
	for _, p := range tx.touched {
		p.touched = false
		p.position, p.records = p.stable.offset, 0
		if p.decode != nil {
			p.decode.Abort()
		} else if err := p.stitch.Abort(); err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
	}
	w.more = true // what was due before is due again
	return nil
}
