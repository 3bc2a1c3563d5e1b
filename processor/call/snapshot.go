package call

import "cmp"

// Join is what two snapshots of one leg tell together. It is commutative,
// associative and idempotent, so it does not matter which events brought them,
// or in what order.
func (s LegSnapshot) Join(o LegSnapshot) LegSnapshot {
	return LegSnapshot{
		CallID:    max(s.CallID, o.CallID),
		Direction: joinDirection(s.Direction, o.Direction),
		From:      joinParty(s.From, o.From),
		To:        joinParty(s.To, o.To),
		Started:   Earliest(s.Started, o.Started),
		Ringing:   Earliest(s.Ringing, o.Ringing),
		Answered:  Earliest(s.Answered, o.Answered),
		Ended:     Earliest(s.Ended, o.Ended),
		Alive:     latest(s.Alive, o.Alive),
		Ending:    joinEnding(s.Ending, o.Ending),
	}
}

// joinParty takes the smaller of two spellings, and any before none.
func joinParty(a, b Party) Party {
	switch {
	case a.Raw == "":
		return b
	case b.Raw == "":
		return a
	case cmp.Or(cmp.Compare(a.Raw, b.Raw), cmp.Compare(a.E164, b.E164), cmp.Compare(a.Kind, b.Kind)) <= 0:
		return a
	default:
		return b
	}
}

// joinEnding takes the one that tells more, and any before none.
func joinEnding(a, b Ending) Ending {
	if a == (Ending{}) || b != (Ending{}) && CompareEndings(b, a) < 0 {
		return b
	}
	return a
}

func joinDirection(a, b Direction) Direction {
	if a == DirectionUnknown || b != DirectionUnknown && b < a {
		return b
	}
	return a
}

func latest(a, b Instant) Instant {
	if cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(b.Src, a.Src), cmp.Compare(b.Precision, a.Precision)) < 0 {
		return b
	}
	return a
}
