package kafka

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/topology"
)

// TailConfig says what to read. Only committed records are read.
type TailConfig struct {
	Brokers []string
	Client  []kgo.Opt
	Topic   string
	// From is where each partition begins: "earliest", "latest", "-N" for its
	// last N offsets, or an RFC 3339 instant.
	From   string
	Follow bool // go on after the end that the topic has at the start
}

// Tail reads the records of a topic and hands them to yield, in order within
// each partition, until the end, until ctx is cancelled (nil), or until yield
// fails (its error).
func Tail(ctx context.Context, cfg TailConfig, yield func(topology.Record) error) error {
	base := Config{Brokers: cfg.Brokers, Client: cfg.Client}.withDefaults()
	opts := append(base.clientOptions("callstitch-tail"), kgo.UnknownTopicRetries(-1))
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	defer cl.Close()
	starts, ends, err := span(ctx, kadm.NewClient(cl), cfg.Topic, cfg.From)
	if err != nil {
		return fmt.Errorf("find offsets of topic %s at %v: %w", cfg.Topic, cfg.Brokers, err)
	}
	reader := &tailer{cfg: cfg, ends: ends}
	assign := make(map[int32]kgo.Offset, len(starts))
	for p, at := range starts {
		if cfg.Follow || at < ends[p] {
			assign[p] = kgo.NewOffset().At(at)
			reader.open++
		}
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{cfg.Topic: assign})
	return reader.read(ctx, cl, yield)
}

type tailer struct {
	cfg  TailConfig
	ends map[int32]int64
	open int // partitions that have not reached their end
}

func (t *tailer) read(ctx context.Context, cl *kgo.Client, yield func(topology.Record) error) error {
	for t.open > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetches.Err0(); err != nil {
			return fmt.Errorf("read topic %s: %w", t.cfg.Topic, err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			if err := t.take(it.Next(), yield); err != nil {
				return err
			}
		}
	}
	return nil
}

// take hands on a record that is within the span; commit markers only move the
// position.
func (t *tailer) take(r *kgo.Record, yield func(topology.Record) error) error {
	end := t.ends[r.Partition]
	if !t.cfg.Follow && r.Offset >= end {
		return nil
	}
	if !t.cfg.Follow && r.Offset == end-1 {
		t.open--
	}
	if r.Attrs.IsControl() {
		return nil
	}
	out := topology.Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value,
	}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, call.Header{Key: h.Key, Value: h.Value})
	}
	return yield(out)
}

// span is where each partition of a topic is read from, and its committed end.
func span(ctx context.Context, adm *kadm.Client, topic, from string) (starts, ends map[int32]int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	first, err := offsets(adm.ListStartOffsets(ctx, topic))
	if err != nil {
		return nil, nil, err
	}
	if ends, err = offsets(adm.ListCommittedOffsets(ctx, topic)); err != nil {
		return nil, nil, err
	}
	if len(ends) == 0 {
		return nil, nil, fmt.Errorf("the topic does not exist: check its name and topics.prefix")
	}
	switch back, notNumber := strconv.ParseInt(from, 10, 64); {
	case from == "earliest":
		return first, ends, nil
	case from == "latest":
		return ends, ends, nil
	case notNumber == nil && back < 0:
		starts = make(map[int32]int64, len(ends))
		for p, end := range ends {
			starts[p] = max(first[p], end+back)
		}
		return starts, ends, nil
	}
	at, err := time.Parse(time.RFC3339, from)
	if err != nil {
		return nil, nil, fmt.Errorf("%q is neither earliest, latest, -N, nor an RFC 3339 instant", from)
	}
	starts, err = offsets(adm.ListOffsetsAfterMilli(ctx, at.UnixMilli(), topic))
	return starts, ends, err
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
