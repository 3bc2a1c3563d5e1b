package kafka

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/deploy/localkafka"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// TestPartitionThatCannotBeRead has a source partition lose its only replica with records
// in it that were not read, and a transaction that was open: what holds the clock is named,
// by the instance and from the brokers, and is dropped from the clock. The replica comes
// back, behind a transaction that nobody ends (KAFKA-20734), which is named and aborted;
// then everything comes out as if nothing had happened.
func TestPartitionThatCannotBeRead(t *testing.T) {
	t.Parallel()   // most of it is waiting, with brokers of its own
	const last = 2 // of the brokers, which has all of partition 1
	cluster := localkafka.ForTest(t, localkafka.Options{Brokers: 3, Props: map[string]string{"broker.session.timeout.ms": "4000"}})
	cfg := testConfig(t, cluster.Brokers())
	cfg.Config, cfg.Output.ReplicationFactor = named(cfg.Config, t.Name()), 3
	lost := topology.TopicPartition{Topic: cfg.Sources[0].Topic, Partition: 1}
	createOn(t, cfg, [][]int32{{1}, {last + 1}, {2}})
	records := onTopic(cfg, topologytest.Calls(71, 60, 30*time.Second).Shuffle(71, 3, time.Second, 0.1))
	want := reference(t, records)
	half := len(records) / 2

	r := startRun(t, cfg)
	feed(t, cfg, records[:half])
	awaitBalance(t, cfg, half, 30*time.Second)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	feed(t, cfg, records[half:])
	end := openTransaction(t, cfg, lost)
	if err := cluster.Kill(last); err != nil {
		t.Fatal(err)
	}
	end() // whose marker has nowhere to go

	// An instance starts without it, and says what holds the clock.
	r = startRun(t, cfg)
	c := awaitClock(t, cfg, func(c SourceClock) bool { return c.State == SourceLeaderless && c.Owner != "" })
	t.Log(c.Why(), "; ", c.Remedy())
	if c.TopicPartition != lost || c.Position <= 0 || !strings.Contains(c.Remedy(), "clock drop "+lost.Topic+" 1") {
		t.Errorf("the clock is held by %+v", c)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		snap := r.status.Snapshot()
		if snap.Held > 0 && strings.Contains(snap.HeldWhy, lost.String()+" holds it: it has no leader; broker 3 has it: bring broker 3 back") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the instance says nothing of it: %+v", snap)
		}
	}
	if f := examined(t, cfg); f.Err == nil || !strings.Contains(f.Err.Error(), lost.String()+": it has no leader") {
		t.Errorf("check says %+v", f)
	}
	if _, err := PlanDrop(t.Context(), cfg, lost); err == nil || !strings.Contains(err.Error(), "has 1 members") {
		t.Errorf("it is dropped while an instance runs: %v", err)
	}
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}

	if _, err := PlanDrop(t.Context(), cfg, topology.TopicPartition{Topic: lost.Topic, Partition: 0}); err == nil || !strings.Contains(err.Error(), "can be read") {
		t.Errorf("a partition that can be read is dropped: %v", err)
	}
	if _, err := Seek(t.Context(), cfg, lost, 0, false); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("an offset is sought in a partition that cannot be read: %v", err)
	}
	if _, err := Seek(t.Context(), cfg, topology.TopicPartition{Topic: lost.Topic, Partition: 0}, 0, false); err != nil {
		t.Errorf("an offset is not sought in a partition that can be read: %v", err)
	}
	tailWithout(t, cfg, lost, records)
	d, err := PlanDrop(t.Context(), cfg, lost)
	if err != nil {
		t.Fatal(err)
	}
	if err := ExecuteDrop(t.Context(), cfg, d); err != nil {
		t.Fatal(err)
	}
	if err := ExecuteDrop(t.Context(), cfg, d); err == nil {
		t.Error("what was planned upon an older offset is done")
	}
	if _, err := PlanDrop(t.Context(), cfg, lost); err == nil || !strings.Contains(err.Error(), "dropped from the clock already") {
		t.Errorf("it is dropped twice: %v", err)
	}
	r = startRun(t, cfg)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		snap := r.status.Snapshot()
		if snap.Ready() && time.Since(time.UnixMilli(int64(snap.SessionClock))) < 5*time.Second {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the clock stands at %v, held by %v: %+v", snap.SessionClock, snap.HeldBy, snap)
		}
	}

	// A clock that the partition held would not go on for as long as it is away.
	time.Sleep(stallLimit + 2*time.Second)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		snap := r.status.Snapshot()
		if snap.Ready() && snap.Held == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("without the partition in the clock the instance is not well: %+v", snap)
		}
	}
	if f := examined(t, cfg); f.Err != nil || !strings.Contains(f.Advice, lost.String()) {
		t.Errorf("check says %+v", f)
	}

	// It comes back, and is read again, as far as the transaction lets it be.
	if err := cluster.Restart(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	c = awaitClock(t, cfg, func(c SourceClock) bool { return c.State == SourceOpen && c.Open.Hangs() })
	t.Log(c.Why(), "; ", c.Remedy())
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		snap := r.status.Snapshot()
		if len(snap.Open) == 1 && snap.Open[0].TopicPartition == lost && strings.Contains(snap.HeldWhy, "callstitch abort "+lost.Topic+" 1") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the instance says nothing of it: %+v", snap)
		}
	}
	abort, err := PlanAbort(t.Context(), cfg, lost)
	if err != nil {
		t.Fatal(err)
	}
	if err := ExecuteAbort(t.Context(), cfg, abort); err != nil {
		t.Fatal(err)
	}
	awaitPublished(t, cfg, want, 60*time.Second)
	awaitBooks(t, cfg, len(records), 30*time.Second)
	clocks, err := ReadClocks(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if c, held := clocks.Held(time.Now()); held || len(clocks.Open) > 0 {
		t.Errorf("the clock is held by %+v, and %v are open", c, clocks.Open)
	}
	if _, err := PlanAbort(t.Context(), cfg, lost); err == nil || !strings.Contains(err.Error(), "no transaction") {
		t.Errorf("it is aborted again: %v", err)
	}
}

// tailWithout reads a topic of which a partition cannot be read: without a word that fails,
// and with one it is left out.
func tailWithout(t *testing.T, cfg Config, lost topology.TopicPartition, records []topologytest.Raw) {
	t.Helper()
	others := 0
	for _, r := range records {
		if r.Partition != lost.Partition {
			others++
		}
	}
	tail := TailConfig{Brokers: cfg.Brokers, Client: cfg.Client, Topic: lost.Topic, From: "earliest"}
	for _, p := range []int32{lost.Partition, 0} {
		_, found, err := RecordAt(t.Context(), tail, p, 0)
		if led := p != lost.Partition; found != led || errors.Is(err, ErrNoLeader) == led {
			t.Errorf("of partition %d the first record is found: %t, %v", p, found, err)
		}
	}
	for _, tail.From = range []string{"earliest", "-100000", "0", "2020-01-01T00:00:00Z"} {
		read, left := 0, []int32(nil)
		count := func(topology.Record) error { read++; return nil }
		tail.Left = nil
		if err := Tail(t.Context(), tail, count); !errors.Is(err, ErrNoLeader) || read > 0 {
			t.Errorf("from %s, %d records are read without those of %s: %v", tail.From, read, lost, err)
		}
		tail.Left = func(partitions []int32) { left = append(left, partitions...) }
		if err := Tail(t.Context(), tail, count); err != nil || read != others || !slices.Equal(left, []int32{lost.Partition}) {
			t.Errorf("from %s, %d records are read, want %d, and %v are left out: %v", tail.From, read, others, left, err)
		}
	}
}

// TestReadersBehindOpenTransactions has somebody leave a transaction open in a source, the
// exchange and the changelog: each is named with its producer and with when it ends, and
// nobody may abort a part of it before that.
func TestReadersBehindOpenTransactions(t *testing.T) {
	cfg := apache(t, 2)
	records := onTopic(cfg, topologytest.Calls(72, 30, 20*time.Second).Shuffle(72, 2, time.Second, 0.1))
	want := reference(t, records)
	half := len(records) / 2
	r := startRun(t, cfg)
	feed(t, cfg, records[:half])
	awaitBalance(t, cfg, half, 30*time.Second)
	in := []topology.TopicPartition{{Topic: cfg.Sources[0].Topic, Partition: 1}, {Topic: cfg.ExchangeTopic(), Partition: 0}, {Topic: cfg.ChangelogTopic(), Partition: 0}}
	end := openTransaction(t, cfg, in...)
	feed(t, cfg, records[half:])
	says := func(snap Snapshot) bool {
		for _, tp := range in {
			said := strings.Contains(snap.HeldWhy, tp.String()+" holds it: it is read no further than an open transaction") ||
				strings.Contains(snap.HeldWhy, tp.String()+" is read no further than an open transaction")
			if !said {
				return false
			}
		}
		return len(snap.Open) == len(in) && strings.Contains(snap.HeldWhy, "(transactional id "+cfg.ApplicationID+"-somebody)")
	}
	for deadline := time.Now().Add(30 * time.Second); !says(r.status.Snapshot()); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the instance says: %s", r.status.Snapshot().HeldWhy)
		}
	}
	if !r.status.Snapshot().Ready() {
		t.Error("it is not ready")
	}
	for _, tp := range in {
		if _, err := PlanAbort(t.Context(), cfg, tp); err == nil || !strings.Contains(err.Error(), "its coordinator ends") {
			t.Errorf("%s may be aborted: %v", tp, err)
		}
	}
	end()
	awaitPublished(t, cfg, want, 60*time.Second)
	for deadline := time.Now().Add(20 * time.Second); r.status.Snapshot().Held > 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the clock stands still: %s", r.status.Snapshot().HeldWhy)
		}
	}
}

// TestClocksBeforeTopics asks for clocks where none of the topics is there yet.
func TestClocksBeforeTopics(t *testing.T) {
	cfg := testConfig(t, fakeKafka(t).ListenAddrs())
	cfg.Config = named(cfg.Config, "early")
	clocks, err := ReadClocks(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := clocks.HeldBy(); ok || len(clocks.Open) > 0 {
		t.Errorf("found %+v", clocks)
	}
}

// examined is what check says of the clock.
func examined(t *testing.T, cfg Config) Finding {
	t.Helper()
	for _, f := range Examine(t.Context(), cfg) {
		if strings.HasPrefix(f.What, "every source partition can be read") {
			return f
		}
	}
	t.Fatal("check does not look at the clock")
	return Finding{}
}

// awaitClock waits for what holds the clock to be in some state.
func awaitClock(t *testing.T, cfg Config, is func(SourceClock) bool) SourceClock {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(300 * time.Millisecond) {
		clocks, err := ReadClocks(t.Context(), cfg)
		if err == nil {
			if c, ok := clocks.HeldBy(); ok && is(c) {
				return c
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("after 40 s: %+v, %v", clocks, err)
		}
	}
}

// createOn makes the source topic, each partition on some brokers.
func createOn(t *testing.T, cfg Config, replicas [][]int32) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = cfg.Sources[0].Topic, -1, -1
	for p, on := range replicas {
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(p), Replicas: on})
	}
	least := kmsg.NewCreateTopicsRequestTopicConfig()
	least.Name, least.Value = "min.insync.replicas", kmsg.StringPtr("1")
	topic.Configs = append(topic.Configs, least)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(t.Context(), cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// openTransaction leaves a transaction open behind the records of partitions, until it is
// ended.
func openTransaction(t *testing.T, cfg Config, in ...topology.TopicPartition) (end func()) {
	t.Helper()
	cl := client(t, cfg, kgo.TransactionalID(cfg.ApplicationID+"-somebody"), kgo.TransactionTimeout(time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	t.Cleanup(cl.Close)
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for _, tp := range in {
		rec := &kgo.Record{Topic: tp.Topic, Partition: tp.Partition, Key: []byte("k"), Value: []byte(`{}`)}
		if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for { // the coordinator may have been on the broker that was killed a moment ago
			err := cl.EndTransaction(ctx, kgo.TryAbort)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		for len(transactions(t, cfg, "PrepareAbort", "Ongoing")) > 0 {
			if ctx.Err() != nil {
				t.Fatal("the coordinator still ends the transaction: with a marker that may yet come, nothing hangs")
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}
