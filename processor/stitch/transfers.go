package stitch

import (
	"cmp"
	"slices"
	"strings"

	"callstitch/processor/call"
)

// switchTolerance is how much earlier than the end of the old leg, in
// milliseconds, the new one may start: the two are stamped by different clocks,
// some in whole seconds.
const switchTolerance = 5000

// transfer is one passing-on, by the places of peers; -1 is none.
type transfer struct {
	at         int64 // 0 where not known
	from, to   int
	consult    int
	typ        call.TransferType
	result     call.TransferResult
	transferor string
	inferred   bool
}

// transferRule adds to a session's transfers what one way of telling them shows.
type transferRule func(p *picture, seen []peer)

// findTransfers lists the session's transfers by the rules of its provider.
// Members beyond those in the record are not looked at.
func (p *picture) findTransfers() {
	seen := p.peers[:min(len(p.peers), legsMax)]
	for _, rule := range p.peers[p.origin].dialect.transfers {
		rule(p, seen)
	}
}

// apply gives the peers of the transfers their parts.
func (p *picture) apply() {
	for i := range p.transfers {
		t := &p.transfers[i]
		if t.consult >= 0 {
			p.peers[t.consult].role = call.Consult
		}
		if t.from >= 0 && t.from != t.to && t.result != call.TransferNotCompleted {
			p.peers[t.from].left = true
			p.peers[t.from].passedOn = t.to >= 0 || t.consult >= 0
		}
		if t.to >= 0 && t.to != t.from && t.to != p.origin {
			p.peers[t.to].role = call.TransferTarget
		}
	}
}

// findConsultations marks the legs on which a party asked another about the
// caller before passing the caller on: such a leg hangs up twice, or, where one
// of the two was lost or had the same bytes, the other legs show it.
func (p *picture) findConsultations() {
	for i := range p.peers {
		_, p.peers[i].consult = p.peers[i].twiceHungUp()
	}
	if !p.peers[0].dialect.consults || len(p.peers) < 3 {
		return
	}
	seen := p.peers[:min(len(p.peers), legsMax)]
	for i := range seen {
		seen[i].consult = seen[i].consult || consulted(seen, i)
	}
}

// consulted says whether leg c looks like a consultation: made by the party who
// was in a call x, answered, over when x was, and outlived by a leg that joins
// x's far party to the one consulted.
func consulted(seen []peer, c int) bool {
	k := &seen[c]
	if !k.person || !k.ended() {
		return false
	}
	for i := range seen {
		x := &seen[i]
		near, far := x.sides()
		if i == c || !x.person || k.start < x.start || !sameParty(k.from.value, *near) || !endTogether(k, x) {
			continue
		}
		for j := range seen {
			y := &seen[j]
			if j != i && j != c && y.joins(far, &k.to.value) && (!y.ended() || y.end.At > k.end.At) {
				return true
			}
		}
	}
	return false
}

// sides are the party who may pass a call on and the one who may be passed on:
// the inside one and the outside one, the callee and the caller where that does
// not tell.
func (m *peer) sides() (near, far *call.Party) {
	if m.direction.value == call.Outbound {
		return &m.from.value, &m.to.value
	}
	return &m.to.value, &m.from.value
}

// joins says whether the leg is between a and b, whoever called.
func (m *peer) joins(a, b *call.Party) bool {
	return sameParty(m.from.value, *a) && sameParty(m.to.value, *b) || sameParty(m.from.value, *b) && sameParty(m.to.value, *a)
}

func endTogether(a, b *peer) bool {
	d := a.end.At - b.end.At
	return a.end.Known() && b.end.Known() && d < switchTolerance && d > -switchTolerance
}

// fromConsultations takes each consultation as an attended transfer: it left the
// leg of the party who consulted, and goes on as the leg towards the one consulted.
// Where that one had not answered yet, it is a blonde transfer.
func (p *picture) fromConsultations(seen []peer) {
	for i := range seen {
		c := &seen[i]
		if !c.consult {
			continue
		}
		to := lastPeer(seen, func(j int, m *peer) bool { return j != i && sameParty(m.to.value, c.to.value) })
		from := firstPeer(seen, func(j int, m *peer) bool {
			return j != i && (sameParty(m.to.value, c.from.value) || sameParty(m.from.value, c.from.value))
		})
		if from < 0 {
			from = firstPeer(seen, func(j int, _ *peer) bool { return j != i && j != to })
		}
		if to < 0 {
			to = lastPeer(seen, func(j int, _ *peer) bool { return j != i && j != from })
		}
		t := transfer{
			at: c.end.At, from: from, to: to, consult: i, typ: call.Attended,
			transferor: c.from.value.Raw, inferred: true,
		}
		if to >= 0 {
			t.result = call.Completed
			if t.at == 0 {
				t.at = seen[to].started.At
			}
			if c.rangOn(&seen[to]) {
				t.typ = call.Blonde
			}
			seen[to].takeOver(c.end, t.at)
		}
		p.transfers = append(p.transfers, t)
	}
}

// rangOn says whether the consultation was given up while the one to be consulted
// was still rung, and answered later, on leg to. An answer at the moment of the
// transfer says nothing: that of the consultation may be lost.
func (m *peer) rangOn(to *peer) bool {
	return !m.answered() && m.marks&initiated != 0 && m.end.Known() && to.answer.Known() && to.answer.At > m.end.At+switchTolerance
}

// firstPeer is the first leg that fits and is no consultation, -1 for none.
func firstPeer(seen []peer, fits func(int, *peer) bool) int {
	for i := range seen {
		if !seen[i].consult && fits(i, &seen[i]) {
			return i
		}
	}
	return -1
}

// lastPeer is the last leg that fits and is no consultation, -1 for none.
func lastPeer(seen []peer, fits func(int, *peer) bool) int {
	for i := len(seen) - 1; i >= 0; i-- {
		if !seen[i].consult && fits(i, &seen[i]) {
			return i
		}
	}
	return -1
}

// takeOver connects a person to a leg that an attended transfer made, from the
// moment of the transfer; its own answer, if there is one, is better.
func (m *peer) takeOver(at call.Instant, fallback int64) {
	m.person = true
	if at.Known() {
		m.takenOver = at
	} else if fallback != 0 {
		m.takenOver = call.Instant{At: fallback, Src: call.Derived, Precision: 1}
	}
}

func sameParty(a, b call.Party) bool {
	return a.Raw != "" && strings.TrimPrefix(a.Raw, "+") == strings.TrimPrefix(b.Raw, "+")
}

// fromFlows takes a new leg of the far party in the same flow, made after an
// answered one, as a blind transfer.
func (p *picture) fromFlows(seen []peer) {
	for j := range seen {
		if p.reached(j) || seen[j].consult {
			continue
		}
		for i := range slices.Backward(seen) { // of several, the one that was called last passed it on
			if i != j && !seen[i].consult && continues(&seen[i], &seen[j]) {
				p.passOn(i, j, seen[i].end.At)
				break
			}
		}
	}
}

// continues says whether b goes on where a ended: it has a's far party, who can
// be in one call only, and began when a was answered. What Kafka's timestamp
// tells may be late, so b's own answer counts as well.
func continues(a, b *peer) bool {
	_, far := a.sides()
	switch {
	case !a.person || !shareTie(a, b) || !sameParty(*far, b.from.value) && !sameParty(*far, b.to.value):
		return false
	case b.start == a.start:
		return b.person && endsBefore(a, b)
	default:
		return b.start > a.start && (b.person || b.started.At+int64(b.started.Precision) > a.answer.At)
	}
}

func shareTie(a, b *peer) bool {
	return slices.ContainsFunc(a.ties, func(t tie) bool { return slices.Contains(b.ties, t) })
}

// reached says whether a transfer already leads to leg j.
func (p *picture) reached(j int) bool {
	return slices.ContainsFunc(p.transfers, func(t transfer) bool { return t.to == j })
}

// passOn adds an inferred blind transfer from leg i to leg j.
func (p *picture) passOn(i, j int, at int64) {
	if at == 0 {
		at = p.peers[j].started.At
	}
	near, _ := p.peers[i].sides()
	if p.peers[i].child() {
		near = &p.peers[i].to.value // the one who was dialled
	}
	p.transfers = append(p.transfers, transfer{
		at: at, from: i, to: j, consult: -1, typ: call.Blind, result: p.arrived(j),
		transferor: near.Raw, inferred: true,
	})
}

// arrived is whether a transfer to leg j went through.
func (p *picture) arrived(j int) call.TransferResult {
	switch m := &p.peers[j]; {
	case m.person:
		return call.Completed
	case m.mayHaveTalked(), !m.ended() && !p.final:
		return call.ResultUnknown
	default:
		return call.TransferNotCompleted
	}
}

// fromRedials takes a dial made after an earlier one of the same call was
// answered and ended as a blind transfer: the caller was passed on. A dial by
// itself is none.
func (p *picture) fromRedials(seen []peer) {
	for j := range seen {
		if !seen[j].child() {
			continue
		}
		for i := j - 1; i >= 0; i-- {
			a := &seen[i]
			if a.child() && a.person && a.parentCallID.value == seen[j].parentCallID.value &&
				a.end.Known() && seen[j].started.Known() && a.end.At <= seen[j].started.At {
				p.passOn(i, j, seen[j].started.At)
				break
			}
		}
	}
}

// fromCauses takes a leg that the platform says was ended by a transfer.
func (p *picture) fromCauses(seen []peer) {
	for i := range seen {
		m := &seen[i]
		why := m.why()
		if why.HangupCause != call.CauseTransferred || m.dialect.words[why.ProviderCause] == bowedOut {
			continue
		}
		t := transfer{
			at: m.end.At, from: i, to: p.successor(seen, i), consult: -1,
			typ: m.passing(why.ProviderCause), result: call.Completed, transferor: p.farEnd(i),
		}
		if t.to >= 0 {
			if p.reached(t.to) {
				continue // both sides of one transfer say so
			}
			t.result = p.arrived(t.to)
		}
		p.transfers = append(p.transfers, t)
	}
}

// farEnd is the party whom the platform reaches through leg i.
func (p *picture) farEnd(i int) string {
	if m := &p.peers[i]; m.direction.value == call.Inbound {
		return m.from.value.Raw
	}
	return p.peers[i].to.value.Raw
}

// passing is the kind of transfer that a leg's events name, or else its cause.
func (m *peer) passing(cause string) call.TransferType {
	if m.transferType.known() {
		return m.transferType.value
	}
	switch m.dialect.words[cause] {
	case passedBlind:
		return call.Blind
	case passedAsked:
		return call.Attended
	default:
		return call.TransferUnknown
	}
}

// successor is the first leg made when leg i ended, -1 where there is none.
func (p *picture) successor(seen []peer, i int) int {
	m := &seen[i]
	for j := range seen {
		if j != i && j != p.origin && m.end.Known() && seen[j].started.Known() &&
			seen[j].started.At > m.start && seen[j].started.At >= m.end.At-switchTolerance {
			return j
		}
	}
	return -1
}

// fromAgents takes a call that one agent answered and that then rings at
// another, inside one call id, as a blind transfer. In an outbound call a number
// that rings later is the customer whom the agent calls.
func (p *picture) fromAgents(seen []peer) {
	for i := range seen {
		m := &seen[i]
		holder, open := "", -1
		for k := range m.moments {
			e := &m.moments[k]
			if e.callee == "" || e.typ == call.ChannelEnded || m.platform && (!m.agent.Known() || e.at < m.agent.At) {
				continue // the platform passes nobody on: it offers the call
			}
			switch {
			case holder == "":
				if e.typ == call.CallAnswered {
					holder = e.callee
				}
				continue
			case e.callee == holder, m.direction.value == call.Outbound && e.kind == call.PSTN:
				continue
			case open < 0:
				open = len(p.transfers)
				p.transfers = append(p.transfers, transfer{
					at: e.at, from: i, to: i, consult: -1, typ: call.Blind, transferor: holder, inferred: true,
				})
			}
			if e.typ == call.CallAnswered {
				p.transfers[open].result = call.Completed
				holder, open = e.callee, -1
			}
		}
		if open >= 0 && (m.ended() || p.final) {
			p.transfers[open].result = call.TransferNotCompleted
		}
	}
}

// fromEvents takes what a platform's own transfer events say. Such an event
// confirms a transfer that was inferred from the same leg, and says when it was. In
// raw files without a clock it leaves no moment, but still its word.
func (p *picture) fromEvents(seen []peer) {
	for i := range seen {
		m := &seen[i]
		if !m.passed() {
			if m.transferType.known() {
				p.confirm(i, call.Instant{}, call.Completed)
			}
			continue
		}
		for k := range m.moments {
			e := &m.moments[k]
			at := call.Instant{At: e.at, Src: e.src, Precision: 1}
			switch e.typ {
			case call.TransferCompleted:
				p.confirm(i, at, call.Completed)
			case call.TransferFailed:
				p.confirm(i, at, call.TransferNotCompleted)
			case call.TransferStarted:
				p.confirm(i, at, call.ResultUnknown)
			}
		}
	}
}

// passed says whether the leg's events speak of a transfer.
func (m *peer) passed() bool {
	return slices.ContainsFunc(m.moments, func(e moment) bool {
		return e.typ == call.TransferStarted || e.typ == call.TransferCompleted || e.typ == call.TransferFailed
	})
}

func (p *picture) confirm(i int, at call.Instant, result call.TransferResult) {
	if k := p.transferOf(i); k >= 0 {
		t := &p.transfers[k]
		t.inferred = false
		if at.Known() {
			t.at = at.At
			if t.consult >= 0 && t.to >= 0 {
				p.peers[t.to].takenOver = at
			}
		}
		if result != call.ResultUnknown {
			t.result = result
		}
		return
	}
	p.transfers = append(p.transfers, transfer{
		at: at.At, from: i, to: p.successor(p.peers[:min(len(p.peers), legsMax)], i), consult: -1,
		typ: p.peers[i].passing(""), result: result,
	})
}

// transferOf is the transfer that an event of leg i speaks of: one that the leg made,
// else the one by which it came; -1 for none. A leg in a chain has both.
func (p *picture) transferOf(i int) int {
	made := slices.IndexFunc(p.transfers, func(t transfer) bool { return t.from == i || t.consult == i })
	if made >= 0 {
		return made
	}
	return slices.IndexFunc(p.transfers, func(t transfer) bool { return t.to == i })
}

// record writes the transfers in the form of the session's record.
func (p *picture) recordTransfers(s *call.Session) {
	for _, t := range p.transfers {
		if t.result == call.Completed {
			s.TransferCount++
		}
		s.Transfers = append(s.Transfers, call.Transfer{
			At: t.at, Type: t.typ, FromLeg: p.ref(t.from), ToLeg: p.ref(t.to),
			Transferor: t.transferor, Result: t.result, Inferred: t.inferred,
		})
	}
	slices.SortFunc(s.Transfers, func(a, b call.Transfer) int {
		return cmp.Or(cmp.Compare(a.At, b.At), compareRefs(a.FromLeg, b.FromLeg), compareRefs(a.ToLeg, b.ToLeg))
	})
}

// ref is a copy of a peer's id.
func (p *picture) ref(i int) *call.LegID {
	if i < 0 {
		return nil
	}
	id := p.peers[i].id
	return &id
}

func compareRefs(a, b *call.LegID) int {
	switch {
	case a == nil || b == nil:
		return cmp.Compare(btoi(a != nil), btoi(b != nil))
	default:
		return slices.Compare(a[:], b[:])
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
