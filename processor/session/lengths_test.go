package session

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"callstitch/processor/call"
	"callstitch/processor/call/calltest"
	"callstitch/processor/leg"
)

func TestUnionCountsEachMomentOnce(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spans []span
		want  int64
	}{
		{"none", nil, 0},
		{"one", []span{{2, 5}}, 3},
		{"apart", []span{{10, 12}, {2, 5}}, 5},
		{"touching", []span{{2, 5}, {5, 7}}, 5},
		{"overlapping", []span{{2, 6}, {4, 9}}, 7},
		{"one inside another", []span{{0, 10}, {3, 4}, {9, 11}}, 11},
		{"backwards", []span{{5, 2}, {10, 11}}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := union(tt.spans); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

func TestUnionAgreesWithCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spans := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) span {
			return span{call.Time(rapid.Int64Range(0, 40).Draw(t, "from")), call.Time(rapid.Int64Range(0, 40).Draw(t, "to"))}
		}), 0, 8).Draw(t, "spans")
		var covered [41]bool
		for _, s := range spans {
			for at := s.from; at < s.to; at++ {
				covered[at] = true
			}
		}
		var want int64
		for _, c := range covered {
			if c {
				want++
			}
		}
		if got := union(spans); got != want {
			t.Fatalf("%d, want %d of %v", got, want, spans)
		}
	})
}

func TestTalkIsNoLongerThanTheCallersConnection(t *testing.T) {
	events := answeredDial()
	events[6] = happened(call.Opentact, "A", call.EventCallEnded, 25, because(call.CauseNormal, 16))
	if s := session(t, true, events...); s.TalkMS != call.Some(17_000) {
		t.Errorf("talk %v, want from the answer to the caller's end", s.TalkMS)
	}
}

func TestTalkBeginsWithTheCallersOwnConnection(t *testing.T) {
	events := answeredDial()
	events[1] = happened(call.Opentact, "A", call.EventCallAnswered, 10)
	if s := session(t, true, events...); s.TalkMS != call.Some(20_000) {
		t.Errorf("talk %v, want from the caller's answer to the callee's end", s.TalkMS)
	}
}

func TestTalkLeavesOutTheTimeBetweenTwoAgents(t *testing.T) {
	agent := func(typ call.EventType, s float64, name string) *call.Event {
		return happened(call.Stringee, "c", typ, s, directed(call.DirectionInbound), func(e *call.Event) {
			e.From, e.To = call.Party{Raw: "84900000001"}, call.Party{Raw: name, Kind: call.PartyUser}
			e.AgentLeft = typ == call.EventChannelEnded
		})
	}
	passedOn := []*call.Event{
		agent(call.EventCallRinging, 1, "w"), agent(call.EventChannelEnded, 3, "w"), // declines
		agent(call.EventCallRinging, 4, "x"), agent(call.EventCallAnswered, 5, "x"), agent(call.EventChannelEnded, 20, "x"),
		agent(call.EventCallRinging, 21, "y"), agent(call.EventCallAnswered, 26, "y"),
		happened(call.Stringee, "c", call.EventCallEnded, 60),
	}
	if s := session(t, true, passedOn...); s.TalkMS != call.Some(15_000+34_000) || s.TransferCount != 1 {
		t.Errorf("talk %v, %d transfers", s.TalkMS, s.TransferCount)
	}
	bystander := append(slices.Clone(passedOn), agent(call.EventCallRinging, 4.1, "z"), agent(call.EventChannelEnded, 6, "z"))
	if s := session(t, true, bystander...); s.TalkMS != call.Some(15_000+34_000) {
		t.Errorf("another agent's telephone stops: talk %v", s.TalkMS)
	}
	takenOver := append(slices.Clone(passedOn[:4]), passedOn[6:]...)
	if s := session(t, true, takenOver...); s.TalkMS != call.Some(55_000) {
		t.Errorf("taken over at once: talk %v", s.TalkMS)
	}
}

func TestTalkOfAnOutboundCallIsWithWhoWasCalled(t *testing.T) {
	agent := []*call.Event{
		happened(call.Bandwidth, "A", call.EventCallInitiated, 0, called("+15550100001", "+15550100002"), directed(call.DirectionOutbound)),
		happened(call.Bandwidth, "A", call.EventCallAnswered, 4),
		happened(call.Bandwidth, "A", call.EventCallEnded, 40),
	}
	customer := []*call.Event{
		happened(call.Bandwidth, "B", call.EventCallInitiated, 5, called("+15550100001", "+15550100003"), directed(call.DirectionOutbound), under("A")),
		happened(call.Bandwidth, "B", call.EventCallAnswered, 10, under("A")),
		happened(call.Bandwidth, "B", call.EventCallEnded, 35, under("A")),
	}
	if s := session(t, true, agent...); s.TalkMS != call.Some(36_000) {
		t.Errorf("one party: talk %v", s.TalkMS)
	}
	if s := session(t, true, append(agent, customer...)...); s.TalkMS != call.Some(25_000) || s.Answered != instant(call.EvidenceReported, 4) {
		t.Errorf("both: talk %v, answered %v", s.TalkMS, s.Answered)
	}
}

func TestTalkIsNullWhileTheSessionIsOpen(t *testing.T) {
	if s := session(t, false, answeredDial()[:6]...); s.TalkMS.Known || s.TotalMS.Known {
		t.Errorf("talk %v, total %v", s.TalkMS, s.TotalMS)
	}
}

// No duration of a record is longer than the instants of the record allow, whatever the
// events say.
func TestNoDurationExceedsItsInstants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := bookOf(calltest.Disturbed(t, calltest.DrawStory(t)))
		s := Compose(call.LegID{1}, b.all(), 0, true)
		all := stretch{}
		all.add(s.Started, s.Ringing, s.PlatformAnswered, s.Answered, s.Ended)
		var sum int64
		for _, l := range b.all() {
			r := Row(s, l, true)
			own := stretch{}
			own.add(r.Started, r.Ringing, r.Answered, r.Ended)
			for _, x := range s.Transfers {
				own.add(call.Instant{At: x.At, Src: call.EvidenceDerived})
			}
			own.hold(t, "a leg's", r.RingMS, r.TalkMS, r.TotalMS)
			all.add(r.Started, r.Ringing, r.Answered, r.Ended)
			sum += own.length()
		}
		for _, x := range s.Transfers {
			all.add(call.Instant{At: x.At, Src: call.EvidenceDerived})
		}
		all.hold(t, "the session's", s.RingMS, s.TalkMS, s.TotalMS)
		for _, m := range s.Timeline {
			all.add(call.Instant{At: m.At, Src: m.Src})
		}
		all.hold(t, "the session's", s.HoldMS)
		if s.LegTalkMSSum.N > sum {
			t.Fatalf("the legs' talk %d, in %d", s.LegTalkMSSum.N, sum)
		}
	})
}

// stretch is the time from the first to the last of some instants.
type stretch struct{ from, to call.Time }

func (s *stretch) add(instants ...call.Instant) {
	for _, i := range instants {
		if i.Known() && i.At.Known() {
			s.from, s.to = leg.Earlier(s.from, i.At), max(s.to, i.At)
		}
	}
}

func (s *stretch) length() int64 { return int64(s.to - s.from) }

func (s *stretch) hold(t *rapid.T, whose string, lengths ...call.Int) {
	for _, l := range lengths {
		if l.N < 0 || l.N > s.length() {
			t.Fatalf("%s durations %v, in %d", whose, lengths, s.length())
		}
	}
}
