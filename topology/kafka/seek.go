package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

// Move is what Seek does to the offset of a source partition.
type Move struct {
	topology.TopicPartition
	From, To int64
	// About reports whether From is what the state tells, because what callstitch had
	// committed is gone. It may have read further, by what it rejected or ignored last.
	About bool
	// Anew reports whether the topic is another one than that which was read to From: To
	// is an offset of the new one, of which so many are passed over.
	Anew   bool
	Passed int64
}

// Seek has the group go on at another offset of a source partition, and keeps what is
// committed beside it: the partition's totals, which then show what was passed over.
// This is the only way to move an offset: one that a tool moved ends the next start
// (K31). No instance may run. Unless execute is set, nothing is changed.
func Seek(ctx context.Context, cfg Config, tp topology.TopicPartition, to int64, execute bool) (Move, error) {
	cfg = cfg.withDefaults()
	if !slices.Contains(cfg.rawTopics(), tp.Topic) {
		return Move{}, fmt.Errorf("topic %s is not one of the sources %v", tp.Topic, cfg.rawTopics())
	}
	ctx, cancel := context.WithTimeout(ctx, seekLimit)
	defer cancel()
	cl, err := connect(ctx, &cfg, "seek")
	if err != nil {
		return Move{}, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if err := requireIdle(ctx, &cfg, cl, adm, tp, to); err != nil {
		return Move{}, err
	}
	move, m, err := planMove(ctx, &cfg, cl, tp, to)
	if err != nil || !execute {
		return move, err
	}
	offsets := make(kadm.Offsets)
	offsets.Add(kadm.Offset{Topic: tp.Topic, Partition: tp.Partition, At: to, LeaderEpoch: -1, Metadata: m.String()})
	if err := adm.CommitAllOffsets(ctx, cfg.ApplicationID, offsets); err != nil {
		return move, fmt.Errorf("commit offset %d of %s to group %s: %w", to, tp, cfg.ApplicationID, err)
	}
	return move, nil
}

// seekLimit bounds a seek: it may read the whole changelog.
const seekLimit = 6 * attemptLimit

// requireIdle holds that nobody is in the group, and that the partition has the offset.
func requireIdle(ctx context.Context, cfg *Config, cl *kgo.Client, adm *kadm.Client, tp topology.TopicPartition, to int64) error {
	if err := requireEmpty(ctx, cl, cfg.ApplicationID); err != nil {
		return err
	}
	switch start, end, err := bounds(ctx, adm, tp); {
	case err != nil:
		return err
	case to < start || to > end:
		return fmt.Errorf("%s has offsets from %d to %d, and %d is none of them", tp, start, end, to)
	}
	return nil
}

// bounds are the first offset of a partition and its end.
func bounds(ctx context.Context, adm *kadm.Client, tp topology.TopicPartition) (first, end int64, err error) {
	starts, failed := adm.ListStartOffsets(ctx, tp.Topic)
	if err := unlessSome(failed); err != nil {
		return 0, 0, fmt.Errorf("list the first offsets of %s: %w", tp.Topic, err)
	}
	ends, err := adm.ListEndOffsets(ctx, tp.Topic)
	if err := unlessSome(err); err != nil {
		return 0, 0, fmt.Errorf("list the end offsets of %s: %w", tp.Topic, err)
	}
	s, ok := starts.Lookup(tp.Topic, tp.Partition)
	e, also := ends.Lookup(tp.Topic, tp.Partition)
	switch {
	case failed != nil && !ok, ok && !also: // or there is none, among others without a leader
		return 0, 0, fmt.Errorf("%s cannot be read: bring the broker back that has it; callstitch clock says which", tp)
	case !ok || errors.Is(s.Err, kerr.UnknownTopicOrPartition):
		return 0, 0, fmt.Errorf("there is no partition %s", tp)
	case s.Err != nil || e.Err != nil:
		return 0, 0, fmt.Errorf("list the offsets of %s: %w", tp, errors.Join(s.Err, e.Err))
	}
	return s.Offset, e.Offset, nil
}

// planMove is where the partition was read up to, and what is to be committed beside
// the new offset.
func planMove(ctx context.Context, cfg *Config, cl *kgo.Client, tp topology.TopicPartition, to int64) (Move, metadata, error) {
	move := Move{TopicPartition: tp, To: to}
	adm := kadm.NewClient(cl)
	committed, err := committedOffsets(ctx, cfg, adm)
	if err != nil {
		return move, metadata{}, err
	}
	details, err := adm.ListTopics(ctx, tp.Topic)
	if err != nil {
		return move, metadata{}, fmt.Errorf("list topic %s: %w", tp.Topic, err)
	}
	have := idsOf(details)
	had := sourcesBefore(cfg, committed)
	if untouched(cfg, committed) {
		return move, metadata{}, fmt.Errorf("group %s has no offsets: it was not started yet, and begins where 'start' says", cfg.ApplicationID)
	}
	o, _ := committed.Lookup(tp.Topic, tp.Partition)
	task, m, err := committedTask(cfg, tp, o)
	switch {
	case err == nil:
		move.From, had = o.At, m.needs(cfg, tp.Topic)
	case errors.Is(err, errForeign): // or there is none
		move.About, m = true, metadata{}
		task = topology.NewDecodeTask(&cfg.Config, cfg.SourceOf(tp.Topic), tp.Partition)
		move.From, err = resume(ctx, cfg, task)
	}
	if err != nil {
		return move, m, err
	}
	was, known := had[tp.Topic]
	first, end, err := bounds(ctx, adm, tp)
	if err != nil {
		return move, m, err
	}
	if move.Anew = known && was != have[tp.Topic] || !known && move.From > end; move.Anew {
		if err := requirePartitions(ctx, cfg, tp.Topic, int32(len(details[tp.Topic].Partitions))); err != nil {
			return move, m, err
		}
		task.Move(first, to)
		move.Passed = to - first
	} else {
		task.Move(move.From, to)
		move.Passed = max(to-move.From, 0)
	}
	m.task, m.at, m.made = task.Metadata(), to, have.made(cfg, tp.Topic)
	return move, m, nil
}

// resume gives a task what state and exchange know of its partition.
func resume(ctx context.Context, cfg *Config, task *topology.DecodeTask) (read int64, err error) {
	h, err := history(ctx, cfg, !onlyState)
	if err != nil {
		return 0, fmt.Errorf("look in %s and %s for how far %s was read: %w", cfg.ChangelogTopic(), cfg.ExchangeTopic(), task.Reads(), err)
	}
	p, ok := h.Of(task.Reads())
	if !ok {
		return 0, fmt.Errorf("callstitch has read nothing of %s: without an offset it is read from its beginning; one of somebody else's is deleted with kafka-consumer-groups.sh --delete-offsets", task.Reads())
	}
	task.Resume(p)
	return p.Offset, nil
}

// requirePartitions holds that a topic which was made anew is not smaller than the old one.
func requirePartitions(ctx context.Context, cfg *Config, topic string, n int32) error {
	h, err := history(ctx, cfg, onlyState)
	if err != nil {
		return fmt.Errorf("look in %s for how many partitions %s had: %w", cfg.ChangelogTopic(), topic, err)
	}
	return checkPartitions(h, topic, n)
}
