package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/processor/call"
)

// printClosed tells which sessions became FINAL or SUPERSEDED since, and what the
// end of waiting changed.
func (x *story) printClosed() {
	for _, s := range x.closed {
		x.printDay(int64(s.EmittedAt))
		x.printf("%s  session %s: %s%s", x.Paint(terminal.Dim, x.clock(int64(s.EmittedAt))), s.ID, x.Paint(terminal.Violet, stateText(s)), x.mark(s.ID == x.q.leg))
		if s.State == call.StateFinal {
			for _, line := range x.changes(x.core.Session(s.ID), s, call.LegID{}) {
				x.printf("    %s", line)
			}
		}
		x.ends = slices.DeleteFunc(x.ends, func(last *call.Session) bool { return last.ID == s.ID })
		x.ends = append(x.ends, s)
	}
	x.closed = x.closed[:0]
}

// printEnds tells what each session has come to and why.
func (x *story) printEnds(stored []storedSession) {
	told := map[string]bool{}
	for _, s := range x.ends {
		told[s.ID.String()] = true
		o := storedAs(s, stored)
		switch {
		case s.State == call.StateFinal:
			x.printEnd(s, fmt.Sprintf("FINAL, closed %s: %s", s.CloseReason, x.why(s)))
			x.printStored(s, o)
		case o != nil && differs(s, o): // else its survivor says it all
			x.printf("\nsession %s\n  %s", s.ID, stateText(s))
			x.printStored(s, o)
		}
	}
	for _, leg := range x.named {
		if s := x.sessions[leg]; s != nil && !told[s.ID.String()] {
			told[s.ID.String()] = true
			x.printEnd(s, "open: "+x.waits(s))
			x.printStored(s, storedAs(s, stored))
		}
	}
	for _, o := range stored {
		if !told[o.ID] {
			x.printf("\n%s has session %s, which these records do not make: %s, revision %d", x.cfg.Topics.Sessions, o.ID, o.State, o.Revision)
		}
	}
}

func (x *story) printEnd(s *call.Session, end string) {
	shown := *s
	shown.From, shown.To, shown.Amended = call.Party{Raw: x.party(s.From)}, call.Party{Raw: x.party(s.To)}, false
	x.printf("\nsession %s\n  %s\n  %s", s.ID, end, strings.TrimSpace(x.SessionLine(&shown)))
}

// why says why a session is closed.
func (x *story) why(s *call.Session) string {
	if s.CloseReason == call.ClosedNormal {
		return fmt.Sprintf("every leg has ended, and for grace (%s) nothing more arrived", config.FormatDuration(x.cfg.Stitch.Grace))
	}
	return x.waits(s) + ", and nothing more arrived"
}

// waits says what a session is, or was, waited for.
func (x *story) waits(s *call.Session) string {
	answered := "answered_timeout " + config.FormatDuration(x.cfg.Stitch.AnsweredTimeout)
	var missing []string
	for _, l := range s.Legs {
		if l.Ended.Known() && l.Ended.Src != call.EvidenceTimeout {
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
	case s.CloseReason == call.ClosedTimeout || s.Disposition == call.DispositionInProgress:
		return "a second hang-up tells of a transfer, and the leg that goes on was not seen to end (" + answered + ")"
	}
	return fmt.Sprintf("every leg has ended, and grace (%s) is not over", config.FormatDuration(x.cfg.Stitch.Grace))
}

func stateText(s *call.Session) string {
	switch {
	case s.SupersededBy != nil:
		return "SUPERSEDED by " + s.SupersededBy.String()
	case s.Amended:
		return "FINAL, amended: " + s.ChangeReason.String()
	}
	return s.State.String()
}

// printStored tells what the output topic has of a session, if anything.
func (x *story) printStored(s *call.Session, o *storedSession) {
	if o == nil {
		return
	}
	but := ""
	if differs(s, o) {
		but = x.Paint(terminal.Red, ", other than here: are these its settings (-c), and all its raw records?")
	}
	x.printf("  %s has revision %d: %s, %s%s", x.cfg.Topics.Sessions, o.Revision, o.State, o.Disposition, but)
}

// storedAs is what the output topic has of a session; nil where it has nothing.
func storedAs(s *call.Session, stored []storedSession) *storedSession {
	i := slices.IndexFunc(stored, func(o storedSession) bool { return o.ID == s.ID.String() })
	if i < 0 {
		return nil
	}
	return &stored[i]
}

// differs reports whether the output topic has a session otherwise than it is here.
func differs(s *call.Session, o *storedSession) bool {
	here := cmp.Or(s.State, call.StatePartial) // one that is open was not published here
	return o.State != here.String() || here == call.StateFinal && o.Disposition != s.Disposition.String()
}
