// Package calltest makes events for the tests of what folds and joins them.
package calltest

import (
	"hash/fnv"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// Start is second 0 of every story.
const Start = 1_700_000_000_000

// Second is a second of the story, in call time.
func Second(s float64) call.Time { return Start + call.Time(s*1000) }

// Instant is a second of the story, to the millisecond.
func Instant(src call.Evidence, s float64) call.Instant {
	return call.Instant{At: Second(s), Src: src, Precision: 1}
}

// Tell fills in part of an event.
type Tell func(*call.Event)

// Happened makes an event of a leg at a second of the story; its id and content
// follow from what it says.
func Happened(p call.Provider, callID string, typ call.EventType, s float64, tells ...Tell) *call.Event {
	e := &call.Event{
		Tenant: "default", Provider: p, CallID: callID, Type: typ, IDKind: call.IDExact,
		Leg:  call.NewLegID("default", p, "", callID),
		Time: Instant(call.EvidenceEvent, s), IngestedAt: int64(Second(s)) + 200,
		Source: call.Source{Topic: "call.raw", Partition: 1, Offset: int64(s * 1000)},
	}
	switch typ {
	case call.EventCallInitiated:
		e.Started = Instant(call.EvidenceReported, s)
	case call.EventCallRinging:
		e.Ringing = Instant(call.EvidenceReported, s)
	case call.EventCallAnswered:
		e.Answered = Instant(call.EvidenceReported, s)
	case call.EventCallEnded, call.EventCallMissed:
		e.Ended = Instant(call.EvidenceReported, s)
	}
	for _, t := range tells {
		t(e)
	}
	if e.ID == (call.EventID{}) {
		e.ID = call.NewEventID(e.Leg, typ.String(), time.UnixMilli(int64(e.Time.At)).String(), e.To.Raw)
	}
	e.Content = contentOf(e)
	return e
}

func contentOf(e *call.Event) uint64 {
	c := *e
	c.Source, c.IngestedAt = call.Source{}, 0
	for _, i := range []*call.Instant{&c.Time, &c.Started, &c.Ringing, &c.Answered, &c.Ended} {
		if i.Src == call.EvidenceIngest {
			*i = call.Instant{}
		}
	}
	h := fnv.New64a()
	h.Write(codec.Append(nil, &c))
	return h.Sum64()
}

// Called says who called whom, by telephone numbers.
func Called(from, to string) Tell {
	return func(e *call.Event) {
		e.From = call.Party{Raw: from, Kind: call.PartyPSTN}
		e.To = call.Party{Raw: to, Kind: call.PartyPSTN}
	}
}

// Directed says which way the call went.
func Directed(d call.Direction) Tell { return func(e *call.Event) { e.Direction = d } }

// Under names the leg's parent.
func Under(parent string) Tell {
	return func(e *call.Event) {
		e.ParentCallID = parent
		e.Links = append(e.Links, call.Link{Kind: call.LinkParent, Value: parent})
	}
}

// Because says why the leg ended; a cause of 0 of Q.850 is none.
func Because(c call.HangupCause, q850 int32) Tell {
	return func(e *call.Event) {
		e.HangupCause = c
		if q850 != 0 {
			e.Q850 = call.Code{N: q850, Src: call.CodeReported}
		}
	}
}

// Claiming is the provider's claim of a duration.
func Claiming(seconds int64) Tell {
	return func(e *call.Event) { e.ProviderDuration = call.Some(seconds) }
}

// AnsweredDial is a caller whom the platform answers and passes to a person.
func AnsweredDial() []*call.Event {
	return []*call.Event{
		Happened(call.Opentact, "A", call.EventCallInitiated, 0, Called("+15550100001", "15550100002"), Directed(call.DirectionInbound)),
		Happened(call.Opentact, "A", call.EventCallAnswered, 1),
		Happened(call.Opentact, "B", call.EventCallInitiated, 2, Called("15550100001", "user"), Directed(call.DirectionOutbound), Under("A")),
		Happened(call.Opentact, "B", call.EventCallRinging, 3, Under("A")),
		Happened(call.Opentact, "B", call.EventCallAnswered, 8, Under("A")),
		Happened(call.Opentact, "B", call.EventCallEnded, 30, Under("A"), Because(call.CauseNormal, 16), func(e *call.Event) { e.HangupParty = call.HangupByCallee }),
		Happened(call.Opentact, "A", call.EventCallEnded, 31, Because(call.CauseNormal, 16), Claiming(31)),
	}
}
