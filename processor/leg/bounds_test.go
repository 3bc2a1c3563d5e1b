package leg

import (
	"testing"

	"callstitch/processor/call"
)

// Instants are kept relative to the earliest one. That just before it is no other than
// the rest: a broker's clock may be a millisecond behind the provider's.
func TestInstantsAroundTheEarliestAreKept(t *testing.T) {
	earliest := call.Arrival(second(1))
	for d := call.Arrival(-3); d <= 3; d++ {
		var l Leg
		l.Fold(happened(call.Stringee, "c", call.EventCallRinging, 1, called("1", "2")), earliest+d, false)
		if got := reload(t, &l); got.Arrival != earliest+d {
			t.Errorf("an arrival %d ms from the earliest instant was read as %d ms from it", d, got.Arrival-earliest)
		}
	}
}

// An event is out of order from the millisecond before the newest one on. Two of one
// moment are in order, whichever is first, and so are two of one whole second.
func TestOutOfOrderToTheMillisecond(t *testing.T) {
	for _, test := range []struct {
		behindMS  call.Time
		precision int32
		want      int32
	}{{0, 1, 0}, {1, 1, 1}, {1, 0, 1}, {999, 1000, 0}, {1000, 1000, 1}} {
		var l Leg
		l.Fold(happened(call.Stringee, "c", call.EventCallAnswered, 9), call.Arrival(second(9)), false)
		e := happened(call.Stringee, "c", call.EventCallRinging, 9)
		e.Time.At, e.Time.Precision = e.Time.At-test.behindMS, test.precision
		l.Fold(e, call.Arrival(second(9)), false)
		if l.OutOfOrder != test.want {
			t.Errorf("%d ms behind, precise to %d ms: %d out of order, want %d", test.behindMS, test.precision, l.OutOfOrder, test.want)
		}
	}
}

// Clocks may contradict each other by a second beyond the precision, and no more.
func TestSkewToTheMillisecond(t *testing.T) {
	for _, test := range []struct {
		by   call.Time
		want call.Flags
	}{{1000, 0}, {1001, 0}, {1002, call.FlagClockSkew}} {
		l := Leg{answer: instant(call.EvidenceReported, 5)}
		l.started = l.answer
		l.started.At += test.by
		if got := l.skew(); got != test.want {
			t.Errorf("answered %d ms before it started: flags %v, want %v", test.by, got.Words(), test.want.Words())
		}
	}
}
