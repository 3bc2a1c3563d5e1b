package kafka

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/topology"
)

func rejectEncoder(limit int) *encoder {
	cfg := &Config{}
	cfg.Topics.Rejects = "call.rejects"
	return &encoder{cfg: cfg, rejectLimit: limit}
}

func headersOf(rec *kgo.Record) map[string]string {
	m := map[string]string{}
	for _, h := range rec.Headers {
		m[h.Key] += string(h.Value)
	}
	return m
}

func TestRejectKeepsTheRecord(t *testing.T) {
	rec, err := rejectEncoder(rejectsMaxBytes).record(topology.Output{Sink: topology.Rejects, Value: &call.Reject{
		Reason: call.MalformedJSON, Detail: "unexpected end at byte 3",
		Source:    call.Source{Topic: "call.raw", Partition: 2, Offset: 17},
		Timestamp: 1_772_442_000_123, Key: []byte("key"), Value: []byte(`{"x`),
		Headers: []call.Header{{Key: "tenant", Value: []byte("acme")}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if rec.Topic != "call.rejects" || string(rec.Key) != "key" || string(rec.Value) != `{"x` || rec.Timestamp.UnixMilli() != 1_772_442_000_123 {
		t.Errorf("key, value or timestamp changed: %+v", rec)
	}
	want := map[string]string{
		"tenant": "acme", "__streams.errors.topic": "call.raw", "__streams.errors.partition": "2", "__streams.errors.offset": "17",
		"__streams.errors.exception": "callstitch.Rejected", "__streams.errors.message": "unexpected end at byte 3",
		"callstitch.reason": "MALFORMED_JSON",
	}
	if diff := cmp.Diff(want, headersOf(rec)); diff != "" {
		t.Error(diff)
	}
}

func TestRejectAlwaysFits(t *testing.T) {
	big := bytes.Repeat([]byte("v"), 3<<20)
	sum := sha256.Sum256(big)
	for name, c := range map[string]struct {
		reject  call.Reject
		dropped string
	}{
		"value":             {call.Reject{Key: []byte("k"), Value: big}, ""},
		"value and headers": {call.Reject{Key: []byte("k"), Value: big, Headers: []call.Header{{Key: "h", Value: big}}}, "headers"},
		"everything":        {call.Reject{Key: big, Value: big, Headers: []call.Header{{Key: "h", Value: big}}}, "headerskey"},
	} {
		t.Run(name, func(t *testing.T) {
			const limit = 1 << 20
			rec, err := rejectEncoder(limit).record(topology.Output{Sink: topology.Rejects, Value: &c.reject})
			if err != nil {
				t.Fatal(err)
			}
			if size(rec) > limit {
				t.Errorf("%d bytes do not fit into %d", size(rec), limit)
			}
			h := headersOf(rec)
			if len(rec.Value) != 64<<10 || h["callstitch.length"] != "3145728" || h["callstitch.sha256"] != hex.EncodeToString(sum[:]) {
				t.Errorf("kept %d bytes, headers %v", len(rec.Value), h)
			}
			if h["callstitch.dropped"] != c.dropped {
				t.Errorf("dropped %q, want %q", h["callstitch.dropped"], c.dropped)
			}
		})
	}
}

func TestPartitioner(t *testing.T) {
	p := partitioner{internal: [2]string{"exchange", "changelog"}}
	if got := p.ForTopic("exchange").Partition(&kgo.Record{Partition: 5, Key: []byte("k")}, 8); got != 5 {
		t.Errorf("an exchange record goes to %d, want 5", got)
	}
	for _, key := range []string{"a", "21f1a0b6", "leg"} {
		want := topology.Partition([]byte(key), 8)
		if got := p.ForTopic("call.events").Partition(&kgo.Record{Key: []byte(key)}, 8); int32(got) != want {
			t.Errorf("key %q goes to %d, want %d", key, got, want)
		}
	}
}

func TestMetadataRoundTrip(t *testing.T) {
	for _, m := range []metadata{
		{},
		{owner: "app-one-0", changelog: 123, task: "1 2 3 4"},
		{owner: "app-one-0"},
	} {
		got, err := parseMetadata(m.String())
		if err != nil || got != m {
			t.Errorf("%q became %+v, %v", m.String(), got, err)
		}
	}
	if m, err := parseMetadata(""); err != nil || m != (metadata{}) {
		t.Errorf("a seeded offset: %+v, %v", m, err)
	}
	if _, err := parseMetadata("2 something new"); !errors.Is(err, ErrNewerState) {
		t.Errorf("a newer form: %v", err)
	}
	if _, err := parseMetadata("1 owner x"); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("a foreign form: %v", err)
	}
}

func TestIdle(t *testing.T) {
	p := &partition{topicPartition: topicPartition{"call.raw", 3}, position: 10}
	at := func(end int64) *observation {
		return &observation{heard: 99, ends: map[topicPartition]int64{p.topicPartition: end}}
	}
	for name, c := range map[string]struct {
		seen   *observation
		paused bool
		want   bool
	}{
		"all read":          {at(10), false, true},
		"one record more":   {at(11), false, false},
		"paused":            {at(10), true, false},
		"no answer":         {nil, false, false},
		"not in the answer": {&observation{heard: 99}, false, false},
	} {
		if got := c.seen.idle(p, c.paused); got != c.want {
			t.Errorf("%s: idle is %v", name, got)
		}
	}
}
