package kafka

import (
	"testing"
	"time"

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
