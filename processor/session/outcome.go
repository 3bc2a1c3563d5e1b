package session

import (
	"callstitch/processor/call"
	"callstitch/processor/leg"
)

// outcome is how the call went, towards the called party.
type outcome struct {
	disposition call.Disposition
	answeredBy  call.Answerer
	first       int              // of the parts: the one that a called person answered first; -1 for none
	explains    int              // of the parts: the one whose end explains the disposition; -1 for none
	hungUp      call.HangupParty // where the course shows it; else the explaining end says
}

// outcomeOf is the outcome of a course. A person's answer beats a message taken,
// which beats whatever a failed dial says.
func outcomeOf(c *course) outcome {
	o := outcome{first: c.firstAnswered(), explains: -1}
	o.answeredBy = c.answerer(o.first)
	switch {
	case c.open():
		o.disposition = call.DispositionInProgress
	case c.anyPerson:
		o.disposition, o.explains = call.DispositionAnswered, c.firstEnded()
		o.hungUp = c.leftInTransfer(o.explains)
	case c.tookMessage():
		o.disposition, o.explains = call.DispositionVoicemail, c.dial()
	default:
		c.explain(&o)
	}
	return o
}

// explain says why nobody answered, and by which part's end.
func (c *course) explain(o *outcome) {
	o.explains = c.dial()
	switch m := &c.parts[o.explains]; {
	case m.elsewhere() && o.explains != c.origin:
		c.abandon(o)
	case !m.platform || !m.Answered():
		o.disposition = m.failure()
	case m.Saw(leg.Bridged):
		o.disposition = call.DispositionUnknown // connected to somebody of whom this session has no leg
	default:
		o.disposition = call.DispositionNoAnswer // the platform answered and dialled nobody
	}
}

// abandon explains a race that nobody won: every telephone was told that another
// one took the call, and none did, because the caller gave up. Only the caller's
// own end says so; where it was lost, or came long after, the telephones' must do.
func (c *course) abandon(o *outcome) {
	caller, lost := &c.parts[c.origin], &c.parts[o.explains]
	o.disposition = lost.failure()
	if d := caller.failure(); caller.Ended() && d != call.DispositionUnknown {
		o.disposition, o.explains = d, c.origin
	}
	together := !caller.End.Known() || !lost.End.Known() || within(caller.End.At, lost.End.At, switchTolerance)
	if o.disposition == call.DispositionCanceled && together {
		o.hungUp = call.HangupByCaller
	}
}

// leftInTransfer is who hung up where part i explains the end and is of the party
// who left before the next one had answered: it waited for nobody but him.
func (c *course) leftInTransfer(i int) call.HangupParty {
	switch {
	case !c.gaveUp || i != c.caller || c.parts[i].Ending().HangupParty != call.NoHangupParty:
		return call.NoHangupParty
	case i == c.origin:
		return call.HangupByCaller
	default:
		return call.HangupByCallee
	}
}

// firstAnswered is the leg that a called person answered first, a consultation
// only where nothing else was answered; -1 for none.
func (c *course) firstAnswered() int {
	best := -1
	for i := range c.parts {
		m := &c.parts[i]
		if m.reached && (best < 0 || m.answeredBefore(&c.parts[best])) {
			best = i
		}
	}
	return best
}

// answeredBefore puts consultations last, and before them the legs to which a
// transfer connected a person: whoever passed the call on had answered it.
func (m *part) answeredBefore(o *part) bool {
	if a, b := m.isConsultation(), o.isConsultation(); a != b {
		return b
	}
	if a, b := m.Answered(), o.Answered(); a != b {
		return a
	}
	a, b := m.joined(), o.joined()
	return a != b && sooner(b, a) == a
}

// isConsultation reports whether the leg is no conversation with the caller.
func (m *part) isConsultation() bool { return m.consult || m.role == call.RoleConsult }

// joined is when the one who answered was connected.
func (m *part) joined() call.Instant {
	switch {
	case m.agent.Known():
		return m.agent
	case m.Answer.Known():
		return m.Answer
	default:
		return m.takenOver
	}
}

// firstEnded is the connected leg that ended first: the side that hung up. A
// leg that a transfer took over, and its consultation, did not end the call, nor
// did one that was over when the caller was passed on.
func (c *course) firstEnded() int {
	best := -1
	for _, strict := range [...]bool{true, false} {
		for i := range c.parts {
			m := &c.parts[i]
			connected := m.reached || m.platform && m.Answered()
			if !connected || !m.Ended() || strict && (m.left || m.role == call.RoleConsult || m.End.Known() && !m.aliveAt(c.handedOn)) {
				continue
			}
			if best < 0 || endsBefore(&m.peer, &c.parts[best].peer) {
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
	case a.End.Known() != b.End.Known():
		return a.End.Known()
	case a.End.At != b.End.At:
		return a.End.At < b.End.At
	default:
		return a.child() && !b.child()
	}
}

// tookMessage reports whether a message was taken instead of a conversation: the
// platform says so, a machine answered, or, where the platform has no word for
// it, it answered the caller and recorded.
func (c *course) tookMessage() bool {
	for i := range c.parts {
		m := &c.parts[i]
		switch {
		case m.Saw(leg.MessageTaken),
			m.Answered() && !m.platform && m.AnsweredBy == call.AnswererMachine,
			m.dialect.recordsMessages && m.platform && m.Answered() && !m.Saw(leg.Bridged) && len(m.Recordings) > 0:
			return true
		}
	}
	return false
}

// dial is the called leg that explains why no person answered: by severity,
// leaving out what was answered elsewhere; the origin where nobody was called.
func (c *course) dial() int {
	best := -1
	for i := range c.parts {
		m := &c.parts[i]
		if m.platform || m.role == call.RoleConsult {
			continue
		}
		if best < 0 || m.explainsMore(&c.parts[best].peer) {
			best = i
		}
	}
	if best < 0 {
		return c.origin
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
	case call.DispositionAnswered, call.DispositionVoicemail:
		return 6
	case call.DispositionBusy:
		return 5
	case call.DispositionRejected:
		return 4
	case call.DispositionNoAnswer:
		return 3
	case call.DispositionCanceled:
		return 2
	case call.DispositionFailed:
		return 1
	default:
		return 0
	}
}

// elsewhere reports whether the dial stopped because another one was answered.
func (m *peer) elsewhere() bool {
	why := m.Ending()
	return why.Q850.N == q850NonSelectedUser || m.dialect.says(why) == tookElsewhere
}

// q850NonSelectedUser is the cause of a dial that stopped because another
// telephone of the subscriber took the call.
const q850NonSelectedUser = 26

// failure is the disposition of a leg that no person answered: by its cause, and
// where that does not tell, by what was seen.
func (m *peer) failure() call.Disposition {
	if m.declined && !m.elsewhere() {
		return call.DispositionRejected
	}
	switch cause := m.Ending().HangupCause; cause {
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
	if m.Saw(leg.Rang) {
		return call.DispositionNoAnswer
	}
	return call.DispositionUnknown
}

// unexplained is the disposition of a leg whose end came without a cause, or
// not at all. Having seen the set-up and the end without an answer between them
// is evidence; an end alone is not.
func (m *peer) unexplained() call.Disposition {
	switch {
	case m.Saw(leg.Missed):
		return call.DispositionNoAnswer
	case !m.Ended():
		return m.silence()
	case m.Saw(leg.AgentLeft) && m.dialect.agentsDecline:
		return call.DispositionRejected
	case m.Saw(leg.Initiated):
		return call.DispositionNoAnswer
	default:
		return m.silence()
	}
}

// answerer is who answered: the person who was first, else the machine, else
// the platform.
func (c *course) answerer(first int) call.Answerer {
	if first >= 0 {
		if by := c.parts[first].AnsweredBy; by != call.AnswererMachine && by != call.AnswererSystem {
			return by
		}
		return call.AnswererUnknown
	}
	by := call.AnswererUnknown
	for i := range c.parts {
		m := &c.parts[i]
		switch {
		case m.Answered() && !m.platform && m.AnsweredBy == call.AnswererMachine:
			return call.AnswererMachine
		case m.Answered() && m.platform, m.Answered() && m.AnsweredBy == call.AnswererSystem:
			by = call.AnswererSystem
		}
	}
	return by
}

// dispositionOf is the outcome of one leg, of those of the course or beside them.
// An origin that only the platform answered shares the session's.
func (c *course) dispositionOf(m *part, session call.Disposition) call.Disposition {
	switch {
	case m.reached:
		return call.DispositionAnswered
	case !m.Ended() && !c.final:
		return call.DispositionInProgress
	case m.Saw(leg.MessageTaken), m.Answered() && !m.platform && m.AnsweredBy == call.AnswererMachine:
		return call.DispositionVoicemail
	case m.Answered() && !m.declined:
		return session
	case c.dialAnswered(m):
		return call.DispositionAnswered // its own answer was not seen, but whom it called was connected to it
	default:
		return m.failure()
	}
}

// dialAnswered reports whether a person answered a leg below m.
func (c *course) dialAnswered(m *part) bool {
	for i := range c.parts {
		if !c.parts[i].reached {
			continue
		}
		for up, steps := c.parts[i].parent, 0; up >= 0 && steps < len(c.parts); up, steps = c.parts[up].parent, steps+1 {
			if &c.parts[up] == m {
				return true
			}
		}
	}
	return false
}

// mayHaveTalked reports whether it is not known if a person answered: the leg's
// end was seen, and neither an answer nor a reason why there was none.
func (m *part) mayHaveTalked() bool {
	if m.platform && m.Saw(leg.Bridged) {
		return true
	}
	return !m.reached && !m.Answered() && m.Ended() && m.failure() == call.DispositionUnknown && m.Ending().HangupCause == call.NoCause
}
