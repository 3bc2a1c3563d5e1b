package leg

import (
	"testing"

	"callstitch/processor/call"
)

func TestClockSkew(t *testing.T) {
	at := instant
	whole := func(s float64) call.Instant {
		return call.Instant{At: second(s), Src: call.EvidenceReported, Precision: 1000}
	}
	var none call.Instant
	for _, tt := range []struct {
		name                          string
		started, ringing, answer, end call.Instant
		want                          bool
	}{
		{"in order", at(call.EvidenceReported, 0), at(call.EvidenceReported, 1), at(call.EvidenceReported, 5), at(call.EvidenceReported, 60), false},
		{"nothing known", none, none, none, none, false},
		{"answered before it started", at(call.EvidenceReported, 10), none, at(call.EvidenceReported, 5), none, true},
		{"… by what hosts differ", at(call.EvidenceReported, 10), none, at(call.EvidenceReported, 9.2), none, false},
		{"ended before it was answered", at(call.EvidenceEvent, 0), none, at(call.EvidenceEvent, 9), at(call.EvidenceEvent, 5), true},
		{"ended before it started", at(call.EvidenceEvent, 9), none, none, at(call.EvidenceEvent, 5), true},
		{"… known from a copy", at(call.EvidenceReported, 9), none, none, at(call.EvidenceSnapshot, 5), true},
		{"rang after its answer, by a field", at(call.EvidenceReported, 0), at(call.EvidenceReported, 9), at(call.EvidenceReported, 5), none, true},
		{"rang at the next agent, whose turn it was", at(call.EvidenceEvent, 0), at(call.EvidenceEvent, 9), at(call.EvidenceEvent, 5), none, false},
		{"rang at the next agent after the end", at(call.EvidenceEvent, 0), at(call.EvidenceEvent, 9), at(call.EvidenceEvent, 3), at(call.EvidenceEvent, 5), true},
		{"rang after the end, and nobody answered", at(call.EvidenceEvent, 0), at(call.EvidenceEvent, 9), none, at(call.EvidenceEvent, 5), true},
		{"… by what hosts differ", at(call.EvidenceEvent, 0), at(call.EvidenceEvent, 5.8), none, at(call.EvidenceEvent, 5), false},
		{"rang at an agent before the next one's start", at(call.EvidenceEvent, 9), at(call.EvidenceEvent, 5), none, none, false},
		{"rang before it started, by a field", at(call.EvidenceReported, 9), at(call.EvidenceReported, 5), none, none, true},
		{"a start computed from whole seconds", at(call.EvidenceDerived, 9), none, at(call.EvidenceEvent, 5), none, false},
		{"an end computed", at(call.EvidenceReported, 9), none, none, at(call.EvidenceDerived, 5), false},
		{"a date of another zone", at(call.EvidenceReported, 3600), none, at(call.EvidenceIngest, 6), at(call.EvidenceIngest, 60), true},
		{"an answer heard late", whole(0), none, at(call.EvidenceIngest, 60), at(call.EvidenceIngest, 50), false},
		{"a whole second may be almost two", at(call.EvidenceReported, 11.5), none, whole(10), none, false},
		{"… and no more", at(call.EvidenceReported, 12.1), none, whole(10), none, true},
	} {
		l := Leg{started: tt.started, ringing: tt.ringing, answer: tt.answer, hangup: tt.end}
		if tt.end.Known() {
			l.marks |= hungUp
		}
		if got := l.skew() == call.FlagClockSkew; got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
