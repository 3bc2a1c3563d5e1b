package faults

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"callstitch/internal/simulator"
	"callstitch/topology"
)

// TestOutcomeSpoilt takes an outcome in which nothing is wrong, made without
// Kafka, and spoils it: each check must see what it is there to see.
func TestOutcomeSpoilt(t *testing.T) {
	good := withoutKafka(t)
	if wrongs := good.wrongs(); len(wrongs) > 0 {
		t.Fatalf("nothing is wrong, but:\n%s", strings.Join(wrongs, "\n"))
	}
	for _, tt := range []struct {
		name  string
		spoil func(*outcome)
		want  string // in one of the findings
	}{
		{"a session is lost", func(o *outcome) { o.sessions, o.watched = o.sessions[1:], o.watched[1:] }, "1 missing"},
		{"a session comes twice", func(o *outcome) { o.sessions, o.watched = twice(o.sessions), twice(o.watched) }, "version 1 follows 1"},
		{"a field that the truth names is wrong", func(o *outcome) { edit(o.sessions, `"leg_count":`, `"leg_count":9`) }, "wrong leg_count: 1"},
		{"a field that the truth does not name is wrong", func(o *outcome) { edit(o.sessions, `"participant_count":`, `"participant_count":9`) }, "canonical sessions"},
		{"the watching reader missed a record", func(o *outcome) { o.watched = o.watched[1:] }, "watched and read in the end"},
		{"an older version comes after a newer one", func(o *outcome) { edit(o.watched, `"record_version":1`, `"record_version":0`) }, "version 0 follows 0"},
		{"an event is lost", func(o *outcome) { o.events = o.events[1:] }, "ids of events"},
		{"an event comes twice", func(o *outcome) { o.events = twice(o.events) }, "ids of events"},
		{"a reject is lost", func(o *outcome) { o.rejects = o.rejects[1:] }, "records in call.rejects"},
		{"a session has not settled", func(o *outcome) { o.settled = o.settled[1:] }, "has not settled"},
		{"a session settles twice", func(o *outcome) { o.settled = twice(o.settled) }, "has settled twice"},
		{"a session settles as it was not", func(o *outcome) { edit(o.settled, `"leg_count":`, `"leg_count":9`) }, "has settled as"},
		{"a raw record was not read", func(o *outcome) { o.counts.Records++ }, "records sent"},
		{"a book does not balance", func(o *outcome) { edit(o.books, `"accepted":`, `"accepted":1`) }, "a book does not balance"},
		{"a line is no JSON", func(o *outcome) { o.sessions[0] = "x" }, "invalid character"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := *good
			for _, records := range []*[]string{&o.watched, &o.sessions, &o.events, &o.rejects, &o.books, &o.settled} {
				*records = slices.Clone(*records)
			}
			tt.spoil(&o)
			if wrongs := strings.Join(o.wrongs(), "\n"); !strings.Contains(wrongs, tt.want) {
				t.Errorf("found %q, want %q", wrongs, tt.want)
			}
		})
	}
}

// twice repeats the first line.
func twice(lines []string) []string { return append(slices.Clone(lines), lines[0]) }

// edit changes the first line.
func edit(lines []string, from, to string) { lines[0] = strings.Replace(lines[0], from, to, 1) }

// withoutKafka is the outcome of a traffic that `callstitch process` alone has processed.
func withoutKafka(t *testing.T) *outcome {
	t.Helper()
	program := build(t)
	sim := simulator.New(simulator.Config{Seed: *seed, Calls: 100, Start: time.Now().Add(-age), Garbage: 0.05})
	var raw []byte
	var next [rawPartitions]int64
	for r, ok := sim.Next(); ok; r, ok = sim.Next() {
		p := topology.Partition(r.Key, rawPartitions)
		raw = simulator.AppendKcat(raw, r, "call.raw", p, next[p])
		next[p]++
	}
	file := filepath.Join(t.TempDir(), "raw.ndjson")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	process := func(emit string) []string {
		return lines(output(t, exec.CommandContext(t.Context(), program, "process", "--format", "kcat", "--emit", emit, file)))
	}
	o := &outcome{
		truth: sim.Truth(), counts: sim.Counts(),
		sessions: process("sessions"), events: process("events"), rejects: process("rejects"), books: process("audit"),
		settles: true, settled: process("settled"),
	}
	o.process, o.processEvents, o.watched = o.sessions, o.events, o.sessions
	if len(o.rejects) == 0 {
		t.Fatal("the traffic has no garbage")
	}
	return o
}
