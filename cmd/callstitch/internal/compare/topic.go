package compare

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"callstitch/processor/call"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

// Topic is the sessions in a topic.
type Topic struct {
	Tail     kafka.TailConfig // brokers and topic
	Registry *schemas.Registry
	// Seen is how many records were read so far.
	Seen *atomic.Int64
}

func (t *Topic) String() string {
	return "topic " + t.Tail.Topic + " at " + strings.Join(t.Tail.Brokers, ",")
}

// Read reads the topic to its present end. The key of a record is the id of its session, so
// of those that are not wanted nothing but the key is read.
func (t *Topic) Read(ctx context.Context, wanted func(call.LegID) bool, yield func(call.LegID, []byte) error) error {
	tail := t.Tail
	tail.From = "earliest"
	var text []byte
	err := kafka.Tail(ctx, tail, func(r topology.Record) error {
		t.Seen.Add(1)
		id, ok := call.ParseLegID(string(r.Key))
		if ok && !wanted(id) {
			return nil
		}
		var err error
		if !ok {
			err = errNoSession
		} else if r.Value == nil {
			return yield(id, nil)
		}
		if err == nil {
			if text, err = t.decode(ctx, text[:0], r.Value); err == nil {
				err = yield(id, text)
			}
		}
		if err != nil {
			return fmt.Errorf("read %s %d %d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		return nil
	})
	return errors.Join(err, ctx.Err())
}

func (t *Topic) decode(ctx context.Context, b, value []byte) ([]byte, error) {
	id, avro, err := schemas.ParseFrame(value)
	if err != nil {
		return nil, err
	}
	reader, err := t.Registry.Reader(ctx, id)
	if err != nil {
		return nil, err
	}
	return reader.AppendJSON(b, avro)
}
