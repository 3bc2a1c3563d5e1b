package calltest

import (
	"pgregory.net/rapid"

	"callstitch/processor/call"
)

// DrawStory draws what one provider may tell of up to three legs: events in any
// order, copies with other Kafka timestamps, and variants of once-only events.
func DrawStory(t *rapid.T) []*call.Event {
	p := rapid.SampledFrom(call.Providers()).Draw(t, "provider")
	n := rapid.IntRange(1, 14).Draw(t, "events")
	var told []*call.Event
	for i := range n {
		e := drawEvent(t, p, i)
		told = append(told, e)
		if rapid.IntRange(0, 3).Draw(t, "copied") == 0 {
			told = append(told, Delayed(e, 500*rapid.Int64Range(-4, 4).Draw(t, "delay")))
		}
		if e.IDKind == call.IDSemantic && rapid.Bool().Draw(t, "varied") {
			v := *e
			v.ProviderDuration = call.Some(rapid.Int64Range(0, 3).Draw(t, "other duration"))
			v.To.Raw = rapid.SampledFrom([]string{"A", "B"}).Draw(t, "other callee")
			v.Content = contentOf(&v)
			told = append(told, Delayed(&v, 500*rapid.Int64Range(-4, 4).Draw(t, "delay")))
			if rapid.Bool().Draw(t, "variant copied") {
				told = append(told, Delayed(&v, 500*rapid.Int64Range(-4, 4).Draw(t, "delay")))
			}
		}
	}
	return told
}

// Delayed is a copy with another Kafka timestamp.
func Delayed(e *call.Event, d int64) *call.Event {
	c := *e
	c.IngestedAt += d
	for _, i := range []*call.Instant{&c.Time, &c.Started, &c.Ringing, &c.Answered, &c.Ended} {
		if i.Src == call.EvidenceIngest {
			i.At += call.Time(d)
		}
	}
	c.Source.Offset++
	return &c
}

var eventTypes = []call.EventType{
	call.EventCallInitiated, call.EventCallRinging, call.EventCallAnswered, call.EventCallEnded, call.EventCallMissed, call.EventCallDestroyed,
	call.EventCallEnded, call.EventCallEnded, call.EventChannelEnded, call.EventCallHeld, call.EventCallResumed, call.EventTransferCompleted, call.EventRecordingAvailable, call.EventDTMF, call.EventUnknown,
}

func drawEvent(t *rapid.T, p call.Provider, i int) *call.Event {
	some := func(name string) bool { return rapid.IntRange(0, 2).Draw(t, name) == 0 }
	moment := func(name string) float64 { return float64(rapid.IntRange(0, 12).Draw(t, name)) / 2 }
	party := rapid.SampledFrom([]string{"", "A", "B", "C", "+C"})
	e := &call.Event{
		Tenant: "default", Provider: p, CallID: rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "call"),
		Type: rapid.SampledFrom(eventTypes).Draw(t, "type"), IDKind: call.IDExact,
	}
	e.Leg = call.NewLegID(e.Tenant, e.Provider, e.Scope, e.CallID)
	e.ID = call.NewEventID(e.Leg, string(rune('a'+i)))
	src := rapid.SampledFrom([]call.Evidence{call.EvidenceEvent, call.EvidenceEvent, call.EvidenceIngest, call.NoEvidence}).Draw(t, "clock")
	if src != call.NoEvidence {
		e.Time = Instant(src, moment("time"))
	}
	e.IngestedAt = max(int64(e.Time.At), Start)
	e.Source = call.Source{Topic: rapid.SampledFrom([]string{"call.raw", "call.raw2"}).Draw(t, "topic"), Partition: 3, Offset: int64(i)}
	for _, f := range []*call.Instant{&e.Started, &e.Ringing, &e.Answered} {
		if some("instant") {
			*f = Instant(rapid.SampledFrom([]call.Evidence{call.EvidenceReported, call.EvidenceEvent, call.EvidenceDerived, call.EvidenceIngest}).Draw(t, "evidence"), moment("at"))
		}
	}
	if e.Type.Terminal() && !some("timeless end") {
		e.Ended = Instant(rapid.SampledFrom([]call.Evidence{call.EvidenceReported, call.EvidenceEvent, call.EvidenceIngest}).Draw(t, "evidence"), moment("end"))
	}
	e.From.Raw, e.To.Raw = party.Draw(t, "from"), party.Draw(t, "to")
	e.Direction = rapid.SampledFrom([]call.Direction{call.DirectionUnknown, call.DirectionInbound, call.DirectionOutbound}).Draw(t, "direction")
	e.HangupCause = rapid.SampledFrom([]call.HangupCause{call.NoCause, call.CauseNormal, call.CauseBusy, call.CauseTransferred}).Draw(t, "cause")
	e.HangupParty = rapid.SampledFrom([]call.HangupParty{call.NoHangupParty, call.HangupByCaller}).Draw(t, "party")
	if some("q850") {
		e.Q850 = call.Code{N: 17, Src: rapid.SampledFrom([]call.CodeSource{call.CodeReported, call.CodeMapped}).Draw(t, "source")}
	}
	if some("duration") {
		e.ProviderDuration = call.Some(rapid.Int64Range(0, 3).Draw(t, "seconds"))
		e.ProviderTalk = call.Some(rapid.Int64Range(0, 3).Draw(t, "talk seconds"))
	}
	e.AnsweredBy = rapid.SampledFrom([]call.Answerer{call.AnswererUnknown, call.AnswererHuman, call.AnswererMachine, call.AnswererSystem}).Draw(t, "answerer")
	e.PlatformAnswer, e.Voicemail, e.AgentLeft = some("platform"), some("voicemail"), some("agent left")
	e.Account = rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "account")
	if some("recorded") {
		e.Recording = call.RecordingFact{
			ID:     rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "recording"),
			Status: rapid.SampledFrom([]call.RecordingStatus{call.RecordingPending, call.RecordingAvailable}).Draw(t, "recording status"),
			URL:    rapid.SampledFrom([]string{"", "u1", "u2"}).Draw(t, "url"), StartedAt: Second(moment("recorded at")),
			Channels: call.Some(rapid.Int64Range(1, 2).Draw(t, "channels")), Format: rapid.SampledFrom([]string{"", "wav", "mp3"}).Draw(t, "format"),
			DurationMS: call.Some(rapid.Int64Range(1, 3).Draw(t, "recorded")), AvailableAt: Second(moment("available")),
		}
	}
	if some("attribute") {
		e.Attributes = []call.Attribute{{Key: "tag", Value: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "tag")}}
	}
	if some("flow") {
		e.Links = []call.Link{{Kind: call.LinkFlow, Value: rapid.SampledFrom([]string{"f1", "f2"}).Draw(t, "flow id")}}
	}
	if e.CallID != "x" && some("parent") {
		e.ParentCallID = "x"
		e.Snapshot = &call.LegSnapshot{
			CallID: "x", Direction: call.DirectionInbound, From: call.Party{Raw: party.Draw(t, "parent's from")},
			Started: Instant(call.EvidenceSnapshot, moment("parent's start")), Alive: Instant(call.EvidenceSnapshot, moment("parent alive")),
		}
		if some("parent's end") {
			e.Snapshot.Ended = Instant(call.EvidenceSnapshot, moment("parent's end at"))
			e.Snapshot.HangupCause = rapid.SampledFrom([]call.HangupCause{call.NoCause, call.CauseNormal, call.CauseBusy}).Draw(t, "parent's cause")
		}
	}
	if e.Type == call.EventCallEnded && some("once") {
		e.IDKind, e.ID = call.IDSemantic, call.NewEventID(e.Leg, "once")
	}
	e.Content = contentOf(e)
	return e
}

// Disturbed makes some of the instants that the events state those of other days, as a
// wrong clock or a template does.
func Disturbed(t *rapid.T, told []*call.Event) []*call.Event {
	all := make([]*call.Event, len(told))
	for i, e := range told {
		c := *e
		for _, at := range []*call.Instant{&c.Time, &c.Started, &c.Ringing, &c.Answered, &c.Ended} {
			if at.Known() && rapid.IntRange(0, 5).Draw(t, "disturbed") == 0 {
				at.At += call.Time(rapid.SampledFrom([]int64{-60, -1, 1, 30}).Draw(t, "days") * 86_400_000)
			}
		}
		c.Content = contentOf(&c)
		all[i] = &c
	}
	return all
}
