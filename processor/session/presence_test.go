package session

import (
	"slices"
	"testing"

	"callstitch/processor/call"
)

// A caller C talks with A from 5 to 60 s; what else is told says who else was there.
func TestTalkIsWithTheCaller(t *testing.T) {
	const c, a, b = "+15550100001", "+15550100011", "+15550100012"
	caller := []*call.Event{
		heard("CA", call.EventCallInitiated, 0.1, 0, c, a, "f1", "f2"), heard("CA", call.EventCallAnswered, 5, 0, c, a, "f1", "f2"),
		heard("CA", call.EventCallEnded, 60, 0, c, a, "f1", "f2"),
	}
	leg := func(from, to string, start, answer, end float64) []*call.Event {
		return []*call.Event{
			heard("X", call.EventCallInitiated, start+0.1, start, from, to, "f2", "f3"), heard("X", call.EventCallAnswered, answer, start, from, to, "f2", "f3"),
			heard("X", call.EventCallEnded, end, start, from, to, "f2", "f3"),
		}
	}
	for _, tt := range []struct {
		name  string
		other []*call.Event
		talk  int64
		role  call.Role
	}{
		{"A asks B, and C leaves", leg(a, b, 40, 44, 660), 55_000, call.RoleConsult},
		{"B asks A, and C leaves", leg(b, a, 40, 44, 660), 55_000, call.RoleConsult},
		{"A asked B in time, and C stays", leg(a, b, 40, 44, 50), 55_000, call.RoleConsult},
		{"C is called by B, too", leg(b, c, 40, 44, 70), 65_000, call.RoleDestination},
		{"C's number in national form", leg("5550100001", b, 58, 64, 90), 81_000, call.RoleDestination},
		{"C goes on under A's number", leg(a, b, 60, 64, 90), 81_000, call.RoleDestination},
		{"A calls B when C has long left", leg(a, b, 90, 94, 120), 55_000, call.RoleDestination},
		{"nobody knows who calls B", leg("", b, 40, 64, 90), 81_000, call.RoleDestination},
		{"a number that only ends alike is another", leg("+25550100001", b, 90, 94, 120), 55_000, call.RoleDestination},
		{"two who are in no call with C", leg("+15550100021", b, 40, 44, 90), 55_000, call.RoleDestination},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, true, slices.Concat(caller, tt.other)...)
			if got := legNamed(t, s, "X").Role; s.TalkMS != call.Some(tt.talk) || got != tt.role && got != call.RoleTransferTarget {
				t.Errorf("talk %v, want %d; X is %v, want %v", s.TalkMS, tt.talk, got, tt.role)
			}
		})
	}
}

// A consultation is not the first answer, though the caller's own was heard later.
func TestTheFirstAnswerIsTheCallers(t *testing.T) {
	s := session(t, true,
		heard("CA", call.EventCallAnswered, 8, 0, "C", "A", "f1", "f2"), heard("CA", call.EventCallEnded, 60, 0, "C", "A", "f1", "f2"),
		heard("AB", call.EventCallAnswered, 7, 5, "A", "B", "f2", "f3"), heard("AB", call.EventCallEnded, 90, 5, "A", "B", "f2", "f3"),
	)
	if s.Answered != instant(call.EvidenceIngest, 8) || s.TalkMS != call.Some(52_000) {
		t.Errorf("answered %v, talk %v", s.Answered, s.TalkMS)
	}
}

// Legs that an application joined by a tag are made for the first one's party.
func TestTalkEndsWhenTheFirstPartyOfATagLeaves(t *testing.T) {
	tagged := func(e *call.Event) { e.Links = append(e.Links, call.Link{Kind: call.LinkTag, Value: "t"}) }
	leg := func(id, to string, start, answer, end float64) []*call.Event {
		return []*call.Event{
			happened(call.Bandwidth, id, call.EventCallInitiated, start, called("+15550100001", to), directed(call.DirectionOutbound), tagged),
			happened(call.Bandwidth, id, call.EventCallAnswered, answer, tagged), happened(call.Bandwidth, id, call.EventCallEnded, end, because(call.CauseNormal, 0), tagged),
		}
	}
	agent, customer := leg("A", "+15550100011", 0, 5, 60), leg("B", "+15550100012", 10, 20, 90)
	if s := session(t, true, slices.Concat(agent, customer)...); s.TalkMS != call.Some(55_000) {
		t.Errorf("talk %v, want until the agent left", s.TalkMS)
	}
}

// Ringing is of the telephone that was answered.
func TestRingingIsOfOneTelephone(t *testing.T) {
	dial := func(id string, typ call.EventType, s float64) *call.Event {
		return happened(call.Opentact, id, typ, s, called("15550100001", id), directed(call.DirectionOutbound), under("A"))
	}
	caller := []*call.Event{
		happened(call.Opentact, "A", call.EventCallInitiated, 0, called("+15550100001", "15550100002"), directed(call.DirectionInbound)),
		happened(call.Opentact, "A", call.EventCallAnswered, 0.5), happened(call.Opentact, "A", call.EventCallEnded, 31),
	}
	taken := func(ring float64) []*call.Event {
		events := []*call.Event{dial("B", call.EventCallInitiated, 1), dial("B", call.EventCallAnswered, 8), dial("B", call.EventCallEnded, 30)}
		if ring > 0 {
			events = append(events, dial("B", call.EventCallRinging, ring))
		}
		return events
	}
	other := func(ring float64) []*call.Event {
		return []*call.Event{dial("C", call.EventCallInitiated, 1), dial("C", call.EventCallRinging, ring), dial("C", call.EventCallEnded, 9)}
	}
	for _, tt := range []struct {
		name   string
		events []*call.Event
		want   call.Int
		skewed bool
	}{
		{"its own", slices.Concat(caller, taken(3), other(2)), call.Some(5000), false},
		{"not seen", slices.Concat(caller, taken(0), other(2)), call.Int{}, false},
		{"not seen, and another one rings after the answer", slices.Concat(caller, taken(0), other(8.4)), call.Int{}, false},
		{"stamped a moment after the answer", slices.Concat(caller, taken(8.1), other(2)), call.Int{}, false},
		{"stamped well after the answer", slices.Concat(caller, taken(12), other(2)), call.Int{}, true},
		{"of nobody who answered", slices.Concat(caller, other(2)), call.Some(7000), false},
	} {
		s := session(t, true, tt.events...)
		if s.RingMS != tt.want || s.Flags.Has(call.FlagNegativeClamped) || s.Flags.Has(call.FlagClockSkew) != tt.skewed {
			t.Errorf("%s: ring %v, want %v; flags %v", tt.name, s.RingMS, tt.want, s.Flags.Words())
		}
	}
}
