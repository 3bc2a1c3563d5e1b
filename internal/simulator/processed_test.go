package simulator_test

import (
	"bytes"
	"flag"
	"fmt"
	"testing"
	"time"

	"callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/memory"
)

var (
	calls = flag.Int("calls", 1500, "calls in each traffic that is processed")
	seed  = flag.Uint64("seed", 11, "seed of the traffic that is processed")
)

const (
	rawTopic      = "call.raw"
	rawPartitions = 4
)

func config(exchange int32) memory.Config {
	return memory.Config{Config: topology.Config{
		ApplicationID:      "callstitch",
		Sources:            []topology.Source{{Topic: rawTopic}},
		Topics:             topology.Topics{Events: "call.events", Sessions: "call.sessions", Legs: "call.legs", Rejects: "call.rejects", Audit: "call.audit"},
		ExchangePartitions: exchange,
		Stitch: stitch.Config{
			Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
			Retention: 24 * time.Hour, StubRetention: 72 * time.Hour,
		},
	}}
}

// result is what became of a traffic.
type result struct {
	sessions bytes.Buffer // NDJSON
	truth    []simulator.Truth
	counts   simulator.Counts
	rejects  map[string]int64
	audit    call.Audit
}

// process runs a traffic through the topology, its records spread over
// partitions by key as a producer would.
func process(t *testing.T, traffic simulator.Config, exchange int32) *result {
	t.Helper()
	res := &result{rejects: map[string]int64{}}
	rt := memory.New(config(exchange), res.take)
	s := simulator.New(traffic)
	var offsets [rawPartitions]int64
	for {
		r, ok := s.Next()
		if !ok {
			break
		}
		p := topology.Partition(r.Key, rawPartitions)
		rec := topology.Record{Topic: rawTopic, Partition: p, Offset: offsets[p], Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
		offsets[p]++
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
	res.truth, res.counts, res.audit = s.Truth(), s.Counts(), rt.Totals()
	return res
}

func (res *result) take(o topology.Output) {
	switch v := o.Value.(type) {
	case *call.Session:
		res.sessions.Write(schemas.AppendJSON(nil, v))
		res.sessions.WriteByte('\n')
	case *call.Reject:
		res.rejects[v.Reason.String()]++
	}
}

// What was drawn is what comes out, field by field, whatever happens to the
// records on the way.
func TestTruthComesOut(t *testing.T) {
	for name, traffic := range map[string]simulator.Config{
		"plain":      {},
		"transfers":  {Transfers: 0.6},
		"duplicates": {Duplicates: 0.3},
		"disorder":   {Disorder: 0.5, Duplicates: 0.2, Transfers: 0.3},
		"loss":       {Loss: 0.05, Disorder: 0.2, Transfers: 0.3},
		"everything": {Duplicates: 0.1, Disorder: 0.2, Loss: 0.02, Garbage: 0.03, Transfers: 0.3, Tenants: 20},
	} {
		for _, exchange := range []int32{1, 7} {
			t.Run(fmt.Sprintf("%s over %d partitions", name, exchange), func(t *testing.T) {
				traffic.Seed, traffic.Calls, traffic.Rate = *seed, *calls, 20
				res := process(t, traffic, exchange)
				r, err := simulator.Compare(res.truth, &res.sessions)
				if err != nil {
					t.Fatal(err)
				}
				if !r.OK() {
					t.Error(r.String())
				}
			})
		}
	}
}

// The books agree with what was sent.
func TestEverythingIsAccountedFor(t *testing.T) {
	res := process(t, simulator.Config{Seed: 12, Calls: *calls, Garbage: 0.05, Duplicates: 0.1, Tenants: 5}, 3)
	ignored, rejected := int64(0), int64(0)
	for _, n := range res.counts.Ignored {
		ignored += n
	}
	for reason, n := range res.counts.Rejected {
		rejected += n
		if res.rejects[reason] != n {
			t.Errorf("%d rejects with %s, sent %d", res.rejects[reason], reason, n)
		}
	}
	a := res.audit
	if a.Read != res.counts.Records || a.Ignored != ignored || a.Rejected != rejected || !a.Balanced() {
		t.Errorf("sent %d records, of them ignored %d, rejected %d; books say %+v", res.counts.Records, ignored, rejected, a)
	}
}
