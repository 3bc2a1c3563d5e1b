package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology"
	"callstitch/topology/kafka/rawlog"
)

// TailConfig says what to read. Only committed records are read.
type TailConfig struct {
	Brokers []string
	Client  []kgo.Opt
	Topic   string
	// Partitions are those to read; nil is all.
	Partitions []int32
	// From is where each partition begins: "earliest", "latest", "-N" for its
	// last N offsets, "N" for that offset, or an RFC 3339 instant.
	From string
	// Until ends each partition before its first record with a Kafka timestamp of
	// this or later; the zero time is the end that the topic has at the start.
	Until  time.Time
	Follow bool // go on after that end
	// Left is told of partitions that are left out, since no broker leads them or their
	// leader does not answer. Where it is nil that is an error, ErrNoLeader; and so it is of
	// those that Partitions names.
	Left func(partitions []int32)
}

// ErrNoLeader is a partition that cannot be read since no broker leads it, or its leader
// does not answer.
var ErrNoLeader = errors.New("no broker leads it, or its leader does not answer")

// Tail reads the records of a topic and hands them to yield, in order within
// each partition, until the end, until ctx is cancelled (nil), or until yield
// fails (its error).
func Tail(ctx context.Context, cfg TailConfig, yield func(topology.Record) error) error {
	base := Config{Brokers: cfg.Brokers, Client: cfg.Client}.withDefaults()
	opts := append(base.clientOptions("callstitch-tail"), kgo.UnknownTopicRetries(-1), kgo.FetchMaxPartitionBytes(tailPartitionFetch))
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	defer cl.Close()
	var starts, ends map[int32]int64
	if err = meet(ctx, cl); err == nil {
		starts, ends, err = span(ctx, cl, &cfg)
	}
	if err != nil {
		return fmt.Errorf("find offsets of topic %s at %v: %w", cfg.Topic, cfg.Brokers, err)
	}
	reader := &tailer{cfg: cfg, next: starts, ends: ends, open: map[int32]bool{}}
	assign := make(map[int32]kgo.Offset, len(starts))
	for p, at := range starts {
		if cfg.Follow || at < ends[p] {
			assign[p] = kgo.NewOffset().At(at)
			reader.open[p] = true
		}
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{cfg.Topic: assign})
	return reader.read(ctx, cl, yield)
}

// tailPartitionFetch is less than a run fetches of a partition at once. A topic that says
// much the same again and again, as rejects do, unpacks to fifty times as much, and a look
// at it must not take the memory of the machine.
const tailPartitionFetch = maxPartitionFetch / 8

// errFound ends a tail at the record that was asked for.
var errFound = errors.New("found")

// RecordAt is the record at one offset of a partition, and whether there is one that
// readers may have. Of the configuration it takes where and how to read.
func RecordAt(ctx context.Context, cfg TailConfig, partition int32, offset int64) (rec topology.Record, found bool, err error) {
	cfg.Partitions, cfg.From = []int32{partition}, strconv.FormatInt(offset, 10)
	cfg.Until, cfg.Follow = time.Time{}, false
	err = Tail(ctx, cfg, func(r topology.Record) error { // it begins behind what is gone
		rec, found = r, r.Offset == offset
		return errFound
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	if err == nil {
		err = ctx.Err()
	}
	return rec, found && err == nil, err
}

type tailer struct {
	cfg  TailConfig
	next map[int32]int64
	ends map[int32]int64
	open map[int32]bool // partitions that have not reached their end
}

func (t *tailer) read(ctx context.Context, cl *kgo.Client, yield func(topology.Record) error) error {
	for len(t.open) > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			if err := t.take(fromKafka(r), r.Attrs.IsControl(), yield); err != nil {
				return err
			}
		}
		for _, e := range fetches.Errors() {
			err := e.Err
			if unreadable(err) {
				err = t.byHand(ctx, cl, e.Partition, yield)
			}
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("read topic %s: %w", t.cfg.Topic, err)
			}
		}
	}
	return nil
}

// take hands on a record that is within the span; commit markers only move the
// position.
func (t *tailer) take(r topology.Record, control bool, yield func(topology.Record) error) error {
	t.next[r.Partition] = r.Offset + 1
	end := t.ends[r.Partition]
	if !t.cfg.Follow && r.Offset >= end-1 {
		delete(t.open, r.Partition) // the record before the end may be of an aborted transaction, and not be shown
	}
	if !t.cfg.Follow && r.Offset >= end || control {
		return nil
	}
	return yield(r)
}

// byHand hands on the records of a batch that the client cannot read, as a run would
// take them (byhand.go), and lets the client go on behind it.
func (t *tailer) byHand(ctx context.Context, cl *kgo.Client, partition int32, yield func(topology.Record) error) error {
	tp := topology.TopicPartition{Topic: t.cfg.Topic, Partition: partition}
	from := t.next[partition]
	b, err := rawlog.Reader{Client: cl}.Batch(ctx, tp, from)
	if err != nil || b == nil {
		return err
	}
	err = b.Each(from, func(r topology.Record) error { return t.take(r, false, yield) })
	if err != nil {
		return err
	}
	if err := t.take(topology.Record{Partition: partition, Offset: b.Next - 1}, true, yield); err != nil {
		return err
	}
	// All of them: what was fetched of the others is dropped, and with it the error that
	// says that one of them stopped.
	next := make(map[int32]kgo.EpochOffset)
	for p := range t.open {
		next[p] = kgo.EpochOffset{Epoch: -1, Offset: t.next[p]}
	}
	cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{tp.Topic: next})
	return nil
}

var errNoTopic = errors.New("the topic does not exist: check its name and topics.prefix")

// span is where each partition that is to be read begins, and its end.
func span(ctx context.Context, cl *kgo.Client, cfg *TailConfig) (starts, ends map[int32]int64, err error) {
	of, left, err := led(ctx, cl, cfg)
	if err != nil {
		return nil, nil, err
	}
	ask := func(timestamp int64) map[int32]int64 {
		at := make(map[int32]int64)
		if err != nil || len(of) == 0 {
			return at
		}
		ctx, cancel := context.WithTimeout(ctx, attemptLimit)
		defer cancel()
		var listed map[topology.TopicPartition]kmsg.ListOffsetsResponseTopicPartition
		if listed, err = listOffsetsFor(ctx, cl, of, timestamp, readCommitted); err != nil {
			return at
		}
		of = slices.DeleteFunc(of, func(tp topology.TopicPartition) bool {
			o, ok := listed[tp]
			if at[tp.Partition] = o.Offset; !ok {
				left = append(left, tp.Partition)
				delete(at, tp.Partition)
			}
			return !ok
		})
		return at
	}
	ends = ask(endOffset)
	starts = ask(startOffset)
	switch n, number := strconv.ParseInt(cfg.From, 10, 64); {
	case cfg.From == "earliest":
	case cfg.From == "latest":
		starts = maps.Clone(ends)
	case number == nil:
		for p, first := range starts {
			starts[p] = max(first, n)
			if n < 0 {
				starts[p] = max(first, ends[p]+n)
			}
		}
	default:
		at, wrong := time.Parse(time.RFC3339, cfg.From)
		if wrong != nil {
			return nil, nil, fmt.Errorf("%q is neither earliest, latest, -N, an offset, nor an RFC 3339 instant", cfg.From)
		}
		starts = orEnds(ask(at.UnixMilli()), ends)
	}
	if !cfg.Until.IsZero() {
		for p, until := range orEnds(ask(cfg.Until.UnixMilli()), ends) {
			ends[p] = min(ends[p], until)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if slices.Sort(left); len(left) > 0 {
		if cfg.Left == nil || cfg.Partitions != nil {
			return nil, nil, fmt.Errorf("%s-%d: %w", cfg.Topic, left[0], ErrNoLeader)
		}
		cfg.Left(left)
	}
	maps.DeleteFunc(starts, func(p int32, _ int64) bool { return slices.Contains(left, p) })
	maps.DeleteFunc(ends, func(p int32, _ int64) bool { return slices.Contains(left, p) })
	return starts, ends, nil
}

// led are the partitions that are to be read and have a leader, and those that have none.
func led(ctx context.Context, cl *kgo.Client, cfg *TailConfig) (of []topology.TopicPartition, without []int32, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	details, err := kadm.NewClient(cl).ListTopics(ctx, cfg.Topic)
	if err != nil {
		return nil, nil, err
	}
	switch d := details[cfg.Topic]; {
	case errors.Is(d.Err, kerr.UnknownTopicOrPartition), d.Err == nil && len(d.Partitions) == 0:
		return nil, nil, errNoTopic
	case d.Err != nil:
		return nil, nil, d.Err
	}
	for _, p := range details[cfg.Topic].Partitions.Sorted() {
		switch {
		case cfg.Partitions != nil && !slices.Contains(cfg.Partitions, p.Partition):
		case p.Leader < 0:
			without = append(without, p.Partition)
		default:
			of = append(of, topology.TopicPartition{Topic: cfg.Topic, Partition: p.Partition})
		}
	}
	return of, without, nil
}

// orEnds has the end stand where there is no record of an instant or later.
func orEnds(at, ends map[int32]int64) map[int32]int64 {
	for p, offset := range at {
		if offset < 0 {
			at[p] = ends[p]
		}
	}
	return at
}

func offsets(listed kadm.ListedOffsets, err error) (map[int32]int64, error) {
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, err
	}
	at := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { at[o.Partition] = o.Offset })
	return at, nil
}
