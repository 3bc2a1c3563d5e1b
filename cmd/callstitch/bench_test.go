package main

import (
	"runtime"
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

func benchRecords() []topology.Record { return recordsOf(benchTraffic) }

func recordsOf(traffic simulator.Config) (records []topology.Record) {
	sim := simulator.New(traffic)
	for r, ok := sim.Next(); ok; r, ok = sim.Next() {
		rec := rawRecord(rawTopic, r)
		rec.Offset = int64(len(records))
		records = append(records, rec)
	}
	return records
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
		processAll(b, rt, records)
		events += rt.Totals().Events
	}
	n := float64(events)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/event")
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/n, "cpu-ns/event")
	b.ReportMetric(n/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRetained is the memory that one more leg takes for as long as it is kept:
// its node, its timer and its share of the session. What is kept decoded has a bound,
// which is reached before.
func BenchmarkRetained(b *testing.B) {
	traffic := benchTraffic
	traffic.Calls = 24_000
	records := recordsOf(traffic)
	half := len(records) / 2
	for b.Loop() {
		legs := map[call.LegID]bool{}
		rt := memory.New(memory.Config{Config: benchTopology}, func(o topology.Output) {
			if e, ok := o.Value.(*call.EventRecord); ok {
				legs[e.Leg] = true
			}
		})
		processAll(b, rt, records[:half])
		seen, before := len(legs), heap()
		processAll(b, rt, records[half:])
		more, after := len(legs)-seen, heap()
		b.ReportMetric(float64(after-before)/float64(more), "B/leg")
		runtime.KeepAlive(rt)
		runtime.KeepAlive(legs)
	}
}

func processAll(b *testing.B, rt *memory.Runtime, records []topology.Record) {
	for _, r := range records {
		if err := rt.Process(r); err != nil {
			b.Fatal(err)
		}
	}
}

// heap is what is reachable, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
