package explain

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/processor/call"
	"callstitch/processor/decode"
	"callstitch/topology"
	"callstitch/topology/memory"
)

// story runs the core over raw records again, and tells what those that
// have to do with a question did.
type story struct {
	terminal.Writer
	q           Question
	related     *related
	showNumbers bool
	cfg         memory.Config
	core        *memory.Runtime

	steps    []topology.Step              // taken and not told yet
	closed   []*call.Session              // published as FINAL or SUPERSEDED and not told yet
	sessions map[call.LegID]*call.Session // as they stood when the last steps were told

	day   string                       // that the story has come to
	named []call.LegID                 // the legs that were told of, first one first
	seen  map[call.LegID]bool          // the legs that have an event
	first map[call.EventID]*call.Event // the event that was accepted under an id
	links map[call.NodeID][]call.LegID // the legs that named a node
	ends  []*call.Session              // the last closed record of each id

	err error // the first one of writing; nothing is written after it
}

func newStory(w terminal.Writer, q Question, r *related, showNumbers bool) *story {
	return &story{
		Writer: w, q: q, related: r, showNumbers: showNumbers,
		seen: map[call.LegID]bool{}, first: map[call.EventID]*call.Event{}, links: map[call.NodeID][]call.LegID{},
	}
}

// replay writes the whole story, or fails.
func (x *story) replay(e Evidence) error {
	x.printf("%s: %d of %s", x.q, x.related.count(), e.where)
	for _, r := range e.remarks {
		x.printf("%s", r)
	}
	if x.related.truncated {
		x.printf("more than %d legs have to do with each other: the others are left out", legsMax)
	}
	if result := x.related.result; result != nil && len(result.Events) == 0 {
		x.printNotTaken(result)
		return x.err
	}
	x.cfg = e.cfg
	x.cfg.Stitch.Settled = false // what settles, its last revision has told
	x.cfg.Stitch.Partial = true  // else an id that was never FINAL is not told to be superseded
	x.cfg.Trace = x.trace
	x.core = memory.New(x.cfg, x.emit)
	for i := range e.pile.records {
		if err := x.process(&e.pile.records[i], x.related.has(i)); err != nil {
			return err
		}
		if x.err != nil {
			return x.err // nobody reads the rest, which may take a minute
		}
	}
	if err := x.finish(e); err != nil {
		return err
	}
	return x.err
}

func (x *story) trace(s topology.Step) {
	if x.related.legs[s.Event.Leg] {
		x.steps = append(x.steps, s)
	}
}

func (x *story) emit(o topology.Output) {
	s, ok := o.Value.(*call.Session)
	if !ok || s.State == call.StatePartial {
		return
	}
	if x.related.legs[s.ID] || slices.ContainsFunc(s.Legs, func(l call.LegSummary) bool { return x.related.legs[l.ID] }) {
		x.closed = append(x.closed, s)
	}
}

// process runs the core over a record. One that matters is a batch of its own.
func (x *story) process(r *arrived, matters bool) error {
	if !matters {
		return x.core.Process(r.Record)
	}
	if err := x.waitFor(r); err != nil {
		return err
	}
	x.printClosed()
	if err := x.core.Process(r.Record); err != nil {
		return err
	}
	if err := x.core.Commit(); err != nil {
		return err
	}
	x.printSteps()
	x.printClosed()
	return nil
}

// waitFor lets time come to just before a record, as it does in a run; in a file
// only records tell the time.
func (x *story) waitFor(r *arrived) error {
	if r.at == 0 {
		return x.core.Commit()
	}
	return x.core.Advance(r.at - 1)
}

// finish lets time go on after the last record, and tells how the sessions ended.
func (x *story) finish(e Evidence) error {
	goOn := func() error { return x.core.Advance(e.through) }
	if e.through == 0 {
		goOn = x.core.Close
	}
	if err := goOn(); err != nil {
		return err
	}
	x.printSteps() // what waited for an instant until the input ended
	x.printClosed()
	x.printEnds(e.stored)
	return nil
}

// printNotTaken tells of a raw record that belongs to no session.
func (x *story) printNotTaken(r *decode.Result) {
	if r.Reject != nil {
		x.printf("rejected as %s: %s; it is in the rejects topic, and in no session", r.Reject.Reason, terminal.Printable(r.Reject.Detail))
		return
	}
	x.printf("ignored as %s: it tells nothing of a call, and is in no session", r.Ignored)
}

// leg is what a leg is called here. Its first use says which one it is.
func (x *story) leg(id call.LegID) string {
	if i := slices.Index(x.named, id); i >= 0 {
		return fmt.Sprintf("leg %d", i+1)
	}
	x.named = append(x.named, id)
	return fmt.Sprintf("leg %d (%s)", len(x.named), terminal.Printable(cmp.Or(x.related.callIDs[id], id.String())))
}

// mark points at what was asked for.
func (x *story) mark(asked bool) string {
	if !asked {
		return ""
	}
	return x.Paint(terminal.Bold, "  ← asked for")
}

// printDay writes the day when another one begins.
func (x *story) printDay(ms int64) {
	t := time.UnixMilli(ms)
	if day := t.Format(time.DateOnly); day != x.day {
		x.day = day
		x.printf("\n%s", t.Format("2006-01-02 MST"))
	}
}

// printf writes a line.
func (x *story) printf(format string, args ...any) {
	if x.err != nil {
		return
	}
	if _, err := fmt.Fprintf(x, format+"\n", args...); err != nil {
		x.err = fmt.Errorf("write the explanation: %w", err)
	}
}
