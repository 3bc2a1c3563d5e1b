package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/processor/call"
	"callstitch/processor/number"
)

// fact is what is told of a session, under the name that its record has for it.
// A value is empty where it is not known.
type fact struct {
	line        string // facts of one line are told together; a leg's begins with its name
	name, value string
}

// changes are the lines that tell in which facts a session, and one of its legs,
// is not as it was.
func (x *story) changes(was, is *call.Session, leg call.LegID) (lines []string) {
	type key struct{ line, name string }
	old := map[key]string{}
	for _, f := range x.facts(was, leg) {
		old[key{f.line, f.name}] = f.value
	}
	line := ""
	for _, f := range x.facts(is, leg) {
		change := changeText(f.name, old[key{f.line, f.name}], f.value)
		switch {
		case change == "":
		case f.line == line:
			lines[len(lines)-1] += ", " + change
		default:
			if strings.HasPrefix(f.line, "leg ") {
				change = f.line + ": " + change
			}
			line, lines = f.line, append(lines, change)
		}
	}
	return lines
}

func changeText(name, was, is string) string {
	switch {
	case was == is:
		return ""
	case was == "":
		return name + " " + is
	case is == "":
		return name + " no more " + was
	}
	return name + " " + was + " → " + is
}

// facts are those of a session, and of one of its legs where it has several.
func (x *story) facts(s *call.Session, leg call.LegID) []fact {
	if s == nil || s.LegCount == 0 {
		return nil
	}
	facts := []fact{
		{"id", "session_id", s.ID.String()},
		{"parties", "direction", s.Direction.String()},
		{"parties", "from", x.party(s.From)},
		{"parties", "to", x.party(s.To)},
		{"times", "started_at", x.instant(s.Started)},
		{"times", "ringing_at", x.instant(s.Ringing)},
		{"times", "platform_answered_at", x.instant(s.PlatformAnswered)},
		{"times", "answered_at", x.instant(s.Answered)},
		{"times", "ended_at", x.instant(s.Ended)},
		{"outcome", "disposition", s.Disposition.String()},
		{"outcome", "answered_by", answererText(s.AnsweredBy)},
		{"outcome", "hangup_party", s.HangupParty.String()},
		{"outcome", "hangup_cause", s.HangupCause.String()},
		{"outcome", "q850_cause", codeText(s.Q850)},
		{"outcome", "sip_status", codeText(s.SIPStatus)},
		{"transfers", "transfers", x.transfers(s)},
		{"recordings", "recordings", recordingsText(s)},
		{"conference", "conference_id", terminal.Printable(s.ConferenceID)},
		{"flags", "quality_flags", strings.Join(s.Flags.Words(), " ")},
	}
	if i := slices.IndexFunc(s.Legs, func(l call.LegSummary) bool { return l.ID == leg }); i >= 0 && len(s.Legs) > 1 {
		facts = append(facts, x.legFacts(&s.Legs[i])...)
	}
	return facts
}

func (x *story) legFacts(l *call.LegSummary) []fact {
	leg := x.leg(l.ID)
	return []fact{
		{leg, "role", l.Role.String()},
		{leg, "started_at", x.instant(l.Started)},
		{leg, "answered_at", x.instant(l.Answered)},
		{leg, "ended_at", x.instant(l.Ended)},
		{leg, "disposition", l.Disposition.String()},
		{leg, "hangup_cause", l.HangupCause.String()},
	}
}

func (x *story) party(p call.Party) string {
	switch {
	case p == (call.Party{}):
		return ""
	case x.showNumbers:
		return terminal.Printable(terminal.Party(p))
	}
	return number.Mask(cmp.Or(p.E164, p.Raw))
}

func answererText(a call.Answerer) string {
	if a == call.AnswererUnknown {
		return ""
	}
	return a.String()
}

func (x *story) instant(i call.Instant) string {
	if !i.Known() {
		return ""
	}
	return x.clock(int64(i.At)) + " " + i.Src.String()
}

func codeText(c call.Code) string {
	if !c.Known() {
		return ""
	}
	return fmt.Sprintf("%d %s", c.N, c.Src)
}

func (x *story) transfers(s *call.Session) string {
	var texts []string
	for _, t := range s.Transfers {
		text := t.Type.String() + " " + t.Result.String()
		if t.FromLeg != nil && t.ToLeg != nil {
			text += fmt.Sprintf(" from %s to %s", x.leg(*t.FromLeg), x.leg(*t.ToLeg))
		}
		if t.Inferred {
			text += " (inferred)"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

func recordingsText(s *call.Session) string {
	var texts []string
	for _, r := range s.Recordings {
		texts = append(texts, strings.TrimSpace(terminal.Printable(r.ID)+" "+r.Status.String()))
	}
	return strings.Join(texts, ", ")
}

// clock is an instant in the time zone of who reads it; its day is told where it
// is not the day that the story has come to.
func (x *story) clock(ms int64) string {
	t := time.UnixMilli(ms)
	if t.Format(time.DateOnly) == x.day {
		return t.Format("15:04:05.000")
	}
	return t.Format("2006-01-02 15:04:05.000")
}
