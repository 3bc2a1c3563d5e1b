package kafka

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology/topologytest"
)

// setLimit sets how large a record a topic takes.
func setLimit(t testing.TB, cfg Config, topic string, limit int) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	adm, want := kadm.NewClient(cl), strconv.Itoa(limit)
	resp, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &want}}, topic)
	if err == nil {
		err = resp[0].Err
	}
	for err == nil { // brokers learn of it a moment later
		var configs map[string]map[string]string
		if configs, err = topicConfigs(t.Context(), adm, []string{topic}); configs[topic]["max.message.bytes"] == want {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal(err)
}

// makeTopics makes what a start would make.
func makeTopics(t testing.TB, cfg Config) {
	t.Helper()
	cl := client(t, cfg, kgo.MetadataMinAge(10*time.Millisecond)) // else what was just made is not seen for a while
	defer cl.Close()
	cfg = cfg.withDefaults()
	if err := createTopics(t.Context(), kadm.NewClient(cl), cfg.topicSpecs()); err != nil {
		t.Fatal(err)
	}
}

// A reject fits whatever the topic takes, at the start and when its limit is lowered
// under traffic; where it takes less than what says why, the run ends.
func TestRejectsFollowTheTopicsLimit(t *testing.T) {
	cfg := apache(t, 1)
	makeTopics(t, cfg)
	setLimit(t, cfg, cfg.Topics.Rejects, 40_000)
	records := onTopic(cfg, topologytest.Calls(41, 40, 20*time.Second).Shuffle(41, 1, 2*time.Second, 0.2))
	want := inMemory(t, records).Canonical()
	noise := rand.NewChaCha8([32]byte{41}) // what can be compressed fits anywhere
	bad := func(n, key, header int) *kgo.Record {
		b := make([]byte, n+key+header)
		noise.Read(b)
		return &kgo.Record{
			Topic: cfg.Sources[0].Topic, Timestamp: time.UnixMilli(1), Value: b[:n], Key: b[n:][:key],
			Headers: []kgo.RecordHeader{{Key: "h", Value: b[n+key:]}},
		}
	}
	first := []*kgo.Record{bad(900_000, 10, 10), bad(39_000, 10, 10), bad(100, 30_000, 30_000), bad(39_900, 0, 0), bad(500_000, 300_000, 100_000)}
	produce(t, cfg, first)
	feed(t, cfg, records)
	r := startRun(t, cfg)
	awaitPublished(t, cfg, want, 20*time.Second)
	setLimit(t, cfg, cfg.Topics.Rejects, rejectLeast)
	second := []*kgo.Record{bad(30_000, 10, 10), bad(10, 10, 10)}
	produce(t, cfg, second)
	awaitBooks(t, cfg, len(records)+len(first)+len(second), 20*time.Second)
	sent := append(first, second...)
	rejects := readRecords(t, cfg, cfg.Topics.Rejects)
	if len(rejects) != len(sent) {
		t.Fatalf("%d of %d records were rejected", len(rejects), len(sent))
	}
	for _, rec := range rejects {
		h := headersOf(rec)
		offset, _ := strconv.Atoi(h["__streams.errors.offset"])
		of := sent[offset%len(records)]
		sum := sha256.Sum256(of.Value)
		whole := h["callstitch.length"] == "" && bytes.Equal(rec.Value, of.Value)
		cut := h["callstitch.length"] == strconv.Itoa(len(of.Value)) && h["callstitch.sha256"] == hex.EncodeToString(sum[:]) && bytes.HasPrefix(of.Value, rec.Value)
		if !whole && !cut || h["callstitch.reason"] != "MALFORMED_JSON" {
			t.Errorf("offset %d: %d of %d bytes, headers %.300v", offset, len(rec.Value), len(of.Value), h)
		}
	}

	setLimit(t, cfg, cfg.Topics.Rejects, 300)
	produce(t, cfg, []*kgo.Record{bad(30_000, 0, 0)})
	endsWithMismatch(t, r, cfg.Topics.Rejects)
}

// endsWithMismatch waits for a run that ends because of a topic.
func endsWithMismatch(t *testing.T, r *run, topic string) {
	t.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		if !errors.Is(err, ErrTopicMismatch) || !strings.Contains(err.Error(), topic+" takes") {
			t.Errorf("the run ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the run goes on")
	}
}

// A topic that takes less than the largest record that may go there is refused by check
// and start, and ends a run whose records it refuses.
func TestTopicsThatTakeTooLittle(t *testing.T) {
	cfg := apache(t, 1)
	makeTopics(t, cfg)
	full := cfg.withDefaults()
	for _, s := range full.topicSpecs() {
		setLimit(t, cfg, s.name, int(s.least)-1)
		if err := runFor(t, cfg, 20*time.Second); !errors.Is(err, ErrTopicMismatch) || !strings.Contains(err.Error(), s.name) || !strings.Contains(err.Error(), fmt.Sprint("at least ", s.least)) {
			t.Errorf("%s: %v", s.name, err)
		}
		found := false
		for _, f := range Examine(t.Context(), cfg) {
			found = found || f.Err != nil && strings.Contains(f.Err.Error(), s.name)
		}
		if !found {
			t.Errorf("nothing is found wrong with %s", s.name)
		}
		setLimit(t, cfg, s.name, int(s.least))
	}
	records := onTopic(cfg, topologytest.Calls(42, 40, 20*time.Second).Shuffle(42, 1, 2*time.Second, 0.2))
	half := len(records) / 2
	feed(t, cfg, records[:half])
	r := startRun(t, cfg)
	awaitBooks(t, cfg, half, 20*time.Second)
	setLimit(t, cfg, cfg.ChangelogTopic(), 300)
	feed(t, cfg, records[half:])
	endsWithMismatch(t, r, cfg.ChangelogTopic())

	setLimit(t, cfg, cfg.ChangelogTopic(), recordMaxBytes) // nothing was lost
	r = startRun(t, cfg)
	awaitPublished(t, cfg, inMemory(t, records).Canonical(), 20*time.Second)
	awaitBooks(t, cfg, len(records), 20*time.Second)
	if err := r.stop(t); err != nil {
		t.Error(err)
	}
}

// secretLimit is that of a topic that this user may not ask for.
type secretLimit int32

// sends is what becomes of a record in the end: the limits that were tried.
func (b secretLimit) sends(l *limits, topic string, record int32) (tried []int32, err error) {
	for range 40 {
		limit := l.of(topic)
		tried = append(tried, limit)
		bytes := record
		if topic == l.cfg.Topics.Rejects {
			bytes = min(record, limit)
		}
		batch := limit // of many records
		if bytes > limit {
			batch = bytes
		}
		if bytes <= limit && batch <= int32(b) {
			return tried, nil
		}
		if err := l.guess(&tooLargeError{topic, bytes, kerr.MessageTooLarge}); err != nil {
			return tried, err
		}
	}
	return tried, errors.New("it never ends")
}

// A limit that this user may not ask for is found, or the run ends.
func TestLimitsAreLearnt(t *testing.T) {
	cfg := Config{Config: testTopology(1)}
	for _, c := range []struct {
		topic         string
		limit, record int32
		fits          bool
	}{
		{"call.events", 1_000_012, 5_000, true},
		{"call.events", 300_000, 5_000, true},
		{"call.events", 4_000, 5_000, false},
		{"call.sessions", 4 << 20, 1_700_000, true},
		{"call.sessions", 1_000_012, 1_700_000, false},
		{"call.rejects", 8 << 20, 8 << 20, true},
		{"call.rejects", 50_000, 8 << 20, true},
		{"call.rejects", 4_500, 8 << 20, true},
		{"call.rejects", 1_000, 8 << 20, false},
	} {
		tried, err := secretLimit(c.limit).sends(newLimits(&cfg, nil), c.topic, c.record)
		if (err == nil) != c.fits || err != nil && !errors.Is(err, ErrTopicMismatch) {
			t.Errorf("%d bytes to %s, which takes %d: tried %d, %v", c.record, c.topic, c.limit, tried, err)
		}
	}
}
