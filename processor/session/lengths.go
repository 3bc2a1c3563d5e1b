package session

import (
	"cmp"
	"slices"

	"callstitch/processor/call"
)

// times are a session's instants. Instants of different legs are different
// facts, so among them the earlier one counts, not the better proven.
type times struct {
	started, ringing, platformAnswered, answered, ended call.Instant
}

func timesOf(c *course, o outcome) (t times) {
	origin := &c.parts[c.origin]
	t.started = origin.Started
	var called, last call.Instant
	for i := range c.parts {
		m := &c.parts[i]
		if !origin.Started.Known() {
			t.started = call.Earliest(t.started, m.Started)
		}
		if !m.platform && m.role != call.RoleConsult {
			called = sooner(called, m.Ringing)
		}
		if m.platform && m.Answered() && (!m.reached || m.agent.Known()) {
			t.platformAnswered = sooner(t.platformAnswered, m.Answer)
		}
		if m.End.Known() && (!last.Known() || m.End.At > last.At) {
			last = m.End
		}
	}
	t.ringing = called
	if !called.Known() && len(c.parts) == 1 {
		t.ringing = origin.Ringing
	}
	if o.first >= 0 {
		t.answered = c.parts[o.first].joined()
	}
	switch {
	case c.over:
		t.ended = last
	case c.final:
		t.ended = c.lastAlive()
	}
	return t
}

// sooner is the earlier of two instants, whatever their evidence.
func sooner(a, b call.Instant) call.Instant {
	if !a.Known() || b.Known() && (b.At < a.At || b.At == a.At && b.Before(a)) {
		return b
	}
	return a
}

// lastAlive is the lower bound of an end that was lost.
func (c *course) lastAlive() call.Instant {
	var at call.Time
	for i := range c.parts {
		m := &c.parts[i]
		second, _ := m.HungUpTwice()
		at = max(at, m.LastAlive(), second)
	}
	return timedOut(at)
}

func timedOut(at call.Time) call.Instant {
	if !at.Known() {
		return call.Instant{}
	}
	return call.Instant{At: at, Src: call.EvidenceTimeout, Precision: 1}
}

// lengths are a session's durations, with what was remarked on while they were
// measured. What needs an end that was lost is null.
type lengths struct {
	ring, talk, hold, queue, total call.Int
	legTalkSum                     call.Int
	providerDuration, mismatch     call.Int
	flags                          call.Flags
}

func lengthsOf(c *course, o outcome, t times) (l lengths) {
	l.ring = ring(c, o, t)
	l.talk = talk(c, &l.flags)
	l.hold = hold(c)
	l.queue = queue(c, &l.flags)
	if c.over {
		l.total = between(t.started, t.ended, &l.flags)
	}
	l.legTalkSum = legTalkSum(c, &l.flags)
	if o := &c.parts[c.origin]; o.Duration.Known() { // a dial's claim is not the call's
		l.providerDuration = call.Some(o.Duration.Value)
		l.mismatch = o.mismatch(&l.flags)
	}
	return l
}

// ring is how long the telephone rang that a person answered first, to its own answer;
// where nobody answered, the time from the first ringing to the end of the last leg that
// was called.
//
//	c          ├─────── C ────────────────────┤
//	first         ├···├──── A ────────────────┤    the dots, null if none were seen
//	other         ├·····┤ B                        rings on for a moment
func ring(c *course, o outcome, t times) call.Int {
	switch {
	case c.anyPerson:
		return c.parts[o.first].rang()
	case len(c.parts) == 1 && t.platformAnswered.Known():
		return wait(t.ringing, t.platformAnswered) // of a caller whom nobody else was called for
	case !c.over:
		return call.Int{}
	}
	var end call.Instant
	for i := range c.parts {
		m := &c.parts[i]
		if (!m.platform || len(c.parts) == 1) && m.End.Known() && m.End.At >= end.At {
			end = m.End
		}
	}
	return wait(t.ringing, end)
}

// rang is how long the leg's own telephone rang until it was answered.
func (m *part) rang() call.Int {
	if m.agent.Known() {
		return wait(m.Ringing, m.agent)
	}
	return wait(m.Ringing, m.Answer)
}

// wait is the time from a to b, null where either is not known, or the wait was over
// before it is said to have begun.
func wait(a, b call.Instant) call.Int {
	if !a.Known() || !b.Known() || b.At < a.At {
		return call.Int{}
	}
	return call.Some(int64(b.At - a.At))
}

// talk is the union of the intervals in which a caller and a called person were
// connected. It is null while the session is open, where its end was lost, and
// where an interval's bound is not known.
func talk(c *course, flags *call.Flags) call.Int {
	if !c.over || c.unseen {
		return call.Int{}
	}
	var buf [4]span
	spans := buf[:0]
	for i := range c.parts {
		m := &c.parts[i]
		if !c.anyPerson && m.mayHaveTalked() {
			return call.Int{}
		}
		if !c.talks(m) {
			continue
		}
		s, known := m.connected(flags)
		if !known {
			return call.Int{}
		}
		if m.Provider.Traits().OneCallID {
			spans = m.conversations(spans, s)
		} else {
			spans = c.withCaller(spans, m, s)
		}
	}
	return call.Some(union(spans))
}

// talks reports whether the interval of m counts as talk: a person was on it, it
// is no consultation, and it is not the first leg of an outbound call whose
// conversation is with the parties called after it.
func (c *course) talks(m *part) bool {
	return m.reached && m.role != call.RoleConsult && (m.child() || !c.childAnswered)
}

// connected is when a person was connected on m, until a transfer passed the caller on.
func (m *part) connected(flags *call.Flags) (s span, known bool) {
	joined := m.joined()
	if !joined.Known() || !m.End.Known() {
		return s, false
	}
	s = span{joined.At, m.End.At}
	if s.to < s.from {
		*flags |= call.FlagNegativeClamped
	}
	if m.until.Known() {
		s.to = min(s.to, m.until)
	}
	return s, true
}

// conversations are the parts of s in which an agent was there: a call that one
// leaves rings at the next before it is answered again.
func (m *peer) conversations(spans []span, s span) []span {
	holder, since := "", s.from
	for i := range m.Moments {
		switch e := &m.Moments[i]; {
		case e.At < s.from || e.Callee == "" || !m.Spans(e.At):
		case e.Type == call.EventCallAnswered && since.Known():
			holder = e.Callee // whoever answers first, or takes over at once
		case e.Type == call.EventCallAnswered:
			holder, since = e.Callee, e.At
		case e.Type == call.EventChannelEnded && e.Callee == holder && since.Known():
			spans = append(spans, span{since, min(e.At, s.to)})
			since = 0
		}
	}
	if since.Known() {
		spans = append(spans, span{since, s.to})
	}
	return spans
}

// hold is the union of hold intervals, null where no hold was seen. A hold that
// was not lifted ends with its leg.
func hold(c *course) call.Int {
	var spans []span
	for i := range c.parts {
		spans = c.parts[i].holds(spans)
	}
	if spans == nil {
		return call.Int{}
	}
	return call.Some(union(spans))
}

func (m *peer) holds(spans []span) []span {
	var since call.Time
	for i := range m.Moments {
		switch e := &m.Moments[i]; {
		case !m.Spans(e.At):
		case e.Type == call.EventCallHeld && !since.Known():
			since = e.At
		case e.Type == call.EventCallResumed && since.Known():
			spans = append(spans, span{since, e.At})
			since = 0
		}
	}
	if since.Known() && m.End.Known() {
		spans = append(spans, span{since, m.End.At})
	}
	return spans
}

// queue is how long the call that began the session waited to be made, null where
// the provider does not tell.
func queue(c *course, flags *call.Flags) call.Int {
	o := &c.parts[c.origin]
	if !o.Queued.Known() {
		return call.Int{}
	}
	if o.Started.Known() && o.Started.At-o.Queued > call.LongestWait {
		*flags |= call.FlagClockSkew
		return call.Int{}
	}
	return between(call.Instant{At: o.Queued, Src: call.EvidenceReported}, o.Started, flags)
}

// legTalkSum is the sum over all legs, null where that of one is not known.
func legTalkSum(c *course, flags *call.Flags) call.Int {
	sum := call.Some(0)
	for i := range c.parts {
		t := c.parts[i].legTalk(flags)
		sum.N += t.N
		sum.Known = sum.Known && t.Known
	}
	if !sum.Known {
		return call.Int{}
	}
	return sum
}

// legTalk is how long the leg was up after an answer, whoever answered: what a
// carrier bills. It is 0 where nobody did, null where it cannot be known.
func (m *part) legTalk(flags *call.Flags) call.Int {
	joined := m.joined()
	switch {
	case !m.Ended():
		return call.Int{}
	case m.mayHaveTalked() && !joined.Known():
		return call.Int{}
	case !m.Answered() && !joined.Known():
		return call.Some(0)
	default:
		return between(joined, m.End, flags)
	}
}

// durationToleranceMS is how far a provider's own duration may be from ours
// before it is remarked on: providers round up to whole seconds, and stamp the
// end of a leg up to a second after it.
const durationToleranceMS = 2000

// mismatch is the leg's time from start to end minus the provider's claim.
func (m *peer) mismatch(flags *call.Flags) call.Int {
	var total call.Int
	if m.Ended() {
		end := m.End
		if m.Claimed { // it cannot confirm itself
			end = m.HeardEnd()
		}
		total = between(m.Started, end, flags)
	}
	if !total.Known || !m.Duration.Known() {
		return call.Int{}
	}
	d := total.N - m.Duration.Value*1000
	if d > durationToleranceMS || d < -durationToleranceMS {
		*flags |= call.FlagDurationMismatch
	}
	return call.Some(d)
}

// between is the time from a to b, null where either is not known. A negative
// time, from clocks that disagree, is 0 and flagged.
func between(a, b call.Instant, flags *call.Flags) call.Int {
	if !a.Known() || !b.Known() {
		return call.Int{}
	}
	if b.At < a.At {
		*flags |= call.FlagNegativeClamped
	}
	return call.Some(max(0, int64(b.At-a.At)))
}

// span is a stretch of call time, its end excluded.
type span struct{ from, to call.Time }

// union is the time that spans cover, each moment once, in milliseconds. It sorts them.
func union(spans []span) int64 {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var total, covered call.Time
	for i, s := range spans {
		if i == 0 || s.from > covered {
			covered = s.from
		}
		if s.to > covered {
			total += s.to - covered
			covered = s.to
		}
	}
	return int64(total)
}
