package memory_test

import (
	"testing"
	"time"

	"callstitch/processor/stitch"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/memory"
	"callstitch/topology/topologytest"
)

var production = stitch.Config{
	Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
	Retention: 24 * time.Hour, StubRetention: 72 * time.Hour,
}

// BenchmarkProcess is a day of calls in one pass: decoding, stitching, and
// encoding the sessions; an operation is a raw record.
func BenchmarkProcess(b *testing.B) {
	records := topologytest.Calls(1, 5_000, 24*time.Hour).Shuffle(1, 1, time.Second, 0.1)
	var bytes, n int64
	for _, r := range records {
		bytes += int64(len(r.Value))
	}
	b.ReportAllocs()
	b.SetBytes(bytes / int64(len(records)))
	var line []byte
	for b.Loop() {
		r := memory.New(memory.Config{Config: topology.Config{ExchangePartitions: 8, Stitch: production}},
			func(o topology.Output) {
				if o.Sink() == topology.Sessions {
					line = schemas.AppendJSON(line[:0], o.Value)
				}
			})
		for i, rec := range records {
			rec.Offset = int64(i)
			if err := r.Process(rec.Record); err != nil {
				b.Fatal(err)
			}
			n++
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
}
