package session

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"callstitch/processor/call"
	"callstitch/processor/leg"
)

// parties are the legs of a session and who they are to each other, before
// anything is known of transfers.
type parties struct {
	peers  []peer // by start, then by which was heard of first
	origin int    // of peers: the leg that began the call
	final  bool
	over   bool // every leg ended, and nothing more is expected
}

// open reports whether more may come.
func (p *parties) open() bool { return !p.over && !p.final }

// peer is a leg as its session sees it.
type peer struct {
	*leg.Leg
	leg.Life
	dialect  *dialect
	start    call.Time    // for order; math.MaxInt64 where not known
	agent    call.Instant // when an agent answered after the platform had
	parent   int          // -1 where its parent is not among the peers
	platform bool         // an answer on it is the platform's own
	person   bool         // a called person answered it
	consult  bool         // one party asks another about the caller
	declined bool         // a person answered, was asked, and did not take the call
}

// partiesOf are those of at least one leg, in any order. Peers are put into the
// memory of buf while it lasts.
func partiesOf(buf []peer, legs []*leg.Leg, final bool) parties {
	p := parties{peers: buf[:0], final: final, over: !pending(legs)}
	for _, l := range legs {
		p.peers = append(p.peers, newPeer(l))
		p.over = p.over && l.Ended()
	}
	slices.SortFunc(p.peers, comparePeers)
	p.findParents()
	p.findDeclined()
	p.findConsultations()
	p.findOrigin()
	return p
}

// newPeer is what is known of a leg without looking at the others.
func newPeer(l *leg.Leg) peer {
	m := peer{Leg: l, Life: l.Life(), dialect: &dialects[l.Provider], start: math.MaxInt64, parent: -1}
	switch {
	case m.Started.Known():
		m.start = m.Started.At
	case m.Withheld && l.First().Known():
		m.start = l.First() // it was told, but cannot be
	}
	inbound := l.Direction.Value == call.DirectionInbound && !m.child()
	m.platform = l.Saw(leg.PlatformAnswered) || inbound && m.dialect.answersInbound
	if m.platform {
		m.agent = m.agentAnswer()
	}
	m.person = m.agent.Known() || l.Answered() && !m.deniesTalk() && (l.AnsweredBy == call.AnswererHuman ||
		!m.platform && l.AnsweredBy != call.AnswererMachine && l.AnsweredBy != call.AnswererSystem)
	return m
}

// child reports whether the leg names a parent: it is a dial of another leg.
func (m *peer) child() bool { return m.ParentCallID.Known() }

// agentAnswer is when an agent answered a call that the platform had answered
// before: the callee is a user, and not the one whom the caller had called.
func (m *peer) agentAnswer() call.Instant {
	for i := range m.Moments {
		e := &m.Moments[i]
		if e.Type == call.EventCallAnswered && e.Kind == call.PartyUser && e.Callee != m.To.Value.Raw && m.Spans(e.At) {
			return call.Instant{At: e.At, Src: e.Src, Precision: 1}
		}
	}
	return call.Instant{}
}

// claimedNoneMS is how long talk may be that a provider claims as none: it counts
// whole seconds, and its hosts differ by some 200 ms.
const claimedNoneMS = 1200

// deniesTalk reports whether the provider claims that nobody talked, and why the
// called party could not be reached. An answer before that was of somebody
// else, such as an agent who is rung before the customer is called.
func (m *peer) deniesTalk() bool {
	if !m.Talk.Known() || m.Talk.Value != 0 {
		return false
	}
	switch m.Ending().HangupCause {
	case call.CauseCanceled:
		return m.End.Known() && m.Answer.Known() && m.End.At-m.Answer.At >= claimedNoneMS
	case call.NoCause, call.CauseNormal, call.CauseTransferred, call.CauseUnknown:
		return false
	default:
		return true
	}
}

func comparePeers(a, b peer) int {
	if c := cmp.Compare(a.start, b.start); c != 0 {
		return c
	}
	return leg.CompareFirst(a.Leg, b.Leg)
}

// findParents finds each peer's parent; most share one.
func (p *parties) findParents() {
	last := 0
	for i := range p.peers {
		m := &p.peers[i]
		if !m.child() {
			continue
		}
		name := m.ParentCallID.Value
		if p.peers[last].CallID != name {
			last = max(0, slices.IndexFunc(p.peers, func(o peer) bool { return o.CallID == name }))
		}
		if last != i && p.peers[last].CallID == name {
			m.parent = last
		}
	}
}

// findConsultations marks the legs on which a party asked another about the
// caller before passing the caller on: such a leg hangs up twice, or, where one
// of the two was lost or had the same bytes, the other legs show it.
func (p *parties) findConsultations() {
	for i := range p.peers {
		_, p.peers[i].consult = p.peers[i].HungUpTwice()
	}
	if !p.peers[0].dialect.consults || len(p.peers) < 3 {
		return
	}
	shown := p.peers[:min(len(p.peers), legsMax)]
	for i := range shown {
		shown[i].consult = shown[i].consult || consulted(shown, i)
	}
}

// consulted reports whether leg c looks like a consultation: made by the party
// who was in a call x, answered, over when x was, and outlived by a leg y that
// joins x's far party to the one consulted.
//
//	x  far ├──────── near ─────────┤
//	c            near ├── third ───┤
//	y                         far ├── third ──────┤
func consulted(peers []peer, c int) bool {
	k := &peers[c]
	if !k.person || !k.Ended() {
		return false
	}
	for i := range peers {
		x := &peers[i]
		near, far := x.sides()
		if i == c || !x.person || k.start < x.start || !sameParty(k.From.Value, *near) || !endTogether(k, x) {
			continue
		}
		for j := range peers {
			y := &peers[j]
			if j != i && j != c && y.joins(far, &k.To.Value) && (!y.Ended() || y.End.At > k.End.At) {
				return true
			}
		}
	}
	return false
}

// findOrigin finds the first peer that no other one made and that was no
// consultation.
func (p *parties) findOrigin() {
	best := -1
	for i := range p.peers {
		if p.peers[i].parent >= 0 {
			continue
		}
		if best < 0 || p.peers[best].consult && !p.peers[i].consult {
			best = i
		}
	}
	p.origin = max(0, best) // parents in a circle: damaged, but not fatal
}

// sides are the party who may pass a call on and the one who may be passed on:
// the inside one and the outside one, the callee and the caller where that does
// not tell.
func (m *peer) sides() (near, far *call.Party) {
	if m.Direction.Value == call.DirectionOutbound {
		return &m.From.Value, &m.To.Value
	}
	return &m.To.Value, &m.From.Value
}

// joins reports whether the leg is between a and b, whoever called.
func (m *peer) joins(a, b *call.Party) bool {
	return sameParty(m.From.Value, *a) && sameParty(m.To.Value, *b) || sameParty(m.From.Value, *b) && sameParty(m.To.Value, *a)
}

func sameParty(a, b call.Party) bool {
	return a.Raw != "" && strings.TrimPrefix(a.Raw, "+") == strings.TrimPrefix(b.Raw, "+")
}

// isOn reports whether the leg is of party p, whoever called.
func isOn(l *leg.Leg, p call.Party) bool {
	return sameParty(l.From.Value, p) || sameParty(l.To.Value, p)
}

func endTogether(a, b *peer) bool {
	d := a.End.At - b.End.At
	return a.End.Known() && b.End.Known() && d < switchTolerance && d > -switchTolerance
}

// ancestor is the call id that peer i descends from, a peer's or only named.
func (p *parties) ancestor(i int) string {
	for range p.peers { // parents in a circle end as well
		if p.peers[i].parent < 0 {
			break
		}
		i = p.peers[i].parent
	}
	if m := &p.peers[i]; m.child() {
		return m.ParentCallID.Value
	}
	return p.peers[i].CallID
}
