package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"callstitch/cmd/callstitch/internal/simulator"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/processor/call"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/memory"
)

// explained is the story that is told of a question.
func explained(t *testing.T, e evidence, q question) string {
	t.Helper()
	e.cfg = memory.Config{Config: benchTopology, BatchRecords: batchRecords}
	e.cfg.Topics.Sessions = "call.sessions"
	var out bytes.Buffer
	if err := newExplanation(terminal.New(&out), q, relate(e, q), false).tell(e); err != nil {
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

// A session that was absorbed is told of at the end only where the output topic has
// it otherwise.
func TestExplainComparesAbsorbedSessions(t *testing.T) {
	arrival := time.Date(2024, 2, 20, 10, 0, 30, 0, time.UTC).UnixMilli()
	transferred := topology.Record{Topic: rawTopic, Timestamp: arrival, Value: []byte(
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
		e := evidence{
			where: "2 raw records", through: arrival + 300_000,
			stored: []storedSession{{ID: absorbed, State: test.state, Revision: 1, Disposition: "NO_ANSWER"}},
		}
		for _, r := range []topology.Record{transferred, disconnect(0, 1, arrival+60_000)} {
			if err := e.pile.add(r); err != nil {
				t.Fatal(err)
			}
		}
		e.pile.merge()
		story := explained(t, e, question{id: "c-b"})
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
		e := evidence{where: "1 raw record", through: arrival + 1, stored: []storedSession{{ID: session, State: state, Revision: 1}}}
		if err := e.pile.add(disconnect(0, 0, arrival)); err != nil {
			t.Fatal(err)
		}
		e.pile.merge()
		story := explained(t, e, question{id: "c-1"})
		if !strings.Contains(story, "call.sessions has revision 1: "+state) || strings.Contains(story, "other than here") != differ {
			t.Errorf("the topic has it as %s: want that it differs: %t\n%s", state, differ, story)
		}
	}
}

// full takes some bytes, and then no more, as a full disk does.
type full struct{ left int }

var errFull = errors.New("no space left")

func (f *full) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

// An explanation that cannot be written, wholly or at its end, is a failure.
func TestExplainFailsToWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events.ndjson")
	if err := os.WriteFile(file, append(disconnect(0, 0, 0).Value, "\n{\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, question := range [][]string{{"c-1"}, {rawTopic, "0", "1"}} {
		run := func(out io.Writer) error {
			root := newRoot()
			root.SetArgs(append([]string{"explain", "--provider", "bandwidth", "--file", file}, question...))
			root.SetOut(out)
			return root.Execute()
		}
		var whole bytes.Buffer
		if err := run(&whole); err != nil {
			t.Fatal(err)
		}
		for _, room := range []int{0, whole.Len() / 2, whole.Len() - 1} {
			if err := run(&full{room}); !errors.Is(err, errFull) || exitCode(err) != exitFailed {
				t.Errorf("explain %s: with room for %d of %d bytes it ends with %v", question, room, whole.Len(), err)
			}
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

// Of the sessions only those are kept that have one of the names: one that merely
// contains it, or has it no more, takes no memory.
func TestArchiveKeepsNamedSessions(t *testing.T) {
	a := archiveOf(t, "c-1")
	id := func(callID string) call.LegID { return call.NewLegID("acme", call.Bandwidth, "", callID) }
	record := func(session string, calls ...string) topology.Record {
		s := call.Session{ID: id(session), State: call.Partial, Provider: call.Bandwidth}
		for _, c := range calls {
			s.Legs = append(s.Legs, call.LegSummary{ID: id(c), CallID: c})
		}
		value, err := schemas.AppendAvro(schemas.AppendFrame(nil, 7), &s)
		if err != nil {
			t.Fatal(err)
		}
		return topology.Record{Key: []byte(s.ID.String()), Value: value}
	}
	for _, step := range []struct {
		record topology.Record
		kept   []string
	}{
		{record("c-10", "c-10", "c-11"), nil},
		{record("c-2", "c-2"), nil},
		{record("c-2", "c-2", "c-1"), []string{"c-2"}},
		{record("c-3", "c-1"), []string{"c-2", "c-3"}},
		{record("c-2"), []string{"c-3"}}, // absorbed
	} {
		if err := a.keepSession(t.Context(), step.record); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, c := range step.kept {
			want = append(want, id(c).String())
		}
		slices.Sort(want)
		if kept := slices.Sorted(maps.Keys(a.sessions)); !slices.Equal(kept, want) {
			t.Errorf("kept %v, want %v", kept, want)
		}
	}
}

// Where a registry answers without the schema, it is not said to be silent.
func TestArchiveSaysWhyThereIsNoSchema(t *testing.T) {
	a := archiveOf(t, "c-1")
	value, err := schemas.AppendAvro(schemas.AppendFrame(nil, 7), &call.Session{State: call.Partial, Provider: call.Bandwidth})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.decode(t.Context(), schemas.Sessions, topology.Record{Value: value}, &storedSession{}); err != nil {
		t.Fatal(err)
	}
	e, err := a.read(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	const want = "outputs were read with this program's own schemas: fetch schema 7 at "
	if len(e.remarks) != 1 || !strings.HasPrefix(e.remarks[0], want) || !strings.Contains(e.remarks[0], schemas.ErrNotRegistered.Error()) {
		t.Errorf("it says %q, want %q, and that it is not registered", e.remarks, want)
	}
}

// archiveOf looks for a name, with a registry that has no schemas.
func archiveOf(t *testing.T, name string) *archive {
	t.Helper()
	server := srfake.New()
	t.Cleanup(server.Close)
	registry, err := schemas.NewRegistry(schemas.RegistryConfig{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	return &archive{
		registry: registry, own: map[schemas.Subject]*schemas.Reader{},
		names: map[string]bool{name: true}, sessions: map[string]storedSession{},
	}
}
