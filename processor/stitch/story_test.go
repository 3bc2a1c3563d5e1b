package stitch

import (
	"hash/fnv"
	"slices"
	"testing"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

var storyTimeouts = Timeouts{Grace: 30 * time.Second, Unanswered: 5 * time.Minute, Answered: 4 * time.Hour}

// storyStart is second 0 of every story.
const storyStart = 1_700_000_000_000

func second(s float64) int64 { return storyStart + int64(s*1000) }

func instant(src call.Evidence, s float64) call.Instant {
	return call.Instant{At: second(s), Src: src, Precision: 1}
}

// tell fills in part of an event.
type tell func(*call.Event)

// happened makes an event of a leg at a second of the story; its id and content
// follow from what it says.
func happened(p call.Provider, callID string, typ call.EventType, s float64, tells ...tell) *call.Event {
	e := &call.Event{
		Tenant: "default", Provider: p, CallID: callID, Type: typ, IDKind: call.ExactID,
		Leg:  call.NewLegID("default", p, "", callID),
		Time: instant(call.EventTime, s), IngestedAt: second(s) + 200,
		Source: call.Source{Topic: "call.raw", Partition: 1, Offset: int64(s * 1000)},
	}
	switch typ {
	case call.CallInitiated:
		e.Started = instant(call.Reported, s)
	case call.CallRinging:
		e.Ringing = instant(call.Reported, s)
	case call.CallAnswered:
		e.Answered = instant(call.Reported, s)
	case call.CallEnded, call.CallMissed:
		e.Ended = instant(call.Reported, s)
	}
	for _, t := range tells {
		t(e)
	}
	if e.ID == (call.EventID{}) {
		e.ID = call.NewEventID(e.Leg, typ.String(), time.UnixMilli(e.Time.At).String(), e.To.Raw)
	}
	e.Content = contentOf(e)
	return e
}

func contentOf(e *call.Event) uint64 {
	c := *e
	c.Source, c.IngestedAt = call.Source{}, 0
	for _, i := range []*call.Instant{&c.Time, &c.Started, &c.Ringing, &c.Answered, &c.Ended} {
		if i.Src == call.Ingest {
			*i = call.Instant{}
		}
	}
	h := fnv.New64a()
	h.Write(codec.Append(nil, &c))
	return h.Sum64()
}

func called(from, to string) tell {
	return func(e *call.Event) {
		e.From = call.Party{Raw: from, Kind: call.PSTN}
		e.To = call.Party{Raw: to, Kind: call.PSTN}
	}
}

func directed(d call.Direction) tell { return func(e *call.Event) { e.Direction = d } }

func under(parent string) tell {
	return func(e *call.Event) {
		e.ParentCallID = parent
		e.Links = append(e.Links, call.Link{Kind: call.Parent, Value: parent})
	}
}

func because(c call.HangupCause, q850 int32) tell {
	return func(e *call.Event) {
		e.HangupCause = c
		if q850 != 0 {
			e.Q850 = call.Code{N: q850, Src: call.CodeReported}
		}
	}
}

func claiming(seconds int64) tell {
	return func(e *call.Event) { e.ProviderDuration = call.Some(seconds) }
}

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
