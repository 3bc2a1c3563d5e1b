package session

import (
	"callstitch/processor/call"
	"callstitch/processor/leg"
)

// Due is when the session of these legs is FINAL, in arrival time;
// call.Unheard for none.
func Due(t leg.Timeouts, legs []*leg.Leg) call.Arrival {
	at, last := call.Unheard, call.Unheard
	for _, l := range legs {
		at = max(at, l.HoldsUntil(t))
		last = max(last, l.Arrival)
	}
	if pending(legs) {
		at = max(at, last.Add(t.Answered))
	}
	return at
}

// pending reports whether a leg hung up twice, which tells of a transfer, and the
// leg that goes on after it was not seen to end.
func pending(legs []*leg.Leg) bool {
	for _, l := range legs {
		if at, twice := l.HungUpTwice(); twice && !outlived(l, at, legs) {
			return true
		}
	}
	return false
}

// outlived reports whether another leg than l has ended that can be the one that
// goes on: it started later, or ended later than l's second hang-up, or there
// are two others, the one passed on and the one it was passed to. The leg that
// the consulting party left ends with l; its end may only be heard later.
func outlived(l *leg.Leg, second call.Time, legs []*leg.Leg) bool {
	others, started := 0, l.Life().Started
	for _, x := range legs {
		if x == l || !x.Ended() {
			continue
		}
		others++
		v := x.Life()
		later := v.Started.Known() && started.Known() && v.Started.At > started.At ||
			second.Known() && v.End.Known() && v.End.At > second && !leftBy(x, l)
		if later || others == 2 {
			return true
		}
	}
	return false
}

// leftBy reports whether x is a call of the party who made the consultation l,
// and not with the one consulted: the call that was passed on.
func leftBy(x, l *leg.Leg) bool {
	return isOn(x, l.From.Value) && !isOn(x, l.To.Value)
}
