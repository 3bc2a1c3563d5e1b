package stitch

import (
	"slices"
	"testing"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/call/calltest"
)

var storyTimeouts = Timeouts{Grace: 30 * time.Second, Unanswered: 5 * time.Minute, Answered: 4 * time.Hour}

// The events of a story, as package calltest makes them.
const storyStart = calltest.Start

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
	legs    map[call.LegID]*leg
	seen    map[call.EventID]uint64
	arrival map[call.LegID]int64 // the largest of what its leg has taken in
}

func newLegBook() *legBook {
	return &legBook{map[call.LegID]*leg{}, map[call.EventID]uint64{}, map[call.LegID]int64{}}
}

func (b *legBook) arrived(id call.LegID, e *call.Event) {
	b.arrival[id] = max(b.arrival[id], e.IngestedAt)
}

func (b *legBook) leg(id call.LegID) *leg {
	if b.legs[id] == nil {
		b.legs[id] = new(leg)
	}
	return b.legs[id]
}

func (b *legBook) take(e *call.Event) {
	l := b.leg(e.Leg)
	switch content, known := b.seen[e.ID]; {
	case !known:
		b.seen[e.ID] = e.Content
		l.fold(e, e.IngestedAt)
		b.arrived(e.Leg, e)
	case content == e.Content:
		l.repeat(e)
	case e.IDKind == call.SemanticID:
		l.variant(e, e.IngestedAt)
		b.arrived(e.Leg, e)
	}
	if e.Snapshot != nil {
		id := call.NewLegID(e.Tenant, e.Provider, e.Scope, e.Snapshot.CallID)
		other := b.leg(id)
		other.identify(e.Tenant, e.Provider, e.Scope)
		other.witness(e.Snapshot, e.IngestedAt)
		b.arrived(id, e)
	}
}

func (b *legBook) all() []*leg {
	var legs []*leg
	for _, l := range b.legs {
		legs = append(legs, l)
	}
	slices.SortFunc(legs, func(a, b *leg) int { return slices.Compare(a.id[:], b.id[:]) })
	return legs
}

// session folds the events and composes them.
func session(t *testing.T, final bool, events ...*call.Event) *call.Session {
	t.Helper()
	b := newLegBook()
	for _, e := range events {
		b.take(e)
	}
	return compose(call.LegID{1}, b.all(), 0, final)
}

func legNamed(t *testing.T, s *call.Session, callID string) call.LegSummary {
	t.Helper()
	i := slices.IndexFunc(s.Legs, func(l call.LegSummary) bool { return l.CallID == callID })
	if i < 0 {
		t.Fatalf("the session has no leg %q", callID)
	}
	return s.Legs[i]
}
