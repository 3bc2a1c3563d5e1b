package rejects

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"text/tabwriter"

	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/processor/call"
)

// Tally is what became of rejects in a replay. Read and Matched may be read beside it.
type Tally struct {
	Read    atomic.Int64
	Matched atomic.Int64 // of those: what is meant
	Late    int64        // of what is sent: came first so long ago that it may change no session
	Foreign int64        // of those read: no rejects of callstitch

	fates [fateCount]int64
	rows  map[tallyKind]*[fateCount]int64
	left  []leftReject
}

// tallyKind is what is counted together.
type tallyKind struct {
	reason call.RejectReason
	topic  string
}

// leftReject is an example of what was left, or sent though it would not be taken.
type leftReject struct {
	place  Place
	reason call.RejectReason
	fate   Fate
	why    string
}

const (
	// examplesMax is how many rejects of one fate are told with their reason.
	examplesMax = 5
	// kindsMax bounds the rows: topics are what headers say.
	kindsMax = 1000
)

func (t *Tally) add(e *Entry, fate Fate, why string) {
	kind := tallyKind{e.Reject.Reason, word(e.Reject.Source.Topic)}
	if t.rows == nil {
		t.rows = map[tallyKind]*[fateCount]int64{}
	}
	if t.rows[kind] == nil && len(t.rows) >= kindsMax {
		kind.topic = "…"
	}
	if t.rows[kind] == nil {
		t.rows[kind] = new([fateCount]int64)
	}
	t.rows[kind][fate]++
	if t.fates[fate]++; why != "" && t.fates[fate] <= examplesMax {
		t.left = append(t.left, leftReject{e.Place, e.Reject.Reason, fate, why})
	}
}

// Chosen is how many are sent.
func (t *Tally) Chosen() (n int64) {
	for f, count := range t.fates {
		if Fate(f).Sent() {
			n += count
		}
	}
	return n
}

// LeftOver is how many stay what they are.
func (t *Tally) LeftOver() int64 { return t.Matched.Load() - t.Chosen() }

// kinds are the rows in order.
func (t *Tally) kinds() []tallyKind {
	var kinds []tallyKind
	for k := range t.rows {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b tallyKind) int {
		return cmp.Or(cmp.Compare(a.reason, b.reason), cmp.Compare(a.topic, b.topic))
	})
	return kinds
}

// columns are the headings of the fates that a text has a column for where any has it.
var columns = [fateCount]string{
	"taken", "sent anyway", "rejected again", "ignored", "not to be had", "not edited", "no topic", "replayed enough",
}

// Write writes the tally for people: what is sent, what is left, and examples of that.
func (t *Tally) Write(w terminal.Writer) {
	var shown []Fate
	for f := range fateCount {
		if f == WouldBeTaken || t.fates[f] > 0 {
			shown = append(shown, f)
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "reason\tsource")
	for _, f := range shown {
		fmt.Fprintf(table, "\t%s", columns[f])
	}
	fmt.Fprintln(table)
	for _, k := range t.kinds() {
		fmt.Fprintf(table, "%s\t%s", k.reason, terminal.Printable(k.topic))
		for _, f := range shown {
			fmt.Fprintf(table, "\t%d", t.rows[k][f])
		}
		fmt.Fprintln(table)
	}
	if len(t.rows) > 0 {
		_ = table.Flush() // who closes the pipe has seen enough
	}
	for _, l := range t.left {
		fmt.Fprintf(w, "%s  %s  %s\n", l.place, l.reason, terminal.Printable(l.why))
	}
	for f := range fateCount {
		if more := t.fates[f] - examplesMax; more > 0 && !f.Sent() {
			fmt.Fprintf(w, "and %d more: %s\n", more, columns[f])
		}
	}
}

// outcome is a replay, or what one would be, as a program reads it.
type outcome struct {
	Executed bool             `json:"executed"`
	Read     int64            `json:"read"`
	Matched  int64            `json:"matched"`
	Sent     int64            `json:"sent"`
	Late     int64            `json:"maybe_late"`
	Foreign  int64            `json:"no_rejects"`
	Fates    map[string]int64 `json:"fates"`
	Kinds    []outcomeKind    `json:"kinds"`
	Left     []outcomeLeft    `json:"examples"`
	Notes    []string         `json:"notes"`
}

type outcomeKind struct {
	Reason string           `json:"reason"`
	Topic  string           `json:"source"`
	Fates  map[string]int64 `json:"fates"`
}

type outcomeLeft struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Reason    string `json:"reason"`
	Fate      string `json:"fate"`
	Why       string `json:"why"`
}

// JSON is the tally as one object; sent is what was committed.
func (t *Tally) JSON(executed bool, sent int64, notes []string) ([]byte, error) {
	o := outcome{
		Executed: executed, Read: t.Read.Load(), Matched: t.Matched.Load(), Sent: sent, Late: t.Late, Foreign: t.Foreign,
		Fates: named(&t.fates), Kinds: []outcomeKind{}, Left: []outcomeLeft{}, Notes: append([]string{}, notes...),
	}
	for _, k := range t.kinds() {
		o.Kinds = append(o.Kinds, outcomeKind{k.reason.String(), k.topic, named(t.rows[k])})
	}
	for _, l := range t.left {
		o.Left = append(o.Left, outcomeLeft{l.place.Topic, l.place.Partition, l.place.Offset, l.reason.String(), l.fate.String(), l.why})
	}
	return json.Marshal(o)
}

// named are the fates that there are, all with their names.
func named(fates *[fateCount]int64) map[string]int64 {
	byName := make(map[string]int64)
	for f, n := range fates {
		byName[Fate(f).String()] = n
	}
	return byName
}
