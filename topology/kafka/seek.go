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
	// About reports whether From is what the state tells, because somebody else has
	// committed in between. callstitch may have read further.
	About bool
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
	cl, err := kgo.NewClient(cfg.clientOptions(cfg.ApplicationID + "-seek")...)
	if err != nil {
		return Move{}, fmt.Errorf("make a client: %w", err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, seekLimit)
	defer cancel()
	adm := kadm.NewClient(cl)
	if err := requireIdle(ctx, &cfg, cl, adm, tp, to); err != nil {
		return Move{}, err
	}
	move, m, err := planMove(ctx, &cfg, adm, tp, to)
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
	members, err := groupMembers(ctx, cl, cfg.ApplicationID)
	if err != nil {
		return err
	}
	if len(members) > 0 {
		return fmt.Errorf("group %s has %d members: stop all instances, and whoever else is in it, first", cfg.ApplicationID, len(members))
	}
	starts, err := adm.ListStartOffsets(ctx, tp.Topic)
	if err != nil {
		return fmt.Errorf("list the first offsets of %s: %w", tp.Topic, err)
	}
	ends, err := adm.ListEndOffsets(ctx, tp.Topic)
	if err != nil {
		return fmt.Errorf("list the end offsets of %s: %w", tp.Topic, err)
	}
	start, ok := starts.Lookup(tp.Topic, tp.Partition)
	end, _ := ends.Lookup(tp.Topic, tp.Partition)
	switch {
	case !ok || errors.Is(start.Err, kerr.UnknownTopicOrPartition):
		return fmt.Errorf("there is no partition %s", tp)
	case start.Err != nil || end.Err != nil:
		return fmt.Errorf("list the offsets of %s: %w", tp, errors.Join(start.Err, end.Err))
	case to < start.Offset || to > end.Offset:
		return fmt.Errorf("%s has offsets from %d to %d, and %d is none of them", tp, start.Offset, end.Offset, to)
	}
	return nil
}

// planMove is where the partition was read up to, and what is to be committed beside
// the new offset.
func planMove(ctx context.Context, cfg *Config, adm *kadm.Client, tp topology.TopicPartition, to int64) (Move, metadata, error) {
	move := Move{TopicPartition: tp, To: to}
	committed, err := committedOffsets(ctx, cfg, adm)
	if err != nil {
		return move, metadata{}, err
	}
	o, ok := committed.Lookup(tp.Topic, tp.Partition)
	if !ok {
		return move, metadata{}, fmt.Errorf("group %s has no offset for %s: it was not started with it yet, and begins where 'start' says", cfg.ApplicationID, tp)
	}
	task := topology.NewDecodeTask(&cfg.Config, cfg.SourceOf(tp.Topic), tp.Partition)
	m, err := parseCommitted(o.At, o.Metadata)
	move.From = o.At
	switch {
	case err == nil:
		err = task.Restore(m.task)
	case errors.Is(err, errForeign):
		move.About, m = true, metadata{}
		move.From, err = resume(ctx, cfg, task)
	}
	if err != nil {
		return move, m, err
	}
	task.Move(move.From, to)
	m.task, m.at = task.Metadata(), to
	return move, m, nil
}

// resume gives a task what the state knows of its partition.
func resume(ctx context.Context, cfg *Config, task *topology.DecodeTask) (read int64, err error) {
	answers, err := lastAnswers(ctx, cfg)
	if err != nil {
		return 0, fmt.Errorf("look in %s for how far %s was read: %w", cfg.ChangelogTopic(), task.Reads(), err)
	}
	a, ok := answers[task.Reads()]
	if !ok {
		return 0, fmt.Errorf("callstitch has read nothing of %s: delete its offset with kafka-consumer-groups.sh --delete-offsets, and it is read from the beginning", task.Reads())
	}
	task.Resume(a)
	return a.Offset, nil
}
