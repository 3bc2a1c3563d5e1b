package topology_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// days is a raw topic that took two days to fill, keyed by call as producers
// do, with stragglers: some within the retention, others after it, before and
// after the leg was freed.
func days(seed uint64) []topologytest.Raw {
	return topologytest.Calls(seed, 60, 48*time.Hour).
		Stragglers(2, topologytest.NewEvent, 5*time.Minute).
		Stragglers(4, topologytest.LateEvent, 20*time.Minute).
		Stragglers(4, topologytest.LateEvent, 3*time.Hour).
		Keyed(seed, 3, 3*time.Second, 0.2)
}

// twice plays the days as they came, and once more in a few hops. Sessions settle in two
// of three seeds, in one of them so long after they closed.
func twice(t *testing.T, seed uint64, records []topologytest.Raw, retention, delay time.Duration, plant func(*topology.StitchTask)) (slow, fast *topologytest.Result) {
	cfg := topologytest.Short
	cfg.Retention, cfg.StubRetention = retention, 6*time.Hour
	settle(&cfg, seed, delay)
	s := topologytest.Scenario{
		Seed: seed, Partitions: 5, Workers: 3, Sources: 3, Records: records, Stitch: cfg,
		Faults: topologytest.Faults{Lag: 0.02, Stall: 0.01, Abort: 0.05, CrashAfter: 0.003, Rebalance: 0.01},
		Pace:   5_000, OnStitch: plant,
	}
	slow = topologytest.Run(t, s)
	s.Replay, s.Pace = true, 0
	fast = topologytest.Run(t, s)
	if fast.Stats.Polls > slow.Stats.Polls/4 {
		t.Errorf("seed %d: the replay took %d polls, the live run %d", seed, fast.Stats.Polls, slow.Stats.Polls)
	}
	return slow, fast
}

// P4: a raw topic read as it was filled, and the same topic read again in a few
// hops, give the same sessions, of which the same settle, the same events, and the same
// late ones.
func TestReplay(t *testing.T) {
	for seed := range topologytest.Seeds(20) {
		slow, fast := twice(t, seed, days(seed), topologytest.Short.Retention, 6*time.Minute, nil)
		if d := cmp.Diff(slow.Sessions.Canonical(), fast.Sessions.Canonical()); d != "" {
			t.Fatalf("seed %d: sessions differ (-live +replay):\n%s", seed, d)
		}
		if d := cmp.Diff(published(slow.Events), published(fast.Events)); d != "" {
			t.Fatalf("seed %d: events differ (-live +replay):\n%s", seed, d)
		}
		for _, res := range []*topologytest.Result{slow, fast} {
			if err := topologytest.Account(days(seed), res); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if seed%3 > 0 {
			checkSettled(t, seed, slow, fast)
		}
	}
}

// The same, where producers date records almost an hour ahead: less than the retention,
// and stragglers come within it or long after.
func TestReplayOfRecordsDatedAhead(t *testing.T) {
	const ahead, retention = 59 * time.Minute, 2 * time.Hour
	for seed := range topologytest.Seeds(10) {
		records := topologytest.Calls(seed, 60, 48*time.Hour).
			Stragglers(4, topologytest.NewEvent, 20*time.Minute).
			Stragglers(4, topologytest.LateEvent, 5*time.Hour).
			Keyed(seed, 3, 3*time.Second, 0.2)
		slow, fast := twice(t, seed, topologytest.Ahead(records, 2+int(seed)%5, ahead), retention, 2*ahead, nil)
		if d := cmp.Diff(slow.Sessions.Canonical(), fast.Sessions.Canonical()); d != "" {
			t.Fatalf("seed %d: sessions differ (-live +replay):\n%s", seed, d)
		}
		if d := cmp.Diff(published(slow.Events), published(fast.Events)); d != "" {
			t.Fatalf("seed %d: events differ (-live +replay):\n%s", seed, d)
		}
		if seed%3 > 0 {
			checkSettled(t, seed, slow, fast)
		}
	}
}

// published lists what was published of each event.
func published(events []*call.EventRecord) (list []string) {
	for _, e := range events {
		late := ""
		if e.Remarks.Has(call.FlagLateAfterRetention) {
			late = " late"
		}
		list = append(list, e.ID.String()+late)
	}
	slices.Sort(list)
	return list
}

// P5: for each source partition the book equals a count of what lies in it, and
// the topics hold what the book says that they hold. Some records tell several
// events, and after a retention of seconds some events are late: they must follow
// those of their leg, so there a call's records are in one partition.
func TestBooks(t *testing.T) {
	cfg := topologytest.Short
	cfg.Retention = 20 * time.Second
	for seed := range topologytest.Seeds(40) {
		corpus := topologytest.Calls(seed, 15, 6*time.Second).Noise(seed, 12).Conflicts(3)
		place := corpus.Shuffle
		if seed%2 == 0 {
			corpus.Stragglers(3, topologytest.LateEvent, time.Minute)
			place = corpus.Keyed
		}
		corpus.Arrays(4)
		s := topologytest.Scenario{
			Seed: seed, Partitions: 1 + int32(seed)%6, Workers: 1 + int(seed)%4, Sources: 3, Faults: topologytest.Hostile,
			Records: place(seed, 3, disorder, 0.3), Stitch: cfg,
		}
		res := topologytest.Run(t, s)
		if err := topologytest.Account(s.Records, res); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		inMemory, err := topologytest.Memory(4, cfg, s.Records)
		if err != nil {
			t.Fatalf("seed %d, in memory: %v", seed, err)
		}
		if err := topologytest.Account(s.Records, inMemory); err != nil {
			t.Fatalf("seed %d, in memory: %v", seed, err)
		}
		checkRejects(t, s.Records, res.Rejects)
	}
}

// checkRejects finds every record that cannot be taken once among the rejects,
// with its bytes.
func checkRejects(t *testing.T, records []topologytest.Raw, rejects []*call.Reject) {
	t.Helper()
	left := map[string]int{}
	for _, r := range records {
		if r.Kind == topologytest.Rejected {
			left[string(r.Value)]++
		}
	}
	for _, r := range rejects {
		if r.Reason == call.RejectIDConflict {
			if !bytes.Contains(r.Value, []byte(`"event_id":`)) {
				t.Errorf("conflict without its event: %s", r.Value)
			}
			continue
		}
		left[string(r.Value)]--
	}
	for value, n := range left {
		if n != 0 {
			t.Errorf("%d rejects are missing of %s", n, value)
		}
	}
}
