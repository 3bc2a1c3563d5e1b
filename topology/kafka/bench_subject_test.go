package kafka_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

// subject is what one measurement runs, in a process of its own: the test
// binary again, told by a flag. It ends when its standard input does.
type subject struct {
	Plain     bool // the pass-through; else callstitch
	App       string
	Brokers   []string
	Registry  string
	Raw       string
	Instance  string
	Retention time.Duration
}

const (
	benchWorkers  = 2
	rawPartitions = 8
	exchange      = 16
	outPartitions = 8
	interval      = 100 * time.Millisecond
)

// stitching are the defaults of `callstitch run`.
func stitching(retention time.Duration) stitch.Config {
	return stitch.Config{
		Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
		Retention: retention, StubRetention: 72 * time.Hour, Partial: true,
	}
}

func (s *subject) out() string { return s.App + ".events" }

func (s *subject) sessions() string { return s.App + ".sessions" }

// progress is one line that a subject prints: what is committed so far.
type progress struct {
	At   time.Time
	Done int64 // records of the output topic
	Read int64 // raw records that are accounted for
	Legs int   // nodes held

	Crossed int64 // events that went through the exchange

	Written map[string]volume // by topic
}

// volume is what was sent to a topic.
type volume struct{ Batches, Records, Bytes, Sent int64 } // bytes before and after compression

// progressMark begins such a line; others are the test framework's.
const progressMark = "@"

// meter prints the progress of a subject.
type meter struct {
	first atomic.Bool // a raw batch was read
	raw   string

	mu    sync.Mutex // guards the rest
	now   progress
	books map[string]int64
}

func newMeter(raw string) *meter {
	return &meter{raw: raw, now: progress{Written: map[string]volume{}}, books: map[string]int64{}}
}

func (m *meter) say() {
	m.now.At = time.Now()
	line, _ := json.Marshal(m.now) // numbers and a time
	fmt.Fprintf(os.Stdout, "%s%s\n", progressMark, line)
}

// OnFetchBatchRead notes when the first raw record came: from then on the
// subject is measured.
func (m *meter) OnFetchBatchRead(_ kgo.BrokerMetadata, topic string, _ int32, _ kgo.FetchBatchMetrics) {
	if topic == m.raw && m.first.CompareAndSwap(false, true) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.say()
	}
}

// OnProduceBatchWritten counts what is sent.
func (m *meter) OnProduceBatchWritten(_ kgo.BrokerMetadata, topic string, _ int32, b kgo.ProduceBatchMetrics) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.now.Written[topic]
	m.now.Written[topic] = volume{v.Batches + 1, v.Records + int64(b.NumRecords), v.Bytes + int64(b.UncompressedBytes), v.Sent + int64(b.CompressedBytes)}
}

// run is the subject's process.
func (s *subject) run(b *testing.B) {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	m := newMeter(s.Raw)
	var err error
	if s.Plain {
		err = s.passThrough(ctx, m)
	} else {
		err = s.callstitch(ctx, m)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// compression is the same for everything that writes.
func compression() kgo.Opt {
	if *codec == "lz4" {
		return kgo.ProducerBatchCompression(kgo.Lz4Compression())
	}
	return kgo.ProducerBatchCompression(kgo.SnappyCompression())
}

func (s *subject) callstitch(ctx context.Context, m *meter) error {
	status := new(kafka.Status)
	go kafka.PaceGarbage(ctx)
	return kafka.Run(ctx, kafka.Config{
		Config: topology.Config{
			ApplicationID: s.App, ExchangePartitions: exchange, Stitch: stitching(s.Retention),
			Sources: []topology.Source{{Topic: s.Raw}},
			Topics: topology.Topics{
				Events: s.out(), Sessions: s.sessions(), Legs: s.App + ".legs", Settled: s.App + ".settled",
				Rejects: s.App + ".rejects", Audit: s.App + ".audit",
			},
		},
		Brokers: s.Brokers, Client: []kgo.Opt{compression(), kgo.WithHooks(m)},
		Registry: kafka.RegistryConfig{RegistryConfig: schemas.RegistryConfig{URL: s.Registry}, AutoRegister: true},
		Workers:  benchWorkers, CommitInterval: interval, InstanceID: s.App + s.Instance,
		OnCommit: func(outputs []topology.Output) { m.committed(outputs, status) },
	}, status)
}

// committed counts what a transaction of callstitch made visible.
func (m *meter) committed(outputs []topology.Output, status *kafka.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range outputs {
		switch v := outputs[i].Value.(type) {
		case *call.EventRecord:
			m.now.Done++
		case *call.Audit:
			book := fmt.Sprint(v.Topic, v.Partition)
			m.now.Read += v.Read - m.books[book]
			m.books[book] = v.Read
		}
	}
	m.now.Legs = 0
	snap := status.Snapshot()
	m.now.Crossed = snap.Ways.Exchange
	for _, t := range snap.Tasks {
		m.now.Legs += t.Nodes
	}
	m.say()
}

// passThrough is the least that anything with the same two hops does, with the
// same library: raw records become records of 500 bytes on an exchange, and
// those become records of 350 bytes, exactly once.
func (s *subject) passThrough(ctx context.Context, m *meter) error {
	errs := make(chan error, benchWorkers)
	for n := range benchWorkers {
		go func() { errs <- s.passWorker(ctx, n, m) }()
	}
	var err error
	for range benchWorkers {
		if e := <-errs; e != nil && err == nil {
			err = e
		}
	}
	return err
}

const (
	exchangeBytes = 500
	outBytes      = 350
)

func (s *subject) exchange() string { return s.App + "-exchange-repartition" }

func (s *subject) passWorker(ctx context.Context, n int, m *meter) error {
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(s.Brokers...), kgo.ConsumerGroup(s.App), kgo.TransactionalID(fmt.Sprint(s.App, "-", n)),
		kgo.ConsumeTopics(s.Raw, s.exchange()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(kgo.RangeBalancer()), // each topic's partitions evenly over the workers
		kgo.FetchMaxWait(250*time.Millisecond), kgo.MaxBufferedRecords(80_000), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.MetadataMinAge(250*time.Millisecond), compression(), kgo.WithHooks(m),
	)
	if err != nil {
		return err
	}
	defer session.Close()
	for ctx.Err() == nil {
		if err := s.passTransaction(ctx, session, m); err != nil {
			return err
		}
	}
	return nil
}

// passTransaction is one transaction of all that came within a commit interval.
func (s *subject) passTransaction(ctx context.Context, session *kgo.GroupTransactSession, m *meter) error {
	fetches := pollFor(ctx, session, interval)
	if fetches.NumRecords() == 0 {
		return nil
	}
	if err := session.Begin(); err != nil {
		return err
	}
	done := int64(0)
	for end := time.Now().Add(interval); ; fetches = pollFor(ctx, session, time.Until(end)) {
		fetches.EachRecord(func(r *kgo.Record) {
			next := &kgo.Record{Topic: s.exchange(), Key: r.Key}
			if r.Topic == s.Raw {
				next.Value = passed(exchangeBytes, uint64(r.Timestamp.UnixMilli()), r.Value)
			} else {
				next.Topic, next.Value = s.out(), passed(outBytes, binary.BigEndian.Uint64(r.Value), r.Value)
				done++
			}
			session.Produce(context.Background(), next, nil)
		})
		if time.Until(end) <= 0 {
			break
		}
	}
	committed, err := session.End(context.Background(), kgo.TryCommit)
	if err == nil && committed {
		m.passed(done)
	}
	return err
}

func pollFor(ctx context.Context, session *kgo.GroupTransactSession, d time.Duration) kgo.Fetches {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return session.PollRecords(ctx, 2_000)
}

// passed is a value of a fixed size that begins with the timestamp of the raw
// record and goes on as the value it was made of.
func passed(size int, timestamp uint64, from []byte) []byte {
	v := make([]byte, size)
	binary.BigEndian.PutUint64(v, timestamp)
	for at := 8; at < size; {
		n := copy(v[at:], from[min(8, len(from)):])
		if n == 0 {
			break // an empty value
		}
		at += n
	}
	return v
}

func (m *meter) passed(done int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Done += done
	m.now.Read = m.now.Done
	m.say()
}
