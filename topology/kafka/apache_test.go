package kafka

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"

	"callstitch/deploy/localkafka"
	"callstitch/topology/topologytest"
)

// apache is a configuration for the shared Apache Kafka broker, with topics of
// its own.
func apache(t *testing.T, sources int32) Config {
	t.Helper()
	cfg := testConfig(t, localkafka.Shared(t).Brokers())
	cfg.Config = named(cfg.Config, t.Name())
	createSource(t, cfg, sources)
	return cfg
}

func createSource(t testing.TB, cfg Config, partitions int32) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	resp, err := kadm.NewClient(cl).CreateTopic(t.Context(), partitions, max(cfg.Output.ReplicationFactor, 1), map[string]*string{"retention.ms": kadm.StringPtr("-1")}, cfg.Sources[0].Topic)
	if err == nil {
		err = resp.Err
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestHandOver has one worker, two, and one again, while records come in. A worker that
// has all tasks sends no event through the exchange; two send each other what is the
// other's, and what is under way when tasks move is overtaken by nothing.
func TestHandOver(t *testing.T) {
	cfg := apache(t, 4)
	registry := prometheus.NewRegistry()
	cfg.Registerer = registry
	records := onTopic(cfg, topologytest.Calls(5, 150, 30*time.Second).Shuffle(5, 4, 2*time.Second, 0.2))
	want := reference(t, records)
	part := func(i int) []topologytest.Raw { return records[i*len(records)/3 : (i+1)*len(records)/3] }

	feed(t, cfg, part(0))
	startRun(t, cfg)
	awaitBalance(t, cfg, len(part(0)), 30*time.Second)
	if n := handed(t, registry); n["exchange"] != 0 || n["memory"] == 0 {
		t.Errorf("a worker that has all tasks handed over %v events", n)
	}

	other := cfg
	other.InstanceID, other.Registerer = "other", nil
	second := startRun(t, other)
	feed(t, cfg, part(1)[:len(part(1))/2]) // while tasks move
	for !second.status.Snapshot().Ready() {
		time.Sleep(20 * time.Millisecond)
	}
	feed(t, cfg, part(1)[len(part(1))/2:])
	awaitBalance(t, cfg, len(part(0))+len(part(1)), 30*time.Second)
	if n := handed(t, registry); n["exchange"] == 0 {
		t.Errorf("of two workers one handed over %v events: none for the other", n)
	}

	if err := second.stop(t); err != nil {
		t.Fatal(err)
	}
	feed(t, cfg, part(2))
	awaitPublished(t, cfg, want, 30*time.Second)
	awaitBooks(t, cfg, len(records), 20*time.Second)
}

// handed is how many events went which way.
func handed(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	ways := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "callstitch_events_total" {
				ways[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return ways
}

func TestApacheKafka(t *testing.T) {
	cfg := apache(t, 4)
	cfg.Workers = 2
	records := onTopic(cfg, topologytest.Calls(2, 100, 20*time.Second).Noise(2, 12).Shuffle(2, 4, 2*time.Second, 0.2))
	want := inMemory(t, records).Canonical()
	feed(t, cfg, records)
	got := newCollector()
	cfg.OnCommit = got.take
	r := startRun(t, cfg)
	got.await(t, want, 20*time.Second)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	awaitPublished(t, cfg, want, 10*time.Second) // a commit is answered before all of it can be read
	if n := len(readRecords(t, cfg, cfg.Topics.Sessions)); n != len(got.revision) {
		t.Errorf("the topic holds %d session records, %d were reported", n, len(got.revision))
	}
}
