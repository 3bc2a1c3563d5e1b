package stitch

import (
	"math"

	"callstitch/processor/call"
)

// due is when, in arrival time, the session of these legs is FINAL.
func due(t Timeouts, legs []*leg) int64 {
	at, last := int64(math.MinInt64), int64(math.MinInt64)
	for _, l := range legs {
		at = max(at, l.holdsUntil(t))
		last = max(last, l.arrival)
	}
	if pending(legs) {
		at = max(at, last+t.Answered.Milliseconds())
	}
	return at
}

// pending reports whether a leg hung up twice, which tells of a transfer, and the
// leg that goes on after it was not seen to end.
func pending(legs []*leg) bool {
	for _, l := range legs {
		if at, twice := l.twiceHungUp(); twice && !outlived(l, at, legs) {
			return true
		}
	}
	return false
}

// outlived reports whether another leg than l has ended that can be the one that
// goes on: it started later, or ended later than l's second hang-up, or there
// are two others, the one passed on and the one it was passed to. The leg that
// the consulting party left ends with l; its end may only be heard later.
func outlived(l *leg, second int64, legs []*leg) bool {
	others := 0
	for _, x := range legs {
		if x == l || !x.ended() {
			continue
		}
		others++
		later := x.started.Known() && l.started.Known() && x.started.At > l.started.At ||
			second != 0 && x.end().Known() && x.end().At > second && !leftBy(x, l)
		if later || others == 2 {
			return true
		}
	}
	return false
}

// leftBy reports whether x is a call of the party who made the consultation l,
// and not with the one consulted: the call that was passed on.
func leftBy(x, l *leg) bool {
	party := func(p call.Party) bool { return sameParty(x.from.value, p) || sameParty(x.to.value, p) }
	return party(l.from.value) && !party(l.to.value)
}
