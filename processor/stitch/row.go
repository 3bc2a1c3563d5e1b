package stitch

import (
	"cmp"
	"slices"

	"callstitch/processor/call"
)

// row is the leg's own record. Its session tells its part and its outcome, and
// lends it revision and time; a leg beyond those in the session's record tells
// its own.
func row(s *call.Session, l *leg, final bool) *call.Leg {
	sum := summaryOf(s, l, final)
	p := newPeer(l)
	m := part{peer: p, reached: p.person, takenOver: takenOver(s, l.id)}
	why := l.why()
	r := &call.Leg{
		ID: l.id, SessionID: s.ID, Tenant: l.tenant, Provider: l.provider, Account: l.account.value,
		CallID: l.callID, ParentCallID: l.parentCallID.value, ParentLeg: sum.ParentLeg, Role: sum.Role,
		Revision: s.Revision, Generation: s.Generation, EmittedAt: s.EmittedAt,
		Direction: l.direction.value, From: l.from.value, To: l.to.value, AnsweredBy: l.answeredBy,
		Disposition: sum.Disposition, Started: l.started, Ringing: l.ringing, Answered: l.answer, Ended: sum.Ended,
		HangupParty: why.HangupParty, HangupCause: cmp.Or(why.HangupCause, sum.HangupCause), Q850: why.Q850, SIPStatus: why.SIPStatus, ProviderCause: why.ProviderCause,
		StartLost: l.startLost(), InterimLost: l.interimLost(), EndLost: final && !l.ended(), ConferenceID: l.conferenceID.value,
		EventCount: l.events, DuplicateCount: l.duplicates, LateEventCount: l.late, OutOfOrderCount: l.outOfOrder,
		FirstEventAt: l.firstEvent, LastEventAt: l.lastEvent(), Attributes: l.extras(),
	}
	if r.Tenant == "" { // known only from a copy in another leg's event
		r.Tenant, r.Provider = s.Tenant, s.Provider
	}
	r.Account = cmp.Or(r.Account, s.Account)
	if m.platform && m.answered() && !m.reached {
		r.AnsweredBy = call.System
	}
	r.Complete = l.ended() && !r.StartLost && !r.InterimLost
	r.Flags = l.flags | l.skew() | arrivalRemarks(l.late, l.outOfOrder) | inferred(r.Started, r.Answered, r.Ended)
	m.measure(r)
	return r
}

// takenOver is when an attended transfer connected a person to the leg, absent
// where none did.
func takenOver(s *call.Session, id call.LegID) call.Instant {
	for _, t := range s.Transfers {
		if t.Type == call.Attended && t.Result == call.Completed && t.ToLeg != nil && *t.ToLeg == id {
			return call.Instant{At: t.At, Src: call.Derived, Precision: 1}
		}
	}
	return call.Instant{}
}

// measure fills the leg's own durations and claims.
func (m *part) measure(r *call.Leg) {
	r.RingMS = between(m.ringing, m.answer, &r.Flags)
	if !m.answered() {
		r.RingMS = between(m.ringing, m.end, &r.Flags)
	}
	r.TalkMS = m.legTalk(&r.Flags)
	r.TotalMS = between(m.started, m.end, &r.Flags)
	if m.duration.known() {
		r.ProviderDuration = call.Some(m.duration.value)
		m.mismatch(&r.Flags)
	}
	if m.talk.known() {
		r.ProviderTalk = call.Some(m.talk.value)
	}
}

// summaryOf is the leg's entry in its session's record, or one of its own.
func summaryOf(s *call.Session, l *leg, final bool) call.LegSummary {
	if i := slices.IndexFunc(s.Legs, func(o call.LegSummary) bool { return o.ID == l.id }); i >= 0 {
		return s.Legs[i]
	}
	own := call.LegSummary{ID: l.id, Role: call.Destination, ParentLeg: l.parentLeg(), Ended: l.end()}
	if final && !l.ended() {
		own.Ended = timedOut(l.lastAlive())
	}
	p := newPeer(l)
	c := course{parties: parties{final: final}}
	own.Disposition = c.dispositionOf(&part{peer: p, reached: p.person}, s.Disposition)
	return own
}
