package session

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
)

// heard makes a Sonetel event: the call's date is its start, and the Kafka
// timestamp is the only clock. Flows are caller's and callee's.
func heard(callID string, typ call.EventType, s, date float64, from, to, callerFlow, calleeFlow string, tells ...tell) *call.Event {
	base := func(e *call.Event) {
		e.Time = instant(call.EvidenceIngest, s)
		e.Started = call.Instant{At: second(date), Src: call.EvidenceReported, Precision: 1000}
		for _, i := range []*call.Instant{&e.Ringing, &e.Answered, &e.Ended} {
			if i.Known() {
				i.Src = call.EvidenceIngest
			}
		}
		e.IDKind = call.IDSemantic
		e.ID = call.NewEventID(e.Leg, "once", typ.String())
		for _, f := range []string{callerFlow, calleeFlow} {
			if f != "" {
				e.Links = append(e.Links, call.Link{Kind: call.LinkFlow, Value: f})
			}
		}
		e.From, e.To = call.Party{Raw: from}, call.Party{Raw: to}
	}
	return happened(call.Sonetel, callID, typ, s, append([]tell{base}, tells...)...)
}

// consultation is the documented attendant transfer: C calls A, A calls B and
// passes C on to B. The hang-up of A to B comes twice.
func consultation() []*call.Event {
	return []*call.Event{
		heard("CA", call.EventCallInitiated, 0.2, 0, "+15550100001", "A", "f1", "f2"),
		heard("CA", call.EventCallAnswered, 5, 0, "+15550100001", "A", "f1", "f2"),
		heard("AB", call.EventCallInitiated, 20.2, 20, "A", "B", "f2", "f3"),
		heard("AB", call.EventCallAnswered, 25, 20, "A", "B", "f2", "f3"),
		heard("CA", call.EventCallEnded, 40, 0, "+15550100001", "A", "f1", "f2", claiming(35)),
		heard("AB", call.EventCallEnded, 40.1, 20, "A", "B", "f2", "f3", claiming(15)),
		heard("AB", call.EventCallEnded, 40.2, 20, "A", "B", "f2", "f3", claiming(16)),
		heard("CB", call.EventCallEnded, 70, 40, "15550100001", "B", "f1", "f3", claiming(30)),
	}
}

func id(p call.Provider, callID string) *call.LegID {
	l := call.NewLegID("default", p, "", callID)
	return &l
}

func TestAttendedTransfer(t *testing.T) {
	s := session(t, true, consultation()...)
	want := []call.Transfer{{
		At: second(40.1), Type: call.TransferAttended, FromLeg: id(call.Sonetel, "CA"), ToLeg: id(call.Sonetel, "CB"),
		Transferor: "A", Result: call.ResultCompleted, Inferred: true,
	}}
	if d := cmp.Diff(want, s.Transfers); d != "" {
		t.Errorf("transfers (-want +got):\n%s", d)
	}
	if s.LegCount != 3 || s.TransferCount != 1 || s.DuplicateCount != 1 || s.ParticipantCount != 3 {
		t.Errorf("%d legs, %d transfers, %d duplicates, %d participants", s.LegCount, s.TransferCount, s.DuplicateCount, s.ParticipantCount)
	}
	for callID, role := range map[string]call.Role{"CA": call.RoleOrigin, "AB": call.RoleConsult, "CB": call.RoleTransferTarget} {
		if got := legNamed(t, s, callID).Role; got != role {
			t.Errorf("%s is %v, want %v", callID, got, role)
		}
	}
	// C talked to A from 5 to 40 and to B from 40.1 to 70; A to B is nobody's
	// talk but the house's.
	if s.TalkMS != call.Some(35_000+29_900) {
		t.Errorf("talk %v", s.TalkMS)
	}
	if s.Disposition != call.DispositionAnswered || s.CloseReason != call.ClosedNormal || s.EndLost || s.Ended != instant(call.EvidenceIngest, 70) {
		t.Errorf("%v, closed %v, ended %v", s.Disposition, s.CloseReason, s.Ended)
	}
	if !slices.Equal(s.CorrelationMethods, []call.LinkKind{call.LinkFlow}) || !s.Flags.Has(call.FlagTimesInferred) {
		t.Errorf("joined by %v, flags %v", s.CorrelationMethods, s.Flags.Words())
	}
}

func TestASecondHangUpKeepsTheSessionOpen(t *testing.T) {
	answered := call.Time(4 * time.Hour.Milliseconds())
	events := consultation()
	for _, tt := range []struct {
		name   string
		events []*call.Event
		open   bool
		due    call.Time
	}{
		{"one hang-up is an end", events[:6], false, second(40.1) + 200 + 30_000},
		{"two, and the leg that goes on is not known", events[:7], true, second(40.2) + 200 + answered},
		{"it has begun", append(slices.Clone(events[:7]),
			heard("CB", call.EventCallInitiated, 41, 40, "15550100001", "B", "f1", "f3")), true, second(41) + 200 + answered},
		{"it has ended", events, false, second(70) + 200 + 30_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newLegBook()
			for _, e := range tt.events {
				b.take(e)
			}
			if got := Due(storyTimeouts, b.all()); got != call.Arrival(tt.due) {
				t.Errorf("due %d, want %d", got, tt.due)
			}
			partial := Compose(call.LegID{}, b.all(), 0, false)
			if open := partial.Disposition == call.DispositionInProgress; open != tt.open || partial.Ended.Known() == tt.open {
				t.Errorf("%v, ended %v, want open %v", partial.Disposition, partial.Ended, tt.open)
			}
			final := Compose(call.LegID{}, b.all(), 0, true)
			if timeout := final.CloseReason == call.ClosedTimeout; timeout != tt.open || final.EndLost != tt.open {
				t.Errorf("closed %v, end lost %v", final.CloseReason, final.EndLost)
			}
		})
	}
	t.Run("the end that is lost is the last evidence of life", func(t *testing.T) {
		s := session(t, true, events[:7]...)
		if s.Ended != instant(call.EvidenceTimeout, 40.2) || s.TalkMS.Known {
			t.Errorf("ended %v, talk %v", s.Ended, s.TalkMS)
		}
		if s.TransferCount != 0 || len(s.Transfers) != 1 || s.Transfers[0].ToLeg != nil || s.Transfers[0].Result != call.ResultUnknown {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
}

func TestWhatTellsThatTheOtherLegWentOn(t *testing.T) {
	twice := consultation()[5:7]
	for _, tt := range []struct {
		name   string
		others []*call.Event
		want   bool
	}{
		{"nothing", nil, true},
		{"a leg that ended before", []*call.Event{heard("X", call.EventCallEnded, 30, 0, "C", "A", "f1", "f2")}, true},
		{"a leg that started later and ended", []*call.Event{heard("X", call.EventCallEnded, 40, 21, "C", "B", "f1", "f3")}, false},
		{"a leg that ended later", []*call.Event{heard("X", call.EventCallEnded, 41, 0, "C", "B", "f1", "f3")}, false},
		{"the leg that was left, heard late", []*call.Event{heard("X", call.EventCallEnded, 41, 0, "C", "A", "f1", "f2")}, true},
		{"a call of the same party, and then one that goes on", []*call.Event{
			heard("X", call.EventCallEnded, 41, 0, "A", "C", "f1", "f2"), heard("Y", call.EventCallEnded, 42, 0, "B", "C", "f1", "f3"),
		}, false},
		{"a leg that started later and is open", []*call.Event{heard("X", call.EventCallAnswered, 41, 21, "C", "B", "f1", "f3")}, true},
		{"two others that ended", []*call.Event{
			heard("X", call.EventCallEnded, 30, 0, "C", "A", "f1", "f2"), heard("Y", call.EventCallEnded, 31, 0, "C", "B", "f1", "f3"),
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newLegBook()
			for _, e := range append(slices.Clone(tt.others), twice...) {
				b.take(e)
			}
			if got := pending(b.all()); got != tt.want {
				t.Errorf("pending %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAConsultationIsSeenWithoutItsSecondHangUp(t *testing.T) {
	events := slices.Delete(consultation(), 6, 7)
	s := session(t, true, events...)
	if len(s.Transfers) != 1 || s.Transfers[0].Type != call.TransferAttended || s.Transfers[0].Result != call.ResultCompleted || *s.Transfers[0].ToLeg != *id(call.Sonetel, "CB") {
		t.Errorf("transfers %+v", s.Transfers)
	}
	if legNamed(t, s, "AB").Role != call.RoleConsult || s.TalkMS != call.Some(35_000+29_900) {
		t.Errorf("A to B is %v, talk %v", legNamed(t, s, "AB").Role, s.TalkMS)
	}
	caller := []*call.Event{
		heard("CA", call.EventCallAnswered, 5, 0, "+15550100001", "A", "f1", "f2"), heard("CA", call.EventCallEnded, 40, 0, "+15550100001", "A", "f1", "f2"),
	}
	aside := []*call.Event{heard("AB", call.EventCallAnswered, 25, 20, "A", "B", "f2", "f3"), heard("AB", call.EventCallEnded, 40, 20, "A", "B", "f2", "f3")}
	onward := []*call.Event{heard("CB", call.EventCallEnded, 70, 40, "15550100001", "B", "f1", "f3")}
	for _, tt := range []struct {
		name   string
		events []*call.Event
		want   bool
	}{
		{"the story", slices.Concat(caller, aside, onward), true},
		{"nobody goes on with the caller", slices.Concat(caller, aside, []*call.Event{heard("AD", call.EventCallEnded, 70, 40, "A", "D", "f2", "f5")}), false},
		{"the caller had talked to B before", slices.Concat(caller, aside, []*call.Event{heard("CB", call.EventCallEnded, 30, 10, "15550100001", "B", "f1", "f3")}), false},
		{"it ended long before the call", slices.Concat(caller, onward,
			[]*call.Event{aside[0], heard("AB", call.EventCallEnded, 30, 20, "A", "B", "f2", "f3")}), false},
		{"it was made before the call", slices.Concat(caller, onward,
			[]*call.Event{heard("AB", call.EventCallAnswered, 25, -5, "A", "B", "f2", "f3"), heard("AB", call.EventCallEnded, 40, -5, "A", "B", "f2", "f3")}), false},
		{"nobody had answered the caller", slices.Concat(caller[1:], aside, onward), false},
		{"nobody was asked", slices.Concat(caller, aside[1:], onward), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, true, tt.events...)
			got := slices.ContainsFunc(s.Transfers, func(t call.Transfer) bool { return t.Type == call.TransferAttended })
			if got != tt.want || got && legNamed(t, s, "AB").Role != call.RoleConsult {
				t.Errorf("passed on after a consultation: %v, want %v; A to B is %v", got, tt.want, legNamed(t, s, "AB").Role)
			}
		})
	}
}

func TestAConsultationDoesNotSpeakForTheCall(t *testing.T) {
	events := consultation()
	events[5].HangupCause, events[6].HangupCause = call.CauseMediaTimeout, call.CauseMediaTimeout
	events[4].HangupCause, events[7].HangupCause = call.CauseTransferred, call.CauseNormal
	if s := session(t, true, events...); s.HangupCause != call.CauseNormal {
		t.Errorf("cause %v, want that of the leg that went on", s.HangupCause)
	}
	// Told late, the consultation's answer may be stamped before the caller's.
	events[1].Time.At, events[1].Answered.At = second(26), second(26)
	if s := session(t, true, events...); s.Answered != instant(call.EvidenceIngest, 26) {
		t.Errorf("answered %v, want the call's own", s.Answered)
	}
	// And where nothing is left of the caller's first leg, the consultation is
	// still not the origin.
	s := session(t, true, events[2], events[3], events[5], events[6], events[7])
	if legNamed(t, s, "AB").Role != call.RoleConsult || legNamed(t, s, "CB").Role != call.RoleOrigin || s.From.Raw != "15550100001" {
		t.Errorf("A to B is %v, C to B is %v, from %q", legNamed(t, s, "AB").Role, legNamed(t, s, "CB").Role, s.From.Raw)
	}
}

func TestOnlyAHangUpOfOtherContentTellsATransfer(t *testing.T) {
	for name, second := range map[string]*call.Event{
		"the same content from a second socket": heard("AB", call.EventCallEnded, 40.2, 20, "A", "B", "f2", "f3", claiming(15)),
		"a call that two users missed":          heard("AB", call.EventCallMissed, 40.2, 20, "A", "C", "f2", "f3"),
	} {
		b := newLegBook()
		for _, e := range append(slices.Clone(consultation()[:6]), second) {
			b.take(e)
		}
		if pending(b.all()) {
			t.Errorf("%s: taken for a transfer", name)
		}
	}
}

func TestBlindTransferContinuesTheFlow(t *testing.T) {
	first := []*call.Event{
		heard("CA", call.EventCallInitiated, 0.2, 0, "+15550100001", "A", "f1", "f2"),
		heard("CA", call.EventCallAnswered, 5, 0, "+15550100001", "A", "f1", "f2"),
		heard("CA", call.EventCallEnded, 40, 0, "+15550100001", "A", "f1", "f2"),
	}
	onward := []*call.Event{
		heard("CB", call.EventCallInitiated, 40.2, 40, "15550100001", "B", "f1", "f3"),
		heard("CB", call.EventCallAnswered, 45, 40, "15550100001", "B", "f1", "f3"),
		heard("CB", call.EventCallEnded, 60, 40, "15550100001", "B", "f1", "f3"),
	}
	t.Run("answered", func(t *testing.T) {
		s := session(t, true, append(first, onward...)...)
		if len(s.Transfers) != 1 || s.Transfers[0].Type != call.TransferBlind || !s.Transfers[0].Inferred || s.Transfers[0].Result != call.ResultCompleted {
			t.Fatalf("transfers %+v", s.Transfers)
		}
		if s.TalkMS != call.Some(35_000+15_000) || s.TransferCount != 1 {
			t.Errorf("talk %v, %d transfers", s.TalkMS, s.TransferCount)
		}
	})
	t.Run("not answered", func(t *testing.T) {
		s := session(t, true, append(slices.Clone(first), onward[0], onward[2])...)
		if len(s.Transfers) != 1 || s.Transfers[0].Result != call.ResultFailed || s.TransferCount != 0 {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
	t.Run("hunting is no transfer: nobody had answered", func(t *testing.T) {
		s := session(t, true, append([]*call.Event{first[0], first[2]}, onward...)...)
		if len(s.Transfers) != 0 {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
	t.Run("another caller in the flow is no transfer", func(t *testing.T) {
		other := heard("DB", call.EventCallInitiated, 40.2, 40, "D", "B", "f4", "f2")
		if s := session(t, true, append(slices.Clone(first), other)...); len(s.Transfers) != 0 {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
	t.Run("a call to the same caller outside the flow is no transfer", func(t *testing.T) {
		other := heard("CB", call.EventCallAnswered, 45, 40, "15550100001", "B", "f9", "f3")
		if s := session(t, true, append(slices.Clone(first), other)...); len(s.Transfers) != 0 {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
	t.Run("users who rang together are no transfer", func(t *testing.T) {
		other := []*call.Event{
			heard("CB", call.EventCallInitiated, 1.2, 1, "+15550100001", "B", "f1", "f3"),
			heard("CB", call.EventCallEnded, 5, 1, "+15550100001", "B", "f1", "f3"),
		}
		if s := session(t, true, append(slices.Clone(first), other...)...); len(s.Transfers) != 0 {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
	t.Run("nor users whose telephones began to ring in one second", func(t *testing.T) {
		other := heard("CB", call.EventCallEnded, 40.5, 0, "+15550100001", "B", "f1", "f3")
		if s := session(t, true, append(slices.Clone(first), other)...); len(s.Transfers) != 0 {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
	t.Run("nor one whose telephone began to ring in the second in which the other was answered", func(t *testing.T) {
		other := []*call.Event{
			heard("CB", call.EventCallInitiated, 5.1, 5, "+15550100001", "B", "f1", "f3"),
			heard("CB", call.EventCallEnded, 5.8, 5, "+15550100001", "B", "f1", "f3"),
		}
		if s := session(t, true, append(slices.Clone(first), other...)...); len(s.Transfers) != 0 {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
	t.Run("of an outbound call the callee is passed on", func(t *testing.T) {
		out := directed(call.DirectionOutbound)
		s := session(t, true,
			heard("AC", call.EventCallAnswered, 5, 0, "A", "+15550100001", "f1", "f2", out), heard("AC", call.EventCallEnded, 40, 0, "A", "+15550100001", "f1", "f2", out),
			heard("CB", call.EventCallAnswered, 45, 40, "+15550100001", "B", "f2", "f3"), heard("CB", call.EventCallEnded, 60, 40, "+15550100001", "B", "f2", "f3"))
		if len(s.Transfers) != 1 || s.Transfers[0].Transferor != "A" || s.TransferCount != 1 {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
	t.Run("an explicit event confirms it", func(t *testing.T) {
		told := heard("CA", call.EventTransferCompleted, 39.9, 0, "+15550100001", "A", "f1", "f2")
		s := session(t, true, append(append(slices.Clone(first), onward...), told)...)
		if len(s.Transfers) != 1 || s.Transfers[0].Inferred {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
}

func TestTransfersInsideOneCallID(t *testing.T) {
	rung := func(typ call.EventType, s float64, agent string) *call.Event {
		return happened(call.Stringee, "c", typ, s, directed(call.DirectionInbound), func(e *call.Event) {
			e.From, e.To = call.Party{Raw: "84900000001"}, call.Party{Raw: agent, Kind: call.PartyUser}
		})
	}
	end := happened(call.Stringee, "c", call.EventCallEnded, 60)
	for _, tt := range []struct {
		name   string
		events []*call.Event
		want   []call.TransferResult
		people int32
	}{
		{"two agents rung, one answers", []*call.Event{rung(call.EventCallRinging, 1, "x"), rung(call.EventCallRinging, 2, "y"), rung(call.EventCallAnswered, 5, "x"), end}, nil, 2},
		{
			"passed on and answered",
			[]*call.Event{rung(call.EventCallAnswered, 5, "x"), rung(call.EventCallRinging, 20, "y"), rung(call.EventCallAnswered, 22, "y"), end},
			[]call.TransferResult{call.ResultCompleted},
			3,
		},
		{
			"passed on, not answered",
			[]*call.Event{rung(call.EventCallAnswered, 5, "x"), rung(call.EventCallRinging, 20, "y"), end},
			[]call.TransferResult{call.ResultFailed},
			2,
		},
		{
			"passed on, still ringing",
			[]*call.Event{rung(call.EventCallAnswered, 5, "x"), rung(call.EventCallRinging, 20, "y")},
			[]call.TransferResult{call.ResultUnknown},
			2,
		},
		{
			"passed on to a group: one transfer",
			[]*call.Event{rung(call.EventCallAnswered, 5, "x"), rung(call.EventCallRinging, 20, "y"), rung(call.EventCallRinging, 24, "z"), rung(call.EventCallAnswered, 25, "z"), end},
			[]call.TransferResult{call.ResultCompleted},
			3,
		},
		{
			"passed on twice",
			[]*call.Event{rung(call.EventCallAnswered, 5, "x"), rung(call.EventCallAnswered, 22, "y"), rung(call.EventCallAnswered, 40, "z"), end},
			[]call.TransferResult{call.ResultCompleted, call.ResultCompleted},
			4,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, len(tt.events) > 0 && tt.events[len(tt.events)-1] == end, tt.events...)
			var got []call.TransferResult
			for _, tr := range s.Transfers {
				got = append(got, tr.Result)
				if tr.Type != call.TransferBlind || !tr.Inferred {
					t.Errorf("transfer %+v", tr)
				}
			}
			if !slices.Equal(got, tt.want) || s.ParticipantCount != tt.people {
				t.Errorf("%v, %d participants, want %v and %d", got, s.ParticipantCount, tt.want, tt.people)
			}
		})
	}
	t.Run("the customer whom an agent calls is no transfer", func(t *testing.T) {
		out := func(e *call.Event) { e.Direction = call.DirectionOutbound }
		s := session(t, true, happened(call.Stringee, "c", call.EventCallAnswered, 5, called("84900000001", "agent"), out, func(e *call.Event) { e.To.Kind = call.PartyUser }),
			happened(call.Stringee, "c", call.EventCallRinging, 8, called("84900000001", "84900000002"), out),
			happened(call.Stringee, "c", call.EventCallAnswered, 12, called("84900000001", "84900000002"), out), end)
		if len(s.Transfers) != 0 {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
}

// dials makes two dials of one Bandwidth caller, answered or not.
func dials(firstAnswered bool) []*call.Event {
	events := []*call.Event{
		happened(call.Bandwidth, "A", call.EventCallInitiated, 0, called("+15550100001", "+15550100002"), directed(call.DirectionInbound)),
		happened(call.Bandwidth, "B", call.EventCallInitiated, 2, called("+15550100002", "+15550100003"), directed(call.DirectionOutbound), under("A")),
		happened(call.Bandwidth, "B", call.EventCallEnded, 20, under("A"), because(call.CauseNoAnswer, 0)),
		happened(call.Bandwidth, "C", call.EventCallInitiated, 21, called("+15550100002", "+15550100004"), directed(call.DirectionOutbound), under("A")),
		happened(call.Bandwidth, "C", call.EventCallAnswered, 25, under("A")),
		happened(call.Bandwidth, "C", call.EventCallEnded, 50, under("A"), because(call.CauseNormal, 0)),
		happened(call.Bandwidth, "A", call.EventCallEnded, 51, because(call.CauseNormal, 0), func(e *call.Event) { e.Answered = instant(call.EvidenceReported, 1) }),
	}
	if firstAnswered {
		events = append(events, happened(call.Bandwidth, "B", call.EventCallAnswered, 5, under("A")))
	}
	return events
}

func TestADialIsNoTransferUnlessThePartyBeforeHadAnswered(t *testing.T) {
	overlapping := dials(true)
	overlapping[2] = happened(call.Bandwidth, "B", call.EventCallEnded, 22, under("A"), because(call.CauseNormal, 0))
	if s := session(t, true, overlapping...); len(s.Transfers) != 0 {
		t.Errorf("dials that overlap: transfers %+v", s.Transfers)
	}
	if s := session(t, true, dials(false)...); len(s.Transfers) != 0 || s.TalkMS != call.Some(25_000) {
		t.Errorf("transfers %+v, talk %v", s.Transfers, s.TalkMS)
	}
	s := session(t, true, dials(true)...)
	want := []call.Transfer{{
		At: second(21), Type: call.TransferBlind, FromLeg: id(call.Bandwidth, "B"), ToLeg: id(call.Bandwidth, "C"),
		Transferor: "+15550100003", Result: call.ResultCompleted, Inferred: true,
	}}
	if d := cmp.Diff(want, s.Transfers); d != "" {
		t.Errorf("transfers (-want +got):\n%s", d)
	}
	if s.TalkMS != call.Some(15_000+25_000) || legNamed(t, s, "C").Role != call.RoleTransferTarget {
		t.Errorf("talk %v, C is %v", s.TalkMS, legNamed(t, s, "C").Role)
	}
}

func TestTransfersThatACauseNames(t *testing.T) {
	events := answeredDial()
	events[5] = happened(call.Opentact, "B", call.EventCallEnded, 30, under("A"), because(call.CauseTransferred, 0), func(e *call.Event) {
		e.ProviderCause, e.HangupParty = "BLIND_TRANSFER", call.HangupByTransfer
	})
	onward := []*call.Event{
		happened(call.Opentact, "C", call.EventCallInitiated, 29.9, called("15550100001", "other"), directed(call.DirectionOutbound), under("A")),
		happened(call.Opentact, "C", call.EventCallAnswered, 30.5, under("A")),
		happened(call.Opentact, "C", call.EventCallEnded, 30.9, under("A"), because(call.CauseNormal, 16), func(e *call.Event) { e.HangupParty = call.HangupByCaller }),
	}
	t.Run("with the leg that goes on", func(t *testing.T) {
		s := session(t, true, append(slices.Clone(events), onward...)...)
		want := []call.Transfer{{
			At: second(30), Type: call.TransferBlind, FromLeg: id(call.Opentact, "B"), ToLeg: id(call.Opentact, "C"),
			Transferor: "user", Result: call.ResultCompleted,
		}}
		if d := cmp.Diff(want, s.Transfers); d != "" {
			t.Errorf("transfers (-want +got):\n%s", d)
		}
		if s.HangupCause != call.CauseNormal || s.HangupParty != call.HangupByCaller {
			t.Errorf("ended by %v because of %v: the transferred leg did not end the call", s.HangupParty, s.HangupCause)
		}
	})
	t.Run("a leg taken out of the media's path is not transferred", func(t *testing.T) {
		bowed := slices.Clone(events)
		bowed[5] = happened(call.Opentact, "B", call.EventCallEnded, 30, under("A"), because(call.CauseTransferred, 0), func(e *call.Event) { e.ProviderCause = "BOWOUT" })
		if s := session(t, true, bowed...); len(s.Transfers) != 0 {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
	t.Run("without it", func(t *testing.T) {
		s := session(t, true, events...)
		if len(s.Transfers) != 1 || s.Transfers[0].ToLeg != nil || s.Transfers[0].Inferred || s.Transfers[0].Result != call.ResultUnknown || s.TransferCount != 0 {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
	t.Run("to somebody who does not answer", func(t *testing.T) {
		s := session(t, true, append(slices.Clone(events), onward[0], onward[2])...)
		if len(s.Transfers) != 1 || s.Transfers[0].Result != call.ResultFailed || s.TransferCount != 0 {
			t.Errorf("transfers %+v", s.Transfers)
		}
	})
}

// Two dials of one call are stamped by different hosts, so the second may seem to begin
// a little before the first has ended. Dials that were made at once are none.
func TestARedialMayOverlapByAsMuchAsHostsDiffer(t *testing.T) {
	dial := func(callID string, started, answered, ended float64) *call.Event {
		return happened(call.Bandwidth, callID, call.EventCallEnded, ended, called("+15550100001", callID), directed(call.DirectionOutbound), under("A"),
			because(call.CauseNormal, 0), func(e *call.Event) {
				e.Started, e.Answered, e.Ended = instant(call.EvidenceReported, started), instant(call.EvidenceReported, answered), instant(call.EvidenceReported, ended)
			})
	}
	for _, tt := range []struct {
		name  string
		first *call.Event
		again float64 // when the second dial begins
		want  int32
	}{
		{"after the first has ended", dial("B", 1, 8, 40), 40.5, 1},
		{"120 ms before", dial("B", 1, 8, 40), 39.88, 1},
		{"250 ms before", dial("B", 1, 8, 40), 39.75, 1},
		{"251 ms before", dial("B", 1, 8, 40), 39.749, 0},
		{"at once", dial("B", 1, 8, 40), 1, 0},
		{"at once, and the first is over at once", dial("B", 1, 1.1, 1.2), 1.05, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, true, tt.first, dial("C", tt.again, tt.again+8, tt.again+30))
			if s.TransferCount != tt.want {
				t.Errorf("%d transfers, want %d", s.TransferCount, tt.want)
			}
		})
	}
}
