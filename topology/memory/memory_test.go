package memory_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/memory"
	"callstitch/topology/topologytest"
)

// run plays records, and gives every output as a line in the order in which it
// was handed out.
func run(t *testing.T, cfg memory.Config, records []topologytest.Raw) (lines []string, runtime *memory.Runtime) {
	t.Helper()
	r := memory.New(cfg, func(o topology.Output) {
		lines = append(lines, fmt.Sprintf("%d %s %s", o.Sink(), o.Key, text(o.Value)))
	})
	for i, rec := range records {
		rec.Offset = int64(i)
		if err := r.Process(rec.Record); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return lines, r
}

func text(v call.Output) string {
	if r, ok := v.(*call.Reject); ok {
		return fmt.Sprintf("%s %s %s %v", r.Reason, r.Key, r.Value, r.Headers)
	}
	return string(schemas.AppendJSON(nil, v))
}

func config(partitions int32, cfg stitch.Config, batch int) memory.Config {
	return memory.Config{Config: topology.Config{ExchangePartitions: partitions, Stitch: cfg}, BatchRecords: batch}
}

// What was handed out stays as it was, whatever is folded later: legs stay decoded, and
// a runtime writes records while the next events are taken.
func TestWhatWasHandedOutStays(t *testing.T) {
	for seed := range topologytest.Seeds(3) {
		records := topologytest.Traffic(seed, 60).Shuffle(seed, 2, time.Minute, 0.2)
		var values []call.Output
		var then []string
		r := memory.New(config(3, topologytest.Minutes, 20), func(o topology.Output) {
			values, then = append(values, o.Value), append(then, text(o.Value))
		})
		for i, rec := range records {
			rec.Offset = int64(i)
			if err := r.Process(rec.Record); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if now := text(v); now != then[i] {
				t.Fatalf("seed %d: what was handed out has changed:\nthen %s\nnow  %s", seed, then[i], now)
			}
		}
	}
}

// The same input gives the same output, byte for byte and in the same order.
func TestDeterministic(t *testing.T) {
	for seed := range topologytest.Seeds(5) {
		records := topologytest.Calls(seed, 100, time.Hour).Noise(seed, 8).Shuffle(seed, 4, time.Minute, 0.2)
		cfg := topologytest.Short
		first, _ := run(t, config(7, cfg, 20), records)
		second, _ := run(t, config(7, cfg, 20), records)
		if d := cmp.Diff(first, second); d != "" {
			t.Fatalf("seed %d: two runs differ:\n%s", seed, d)
		}
	}
}

// P1 and P2: neither order, nor repetition, nor partitions, nor the size of
// batches change the last record of a session.
func TestSameSessions(t *testing.T) {
	for seed := range topologytest.Seeds(10) {
		sameSessions(t, seed, topologytest.Calls(seed, 60, time.Hour))
		sameSessions(t, seed, topologytest.Traffic(seed, 60))
	}
}

func sameSessions(t *testing.T, seed uint64, corpus *topologytest.Corpus) {
	t.Helper()
	var want []string
	for i, partitions := range []int32{1, 2, 7, 32} {
		records := corpus.Shuffle(uint64(i), partitions, time.Duration(i)*time.Hour, 0.3*float64(min(i, 1)))
		res, err := topologytest.Memory(partitions, production, records)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := corpus.Check(res); err != nil {
			t.Fatalf("seed %d, %d partitions: %v", seed, partitions, err)
		}
		got := res.Sessions.Canonical()
		if want == nil {
			want = got
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("seed %d, %d partitions: sessions differ:\n%s", seed, partitions, d)
		}
	}
}

// Raw lines have no timestamps and no offsets in a topic; the order of lines
// does not matter either.
func TestRawLines(t *testing.T) {
	for seed := range topologytest.Seeds(10) {
		corpus := topologytest.Calls(seed, 60, time.Hour)
		sessions := func(order uint64) []string {
			last := topologytest.Last{}
			r := memory.New(config(4, production, 0), func(o topology.Output) {
				if s, ok := o.Value.(*call.Session); ok {
					last.Put(s)
				}
			})
			for _, rec := range corpus.Shuffle(order, 1, time.Duration(order)*time.Hour, 0) {
				rec.Topic, rec.Timestamp = "file", 0
				if err := r.Process(rec.Record); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			return last.Canonical()
		}
		inOrder := sessions(0)
		if d := cmp.Diff(inOrder, sessions(1)); d != "" {
			t.Fatalf("seed %d: sessions differ:\n%s", seed, d)
		}
		if len(inOrder) != len(corpus.Calls) {
			t.Errorf("seed %d: %d sessions of %d calls", seed, len(inOrder), len(corpus.Calls))
		}
	}
}

// With batches of one record and PARTIAL revisions, every line can show what it
// changed; the last records stay the same.
func TestBatchOfOne(t *testing.T) {
	corpus := topologytest.Calls(1, 30, time.Hour)
	records := corpus.Shuffle(1, 1, time.Second, 0)
	last := func(batch int, partial bool) (topologytest.Last, int) {
		cfg := production
		cfg.Partial = partial
		sessions, n := topologytest.Last{}, 0
		r := memory.New(config(4, cfg, batch), func(o topology.Output) {
			if s, ok := o.Value.(*call.Session); ok {
				sessions.Put(s)
				n++
			}
		})
		for _, rec := range records {
			if err := r.Process(rec.Record); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		return sessions, n
	}
	one, many := last(1, true)
	all, few := last(1000, false)
	if d := cmp.Diff(all.Canonical(), one.Canonical()); d != "" {
		t.Errorf("sessions differ:\n%s", d)
	}
	if few != len(corpus.Calls) || many < 2*few {
		t.Errorf("%d records with PARTIAL, %d without, of %d calls", many, few, len(corpus.Calls))
	}
}

// A partition that ends, or that begins late, does not stop the time of the
// others: what is old is freed.
func TestMemoryIsBounded(t *testing.T) {
	records := topologytest.Calls(1, 3000, 30*24*time.Hour).Shuffle(1, 1, time.Second, 0)
	cfg := production
	cfg.StubRetention = time.Hour
	r := memory.New(config(4, cfg, 50), func(topology.Output) {})
	most := 0
	for i, rec := range records {
		switch {
		case i < 10:
			rec.Partition = 1 // ends here
		case i > len(records)/2 && i < len(records)/2+10:
			rec.Partition = 2 // begins and ends here
		}
		if err := r.Process(rec.Record); err != nil {
			t.Fatal(err)
		}
		most = max(most, r.Nodes())
	}
	if most == 0 || most > 1200 {
		t.Errorf("%d nodes were held of the calls of 30 days, where 2 days have some 700", most)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// The caller's buffer may be reused: a reject keeps the bytes of its record.
func TestBufferIsReused(t *testing.T) {
	var rejects []*call.Reject
	r := memory.New(config(1, production, 10), func(o topology.Output) {
		if reject, ok := o.Value.(*call.Reject); ok {
			rejects = append(rejects, reject)
		}
	})
	buffer := make([]byte, 0, 64)
	for i := range 3 {
		buffer = fmt.Appendf(buffer[:0], "{bad %d", i)
		header := call.Header{Key: "tenant", Value: buffer[1:4]}
		if err := r.Process(topology.Record{Topic: "t", Offset: int64(i), Key: buffer, Value: buffer, Headers: []call.Header{header}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for i, reject := range rejects {
		want := fmt.Sprintf("{bad %d", i)
		if string(reject.Value) != want || string(reject.Key) != want || string(reject.Headers[0].Value) != "bad" {
			t.Errorf("reject %d: %s %s", i, reject.Key, reject.Value)
		}
	}
	if len(rejects) != 3 || r.Totals().Rejected != 3 {
		t.Errorf("%d rejects, totals %+v", len(rejects), r.Totals())
	}
}

// A topic that no source names is decoded as the first source is.
func TestUnknownTopic(t *testing.T) {
	cfg := config(1, production, 0)
	cfg.Sources = []topology.Source{{Topic: "raw", Provider: call.Stringee, Tenant: "acme"}}
	value := []byte(`{"call_status":"ended","call_id":"call-vn-1-A-1","event_id":"e","timestamp_ms":1772442000000,"project_id":1}`)
	lines, r := run(t, cfg, []topologytest.Raw{{Record: topology.Record{Topic: "other", Value: value}}})
	if !strings.Contains(strings.Join(lines, "\n"), `"tenant_id":"acme"`) {
		t.Errorf("%s", strings.Join(lines, "\n"))
	}
	if a := r.Totals(); a.Accepted != 1 || !a.Balanced() {
		t.Errorf("totals %+v", a)
	}
}

// An input without a single record has nothing to say.
func TestNothing(t *testing.T) {
	lines, r := run(t, config(3, production, 0), nil)
	if len(lines) != 0 || r.Totals() != (call.Audit{}) {
		t.Errorf("%q, totals %+v", lines, r.Totals())
	}
	if lines, _ := run(t, config(3, production, 0), []topologytest.Raw{{Record: topology.Record{Topic: "t"}}}); len(lines) != 1 ||
		!bytes.Contains([]byte(lines[0]), []byte(`"ignored":1`)) {
		t.Errorf("one null record: %q", lines)
	}
}

// A session that was looked at, and had not changed, is looked at again when
// something else comes: here a second, different hang-up after a repeated one.
func TestReviewAfterReviewWithoutChange(t *testing.T) {
	const start = 1_772_442_000_000
	hangup := func(id, duration string) string {
		return fmt.Sprintf(`{"messageType":"notification","notificationType":"callHungUpEvent","notification":{
			"date":"2026-03-02 09:00:00","callId":%q,"callerFlowId":"f-%s","calleeFlowId":"g-%s","duration":%q}}`, id, id, id, duration)
	}
	last := topologytest.Last{}
	r := memory.New(config(1, production, 1), func(o topology.Output) {
		if s, ok := o.Value.(*call.Session); ok {
			last.Put(s)
		}
	})
	for i, m := range []struct {
		second int64
		value  string
	}{
		{0, hangup("1.1", "1")},
		{60, hangup("2.1", "1")},
		{61, hangup("1.1", "1")},
		{120, hangup("3.1", "1")},
		{121, hangup("1.1", "2")},
	} {
		err := r.Process(topology.Record{
			Topic: "t", Offset: int64(i), Timestamp: start + m.second*1000, Value: []byte(m.value),
			Headers: []call.Header{{Key: "provider", Value: []byte("sonetel")}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	s := last[call.NewLegID("default", call.Sonetel, "", "1.1")]
	if s == nil || s.Revision != 2 || s.CloseReason != call.ClosedTimeout || !s.EndLost {
		t.Errorf("the second hang-up, which tells of a transfer, did not reach the session: %+v", s)
	}
}
