package session

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"callstitch/processor/call"
	"callstitch/processor/call/calltest"
)

// The Opentact documentation's example: a caller reaches a control application,
// which dials a user who is not there, and the caller leaves a message.
func dialHangup() *call.Event {
	return happened(call.Opentact, "B", call.EventCallEnded, 2.227, called("15550100001", "user"), directed(call.DirectionOutbound),
		under("A"), because(call.CauseNoAnswer, 18), claiming(1), func(e *call.Event) {
			e.Started = instant(call.EvidenceReported, 2)
			e.Snapshot = &call.LegSnapshot{
				CallID: "A", Direction: call.DirectionInbound,
				From: call.Party{Raw: "+15550100001", E164: "+15550100001", Kind: call.PartyPSTN}, To: call.Party{Raw: "15550100002"},
				Started: instant(call.EvidenceSnapshot, 0), Ringing: instant(call.EvidenceSnapshot, 0.016),
				Answered: instant(call.EvidenceSnapshot, 1.341), Alive: instant(call.EvidenceSnapshot, 1.341),
			}
		})
}

func callerDestroyed(voicemail bool) *call.Event {
	return happened(call.Opentact, "A", call.EventCallDestroyed, 9.857, called("+15550100001", "15550100002"), directed(call.DirectionInbound),
		because(call.CauseNormal, 16), claiming(10), func(e *call.Event) {
			e.Started = instant(call.EvidenceReported, 0)
			e.Ended = instant(call.EvidenceEvent, 9.857)
			e.Voicemail = voicemail
		})
}

func TestADialThatFailedAloneIsAPartialSessionOfTwoLegs(t *testing.T) {
	s := session(t, false, dialHangup())
	if s.LegCount != 2 || s.Disposition != call.DispositionInProgress || s.Ended.Known() || !s.StartLost {
		t.Errorf("%d legs, %v, ended %v, start lost %v", s.LegCount, s.Disposition, s.Ended.Known(), s.StartLost)
	}
	if s.Started != instant(call.EvidenceSnapshot, 0) || s.PlatformAnswered != instant(call.EvidenceSnapshot, 1.341) || s.Answered.Known() {
		t.Errorf("started %v, platform answered %v, answered %v", s.Started, s.PlatformAnswered, s.Answered)
	}
	parent, child := legNamed(t, s, "A"), legNamed(t, s, "B")
	if parent.Answered.Src != call.EvidenceSnapshot || parent.Role != call.RoleOrigin {
		t.Errorf("parent answered %v, role %v", parent.Answered, parent.Role)
	}
	if child.Disposition != call.DispositionNoAnswer || *child.ParentLeg != parent.ID || child.Role != call.RoleDestination {
		t.Errorf("child %v under %v, role %v", child.Disposition, child.ParentLeg, child.Role)
	}
	if !slices.Equal(s.CorrelationMethods, []call.LinkKind{call.LinkParent}) {
		t.Errorf("joined by %v", s.CorrelationMethods)
	}
	if s.From.Raw != "+15550100001" || s.To.Raw != "15550100002" || s.Direction != call.DirectionInbound {
		t.Errorf("%v from %q to %q, want the origin's", s.Direction, s.From.Raw, s.To.Raw)
	}
}

func TestAMessageTakenIsVoicemailAndWithoutItTheDialsOutcome(t *testing.T) {
	for _, tt := range []struct {
		name      string
		voicemail bool
		want      call.Disposition
	}{
		{"the platform recorded a message", true, call.DispositionVoicemail},
		{"it did not", false, call.DispositionNoAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, true, callerDestroyed(tt.voicemail), dialHangup())
			if s.Disposition != tt.want || s.AnsweredBy != call.AnswererSystem || s.Answered.Known() || !s.PlatformAnswered.Known() {
				t.Errorf("%v by %v, answered %v, platform %v", s.Disposition, s.AnsweredBy, s.Answered, s.PlatformAnswered)
			}
			if s.HangupCause != call.CauseNoAnswer || s.Q850 != (call.Code{N: 18, Src: call.CodeReported}) {
				t.Errorf("cause %v, Q.850 %v: want the dial's", s.HangupCause, s.Q850)
			}
			if s.CloseReason != call.ClosedNormal || s.EndLost || s.StartLost || !s.InterimLost {
				t.Errorf("%v, end lost %v, start lost %v, interim lost %v", s.CloseReason, s.EndLost, s.StartLost, s.InterimLost)
			}
			if s.TalkMS != call.Some(0) || s.TotalMS != call.Some(9857) || s.RingMS.Known {
				t.Errorf("talk %v, total %v, ring %v", s.TalkMS, s.TotalMS, s.RingMS)
			}
			if s.ProviderDuration != call.Some(10) || s.DurationMismatchMS != call.Some(-143) || s.Flags.Has(call.FlagDurationMismatch) {
				t.Errorf("claim %v, mismatch %v, flags %v", s.ProviderDuration, s.DurationMismatchMS, s.Flags.Words())
			}
			if a := legNamed(t, s, "A"); a.Disposition != tt.want {
				t.Errorf("caller's leg %v, want the session's %v", a.Disposition, tt.want)
			}
			if s.AnsweredLegCount != 1 || s.ParticipantCount != 1 {
				t.Errorf("%d answered legs, %d participants", s.AnsweredLegCount, s.ParticipantCount)
			}
		})
	}
}

func TestAPersonsAnswerIsNotThePlatforms(t *testing.T) {
	s := session(t, true, answeredDial()...)
	if s.Disposition != call.DispositionAnswered || s.Answered != instant(call.EvidenceReported, 8) || s.PlatformAnswered != instant(call.EvidenceReported, 1) {
		t.Errorf("%v, answered %v, platform answered %v", s.Disposition, s.Answered, s.PlatformAnswered)
	}
	if s.RingMS != call.Some(5000) || s.TalkMS != call.Some(22000) || s.TotalMS != call.Some(31000) || s.LegTalkMSSum != call.Some(52000) {
		t.Errorf("ring %v, talk %v, total %v, legs %v", s.RingMS, s.TalkMS, s.TotalMS, s.LegTalkMSSum)
	}
	if s.HangupParty != call.HangupByCallee {
		t.Errorf("hung up by %v, want the leg that ended first", s.HangupParty)
	}
	if !s.Complete || s.ParticipantCount != 2 || s.AnsweredLegCount != 2 || s.TransferCount != 0 || len(s.Transfers) != 0 {
		t.Errorf("complete %v, %d participants, %d answered, transfers %v", s.Complete, s.ParticipantCount, s.AnsweredLegCount, s.Transfers)
	}
	if s.QueueMS.Known || s.HoldMS.Known {
		t.Errorf("queue %v, hold %v: neither was seen", s.QueueMS, s.HoldMS)
	}
	if !slices.IsSortedFunc(s.Timeline, compareTimeline) || len(s.Timeline) != 7 {
		t.Errorf("timeline %v", s.Timeline)
	}
}

func TestTimeoutsEndAtTheLastEvidenceOfLife(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []*call.Event
		want   call.Disposition
		end    float64
	}{
		{"answered", answeredDial()[:5], call.DispositionAnswered, 8},
		{"ringing", answeredDial()[:4], call.DispositionNoAnswer, 3},
		{"set up only", answeredDial()[2:3], call.DispositionUnknown, 2},
		{"a recording that comes later proves no life", append(answeredDial()[:4],
			happened(call.Opentact, "A", call.EventRecordingAvailable, 90)), call.DispositionNoAnswer, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, true, tt.events...)
			if s.CloseReason != call.ClosedTimeout || !s.EndLost || s.Complete {
				t.Errorf("%v, end lost %v, complete %v", s.CloseReason, s.EndLost, s.Complete)
			}
			if s.Disposition != tt.want {
				t.Errorf("disposition %v, want %v", s.Disposition, tt.want)
			}
			if s.Ended != instant(call.EvidenceTimeout, tt.end) {
				t.Errorf("ended %v, want the second %v", s.Ended, tt.end)
			}
			if i := slices.IndexFunc(s.Legs, func(l call.LegSummary) bool { return l.Ended.Src != call.EvidenceTimeout }); i >= 0 {
				t.Errorf("leg %d ended %v", i, s.Legs[i].Ended)
			}
			if s.TalkMS.Known || s.TotalMS.Known || !s.Flags.Has(call.FlagTimesInferred) {
				t.Errorf("talk %v, total %v, flags %v: no duration may be invented", s.TalkMS, s.TotalMS, s.Flags.Words())
			}
		})
	}
}

func TestStringee(t *testing.T) {
	busy := func(e *call.Event) {
		e.SIPStatus = call.Code{N: 486, Src: call.CodeReported}
		e.Q850 = call.Code{N: 17, Src: call.CodeMapped}
		e.HangupCause = call.CauseBusy
	}
	t.Run("busy", func(t *testing.T) {
		s := session(t, true,
			happened(call.Stringee, "c", call.EventCallInitiated, 0, called("84900000001", "84900000002")),
			happened(call.Stringee, "c", call.EventCallRinging, 2), happened(call.Stringee, "c", call.EventCallEnded, 9, busy, claiming(9)))
		if s.Disposition != call.DispositionBusy || s.SIPStatus.N != 486 || s.Q850.Src != call.CodeMapped || s.RingMS != call.Some(7000) || s.TalkMS != call.Some(0) {
			t.Errorf("%v, SIP %v, Q.850 %v, ring %v, talk %v", s.Disposition, s.SIPStatus, s.Q850, s.RingMS, s.TalkMS)
		}
		if !slices.Equal(s.CorrelationMethods, []call.LinkKind{call.LinkSameID}) {
			t.Errorf("joined by %v", s.CorrelationMethods)
		}
	})
	t.Run("only the end was seen", func(t *testing.T) {
		s := session(t, true, happened(call.Stringee, "c", call.EventCallEnded, 20, claiming(20), because(call.CauseNormal, 0), func(e *call.Event) {
			e.Started = call.Instant{At: second(0), Src: call.EvidenceDerived, Precision: 1000}
			e.Answered = call.Instant{At: second(5), Src: call.EvidenceDerived, Precision: 1000}
		}))
		if s.Disposition != call.DispositionAnswered || s.Answered.Src != call.EvidenceDerived || !s.StartLost || !s.InterimLost || s.Complete {
			t.Errorf("%v, answered %v, start lost %v, interim lost %v", s.Disposition, s.Answered, s.StartLost, s.InterimLost)
		}
		if !s.Flags.Has(call.FlagTimesInferred) {
			t.Errorf("flags %v", s.Flags.Words())
		}
	})
	t.Run("an agent rejects and the next one answers", func(t *testing.T) {
		s := session(t, true,
			happened(call.Stringee, "c", call.EventCallRinging, 1, called("1", "agent1")),
			happened(call.Stringee, "c", call.EventChannelEnded, 3, called("1", "agent1"), func(e *call.Event) { e.AgentLeft = true }),
			happened(call.Stringee, "c", call.EventCallRinging, 4, called("1", "agent2")),
			happened(call.Stringee, "c", call.EventCallAnswered, 6, called("1", "agent2")),
			happened(call.Stringee, "c", call.EventCallEnded, 16, because(call.CauseNormal, 0)))
		if s.Disposition != call.DispositionAnswered || s.TransferCount != 0 || s.TalkMS != call.Some(10000) {
			t.Errorf("%v, %d transfers, talk %v", s.Disposition, s.TransferCount, s.TalkMS)
		}
	})
	t.Run("the only agent leaves while it rings", func(t *testing.T) {
		s := session(t, true,
			happened(call.Stringee, "c", call.EventCallRinging, 1, called("1", "agent1")),
			happened(call.Stringee, "c", call.EventChannelEnded, 3, func(e *call.Event) { e.AgentLeft = true }),
			happened(call.Stringee, "c", call.EventCallEnded, 4))
		if s.Disposition != call.DispositionRejected {
			t.Errorf("%v", s.Disposition)
		}
	})
	t.Run("an IVR answers and passes on to an agent", func(t *testing.T) {
		agent := func(e *call.Event) { e.To = call.Party{Raw: "agent1", Kind: call.PartyUser} }
		s := session(t, true,
			happened(call.Stringee, "c", call.EventCallInitiated, 0, called("84900000001", "84900000002"), directed(call.DirectionInbound)),
			happened(call.Stringee, "c", call.EventCallAnswered, 1, called("84900000001", "84900000002")),
			happened(call.Stringee, "c", call.EventCallRinging, 10, agent), happened(call.Stringee, "c", call.EventCallAnswered, 15, agent),
			happened(call.Stringee, "c", call.EventCallEnded, 40, because(call.CauseNormal, 0), func(e *call.Event) { e.PlatformAnswer = true }))
		if s.Disposition != call.DispositionAnswered || s.PlatformAnswered != instant(call.EvidenceReported, 1) || s.Answered != instant(call.EvidenceEvent, 15) {
			t.Errorf("%v, platform answered %v, answered %v", s.Disposition, s.PlatformAnswered, s.Answered)
		}
		if s.TalkMS != call.Some(25_000) || s.TransferCount != 0 {
			t.Errorf("talk %v, %d transfers", s.TalkMS, s.TransferCount)
		}
	})
	t.Run("an IVR answers", func(t *testing.T) {
		s := session(t, true,
			happened(call.Stringee, "c", call.EventCallInitiated, 0, called("1", "2"), directed(call.DirectionInbound)),
			happened(call.Stringee, "c", call.EventCallAnswered, 1, func(e *call.Event) { e.To = call.Party{Raw: "2", Kind: call.PartyUser} }),
			happened(call.Stringee, "c", call.EventCallEnded, 9, because(call.CauseNormal, 0), func(e *call.Event) { e.PlatformAnswer = true }))
		if s.Disposition != call.DispositionNoAnswer || s.AnsweredBy != call.AnswererSystem || s.PlatformAnswered != instant(call.EvidenceReported, 1) || s.TalkMS != call.Some(0) {
			t.Errorf("%v by %v, platform answered %v, talk %v", s.Disposition, s.AnsweredBy, s.PlatformAnswered, s.TalkMS)
		}
	})
}

// A caller whom nobody answered, as captured from Bandwidth: the legs share no
// key unless the application set a tag, and the caller leaves a message.
func unansweredCaller(tag bool) []*call.Event {
	link := func(e *call.Event) {
		if tag {
			e.Links = []call.Link{{Kind: call.LinkTag, Value: "order 7"}}
		}
	}
	return []*call.Event{
		happened(call.Bandwidth, "A", call.EventCallInitiated, 0, called("+15550100001", "+15550100002"), directed(call.DirectionInbound), link),
		happened(call.Bandwidth, "B", call.EventCallEnded, 23, called("+15550100001", "+15550100003"), directed(call.DirectionOutbound), link,
			because(call.CauseNoAnswer, 0), func(e *call.Event) { e.Started = instant(call.EvidenceReported, 1.5) }),
		happened(call.Bandwidth, "A", call.EventCallEnded, 38, link, because(call.CauseNormal, 0), func(e *call.Event) { e.Answered = instant(call.EvidenceReported, 3.5) }),
		happened(call.Bandwidth, "A", call.EventTranscriptionAvailable, 99, link, func(e *call.Event) {
			e.Recording = call.RecordingFact{ID: "r-1", StartedAt: second(34), DurationMS: call.Some(3500), Transcribed: true}
		}),
	}
}

func TestBandwidthCallerWithoutALinkToTheDial(t *testing.T) {
	events := unansweredCaller(false)
	s := session(t, true, events[0], events[2], events[3])
	if s.Disposition != call.DispositionVoicemail || s.AnsweredBy != call.AnswererSystem || s.Answered.Known() {
		t.Errorf("%v by %v, answered %v", s.Disposition, s.AnsweredBy, s.Answered)
	}
	if s.Ended != instant(call.EvidenceReported, 38) || s.Started != instant(call.EvidenceReported, 0) {
		t.Errorf("%v to %v: the recording must not move the call", s.Started, s.Ended)
	}
	if len(s.Recordings) != 1 || s.Recordings[0].StartedAt != second(34) || !s.Recordings[0].Transcribed {
		t.Errorf("recordings %+v", s.Recordings)
	}
	if dial := session(t, true, events[1]); dial.Disposition != call.DispositionNoAnswer || !slices.Equal(dial.CorrelationMethods, nil) {
		t.Errorf("the dial alone: %v, joined by %v", dial.Disposition, dial.CorrelationMethods)
	}
}

func TestBandwidthPlatformThatAnsweredAndDialledNobody(t *testing.T) {
	events := unansweredCaller(false)
	if s := session(t, true, events[0], events[2]); s.Disposition != call.DispositionNoAnswer || s.AnsweredBy != call.AnswererSystem {
		t.Errorf("%v by %v", s.Disposition, s.AnsweredBy)
	}
}

func TestBandwidthCallerLinkedByTag(t *testing.T) {
	s := session(t, true, unansweredCaller(true)...)
	if s.LegCount != 2 || s.Disposition != call.DispositionVoicemail || s.HangupCause != call.CauseNoAnswer {
		t.Errorf("%d legs, %v because of %v", s.LegCount, s.Disposition, s.HangupCause)
	}
	if !slices.Equal(s.CorrelationMethods, []call.LinkKind{call.LinkTag}) {
		t.Errorf("joined by %v", s.CorrelationMethods)
	}
}

func TestSimultaneousRing(t *testing.T) {
	dial := func(id string, cause call.HangupCause, q850 int32) []*call.Event {
		return []*call.Event{
			happened(call.Bandwidth, id, call.EventCallInitiated, 2, called("+15550100002", "+155501001"+id), directed(call.DirectionOutbound), under("A")),
			happened(call.Bandwidth, id, call.EventCallEnded, 10, under("A"), because(cause, q850)),
		}
	}
	caller := []*call.Event{
		happened(call.Bandwidth, "A", call.EventCallInitiated, 0, called("+15550100001", "+15550100002"), directed(call.DirectionInbound)),
		happened(call.Bandwidth, "A", call.EventCallEnded, 12, because(call.CauseNormal, 0)),
	}
	for _, tt := range []struct {
		name  string
		dials [][]*call.Event
		want  call.Disposition
		cause call.HangupCause
	}{
		{"busy beats everything", [][]*call.Event{dial("10", call.CauseNoAnswer, 0), dial("11", call.CauseBusy, 0), dial("12", call.CauseRejected, 0)}, call.DispositionBusy, call.CauseBusy},
		{"rejected beats no answer", [][]*call.Event{dial("10", call.CauseNoAnswer, 0), dial("12", call.CauseRejected, 0)}, call.DispositionRejected, call.CauseRejected},
		{"no answer beats canceled", [][]*call.Event{dial("10", call.CauseCanceled, 0), dial("12", call.CauseNoAnswer, 0)}, call.DispositionNoAnswer, call.CauseNoAnswer},
		{"canceled beats failed", [][]*call.Event{dial("10", call.CauseInvalidNumber, 0), dial("12", call.CauseCanceled, 0)}, call.DispositionCanceled, call.CauseCanceled},
		{"answered elsewhere says nothing", [][]*call.Event{dial("10", call.CauseCanceled, 26), dial("12", call.CauseCongestion, 0)}, call.DispositionFailed, call.CauseCongestion},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, true, slices.Concat(append(tt.dials, caller)...)...)
			if s.Disposition != tt.want || s.HangupCause != tt.cause {
				t.Errorf("%v because of %v, want %v because of %v", s.Disposition, s.HangupCause, tt.want, tt.cause)
			}
		})
	}
}

func TestFailureOfALegThatNobodyAnswered(t *testing.T) {
	for _, tt := range []struct {
		name  string
		types []call.EventType
		cause call.HangupCause
		want  call.Disposition
	}{
		{"busy", []call.EventType{call.EventCallEnded}, call.CauseBusy, call.DispositionBusy},
		{"normal end: the caller gave up", []call.EventType{call.EventCallRinging, call.EventCallEnded}, call.CauseNormal, call.DispositionCanceled},
		{"unreachable", []call.EventType{call.EventCallEnded}, call.CauseUnreachable, call.DispositionNoAnswer},
		{"max duration", []call.EventType{call.EventCallEnded}, call.CauseMaxDuration, call.DispositionNoAnswer},
		{"invalid number", []call.EventType{call.EventCallEnded}, call.CauseInvalidNumber, call.DispositionFailed},
		{"media timeout", []call.EventType{call.EventCallEnded}, call.CauseMediaTimeout, call.DispositionFailed},
		{"an unknown cause after ringing", []call.EventType{call.EventCallRinging, call.EventCallEnded}, call.CauseUnknown, call.DispositionNoAnswer},
		{"an unknown cause without", []call.EventType{call.EventCallEnded}, call.CauseUnknown, call.DispositionUnknown},
		{"no cause, set-up seen", []call.EventType{call.EventCallInitiated, call.EventCallEnded}, call.NoCause, call.DispositionNoAnswer},
		{"no cause, only the end seen", []call.EventType{call.EventCallEnded}, call.NoCause, call.DispositionUnknown},
		{"missed", []call.EventType{call.EventCallMissed}, call.NoCause, call.DispositionNoAnswer},
		{"ended by a transfer", []call.EventType{call.EventCallEnded}, call.CauseTransferred, call.DispositionUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var events []*call.Event
			for i, typ := range tt.types {
				e := happened(call.Sonetel, "c", typ, float64(i), called("1", "2"))
				if typ.Terminal() {
					e.HangupCause = tt.cause
				}
				events = append(events, e)
			}
			if s := session(t, true, events...); s.Disposition != tt.want {
				t.Errorf("%v, want %v", s.Disposition, tt.want)
			}
		})
	}
}

func TestAChannelThatEndsIsNoRejection(t *testing.T) {
	s := session(t, true,
		happened(call.Sonetel, "c", call.EventCallInitiated, 0, called("1", "2")),
		happened(call.Sonetel, "c", call.EventChannelEnded, 5, func(e *call.Event) { e.AgentLeft = true }),
		happened(call.Sonetel, "c", call.EventCallEnded, 6))
	if s.Disposition != call.DispositionNoAnswer {
		t.Errorf("%v", s.Disposition)
	}
}

func TestOfTwoEndsAtOneMomentTheDialsExplains(t *testing.T) {
	events := answeredDial()
	events[6] = happened(call.Opentact, "A", call.EventCallEnded, 30, because(call.CauseMediaTimeout, 0))
	if s := session(t, true, events...); s.HangupCause != call.CauseNormal || s.HangupParty != call.HangupByCallee {
		t.Errorf("ended by %v because of %v", s.HangupParty, s.HangupCause)
	}
}

func TestAPartyIsOneWithAndWithoutItsPlus(t *testing.T) {
	events := append(dials(true)[:6], dials(true)[6:]...)
	events[3].To = call.Party{Raw: "15550100003"}
	if s := session(t, true, events...); s.ParticipantCount != 2 {
		t.Errorf("%d participants", s.ParticipantCount)
	}
}

func TestAMachinesAnswerIsNoPersons(t *testing.T) {
	s := session(t, true,
		happened(call.Bandwidth, "c", call.EventCallInitiated, 0, called("+15550100001", "+15550100002"), directed(call.DirectionOutbound)),
		happened(call.Bandwidth, "c", call.EventCallAnswered, 4),
		happened(call.Bandwidth, "c", call.EventMachineDetected, 6, func(e *call.Event) { e.AnsweredBy = call.AnswererMachine }),
		happened(call.Bandwidth, "c", call.EventCallEnded, 20, because(call.CauseNormal, 0)))
	if s.Disposition != call.DispositionVoicemail || s.AnsweredBy != call.AnswererMachine || s.Answered.Known() || s.TalkMS != call.Some(0) {
		t.Errorf("%v by %v, answered %v, talk %v", s.Disposition, s.AnsweredBy, s.Answered, s.TalkMS)
	}
}

func TestClocksThatDisagreeAreClampedAndFlagged(t *testing.T) {
	s := session(t, true,
		happened(call.Stringee, "c", call.EventCallInitiated, 5), happened(call.Stringee, "c", call.EventCallRinging, 6),
		happened(call.Stringee, "c", call.EventCallAnswered, 5.5), happened(call.Stringee, "c", call.EventCallEnded, 4, claiming(9)))
	if s.RingMS.Known || s.TalkMS != call.Some(0) || s.TotalMS != call.Some(0) {
		t.Errorf("ring %v, talk %v, total %v", s.RingMS, s.TalkMS, s.TotalMS)
	}
	if !s.Flags.Has(call.FlagNegativeClamped | call.FlagDurationMismatch) {
		t.Errorf("flags %v", s.Flags.Words())
	}
}

func TestRawFilesWithoutAClockLeaveInstantsNull(t *testing.T) {
	timeless := func(e *call.Event) {
		e.Time, e.Ringing, e.Answered, e.Ended = call.Instant{}, call.Instant{}, call.Instant{}, call.Instant{}
		e.Started = call.Instant{At: second(0), Src: call.EvidenceReported, Precision: 1000}
		e.ID = call.NewEventID(e.Leg, e.Type.String())
	}
	s := session(t, true, happened(call.Sonetel, "c", call.EventCallInitiated, 0, called("1", "2"), timeless),
		happened(call.Sonetel, "c", call.EventCallAnswered, 1, timeless), happened(call.Sonetel, "c", call.EventCallEnded, 2, timeless))
	if s.Disposition != call.DispositionAnswered || s.Answered.Known() || s.Ended.Known() || s.TalkMS.Known || s.TotalMS.Known {
		t.Errorf("%v, answered %v, ended %v, talk %v", s.Disposition, s.Answered, s.Ended, s.TalkMS)
	}
	if s.CloseReason != call.ClosedNormal || s.EndLost || !s.Complete {
		t.Errorf("%v, end lost %v, complete %v", s.CloseReason, s.EndLost, s.Complete)
	}
}

func TestHoldIsTheUnionOfItsIntervals(t *testing.T) {
	s := session(t, true,
		happened(call.Opentact, "c", call.EventCallAnswered, 0, directed(call.DirectionOutbound)), happened(call.Opentact, "c", call.EventCallHeld, 5),
		happened(call.Opentact, "c", call.EventCallResumed, 8), happened(call.Opentact, "c", call.EventCallHeld, 20),
		happened(call.Opentact, "c", call.EventCallEnded, 21))
	if s.HoldMS != call.Some(4000) {
		t.Errorf("hold %v", s.HoldMS)
	}
}

func TestLegsBeyondTheRecordAreCounted(t *testing.T) {
	var events []*call.Event
	for i := range legsMax + 6 {
		events = append(events, happened(call.Bandwidth, string(rune('A'+i)), call.EventCallInitiated, float64(i)))
	}
	b := newLegBook()
	for _, e := range events {
		b.take(e)
	}
	s := Compose(call.LegID{}, b.all(), 10, false)
	if len(s.Legs) != legsMax || s.LegCount != legsMax+16 || !s.LegsTruncated || !s.Flags.Has(call.FlagLegsTruncated) {
		t.Errorf("%d of %d legs, truncated %v, flags %v", len(s.Legs), s.LegCount, s.LegsTruncated, s.Flags.Words())
	}
	if !slices.IsSortedFunc(s.Legs, func(a, b call.LegSummary) int { return int(a.Started.At - b.Started.At) }) {
		t.Error("legs are not sorted by start")
	}
	r := Row(s, b.legs[events[legsMax+1].Leg], false)
	if r.Disposition != call.DispositionInProgress || r.CallID != events[legsMax+1].CallID {
		t.Errorf("row of a leg beyond the record: %+v", r)
	}
}

func TestDue(t *testing.T) {
	b := newLegBook()
	for _, e := range answeredDial() {
		b.take(e)
	}
	if got, want := Due(storyTimeouts, b.all()), call.Arrival(second(31)+200+30_000); got != want {
		t.Errorf("all ended: due %d, want the last arrival and grace %d", got, want)
	}
	b = newLegBook()
	for _, e := range answeredDial()[:6] {
		b.take(e)
	}
	if got, want := Due(storyTimeouts, b.all()), call.Arrival(second(1)+200).Add(4*time.Hour); got != want {
		t.Errorf("caller still connected: due %d, want %d", got, want)
	}
	if got := Due(storyTimeouts, nil); got != call.Unheard {
		t.Errorf("no legs: due %d", got)
	}
}

func BenchmarkCompose(b *testing.B) {
	for _, bb := range []struct {
		name   string
		events []*call.Event
	}{
		{"legs=1", answeredDial()[2:6]},
		{"legs=2", answeredDial()},
	} {
		b.Run(bb.name, func(b *testing.B) {
			book := newLegBook()
			for _, e := range bb.events {
				book.take(e)
			}
			legs := book.all()
			b.ReportAllocs()
			for b.Loop() {
				Compose(call.LegID{1}, legs, 0, true)
			}
		})
	}
}

// A tag that the legs share besides their parent is no more than a confirmation.
func TestLegsHeldTogetherByATagAlone(t *testing.T) {
	tagged := func(e *call.Event) { e.Links = append(e.Links, call.Link{Kind: call.LinkTag, Value: "order-17"}) }
	for _, tt := range []struct {
		name   string
		events []*call.Event
		want   bool
	}{
		{"a tag alone", []*call.Event{
			happened(call.Bandwidth, "a", call.EventCallInitiated, 0, tagged), happened(call.Bandwidth, "b", call.EventCallInitiated, 1, tagged),
		}, true},
		{"a parent too", []*call.Event{
			happened(call.Bandwidth, "a", call.EventCallInitiated, 0, tagged), happened(call.Bandwidth, "b", call.EventCallInitiated, 1, tagged, under("a")),
		}, false},
		{"a dial of a dial", []*call.Event{
			happened(call.Bandwidth, "a", call.EventCallInitiated, 0, tagged), happened(call.Bandwidth, "b", call.EventCallInitiated, 1, tagged, under("a")),
			happened(call.Bandwidth, "c", call.EventCallInitiated, 2, tagged, under("b")),
		}, false},
		{"two dials of a call that was not seen", []*call.Event{
			happened(call.Bandwidth, "b", call.EventCallInitiated, 1, tagged, under("a")), happened(call.Bandwidth, "c", call.EventCallInitiated, 2, tagged, under("a")),
		}, false},
		{"a dial, and a call with the same tag", []*call.Event{
			happened(call.Bandwidth, "b", call.EventCallInitiated, 1, tagged, under("a")), happened(call.Bandwidth, "c", call.EventCallInitiated, 2, tagged),
		}, true},
		{"a parent without a tag", []*call.Event{
			happened(call.Bandwidth, "a", call.EventCallInitiated, 0), happened(call.Bandwidth, "b", call.EventCallInitiated, 1, under("a")),
		}, false},
	} {
		if got := session(t, false, tt.events...).Flags.Has(call.FlagCorrelationWeak); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestASessionDoesNotDependOnTheOrderOfItsEvents composes what one provider may
// tell, in any order and with any copies.
func TestASessionDoesNotDependOnTheOrderOfItsEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		told := calltest.DrawStory(t)
		want := Compose(call.LegID{}, bookOf(told).all(), 0, true)
		for range 20 {
			order := rapid.Permutation(told).Draw(t, "order")
			order = append(order, rapid.SliceOfN(rapid.SampledFrom(told), 0, 6).Draw(t, "repeats")...)
			legs := bookOf(order).all()
			slices.Reverse(legs)
			if got := Compose(call.LegID{}, legs, 0, true); Fingerprint(want) != Fingerprint(got) {
				t.Fatalf("sessions differ:\n%s", cmp.Diff(want, got))
			}
		}
	})
}

// Telephones that ring at once have one start. The one heard of first is whom the
// caller dialled, also where that was told by a copy that came later; a leg that only
// another leg's copy tells of is after all that told of themselves.
func TestOfEqualStartsTheLegHeardOfFirstBeganTheCall(t *testing.T) {
	tell := func(callID string, s float64, to string) *call.Event {
		return heard(callID, call.EventCallInitiated, s, 0, "+15550100001", to, "f1", callID)
	}
	legs := []string{"a", "b", "c", "d", "e"}
	for i, first := range legs {
		var told []*call.Event
		for k, callID := range legs {
			told = append(told, tell(callID, 0.5+float64(k)/100, callID))
		}
		told = append(told, calltest.Delayed(told[i], -300))
		if s := session(t, true, told...); s.To.Raw != first {
			t.Errorf("%s was heard of first, and the call is to %s", first, s.To.Raw)
		}
	}
	for _, other := range legs {
		dial := happened(call.Opentact, "dial "+other, call.EventCallInitiated, 5, called("A", "B"), func(e *call.Event) {
			e.Started = instant(call.EvidenceReported, 0)
			e.Snapshot = &call.LegSnapshot{CallID: other, To: call.Party{Raw: "copy"}, Started: instant(call.EvidenceSnapshot, 0)}
		})
		if s := session(t, true, dial); s.LegCount != 2 || s.To.Raw != "B" {
			t.Errorf("%d legs, and the call is to %s: want the one that told of itself", s.LegCount, s.To.Raw)
		}
	}
}
