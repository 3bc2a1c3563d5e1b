package simulator_test

import (
	"testing"

	"callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/memory"
)

// No record appears under an id that is absorbed in the same breath: with every
// raw record a commit of its own and PARTIAL revisions on, there are hardly more
// session ids than calls. Without the publishing gate each leg of a linked call
// would have one.
func TestOneIDForACall(t *testing.T) {
	cfg := config(5)
	cfg.Stitch.Partial, cfg.BatchRecords = true, 1
	ids, records := map[call.LegID]bool{}, 0
	rt := memory.New(cfg, func(o topology.Output) {
		if s, ok := o.Value.(*call.Session); ok {
			ids[s.ID] = true
			records++
		}
	})
	const calls = 2000
	s := simulator.New(simulator.Config{Seed: 5, Calls: calls, Disorder: 0.1, Duplicates: 0.1, Transfers: 0.1})
	for offset := int64(0); ; offset++ {
		r, ok := s.Next()
		if !ok {
			break
		}
		rec := topology.Record{Topic: rawTopic, Offset: offset, Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			rec.Headers = append(rec.Headers, call.Header{Key: h.Key, Value: h.Value})
		}
		if err := rt.Process(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	ratio := float64(len(ids)) / calls
	t.Logf("%.3f session ids and %.1f records a call", ratio, float64(records)/calls)
	if ratio > 1.1 {
		t.Errorf("%.3f session ids a call, at most 1.1 are allowed", ratio)
	}
}
