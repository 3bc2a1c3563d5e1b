package main

import (
	"iter"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/memory"
)

// benchTraffic is what every benchmark of whole calls reads: all providers
// mixed, 12 % of the records twice.
var benchTraffic = simulator.Config{Seed: 1, Calls: 5_000, Rate: 10, Duplicates: 0.12, Disorder: 0.05, Transfers: 0.1, Tenants: 3, DiscardTruth: true}

// benchTopology is a topology with the defaults of `run`.
var benchTopology = topology.Config{
	ApplicationID: "bench", Sources: []topology.Source{{Topic: rawTopic}}, ExchangePartitions: 16,
	Stitch: stitch.Config{
		Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
		Retention: 24 * time.Hour, StubRetention: 72 * time.Hour, Partial: true,
	},
}

func benchRecords() []topology.Record { return slices.Collect(simulated(benchTraffic)) }

// simulated is the traffic of a simulator, in one partition.
func simulated(traffic simulator.Config) iter.Seq[topology.Record] {
	return func(yield func(topology.Record) bool) {
		sim := simulator.New(traffic)
		for offset := int64(0); ; offset++ {
			r, more := sim.Next()
			if !more {
				return
			}
			rec := rawRecord(rawTopic, r)
			rec.Offset = offset
			if !yield(rec) {
				return
			}
		}
	}
}

// BenchmarkProcess is everything but Kafka on one core: records are decoded,
// stitched and encoded as Avro, 1,000 to a commit. An operation is the whole
// traffic; cpu-ns/event is the process's CPU time, which a busy machine
// disturbs less than the clock.
func BenchmarkProcess(b *testing.B) {
	records := benchRecords()
	var events int64
	var value []byte
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		rt := memory.New(memory.Config{Config: benchTopology}, func(o topology.Output) {
			if _, avro := schemas.Of(o.Value); avro {
				value, _ = schemas.AppendAvro(schemas.AppendFrame(value[:0], 1), o.Value)
			}
		})
		processAll(b, rt, slices.Values(records))
		events += rt.Totals().Events
	}
	n := float64(events)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/event")
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/n, "cpu-ns/event")
	b.ReportMetric(n/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRetained is the memory that each further leg takes for as long as it is
// kept: its node, its timer and its share of the session; and what is left of it after
// its retention, which is its id. It is the difference between few calls and many, so that
// what a processor takes without any is not in it.
func BenchmarkRetained(b *testing.B) {
	// Calls of days, of which all but the last hours are past their retention.
	days, short := benchTraffic, benchTopology
	days.Rate = 0.2
	short.Stitch.AnsweredTimeout, short.Stitch.Retention = 5*time.Minute, time.Hour
	for b.Loop() {
		b.ReportMetric(retainedALeg(b, benchTopology, benchTraffic), "B/leg")
		b.ReportMetric(retainedALeg(b, short, days), "B/stub")
	}
}

func retainedALeg(b *testing.B, cfg topology.Config, traffic simulator.Config) float64 {
	b.Helper()
	few, fewLegs := retained(b, cfg, traffic, 10_000)
	many, manyLegs := retained(b, cfg, traffic, 40_000)
	return float64(many-few) / float64(manyLegs-fewLegs)
}

// retained is the heap that a processor holds after so many calls, and their legs.
func retained(b *testing.B, cfg topology.Config, traffic simulator.Config, calls int) (bytes int64, legs int) {
	traffic.Calls = calls
	before := heap()
	seen := map[call.LegID]bool{}
	rt := memory.New(memory.Config{Config: cfg}, func(o topology.Output) {
		if e, ok := o.Value.(*call.EventRecord); ok {
			seen[e.Leg] = true
		}
	})
	processAll(b, rt, simulated(traffic))
	legs, seen = len(seen), nil
	bytes = heap() - before
	runtime.KeepAlive(rt)
	return bytes, legs
}

func processAll(b *testing.B, rt *memory.Runtime, records iter.Seq[topology.Record]) {
	for r := range records {
		if err := rt.Process(r); err != nil {
			b.Fatal(err)
		}
	}
}

// heap is what is reachable, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
