package session

import (
	"cmp"
	"math"
	"slices"

	"callstitch/processor/call"
	"callstitch/processor/leg"
)

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

// target is the leg to which a hand-over led, -1 for none: a conversation of the
// transferor's own only where there is no other.
func (c *course) target(found []transfer, h *handover) int {
	for _, own := range [...]bool{false, true} {
		if to := c.targetAmong(found, h, own); to >= 0 {
			return to
		}
	}
	return -1
}

// targetAmong is the target among the transferor's own conversations, or among the
// others. Of several, those that were there first count, and of these who fits best.
func (c *course) targetAmong(found []transfer, h *handover, own bool) int {
	fits := func(j int) bool { return c.mayBeTarget(found, h, j) && c.ownTalk(h, j) == own }
	first := call.Time(math.MaxInt64)
	for j := range c.shown() {
		if fits(j) {
			first = min(first, max(h.at, c.parts[j].start))
		}
	}
	to := -1
	for j := range c.shown() {
		if fits(j) && c.parts[j].start-switchTolerance <= first && (to < 0 || c.fitsBetter(h, j, to)) {
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
