package stitch

import (
	"slices"

	"callstitch/processor/call"
	"callstitch/processor/codec"
	"callstitch/processor/leg"
	"callstitch/processor/session"
)

// settlement is what a root knows of whether a session id has settled.
type settlement uint8

const (
	unsettled     settlement = iota
	hasSettled               // at this root, or at one that handed over to it
	mayHaveBefore            // its leg was forgotten and came again: nobody knows what settled before
	settlements
)

// and is what two roots know of one id together. Of one whose leg came again, a root that
// has kept it all the while knows better.
func (s settlement) and(o settlement) settlement {
	switch {
	case s == hasSettled || o == hasSettled:
		return hasSettled
	case s == unsettled || o == unsettled:
		return unsettled
	default:
		return mayHaveBefore
	}
}

// anySettled reports whether anything is to be told of any of these that only a root
// knows which settles sessions.
func anySettled(published []publication) bool {
	return slices.ContainsFunc(published, func(p publication) bool { return p.settled != unsettled })
}

// visitSettled visits a publication, and whether it has settled.
func (p *publication) visitSettled(c *codec.Codec) {
	p.Visit(c)
	codec.Enum(c, &p.settled, int(settlements))
}

// publishSettled appends the session to those that change no more, once for each id, when
// that is due. Whatever changes it later is in its revisions only.
func (m *Machine) publishSettled(n *node, survivor int, legs []*leg.Leg, closes call.Arrival, now Clocks) {
	p := &n.published[survivor]
	if p.settled != unsettled {
		return
	}
	at := n.forgotten()
	if m.cfg.SettledAfter > 0 {
		at = min(at, max(closes.Add(m.cfg.SettledAfter), n.gate))
	}
	if controls && m.control.SettleEarly {
		at = min(at, max(closes, n.gate))
	}
	if now.Session < at {
		n.wait(timer{at: at})
		return
	}
	p.settled = hasSettled
	n.changed = true
	s := session.Compose(p.id, legs, int(n.members.dropped), true)
	s.State = call.StateFinal
	s.Revision, s.Generation, s.EmittedAt = p.revision, m.cfg.Generation, at
	s.MergedSessionIDs = n.mergedInto(survivor)
	s.ChangeReason = reason(&publication{}, facts{}, factsOf(s), false, s)
	m.effects.Settled = append(m.effects.Settled, s)
}

// comeAgain makes a stub a node again: what reaches an expired leg in a message is younger
// than it was. What it was is not known any more, so no session of its id settles: the
// id may have, before.
func (m *Machine) comeAgain(n *node) {
	n.stub = false
	if m.cfg.Settled && !(controls && m.control.ForgetAgain) {
		n.came = true
		n.published = append(n.published, publication{id: n.id.Leg(), settled: mayHaveBefore})
	}
}
