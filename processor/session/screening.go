package session

import "callstitch/processor/call"

// Limits of a dial that a person answered only to be asked whether to take the call,
// in milliseconds.
const (
	screenedMS = 60_000 // from the answer to the end: the question, and time to press a key
	declinedMS = 5_000  // from the key to the end, and by how much at least the caller stays longer: who takes a call talks for more
)

// findDeclined finds the dials that a person answered and did not take: the caller was
// never connected to that person. What the platform asks before it connects is told of
// the dial's own leg, and is the last that is told of it; the caller stays.
//
//	caller   C ├─────────── platform ────────────┤
//	dial            ├···├── A ──┤
//	moments               asked, key
//
// Of several who are asked at once, those who are too late stop as one who rings
// does: another telephone took the call.
func (p *parties) findDeclined() {
	for i := range p.peers {
		m := &p.peers[i]
		if m.person && m.child() && m.parent >= 0 && m.End.Known() && (m.elsewhere() || m.declines() && p.outlived(m)) {
			m.person, m.declined = false, true
		}
	}
}

// declines reports whether the leg ended soon after its answer, and at once after a key
// was pressed on it, or waited for.
func (m *peer) declines() bool {
	if !m.Answer.Known() || m.End.At-m.Answer.At > screenedMS {
		return false
	}
	for i := range m.Moments {
		if e := &m.Moments[i]; e.Type == call.EventDTMF && e.At >= m.End.At-declinedMS {
			return true
		}
	}
	return false
}

// outlived reports whether the caller stayed when the dial had ended.
func (p *parties) outlived(m *peer) bool {
	caller := &p.peers[m.parent]
	if caller.Ended() {
		return caller.End.At > m.End.At+declinedMS
	}
	return caller.LastAlive() > m.End.At+declinedMS
}
