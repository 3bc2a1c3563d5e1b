package topology_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"callstitch/processor/stitch"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

const disorder = 3 * time.Second

// P1, P2 and P3: whatever the order, the repetitions, the partitions, the
// workers and the faults, every call comes out as the one session that it was. Calls
// of seconds bring the messages of many legs under way at once; those of the
// simulator last for minutes, and tell what providers tell.
func TestAdversary(t *testing.T) {
	handed := 0
	t.Run("graphs", func(t *testing.T) {
		for seed := range topologytest.Seeds(60) {
			corpus := topologytest.Calls(seed, 12, 6*time.Second).Noise(seed, 8)
			handed += meetAdversary(t, corpus, disorder, topologytest.Scenario{Seed: seed, Stitch: topologytest.Short}).Handed
		}
	})
	t.Run("traffic", func(t *testing.T) {
		for seed := range topologytest.Seeds(60) {
			handed += meetAdversary(t, topologytest.Traffic(seed, 12), pace*disorder, paced(topologytest.Scenario{Seed: seed})).Handed
		}
	})
	if handed == 0 {
		t.Error("no event was handed over in memory: half of what production does was not met")
	}
	t.Logf("%d events were handed over in memory", handed)
}

// pace is how many times longer than those of Calls the calls of Traffic are.
const pace = 30

// paced makes a scenario one for Traffic.
func paced(s topologytest.Scenario) topologytest.Scenario {
	s.Stitch, s.Pace = topologytest.Minutes, pace
	return s
}

// A worker may run its tasks at once or in any order: what it does is the same to the
// last record, and in the same order.
func TestLoopsAreAlike(t *testing.T) {
	atOnce := func(n int, do func(i int)) {
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { do(i) })
		}
		all.Wait()
	}
	backwards := func(n int, do func(i int)) {
		for i := range n {
			do(n - 1 - i)
		}
	}
	for seed := range topologytest.Seeds(10) {
		play := func(loop topology.Loop) *topologytest.Result {
			records := topologytest.Calls(seed, 12, 6*time.Second).Noise(seed, 8).Shuffle(seed, 4, disorder, 0.3)
			return topologytest.Run(t, topologytest.Scenario{
				Seed: seed, Partitions: 7, Workers: 2, Sources: 4, Records: records,
				Faults: topologytest.Hostile, HandOver: true, Hold: 0.5, Loop: loop,
			})
		}
		want := play(topology.InOrder)
		for name, loop := range map[string]topology.Loop{"at once": atOnce, "backwards": backwards} {
			if d := cmp.Diff(want, play(loop), cmpopts.IgnoreUnexported(topologytest.Result{})); d != "" {
				t.Fatalf("seed %d, tasks %s (-in order +%s):\n%s", seed, name, name, d)
			}
		}
	}
}

// The same, where one record in a few is dated minutes ahead: no clock follows it.
// The reference reads the same records, whose dates are in theirs.
func TestAdversaryDatesRecordsAhead(t *testing.T) {
	for seed := range topologytest.Seeds(20) {
		corpus := topologytest.Calls(seed, 12, 6*time.Second).Noise(seed, 8)
		s := topologytest.Scenario{
			Seed: seed, Partitions: []int32{1, 2, 7, 32}[seed%4], Workers: 1 + int(seed/4)%5, Sources: 1 + int32(seed)%4,
			Stitch: topologytest.Short, Faults: topologytest.Hostile,
		}
		s.Records = topologytest.Ahead(corpus.Shuffle(seed, s.Sources, disorder, 0.3), 2+int(seed)%5, 3*time.Minute)
		res := topologytest.Run(t, s)
		if err := corpus.Check(res); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if d := cmp.Diff(memoryRun(t, s.Stitch, s.Records).Sessions.Canonical(), res.Sessions.Canonical()); d != "" {
			t.Fatalf("seed %d: sessions differ (-in memory +adversary):\n%s", seed, d)
		}
	}
}

// dropping has partitions dropped from the clock while they are not read: mostly for a
// while, sometimes for hours, in which what has events in them is closed and forgotten.
var dropping = topologytest.Faults{
	Lag: 0.05, Pause: 0.1, Stall: 0.02, Leap: 0.003, Abort: 0.05, CrashBefore: 0.003, CrashAfter: 0.003, Rebalance: 0.01, Drop: 1,
}

// An operator may drop a partition from the clock that cannot be read. Where it comes back
// only when what has events in it was closed and forgotten, these are late, and each is in
// its book all the same. Legs that are linked may not join any more then: see the known limit.
func TestAdversaryDropsPartitions(t *testing.T) {
	drops, late := 0, int64(0)
	cfg := topologytest.Short
	cfg.StubRetention = 72 * time.Hour // behind it all is forgotten
	for seed := range topologytest.Seeds(60) {
		corpus := topologytest.Lone(seed, 25, 6*time.Second).Noise(seed, 8)
		res := topologytest.Run(t, topologytest.Scenario{
			Seed: seed, Partitions: 3, Workers: 2, Sources: 3, Stitch: cfg, Faults: dropping,
			HandOver: seed%2 > 0, Hold: 0.5, Records: corpus.Shuffle(seed, 3, disorder, 0.3),
		})
		drops += res.Stats.Drops
		for _, b := range res.Books { // order: a sum has none
			late += b.Late
		}
	}
	if drops == 0 || late == 0 {
		t.Errorf("%d partitions were dropped, and %d events of them too late", drops, late)
	}
}

// Where it comes back within the retention, every call comes out as the one session that
// it was, and as in a run in which all was read in time.
func TestAdversaryDropsPartitionsForAWhile(t *testing.T) {
	cfg := topologytest.Short
	cfg.Retention = 48 * time.Hour
	for seed := range topologytest.Seeds(60) {
		corpus := topologytest.Calls(seed, 12, 6*time.Second).Noise(seed, 8)
		records := corpus.Shuffle(seed, 3, disorder, 0.3)
		res := topologytest.Run(t, topologytest.Scenario{
			Seed: seed, Partitions: 3, Workers: 2, Sources: 3, Stitch: cfg, Faults: dropping, Records: records,
		})
		if err := corpus.Check(res); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if d := cmp.Diff(memoryRun(t, cfg, records).Sessions.Canonical(), res.Sessions.Canonical()); d != "" {
			t.Fatalf("seed %d: sessions differ (-in memory +adversary):\n%s", seed, d)
		}
	}
}

// meetAdversary holds a hostile run over a corpus against what was drawn, and
// against a run without faults.
func meetAdversary(t *testing.T, corpus *topologytest.Corpus, disorder time.Duration, s topologytest.Scenario) topologytest.Stats {
	t.Helper()
	seed := s.Seed
	settle(&s.Stitch, seed, 5*s.Stitch.AnsweredTimeout)
	inOrder := memoryRun(t, s.Stitch, corpus.Shuffle(seed, 1, 0, 0))
	if err := corpus.Check(inOrder); err != nil {
		t.Fatalf("seed %d, in order: %v", seed, err)
	}
	s.Partitions, s.Workers, s.Sources = []int32{1, 2, 7, 32}[seed%4], 1+int(seed/4)%5, 1+int32(seed)%4
	s.Faults = topologytest.Hostile
	s.HandOver, s.Hold = seed%5 > 0, []float64{0, 0, 0.5, 1, 1}[seed%5]
	s.Records = corpus.Shuffle(seed, s.Sources, disorder, 0.3)
	res := topologytest.Run(t, s)
	if err := corpus.Check(res); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if d := cmp.Diff(inOrder.Sessions.Canonical(), res.Sessions.Canonical()); d != "" {
		t.Fatalf("seed %d: sessions differ (-in order +adversary):\n%s", seed, d)
	}
	if s.Stitch.Settled {
		checkSettled(t, seed, inOrder, res)
	}
	return res.Stats
}

// settle has sessions settle in two of three seeds: when they are forgotten, or when they
// have been closed for so long, which is longer than any message is late.
func settle(cfg *stitch.Config, seed uint64, delay time.Duration) {
	cfg.Settled = seed%3 > 0
	if seed%3 == 2 {
		cfg.SettledAfter = delay
	}
}

// checkSettled holds that each session has settled once, as its last record says: none
// other, and none that was superseded.
func checkSettled(t *testing.T, seed uint64, runs ...*topologytest.Result) {
	t.Helper()
	for i, res := range runs {
		if err := res.CheckSettled(); err != nil {
			t.Fatalf("seed %d, run %d: %v", seed, i, err)
		}
	}
}

// memoryRun is the reference: the runtime of package memory, over one partition.
func memoryRun(t *testing.T, cfg stitch.Config, records []topologytest.Raw) *topologytest.Result {
	t.Helper()
	res, err := topologytest.Memory(1, cfg, records)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// hasty closes sessions between any two of their messages.
var hasty = stitch.Config{
	Grace: 50 * time.Millisecond, UnansweredTimeout: 100 * time.Millisecond, AnsweredTimeout: 200 * time.Millisecond,
	Retention: 10 * time.Minute, StubRetention: time.Minute, Partial: true, Settled: true,
}

// settling is a run in which clocks are mostly close behind what happens, so that sessions
// settle while it lasts.
func settling(after time.Duration) topologytest.Scenario {
	cfg := hasty
	cfg.SettledAfter = after
	return topologytest.Scenario{
		Partitions: 7, Workers: 4, Sources: 3, Stitch: cfg,
		Faults: topologytest.Faults{Lag: 0.02, Abort: 0.05, CrashBefore: 0.003, CrashAfter: 0.003, Rebalance: 0.003},
	}
}

// Sessions that close between any two of their messages settle once all the same: as
// their last record says where they wait for longer than the messages are apart, and else
// as it said then.
func TestSettlesOnce(t *testing.T) {
	amended := 0
	for seed := range topologytest.Seeds(40) {
		corpus := topologytest.Calls(seed, 12, 6*time.Second)
		s := settling([]time.Duration{hasty.Grace, time.Minute}[seed%2])
		s.Seed, s.Records = seed, corpus.Shuffle(seed, s.Sources, disorder, 0.1)
		res := topologytest.Run(t, s)
		if err := corpus.Check(res); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if s.Stitch.SettledAfter == hasty.Grace {
			if res.CheckSettled() != nil {
				amended++
			}
			continue
		}
		checkSettled(t, seed, res)
	}
	if amended == 0 {
		t.Error("no session was amended after it had settled: settling once was never tried")
	}
}
