package session

import (
	"cmp"
	"slices"
	"strings"

	"callstitch/processor/call"
	"callstitch/processor/leg"
)

// Compose makes the session's record from its legs, in any order: everything
// but state, revision, change reason and merges. dropped is the number of further
// legs, which were not kept. The close reason is set only where final: nothing more
// is waited for.
//
// Each step is made of what the ones before it found: who is in the call, who
// passed whom on, how it went, when and for how long.
func Compose(id call.LegID, legs []*leg.Leg, dropped int, final bool) *call.Session {
	s := &call.Session{ID: id, LegCount: int32(len(legs) + dropped)}
	if len(legs) == 0 {
		return s
	}
	var peers [4]peer
	var parts [4]part
	who := partiesOf(peers[:0], legs, final)
	course := courseOf(parts[:0], who)
	outcome := outcomeOf(&course)
	times := timesOf(&course, outcome)
	lengths := lengthsOf(&course, outcome, times)
	identify(s, &course)
	writeOutcome(s, &course, outcome)
	writeTimes(s, times)
	writeLengths(s, lengths)
	remark(s, &course)
	count(s, &course)
	list(s, &course, dropped)
	return s
}

// identify says who called whom.
func identify(s *call.Session, c *course) {
	o := &c.parts[c.origin]
	s.Tenant, s.Provider = o.Tenant, o.Provider
	s.Direction, s.From, s.To = o.Direction.Value, o.From.Value, o.To.Value
	s.Account, s.ConferenceID = o.Account.Value, o.ConferenceID.Value
	for i := range c.parts {
		m := &c.parts[i]
		if s.Tenant == "" { // the origin is known only from a copy
			s.Tenant, s.Provider = m.Tenant, m.Provider
		}
		s.Account = cmp.Or(s.Account, m.Account.Value)
		s.ConferenceID = cmp.Or(s.ConferenceID, m.ConferenceID.Value)
	}
}

// writeOutcome says how the call went and why it ended.
func writeOutcome(s *call.Session, c *course, o outcome) {
	s.Disposition, s.AnsweredBy = o.disposition, o.answeredBy
	if o.explains >= 0 && c.parts[o.explains].Ended() {
		why := c.parts[o.explains].Ending()
		s.HangupParty, s.HangupCause = why.HangupParty, why.HangupCause
		s.Q850, s.SIPStatus, s.ProviderCause = why.Q850, why.SIPStatus, why.ProviderCause
		s.HangupParty = cmp.Or(o.hungUp, s.HangupParty)
	}
	if c.final {
		s.CloseReason = call.ClosedNormal
		if !c.over {
			s.CloseReason, s.EndLost = call.ClosedTimeout, true
		}
	}
}

func writeTimes(s *call.Session, t times) {
	s.Started, s.Ringing, s.PlatformAnswered, s.Answered, s.Ended = t.started, t.ringing, t.platformAnswered, t.answered, t.ended
	s.Flags |= inferred(s.Started, s.Answered, s.Ended)
}

func writeLengths(s *call.Session, l lengths) {
	s.RingMS, s.TalkMS, s.HoldMS, s.QueueMS, s.TotalMS = l.ring, l.talk, l.hold, l.queue, l.total
	s.LegTalkMSSum, s.ProviderDuration, s.DurationMismatchMS = l.legTalkSum, l.providerDuration, l.mismatch
	s.Flags |= l.flags
}

// remark says what of the call was not seen.
func remark(s *call.Session, c *course) {
	// A leg that names a parent began as somebody's dial: the call's start is its
	// parent's, of which nothing is known.
	o := &c.parts[c.origin]
	s.StartLost = o.StartLost() || o.child()
	doubtful := c.unseen
	for i := range c.parts {
		m := &c.parts[i]
		s.InterimLost = s.InterimLost || m.InterimLost()
		doubtful = doubtful || m.Withheld || m.mayHaveTalked() && !(c.anyPerson && m.platform)
	}
	s.Complete = c.over && !s.StartLost && !s.InterimLost && !doubtful
}

// inferred is the flag for instants that no provider stated.
func inferred(instants ...call.Instant) call.Flags {
	for _, i := range instants {
		if i.Src >= call.EvidenceSnapshot {
			return call.FlagTimesInferred
		}
	}
	return 0
}

// count fills the numbers and the span of the evidence.
func count(s *call.Session, c *course) {
	var first, last *leg.Leg
	for i := range c.parts {
		m := &c.parts[i]
		s.EventCount += m.Events
		s.DuplicateCount += m.Duplicates
		s.LateEventCount += m.Late
		s.OutOfOrderCount += m.OutOfOrder
		s.Flags |= m.Flags | m.Remarks
		if m.Answered() || m.reached {
			s.AnsweredLegCount++
		}
		s.FirstEventAt = leg.Earlier(s.FirstEventAt, m.FirstEvent)
		s.LastEventAt = max(s.LastEventAt, m.LastEvent())
		if m.Events == 0 {
			continue
		}
		if first == nil || m.FirstSource.Compare(first.FirstSource) < 0 {
			first = m.Leg
		}
		if last == nil || m.LastSource.Compare(last.LastSource) > 0 {
			last = m.Leg
		}
	}
	if first != nil {
		span := [2]call.Source{first.FirstSource.Source, last.LastSource.Source}
		s.FirstSource, s.LastSource = &span[0], &span[1]
	}
	s.Flags |= arrivalRemarks(s.LateEventCount, s.OutOfOrderCount)
	s.ParticipantCount = c.participants()
	s.CorrelationMethods = c.methods()
	if c.weak(s.CorrelationMethods) {
		s.Flags |= call.FlagCorrelationWeak
	}
}

func arrivalRemarks(late, outOfOrder int32) (f call.Flags) {
	if late > 0 {
		f |= call.FlagLateEvents
	}
	if outOfOrder > 0 {
		f |= call.FlagOutOfOrder
	}
	return f
}

// participants is the number of different parties: the caller, and whoever
// answered. A number with and without its plus is one party.
func (c *course) participants() int32 {
	var buf [8]string
	names := buf[:0]
	add := func(raw string) {
		if raw = strings.TrimPrefix(raw, "+"); raw != "" {
			names = append(names, raw)
		}
	}
	add(c.parts[c.origin].From.Value.Raw)
	for i := range c.parts {
		m := &c.parts[i]
		if !m.reached {
			continue
		}
		agents := len(names)
		for k := range m.Moments {
			if m.Moments[k].Type == call.EventCallAnswered {
				add(m.Moments[k].Callee)
			}
		}
		if len(names) == agents { // no agents are named: the leg has one callee
			add(m.To.Value.Raw)
		}
	}
	slices.Sort(names)
	return int32(len(slices.Compact(names)))
}

// methods is how the legs were joined, sorted by word.
func (c *course) methods() []call.LinkKind {
	var methods []call.LinkKind
	for _, kind := range [...]call.LinkKind{call.LinkFlow, call.LinkParent, call.LinkSameID, call.LinkTag} {
		if c.joinedBy(kind) {
			methods = append(methods, kind)
		}
	}
	return methods
}

func (c *course) joinedBy(kind call.LinkKind) bool {
	switch kind {
	case call.LinkSameID:
		return c.parts[c.origin].Provider.Traits().OneCallID
	case call.LinkParent:
		return slices.ContainsFunc(c.parts, func(m part) bool { return m.parent >= 0 })
	default:
		return c.sharesTie(kind)
	}
}

// sharesTie reports whether two peers name the same value of the kind.
func (c *course) sharesTie(kind call.LinkKind) bool {
	if len(c.parts) < 2 {
		return false
	}
	var seen []uint64
	for i := range c.parts {
		mine := len(seen)
		for _, t := range c.parts[i].Ties {
			if t.Kind != kind {
				continue
			}
			if slices.Contains(seen[:mine], t.Hash) {
				return true
			}
			seen = append(seen, t.Hash)
		}
	}
	return false
}

// weak reports whether nothing but a tag holds some of the legs together. The
// application may use one tag for several calls, and rewrite it during one.
func (c *course) weak(methods []call.LinkKind) bool {
	if !slices.Contains(methods, call.LinkTag) {
		return false
	}
	first := c.ancestor(0)
	for i := range c.peers {
		if c.ancestor(i) != first {
			return true
		}
	}
	return false
}
