package kafka

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

// Producer sends raw records to source topics, for traffic that the program
// makes itself. It is idempotent, not transactional: what Close did not report
// as failed is in the topic once.
type Producer struct {
	client *kgo.Client

	mu  sync.Mutex // guards err
	err error      // the first failure
}

// NewProducer connects to a cluster; client are the options of Security. It is an
// error if no broker answers.
func NewProducer(ctx context.Context, brokers []string, client []kgo.Opt) (*Producer, error) {
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.ClientID("callstitch-producer"),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), // by key, as every Kafka client does (K26)
		kgo.ProducerLinger(5 * time.Millisecond),
		kgo.UnknownTopicRetries(2),
	}, client...)...)
	if err != nil {
		return nil, fmt.Errorf("make a producer: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	if err := cl.Ping(ctx); err != nil {
		cl.Close()
		return nil, fmt.Errorf("reach brokers %s: %w", strings.Join(brokers, ","), err)
	}
	return &Producer{client: cl}, nil
}

// Produce sends a record to the partition of its key, with its timestamp. It
// does not wait for the answer, but it waits while too much is unanswered. The
// error is that of the first record that failed.
func (p *Producer) Produce(ctx context.Context, r topology.Record) error {
	rec := &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: appendHeaders(nil, r.Headers)}
	if r.Timestamp != 0 {
		rec.Timestamp = time.UnixMilli(r.Timestamp)
	}
	p.client.Produce(ctx, rec, func(_ *kgo.Record, err error) {
		if err != nil {
			p.fail(fmt.Errorf("send a record to %s: %w", r.Topic, err))
		}
	})
	return p.failure()
}

// Close sends what is buffered and ends the connection. The error is that of the
// first record that failed.
func (p *Producer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := p.client.Flush(ctx); err != nil {
		p.fail(fmt.Errorf("send the last records: %w", err))
	}
	p.client.Close()
	return p.failure()
}

func (p *Producer) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

func (p *Producer) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
