package session

import (
	"slices"

	"callstitch/processor/call"
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

// clockDifference is how far apart, in milliseconds, legs may end that a switch takes
// down together: one after the other, and stamped by two hosts.
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
