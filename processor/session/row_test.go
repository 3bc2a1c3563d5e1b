package session

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
)

func TestTheRowOfALegThatThePlatformAnswered(t *testing.T) {
	b := newLegBook()
	for _, e := range answeredDial() {
		b.take(e)
	}
	s := Compose(call.LegID{1}, b.all(), 0, true)
	r := Row(s, b.legs[*id(call.Opentact, "A")], true)
	if r.AnsweredBy != call.AnswererSystem || r.Disposition != call.DispositionAnswered || r.TalkMS != call.Some(30_000) || r.Role != call.RoleOrigin {
		t.Errorf("%v by %v, talk %v, %v", r.Disposition, r.AnsweredBy, r.TalkMS, r.Role)
	}
}

func TestTheRowOfALegKnownOnlyFromACopy(t *testing.T) {
	e := dialHangup()
	e.Account = "acc"
	b := newLegBook()
	b.take(e)
	s := Compose(call.LegID{1}, b.all(), 0, true)
	r := Row(s, b.legs[*id(call.Opentact, "A")], true)
	if r.Tenant != "default" || r.Provider != call.Opentact || r.Account != "acc" || r.EventCount != 0 {
		t.Errorf("%q of %v, account %q, %d events", r.Tenant, r.Provider, r.Account, r.EventCount)
	}
	if r.Ended != instant(call.EvidenceTimeout, 1.341) || !r.EndLost || !r.StartLost || r.TotalMS.Known {
		t.Errorf("ended %v, lost: start %v, end %v; total %v", r.Ended, r.StartLost, r.EndLost, r.TotalMS)
	}
	if s.ProviderDuration.Known {
		t.Errorf("the session claims %v, which is the dial's", s.ProviderDuration)
	}
}

func TestRow(t *testing.T) {
	b := newLegBook()
	for _, e := range answeredDial() {
		b.take(e)
	}
	s := Compose(call.LegID{1}, b.all(), 0, true)
	s.Revision, s.Generation, s.EmittedAt = 3, 2, 99
	dial := b.legs[call.NewLegID("default", call.Opentact, "", "B")]
	got := Row(s, dial, true)
	parent := call.NewLegID("default", call.Opentact, "", "A")
	want := &call.Leg{
		ID: dial.ID, SessionID: s.ID, Tenant: "default", Provider: call.Opentact, CallID: "B", ParentCallID: "A", ParentLeg: &parent,
		Role: call.RoleDestination, Revision: 3, Generation: 2, EmittedAt: 99, Direction: call.DirectionOutbound,
		From: call.Party{Raw: "15550100001", Kind: call.PartyPSTN}, To: call.Party{Raw: "user", Kind: call.PartyPSTN},
		Disposition: call.DispositionAnswered, Started: instant(call.EvidenceReported, 2), Ringing: instant(call.EvidenceReported, 3),
		Answered: instant(call.EvidenceReported, 8), Ended: instant(call.EvidenceReported, 30),
		RingMS: call.Some(5000), TalkMS: call.Some(22000), TotalMS: call.Some(28000),
		HangupParty: call.HangupByCallee, HangupCause: call.CauseNormal, Q850: call.Code{N: 16, Src: call.CodeReported},
		Complete: true, EventCount: 4, FirstEventAt: second(2), LastEventAt: second(30),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("row (-want +got):\n%s", d)
	}
}
