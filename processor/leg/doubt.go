package leg

import "callstitch/processor/call"

// skewToleranceMS is how far the instants of one leg may contradict the order of
// a call's life before that is remarked on: the hosts of one provider differ by
// some 200 ms, and one that waits for another stamps what came before too late.
const skewToleranceMS = 1000

// skew is the flag for a leg about which clocks disagree: an earlier stage of its
// life is stamped after a later one, by more than tolerated.
//
// Only a clock can be skewed, so what was computed from a duration does not count.
// A Kafka timestamp is late where a record is, so it tells only by being too early.
// Ringing counts where a field of its own names it: the event repeats for each
// agent, and the one that came before the answer may be lost. After the end nobody is
// rung, so there the event counts, too.
func (l *Leg) skew() call.Flags {
	life := [...]call.Instant{l.started, l.ringing, l.answer, l.end()}
	repeats := l.ringing.Src == call.EvidenceEvent
	for i, a := range life {
		if !a.Known() || a.Src > call.EvidenceSnapshot {
			continue
		}
		for j := i + 1; j < stages; j++ {
			b := life[j]
			if repeats && (j == stageRinging || i == stageRinging && j == stageAnswered) {
				continue
			}
			clocked := b.Known() && (b.Src <= call.EvidenceSnapshot || b.Src == call.EvidenceIngest)
			if clocked && a.At > b.At+call.Time(b.Precision)+skewToleranceMS {
				return call.FlagClockSkew
			}
		}
	}
	return 0
}

// StartLost reports whether the leg's set-up was not seen: its start is missing,
// computed, or known only from another leg's copy.
func (l *Leg) StartLost() bool {
	switch l.started.Src {
	case call.EvidenceReported, call.EvidenceEvent, call.EvidenceIngest:
		return false
	default:
		return !l.Saw(Initiated)
	}
}

// InterimLost reports whether the leg was answered and the answer was not seen: it
// is missing, computed, or known only from another leg's copy.
func (l *Leg) InterimLost() bool {
	switch l.answer.Src {
	case call.EvidenceReported, call.EvidenceEvent, call.EvidenceIngest:
		return false
	default:
		return l.Answered() && !l.Saw(answerTold)
	}
}
