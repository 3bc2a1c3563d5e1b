//go:build controls

package topology_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/stitch"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// The rules that the nodes keep, each taken away once. Two of them show only
// where sessions are published without waiting for the session clock.
func TestMachineStories(t *testing.T) {
	for _, s := range []story{
		{name: "ABSORB forgets what was published", scenario: machine(stitch.Control{ForgetPublished: true})},
		{
			name:     "the first event names the session",
			scenario: paced(machine(stitch.Control{FirstEvent: true})),
			draw:     traffic, calls: 80, disorder: 30 * time.Second, compared: true,
		},
		{name: "what an aborted transaction touched stays decoded", scenario: machine(stitch.Control{KeepTouched: true})},
		{name: "an abort does not wake what its transaction had woken", scenario: machine(stitch.Control{SleepOn: true})},
		{
			name: "a short way between the tasks of a worker, without the gate",
			scenario: topologytest.Scenario{
				Partitions: 7, Workers: 2, Sources: 3, Faults: topologytest.Hostile,
				OnStitch: topology.PlantIn(stitch.Control{NoGate: true}), ShortWay: topology.ShortWay,
			},
		},
		{
			name: "a root tells legs to come to it directly, without the gate",
			scenario: topologytest.Scenario{
				Partitions: 7, Workers: 4, Sources: 1, Faults: topologytest.Faults{Lag: 0.02},
				OnStitch: topology.PlantIn(stitch.Control{NoGate: true, ShortCut: true}),
			},
			draw: topologytest.Trees, span: 2 * time.Second, disorder: 2 * time.Second,
		},
		{
			name:     "sessions close and settle by the leg clock",
			scenario: settlingWith(stitch.Control{ByLegClock: true}, time.Minute), settled: true,
		},
		{
			name:     "an amendment does not move on when a session settles",
			scenario: settlingWith(stitch.Control{SettleEarly: true}, time.Minute), settled: true,
		},
		{
			name:     "ABSORB forgets what has settled",
			scenario: settlingWith(stitch.Control{ForgetSettled: true}, hasty.Grace),
		},
	} {
		t.Run(s.name, s.mustBeNoticed)
	}
}

func settlingWith(c stitch.Control, after time.Duration) topologytest.Scenario {
	s := settling(after)
	s.OnStitch = topology.PlantIn(c)
	return s
}

func machine(c stitch.Control) topologytest.Scenario {
	return topologytest.Scenario{
		Partitions: 7, Workers: 4, Sources: 3, Faults: topologytest.Hostile, OnStitch: topology.PlantIn(c),
	}
}

// The gate only spares records: without it the sessions come out the same.
func TestWithoutGate(t *testing.T) {
	s := story{scenario: machine(stitch.Control{NoGate: true}), compared: true}
	for seed := range topologytest.Seeds(50) {
		if err := s.play(seed); err != nil {
			t.Fatal(err)
		}
	}
}

// Where the timer decides what is late, a replay differs from the live run.
func TestReplayNoticesLateByTimer(t *testing.T) {
	for seed := range topologytest.Seeds(20) {
		slow, fast := twice(t, seed, days(seed), topologytest.Short.Retention, 6*time.Minute, topology.PlantIn(stitch.Control{LateByTimer: true}))
		if cmp.Diff(slow.Sessions.Canonical(), fast.Sessions.Canonical()) != "" ||
			cmp.Diff(published(slow.Events), published(fast.Events)) != "" {
			return
		}
	}
	t.Error("not noticed")
}

func traffic(seed uint64, calls int, _ time.Duration) *topologytest.Corpus {
	return topologytest.Traffic(seed, calls)
}
