package kafka

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/deploy/localkafka"
	"callstitch/processor/stitch"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// TestUpgrade starts this program where an earlier one was killed: on its topics, with
// its state, and with the offsets that it had committed. Whatever is written here in
// full, and not by a function of the program, is a form that must stay readable.
func TestUpgrade(t *testing.T) {
	r, err := topologytest.LoadRecording()
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t, localkafka.Shared(t).Brokers())
	cfg.Config = named(cfg.Config, t.Name())
	cfg.Sources[0].Topic = r.Records[0].Topic // it is part of the recorded state
	cfg.ExchangePartitions = int32(len(r.Exchange))
	cfg.Stitch = stitch.Config{
		Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
		Retention: 24 * time.Hour, StubRetention: 72 * time.Hour, Partial: true, Legs: true,
	}
	leave(t, cfg, r)

	running := startRun(t, cfg)
	awaitRecording(t, cfg, r, 30*time.Second)
	awaitBalance(t, cfg, len(r.Records), 20*time.Second) // of what the earlier program read too
	if err := running.stop(t); err != nil {
		t.Fatal(err)
	}
	awaitRecording(t, cfg, r, time.Second) // nothing else came
	for _, topic := range []string{cfg.Sources[0].Topic, cfg.ExchangeTopic()} {
		if m := committedFor(t, cfg, topology.TopicPartition{Topic: topic}); !strings.Contains(m.Metadata, topic+"=") {
			t.Errorf("the offset of %s does not say which topic it belongs to: %q", topic, m.Metadata)
		}
	}
}

// leave makes the brokers what they were when the earlier program was killed. Once
// all records are read, the clocks leap from their time to the brokers', since idle
// partitions go by that: everything that is still open falls due at once.
func leave(t *testing.T, cfg Config, r *topologytest.Recording) {
	t.Helper()
	createSource(t, cfg, int32(len(r.Sources)))
	exchange, changelog := cfg.ApplicationID+"-exchange-repartition", cfg.ApplicationID+"-stitch-changelog"
	adm := kadm.NewClient(client(t, cfg))
	defer adm.Close()
	for topic, config := range map[string]map[string]*string{
		exchange: {
			"cleanup.policy": kadm.StringPtr("delete"), "retention.ms": kadm.StringPtr("-1"), "retention.bytes": kadm.StringPtr("-1"),
			"message.timestamp.type": kadm.StringPtr("LogAppendTime"), "max.message.bytes": kadm.StringPtr("4194304"),
		},
		changelog: {"cleanup.policy": kadm.StringPtr("compact")},
	} {
		if _, err := adm.CreateTopic(t.Context(), int32(len(r.Exchange)), 1, config, topic); err != nil {
			t.Fatal(err)
		}
	}

	var records []*kgo.Record
	add := func(topic string, partition int, kv topologytest.RecordedKV) {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(partition), Key: kv.Key, Value: kv.Value})
	}
	// committed is what the earlier program wrote beside an offset: who it was, how
	// far the changelog was, and the state of a decode task.
	committed := make(kadm.Offsets)
	commit := func(topic string, partition int, at, changelog int64, task string) {
		committed.Add(kadm.Offset{
			Topic: topic, Partition: int32(partition), At: at, LeaderEpoch: -1,
			Metadata: fmt.Sprintf("1 %s-killed-0 %d %s", cfg.ApplicationID, changelog, task),
		})
	}
	for p, of := range r.Exchange {
		for range of.Position { // what was consumed is never read, but the positions in the state are of these offsets
			add(exchange, p, topologytest.RecordedKV{Value: []byte("consumed")})
		}
		for _, kv := range of.Waiting {
			add(exchange, p, kv)
		}
		for _, kv := range of.Changelog {
			add(changelog, p, kv)
		}
		commit(exchange, p, of.Position, int64(len(of.Changelog)), "")
	}
	for p, of := range r.Sources {
		commit(cfg.Sources[0].Topic, p, of.Offset, 0, of.Metadata)
	}
	for _, rec := range r.Records {
		records = append(records, toKafka(rec))
	}
	produce(t, cfg, records)
	if err := adm.CommitAllOffsets(t.Context(), cfg.ApplicationID, committed); err != nil {
		t.Fatal(err)
	}
}

// awaitRecording waits until the sessions are those of the recording, but for those
// that the earlier program had closed.
func awaitRecording(t *testing.T, cfg Config, r *topologytest.Recording, within time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(300 * time.Millisecond) {
		got := canonicalOf(goneOn(t, cfg))
		unexpected := slices.ContainsFunc(got, func(s string) bool { return !slices.Contains(r.Sessions, s) })
		if !unexpected && len(got) == len(r.Sessions)-r.Closed {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v, %d having been closed before: %s", within, r.Closed, difference(got, r.Sessions))
		}
	}
}

// goneOn are the last session records of the topic. It fails the test where one does
// not follow the one before; the first follows what the earlier program published.
func goneOn(t *testing.T, cfg Config) map[string]map[string]any {
	t.Helper()
	last := map[string]map[string]any{}
	for _, s := range decoded(t, cfg, cfg.Topics.Sessions, schemas.Sessions) {
		id := s["session_id"].(string)
		if old := last[id]; old != nil && s["revision"].(float64) != old["revision"].(float64)+1 {
			t.Errorf("session %s: revision %v follows %v", id, s["revision"], old["revision"])
		}
		last[id] = s
	}
	return last
}
