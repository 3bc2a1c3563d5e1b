package session

import (
	"cmp"
	"math"
	"slices"

	"callstitch/processor/call"
	"callstitch/processor/leg"
)

// course is what became of the parties: who passed whom on, and which part each
// leg has for that.
type course struct {
	parties
	parts     []part // of the peers, in their order
	transfers []transfer
	caller    int       // the part of whom the others were connected to: the origin, or whom it passed on
	handedOn  call.Time // when the caller was passed on for the last time
	gaveUp    bool      // the caller left before the one to whom a transfer led had answered
	unseen    bool      // a transfer led the caller to somebody of whom nothing is known

	anyPerson     bool // somebody was reached
	childAnswered bool // … on a leg that another one dialled
}

// part is a peer and its part in the course of the call.
type part struct {
	peer
	role      call.Role
	reached   bool         // a called person was on it: one who answered, or whom a transfer connected
	takenOver call.Instant // when a transfer connected that person
	until     call.Time    // when its conversation with the caller was over, where that was before its end
	left      bool         // a transfer ended it
	passedOn  bool         // its caller goes on elsewhere
	outside   bool         // the caller takes part in it, and is not only connected to it
}

// transfer is one passing-on, by the places of parts; -1 is none.
type transfer struct {
	at         call.Time
	from, to   int
	consult    int
	typ        call.TransferType
	result     call.TransferResult
	transferor string
	inferred   bool
}

// transferRule is one way in which transfers show.
type transferRule uint8

const (
	byConsultation transferRule = iota + 1 // a leg on which one party asked another about the caller
	byFlow                                 // a later leg of the far party, in the flow of an answered one
	byRedial                               // a dial after one that was answered and ended
	byCause                                // a leg that says that a transfer ended it
	byAgent                                // another agent is rung under one call id
	byEvent                                // the provider's own transfer events
	byReferral                             // a caller who was sent elsewhere, out of the platform
)

// switchTolerance is how much earlier than the end of the old leg, in
// milliseconds, the new one may start: the two are stamped by different clocks,
// some in whole seconds.
const switchTolerance = 5000

// clockDifference is how far, in milliseconds, two hosts of one provider may
// stamp one moment apart.
const clockDifference = 1000

// hostsApart is how far the clocks of a platform's hosts are apart, in milliseconds:
// copies of one instant differ by up to 200.
const hostsApart = 250

// courseOf finds the transfers among the parties by the rules of their provider,
// and from them the parts. Parts are put into the memory of buf, which is zero, while
// it lasts.
func courseOf(buf []part, p parties) course {
	c := course{parties: p, caller: p.origin, parts: slices.Grow(buf[:0], len(p.peers))[:len(p.peers)]}
	for i := range c.parts {
		m := &c.parts[i]
		m.peer, m.role, m.reached = p.peers[i], call.RoleDestination, p.peers[i].person
	}
	c.parts[p.origin].role = call.RoleOrigin
	var found []transfer
	for _, rule := range p.peers[p.origin].dialect.transfers {
		found = c.find(found, rule)
	}
	c.transfers = found
	c.assignParts()
	c.findCaller()
	for i := range c.parts {
		m := &c.parts[i]
		c.anyPerson = c.anyPerson || m.reached
		c.childAnswered = c.childAnswered || m.reached && m.child()
	}
	return c
}

// find adds to the transfers found what a rule finds.
func (c *course) find(found []transfer, rule transferRule) []transfer {
	switch rule {
	case byConsultation:
		return c.fromConsultations(found)
	case byFlow:
		return c.fromFlows(found)
	case byRedial:
		return c.fromRedials(found)
	case byCause:
		return c.fromCauses(found)
	case byAgent:
		return c.fromAgents(found)
	case byEvent:
		return c.fromEvents(found)
	case byReferral:
		return c.fromReferrals(found)
	}
	return found
}

// shown are the parts of the legs that the record lists; transfers are sought
// among them.
func (c *course) shown() []part { return c.parts[:min(len(c.parts), legsMax)] }

// assignParts gives the legs of the transfers their parts.
func (c *course) assignParts() {
	for i := range c.transfers {
		t := &c.transfers[i]
		if t.consult >= 0 {
			c.parts[t.consult].role = call.RoleConsult
		}
		if t.from >= 0 && t.from != t.to && t.result != call.ResultFailed {
			c.parts[t.from].left = true
			c.parts[t.from].passedOn = t.to >= 0 || t.consult >= 0
		}
		if t.to >= 0 && t.to != t.from && t.to != c.origin {
			c.parts[t.to].role = call.RoleTransferTarget
		}
	}
}

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
	case !a.reached || !shareTie(&a.peer, &b.peer) || !sameParty(*far, b.From.Value) && !sameParty(*far, b.To.Value):
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

// fromCauses finds the legs of which the platform says that a transfer ended them,
// and how. In the order in which they ended, each hop of a chain looks for the leg
// to which the caller went.
//
//	caller   C ├──────────────────────────────────────┤
//	from          ├··├───── A ─────┤ passed on unseen
//	to                             ├···├──── B ───────┤
//
// After a consultation the leg is there already; it may hang below A's.
//
//	caller   C ├──────────────────────────────────────┤
//	from          ├··├───── A ────────┤ passed on after a consultation
//	to                    ├···├──── B ────────────────┤
//
// A switch may keep A's leg parked until B answers: the caller was passed on when
// B was called, and is lost if that takes too long.
//
//	caller   C ├─────────────────────────────┤
//	from          ├··├───── A ─────┤. . . . . . . . ┤ passed on unseen
//	to                             ├······ B ┤
func (c *course) fromCauses(found []transfer) []transfer {
	var buf [4]int
	alone := 0
	ended := c.transferors(buf[:0])
	for _, i := range ended {
		c.parts[i].left = true
		h := c.handoverOf(i)
		switch to := c.target(found, &h); {
		case to < 0:
			ended[alone], alone = i, alone+1
		case !isTarget(found, to): // else both sides of one transfer say so
			found = append(found, c.handOver(&h, to))
		}
	}
	for _, i := range ended[:alone] {
		if h := c.handoverOf(i); !isTold(found, &h) {
			found = append(found, c.handOver(&h, -1))
		}
	}
	return found
}

// transferors adds to found the legs that a transfer ended, by the order of their
// ends.
func (c *course) transferors(found []int) []int {
	shown := c.shown()
	for i := range shown {
		if shown[i].transferred() {
			found = append(found, i)
		}
	}
	slices.SortStableFunc(found, func(i, j int) int { return cmp.Compare(shown[i].End.At, shown[j].End.At) })
	return found
}

// transferred reports whether the platform says that a transfer ended the leg.
func (m *peer) transferred() bool {
	why := m.Ending()
	return why.HangupCause == call.CauseTransferred && m.dialect.says(why) != bowedOut
}

// handover is a leg by which somebody passed a caller on.
type handover struct {
	from   int
	caller int // the leg of whom was passed on; -1 for none
	typ    call.TransferType
	at     call.Time    // when the leg ended, or the caller's if that was before
	gone   call.Instant // when the caller left; absent where not known
}

func (c *course) handoverOf(i int) handover {
	m := &c.parts[i]
	h := handover{from: i, caller: c.leftBehind(i), typ: m.passing(m.Ending()), at: m.End.At}
	if h.caller >= 0 {
		h.gone = c.parts[h.caller].End
	}
	if h.gone.Known() && h.gone.At < h.at {
		h.at = h.gone.At
	}
	return h
}

// leftBehind is the leg of the party whom leg i passed on: the one that began the
// call. Where that one left by a transfer, it is who was connected to it: the first
// of the answered legs that were still there, else the first. It is -1 for none.
func (c *course) leftBehind(i int) int {
	o, m := &c.parts[c.origin], &c.parts[i]
	if i != c.origin && !(o.transferred() && endsBefore(&o.peer, &m.peer)) {
		return c.origin
	}
	first := -1
	for j := range c.shown() {
		switch b := &c.parts[j]; {
		case j == i, j == c.origin, !b.reached, b.joined().At >= m.End.At:
		case b.aliveAt(m.End.At):
			return j
		case first < 0:
			first = j
		}
	}
	return first
}

// callerOf is the part of whom m was connected to.
func (c *course) callerOf(m *part) *part {
	if k := &c.parts[c.caller]; !m.End.Known() || m.End.At >= k.Answer.At {
		return k
	}
	return &c.parts[c.origin] // m was over when the one passed on had not been called yet
}

// aliveAt reports whether the leg had not ended before a moment, as far as clocks
// agree.
func (m *peer) aliveAt(at call.Time) bool {
	return !m.End.Known() || m.End.At >= at-clockDifference
}

// target is the leg to which a hand-over led, -1 for none. Of several, those that
// were there first count, and of these who fits best.
func (c *course) target(found []transfer, h *handover) int {
	to, first, own := -1, call.Time(math.MaxInt64), true
	for j := range c.shown() {
		if c.mayBeTarget(found, h, j) {
			if o := c.ownTalk(h, j); o != own && own {
				first, own = max(h.at, c.parts[j].start), false
			} else if o == own {
				first = min(first, max(h.at, c.parts[j].start))
			}
		}
	}
	for j := range c.shown() {
		if c.mayBeTarget(found, h, j) && c.ownTalk(h, j) == own && c.parts[j].start <= first+switchTolerance &&
			(to < 0 || c.fitsBetter(h, j, to)) {
			to = j
		}
	}
	return to
}

// mayBeTarget reports whether a hand-over may have led to leg j, whoever's leg it
// hangs below: it was made after the transferor had answered, unlike those that
// lost to him, and before the caller left, and it was alive at the hand-over or
// after it. Whom one asked first was there before the hand-over. A leg is the
// target of one hand-over; that two legs say the same of one moment is no second.
func (c *course) mayBeTarget(found []transfer, h *handover, j int) bool {
	from, m := &c.parts[h.from], &c.parts[j]
	switch {
	case j == h.from, j == c.origin, j == h.caller, !from.End.Known(), !m.Started.Known():
		return false
	case m.start <= from.start, from.Answer.Known() && m.start <= from.Answer.At, h.gone.Known() && m.start > h.gone.At:
		return false
	case h.typ == call.TransferAttended && m.start > h.at+switchTolerance:
		return false
	case m.transferred() && within(m.End.At, from.End.At, clockDifference):
		return false // his other leg, which tells of this very transfer
	}
	taken := slices.IndexFunc(found, func(t transfer) bool { return t.to == j })
	return m.aliveAt(h.at) && (taken < 0 || within(found[taken].at, h.at, switchTolerance))
}

// ownTalk reports whether leg j was a conversation of the transferor's own, which
// ended with his leg: one whom he asked before he passed the caller on to another.
func (c *course) ownTalk(h *handover, j int) bool {
	from, m := &c.parts[h.from], &c.parts[j]
	return m.reached && m.joined().At < from.End.At-clockDifference && m.End.Known() && within(m.End.At, from.End.At, clockDifference)
}

// fitsBetter reports whether leg j is rather than leg k the one to which the
// hand-over led: a person answered it before the caller left; and of those whom
// the transferor asked first, it was the last.
func (c *course) fitsBetter(h *handover, j, k int) bool {
	a, b := &c.parts[j], &c.parts[k]
	if x, y := h.meets(a), h.meets(b); x != y {
		return x
	}
	return h.typ == call.TransferAttended && a.start <= h.at && a.start > b.start
}

// meets reports whether a person answered the leg before the caller left.
func (h *handover) meets(m *part) bool {
	return m.reached && !(h.gone.Known() && m.joined().At > h.gone.At)
}

// handOver is the transfer that a hand-over made, and writes into the parts whom
// the caller was connected to and until when.
func (c *course) handOver(h *handover, to int) transfer {
	from := &c.parts[h.from]
	parked := to >= 0 && h.typ != call.TransferAttended && c.parts[to].start < from.End.At-switchTolerance
	if parked {
		h.at = min(h.at, c.parts[to].start)
		from.until = h.at
	}
	if h.from == c.origin && h.caller >= 0 {
		c.caller = h.caller
		c.parts[h.caller].until = h.at
	}
	c.unseen = c.unseen || h.from == c.origin && h.caller < 0 && to >= 0
	if to >= 0 && (c.tookMessageOf(h, to) || !h.meets(&c.parts[to])) {
		c.parts[to].reached = false
	}
	t := transfer{
		at: h.at, from: h.from, to: to, consult: -1, typ: h.typ, result: c.resultOf(h, to), transferor: from.farEnd(),
	}
	if h.at >= c.handedOn {
		c.handedOn, c.gaveUp = h.at, t.result == call.ResultFailed && c.leftFirst(h, to)
	}
	c.unseen = c.unseen || to < 0 && t.result == call.ResultUnknown && h.caller >= 0 && !c.leftMessage(h) &&
		!(h.gone.Known() && h.gone.At <= h.at+switchTolerance)
	return t
}

// resultOf is what became of a hand-over to leg to. While the session is open, only
// that a person answered is certain.
func (c *course) resultOf(h *handover, to int) call.TransferResult {
	switch {
	case to >= 0 && c.parts[to].reached:
		return call.ResultCompleted
	case c.open():
		return call.ResultUnknown
	case c.leftFirst(h, to), to < 0 && c.leftMessage(h):
		return call.ResultFailed
	case to < 0, !c.parts[to].Ended(), c.parts[to].mayHaveTalked():
		return call.ResultUnknown
	default:
		return call.ResultFailed
	}
}

// leftFirst reports whether the caller left before anybody had taken the call over:
// before the transferor's leg ended where no target is known, else while the target
// was still rung.
func (c *course) leftFirst(h *handover, to int) bool {
	if !h.gone.Known() {
		return false
	}
	if to < 0 {
		return h.gone.At < c.parts[h.from].End.At-clockDifference
	}
	switch m := &c.parts[to]; {
	case !m.Ended():
		return true
	case m.Answered():
		return m.Answer.At > h.gone.At
	case m.failure() == call.DispositionCanceled:
		return m.End.At >= h.gone.At-clockDifference
	default:
		return m.End.At > h.gone.At // it was over by itself
	}
}

// tookMessageOf reports whether leg to is a mailbox: the platform took a message
// on it, or on the caller's leg while that was connected to it last.
func (c *course) tookMessageOf(h *handover, to int) bool {
	m := &c.parts[to]
	if m.Saw(leg.MessageTaken) || m.transferred() || !c.leftMessage(h) {
		return m.Saw(leg.MessageTaken)
	}
	return !m.End.Known() || !h.gone.Known() || h.gone.At <= m.End.At+switchTolerance
}

// leftMessage reports whether the platform took a message of the caller, on the
// caller's own leg.
func (c *course) leftMessage(h *handover) bool {
	return h.caller >= 0 && c.parts[h.caller].Saw(leg.MessageTaken)
}

// isTold reports whether a hand-over without a target is the other side of one that
// was found: it was at the same moment.
func isTold(found []transfer, h *handover) bool {
	return slices.ContainsFunc(found, func(t transfer) bool { return within(t.at, h.at, clockDifference) })
}

// within reports whether two moments are no further apart than d milliseconds.
func within(a, b, d call.Time) bool { return a-b <= d && b-a <= d }

// farEnd is the party whom the platform reaches through the leg.
func (m *peer) farEnd() string {
	if m.Direction.Value == call.DirectionInbound {
		return m.From.Value.Raw
	}
	return m.To.Value.Raw
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
