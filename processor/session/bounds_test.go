package session

import (
	"slices"
	"testing"

	"callstitch/processor/call"
)

// afterMS is a second of the story that rounds down to just that millisecond.
func afterMS(ms int64) float64 { return (float64(ms) + 0.5) / 1000 }

// A party may be asked in the very second in which the call was made: the platform
// tells whole seconds.
func TestAConsultationOfTheFirstSecond(t *testing.T) {
	s := session(t, true,
		heard("CA", call.EventCallAnswered, 5, 0, "+15550100001", "A", "f1", "f2"),
		heard("AB", call.EventCallAnswered, 25, 0, "A", "B", "f2", "f3"),
		heard("CA", call.EventCallEnded, 40, 0, "+15550100001", "A", "f1", "f2"),
		heard("AB", call.EventCallEnded, 40, 0, "A", "B", "f2", "f3"),
		heard("CB", call.EventCallEnded, 70, 40, "15550100001", "B", "f1", "f3"),
	)
	if role := legNamed(t, s, "AB").Role; role != call.RoleConsult {
		t.Errorf("A to B is %v", role)
	}
}

// A dial that begins at the moment when the one before it ended is a transfer: the two
// do not overlap.
func TestADialAtTheEndOfTheOneBefore(t *testing.T) {
	events := dials(true)
	events[2] = happened(call.Bandwidth, "B", call.EventCallEnded, 21, under("A"), because(call.CauseNormal, 0))
	if s := session(t, true, events...); len(s.Transfers) != 1 || *s.Transfers[0].FromLeg != *id(call.Bandwidth, "B") {
		t.Errorf("transfers %+v", s.Transfers)
	}
}

// A provider's claim may be off by two seconds either way, and no more.
func TestAClaimedDurationToTheMillisecond(t *testing.T) {
	for _, test := range []struct {
		mismatch int64
		flagged  bool
	}{{2000, false}, {2001, true}, {-2000, false}, {-2001, true}} {
		s := session(t, true,
			happened(call.Opentact, "A", call.EventCallInitiated, 0, directed(call.DirectionOutbound)),
			happened(call.Opentact, "A", call.EventCallEnded, afterMS(30_000+test.mismatch), because(call.CauseNormal, 16), claiming(30)),
		)
		if s.DurationMismatchMS != call.Some(test.mismatch) || s.Flags.Has(call.FlagDurationMismatch) != test.flagged {
			t.Errorf("30 s claimed: off by %v, flags %v; want %d, flagged %t",
				s.DurationMismatchMS, s.Flags.Words(), test.mismatch, test.flagged)
		}
	}
}

// A provider that claims no talk counts whole seconds. An answer of 1.2 s and more that
// it denies was somebody else's, a shorter one may have been rounded away.
func TestDeniedTalkToTheMillisecond(t *testing.T) {
	for _, test := range []struct {
		upMS int64
		want call.Disposition
	}{{1199, call.DispositionAnswered}, {1200, call.DispositionCanceled}} {
		s := session(t, true,
			happened(call.Opentact, "A", call.EventCallInitiated, 0, directed(call.DirectionOutbound)),
			happened(call.Opentact, "A", call.EventCallAnswered, 10),
			happened(call.Opentact, "A", call.EventCallEnded, afterMS(10_000+test.upMS), because(call.CauseCanceled, 0),
				func(e *call.Event) { e.ProviderTalk = call.Some(0) }),
		)
		if s.Disposition != test.want {
			t.Errorf("up for %d ms, no talk claimed: %v, want %v", test.upMS, s.Disposition, test.want)
		}
	}
}

// The first and last raw record of a session are those of all its legs, in whatever
// order these are known.
func TestTheSpanOfTheEvidence(t *testing.T) {
	events := answeredDial()
	for range 2 {
		s := session(t, true, events...)
		if s.FirstSource == nil || s.LastSource == nil || s.FirstSource.Offset != 0 || s.LastSource.Offset != 31_000 {
			t.Errorf("from %+v to %+v", s.FirstSource, s.LastSource)
		}
		slices.Reverse(events)
	}
	events = slices.DeleteFunc(answeredDial(), func(e *call.Event) bool { return e.CallID == "A" && e.Type == call.EventCallEnded })
	if s := session(t, true, events...); s.LastSource == nil || s.LastSource.Offset != 30_000 {
		t.Errorf("the dial's record is the last one, not %+v", s.LastSource)
	}
}
