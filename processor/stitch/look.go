package stitch

import (
	"callstitch/processor/call"
	"callstitch/processor/session"
)

// Look composes the session that a node belongs to as the state has it between
// two transactions, whether or not it may be published yet; it changes nothing.
// A child does not know its session: up is then the node to ask next. Both are
// zero where nothing is known of the node, or what is stored of it cannot be read,
// which the next call of the machine fails with.
func (m *Machine) Look(id call.NodeID) (s *call.Session, up call.NodeID) {
	b := m.state.Get(m.nodeKey(id))
	if b == nil {
		return nil, up
	}
	n := m.parse(id, b)
	m.loadMembers(n)
	legs := m.gather(n)
	if m.unreadable != nil || !n.root() || len(legs) == 0 {
		return nil, n.up
	}
	return session.Compose(oldest(legs), legs, int(n.members.dropped), false), up
}
