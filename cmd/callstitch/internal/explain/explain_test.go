package explain

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/topology"
	"callstitch/topology/memory"
)

// testConfig has the session times of a run's defaults.
var testConfig = memory.Config{BatchRecords: 1000, Config: topology.Config{
	Sources: []topology.Source{{Topic: "call.raw"}}, Topics: topology.Topics{Sessions: "call.sessions"}, ExchangePartitions: 16,
	Stitch: stitch.Config{
		Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
		Retention: 24 * time.Hour, StubRetention: 72 * time.Hour,
	},
}}

// explained is the story that is told of a question.
func explained(t *testing.T, e Evidence, q Question) string {
	t.Helper()
	e.cfg = testConfig
	var out bytes.Buffer
	if err := Explain(terminal.New(&out), q, e, false); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// disconnect is a raw hang-up of call c-1.
func disconnect(partition int32, offset, at int64) topology.Record {
	return topology.Record{
		Topic: "call.raw", Partition: partition, Offset: offset, Timestamp: at,
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
	recording := topology.Record{Topic: "call.raw", Partition: 0, Offset: 7, Timestamp: late, Value: []byte(
		`{"eventType":"recordingAvailable","eventTime":"2024-02-20T10:01:30.000Z","callId":"c-1","recordingId":"r-1","status":"complete",` +
			`"direction":"outbound","from":"+15550100101","to":"+15550100102","startTime":"2024-02-20T10:00:00.000Z"}`,
	)}
	e := Evidence{where: "3 raw records", through: call.Arrival(late + 60_000)}
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
	story := explained(t, e, Question{id: "c-1"})
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

// One record that is dated ahead moves no other in the story, and closes no call early.
func TestExplainARecordDatedAhead(t *testing.T) {
	arrival := time.Date(2024, 2, 20, 10, 0, 30, 0, time.UTC).UnixMilli()
	ahead := disconnect(0, 7, arrival+59*60_000)
	ahead.Value = bytes.ReplaceAll(ahead.Value, []byte("c-1"), []byte("c-9"))
	e := Evidence{where: "5 raw records", through: call.Arrival(arrival + 120_000)}
	for _, r := range []topology.Record{disconnect(0, 6, arrival-10), ahead, disconnect(0, 8, arrival+10), disconnect(0, 9, arrival+20_000), disconnect(1, 3, arrival+40_000)} {
		if err := e.pile.add(r); err != nil {
			t.Fatal(err)
		}
	}
	e.pile.merge()
	story := explained(t, e, Question{id: "c-1"})
	at := -1
	for _, want := range []string{"call.raw 0 6 ", "call.raw 0 8 ", "call.raw 0 9 ", ": FINAL\n", "call.raw 1 3 "} {
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
		through call.Arrival
		want    string
	}{
		{29_999, "open: every leg has ended, and grace (30s) is not over\n"},
		{30_000, "FINAL, closed NORMAL: "},
	} {
		e := Evidence{where: "1 raw record", through: call.Arrival(arrival) + test.through}
		if err := e.pile.add(disconnect(0, 0, arrival)); err != nil {
			t.Fatal(err)
		}
		e.pile.merge()
		if story := explained(t, e, Question{id: "c-1"}); !strings.Contains(story, test.want) {
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
		e := Evidence{where: "1 raw record", stored: []storedSession{test.stored}}
		if err := e.pile.add(disconnect(0, 0, arrival)); err != nil {
			t.Fatal(err)
		}
		story := explained(t, e, Question{id: "c-1"})
		if !strings.Contains(story, test.want) || strings.Contains(story, differs) != test.differ {
			t.Errorf("%+v: want %q\n%s", test.stored, test.want, story)
		}
	}
}

// A session that was absorbed is told of at the end only where the output topic has
// it otherwise.
func TestExplainComparesAbsorbedSessions(t *testing.T) {
	arrival := time.Date(2024, 2, 20, 10, 0, 30, 0, time.UTC).UnixMilli()
	transferred := topology.Record{Topic: "call.raw", Timestamp: arrival, Value: []byte(
		`{"eventType":"transferDisconnect","callId":"c-b","parentCallId":"c-1","direction":"outbound","from":"+15550100101","to":"+15550100103",` +
			`"startTime":"2024-02-20T10:00:01.000Z","endTime":"2024-02-20T10:00:09.000Z","cause":"timeout"}`,
	)}
	absorbed := call.NewLegID("default", call.Bandwidth, "", "c-b").String()
	survivor := call.NewLegID("default", call.Bandwidth, "", "c-1").String()
	told := "\nsession " + absorbed + "\n  SUPERSEDED by " + survivor + "\n  call.sessions has revision 1: "
	for _, test := range []struct {
		state string
		want  string // nothing: it is not told
	}{{"FINAL", told + "FINAL, NO_ANSWER, other than here"}, {"PARTIAL", told + "PARTIAL, NO_ANSWER, other than here"}, {"SUPERSEDED", ""}} {
		e := Evidence{
			where: "2 raw records", through: call.Arrival(arrival + 300_000),
			stored: []storedSession{{ID: absorbed, State: test.state, Revision: 1, Disposition: "NO_ANSWER"}},
		}
		for _, r := range []topology.Record{transferred, disconnect(0, 1, arrival+60_000)} {
			if err := e.pile.add(r); err != nil {
				t.Fatal(err)
			}
		}
		e.pile.merge()
		story := explained(t, e, Question{id: "c-b"})
		if !strings.Contains(story, test.want) || test.want == "" && strings.Contains(story, "call.sessions has") {
			t.Errorf("the topic has it as %s: want %q\n%s", test.state, test.want, story)
		}
	}
}

// An open session that the output topic has as absorbed is one that differs.
func TestExplainComparesOpenSessions(t *testing.T) {
	arrival := time.Date(2024, 2, 20, 10, 0, 30, 0, time.UTC).UnixMilli()
	session := call.NewLegID("default", call.Bandwidth, "", "c-1").String()
	for state, differ := range map[string]bool{"PARTIAL": false, "FINAL": true, "SUPERSEDED": true} {
		e := Evidence{where: "1 raw record", through: call.Arrival(arrival + 1), stored: []storedSession{{ID: session, State: state, Revision: 1}}}
		if err := e.pile.add(disconnect(0, 0, arrival)); err != nil {
			t.Fatal(err)
		}
		e.pile.merge()
		story := explained(t, e, Question{id: "c-1"})
		if !strings.Contains(story, "call.sessions has revision 1: "+state) || strings.Contains(story, "other than here") != differ {
			t.Errorf("the topic has it as %s: want that it differs: %t\n%s", state, differ, story)
		}
	}
}

// Whatever is asked about, the story has every record of it, and no number.
func TestExplainAnyRecord(t *testing.T) {
	sim := simulator.New(simulator.Config{
		Seed: 3, Calls: 60, Rate: 1, Duplicates: 0.2, Disorder: 0.2, Loss: 0.05, Garbage: 0.05, Transfers: 0.5, Tenants: 1, DiscardTruth: true,
	})
	e := Evidence{where: "all raw records"}
	for r, ok := sim.Next(); ok; r, ok = sim.Next() {
		rec := topology.Record{Topic: "call.raw", Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			rec.Headers = append(rec.Headers, call.Header{Key: h.Key, Value: h.Value})
		}
		rec.Offset = int64(len(e.pile.records))
		if err := e.pile.add(rec); err != nil {
			t.Fatal(err)
		}
	}
	e.cfg = testConfig
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
		at := sourceOf(&e.pile.records[i].Record)
		q := Question{at: &at}
		story := explained(t, e, q)
		told := relate(e, q).count()
		if lines := strings.Count(story, "  call.raw 0 "); lines < told || lines == 0 && !strings.Contains(story, "ed as ") {
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
	e := Evidence{where: "many raw records"}
	for i := range int64(legs) {
		r := topology.Record{Topic: "call.raw", Offset: i, Timestamp: 1_708_423_200_000 + i, Value: fmt.Appendf(nil,
			`{"eventType":"transferDisconnect","callId":"c-%d","parentCallId":"c-a","direction":"outbound","from":"+15550100101","to":"+15550100102",`+
				`"startTime":"2024-02-20T10:00:00.000Z","endTime":"2024-02-20T10:00:30.000Z","cause":"hangup"}`, i)}
		if err := e.pile.add(r); err != nil {
			t.Fatal(err)
		}
	}
	story := explained(t, e, Question{id: "c-a"})
	for _, want := range []string{": 63 of many", "more than 64 legs", "FINAL, closed NORMAL: ", " 200 legs"} {
		if !strings.Contains(story, want) {
			t.Errorf("%q is not in the story:\n%s", want, story)
		}
	}
}
