package leg

import (
	"testing"

	"callstitch/processor/call"
)

func TestClockSkew(t *testing.T) {
	at := instant
	whole := func(s float64) call.Instant {
		return call.Instant{At: second(s), Src: call.Reported, Precision: 1000}
	}
	var none call.Instant
	for _, tt := range []struct {
		name                          string
		started, ringing, answer, end call.Instant
		want                          bool
	}{
		{"in order", at(call.Reported, 0), at(call.Reported, 1), at(call.Reported, 5), at(call.Reported, 60), false},
		{"nothing known", none, none, none, none, false},
		{"answered before it started", at(call.Reported, 10), none, at(call.Reported, 5), none, true},
		{"… by what hosts differ", at(call.Reported, 10), none, at(call.Reported, 9.2), none, false},
		{"ended before it was answered", at(call.EventTime, 0), none, at(call.EventTime, 9), at(call.EventTime, 5), true},
		{"ended before it started", at(call.EventTime, 9), none, none, at(call.EventTime, 5), true},
		{"… known from a copy", at(call.Reported, 9), none, none, at(call.Snapshot, 5), true},
		{"rang after its answer, by a field", at(call.Reported, 0), at(call.Reported, 9), at(call.Reported, 5), none, true},
		{"rang at the next agent, whose turn it was", at(call.EventTime, 0), at(call.EventTime, 9), at(call.EventTime, 5), none, false},
		{"rang before it started, by a field", at(call.Reported, 9), at(call.Reported, 5), none, none, true},
		{"a start computed from whole seconds", at(call.Derived, 9), none, at(call.EventTime, 5), none, false},
		{"an end computed", at(call.Reported, 9), none, none, at(call.Derived, 5), false},
		{"a date of another zone", at(call.Reported, 3600), none, at(call.Ingest, 6), at(call.Ingest, 60), true},
		{"an answer heard late", whole(0), none, at(call.Ingest, 60), at(call.Ingest, 50), false},
		{"a whole second may be almost two", at(call.Reported, 11.5), none, whole(10), none, false},
		{"… and no more", at(call.Reported, 12.1), none, whole(10), none, true},
	} {
		l := Leg{Started: tt.started, Ringing: tt.ringing, Answer: tt.answer, hangup: tt.end}
		if tt.end.Known() {
			l.marks |= hungUp
		}
		if got := l.Skew() == call.ClockSkew; got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
