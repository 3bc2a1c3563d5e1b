package stitch

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/leg"
	"callstitch/processor/session"
)

const (
	// expirySlack is how long after its expires_at a node is freed. Lateness
	// was decided by arrival; the slack keeps what a slow message may still
	// need, and costs only memory.
	expirySlack = time.Hour
	// revisionGap limits a session of one leg to a revision a second of the
	// leg clock. FINAL and SUPERSEDED never wait.
	revisionGap = time.Second
)

// evaluate does what is due at a node and sets its timer.
func (m *Machine) evaluate(n *node, now Clocks) {
	if n.gone {
		return
	}
	if n.stub {
		m.freeStub(n, now.Session)
		return
	}
	n.due = timer{at: n.forgotten()}
	if n.root() && (n.leg != nil || n.members.count > 0) {
		m.review(n, now)
	}
	// After the review: where a clock leaps over a quiet stretch, the time to
	// close a session and the time to forget it come at once.
	if now.Session >= n.forgotten() {
		m.expire(n)
	}
}

// forgotten is when a node is freed: not before what may be published of it was.
func (n *node) forgotten() call.Arrival { return max(n.exp.Add(expirySlack)+1, n.gate) }

// expire frees a node that nothing can change any more. A leg leaves its id, to
// tell a late event from a new call.
func (m *Machine) expire(n *node) {
	m.dropMembers(n)
	m.dropIDs(n)
	if !n.id.IsLeg() || n.leg == nil && !n.came {
		n.gone = true
		return
	}
	n.stub, n.came, n.fold, n.links, n.told, n.published, n.up = true, false, fold{}, nil, nil, nil, call.NodeID{}
	n.changed = true
	n.due = timer{at: n.exp.Add(expirySlack+m.cfg.StubRetention) + 1}
}

func (m *Machine) freeStub(n *node, session call.Arrival) {
	n.due = timer{at: n.exp.Add(expirySlack+m.cfg.StubRetention) + 1}
	n.gone = session >= n.due.at
}

// review publishes a root's session where it has changed and may be published,
// and sets the timer for what must wait.
func (m *Machine) review(n *node, now Clocks) {
	if controls && m.control.ByLegClock {
		now.Session = max(now.Session, now.Leg)
	}
	sole := n.sole()
	if !sole && now.Session < n.gate && !(controls && m.control.NoGate) {
		// A message caused at or before the gate may be in flight and move the
		// session under another root: no record may appear under this id yet.
		n.wait(timer{at: n.gate})
		return
	}
	m.loadMembers(n)
	legs := m.gather(n)
	// What repeats an event with other content puts off the end, and keeps nothing alive.
	closes := min(session.Due(m.cfg.timeouts(), legs), n.forgotten())
	final := now.Session >= closes || n.wasFinal()
	if !final {
		n.wait(timer{at: closes})
	}
	if !final && (!m.cfg.Partial || sole && n.early(now, m)) {
		return
	}
	survivor := m.publish(n, legs, final, max(n.gate, min(closes, now.Session)), now.Leg)
	if final && m.cfg.Settled {
		m.publishSettled(n, survivor, legs, closes, now)
	}
}

// early reports whether a session of one leg has had its revision of this second;
// if so it waits for the leg clock.
func (n *node) early(now Clocks, m *Machine) bool {
	if len(n.published) == 0 || now.Leg >= n.published[0].at.Add(revisionGap) {
		return false
	}
	n.wait(timer{at: n.published[0].at.Add(revisionGap), leg: true})
	return true
}

// wait moves the timer forward.
func (n *node) wait(t timer) {
	if t.at < n.due.at {
		n.due = t
	}
}

func (n *node) wasFinal() bool {
	return slices.ContainsFunc(n.published, func(p publication) bool { return p.wasFinal })
}

// gather lists the folds of all members. The slice is valid until the next call.
func (m *Machine) gather(n *node) []*leg.Leg {
	m.legs = m.legs[:0]
	if n.leg != nil {
		m.legs = append(m.legs, n.leg)
	}
	for i := range n.members.all {
		m.legs = append(m.legs, n.members.all[i].leg)
	}
	return m.legs
}

// oldest is the leg that names the session of these: the one with the smallest first
// instant, then the one that was heard of first.
func oldest(legs []*leg.Leg) call.LegID {
	return slices.MinFunc(legs, func(a, b *leg.Leg) int {
		x, y := a.First(), b.First()
		switch {
		case x.Known() != y.Known():
			if x.Known() {
				return -1
			}
			return 1 // nothing is known of when: after all others
		case x != y:
			return cmp.Compare(x, y)
		}
		return leg.CompareFirst(a, b)
	}).ID
}

// publish writes the next revision of the session if anything in it changed,
// and the last one of every id that it has absorbed. It returns which publication is that
// of the survivor.
func (m *Machine) publish(n *node, legs []*leg.Leg, final bool, at, legClock call.Arrival) (survivor int) {
	id := oldest(legs)
	s := session.Compose(id, legs, int(n.members.dropped), final)
	s.State = call.StatePartial
	if final {
		s.State = call.StateFinal
	}
	i := n.publicationOf(id)
	mark := session.Fingerprint(s)
	if p := n.published[i]; p.revision > 0 && p.mark == mark && p.state == s.State && !n.absorbed(i) {
		return i
	}
	n.changed = true
	merged := m.supersede(n, i, s, at)
	p := &n.published[i]
	p.revision++
	s.Revision, s.Generation, s.EmittedAt = p.revision, m.cfg.Generation, at
	s.Amended = n.wasFinal()
	s.MergedSessionIDs = n.mergedInto(i)
	was, is := p.facts, factsOf(s)
	s.ChangeReason = reason(p, was, is, merged, s)
	p.state, p.wasFinal, p.mark, p.facts, p.at = s.State, p.wasFinal || final, mark, is, legClock
	m.effects.Sessions = append(m.effects.Sessions, s)
	m.publishRows(n, s, final, at)
	return i
}

// publicationOf finds what is remembered of a session id, or begins it.
func (n *node) publicationOf(id call.LegID) int {
	i := slices.IndexFunc(n.published, func(p publication) bool { return p.id == id })
	if i < 0 {
		i = len(n.published)
		n.published = append(n.published, publication{id: id})
	}
	return i
}

// absorbed reports whether another id than the survivor's is still to be superseded.
func (n *node) absorbed(survivor int) bool {
	for i, p := range n.published {
		if i != survivor && p.revision > 0 && p.state != call.StateSuperseded {
			return true
		}
	}
	return false
}

// supersede ends every other id with a last revision that names its survivor.
func (m *Machine) supersede(n *node, survivor int, s *call.Session, at call.Arrival) (any bool) {
	for i := range n.published {
		p := &n.published[i]
		if i == survivor || p.revision == 0 || p.state == call.StateSuperseded {
			continue
		}
		any = true
		p.revision++
		p.state = call.StateSuperseded
		by := s.ID
		m.effects.Sessions = append(m.effects.Sessions, &call.Session{
			ID: p.id, Tenant: s.Tenant, Provider: s.Provider, Account: s.Account,
			State: call.StateSuperseded, Revision: p.revision, Generation: m.cfg.Generation,
			ChangeReason: call.ChangeSuperseded, Amended: p.wasFinal, CloseReason: call.ClosedMerged,
			SupersededBy: &by, EmittedAt: at,
		})
	}
	return any
}

// mergedInto lists the ids that the survivor has absorbed, directly or by chain.
func (n *node) mergedInto(survivor int) (ids []call.LegID) {
	for i, p := range n.published {
		if i != survivor && p.revision > 0 {
			ids = append(ids, p.id)
		}
	}
	slices.SortFunc(ids, func(a, b call.LegID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// publishRows writes the row of every leg that changed, or came under another
// session or state.
func (m *Machine) publishRows(n *node, s *call.Session, final bool, at call.Arrival) {
	if !m.cfg.Legs {
		return
	}
	if n.leg != nil {
		m.publishRow(s, n.leg, &n.row, final, at)
	}
	for i := range n.members.all {
		l := &n.members.all[i]
		if m.publishRow(s, l.leg, &l.row, final, at) {
			n.members.touch(i)
		}
	}
}

func (m *Machine) publishRow(s *call.Session, l *leg.Leg, mark *rowMark, final bool, at call.Arrival) bool {
	r := session.Row(s, l, final)
	print := session.RowFingerprint(r)
	if mark.revision > 0 && mark.mark == print {
		return false
	}
	mark.revision, mark.mark = mark.revision+1, print
	r.Revision, r.Generation, r.EmittedAt = mark.revision, m.cfg.Generation, at
	m.effects.Legs = append(m.effects.Legs, r)
	return true
}
