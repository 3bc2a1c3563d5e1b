package stitch

import "callstitch/processor/call"

// outcome is the session's disposition towards the called party, and the peer
// whose end explains it; -1 where none does. A person's answer beats a message
// taken, which beats whatever a failed dial says.
func (p *picture) outcome() (d call.Disposition, explains int) {
	switch {
	case p.open:
		return call.InProgress, -1
	case p.anyPerson:
		return call.Answered, p.firstEnded()
	case p.tookMessage():
		return call.Voicemail, p.dial()
	}
	i := p.dial()
	if m := &p.peers[i]; !m.platform || !m.answered() {
		return m.failure(), i
	}
	if p.peers[i].marks&bridged != 0 {
		return call.DispositionUnknown, i // connected to somebody of whom this session has no leg
	}
	return call.NoAnswer, i // the platform answered and dialled nobody
}

// firstEnded is the connected leg that ended first: the side that hung up. A
// leg that a transfer took over, and its consultation, did not end the call.
func (p *picture) firstEnded() int {
	best := -1
	for _, strict := range [...]bool{true, false} {
		for i := range p.peers {
			m := &p.peers[i]
			connected := m.person || m.platform && m.answered()
			if !connected || !m.ended() || strict && (m.left || m.role == call.Consult) {
				continue
			}
			if best < 0 || endsBefore(m, &p.peers[best]) {
				best = i
			}
		}
		if best >= 0 {
			break
		}
	}
	return best
}

// endsBefore orders legs by their end. An end of unknown time comes last, and
// of two at one moment the called leg's: its cause tells more.
func endsBefore(a, b *peer) bool {
	switch {
	case a.end.Known() != b.end.Known():
		return a.end.Known()
	case a.end.At != b.end.At:
		return a.end.At < b.end.At
	default:
		return a.child() && !b.child()
	}
}

// tookMessage says whether a message was taken instead of a conversation: the
// platform says so, a machine answered, or, where the platform has no word for
// it, it answered the caller and recorded.
func (p *picture) tookMessage() bool {
	for i := range p.peers {
		m := &p.peers[i]
		switch {
		case m.marks&tookMessage != 0,
			m.answered() && !m.platform && m.answeredBy == call.Machine,
			m.dialect.recordsMessages && m.platform && m.answered() && m.marks&bridged == 0 && len(m.recordings) > 0:
			return true
		}
	}
	return false
}

// dial is the called leg that explains why no person answered: by severity,
// leaving out what was answered elsewhere; the origin where nobody was called.
func (p *picture) dial() int {
	best := -1
	for i := range p.peers {
		m := &p.peers[i]
		if m.platform || m.role == call.Consult {
			continue
		}
		if best < 0 || m.explainsMore(&p.peers[best]) {
			best = i
		}
	}
	if best < 0 {
		return p.origin
	}
	return best
}

func (m *peer) explainsMore(o *peer) bool {
	a, b := m.elsewhere(), o.elsewhere()
	if a != b {
		return b
	}
	if x, y := severity(m.failure()), severity(o.failure()); x != y {
		return x > y
	}
	return endsBefore(m, o)
}

// severity orders why dials failed, for a call that rang several: what the
// called person did tells more than what the caller or the network did.
func severity(d call.Disposition) int {
	switch d {
	case call.Answered, call.Voicemail:
		return 6
	case call.Busy:
		return 5
	case call.Rejected:
		return 4
	case call.NoAnswer:
		return 3
	case call.Canceled:
		return 2
	case call.Failed:
		return 1
	default:
		return 0
	}
}

// elsewhere says whether the dial stopped because another one was answered.
func (m *peer) elsewhere() bool {
	why := m.why()
	return why.Q850.N == q850NonSelectedUser || m.dialect.words[why.ProviderCause] == tookElsewhere
}

// q850NonSelectedUser is the cause of a dial that stopped because another
// telephone of the subscriber took the call.
const q850NonSelectedUser = 26

// failure is the disposition of a leg that no person answered: by its cause, and
// where that does not tell, by what was seen.
func (m *peer) failure() call.Disposition {
	switch cause := m.why().HangupCause; cause {
	case call.NoCause, call.CauseTransferred:
		return m.unexplained()
	case call.CauseUnknown:
		if m.dialect.unknownCause != call.DispositionUnknown {
			return m.dialect.unknownCause
		}
		return m.silence()
	default:
		return cause.Unanswered()
	}
}

// silence is what an end without a telling cause means: nobody answered if it
// rang.
func (m *peer) silence() call.Disposition {
	if m.marks&rang != 0 {
		return call.NoAnswer
	}
	return call.DispositionUnknown
}

// unexplained is the disposition of a leg whose end came without a cause, or
// not at all. Having seen the set-up and the end without an answer between them
// is evidence; an end alone is not.
func (m *peer) unexplained() call.Disposition {
	switch {
	case m.marks&missedCall != 0:
		return call.NoAnswer
	case !m.ended():
		return m.silence()
	case m.marks&agentGone != 0 && m.dialect.agentsDecline:
		return call.Rejected
	case m.marks&initiated != 0:
		return call.NoAnswer
	default:
		return m.silence()
	}
}

// answerer is who answered: the person who was first, else the machine, else
// the platform.
func (p *picture) answerer(first int) call.Answerer {
	if first >= 0 {
		if by := p.peers[first].answeredBy; by != call.Machine && by != call.System {
			return by
		}
		return call.AnswererUnknown
	}
	by := call.AnswererUnknown
	for i := range p.peers {
		m := &p.peers[i]
		switch {
		case m.answered() && !m.platform && m.answeredBy == call.Machine:
			return call.Machine
		case m.answered() && m.platform, m.answered() && m.answeredBy == call.System:
			by = call.System
		}
	}
	return by
}

// dialAnswered says whether a person answered a leg below m.
func (p *picture) dialAnswered(m *peer) bool {
	for i := range p.peers {
		if !p.peers[i].person {
			continue
		}
		for up, steps := p.peers[i].parent, 0; up >= 0 && steps < len(p.peers); up, steps = p.peers[up].parent, steps+1 {
			if &p.peers[up] == m {
				return true
			}
		}
	}
	return false
}

// disposition is the outcome of one leg. An origin that only the platform
// answered shares the session's.
func (p *picture) disposition(m *peer, session call.Disposition) call.Disposition {
	switch {
	case m.person:
		return call.Answered
	case !m.ended() && !p.final:
		return call.InProgress
	case m.marks&tookMessage != 0, m.answered() && !m.platform && m.answeredBy == call.Machine:
		return call.Voicemail
	case m.answered():
		return session
	case p.dialAnswered(m):
		return call.Answered // its own answer was not seen, but whom it called was connected to it
	default:
		return m.failure()
	}
}
