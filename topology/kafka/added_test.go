package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// Partitions that are added to a source under traffic are read within seconds, by one
// instance or by several, of which only one leads the group; and once more
// when they all were stopped before.
func TestPartitionsAreAdded(t *testing.T) {
	cfg := apache(t, 1)
	all := topologytest.Calls(3, 90, 30*time.Second).Shuffle(3, 4, time.Second, 0.1)
	records := onTopic(cfg, all)
	want := inMemory(t, records).Canonical()
	got := newCollector()
	cfg.OnCommit = got.take
	other := cfg
	other.InstanceID = "two"

	old := of(records, 0)
	feed(t, cfg, old[:len(old)/3])
	one, two := startRun(t, cfg), startRun(t, other)
	awaitReady(t, one, 30*time.Second)
	awaitReady(t, two, 30*time.Second)
	for n := range int32(2) {
		feed(t, cfg, old[len(old)/3*int(n+1):len(old)/3*int(n+2)])
		addPartition(t, cfg, n+2)
		added := time.Now()
		feed(t, cfg, of(records, n+1))
		awaitRead(t, cfg, n+1, 3*partitionsAge)
		t.Logf("partition %d was read after %v", n+1, time.Since(added).Round(100*time.Millisecond))
	}
	for _, r := range []*run{one, two} {
		if err := r.stop(t); err != nil {
			t.Fatal(err)
		}
	}
	addPartition(t, cfg, 4)
	feed(t, cfg, append(old[len(old)/3*3:], of(records, 3)...))
	one = startRun(t, cfg)
	awaitRead(t, cfg, 3, 20*time.Second)
	got.await(t, want, 20*time.Second)
	awaitBooks(t, cfg, len(records), 10*time.Second)
	before := one.status.Snapshot()
	if before.HeldBy == (topology.TopicPartition{}) {
		t.Errorf("nothing holds the clock: %+v", before)
	}
	awaitStatus(t, one.status, 10*time.Second, func(s Snapshot) bool { return s.SessionClock > before.SessionClock })
}

// of are the records of a partition.
func of(records []topologytest.Raw, partition int32) (some []topologytest.Raw) {
	for _, r := range records {
		if r.Partition == partition {
			some = append(some, r)
		}
	}
	return some
}

func addPartition(t *testing.T, cfg Config, count int32) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	resp, err := kadm.NewClient(cl).UpdatePartitions(t.Context(), int(count), cfg.rawTopics()...)
	if err == nil {
		err = resp.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// awaitRead waits until the group has committed offsets of a source partition.
func awaitRead(t *testing.T, cfg Config, partition int32, within time.Duration) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	for deadline := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		offsets, err := kadm.NewClient(cl).FetchOffsets(t.Context(), cfg.ApplicationID)
		if o, ok := offsets.Lookup(cfg.rawTopics()[0], partition); err == nil && ok && o.At > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v nobody has read partition %d: %v", within, partition, err)
		}
	}
}
