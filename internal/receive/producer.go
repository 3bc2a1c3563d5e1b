package receive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/internal/receive/spool"
)

const (
	// batchRoom is what a batch has room for besides a body of the largest size. A topic
	// takes 1 MiB by default, after compression: a batch of JSON is far below.
	batchRoom = 64 << 10
	// drainRoom is what the client has room for besides the events that are in flight:
	// what the spool sends at a time, and a record more.
	drainRoom    = 8 << 20
	drainRecords = 4000
	// linger is how long the client waits for more records to go with the first: a
	// request for each would cost Kafka more than all the rest.
	linger = 2 * time.Millisecond
	// renewEvery is how often a client that does not work any more is replaced, and
	// renewLimit how long the old one has to bring what it still has under way.
	renewEvery = 5 * time.Second
	renewLimit = 30 * time.Second
)

// producer is the carrier that is one.
//
// Records are idempotent, acknowledged by all replicas that are in sync, and tried until
// they are: a missing topic and a missing broker are outages, which end. The client may
// not be used to bound the time, for one that gives up a record does not know its fate.
type producer struct {
	topic string
	opts  []kgo.Opt

	mu      sync.Mutex // guards the rest
	client  *kgo.Client
	renewed time.Time
	closed  bool

	// old are clients that were replaced and still have something under way. giveUp ends them.
	old    sync.WaitGroup
	ending context.Context
	giveUp context.CancelFunc
}

func newProducer(cfg Config) (*producer, error) {
	p := &producer{topic: cfg.Topic, renewed: time.Now(), opts: append([]kgo.Opt{
		kgo.SeedBrokers(cfg.Brokers...),
		kgo.ClientID("callstitch-receive"),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.UnknownTopicRetries(-1),
		kgo.ProducerLinger(linger),
		kgo.ProducerBatchMaxBytes(int32(cfg.MaxBody + batchRoom)),
		kgo.MaxBufferedBytes(int(cfg.MaxInFlight) + drainRoom),
		kgo.MaxBufferedRecords(int(cfg.MaxInFlight/recordBytes) + drainRecords),
		kgo.MetadataMinAge(250 * time.Millisecond), // a leader that moved is found within hold
	}, cfg.Client...)}
	client, err := kgo.NewClient(p.opts...)
	if err != nil {
		return nil, fmt.Errorf("make a client of Kafka: %w", err)
	}
	p.client = client
	p.ending, p.giveUp = context.WithCancel(context.Background())
	return p, nil
}

func (p *producer) send(r spool.Record, done func(error)) {
	record := &kgo.Record{Topic: p.topic, Timestamp: r.Time, Value: r.Body}
	if record.Value == nil {
		record.Value = []byte{} // an empty body is one; null would be none
	}
	for _, h := range r.Headers {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
	}
	client := p.current()
	client.TryProduce(context.Background(), record, func(_ *kgo.Record, err error) {
		if err != nil {
			p.failed(client, err)
		}
		done(err)
	})
}

func (p *producer) current() *kgo.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.client
}

// finals are what brokers say to a record that they will never take.
var finals = []error{kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp}

// isFinal reports whether an error is a record's own.
func isFinal(err error) bool {
	return slices.ContainsFunc(finals, func(final error) bool { return errors.Is(err, final) })
}

// failed replaces a client that has given up a record: one that was once refused the
// right to write refuses everything from then on, though the right be given back (K55).
func (p *producer) failed(client *kgo.Client, err error) {
	if isFinal(err) || errors.Is(err, kgo.ErrMaxBuffered) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.client != client || time.Since(p.renewed) < renewEvery {
		return
	}
	renewed, err := kgo.NewClient(p.opts...)
	if err != nil {
		return // they were good for the first one: the next failure tries again
	}
	p.client, p.renewed = renewed, time.Now()
	p.old.Go(func() {
		ctx, cancel := context.WithTimeout(p.ending, renewLimit)
		defer cancel()
		_ = client.Flush(ctx)
		client.Close()
	})
}

func (p *producer) ping(ctx context.Context) error {
	done := make(chan error, 1)
	client := p.current()
	// While a connection is opened the client does not look at ctx (K44).
	go func() { done <- client.Ping(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *producer) close(ctx context.Context) {
	p.mu.Lock()
	p.closed = true
	client := p.client
	p.mu.Unlock()
	_ = client.Flush(ctx) // what is left was answered otherwise
	client.Close()
	p.giveUp()
	p.old.Wait()
}
