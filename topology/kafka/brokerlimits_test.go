package kafka

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// TestTimesThatBrokersRefuse asks for sessions and transactions that the brokers do not
// allow. No restart mends that, so the run ends and says what would.
func TestTimesThatBrokersRefuse(t *testing.T) {
	cfg := apache(t, 2)
	session, transaction := cfg, cfg
	session.SessionTimeout = 500 * time.Millisecond // group.min.session.timeout.ms is a second here
	transaction.TransactionTimeout = time.Hour      // transaction.max.timeout.ms is a quarter of that
	refused(t, session, kerr.InvalidSessionTimeout, "group.min.session.timeout.ms", "sessions 15s")
	refused(t, transaction, kerr.InvalidTransactionTimeout, "transaction.max.timeout.ms", "transactions need 10s")
}

// TestRejectsOfAnotherTime rejects records that are older than call.rejects takes, from
// the beginning on, and since somebody changed it, or to which it gives a time of its own.
// They keep theirs in a header.
func TestRejectsOfAnotherTime(t *testing.T) {
	bound := map[string]string{"message.timestamp.before.max.ms": "86400000"}
	for name, test := range map[string]struct {
		config  map[string]string
		changed bool
	}{
		"made so":        {bound, false},
		"changed":        {bound, true},
		"of its writing": {map[string]string{"message.timestamp.type": "LogAppendTime"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := apache(t, 2)
			cl := client(t, cfg)
			defer cl.Close()
			records := onTopic(cfg, topologytest.Calls(71, 20, 5*time.Second).Noise(71, 60).Shuffle(71, 2, time.Second, 0))
			half := 0
			if !test.changed {
				config := map[string]*string{}
				for key, value := range test.config {
					config[key] = &value
				}
				if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 2, 1, config, cfg.Topics.Rejects); err != nil {
					t.Fatal(err)
				}
			}
			r := startRun(t, cfg)
			if test.changed {
				half = len(records) / 10
				feed(t, cfg, records[:half])
				awaitBalance(t, cfg, half, 20*time.Second)
				alter(t, cfg, cfg.Topics.Rejects, test.config)
			}
			feed(t, cfg, records[half:])
			awaitPublished(t, cfg, reference(t, records), 30*time.Second)
			awaitBooks(t, cfg, len(records), 20*time.Second)
			orderly(t, r)

			sent := map[string]bool{}
			for _, rec := range records {
				sent[fmt.Sprintf("%d %s", rec.Timestamp, rec.Value)] = true
			}
			dated := 0
			for _, rec := range readRecords(t, cfg, cfg.Topics.Rejects) {
				for _, h := range rec.Headers {
					if h.Key != "callstitch.timestamp" {
						continue
					}
					if string(h.Value) != fmt.Sprint(rec.Timestamp.UnixMilli()) {
						dated++
					}
					if !sent[fmt.Sprintf("%s %s", h.Value, rec.Value)] {
						t.Errorf("no record was of %s with the value of a reject that says so", h.Value)
					}
				}
			}
			if dated == 0 {
				t.Error("no reject has another time than its record")
			}
		})
	}
}

// TestChangelogLostItsBeginning deletes the first half of the changelog, as a retention
// does that somebody has set and taken back, under a restart and under a take-over.
func TestChangelogLostItsBeginning(t *testing.T) {
	for name, running := range map[string]bool{"while stopped": false, "under a take-over": true} {
		t.Run(name, func(t *testing.T) {
			cfg := apache(t, 2)
			records := onTopic(cfg, topologytest.Calls(72, 20, 5*time.Second).Shuffle(72, 2, time.Second, 0))
			feed(t, cfg, records)
			r := startRun(t, cfg)
			awaitBooks(t, cfg, len(records), 20*time.Second)
			if !running {
				orderly(t, r)
			}
			behead(t, cfg, cfg.ChangelogTopic())
			second := cfg
			second.InstanceID = "two"
			refused(t, second, ErrLostOffsets, cfg.ChangelogTopic(), "state was deleted")
		})
	}
}

// behead deletes the first half of a compacted topic.
func behead(t *testing.T, cfg Config, topic string) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	ends, err := adm.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	halves := make(kadm.Offsets)
	ends.Each(func(o kadm.ListedOffset) { halves.AddOffset(o.Topic, o.Partition, o.Offset/2, -1) })
	alter(t, cfg, topic, map[string]string{"cleanup.policy": "delete"})
	deleted, err := adm.DeleteRecords(t.Context(), halves)
	if err == nil {
		err = deleted.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	alter(t, cfg, topic, map[string]string{"cleanup.policy": "compact"})
}

// TestInternalTopicsGetPartitions adds partitions to the exchange, and to the changelog
// too, under traffic. Nobody sends anything there, but they are assigned like others.
func TestInternalTopicsGetPartitions(t *testing.T) {
	for name, both := range map[string]bool{"the exchange": false, "both": true} {
		t.Run(name, func(t *testing.T) {
			cfg := apache(t, 2)
			records := onTopic(cfg, topologytest.Calls(73, 20, 5*time.Second).Shuffle(73, 2, time.Second, 0))
			feed(t, cfg, records)
			r := startRun(t, cfg)
			awaitBooks(t, cfg, len(records), 20*time.Second)
			cl := client(t, cfg)
			defer cl.Close()
			topics := []string{cfg.ExchangeTopic()}
			if both {
				topics = []string{cfg.ChangelogTopic(), cfg.ExchangeTopic()}
			}
			for _, topic := range topics {
				if _, err := kadm.NewClient(cl).UpdatePartitions(t.Context(), 6, topic); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case err := <-r.done:
				r.done <- nil
				endedWith(t, err, ErrTopicMismatch, cfg.ExchangeTopic(), "has got more than the 4 partitions")
			case <-time.After(20 * time.Second):
				t.Fatal("it went on")
			}
		})
	}
}

// TestTwoApplicationsOfOneName runs two applications whose names of themselves make one
// transactional id. They fence each other, and say which name it is; nothing is lost, and
// the one that is left goes on.
func TestTwoApplicationsOfOneName(t *testing.T) {
	cfg := apache(t, 2)
	records := onTopic(cfg, topologytest.Calls(74, 20, 5*time.Second).Shuffle(74, 2, time.Second, 0))
	feed(t, cfg, records)
	log := new(warnings)
	one, two := cfg, cfg
	one.InstanceID = "eu-1"
	two.ApplicationID, two.InstanceID = cfg.ApplicationID+"-eu", "1"
	two.Topics = named(cfg.Config, two.ApplicationID).Topics
	two.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	startRun(t, one)
	other := startRun(t, two)
	name := "transactional id " + cfg.ApplicationID + "-eu-1-0"
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(log.text(), name); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not say %q:\n%s", name, log.text())
		}
	}
	orderly(t, other)
	awaitPublished(t, one, reference(t, records), 30*time.Second)
	awaitBooks(t, one, len(records), 20*time.Second)
}

// TestMetadataIsSmall writes the longest metadata: brokers take 4,096 bytes by default, and
// a commit with more would be refused for ever.
func TestMetadataIsSmall(t *testing.T) {
	cfg := testConfig(t, nil)
	cfg.ApplicationID = strings.Repeat("a", 228) // a topic's name has 249 bytes at most
	cfg.Stitch.Generation = math.MaxInt32
	source, exchange := seeded(&cfg, topology.TopicPartition{Topic: cfg.Sources[0].Topic}, math.MaxInt64), seeded(&cfg, topology.TopicPartition{Topic: cfg.ExchangeTopic()}, math.MaxInt64)
	for _, m := range []metadata{source, exchange} {
		m.owner = identity{instance: strings.Repeat("i", 253)}.worker(cfg.ApplicationID) // a pod's name
		m.changelog = math.MaxInt64
		if m.task != "" {
			m.task = "1" + strings.Repeat(" 9223372036854775807", 7)
		}
		if n := len(m.String()); n > 1024 {
			t.Errorf("%d bytes: %s", n, m)
		}
	}
}
