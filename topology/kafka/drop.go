package kafka

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"callstitch/topology"
)

// PlanDrop finds what holds the clock, and whether a source partition may be dropped from
// it: it is one that cannot be read, and nobody is in the group. Nothing is changed.
func PlanDrop(ctx context.Context, cfg Config, tp topology.TopicPartition) (*Drop, error) {
	cfg = cfg.withDefaults()
	if !slices.Contains(cfg.rawTopics(), tp.Topic) {
		return nil, fmt.Errorf("topic %s is not one of the sources %v", tp.Topic, cfg.rawTopics())
	}
	ctx, cancel := context.WithTimeout(ctx, clocksLimit)
	defer cancel()
	cl, err := connect(ctx, &cfg, "clock")
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	clocks, err := readClocks(ctx, &cfg, cl)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(clocks.Sources, func(c SourceClock) bool { return c.TopicPartition == tp })
	if i < 0 {
		return nil, fmt.Errorf("there is no partition %s", tp)
	}
	d := &Drop{SourceClock: clocks.Sources[i]}
	if err := d.allowed(); err != nil {
		return nil, err
	}
	if err := requireEmpty(ctx, cl, cfg.ApplicationID); err != nil {
		return nil, err
	}
	// The clock goes by the earliest of the others then.
	for _, c := range clocks.Sources {
		if c.TopicPartition != tp && c.State != SourceDropped && c.State != SourceUnavailable {
			d.Next = &c
			break
		}
	}
	d.At = time.Now().Truncate(time.Millisecond)
	return d, d.prepare(ctx, &cfg, kadm.NewClient(cl))
}

// Drop is a source partition that is to be dropped from the clock.
type Drop struct {
	SourceClock
	At   time.Time    // that is written beside the offset
	Next *SourceClock // what holds the clock then; nil where that is nothing

	before string // the metadata that was planned upon
	after  metadata
}

// allowed holds that the partition cannot be read: the clock would leap over what is only
// behind.
func (d *Drop) allowed() error {
	switch {
	case d.State == SourceUnavailable:
		return fmt.Errorf("there is no partition %s any more", d.TopicPartition)
	case d.State == SourceDropped:
		return fmt.Errorf("%s was dropped from the clock already, at %s", d.TopicPartition, clockTime(d.Dropped))
	case d.State == SourceOpen && time.Now().Before(d.Open.Ends):
		return fmt.Errorf("%s is read no further than %s: wait for that", d.TopicPartition, d.Open)
	case d.State.unreadable() && d.Position < 0:
		return fmt.Errorf("nothing was read of %s yet, so there is no offset to write the mark beside: take the topic out of sources until it can be read", d.TopicPartition)
	case d.State.unreadable():
		return nil
	}
	return fmt.Errorf("%s can be read, and needs no dropping (%s): keep callstitch running, or start it, and wait", d.TopicPartition, d.Why())
}

// prepare makes what is to be committed.
func (d *Drop) prepare(ctx context.Context, cfg *Config, adm *kadm.Client) error {
	committed, err := committedOffsets(ctx, cfg, adm)
	if err != nil {
		return err
	}
	o, ok := committed.Lookup(d.Topic, d.Partition)
	if !ok || o.At < 0 {
		return d.moved()
	}
	task, m, err := committedTask(cfg, d.TopicPartition, o)
	if err != nil {
		return err
	}
	task.Drop(d.At.UnixMilli())
	m.task = task.Metadata()
	d.Position, d.before, d.after = o.At, o.Metadata, m
	return nil
}

// ExecuteDrop drops the partition from the clock as it was planned, unless its offset has
// moved since.
func ExecuteDrop(ctx context.Context, cfg Config, d *Drop) error {
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, clocksLimit)
	defer cancel()
	cl, err := connect(ctx, &cfg, "clock")
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	committed, err := committedOffsets(ctx, &cfg, adm)
	if err != nil {
		return err
	}
	if o, ok := committed.Lookup(d.Topic, d.Partition); !ok || o.At != d.Position || o.Metadata != d.before {
		return d.moved()
	}
	offsets := make(kadm.Offsets)
	offsets.Add(kadm.Offset{Topic: d.Topic, Partition: d.Partition, At: d.Position, LeaderEpoch: -1, Metadata: d.after.String()})
	// Where an instance has come meanwhile, the group refuses this.
	if err := adm.CommitAllOffsets(ctx, cfg.ApplicationID, offsets); err != nil {
		return fmt.Errorf("commit the mark beside offset %d of %s to group %s: %w", d.Position, d.TopicPartition, cfg.ApplicationID, err)
	}
	return nil
}

func (d *Drop) moved() error {
	return fmt.Errorf("the offset of %s was committed anew, or deleted, meanwhile, by an instance or another command: try again", d.TopicPartition)
}
