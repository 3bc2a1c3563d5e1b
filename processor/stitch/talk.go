package stitch

import (
	"cmp"
	"slices"

	"callstitch/processor/call"
)

// span is a stretch of call time, in epoch milliseconds, its end excluded.
type span struct{ from, to int64 }

// union is the time that spans cover, each moment once. It sorts them.
func union(spans []span) int64 {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var total, covered int64
	for i, s := range spans {
		if i == 0 || s.from > covered {
			covered = s.from
		}
		if s.to > covered {
			total += s.to - covered
			covered = s.to
		}
	}
	return total
}

// between is the time from a to b, null where either is not known. A negative
// time, from clocks that disagree, is 0 and flagged.
func between(a, b call.Instant, flags *call.Flags) call.Int {
	if !a.Known() || !b.Known() {
		return call.Int{}
	}
	if b.At < a.At {
		*flags |= call.NegativeClamped
	}
	return call.Some(max(0, b.At-a.At))
}

// talk is the union of the intervals in which a caller and a called person were
// connected. It is null while the session is open, where its end was lost, and
// where an interval's bound is not known.
func (p *picture) talk() call.Int {
	if !p.over {
		return call.Int{}
	}
	var buf [4]span
	spans := buf[:0]
	for i := range p.peers {
		m := &p.peers[i]
		if !p.anyPerson && m.mayHaveTalked() {
			return call.Int{}
		}
		if !p.talks(m) {
			continue
		}
		s, known := p.connected(m)
		if !known {
			return call.Int{}
		}
		if m.provider.Traits().OneCallID {
			spans = m.conversations(spans, s)
		} else {
			spans = append(spans, s)
		}
	}
	return call.Some(union(spans))
}

// talks says whether the interval of m counts as talk: a person answered it, it
// is no consultation, and it is not the first leg of an outbound call whose
// conversation is with the parties called after it.
func (p *picture) talks(m *peer) bool {
	return m.person && m.role != call.Consult && (m.child() || !p.childAnswered)
}

// connected is when m was connected to the caller: a dial no longer than its
// session's origin.
func (p *picture) connected(m *peer) (s span, known bool) {
	joined := m.joined()
	if !joined.Known() || !m.end.Known() {
		return s, false
	}
	s = span{joined.At, m.end.At}
	if o := &p.peers[p.origin]; o.leg != m.leg && (o.platform || m.child()) {
		if o.answer.Known() {
			s.from = max(s.from, o.answer.At)
		}
		if o.end.Known() {
			s.to = min(s.to, o.end.At)
		}
	}
	if s.to < s.from {
		p.flags |= call.NegativeClamped
	}
	return s, true
}

// conversations are the parts of s in which an agent was there: a call that one
// leaves rings at the next before it is answered again.
func (m *peer) conversations(spans []span, s span) []span {
	holder, since := "", s.from
	for i := range m.moments {
		switch e := &m.moments[i]; {
		case e.at < s.from || e.callee == "":
		case e.typ == call.CallAnswered && since != 0:
			holder = e.callee // whoever answers first, or takes over at once
		case e.typ == call.CallAnswered:
			holder, since = e.callee, e.at
		case e.typ == call.ChannelEnded && e.callee == holder && since != 0:
			spans = append(spans, span{since, min(e.at, s.to)})
			since = 0
		}
	}
	if since != 0 {
		spans = append(spans, span{since, s.to})
	}
	return spans
}

// mayHaveTalked says whether it is not known if a person answered: the leg's end
// was seen, and neither an answer nor a reason why there was none.
func (m *peer) mayHaveTalked() bool {
	if m.platform && m.marks&bridged != 0 {
		return true
	}
	return !m.person && !m.answered() && m.ended() && m.failure() == call.DispositionUnknown && m.why().HangupCause == call.NoCause
}

// legTalk is how long the leg was up after an answer, whoever answered: what a
// carrier bills. It is 0 where nobody did, null where it cannot be known.
func (m *peer) legTalk(flags *call.Flags) call.Int {
	joined := m.joined()
	switch {
	case !m.ended():
		return call.Int{}
	case m.mayHaveTalked() && !joined.Known():
		return call.Int{}
	case !m.answered() && !joined.Known():
		return call.Some(0)
	default:
		return between(joined, m.end, flags)
	}
}

// queue is how long the call that began the session waited to be made, null where
// the provider does not tell.
func (p *picture) queue() call.Int {
	o := &p.peers[p.origin]
	if o.queued == 0 {
		return call.Int{}
	}
	return between(call.Instant{At: o.queued, Src: call.Reported}, o.started, &p.flags)
}

// hold is the union of hold intervals, null where no hold was seen. A hold that
// was not lifted ends with its leg.
func (p *picture) hold() call.Int {
	var spans []span
	for i := range p.peers {
		spans = p.peers[i].holds(spans)
	}
	if spans == nil {
		return call.Int{}
	}
	return call.Some(union(spans))
}

func (m *peer) holds(spans []span) []span {
	var since int64
	for i := range m.moments {
		switch e := &m.moments[i]; {
		case e.typ == call.CallHeld && since == 0:
			since = e.at
		case e.typ == call.CallResumed && since != 0:
			spans = append(spans, span{since, e.at})
			since = 0
		}
	}
	if since != 0 && m.end.Known() {
		spans = append(spans, span{since, m.end.At})
	}
	return spans
}
