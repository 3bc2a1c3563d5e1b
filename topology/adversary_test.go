package topology_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/topology/topologytest"
)

const disorder = 3 * time.Second

// P1, P2 and P3: whatever the order, the repetitions, the partitions, the
// workers and the faults, every call comes out as the one session that it was.
func TestAdversary(t *testing.T) {
	for seed := range topologytest.Seeds(60) {
		corpus := topologytest.Calls(seed, 12, 6*time.Second).Noise(seed, 8)
		inOrder := memoryRun(t, 1, corpus.Shuffle(seed, 1, 0, 0))
		if err := corpus.Check(inOrder); err != nil {
			t.Fatalf("seed %d, in order: %v", seed, err)
		}
		s := topologytest.Scenario{
			Seed: seed, Partitions: []int32{1, 2, 7, 32}[seed%4], Workers: 1 + int(seed/4)%5, Sources: 1 + int32(seed)%4,
			Faults: topologytest.Hostile,
		}
		s.Records = corpus.Shuffle(seed, s.Sources, disorder, 0.3)
		res := topologytest.Run(t, s)
		if err := corpus.Check(res); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if d := cmp.Diff(inOrder.Sessions.Canonical(), res.Sessions.Canonical()); d != "" {
			t.Fatalf("seed %d: sessions differ (-in order +adversary):\n%s", seed, d)
		}
	}
}

// memoryRun is the reference: the runtime of package memory.
func memoryRun(t *testing.T, partitions int32, records []topologytest.Raw) *topologytest.Result {
	t.Helper()
	res, err := topologytest.Memory(partitions, topologytest.Short, records)
	if err != nil {
		t.Fatal(err)
	}
	return res
}
