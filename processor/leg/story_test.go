package leg

import (
	"time"

	"callstitch/processor/call"
	"callstitch/processor/call/calltest"
)

var storyTimeouts = Timeouts{Grace: 30 * time.Second, Unanswered: 5 * time.Minute, Answered: 4 * time.Hour}

// The events of a story, as package calltest makes them.
var (
	happened, called, because = calltest.Happened, calltest.Called, calltest.Because
	instant, second           = calltest.Instant, calltest.Second
	answeredDial              = calltest.AnsweredDial
)

// legBook folds events as a node does: it accepts an id once, merges a second
// content of a SEMANTIC one, and counts repeats.
type legBook struct {
	legs    map[call.LegID]*Leg
	seen    map[call.EventID]uint64
	arrival map[call.LegID]call.Arrival // the largest of what its leg has taken in
}

func newLegBook() *legBook {
	return &legBook{map[call.LegID]*Leg{}, map[call.EventID]uint64{}, map[call.LegID]call.Arrival{}}
}

func (b *legBook) arrived(id call.LegID, e *call.Event) {
	b.arrival[id] = max(b.arrival[id], call.Arrival(e.IngestedAt))
}

func (b *legBook) leg(id call.LegID) *Leg {
	if b.legs[id] == nil {
		b.legs[id] = new(Leg)
	}
	return b.legs[id]
}

func (b *legBook) take(e *call.Event) {
	l := b.leg(e.Leg)
	switch content, known := b.seen[e.ID]; {
	case !known:
		b.seen[e.ID] = e.Content
		l.Fold(e, call.Arrival(e.IngestedAt), false)
		b.arrived(e.Leg, e)
	case content == e.Content:
		l.Repeat(e)
	case e.IDKind == call.IDSemantic:
		l.Variant(e, call.Arrival(e.IngestedAt))
		b.arrived(e.Leg, e)
	}
	if e.Snapshot != nil {
		id := call.NewLegID(e.Tenant, e.Provider, e.Scope, e.Snapshot.CallID)
		other := b.leg(id)
		other.Identify(e.Tenant, e.Provider, e.Scope)
		other.Witness(e.Snapshot, call.Arrival(e.IngestedAt))
		b.arrived(id, e)
	}
}
