package stitch

import "callstitch/processor/call"

// Control plants faults: each takes away one rule of the protocol, so that the
// tests of package topology can show that its absence does not go unnoticed. Only
// builds with the tag controls look at it: see the constant.
type Control struct {
	ForgetPublished bool // ABSORB does not say what was published
	FirstEvent      bool // a leg's first instant is that of the event that came first, not the smallest
	LateByTimer     bool // an event is late where the timer has freed its leg, whenever it arrived
	NoGate          bool // sessions are published although messages may be in flight
	SleepOn         bool // an abort does not wake what its transaction had woken
	KeepTouched     bool // what an aborted transaction touched stays decoded
	ShortCut        bool // a root tells legs to come to it directly
	ByLegClock      bool // sessions close and settle by the leg clock
	SettleEarly     bool // a session that settles does not wait until it closes anew
	ForgetSettled   bool // ABSORB does not say what has settled
	ForgetAgain     bool // a leg that comes again is as one that never was
}

// Plant makes the machine break rules.
func (m *Machine) Plant(c Control) { m.control = c }

// shortCutMessage is what a machine with a ShortCut sends to a leg.
const shortCutMessage byte = 255

func (m *Machine) sendShortCut(n *node, of member, trig call.Arrival) {
	m.send(n, call.LegNode(of.id), trig, &body{kind: shortCutMessage, root: n.id})
}

func (n *node) onShortCut(b *body) {
	if !n.root() && b.root.Less(n.up) {
		n.up = b.root
	}
}
