package kafka

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"callstitch/deploy/localkafka"
	"callstitch/topology/topologytest"
)

// BenchmarkBacklog measures how fast one instance with two workers reads a
// backlog, from start to the last event committed, against Apache Kafka on this
// machine. Events per second are the figure; run it alone.
func BenchmarkBacklog(b *testing.B) {
	cluster := localkafka.Shared(b)
	records := topologytest.Calls(1, 12_000, 10*time.Minute).Shuffle(1, 8, time.Second, 0.12)
	for i := range b.N {
		cfg := testConfig(b, cluster.Brokers())
		cfg.ExchangePartitions, cfg.Workers = 16, 2
		cfg.Config = named(cfg.Config, b.Name()+"-"+string(rune('a'+i))+"-"+strings.ToLower(time.Now().Format("150405")))
		cfg.Log = slog.New(slog.DiscardHandler)
		createSource(b, cfg, 8)
		feed(b, cfg, onTopic(cfg, records))
		b.ResetTimer()
		begun := time.Now()
		r := startRun(b, cfg)
		for events(r.status) < int64(len(records)) {
			time.Sleep(10 * time.Millisecond)
		}
		b.ReportMetric(float64(len(records))/time.Since(begun).Seconds(), "events/s")
		b.StopTimer()
		if err := r.stop(b); err != nil {
			b.Fatal(err)
		}
	}
}

// events is the number of events that stitch tasks have processed.
func events(s *Status) (n int64) {
	for _, t := range s.Snapshot().Tasks {
		n += t.Counts.Accepted + t.Counts.Duplicate + t.Counts.Conflicting + t.Counts.Late
	}
	return n
}
