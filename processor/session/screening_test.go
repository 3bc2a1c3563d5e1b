package session

import (
	"testing"

	"callstitch/processor/call"
)

// screened is a dial that a person answers at 10 s and that ends at end; a key is
// pressed on it at key, and the caller leaves at gone.
func screened(key, end, gone float64) []*call.Event {
	return []*call.Event{
		happened(call.Bandwidth, "A", call.EventCallInitiated, 0, called("+15550100001", "+15550100002"), directed(call.DirectionInbound)),
		happened(call.Bandwidth, "B", call.EventCallAnswered, 10, called("+15550100001", "+15550100003"), directed(call.DirectionOutbound), under("A")),
		happened(call.Bandwidth, "B", call.EventDTMF, key, under("A")),
		happened(call.Bandwidth, "B", call.EventCallEnded, end, under("A"), because(call.CauseNormal, 0)),
		happened(call.Bandwidth, "A", call.EventCallEnded, gone, because(call.CauseNormal, 0), func(e *call.Event) { e.Answered = instant(call.EvidenceReported, 1) }),
	}
}

func TestADialDeclinedByKeyIsNoAnswer(t *testing.T) {
	for _, tt := range []struct {
		name           string
		key, end, gone float64
		want           call.Disposition
		talk           int64
	}{
		{"declined, and the caller stays", 15, 16, 40, call.DispositionRejected, 0},
		{"5 s after the key", 15, 20, 40, call.DispositionRejected, 0},
		{"a moment more is a talk", 15, 20.001, 40, call.DispositionAnswered, 10_001},
		{"a key stamped after the end", 16.2, 16, 40, call.DispositionRejected, 0},
		{"the caller leaves as well", 15, 16, 21, call.DispositionAnswered, 6000},
		{"the caller stays a moment", 15, 16, 21.001, call.DispositionRejected, 0},
		{"asked for a minute", 69, 70, 90, call.DispositionRejected, 0},
		{"a key at the end of a talk", 69, 70.001, 90, call.DispositionAnswered, 60_001},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, true, screened(tt.key, tt.end, tt.gone)...)
			if s.Disposition != tt.want || s.TalkMS != call.Some(tt.talk) {
				t.Errorf("%v, talk %v; want %v, %d", s.Disposition, s.TalkMS, tt.want, tt.talk)
			}
			if d := legNamed(t, s, "B").Disposition; d != tt.want {
				t.Errorf("the dial is %v", d)
			}
			if s.Answered.Known() != (tt.want == call.DispositionAnswered) {
				t.Errorf("answered %v", s.Answered)
			}
		})
	}
}

// Who answered too late was asked, and another one took the call.
func TestAnAnsweredDialThatLostTheRaceTalkedToNobody(t *testing.T) {
	s := session(t, true,
		happened(call.Opentact, "A", call.EventCallAnswered, 1, called("+15550100001", "15550100002"), directed(call.DirectionInbound)),
		happened(call.Opentact, "B", call.EventCallAnswered, 5, directed(call.DirectionOutbound), under("A")),
		happened(call.Opentact, "C", call.EventCallAnswered, 7, directed(call.DirectionOutbound), under("A")),
		happened(call.Opentact, "B", call.EventCallEnded, 9, under("A"), func(e *call.Event) {
			e.HangupCause, e.ProviderCauseCode = call.CauseCanceled, "702"
		}),
		happened(call.Opentact, "C", call.EventCallEnded, 30, under("A"), because(call.CauseNormal, 16)),
		happened(call.Opentact, "A", call.EventCallEnded, 30, because(call.CauseNormal, 16)),
	)
	if s.Disposition != call.DispositionAnswered || s.Answered.At != second(7) || s.TalkMS != call.Some(23_000) {
		t.Errorf("%v at %v, talk %v", s.Disposition, s.Answered, s.TalkMS)
	}
	if d := legNamed(t, s, "B").Disposition; d != call.DispositionCanceled {
		t.Errorf("the late one is %v", d)
	}
}

// referred is what Bandwidth tells of a caller who was sent elsewhere.
func referred(s float64) *call.Event {
	return happened(call.Bandwidth, "A", call.EventCallEnded, s, func(e *call.Event) {
		e.TransferType, e.HangupCause, e.HangupParty = call.TransferBlind, call.CauseTransferred, call.HangupByTransfer
	})
}

func TestAReferralIsATransferToNoLeg(t *testing.T) {
	start := happened(call.Bandwidth, "A", call.EventCallInitiated, 0, called("+15550100001", "+15550100002"), directed(call.DirectionInbound))
	hangup := happened(call.Bandwidth, "A", call.EventCallEnded, 21, func(e *call.Event) {
		e.HangupCause, e.ProviderCause, e.SIPStatus = call.CauseNormal, "hangup", call.Code{N: 200, Src: call.CodeReported}
	})
	failed := happened(call.Bandwidth, "A", call.EventTransferFailed, 10, func(e *call.Event) { e.TransferType = call.TransferBlind })
	done := call.Transfer{At: second(20), Type: call.TransferBlind, FromLeg: id(call.Bandwidth, "A"), Transferor: "+15550100002", Result: call.ResultCompleted}
	refused := done
	refused.At, refused.Result = second(10), call.ResultFailed
	for _, tt := range []struct {
		name      string
		events    []*call.Event
		want      call.Disposition
		cause     call.HangupCause
		transfers []call.Transfer
	}{
		{"granted", []*call.Event{start, referred(20)}, call.DispositionUnknown, call.CauseTransferred, []call.Transfer{done}},
		{"a hang-up follows", []*call.Event{start, referred(20), hangup}, call.DispositionUnknown, call.CauseTransferred, []call.Transfer{done}},
		{"refused, then granted", []*call.Event{start, failed, referred(20)}, call.DispositionUnknown, call.CauseTransferred, []call.Transfer{refused, done}},
		{"refused", []*call.Event{start, failed, hangup}, call.DispositionCanceled, call.CauseNormal, []call.Transfer{refused}},
		{"heard of by the referral alone", []*call.Event{referred(20)}, call.DispositionAnswered, call.CauseTransferred, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, true, tt.events...)
			if s.Disposition != tt.want || s.HangupCause != tt.cause || s.CloseReason != call.ClosedNormal {
				t.Errorf("%v because of %v, closed %v", s.Disposition, s.HangupCause, s.CloseReason)
			}
			if tt.transfers != nil && !equalTransfers(s.Transfers, tt.transfers) {
				t.Errorf("transfers %+v, want %+v", s.Transfers, tt.transfers)
			}
			if s.Disposition == call.DispositionUnknown && s.TalkMS.Known {
				t.Errorf("talk %v, and nobody tells who answered elsewhere", s.TalkMS)
			}
		})
	}
}

func equalTransfers(a, b []call.Transfer) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if *x.FromLeg != *y.FromLeg || x.ToLeg != nil || x.At != y.At || x.Type != y.Type || x.Result != y.Result || x.Transferor != y.Transferor || x.Inferred {
			return false
		}
	}
	return true
}
