package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// schemaIDs is a registry that knows every schema.
type schemaIDs struct{}

func (schemaIDs) String() string { return "a registry that knows every schema" }

func (schemaIDs) Register(_ context.Context, s schemas.Subject, _ string) (int, error) {
	return int(s) + 1, nil
}

func (schemaIDs) Lookup(_ context.Context, s schemas.Subject, _ string) (int, error) {
	return int(s) + 1, nil
}

const testApp = "app"

func testTopology(exchange int32) topology.Config {
	return topology.Config{
		ApplicationID:      testApp,
		Sources:            []topology.Source{{Topic: topologytest.Topic}},
		Topics:             topology.Topics{Events: "call.events", Sessions: "call.sessions", Legs: "call.legs", Settled: "call.settled", Rejects: "call.rejects", Audit: "call.audit"},
		ExchangePartitions: exchange,
		Stitch:             testStitch,
	}
}

// testStitch has short time-outs, and a retention that reaches back to the
// corpora: their calls are months old, while idle partitions go by the broker's
// time, so with less they would be forgotten between two records.
var testStitch = stitch.Config{
	Grace: time.Second, UnansweredTimeout: 4 * time.Second, AnsweredTimeout: 12 * time.Second,
	Retention: 10_000 * time.Hour, StubRetention: time.Minute, Partial: true, Legs: true,
}

// testConfig is a configuration for a broker at the given addresses.
func testConfig(t testing.TB, brokers []string, opts ...kgo.Opt) Config {
	return Config{
		Config: testTopology(4), Brokers: brokers, Client: opts, Workers: 1,
		StartupTimeout: 20 * time.Second, SessionTimeout: 6 * time.Second,
		InstanceID: "one", Log: testLog(t), schemas: schemaIDs{},
	}
}

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// fakeKafka is a kfake cluster with the raw topic.
func fakeKafka(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(4, topologytest.Topic)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// client is a plain client for the test itself.
func client(t testing.TB, cfg Config, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(append([]kgo.Opt{kgo.SeedBrokers(cfg.Brokers...)}, cfg.Client...), opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

// feed writes raw records with their own timestamps.
func feed(t testing.TB, cfg Config, records []topologytest.Raw) {
	t.Helper()
	var out []*kgo.Record
	for _, r := range records {
		out = append(out, toKafka(r.Record))
	}
	produce(t, cfg, out)
}

func toKafka(r topology.Record) *kgo.Record {
	rec := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Timestamp: time.UnixMilli(r.Timestamp), Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return rec
}

// produce writes records to the partitions that they name.
func produce(t testing.TB, cfg Config, records []*kgo.Record) {
	t.Helper()
	cl := client(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	if err := cl.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// run is a running instance.
type run struct {
	cancel context.CancelFunc
	status *Status
	done   chan error
}

func startRun(t testing.TB, cfg Config) *run {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{cancel: cancel, status: new(Status), done: make(chan error, 1)}
	go func() {
		err := Run(ctx, cfg, r.status)
		if err != nil {
			t.Log("run ended: ", err)
		}
		r.done <- err
	}()
	t.Cleanup(func() {
		if t.Failed() && r.status.Snapshot().State != Stopped {
			t.Log(circumstances(cfg, r.status))
		}
		cancel()
		<-r.done
		close(r.done)
	})
	return r
}

// circumstances are what an instance says of itself, and brokers of its group, when what a
// test waits for does not come.
func circumstances(cfg Config, status *Status) string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var b strings.Builder
	snap := status.Snapshot()
	fmt.Fprintf(&b, "at %s the instance is %v, waits for %q, stands still for %v, last committed %s\n",
		time.Now().UTC().Format(time.TimeOnly), snap.State, snap.Waiting, snap.Stalled, snap.LastCommit.UTC().Format(time.TimeOnly))
	fmt.Fprintf(&b, "  clocks %v and %v, held by %v, exchange lag %d\n", snap.LegClock, snap.SessionClock, snap.HeldBy, snap.ExchangeLag)
	for _, task := range snap.Tasks {
		fmt.Fprintf(&b, "  %s %s-%d: at %d of %d, restoring %v, throttled %v\n", task.Node, task.Topic, task.Partition, task.Position, task.End, task.Restoring, task.Throttled)
	}
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(cfg.Brokers...)}, cfg.Client...)...)
	if err != nil {
		return b.String()
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	groups, err := adm.DescribeGroups(ctx, cfg.ApplicationID)
	fmt.Fprintf(&b, "the group, error %v:\n", err)
	var workers []string
	for _, g := range groups {
		fmt.Fprintf(&b, "  %s, error %v\n", g.State, g.Err)
		for _, m := range g.Members {
			workers = append(workers, m.ClientID)
			owns, _ := m.Assigned.AsConsumer()
			fmt.Fprintf(&b, "  %s owns %+v\n", m.MemberID, owns)
		}
	}
	transactions, err := adm.DescribeTransactions(ctx, workers...)
	fmt.Fprintf(&b, "transactions, error %v:\n", err)
	for _, tx := range transactions.Sorted() {
		fmt.Fprintf(&b, "  %s: producer %d/%d %s since %v, holds %v, error %v\n", tx.TxnID, tx.ProducerID, tx.ProducerEpoch, tx.State, time.UnixMilli(tx.StartTimestamp).UTC().Format(time.TimeOnly), tx.Topics, tx.Err)
	}
	topics := append(cfg.rawTopics(), cfg.ExchangeTopic(), cfg.ChangelogTopic(), cfg.Topics.Sessions)
	ends, err := adm.ListEndOffsets(ctx, topics...)
	fmt.Fprintf(&b, "offsets, error %v:\n", err)
	stable, _ := adm.ListCommittedOffsets(ctx, topics...)
	committed, _ := adm.FetchOffsets(ctx, cfg.ApplicationID)
	for _, end := range ends.Offsets().Sorted() {
		last, _ := stable.Lookup(end.Topic, end.Partition)
		fmt.Fprintf(&b, "  %s-%d ends at %d, stable to %d", end.Topic, end.Partition, end.At, last.Offset)
		if read, ok := committed.Lookup(end.Topic, end.Partition); ok {
			fmt.Fprintf(&b, ", read to %d", read.At)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// stop asks the instance to stop, and returns what Run returned.
func (r *run) stop(t testing.TB) error {
	t.Helper()
	begun := time.Now()
	r.cancel()
	err := <-r.done
	r.done <- nil
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	return err
}

// readRecords reads what is committed in a topic now.
func readRecords(t testing.TB, cfg Config, topic string) []*kgo.Record {
	t.Helper()
	adm := client(t, cfg)
	defer adm.Close()
	var ends kadm.ListedOffsets
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		var err error
		if ends, err = kadm.NewClient(adm).ListCommittedOffsets(context.Background(), topic); err == nil {
			break
		}
		if time.Now().After(deadline) { // a broker that was just frozen has no leaders for a moment
			t.Fatal(err)
		}
	}
	cl := client(t, cfg, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	defer cl.Close()
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	var records []*kgo.Record
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			t.Fatalf("read %s: %v, left %v", topic, err, left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				records = append(records, r)
			}
			if end, ok := left[r.Partition]; ok && r.Offset+1 >= end {
				delete(left, r.Partition)
			}
		})
	}
	return records
}

// collector keeps what instances say they committed.
type collector struct {
	mu       sync.Mutex
	sessions topologytest.Last
	revision map[string]bool
	audits   map[string]*call.Audit
	events   int
	rejects  int
	problems []string
}

func newCollector() *collector {
	return &collector{sessions: topologytest.Last{}, revision: map[string]bool{}, audits: map[string]*call.Audit{}}
}

func (c *collector) take(outputs []topology.Output) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range outputs {
		switch v := o.Value.(type) {
		case *call.Session:
			key := fmt.Sprintf("%s/%d", v.ID, v.Revision)
			if c.revision[key] {
				c.problems = append(c.problems, "revision twice: "+key)
			}
			c.revision[key] = true
			c.sessions.Put(v)
		case *call.EventRecord:
			c.events++
		case *call.Reject:
			c.rejects++
		case *call.Audit:
			if !v.Balanced() {
				c.problems = append(c.problems, fmt.Sprintf("book out of balance: %+v", *v))
			}
			c.audits[fmt.Sprintf("%s-%d", v.Topic, v.Partition)] = v
		}
	}
}

func (c *collector) canonical() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions.Canonical()
}

// await waits for the sessions of a reference run, and tells the difference if
// they do not come.
func (c *collector) await(t testing.TB, want []string, within time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !slices.Equal(c.canonical(), want) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %s", within, difference(c.canonical(), want))
		}
		time.Sleep(20 * time.Millisecond)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.problems {
		t.Error(p)
	}
}

func difference(got, want []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sessions, want %d\n", len(got), len(want))
	told := 0
	for _, w := range want {
		if !slices.Contains(got, w) && told < 2 {
			fmt.Fprintf(&b, "missing %.300s\n", w)
			told++
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) && told < 4 {
			fmt.Fprintf(&b, "unexpected %.300s\n", g)
			told++
		}
	}
	return b.String()
}

// named gives a topology topics and a group of its own.
func named(cfg topology.Config, name string) topology.Config {
	name = strings.ToLower(strings.ReplaceAll(name, "/", "-"))
	cfg.ApplicationID = name
	cfg.Sources = []topology.Source{{Topic: name + ".raw"}}
	cfg.Topics = topology.Topics{
		Events: name + ".events", Sessions: name + ".sessions", Legs: name + ".legs", Settled: name + ".settled",
		Rejects: name + ".rejects", Audit: name + ".audit",
	}
	return cfg
}

// onTopic moves records to the source topic of a configuration.
func onTopic(cfg Config, records []topologytest.Raw) []topologytest.Raw {
	for i := range records {
		records[i].Topic = cfg.Sources[0].Topic
	}
	return records
}

// inMemory is the last record of every session by the runtime without Kafka.
func inMemory(t testing.TB, records []topologytest.Raw) topologytest.Last {
	t.Helper()
	res, err := topologytest.Memory(4, testStitch, records)
	if err != nil {
		t.Fatal(err)
	}
	return res.Sessions
}
