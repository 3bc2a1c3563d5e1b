package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"callstitch/cmd/callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/memory"
)

// explained is the story that is told of a question.
func explained(t *testing.T, e evidence, q question) string {
	t.Helper()
	e.cfg = memory.Config{Config: benchTopology, BatchRecords: batchRecords}
	e.cfg.Topics.Sessions = "call.sessions"
	var out bytes.Buffer
	if err := newExplanation(newPaper(&out), q, relate(e, q), false).tell(e); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// disconnect is a raw hang-up of call c-1.
func disconnect(partition int32, offset, at int64) topology.Record {
	return topology.Record{
		Topic: rawTopic, Partition: partition, Offset: offset, Timestamp: at,
		Value: []byte(`{"eventType":"disconnect","callId":"c-1","direction":"outbound","from":"+15550100101","to":"+15550100102",` +
			`"startTime":"2024-02-20T10:00:00.000Z","endTime":"2024-02-20T10:00:30.000Z","cause":"hangup"}`),
	}
}

// From a broker, the clock goes on between two records as it did in the run that
// is explained: a record that comes after grace amends, and records of several
// partitions are told in the order of their arrival.
func TestExplainWaitsAsARunDoes(t *testing.T) {
	arrival := time.Date(2024, 2, 20, 10, 0, 30, 0, time.UTC).UnixMilli()
	late := arrival + 60_000
	recording := topology.Record{Topic: rawTopic, Partition: 0, Offset: 7, Timestamp: late, Value: []byte(
		`{"eventType":"recordingAvailable","eventTime":"2024-02-20T10:01:30.000Z","callId":"c-1","recordingId":"r-1","status":"complete",` +
			`"direction":"outbound","from":"+15550100101","to":"+15550100102","startTime":"2024-02-20T10:00:00.000Z"}`,
	)}
	e := evidence{where: "3 raw records", through: late + 60_000}
	for _, r := range []topology.Record{
		recording,
		disconnect(0, 8, arrival), // behind the recording in its partition, so it arrives no earlier
		disconnect(1, 3, arrival),
	} {
		if err := e.pile.add(r); err != nil {
			t.Fatal(err)
		}
	}
	e.pile.merge()
	story := explained(t, e, question{id: "c-1"})
	at := -1
	for _, want := range []string{
		": 3 of 3 raw records\n",
		"call.raw 1 3  disconnect → CALL_ENDED  leg 1 (c-1): accepted\n",
		": FINAL\n",
		"call.raw 0 7  recordingAvailable complete → RECORDING_AVAILABLE  leg 1: accepted, late: the wait for its leg was over\n",
		": FINAL, amended: RECORDING\n",
		"call.raw 0 8  disconnect → CALL_ENDED  leg 1: duplicate of call.raw 1 3, a leg does this once\n    changes nothing\n",
		"FINAL, closed NORMAL: ",
	} {
		next := strings.Index(story, want)
		if next <= at {
			t.Fatalf("%q is not there, or not in its place:\n%s", want, story)
		}
		at = next
	}
}

// A call that goes on is told to be open, and what for.
func TestExplainOpenCalls(t *testing.T) {
	arrival := time.Date(2024, 2, 20, 10, 0, 30, 0, time.UTC).UnixMilli()
	for _, test := range []struct {
		through int64
		want    string
	}{
		{29_999, "open: every leg has ended, and grace (30s) is not over\n"},
		{30_000, "FINAL, closed NORMAL: "},
	} {
		e := evidence{where: "1 raw record", through: arrival + test.through}
		if err := e.pile.add(disconnect(0, 0, arrival)); err != nil {
			t.Fatal(err)
		}
		e.pile.merge()
		if story := explained(t, e, question{id: "c-1"}); !strings.Contains(story, test.want) {
			t.Errorf("%d ms after the hang-up it is not %q:\n%s", test.through, test.want, story)
		}
	}
}

// What the output topic has is held against what the records make.
func TestExplainComparesWithTheOutput(t *testing.T) {
	arrival := time.Date(2024, 2, 20, 10, 0, 30, 0, time.UTC).UnixMilli()
	const differs = "other than here"
	session := call.NewLegID("default", call.Bandwidth, "", "c-1").String()
	for _, test := range []struct {
		stored storedSession
		want   string
		differ bool
	}{
		{storedSession{ID: session, State: "FINAL", Revision: 2, Disposition: "CANCELED"}, "call.sessions has revision 2: FINAL, CANCELED\n", false},
		{storedSession{ID: session, State: "FINAL", Revision: 2, Disposition: "ANSWERED"}, "call.sessions has revision 2: FINAL, ANSWERED, other", true},
		{storedSession{ID: session, State: "PARTIAL", Revision: 1, Disposition: "CANCELED"}, "call.sessions has revision 1: PARTIAL, CANCELED, other", true},
		{storedSession{ID: "ab", State: "FINAL", Revision: 1}, "call.sessions has session ab, which these records do not make: FINAL, revision 1\n", false},
	} {
		e := evidence{where: "1 raw record", stored: []storedSession{test.stored}}
		if err := e.pile.add(disconnect(0, 0, arrival)); err != nil {
			t.Fatal(err)
		}
		story := explained(t, e, question{id: "c-1"})
		if !strings.Contains(story, test.want) || strings.Contains(story, differs) != test.differ {
			t.Errorf("%+v: want %q\n%s", test.stored, test.want, story)
		}
	}
}

// Whatever is asked about, the story has every record of it, and no number.
func TestExplainAnyRecord(t *testing.T) {
	sim := simulator.New(simulator.Config{
		Seed: 3, Calls: 60, Rate: 1, Duplicates: 0.2, Disorder: 0.2, Loss: 0.05, Garbage: 0.05, Transfers: 0.5, Tenants: 1, DiscardTruth: true,
	})
	e := evidence{where: "all raw records"}
	for r, ok := sim.Next(); ok; r, ok = sim.Next() {
		rec := rawRecord(rawTopic, r)
		rec.Offset = int64(len(e.pile.records))
		if err := e.pile.add(rec); err != nil {
			t.Fatal(err)
		}
	}
	e.cfg = memory.Config{Config: benchTopology}
	numbers := map[string]bool{}
	decoder := newDecoder(topology.Source{})
	for i := range e.pile.records {
		for _, ev := range decodeRecord(decoder, &e.pile.records[i].Record).Events {
			for _, p := range []call.Party{ev.From, ev.To, {Raw: ev.TransferTarget}} {
				if len(p.Raw) > 6 {
					numbers[p.Raw] = true
				}
			}
		}
	}
	if len(numbers) < 60 {
		t.Fatalf("only %d numbers", len(numbers))
	}
	for i := 0; i < len(e.pile.records); i += 7 {
		at := source(&e.pile.records[i].Record)
		q := question{at: &at}
		story := explained(t, e, q)
		told := relate(e, q).count()
		if lines := strings.Count(story, "  "+rawTopic+" 0 "); lines < told || lines == 0 && !strings.Contains(story, "ed as ") {
			t.Errorf("%s: %d lines of %d records:\n%s", q, lines, told, story)
		}
		for number := range numbers {
			if strings.Contains(story, number) {
				t.Errorf("%s: the story tells %s:\n%s", q, number, story)
			}
		}
	}
}

// Of a call with very many legs the nearest are told, and that there are more.
func TestExplainManyLegs(t *testing.T) {
	const legs = 200
	e := evidence{where: "many raw records"}
	for i := range int64(legs) {
		r := topology.Record{Topic: rawTopic, Offset: i, Timestamp: 1_708_423_200_000 + i, Value: fmt.Appendf(nil,
			`{"eventType":"transferDisconnect","callId":"c-%d","parentCallId":"c-a","direction":"outbound","from":"+15550100101","to":"+15550100102",`+
				`"startTime":"2024-02-20T10:00:00.000Z","endTime":"2024-02-20T10:00:30.000Z","cause":"hangup"}`, i)}
		if err := e.pile.add(r); err != nil {
			t.Fatal(err)
		}
	}
	story := explained(t, e, question{id: "c-a"})
	for _, want := range []string{": 63 of many", "more than 64 legs", "FINAL, closed NORMAL: ", " 200 legs"} {
		if !strings.Contains(story, want) {
			t.Errorf("%q is not in the story:\n%s", want, story)
		}
	}
}

// Without a configuration, a source's settings are those of its events.
func TestArchiveLearnsSources(t *testing.T) {
	event := storedEvent{Topic: "pbx.raw", Tenant: "acme", Scope: "east"}
	source := call.Source{Topic: event.Topic}
	for _, test := range []struct {
		configured bool
		topics     []string
		tenant     string
	}{{false, []string{"pbx.raw"}, "acme"}, {true, []string{"call.raw", "pbx.raw"}, ""}} {
		a := archive{configured: test.configured, sources: map[call.Source]bool{}}
		a.cfg.Sources = []topology.Source{{Topic: rawTopic}}
		a.met(source, 1)
		a.learn(event)
		a.learn(event)
		if topics := a.topics(); !slices.Equal(topics, test.topics) {
			t.Errorf("configured %t: reads %v", test.configured, topics)
		}
		if s := a.cfg.SourceOf("pbx.raw"); s.Tenant != test.tenant {
			t.Errorf("configured %t: learned %+v of %v", test.configured, s, a.cfg.Sources)
		}
	}
}

// Where retention has deleted records of the call, the story says so.
func TestArchiveCountsWhatIsGone(t *testing.T) {
	a := archive{sources: map[call.Source]bool{}}
	a.met(call.Source{Topic: rawTopic, Offset: 4}, 20)
	a.met(call.Source{Topic: rawTopic, Offset: 3}, 10)
	var p pile
	if err := p.add(topology.Record{Topic: rawTopic, Offset: 4}); err != nil {
		t.Fatal(err)
	}
	if n := a.gone(p); n != 1 || a.since != 10 || a.until != 20 {
		t.Errorf("%d records are gone between %d and %d", n, a.since, a.until)
	}
}
