//go:build controls

package topology_test

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"callstitch/processor/stitch"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// story is a rule of the protocol, taken away, in the scenario where its
// absence shows soonest.
type story struct {
	name       string
	scenario   topologytest.Scenario
	draw       func(seed uint64, calls int, span time.Duration) *topologytest.Corpus
	calls      int
	span       time.Duration
	disorder   time.Duration
	timestamps time.Duration // resolution
	ahead      time.Duration // by which some records are dated
	compared   bool          // only the records themselves show it
	settled    bool          // only what has settled shows it
}

// Each rule of the protocol is there because runs go wrong without it. A suite
// that did not notice its absence would prove nothing, so each is taken away
// here once, and the adversary must notice within 500 seeds.
func TestStories(t *testing.T) {
	for _, s := range stories() {
		t.Run(s.name, s.mustBeNoticed)
	}
}

func (s *story) mustBeNoticed(t *testing.T) {
	for seed := range topologytest.Seeds(500) {
		if err := s.play(seed); err != nil {
			t.Logf("noticed: %v", err)
			return
		}
	}
	t.Error("not noticed")
}

func stories() []story {
	return []story{
		{
			name: "messages are not acknowledged",
			scenario: topologytest.Scenario{
				Partitions: 7, Workers: 4, Sources: 3, Faults: topologytest.Hostile, OnStitch: topology.IgnoreFlight,
			},
		},
		{
			name: "a take-over does not wait for what the last owner sent",
			scenario: topologytest.Scenario{
				Partitions: 7, Workers: 4, Sources: 3, Faults: topologytest.Hostile, OnStitch: topology.IgnoreEnds,
			},
		},
		{
			name: "a take-over waits for the last stable offsets only",
			scenario: topologytest.Scenario{
				Partitions: 2, Workers: 6, Sources: 1,
				Faults: topologytest.Faults{Lag: 0.3, Stall: 0.2, CrashHidden: 1, StableEnds: true},
			},
			span: 3 * time.Second, disorder: 50 * time.Millisecond,
		},
		{
			name: "an event's trig is its arrival",
			scenario: topologytest.Scenario{
				Partitions: 16, Workers: 4, Sources: 2,
				Faults:   topologytest.Faults{Lag: 0.01, Stall: 0.02, Abort: 0.02},
				OnStitch: topology.TrigFromArrival,
			},
			span: 20 * time.Second, disorder: 5 * time.Second,
		},
		{
			name: "of a task's clocks the largest counts",
			scenario: topologytest.Scenario{
				Partitions: 5, Workers: 6, Sources: 1,
				Faults:   topologytest.Faults{Lag: 0.05, Stall: 0.2, CrashAfter: 0.05},
				OnStitch: topology.LargestClock,
			},
			calls: 20, span: 10 * time.Second, disorder: time.Second,
		},
		{
			// With trig beyond the clock this rule is the second line of defence;
			// it is tested where no partition is idle and trig is the arrival.
			name:     "a busy partition vouches for its latest arrival",
			scenario: busy(topology.VouchForLatest),
			disorder: time.Second, timestamps: 200 * time.Millisecond,
		},
		{
			name:     "events are handed over while others are under way",
			scenario: handingOver(topology.HandOverAtOnce),
			disorder: time.Second,
		},
		{
			name:     "how far a partition is goes another way than its events",
			scenario: handingOver(topology.EventsOnly),
			disorder: time.Second,
		},
		{
			name: "a partition's clock follows each record",
			scenario: topologytest.Scenario{
				Partitions: 3, Workers: 2, Sources: 2, Faults: topologytest.Hostile, OnDecode: topology.FollowAtOnce,
			},
			ahead: 59 * time.Minute,
		},
		{
			name: "a partition is called idle because it was once",
			scenario: topologytest.Scenario{
				Partitions: 3, Workers: 2, Sources: 3,
				Faults: topologytest.Faults{Pause: 0.2, Leap: 0.005, StaleIdle: true},
			},
		},
	}
}

func handingOver(plant func(*topology.Worker)) topologytest.Scenario {
	return topologytest.Scenario{
		Partitions: 7, Workers: 3, Sources: 3, Faults: topologytest.Hostile, HandOver: true, Hold: 0.5, OnWorker: plant,
	}
}

func busy(plant func(*topology.DecodeTask)) topologytest.Scenario {
	return topologytest.Scenario{
		Partitions: 7, Workers: 4, Sources: 1, Busy: true,
		Faults:   topologytest.Faults{Lag: 0.05, Pause: 0.02, Stall: 0.1},
		OnStitch: topology.TrigFromArrival, OnDecode: plant,
	}
}

// Where no partition is idle, the arrival is a good trig as long as partitions
// vouch only for what lies before their latest arrival.
func TestBusyWithoutTrigRule(t *testing.T) {
	s := story{scenario: busy(nil), disorder: time.Second, timestamps: 200 * time.Millisecond}
	for seed := range topologytest.Seeds(100) {
		if err := s.play(seed); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *story) play(seed uint64) error {
	sc := s.scenario
	sc.Seed = seed
	draw := s.draw
	if draw == nil {
		draw = topologytest.Calls
	}
	corpus := draw(seed, cmp.Or(s.calls, 12), cmp.Or(s.span, 6*time.Second))
	if s.timestamps > 0 {
		corpus.Coarse(s.timestamps)
	}
	sc.Records = corpus.Shuffle(seed, sc.Sources, cmp.Or(s.disorder, disorder), 0.1)
	if s.ahead > 0 {
		sc.Records = topologytest.Ahead(sc.Records, 5, s.ahead)
	}
	res, err := sc.Play()
	if err != nil {
		return err
	}
	if err := corpus.Check(res); err != nil {
		return err
	}
	if s.settled {
		return res.CheckSettled()
	}
	if !s.compared {
		return nil
	}
	return compare(corpus, sc.Stitch, res)
}

// compare holds the sessions against those of the same messages in order.
func compare(corpus *topologytest.Corpus, cfg stitch.Config, res *topologytest.Result) error {
	inOrder, err := topologytest.Memory(1, cmp.Or(cfg, topologytest.Short), corpus.Shuffle(1, 1, 0, 0))
	if err != nil {
		return err
	}
	if d := gocmp.Diff(inOrder.Sessions.Canonical(), res.Sessions.Canonical()); d != "" {
		return fmt.Errorf("sessions differ (-in order +adversary):\n%s", d)
	}
	return nil
}
