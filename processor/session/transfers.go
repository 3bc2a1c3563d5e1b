package session

import (
	"slices"

	"callstitch/processor/call"
	"callstitch/processor/leg"
)

// The rules. In the drawings a leg is a bar from its start to its end, dotted
// while it rings; A and B are inside, C is the far party.

// fromConsultations finds attended transfers. A asks B, and connects C to B: the
// consultation left the leg of the party who consulted, and goes on as the leg
// towards the one consulted.
//
//	from     C ├··├──────── A ────────────┤
//	consult          A ├··├───── B ───────┤
//	to                                  C ├────── B ──────┤
//
// Where B had not answered yet, it is a blonde transfer.
//
//	from     C ├··├──────── A ────────────┤
//	consult          A ├················ B┤
//	to                                  C ├·······├── B ──┤
func (c *course) fromConsultations(found []transfer) []transfer {
	shown := c.shown()
	for i := range shown {
		k := &shown[i]
		if !k.consult {
			continue
		}
		to := lastOther(shown, func(j int) bool { return j != i && sameParty(shown[j].To.Value, k.To.Value) })
		from := firstOther(shown, func(j int) bool {
			return j != i && (sameParty(shown[j].To.Value, k.From.Value) || sameParty(shown[j].From.Value, k.From.Value))
		})
		if from < 0 {
			from = firstOther(shown, func(j int) bool { return j != i && j != to })
		}
		if to < 0 {
			to = lastOther(shown, func(j int) bool { return j != i && j != from })
		}
		t := transfer{
			at: k.End.At, from: from, to: to, consult: i, typ: call.TransferAttended,
			transferor: k.From.Value.Raw, inferred: true,
		}
		if to >= 0 {
			t.result = call.ResultCompleted
			if !t.at.Known() {
				t.at = shown[to].Started.At
			}
			if k.rangOn(&shown[to].peer) {
				t.typ = call.TransferBlonde
			}
			shown[to].takeOver(k.End, t.at)
		}
		found = append(found, t)
	}
	return found
}

// rangOn reports whether the consultation was given up while the one to be
// consulted was still rung, and answered later, on leg to. An answer at the moment
// of the transfer says nothing: that of the consultation may be lost.
func (m *peer) rangOn(to *peer) bool {
	return !m.Answered() && m.Saw(leg.Initiated) && m.End.Known() && to.Answer.Known() && to.Answer.At > m.End.At+switchTolerance
}

// firstOther is the first leg that fits and is no consultation, -1 for none.
func firstOther(shown []part, fits func(int) bool) int {
	for i := range shown {
		if !shown[i].consult && fits(i) {
			return i
		}
	}
	return -1
}

// lastOther is the last leg that fits and is no consultation, -1 for none.
func lastOther(shown []part, fits func(int) bool) int {
	for i := range slices.Backward(shown) {
		if !shown[i].consult && fits(i) {
			return i
		}
	}
	return -1
}

// takeOver connects a person to a leg that an attended transfer made, from the
// moment of the transfer; its own answer, if there is one, is better.
func (m *part) takeOver(at call.Instant, fallback call.Time) {
	m.reached = true
	if at.Known() {
		m.takenOver = at
	} else if fallback.Known() {
		m.takenOver = call.Instant{At: fallback, Src: call.EvidenceDerived, Precision: 1}
	}
}

// fromFlows finds blind transfers by a new leg of the far party in the same flow,
// made after an answered one.
//
//	from     C ├··├──────── A ────────┤
//	to                              C ├·····├──── B ────┤
//
// One of a group that was rung late, or who was asked while the far party waited on
// another leg, is none.
//
//	answered C ├··├──────── A ──────────────────────────┤
//	late     C    ├···┤ B
//
//	waiting  C ├··├──────── A ──────────────────────────┤
//	asked             A ├────── B ──┤ A ├··├── D ─────────────┤
func (c *course) fromFlows(found []transfer) []transfer {
	shown := c.shown()
	for j := range shown {
		if isTarget(found, j) || shown[j].consult {
			continue
		}
		for i := range slices.Backward(shown) { // of several, the one that was called last passed it on
			if i != j && !shown[i].consult && continues(&shown[i], &shown[j]) && !c.asks(i, j) {
				found = c.passOn(found, i, j, shown[i].End.At)
				break
			}
		}
	}
	return found
}

// continues reports whether b goes on where a ended: it has a's far party, who can
// be in one call only, and began when a was answered. What Kafka's timestamp
// tells may be late, so b's own answer counts as well; where nobody answered b, a must
// have ended when it began.
func continues(a, b *part) bool {
	_, far := a.sides()
	begun := b.Started.At + call.Time(b.Started.Precision)
	switch {
	case !a.reached || !shareTie(&a.peer, &b.peer) || !isOn(b.Leg, *far):
		return false
	case !b.reached && b.Ended() && (!a.Ended() || b.End.At <= a.End.At):
		return false // it was over while a went on: a telephone that rang with it
	case b.start == a.start:
		return b.reached && endsBefore(&a.peer, &b.peer)
	case b.reached:
		return b.start > a.start
	default:
		return b.start > a.start && begun > a.Answer.At && a.End.Known() && a.End.At <= begun+switchTolerance
	}
}

// asks reports whether the far party of leg i was still inside another call when leg j
// was made: then nobody passed that party on, who asks others about the one outside.
func (c *course) asks(i, j int) bool {
	_, far := c.parts[i].sides()
	begun := c.parts[j].start
	return slices.ContainsFunc(c.shown(), func(x part) bool {
		near, _ := x.sides()
		return x.Leg != c.parts[i].Leg && x.Leg != c.parts[j].Leg && x.reached && sameParty(*near, *far) &&
			x.start <= c.parts[i].start && (!x.End.Known() || x.End.At > begun)
	})
}

func shareTie(a, b *peer) bool {
	return slices.ContainsFunc(a.Ties, func(t leg.Tie) bool { return slices.Contains(b.Ties, t) })
}

// fromRedials finds blind transfers by a dial made after an earlier one of the
// same call was answered and ended: the caller was passed on. A dial by itself is
// none.
//
//	caller   C ├──────────────────────────────────────┤
//	from          ├··├───── A ─────┤
//	to                                ├···├──── B ────┤
//
// The two may be of different hosts, whose clocks differ: the new dial may seem to begin
// a little before the old one's end, though not before A answered. Telephones that ring
// at once begin before that.
func (c *course) fromRedials(found []transfer) []transfer {
	shown := c.shown()
	for j := range shown {
		if !shown[j].child() {
			continue
		}
		for i := j - 1; i >= 0; i-- {
			a := &shown[i]
			if a.child() && a.reached && a.ParentCallID.Value == shown[j].ParentCallID.Value &&
				a.End.Known() && shown[j].Started.Known() && a.Answer.At <= shown[j].Started.At && a.End.At <= shown[j].Started.At+hostsApart {
				found = c.passOn(found, i, j, shown[j].Started.At)
				break
			}
		}
	}
	return found
}

// fromAgents finds blind transfers inside one call id: it rings at another agent
// after one has answered. In an outbound call a number that rings later is the
// customer whom the agent calls.
//
//	leg      C ├··········├──── A ──────────┤··········├──── B ────┤
//	moments     A is rung, A answers,    B is rung, B answers
func (c *course) fromAgents(found []transfer) []transfer {
	shown := c.shown()
	for i := range shown {
		m := &shown[i]
		holder, open := "", -1
		for k := range m.Moments {
			e := &m.Moments[k]
			if e.Callee == "" || e.Type == call.EventChannelEnded || m.platform && (!m.agent.Known() || e.At < m.agent.At) {
				continue // the platform passes nobody on: it offers the call
			}
			switch {
			case holder == "":
				if e.Type == call.EventCallAnswered {
					holder = e.Callee
				}
				continue
			case e.Callee == holder, m.Direction.Value == call.DirectionOutbound && e.Kind == call.PartyPSTN:
				continue
			case open < 0:
				open = len(found)
				found = append(found, transfer{
					at: e.At, from: i, to: i, consult: -1, typ: call.TransferBlind, transferor: holder, inferred: true,
				})
			}
			if e.Type == call.EventCallAnswered {
				found[open].result = call.ResultCompleted
				holder, open = e.Callee, -1
			}
		}
		if open >= 0 && (m.Ended() || c.final) {
			found[open].result = call.ResultFailed
		}
	}
	return found
}

// fromEvents finds what a platform's own transfer events say. Such an event
// confirms a transfer that was inferred from the same leg, and says when it was. In
// raw files without a clock it leaves no moment, but still its word.
//
//	from     C ├··├──────── A ──────────┤
//	moments               started, completed or failed
//	to                                C ├···├──── B ────┤ if one is seen
func (c *course) fromEvents(found []transfer) []transfer {
	shown := c.shown()
	for i := range shown {
		m := &shown[i]
		if !m.tellsTransfer() {
			if m.TransferType.Known() {
				found = c.confirm(found, i, call.Instant{}, call.ResultCompleted)
			}
			continue
		}
		for k := range m.Moments {
			e := &m.Moments[k]
			at := call.Instant{At: e.At, Src: e.Src, Precision: 1}
			switch e.Type {
			case call.EventTransferCompleted:
				found = c.confirm(found, i, at, call.ResultCompleted)
			case call.EventTransferFailed:
				found = c.confirm(found, i, at, call.ResultFailed)
			case call.EventTransferStarted:
				found = c.confirm(found, i, at, call.ResultUnknown)
			}
		}
	}
	return found
}

// fromReferrals finds callers whose own exchange was asked to call somebody else, out
// of the platform, which says whether that was granted and has no leg of it. Where
// it was not, the call goes on.
//
//	from     C ├──────── platform ────┤ referred, to no leg
//	from     C ├──────── platform ──┼──────────┤
//	                              refused
func (c *course) fromReferrals(found []transfer) []transfer {
	shown := c.shown()
	for i := range shown {
		m := &shown[i]
		near, _ := m.sides()
		for k := range m.Moments {
			if e := &m.Moments[k]; e.Type == call.EventTransferFailed {
				found = append(found, transfer{
					at: e.At, from: i, to: -1, consult: -1, typ: call.TransferBlind, result: call.ResultFailed, transferor: near.Raw,
				})
			}
		}
		if m.Ending().HangupCause == call.CauseTransferred {
			found = append(found, transfer{
				at: m.End.At, from: i, to: -1, consult: -1, typ: call.TransferBlind, result: call.ResultCompleted, transferor: near.Raw,
			})
		}
	}
	return found
}

// tellsTransfer reports whether the leg's events speak of a transfer.
func (m *peer) tellsTransfer() bool {
	return slices.ContainsFunc(m.Moments, func(e leg.Moment) bool {
		return e.Type == call.EventTransferStarted || e.Type == call.EventTransferCompleted || e.Type == call.EventTransferFailed
	})
}

func (c *course) confirm(found []transfer, i int, at call.Instant, result call.TransferResult) []transfer {
	if k := transferOf(found, i); k >= 0 {
		t := &found[k]
		t.inferred = false
		if at.Known() {
			t.at = at.At
			if t.consult >= 0 && t.to >= 0 {
				c.parts[t.to].takenOver = at
			}
		}
		if result != call.ResultUnknown {
			t.result = result
		}
		return found
	}
	h := c.handoverOf(i)
	return append(found, transfer{at: at.At, from: i, to: c.target(found, &h), consult: -1, typ: h.typ, result: result})
}

// transferOf is the transfer that an event of leg i speaks of: one that the leg made,
// else the one by which it came; -1 for none. A leg in a chain has both.
func transferOf(found []transfer, i int) int {
	made := slices.IndexFunc(found, func(t transfer) bool { return t.from == i || t.consult == i })
	if made >= 0 {
		return made
	}
	return slices.IndexFunc(found, func(t transfer) bool { return t.to == i })
}

// isTarget reports whether a transfer already leads to leg j.
func isTarget(found []transfer, j int) bool {
	return slices.ContainsFunc(found, func(t transfer) bool { return t.to == j })
}

// passOn adds an inferred blind transfer from leg i to leg j.
func (c *course) passOn(found []transfer, i, j int, at call.Time) []transfer {
	if !at.Known() {
		at = c.parts[j].Started.At
	}
	near, _ := c.parts[i].sides()
	if c.parts[i].child() {
		near = &c.parts[i].To.Value // the one who was dialled
	}
	return append(found, transfer{
		at: at, from: i, to: j, consult: -1, typ: call.TransferBlind, result: c.arrived(j),
		transferor: near.Raw, inferred: true,
	})
}

// arrived is whether a transfer to leg j went through.
func (c *course) arrived(j int) call.TransferResult {
	switch m := &c.parts[j]; {
	case m.reached:
		return call.ResultCompleted
	case m.mayHaveTalked(), !m.Ended() && !c.final:
		return call.ResultUnknown
	default:
		return call.ResultFailed
	}
}

// passing is the kind of transfer that a leg's events name, or else the reason of its end.
func (m *peer) passing(why call.Ending) call.TransferType {
	if m.TransferType.Known() {
		return m.TransferType.Value
	}
	switch m.dialect.says(why) {
	case passedBlind:
		return call.TransferBlind
	case passedAsked:
		return call.TransferAttended
	default:
		return call.TransferUnknown
	}
}
