package memory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/topology"
	"callstitch/topology/memory"
	"callstitch/topology/topologytest"
)

// Whoever looks on sees every event's outcome and every leg's session, and
// changes no output.
func TestLookingChangesNothing(t *testing.T) {
	for seed := range topologytest.Seeds(5) {
		records := topologytest.Calls(seed, 40, time.Hour).Shuffle(seed, 4, time.Minute, 0.2)
		want, plain := run(t, config(7, topologytest.Short, 1), records)

		var got []string
		var runtime *memory.Runtime
		outcomes, legs := map[stitch.Outcome]int64{}, map[call.LegID]bool{}
		look := func() {
			runtime.Session(call.LegID{1}) // nobody's
			for leg := range legs {
				runtime.Session(leg)
			}
		}
		cfg := config(7, topologytest.Short, 1)
		cfg.Trace = func(s topology.Step) {
			outcomes[s.Outcome]++
			legs[s.Event.Leg] = true
		}
		runtime = memory.New(cfg, func(o topology.Output) {
			got = append(got, fmt.Sprintf("%d %s %s", o.Sink(), o.Key, text(o.Value)))
		})
		for i, rec := range records {
			rec.Offset = int64(i)
			if err := runtime.Process(rec.Record); err != nil {
				t.Fatal(err)
			}
			look()
		}
		if err := runtime.Close(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("seed %d: outputs differ:\n%s", seed, d)
		}
		if got, want := runtime.Nodes(), plain.Nodes(); got != want {
			t.Errorf("seed %d: %d nodes, not %d", seed, got, want)
		}
		total := runtime.Totals()
		if outcomes[stitch.Accepted] != total.Accepted || outcomes[stitch.Duplicate] != total.Duplicate || total.Duplicate == 0 {
			t.Errorf("seed %d: told %v of %+v", seed, outcomes, total)
		}
	}
}

// Each leg of a session leads to it, also where it is not published.
func TestSessionOfALeg(t *testing.T) {
	records := topologytest.Calls(3, 40, time.Hour).Shuffle(3, 4, time.Minute, 0.2)
	last := topologytest.Last{}
	r := memory.New(config(7, production, 10), func(o topology.Output) {
		if s, ok := o.Value.(*call.Session); ok {
			last.Put(s)
		}
	})
	if s := r.Session(call.LegID{1}); s != nil {
		t.Errorf("a session %s before any record", s.ID)
	}
	for _, rec := range records {
		if err := r.Process(rec.Record); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	several := 0
	for id, s := range last {
		if s.State == call.StateSuperseded {
			continue
		}
		for _, l := range s.Legs {
			if got := r.Session(l.ID); got == nil || got.ID != id || got.LegCount != s.LegCount {
				t.Errorf("leg %s of session %s: %+v", l.ID, id, got)
			}
		}
		if len(s.Legs) > 1 {
			several++
		}
	}
	if several == 0 {
		t.Error("no session of several legs")
	}
}

// Time goes on without records, and no further than it is told to.
func TestAdvance(t *testing.T) {
	const arrival = 1_700_000_000_000
	var states []call.RecordState
	r := memory.New(config(2, production, 100), func(o topology.Output) {
		if s, ok := o.Value.(*call.Session); ok {
			states = append(states, s.State)
		}
	})
	if err := r.Advance(arrival); err != nil || len(states) > 0 {
		t.Fatalf("without a record: %v, %v", states, err)
	}
	err := r.Process(topology.Record{Topic: "call.raw", Timestamp: arrival, Value: []byte(
		`{"eventType":"disconnect","callId":"c-1","direction":"outbound","from":"+15550100101","to":"+15550100102",` +
			`"startTime":"2023-11-14T22:13:00.000Z","endTime":"2023-11-14T22:13:20.000Z","cause":"hangup"}`,
	)})
	if err != nil {
		t.Fatal(err)
	}
	grace := call.Arrival(production.Grace.Milliseconds())
	for _, step := range []struct {
		to   call.Arrival
		want []call.RecordState
	}{{arrival + grace - 1, nil}, {arrival + grace, []call.RecordState{call.StateFinal}}} {
		states = nil
		if err := r.Advance(step.to); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(step.want, finals(states)); d != "" {
			t.Errorf("after %d ms: %s", step.to-arrival, d)
		}
	}
}

func finals(states []call.RecordState) (final []call.RecordState) {
	for _, s := range states {
		if s == call.StateFinal {
			final = append(final, s)
		}
	}
	return final
}
