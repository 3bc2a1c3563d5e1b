package session

import (
	"math"
	"strings"

	"callstitch/processor/call"
)

// findCaller marks the legs on which the caller takes part; one between two others is a
// consultation. The caller is the party outside, who stays while those inside change; after a
// transfer, whoever was passed on. Only an exchange of telephones has legs between two
// others; elsewhere every leg below or beside the first is made for the caller.
//
//	outside  C ├──────── A ──────────┤
//	consult       A ├─────── B ─────────────────────┤    they talk on about C, who has left
//	outside                        C ├────── D ───────┤
func (c *course) findCaller() {
	c.parts[c.caller].outside = true
	if !c.parts[c.origin].dialect.consults {
		return
	}
	_, far := c.firstTaken().sides()
	for i := range c.parts {
		m := &c.parts[i]
		switch {
		case i == c.origin, m.role == call.RoleConsult:
		case isTarget(c.transfers, i), maybe(&m.From.Value, far), maybe(&m.To.Value, far):
			m.outside = true
		default:
			c.place(m, c.parts[:i])
		}
	}
}

// firstTaken is the leg that began the call, or, where nobody took an outbound one, the
// first that somebody took: an exchange tries the next number for the same caller.
func (c *course) firstTaken() *part {
	origin := &c.parts[c.origin]
	if origin.reached || origin.Direction.Value != call.DirectionOutbound {
		return origin
	}
	for i := range c.parts {
		if m := &c.parts[i]; m.reached && sameParty(m.From.Value, origin.From.Value) {
			return m
		}
	}
	return origin
}

// place finds out whether m, on which the caller is not named, was made while one of
// its parties was in a call of this session, or when such a call was over: then the
// caller went along under another number, such as that of the one who passed the call
// on.
func (c *course) place(m *part, earlier []part) {
	begun := m.start + call.Time(m.Started.Precision)
	for i := range earlier {
		x := &earlier[i]
		if !x.reached || !x.shares(m) {
			continue
		}
		joined := x.joined()
		switch {
		case (!joined.Known() || joined.At <= begun+switchTolerance) && (!x.Ended() || x.End.At > begun):
			m.outside = false
			if m.reached {
				m.role = call.RoleConsult
			}
			return
		case x.outside && x.End.Known() && within(x.End.At, m.start, switchTolerance):
			m.outside = true
		}
	}
}

// shares reports whether a party of m is on o.
func (m *part) shares(o *part) bool {
	return isOn(o.Leg, m.From.Value) || isOn(o.Leg, m.To.Value)
}

// maybe reports whether a may be the party b: it is not told, or the digits of one end
// with those of the other, as a number's with and without the country's code do.
func maybe(a, b *call.Party) bool {
	if a.Raw == "" || b.Raw == "" || a.Raw == b.Raw {
		return true
	}
	x, y := strings.TrimLeft(a.Raw, "+0"), strings.TrimLeft(b.Raw, "+0")
	return min(len(x), len(y)) >= subscriberDigits && (strings.HasSuffix(x, y) || strings.HasSuffix(y, x))
}

// subscriberDigits is how many digits a number has at least within its country; shorter
// ones are extensions.
const subscriberDigits = 7

// withCaller adds to spans the part of s, in which a person was on m, that the caller
// was there too: on m itself, or on a leg of the caller's own that m was made for.
func (c *course) withCaller(spans []span, m *part, s span) []span {
	switch {
	case m.outside:
		return append(spans, s)
	case !c.parts[c.origin].dialect.consults:
		return append(spans, s.while(c.callerOf(m).up()))
	}
	for i := range c.parts {
		if x := &c.parts[i]; x.outside {
			spans = append(spans, s.while(x.up()))
		}
	}
	return spans
}

// while is the part of s in which o lasted too; it ends before it begins if there is none.
func (s span) while(o span) span { return span{max(s.from, o.from), min(s.to, o.to)} }

// up is when somebody was connected to the leg, as far as that is known.
func (m *part) up() span {
	s := span{0, math.MaxInt64}
	if m.Answer.Known() {
		s.from = m.Answer.At
	}
	if m.End.Known() {
		s.to = m.End.At
	}
	return s
}
