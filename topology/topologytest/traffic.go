package topologytest

import (
	"time"

	"callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/processor/stitch"
)

// Minutes are time-outs for Traffic, whose calls last for minutes: longer than any
// silence in one of them, with a retention that no run of days exceeds.
var Minutes = stitch.Config{
	Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 30 * time.Minute,
	Retention: 48 * time.Hour, StubRetention: time.Hour, Partial: true, Legs: true,
}

// Traffic is calls of all providers as the simulator draws and tells them, one
// every two seconds. All records count as NewEvent of call 0, which they are not:
// Check holds for them, Account does not.
func Traffic(seed uint64, calls int) *Corpus {
	sim := simulator.New(simulator.Config{
		Seed: seed, Calls: calls, Rate: 0.5, Transfers: 0.4, Tenants: 2, Start: time.UnixMilli(Start),
	})
	c := &Corpus{}
	for r, ok := sim.Next(); ok; r, ok = sim.Next() {
		m := Message{Timestamp: r.Timestamp, Value: r.Value}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, call.Header{Key: h.Key, Value: h.Value})
		}
		c.Records = append(c.Records, m)
	}
	for _, t := range sim.Truth() {
		provider, _ := call.ParseProvider(t.Provider)
		c.expect(t.Tenant, provider, t.CallIDs)
	}
	return c
}
