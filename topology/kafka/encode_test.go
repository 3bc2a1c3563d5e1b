package kafka

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/topology"
)

func rejectEncoder(limit int) *encoder {
	cfg := &Config{}
	cfg.Topics.Rejects = "call.rejects"
	return &encoder{cfg: cfg, rejects: &rejectRules{limit: limit}}
}

func headersOf(rec *kgo.Record) map[string]string {
	m := map[string]string{}
	for _, h := range rec.Headers {
		m[h.Key] += string(h.Value)
	}
	return m
}

func TestRejectKeepsTheRecord(t *testing.T) {
	rec, err := rejectEncoder(rejectsMaxBytes).record(topology.Output{Value: &call.Reject{
		Reason: call.RejectMalformedJSON, Detail: "unexpected end at byte 3",
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
		"callstitch.reason": "MALFORMED_JSON", "callstitch.timestamp": "1772442000123",
	}
	if diff := cmp.Diff(want, headersOf(rec)); diff != "" {
		t.Error(diff)
	}
}

// TestRejectOutlivesItsRecord: the topic counts its retention from the date that a reject
// has, so one of an old record has that of its writing.
func TestRejectOutlivesItsRecord(t *testing.T) {
	week := dates{before: math.MaxInt64, after: time.Hour, kept: 7 * 24 * time.Hour}
	for name, c := range map[string]struct {
		dates dates
		now   bool
		age   time.Duration
		want  bool // it has the date of its record
	}{
		"of just now":            {week, false, time.Minute, true},
		"of yesterday":           {week, false, 24 * time.Hour, true},
		"that would soon go":     {week, false, 6 * 24 * time.Hour, false},
		"from before all":        {week, false, 300 * 24 * time.Hour, false},
		"kept for ever":          {dates{math.MaxInt64, time.Hour, math.MaxInt64}, false, 300 * 24 * time.Hour, true},
		"dated far ahead":        {week, false, -2 * time.Hour, false},
		"of a topic not known":   {dates{}, false, 300 * 24 * time.Hour, true},
		"after one was refused":  {dates{}, true, time.Minute, false},
		"the same, where known,": {week, true, time.Minute, false},
	} {
		e, at := rejectEncoder(rejectsMaxBytes), time.Now().Add(-c.age).UnixMilli()
		e.rejects.dates, e.rejects.now = c.dates, c.now
		rec := e.reject(&call.Reject{Reason: call.RejectMalformedJSON, Timestamp: at})
		if got := !rec.Timestamp.IsZero(); got != c.want || got && rec.Timestamp.UnixMilli() != at {
			t.Errorf("%s: it is dated %v", name, rec.Timestamp)
		}
		if headersOf(rec)["callstitch.timestamp"] != strconv.FormatInt(at, 10) {
			t.Errorf("%s: it does not say when its record was", name)
		}
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
			rec, err := rejectEncoder(limit).record(topology.Output{Value: &c.reject})
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
