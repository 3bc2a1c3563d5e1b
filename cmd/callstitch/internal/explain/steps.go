package explain

import (
	"slices"
	"strings"

	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/topology"
)

// printSteps tells of the events that were taken since, and of what they changed.
func (x *story) printSteps() {
	before := x.sessions
	x.sessions = x.sessionsNow()
	for _, s := range x.steps {
		x.printStep(s)
		x.printJoins(s.Event, before, x.sessions)
		x.seen[s.Event.Leg] = true
	}
	told := map[*call.Session]bool{nil: true}
	for _, s := range slices.Backward(x.steps) { // the last event of a session tells what all of them changed
		leg := s.Event.Leg
		if is := x.sessions[leg]; !told[is] {
			told[is] = true
			x.printChanges(x.changes(sessionBefore(before, is, leg), is, leg))
		}
	}
	x.steps = x.steps[:0]
}

// sessionsNow is the session of each leg as it stands.
func (x *story) sessionsNow() map[call.LegID]*call.Session {
	now := map[call.LegID]*call.Session{}
	for leg := range x.related.legs {
		if now[leg] != nil {
			continue
		}
		if s := x.core.Session(leg); s != nil {
			now[leg] = s
			for _, l := range s.Legs {
				now[l.ID] = s
			}
		}
	}
	return now
}

// sessionBefore is the session as it was before: that of the leg, else of any leg
// that the session has now.
func sessionBefore(before map[call.LegID]*call.Session, is *call.Session, leg call.LegID) *call.Session {
	for _, l := range is.Legs {
		if before[leg] == nil {
			leg = l.ID
		}
	}
	return before[leg]
}

func (x *story) printStep(s topology.Step) {
	e := s.Event
	x.printDay(int64(s.ProcessedAt))
	x.printf("%s  %s  %s → %s  %s: %s%s", x.Paint(terminal.Dim, x.clock(int64(s.ProcessedAt))), x.Paint(terminal.Cyan, position(e.Source)),
		terminal.Printable(strings.TrimSpace(e.ProviderType+" "+e.ProviderState)), e.Type, x.leg(e.Leg), x.outcome(s),
		x.mark(x.q.isAbout(e.Source)))
	if s.Outcome == stitch.Accepted {
		x.first[e.ID] = e
	}
}

// outcome is what became of an event and why.
func (x *story) outcome(s topology.Step) string {
	e := s.Event
	switch {
	case s.Outcome == stitch.Duplicate:
		return x.Paint(terminal.Yellow, "duplicate of "+x.earlier(e)) + ", " + x.sameness(e)
	case s.Outcome == stitch.Conflicting:
		return x.Paint(terminal.Red, "rejected as ID_CONFLICT") + ", its id is that of " + x.earlier(e) + " and its content is not"
	case s.Outcome == stitch.Late:
		return x.Paint(terminal.Red, "late") + ", its leg was past its retention: published with LATE_AFTER_RETENTION, and in no session"
	case s.Late:
		return x.Paint(terminal.Green, "accepted") + ", late: the wait for its leg was over"
	}
	return x.Paint(terminal.Green, "accepted")
}

// earlier is where the event was that was accepted under the id of e.
func (x *story) earlier(e *call.Event) string {
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
func (x *story) sameness(e *call.Event) string {
	first := x.first[e.ID]
	switch {
	case e.IDKind == call.IDExact:
		return "by the provider's event id"
	case e.IDKind == call.IDContent:
		return "it says the same"
	case first == nil || first.Content == e.Content:
		return "a leg does this once"
	case e.Provider.Traits().HangsUpTwice && e.Type == call.EventCallEnded:
		return "a leg does this once; its content differs: a second hang-up tells of a transfer"
	}
	return "a leg does this once; its content differs and is merged"
}

// printJoins tells which legs came together through what the event names.
func (x *story) printJoins(e *call.Event, before, after map[call.LegID]*call.Session) {
	for _, l := range e.Links {
		to := stitch.LinkedNode(e, l)
		if slices.Contains(x.links[to], e.Leg) {
			continue
		}
		others := x.links[to]
		if to.IsLeg() {
			others = []call.LegID{to.Leg()}
		}
		x.printJoin(e.Leg, others, l.Kind.String()+" "+x.linkValue(l), before, after)
		x.links[to] = append(x.links[to], e.Leg)
	}
	x.printJoin(e.Leg, x.links[call.LegNode(e.Leg)], call.LinkParent.String()+" "+terminal.Printable(e.CallID), before, after)
}

// printJoin tells to which of the others a link joins a leg: of those that were in
// one session, to the first.
func (x *story) printJoin(leg call.LegID, others []call.LegID, link string, before, after map[call.LegID]*call.Session) {
	told := map[*call.Session]bool{}
	for _, other := range others {
		joined := x.seen[leg] && x.seen[other] && inOneSession(before, leg, other)
		if other == leg || joined || !inOneSession(after, leg, other) || told[before[other]] {
			continue
		}
		told[before[other]] = before[other] != nil
		unseen := ""
		if !x.seen[other] {
			unseen = ", which has no event yet"
		}
		x.printf("    %s joins %s to %s%s", link, x.leg(leg), x.leg(other), unseen)
	}
}

func inOneSession(in map[call.LegID]*call.Session, a, b call.LegID) bool {
	return in[a] != nil && in[b] != nil && in[a].ID == in[b].ID
}

// linkValue is a link's value. A tag is the customer's own, and may be a number.
func (x *story) linkValue(l call.Link) string {
	if l.Kind == call.LinkTag {
		return x.party(call.Party{Raw: l.Value})
	}
	return terminal.Printable(l.Value)
}

func (x *story) printChanges(lines []string) {
	if len(lines) == 0 {
		lines = []string{"changes nothing"}
	}
	for _, line := range lines {
		x.printf("    %s", line)
	}
}
