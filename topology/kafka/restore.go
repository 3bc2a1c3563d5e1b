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

	"callstitch/topology"
)

const (
	// restoreAlarm is how long a restore may stand still before it is reported,
	// again and again (K9). It is above the time in which a broker ends a dead
	// producer's transaction: the time-out and a scan of 10 s.
	restoreAlarm = 30 * time.Second
	// restoreBackoff is the wait before a restore that failed is begun anew.
	restoreBackoff = 500 * time.Millisecond
	// concurrentRestores bounds the restores of a process: each buffers fetches.
	concurrentRestores = 4
)

// restore brings the state of one stitch task back from the changelog, beside
// the worker, whose other partitions go on.
type restore struct {
	cfg    *Config
	slots  chan struct{} // shared by the process
	raw    map[string]int32
	of     assigned
	log    *slog.Logger
	cancel context.CancelFunc

	position, end atomic.Int64 // for progress; of the changelog partition
	result        chan restored
}

type restored struct {
	task      *topology.StitchTask
	changelog int64 // end offset that the state contains
	records   int64
	took      time.Duration
	err       error
}

// startRestore begins after the stable offset of the exchange partition was
// fetched. The order matters: that fetch waits for the last owner's pending
// transactions, so the high watermark read after it is beyond all it committed
// (K7).
func startRestore(ctx context.Context, r *restore) *restore {
	ctx, r.cancel = context.WithCancel(ctx)
	r.result = make(chan restored, 1)
	go func() {
		begun := time.Now()
		res := r.run(ctx)
		res.took = time.Since(begun)
		r.result <- res
	}()
	return r
}

// remaining is the number of changelog offsets that are still to be read.
func (r *restore) remaining() int64 { return max(r.end.Load()-r.position.Load(), 0) }

// run restores until it succeeds, fails for good, or ctx ends.
func (r *restore) run(ctx context.Context) (res restored) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return restored{err: ctx.Err()}
	}
	var said time.Time
	for {
		res = r.attempt(ctx)
		if res.err == nil || final(res.err) || ctx.Err() != nil {
			return res
		}
		if time.Since(said) >= restoreAlarm {
			said = time.Now()
			r.log.Warn("could not restore, trying again", "error", res.err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(restoreBackoff):
		}
	}
}

func (r *restore) attempt(ctx context.Context) restored {
	cl, err := r.client(ctx)
	if err != nil {
		return restored{err: err}
	}
	defer cl.Close()
	start, end, err := r.target(ctx, cl)
	if err != nil {
		return restored{err: err}
	}
	task := topology.NewStitchTask(&r.cfg.Config, r.of.Partition, r.raw)
	records := int64(0)
	if start < end {
		if records, err = r.consume(ctx, task, start, end); err != nil {
			return restored{err: err}
		}
	}
	if records > 0 && r.of.last.owner == "" {
		return restored{err: fmt.Errorf("%w: %s-%d holds state, but the offset of %s-%d was not committed with it: reset the application with 'callstitch reset'",
			ErrLostOffsets, r.cfg.ChangelogTopic(), r.of.Partition, r.of.Topic, r.of.Partition)}
	}
	ends, err := exchangeEnds(ctx, cl, r.cfg)
	if err != nil {
		return restored{err: err}
	}
	if err := task.Restored(ends); err != nil {
		return restored{err: fmt.Errorf("%w: %w", errBroken, err)}
	}
	return restored{task: task, changelog: end, records: records}
}

// client is one that ends with ctx, whatever it waits for then (K44).
func (r *restore) client(ctx context.Context, opts ...kgo.Opt) (*kgo.Client, error) {
	opts = append(opts, kgo.WithContext(ctx))
	cl, err := kgo.NewClient(append(r.cfg.clientOptions(r.cfg.ApplicationID+"-restore"), opts...)...)
	if err != nil {
		return nil, fmt.Errorf("%w: make a client: %w", errBroken, err)
	}
	return cl, nil
}

// target is the span of the changelog to read: to the high watermark, not to
// the last stable offset, behind which committed state may still hide (K7).
func (r *restore) target(ctx context.Context, cl *kgo.Client) (start, end int64, err error) {
	tp := topology.TopicPartition{Topic: r.cfg.ChangelogTopic(), Partition: r.of.Partition}
	for _, ask := range []struct {
		timestamp int64
		into      *int64
	}{{startOffset, &start}, {endOffset, &end}} {
		found, err := listOffsets(ctx, cl, []topology.TopicPartition{tp}, ask.timestamp)
		if err == nil && len(found) == 0 {
			err = kerr.LeaderNotAvailable
		}
		if err != nil {
			return 0, 0, fmt.Errorf("list offsets of %s-%d: %w", tp.Topic, tp.Partition, err)
		}
		*ask.into = found[tp].Offset
	}
	if end < r.of.last.changelog {
		return 0, 0, r.truncated(end)
	}
	if start > 0 { // compaction leaves the beginning where it is, and nothing else may delete here (K47)
		return 0, 0, fmt.Errorf("%w: %s-%d begins at %d: state was deleted; reset the application with 'callstitch reset', and leave the topic's cleanup.policy at compact",
			ErrLostOffsets, r.cfg.ChangelogTopic(), r.of.Partition, start)
	}
	r.position.Store(start)
	r.end.Store(end)
	return start, end, nil
}

// truncated is the failure that the changelog is shorter than the state that was
// committed to it (K9, K10).
func (r *restore) truncated(end int64) error {
	return fmt.Errorf("%w: %s-%d ends at %d, but state up to %d was committed to it: records were lost; reset the application with 'callstitch reset', or restore the topic",
		ErrLostOffsets, r.cfg.ChangelogTopic(), r.of.Partition, end, r.of.last.changelog)
}

// consume loads [start, end). Control records and those of aborted transactions
// move the position too: without them the end might never be reached (K8).
func (r *restore) consume(ctx context.Context, task *topology.StitchTask, start, end int64) (records int64, err error) {
	topic, p := r.cfg.ChangelogTopic(), r.of.Partition
	cl, err := r.client(ctx, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {p: kgo.NewOffset().At(start)}}))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	for r.position.Load() < end {
		pollCtx, cancel := context.WithTimeout(ctx, restoreAlarm)
		fetches := cl.PollRecords(pollCtx, 0)
		cancel()
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			if !rec.Attrs.IsControl() {
				task.Load(rec.Key, rec.Value)
				records++
			}
			r.position.Store(rec.Offset + 1)
		})
		if err := fetchError(fetches); err != nil {
			if unreadable(err) {
				err = errors.Join(err, damaged(ctx, cl, topology.TopicPartition{Topic: topic, Partition: p}, r.position.Load()))
			}
			return 0, fmt.Errorf("read %s-%d at %d: %w", topic, p, r.position.Load(), err)
		}
		if fetches.NumRecords() == 0 {
			if err := r.standstill(ctx, cl, end); err != nil {
				return 0, err
			}
		}
	}
	return records, nil
}

// standstill tells apart why a restore does not move: a truncated changelog ends
// the run, an open transaction is reported by the id of its producer.
func (r *restore) standstill(ctx context.Context, cl *kgo.Client, end int64) error {
	tp := topology.TopicPartition{Topic: r.cfg.ChangelogTopic(), Partition: r.of.Partition}
	found, err := listOffsets(ctx, cl, []topology.TopicPartition{tp}, endOffset)
	if err != nil || len(found) == 0 {
		r.log.Warn("restore stands still, the broker does not answer", "error", err)
		return nil
	}
	if now := found[tp].Offset; now < end {
		return r.truncated(now)
	}
	if err := damaged(ctx, cl, tp, r.position.Load()); final(err) {
		return err
	}
	transaction, do := "it cannot be looked up: see callstitch abort", ""
	if open, err := openTransactions(ctx, cl, []topology.TopicPartition{tp}); err == nil && len(open) > 0 {
		transaction, do = open[0].String(), open[0].Remedy()
	}
	r.log.Warn("restore stands still behind an open transaction", "position", r.position.Load(), "end", end, "transaction", transaction, "do", do)
	return nil
}
