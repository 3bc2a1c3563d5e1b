package session

import (
	"cmp"
	"slices"

	"callstitch/processor/call"
	"callstitch/processor/leg"
)

// Row is the leg's own record. Its session tells its part and its outcome, and
// lends it revision and time; a leg beyond those in the session's record tells
// its own.
func Row(s *call.Session, l *leg.Leg, final bool) *call.Leg {
	sum := summaryOf(s, l, final)
	p := newPeer(l)
	m := part{peer: p, reached: p.person, takenOver: takenOver(s, l.ID)}
	why := l.Ending()
	r := &call.Leg{
		ID: l.ID, SessionID: s.ID, Tenant: l.Tenant, Provider: l.Provider, Account: l.Account.Value,
		CallID: l.CallID, ParentCallID: l.ParentCallID.Value, ParentLeg: sum.ParentLeg, Role: sum.Role,
		Revision: s.Revision, Generation: s.Generation, EmittedAt: s.EmittedAt,
		Direction: l.Direction.Value, From: l.From.Value, To: l.To.Value, AnsweredBy: l.AnsweredBy,
		Disposition: sum.Disposition, Started: p.Started, Ringing: p.Ringing, Answered: p.Answer, Ended: sum.Ended,
		HangupParty: why.HangupParty, HangupCause: cmp.Or(why.HangupCause, sum.HangupCause), Q850: why.Q850, SIPStatus: why.SIPStatus, ProviderCause: why.ProviderCause,
		StartLost: l.StartLost(), InterimLost: l.InterimLost(), EndLost: final && !l.Ended(), ConferenceID: l.ConferenceID.Value,
		EventCount: l.Events, DuplicateCount: l.Duplicates, LateEventCount: l.Late, OutOfOrderCount: l.OutOfOrder,
		FirstEventAt: l.FirstEvent, LastEventAt: l.LastEvent(), Attributes: l.Extras(),
	}
	if r.Tenant == "" { // known only from a copy in another leg's event
		r.Tenant, r.Provider = s.Tenant, s.Provider
	}
	r.Account = cmp.Or(r.Account, s.Account)
	if m.platform && m.Answered() && !m.reached {
		r.AnsweredBy = call.AnswererSystem
	}
	r.Complete = l.Ended() && !r.StartLost && !r.InterimLost && !p.Withheld
	r.Flags = l.Flags | p.Remarks | arrivalRemarks(l.Late, l.OutOfOrder) | inferred(r.Started, r.Answered, r.Ended)
	m.measure(r)
	return r
}

// takenOver is when an attended transfer connected a person to the leg, absent
// where none did.
func takenOver(s *call.Session, id call.LegID) call.Instant {
	for _, t := range s.Transfers {
		if t.Type == call.TransferAttended && t.Result == call.ResultCompleted && t.ToLeg != nil && *t.ToLeg == id && t.At.Known() {
			return call.Instant{At: t.At, Src: call.EvidenceDerived, Precision: 1}
		}
	}
	return call.Instant{}
}

// measure fills the leg's own durations and claims.
func (m *part) measure(r *call.Leg) {
	r.RingMS = m.rang()
	if !m.Answered() {
		r.RingMS = wait(m.Ringing, m.End)
	}
	r.TalkMS = m.legTalk(&r.Flags)
	r.TotalMS = between(m.Started, m.End, &r.Flags)
	if m.Duration.Known() {
		r.ProviderDuration = call.Some(m.Duration.Value)
		m.mismatch(&r.Flags)
	}
	if m.Talk.Known() {
		r.ProviderTalk = call.Some(m.Talk.Value)
	}
}

// summaryOf is the leg's entry in its session's record, or one of its own.
func summaryOf(s *call.Session, l *leg.Leg, final bool) call.LegSummary {
	if i := slices.IndexFunc(s.Legs, func(o call.LegSummary) bool { return o.ID == l.ID }); i >= 0 {
		return s.Legs[i]
	}
	own := call.LegSummary{ID: l.ID, Role: call.RoleDestination, ParentLeg: l.ParentLeg(), Ended: l.Life().End}
	if final && !l.Ended() {
		own.Ended = timedOut(l.LastAlive())
	}
	p := newPeer(l)
	c := course{parties: parties{final: final}}
	own.Disposition = c.dispositionOf(&part{peer: p, reached: p.person}, s.Disposition)
	return own
}
