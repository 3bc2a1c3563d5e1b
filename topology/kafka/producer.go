package kafka

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

// Producer writes raw records to a topic, as a provider's gateway would:
// idempotent, acknowledged by all replicas, keyed as every Kafka client keys. It
// is what the simulator and the demo write with; the processor has its own.
type Producer struct {
	client *kgo.Client
	first  kgo.FirstErrPromise
}

// NewProducer connects to the brokers, and fails where none answers.
func NewProducer(ctx context.Context, brokers []string, client []kgo.Opt) (*Producer, error) {
	opts := append([]kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.ClientID("callstitch-simulate"),
		kgo.MaxBufferedRecords(10_000), // a slow broker holds the simulator back
	}, client...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	if err := cl.Ping(ctx); err != nil {
		cl.Close()
		return nil, fmt.Errorf("reach brokers %s: %w", strings.Join(brokers, ","), err)
	}
	return &Producer{client: cl}, nil
}

// Produce buffers a record; it blocks while the buffer is full. The error is the
// first one of any record so far, after which nothing more is written.
func (p *Producer) Produce(ctx context.Context, r topology.Record) error {
	if err := p.first.Err(); err != nil {
		return fmt.Errorf("write to %s: %w", r.Topic, err)
	}
	rec := &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value}
	if r.Timestamp != 0 {
		rec.Timestamp = time.UnixMilli(r.Timestamp) // a topic with LogAppendTime replaces it
	}
	for _, h := range r.Headers {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	p.client.Produce(ctx, rec, p.first.Promise())
	return nil
}

// Close waits until all records are written, and returns the first error.
func (p *Producer) Close() error {
	defer p.client.Close()
	if err := p.client.Flush(context.Background()); err != nil {
		return fmt.Errorf("write the last records: %w", err)
	}
	if err := p.first.Err(); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	return nil
}
