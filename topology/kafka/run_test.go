package kafka

import (
	"testing"
	"time"

	"callstitch/topology/topologytest"
)

func TestSessionsOfOneInstance(t *testing.T) {
	cluster := fakeKafka(t)
	cfg := testConfig(t, cluster.ListenAddrs())
	cfg.Workers = 2
	corpus := topologytest.Calls(1, 40, 20*time.Second).Noise(1, 12)
	records := corpus.Shuffle(1, 4, 2*time.Second, 0.2)
	want := inMemory(t, records).Canonical()
	feed(t, cfg, records)

	got := newCollector()
	cfg.OnCommit = got.take
	r := startRun(t, cfg)
	got.await(t, want, 30*time.Second)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	if n := len(readRecords(t, cfg, cfg.Topics.Sessions)); n != len(got.revision) {
		t.Errorf("the topic holds %d session records, %d were reported", n, len(got.revision))
	}
}
