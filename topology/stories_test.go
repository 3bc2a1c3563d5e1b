package topology_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// Each rule of the protocol is there because a run went wrong without it. A
// suite that does not notice its absence would prove nothing, so each is taken
// away here once.
func TestStories(t *testing.T) {
	for _, story := range []struct {
		name  string
		plant func(*topologytest.Scenario)
	}{
		{"messages are not acknowledged", func(s *topologytest.Scenario) { s.OnStitch = topology.IgnoreFlight }},
		{"a take-over does not wait", func(s *topologytest.Scenario) { s.OnStitch = topology.IgnoreEnds }},
		{"a take-over waits for stable offsets", func(s *topologytest.Scenario) { s.Faults.StableEnds = true }},
		{"trig is the arrival", func(s *topologytest.Scenario) { s.OnStitch = topology.TrigFromArrival }},
		{"the largest clock counts", func(s *topologytest.Scenario) { s.OnStitch = topology.LargestClock }},
		{"the latest arrival is vouched for", func(s *topologytest.Scenario) { s.OnDecode = topology.VouchForLatest }},
		{"stale claims of idleness", func(s *topologytest.Scenario) { s.Faults.StaleIdle = true }},
	} {
		t.Run(story.name, func(t *testing.T) {
			caught, n := 0, 0
			for seed := range topologytest.Seeds(200) {
				n++
				if err := play(seed, story.plant); err != nil {
					if caught++; caught == 1 {
						t.Logf("after %d seeds: %v", n, err)
					}
				}
			}
			t.Logf("caught in %d of %d", caught, n)
		})
	}
}

func play(seed uint64, plant func(*topologytest.Scenario)) error {
	n, dis, span := 12, 3000, 6000
	s := topologytest.Scenario{
		Seed: seed, Partitions: 7, Workers: 4, Sources: 3, Faults: topologytest.Hostile,
	}
	plant(&s)
	if os.Getenv("F") != "" { fmt.Sscan(os.Getenv("F"), &s.Faults.Lag, &s.Faults.Pause, &s.Faults.Stall, &s.Faults.Leap, &s.Faults.Abort, &s.Faults.CrashBefore, &s.Faults.CrashAfter, &s.Faults.Rebalance,
		&s.Partitions, &s.Workers, &s.Sources, &n, &dis, &span) }
	corpus := topologytest.LinkedCalls(seed, n, time.Duration(span)*time.Millisecond)
	s.Records = corpus.Shuffle(seed, s.Sources, time.Duration(dis)*time.Millisecond, 0.1)
	res, err := s.Play()
	if err != nil {
		return err
	}
	return corpus.Check(res)
}
