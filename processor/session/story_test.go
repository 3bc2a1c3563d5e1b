package session

import (
	"slices"
	"testing"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/call/calltest"
	"callstitch/processor/leg"
)

var storyTimeouts = leg.Timeouts{Grace: 30 * time.Second, Unanswered: 5 * time.Minute, Answered: 4 * time.Hour}

// The events of a story, as package calltest makes them.
type tell = calltest.Tell

var (
	happened, called, directed, under = calltest.Happened, calltest.Called, calltest.Directed, calltest.Under
	because, claiming                 = calltest.Because, calltest.Claiming
	instant, second                   = calltest.Instant, calltest.Second
	answeredDial                      = calltest.AnsweredDial
)

// legBook folds events as a node does: it accepts an id once, merges a second
// content of a SEMANTIC one, and counts repeats.
type legBook struct {
	legs map[call.LegID]*leg.Leg
	seen map[call.EventID]uint64
}

func newLegBook() *legBook {
	return &legBook{map[call.LegID]*leg.Leg{}, map[call.EventID]uint64{}}
}

func (b *legBook) leg(id call.LegID) *leg.Leg {
	if b.legs[id] == nil {
		b.legs[id] = new(leg.Leg)
	}
	return b.legs[id]
}

func (b *legBook) take(e *call.Event) {
	l := b.leg(e.Leg)
	switch content, known := b.seen[e.ID]; {
	case !known:
		b.seen[e.ID] = e.Content
		l.Fold(e, call.Arrival(e.IngestedAt), false)
	case content == e.Content:
		l.Repeat(e)
	case e.IDKind == call.IDSemantic:
		l.Variant(e, call.Arrival(e.IngestedAt))
	}
	if e.Snapshot != nil {
		id := call.NewLegID(e.Tenant, e.Provider, e.Scope, e.Snapshot.CallID)
		other := b.leg(id)
		other.Identify(e.Tenant, e.Provider, e.Scope)
		other.Witness(e.Snapshot, call.Arrival(e.IngestedAt))
	}
}

func (b *legBook) all() []*leg.Leg {
	var legs []*leg.Leg
	for _, l := range b.legs {
		legs = append(legs, l)
	}
	slices.SortFunc(legs, func(a, b *leg.Leg) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return legs
}

// bookOf is what the events leave.
func bookOf(events []*call.Event) *legBook {
	b := newLegBook()
	for _, e := range events {
		b.take(e)
	}
	return b
}

// session folds the events and composes them.
func session(t *testing.T, final bool, events ...*call.Event) *call.Session {
	t.Helper()
	return Compose(call.LegID{1}, bookOf(events).all(), 0, final)
}

func legNamed(t *testing.T, s *call.Session, callID string) call.LegSummary {
	t.Helper()
	i := slices.IndexFunc(s.Legs, func(l call.LegSummary) bool { return l.CallID == callID })
	if i < 0 {
		t.Fatalf("the session has no leg %q", callID)
	}
	return s.Legs[i]
}
