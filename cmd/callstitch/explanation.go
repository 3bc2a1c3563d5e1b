package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/processor/call"
	"callstitch/processor/decode"
	"callstitch/processor/stitch"
	"callstitch/topology"
	"callstitch/topology/memory"
)

// explanation runs the core over raw records again, and tells what those that
// have to do with a question did.
type explanation struct {
	terminal.Writer
	q           question
	related     *related
	showNumbers bool
	cfg         memory.Config
	run         *memory.Runtime

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

func newExplanation(p terminal.Writer, q question, r *related, showNumbers bool) *explanation {
	return &explanation{
		Writer: p, q: q, related: r, showNumbers: showNumbers,
		seen: map[call.LegID]bool{}, first: map[call.EventID]*call.Event{}, links: map[call.NodeID][]call.LegID{},
	}
}

// tell writes the whole story, or fails.
func (x *explanation) tell(e evidence) error {
	x.say("%s: %d of %s", x.q, x.related.count(), e.where)
	for _, r := range e.remarks {
		x.say("%s", r)
	}
	if x.related.cut {
		x.say("more than %d legs have to do with each other: the others are left out", explainLegs)
	}
	if met := x.related.met; met != nil && len(met.Events) == 0 {
		x.sayNotTaken(met)
		return x.err
	}
	x.cfg = e.cfg
	x.cfg.Stitch.Partial = true // else an id that was never FINAL is not told to be superseded
	x.cfg.Trace = x.trace
	x.run = memory.New(x.cfg, x.emit)
	for i := range e.pile.records {
		if err := x.take(&e.pile.records[i], x.related.has(i)); err != nil {
			return err
		}
		if x.err != nil {
			return x.err // nobody reads the rest, which may take a minute
		}
	}
	if err := x.end(e); err != nil {
		return err
	}
	return x.err
}

func (x *explanation) trace(s topology.Step) {
	if x.related.legs[s.Event.Leg] {
		x.steps = append(x.steps, s)
	}
}

func (x *explanation) emit(o topology.Output) {
	s, ok := o.Value.(*call.Session)
	if !ok || s.State == call.Partial {
		return
	}
	if x.related.legs[s.ID] || slices.ContainsFunc(s.Legs, func(l call.LegSummary) bool { return x.related.legs[l.ID] }) {
		x.closed = append(x.closed, s)
	}
}

// take runs the core over a record. One that matters is a batch of its own.
func (x *explanation) take(r *arrived, matters bool) error {
	if !matters {
		return x.run.Process(r.Record)
	}
	if err := x.waitFor(r); err != nil {
		return err
	}
	x.sayClosed()
	if err := x.run.Process(r.Record); err != nil {
		return err
	}
	if err := x.run.Commit(); err != nil {
		return err
	}
	x.saySteps()
	x.sayClosed()
	return nil
}

// waitFor lets time come to just before a record, as it does in a run; in a file
// only records tell the time.
func (x *explanation) waitFor(r *arrived) error {
	if r.at == 0 {
		return x.run.Commit()
	}
	return x.run.Advance(r.at - 1)
}

// end lets time go on after the last record, and tells how the sessions ended.
func (x *explanation) end(e evidence) error {
	goOn := func() error { return x.run.Advance(e.through) }
	if e.through == 0 {
		goOn = x.run.Close
	}
	if err := goOn(); err != nil {
		return err
	}
	x.saySteps() // what waited for an instant until the input ended
	x.sayClosed()
	x.sayEnds(e.stored)
	return nil
}

// look is the session of each leg as it stands.
func (x *explanation) look() map[call.LegID]*call.Session {
	now := map[call.LegID]*call.Session{}
	for leg := range x.related.legs {
		if now[leg] != nil {
			continue
		}
		if s := x.run.Session(leg); s != nil {
			now[leg] = s
			for _, l := range s.Legs {
				now[l.ID] = s
			}
		}
	}
	return now
}

// sayNotTaken tells of a raw record that belongs to no session.
func (x *explanation) sayNotTaken(r *decode.Result) {
	if r.Reject != nil {
		x.say("rejected as %s: %s; it is in the rejects topic, and in no session", r.Reject.Reason, printable(r.Reject.Detail))
		return
	}
	x.say("ignored as %s: it tells nothing of a call, and is in no session", r.Ignored)
}

// saySteps tells of the events that were taken since, and of what they changed.
func (x *explanation) saySteps() {
	before := x.sessions
	x.sessions = x.look()
	for _, s := range x.steps {
		x.sayStep(s)
		x.sayJoins(s.Event, before, x.sessions)
		x.seen[s.Event.Leg] = true
	}
	told := map[*call.Session]bool{nil: true}
	for _, s := range slices.Backward(x.steps) { // the last event of a session tells what all of them changed
		leg := s.Event.Leg
		if is := x.sessions[leg]; !told[is] {
			told[is] = true
			x.sayChanges(x.changes(was(before, is, leg), is, leg))
		}
	}
	x.steps = x.steps[:0]
}

// was is the session as it was before: that of the leg, else of any leg that the
// session has now.
func was(before map[call.LegID]*call.Session, is *call.Session, leg call.LegID) *call.Session {
	for _, l := range is.Legs {
		if before[leg] == nil {
			leg = l.ID
		}
	}
	return before[leg]
}

func (x *explanation) sayStep(s topology.Step) {
	e := s.Event
	x.sayDay(s.Arrival)
	x.say("%s  %s  %s → %s  %s: %s%s", x.Paint(terminal.Dim, x.clock(s.Arrival)), x.Paint(terminal.Cyan, position(e.Source)),
		printable(strings.TrimSpace(e.ProviderType+" "+e.ProviderState)), e.Type, x.leg(e.Leg), x.outcome(s),
		x.mark(x.q.isAbout(e.Source)))
	if s.Outcome == stitch.Accepted {
		x.first[e.ID] = e
	}
}

// mark points at what was asked for.
func (x *explanation) mark(asked bool) string {
	if !asked {
		return ""
	}
	return x.Paint(terminal.Bold, "  ← asked for")
}

// sayDay writes the day when another one begins.
func (x *explanation) sayDay(ms int64) {
	t := time.UnixMilli(ms)
	if day := t.Format(time.DateOnly); day != x.day {
		x.day = day
		x.say("\n%s", t.Format("2006-01-02 MST"))
	}
}

// leg is what a leg is called here. Its first use says which one it is.
func (x *explanation) leg(id call.LegID) string {
	if i := slices.Index(x.named, id); i >= 0 {
		return fmt.Sprintf("leg %d", i+1)
	}
	x.named = append(x.named, id)
	return fmt.Sprintf("leg %d (%s)", len(x.named), printable(cmp.Or(x.related.calls[id], id.String())))
}

// outcome is what became of an event and why.
func (x *explanation) outcome(s topology.Step) string {
	e := s.Event
	switch {
	case s.Outcome == stitch.Duplicate:
		return x.Paint(terminal.Yellow, "duplicate of "+x.earlier(e)) + ", " + x.sameness(e)
	case s.Outcome == stitch.Conflicting:
		return x.Paint(terminal.Red, "rejected as ID_CONFLICT") + ", its id is that of " + x.earlier(e) + " and its content is not"
	case s.Outcome == stitch.Late:
		return x.Paint(terminal.Red, "late") + ", its leg was past its retention: published with LATE_AFTER_RETENTION, and in no session"
	case e.Late:
		return x.Paint(terminal.Green, "accepted") + ", late: the wait for its leg was over"
	}
	return x.Paint(terminal.Green, "accepted")
}

// earlier is where the event was that was accepted under the id of e.
func (x *explanation) earlier(e *call.Event) string {
	switch first := x.first[e.ID]; {
	case first == nil:
		return "an event before these records"
	case first.Source == e.Source:
		return "another event in this record"
	default:
		return position(first.Source)
	}
}

// sameness is why an event is a duplicate.
func (x *explanation) sameness(e *call.Event) string {
	first := x.first[e.ID]
	switch {
	case e.IDKind == call.ExactID:
		return "by the provider's event id"
	case e.IDKind == call.ContentID:
		return "it says the same"
	case first == nil || first.Content == e.Content:
		return "a leg does this once"
	case e.Provider == call.Sonetel && e.Type == call.CallEnded:
		return "a leg does this once; its content differs: a second hang-up tells of a transfer"
	}
	return "a leg does this once; its content differs and is merged"
}

// sayJoins tells which legs came together through what the event names.
func (x *explanation) sayJoins(e *call.Event, before, after map[call.LegID]*call.Session) {
	for _, l := range e.Links {
		to := stitch.LinkedNode(e, l)
		if slices.Contains(x.links[to], e.Leg) {
			continue
		}
		others := x.links[to]
		if to.IsLeg() {
			others = []call.LegID{to.Leg()}
		}
		x.sayJoin(e.Leg, others, l.Kind.String()+" "+x.linkValue(l), before, after)
		x.links[to] = append(x.links[to], e.Leg)
	}
	x.sayJoin(e.Leg, x.links[call.LegNode(e.Leg)], call.Parent.String()+" "+printable(e.CallID), before, after)
}

// sayJoin tells to which of the others a link joins a leg: of those that were in
// one session, to the first.
func (x *explanation) sayJoin(leg call.LegID, others []call.LegID, link string, before, after map[call.LegID]*call.Session) {
	told := map[*call.Session]bool{}
	for _, other := range others {
		joined := x.seen[leg] && x.seen[other] && same(before, leg, other)
		if other == leg || joined || !same(after, leg, other) || told[before[other]] {
			continue
		}
		told[before[other]] = before[other] != nil
		unseen := ""
		if !x.seen[other] {
			unseen = ", which has no event yet"
		}
		x.say("    %s joins %s to %s%s", link, x.leg(leg), x.leg(other), unseen)
	}
}

func same(in map[call.LegID]*call.Session, a, b call.LegID) bool {
	return in[a] != nil && in[b] != nil && in[a].ID == in[b].ID
}

// linkValue is a link's value. A tag is the customer's own, and may be a number.
func (x *explanation) linkValue(l call.Link) string {
	if l.Kind == call.Tag {
		return x.party(call.Party{Raw: l.Value})
	}
	return printable(l.Value)
}

func (x *explanation) sayChanges(lines []string) {
	if len(lines) == 0 {
		lines = []string{"changes nothing"}
	}
	for _, line := range lines {
		x.say("    %s", line)
	}
}

// sayClosed tells which sessions became FINAL or SUPERSEDED since, and what the
// end of waiting changed.
func (x *explanation) sayClosed() {
	for _, s := range x.closed {
		x.sayDay(s.EmittedAt)
		x.say("%s  session %s: %s%s", x.Paint(terminal.Dim, x.clock(s.EmittedAt)), s.ID, x.Paint(terminal.Violet, state(s)), x.mark(s.ID == x.q.leg))
		if s.State == call.Final {
			for _, line := range x.changes(x.run.Session(s.ID), s, call.LegID{}) {
				x.say("    %s", line)
			}
		}
		x.ends = slices.DeleteFunc(x.ends, func(last *call.Session) bool { return last.ID == s.ID })
		x.ends = append(x.ends, s)
	}
	x.closed = x.closed[:0]
}

func state(s *call.Session) string {
	switch {
	case s.SupersededBy != nil:
		return "SUPERSEDED by " + s.SupersededBy.String()
	case s.Amended:
		return "FINAL, amended: " + s.ChangeReason.String()
	}
	return s.State.String()
}

// sayEnds tells what each session has come to and why.
func (x *explanation) sayEnds(stored []storedSession) {
	told := map[string]bool{}
	for _, s := range x.ends {
		told[s.ID.String()] = true
		o := storedAs(s, stored)
		switch {
		case s.State == call.Final:
			x.sayEnd(s, fmt.Sprintf("FINAL, closed %s: %s", s.CloseReason, x.why(s)))
			x.sayStored(s, o)
		case o != nil && differs(s, o): // else its survivor says it all
			x.say("\nsession %s\n  %s", s.ID, state(s))
			x.sayStored(s, o)
		}
	}
	for _, leg := range x.named {
		if s := x.sessions[leg]; s != nil && !told[s.ID.String()] {
			told[s.ID.String()] = true
			x.sayEnd(s, "open: "+x.waits(s))
			x.sayStored(s, storedAs(s, stored))
		}
	}
	for _, o := range stored {
		if !told[o.ID] {
			x.say("\n%s has session %s, which these records do not make: %s, revision %d", x.cfg.Topics.Sessions, o.ID, o.State, o.Revision)
		}
	}
}

func (x *explanation) sayEnd(s *call.Session, end string) {
	shown := *s
	shown.From, shown.To, shown.Amended = call.Party{Raw: x.party(s.From)}, call.Party{Raw: x.party(s.To)}, false
	x.say("\nsession %s\n  %s\n  %s", s.ID, end, strings.TrimSpace(x.SessionLine(&shown)))
}

// storedAs is what the output topic has of a session; nil where it has nothing.
func storedAs(s *call.Session, stored []storedSession) *storedSession {
	i := slices.IndexFunc(stored, func(o storedSession) bool { return o.ID == s.ID.String() })
	if i < 0 {
		return nil
	}
	return &stored[i]
}

// differs says whether the output topic has a session otherwise than it is here.
func differs(s *call.Session, o *storedSession) bool {
	here := cmp.Or(s.State, call.Partial) // one that is open was not published here
	return o.State != here.String() || here == call.Final && o.Disposition != s.Disposition.String()
}

// sayStored tells what the output topic has of a session, if anything.
func (x *explanation) sayStored(s *call.Session, o *storedSession) {
	if o == nil {
		return
	}
	but := ""
	if differs(s, o) {
		but = x.Paint(terminal.Red, ", other than here: are these its settings (-c), and all its raw records?")
	}
	x.say("  %s has revision %d: %s, %s%s", x.cfg.Topics.Sessions, o.Revision, o.State, o.Disposition, but)
}

// why says why a session is closed.
func (x *explanation) why(s *call.Session) string {
	if s.CloseReason == call.ClosedNormal {
		return fmt.Sprintf("every leg has ended, and for grace (%s) nothing more arrived", config.FormatDuration(x.cfg.Stitch.Grace))
	}
	return x.waits(s) + ", and nothing more arrived"
}

// waits says what a session is, or was, waited for.
func (x *explanation) waits(s *call.Session) string {
	answered := "answered_timeout " + config.FormatDuration(x.cfg.Stitch.AnsweredTimeout)
	var missing []string
	for _, l := range s.Legs {
		if l.Ended.Known() && l.Ended.Src != call.Timeout {
			continue
		}
		timeout := "unanswered_timeout " + config.FormatDuration(x.cfg.Stitch.UnansweredTimeout)
		if l.Answered.Known() {
			timeout = answered
		}
		missing = append(missing, fmt.Sprintf("%s was not seen to end (%s)", x.leg(l.ID), timeout))
	}
	switch {
	case len(missing) > 0:
		return strings.Join(missing, ", ")
	case s.CloseReason == call.ClosedTimeout || s.Disposition == call.InProgress:
		return "a second hang-up tells of a transfer, and the leg that goes on was not seen to end (" + answered + ")"
	}
	return fmt.Sprintf("every leg has ended, and grace (%s) is not over", config.FormatDuration(x.cfg.Stitch.Grace))
}

func (x *explanation) say(format string, args ...any) {
	if x.err != nil {
		return
	}
	if _, err := fmt.Fprintf(x, format+"\n", args...); err != nil {
		x.err = fmt.Errorf("write the explanation: %w", err)
	}
}
