package kafka

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"callstitch/processor/call"
	"callstitch/schemas"
	"callstitch/topology/topologytest"
)

// decoded are the values of a topic, in the order of each partition.
func decoded(t *testing.T, cfg Config, topic string, subject schemas.Subject) (values []map[string]any) {
	t.Helper()
	reader, err := schemas.NewReader(subject.Schema())
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range readRecords(t, cfg, topic) {
		_, avro, err := schemas.ParseFrame(rec.Value)
		if err != nil {
			t.Fatal(err)
		}
		text, err := reader.AppendJSON(nil, avro)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, parseSession(t, text))
	}
	return values
}

// published are the last session records of the topic, as any consumer reads
// them: it fails the test where a revision is there twice or out of order.
func published(t *testing.T, cfg Config) map[string]map[string]any {
	t.Helper()
	last := map[string]map[string]any{}
	for _, s := range decoded(t, cfg, cfg.Topics.Sessions, schemas.Sessions) {
		id := s["session_id"].(string)
		revision, before := s["revision"].(float64), 0.0
		if old := last[id]; old != nil {
			before = old["revision"].(float64)
		}
		if revision != before+1 {
			t.Errorf("session %s: revision %v follows %v", id, revision, before)
		}
		last[id] = s
	}
	return last
}

// awaitBooks waits until the books cover the whole input, and compares them with
// the events that were published.
func awaitBooks(t *testing.T, cfg Config, records int, within time.Duration) {
	t.Helper()
	want := awaitBalance(t, cfg, records, within)
	if n := len(readRecords(t, cfg, cfg.Topics.Events)); float64(n) != want {
		t.Errorf("%d events were published, the books hold %v", n, want)
	}
}

// awaitBalance waits until the books cover the whole input. What it returns is how
// many events must have been published.
func awaitBalance(t *testing.T, cfg Config, records int, within time.Duration) (events float64) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		books := map[string]map[string]any{}
		for _, b := range decoded(t, cfg, cfg.Topics.Audit, schemas.Audit) {
			books[fmt.Sprint(b["topic"], b["partition"])] = b
		}
		sum := func(fields ...string) (n float64) {
			for _, b := range books {
				for _, f := range fields {
					n += b[f].(float64)
				}
			}
			return n
		}
		switch {
		case sum("read") == float64(records):
			if sum("events") != sum("accepted", "duplicate", "conflicting", "late") {
				t.Errorf("the books are out of balance: %v", books)
			}
			return sum("accepted", "late")
		case time.Now().After(deadline):
			t.Fatalf("after %v the books cover %v of %d records", within, sum("read"), records)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

func parseSession(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var s map[string]any
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// canonicalOf are the canonical sessions, as topologytest.Canonical has them.
func canonicalOf(sessions map[string]map[string]any) []string {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(sessions)) {
		if s := sessions[id]; s["record_state"] != call.StateSuperseded.String() {
			all = append(all, topologytest.CanonicalFields(s))
		}
	}
	return all
}

// reference is what must be published in the end.
func reference(t *testing.T, records []topologytest.Raw) []string {
	t.Helper()
	return inMemory(t, records).Canonical()
}

// awaitPublished polls the topic until it holds the reference.
func awaitPublished(t *testing.T, cfg Config, want []string, within time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		got := canonicalOf(published(t, cfg))
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %s", within, difference(got, want))
		}
		time.Sleep(300 * time.Millisecond)
	}
}
