package faults

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"callstitch/internal/simulator"
)

// outcome is all that is there in the end, records as lines of JSON.
type outcome struct {
	truth  []simulator.Truth
	counts simulator.Counts

	watched                          []string // of call.sessions, as the watching reader saw them
	sessions, events, rejects, books []string // of the topics, as a new reader sees them
	process                          []string // sessions that `callstitch process` makes of the raw records
	processEvents                    []string
	settles                          bool
	settled                          []string // of call.settled
}

// outcome reads the topics, and the raw records for `callstitch process`.
func (a *application) outcome() *outcome {
	a.t.Helper()
	raw := a.traffic.dump(a.t)
	process := func(emit string) []string {
		return lines(output(a.t, a.command("process", "--format", "kcat", "--emit", emit, raw)))
	}
	tail := func(topic string) []string { return lines(output(a.t, a.command("tail", a.topic(topic)))) }
	o := &outcome{
		truth: a.traffic.truth, counts: a.traffic.counts,
		sessions: tail("call.sessions"), events: tail("call.events"), rejects: tail("call.rejects"), books: tail("call.audit"),
		process: process("sessions"), processEvents: process("events"),
	}
	if o.settles = a.settles; o.settles {
		o.settled = tail("call.settled")
	}
	a.await("the watching reader to see the last session", func() bool { return len(a.sessions.text()) >= len(o.sessions) })
	o.watched = a.sessions.text()
	return o
}

// wrongs is all that is wrong with an outcome.
func (o *outcome) wrongs() (wrongs []string) {
	wrongs = append(wrongs, o.untrue()...)
	wrongs = append(wrongs, differences("canonical sessions", canonical(o.process), canonical(o.sessions))...)
	wrongs = append(wrongs, differences("ids of events", eventIDs(o.processEvents), eventIDs(o.events))...)
	wrongs = append(wrongs, differences("session records, watched and read in the end", sorted(o.watched), sorted(o.sessions))...)
	wrongs = append(wrongs, first(o.outOfOrder())...)
	if o.settles {
		wrongs = append(wrongs, first(o.unsettled())...)
	}
	return append(wrongs, first(o.unbalanced())...)
}

// first are a few of many.
func first(wrongs []string) []string { return wrongs[:min(len(wrongs), 10)] }

// untrue holds the sessions against the truth, in every field that it names.
func (o *outcome) untrue() []string {
	report, err := simulator.Compare(o.truth, strings.NewReader(strings.Join(o.sessions, "\n")))
	switch {
	case err != nil:
		return []string{err.Error()}
	case !report.OK() || report.Matched != len(o.truth): // nothing was lost, so nothing is excused
		return []string{"not as in truth: " + report.String()}
	}
	return nil
}

// outOfOrder finds sessions whose versions did not come one after the other. So no
// reader sees an older one after a newer one, and none sees two of one version.
func (o *outcome) outOfOrder() (wrongs []string) {
	version := map[string]int64{}
	for _, line := range o.watched {
		s := decoded[session](line)
		if s.Version != version[s.ID]+1 {
			wrongs = append(wrongs, fmt.Sprintf("session %s: version %d follows %d: %s", s.ID, s.Version, version[s.ID], line))
		}
		version[s.ID] = s.Version
	}
	return wrongs
}

// unsettled holds what has settled against the sessions: each that is not superseded has
// settled, none has twice, and each says what the record of its version says. Between two
// parts of the traffic a clock may be hours ahead, so some are amended later.
func (o *outcome) unsettled() (wrongs []string) {
	type versioned struct {
		id      string
		version int64
	}
	published, left := map[versioned]string{}, map[string]bool{}
	var records []session
	for _, line := range o.sessions {
		s := decoded[session](line)
		published[versioned{s.ID, s.Version}] = line
		records = append(records, s)
	}
	for id, s := range lastSessions(records) {
		left[id] = s.State == "FINAL"
	}
	settled := map[string]bool{}
	for _, line := range o.settled {
		s := decoded[session](line)
		if settled[s.ID] {
			wrongs = append(wrongs, "has settled twice: "+line)
		}
		if want := published[versioned{s.ID, s.Version}]; canonicalOf(want) != canonicalOf(line) {
			wrongs = append(wrongs, fmt.Sprintf("has settled as\n%s\nwhere the record of its version is\n%s", line, want))
		}
		settled[s.ID], left[s.ID] = true, false
	}
	for _, id := range slices.Sorted(maps.Keys(left)) {
		if left[id] {
			wrongs = append(wrongs, "has not settled: "+id)
		}
	}
	return wrongs
}

// unbalanced finds books that do not add up, or not to what was sent and came out.
func (o *outcome) unbalanced() (wrongs []string) {
	var books []book
	for _, line := range o.books {
		b := decoded[book](line)
		if b.Read != b.NextOffset || b.Read != b.Decoded+b.Ignored+b.Rejected || b.Events != b.Accepted+b.Duplicate+b.Conflicting+b.Late {
			wrongs = append(wrongs, "a book does not balance: "+line)
		}
		books = append(books, b)
	}
	sum := total(lastBooks(books))
	for _, tt := range []struct {
		what        string
		books, want int64
	}{
		{"records sent", sum.Read, o.counts.Records},
		{"records ignored", sum.Ignored, sumOf(o.counts.Ignored)},
		{"records rejected", sum.Rejected, sumOf(o.counts.Rejected)},
		{"records in call.rejects", sum.Rejected, int64(len(o.rejects))},
		{"records in call.events", sum.Accepted, int64(len(o.events))},
		{"events of sessions", sum.Accepted, eventsOf(o.sessions)},
		{"conflicts", sum.Conflicting, 0},
		{"late events", sum.Late, 0},
	} {
		if tt.books != tt.want {
			wrongs = append(wrongs, fmt.Sprintf("%s: %d, but %d in the books", tt.what, tt.want, tt.books))
		}
	}
	return wrongs
}

func sumOf(counts map[string]int64) (sum int64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

func eventsOf(sessions []string) (sum int64) {
	var records []session
	for _, line := range sessions {
		records = append(records, decoded[session](line))
	}
	for _, s := range lastSessions(records) {
		if s.State == "FINAL" {
			sum += s.Events
		}
	}
	return sum
}

// variable are the fields of a session that tell how its record came to be:
// docs/records.md, canonical form.
var variable = []string{
	"revision", "generation", "record_version", "change_reason", "amended", "merged_session_ids",
	"duplicate_count", "late_event_count", "out_of_order_count", "first_src_topic", "first_src_partition", "first_src_offset",
	"last_src_topic", "last_src_partition", "last_src_offset", "emitted_at",
}

// canonical are the last records of the sessions that are not superseded, in
// canonical form and sorted.
func canonical(records []string) (canonical []string) {
	version, last := map[string]int64{}, map[string]string{}
	for _, line := range records {
		if s := decoded[session](line); s.Version >= version[s.ID] {
			version[s.ID], last[s.ID] = s.Version, line
		}
	}
	for _, id := range slices.Sorted(maps.Keys(last)) {
		if decoded[session](last[id]).State != "SUPERSEDED" {
			canonical = append(canonical, canonicalOf(last[id]))
		}
	}
	return canonical
}

// canonicalOf is a record in canonical form.
func canonicalOf(line string) string {
	s := decoded[map[string]any](line)
	for _, field := range variable {
		delete(s, field)
	}
	flags, _ := s["quality_flags"].([]any)
	if s != nil {
		s["quality_flags"] = slices.DeleteFunc(flags, func(f any) bool { return f == "LATE_EVENTS" || f == "OUT_OF_ORDER" })
	}
	text, _ := json.Marshal(s) // it was JSON
	return string(text)
}

// eventIDs are sorted; one that is there twice is an event that was accepted twice.
func eventIDs(records []string) (ids []string) {
	for _, line := range records {
		ids = append(ids, decoded[struct {
			ID string `json:"event_id"`
		}](line).ID)
	}
	slices.Sort(ids)
	return ids
}

// decoded is a line of JSON; of a line that is none the zero value, which is wrong
// in every check.
func decoded[T any](line string) (record T) {
	_ = json.Unmarshal([]byte(line), &record)
	return record
}

func sorted(lines []string) []string { return slices.Sorted(slices.Values(lines)) }

// differences between two sorted lists, shortened.
func differences(what string, want, got []string) []string {
	if slices.Equal(want, got) {
		return nil
	}
	onlyWant, onlyGot := without(want, got), without(got, want)
	return []string{fmt.Sprintf("%s: %d wanted, %d came; %d are missing or other than wanted (-wanted +came):\n%.3000s",
		what, len(want), len(got), max(len(onlyWant), len(onlyGot)), cmp.Diff(onlyWant, onlyGot))}
}

// without are the lines of all that are not in others, counting each as often as it is there.
func without(all, others []string) (rest []string) {
	left := map[string]int{}
	for _, line := range others {
		left[line]++
	}
	for _, line := range all {
		if left[line]--; left[line] < 0 {
			rest = append(rest, line)
		}
	}
	return rest
}
