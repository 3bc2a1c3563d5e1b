package leg

import "callstitch/processor/call"

// Life is what is believed of the instants of a leg's life. The fold keeps of each the
// strongest statement; Life holds these against each other and against what was
// delivered when, so that one that cannot be moves nothing. It follows from the folded
// state, whatever the order in which that was told.
type Life struct {
	Started, Ringing, Answer, End call.Instant // Answer: the first, whoever gave it

	Claimed  bool       // End follows from the provider's claim, not from when it was heard
	Withheld bool       // an instant was told that is not believed, and nothing stands for it
	Remarks  call.Flags // CLOCK_SKEW, TIMES_INFERRED

	late    bool // its events were delivered late
	refuted bool // the other statements rule one out
}

// Life is what is believed of the instants of the leg's life.
func (l *Leg) Life() Life {
	v := Life{Started: l.started, Ringing: l.ringing, Answer: l.answer, End: l.end()}
	if v.usual() {
		return v
	}
	v.Remarks = l.skew()
	v.late = l.doubtArrivals(&v)
	l.doubtStatements(&v)
	return v
}

// usual reports whether the instants follow each other, and none is told by its delivery
// alone: then there is nothing to doubt.
func (v *Life) usual() bool {
	var life [stages]call.Time
	for i, at := range v.stages() {
		if at.Src == call.EvidenceIngest {
			return false
		}
		life[i] = at.At
	}
	return call.Follow(life[:])
}

// Spans reports whether something may have happened at that time of the leg's life: not
// before its start nor after its end, by more than clocks are off.
func (v *Life) Spans(at call.Time) bool {
	return !(v.Started.Known() && at+call.Impossible < v.Started.At) &&
		!(v.End.Known() && at > v.End.At+call.Time(v.End.Precision)+call.Impossible)
}

// First is the smallest instant that anything tells of the leg, of whatever evidence;
// not known where nothing does. It names the session, so what cannot be is left out: an
// instant that is not believed, or lies more than a day before those that are.
func (l *Leg) First() call.Time {
	v := l.Life()
	var first call.Time
	for _, at := range v.stages() {
		first = Earlier(first, at.At)
	}
	if first.Known() && (v.refuted || l.Earliest < first-call.LongestWait) {
		return first
	}
	return l.Earliest
}

// HeardEnd is when the end of the leg was heard, however late.
func (l *Leg) HeardEnd() call.Instant { return l.end() }

// Where a provider leaves it to the Kafka timestamp when something happened, only a
// timely delivery tells that.
const (
	// lateMS is how much later than the call's start its first event may be
	// delivered, in milliseconds. A delivery takes less than a second, one that is
	// tried again a few; the start itself may be cut to whole seconds.
	lateMS = 10_000
	// agreeMS is how far a claimed duration may be from a measured one that it
	// confirms: claims are whole seconds, and ends are stamped up to a second late.
	agreeMS = 2000
	// burstMS is within which time an answer and an end come when they were held
	// back together.
	burstMS = 1000
	// longRingMS is how long a telephone may have rung for its answer to be believed
	// that came together with the end. Exchanges give up earlier.
	longRingMS = 60_000
)

// doubtArrivals replaces instants that only the delivery tells by what the provider
// claims, or by nothing, where the delivery came late. It reports whether it did.
//
//	start            first event   last event
//	  ├─── lag ──────────┼────────────┤          a delay that is even is taken off
//	  ├───────── claim ───────┤                  else the claim tells the end
//	  ├─────────────────── claim ─────┤          one that is confirmed stays
func (l *Leg) doubtArrivals(v *Life) (late bool) {
	start, claim := v.Started, call.Time(l.Duration.Value*1000)
	if !start.Known() || start.Src == call.EvidenceIngest {
		return false
	}
	lag := l.lag()
	answer, end := heard(v.Answer), heard(v.End)
	talked := claim > 0 && near(end-answer, claim) && answer.Known() && end.Known()
	even := talked || claim > 0 && end.Known() && near(end-l.FirstEvent, claim)
	switch {
	case lag > lateMS && even:
		v.delayed(lag)
		return true
	case lag > lateMS:
		v.Answer, v.Withheld = v.unheard(v.Answer)
		l.claimEnd(v)
		return true
	}
	if claim > 0 && end.Known() && !talked {
		slack := call.Time(lateMS)
		if !answer.Known() {
			slack += longRingMS // of a claim that counts from an answer that was not seen
		}
		if end-start.At-claim > slack {
			late = true
			l.claimEnd(v)
		}
	}
	after := v.Claimed && answer > v.End.At+call.Time(v.End.Precision)
	burst := end-answer <= burstMS && end-start.At > longRingMS
	if answer.Known() && end.Known() && !talked && (after || burst) {
		late = true
		v.Answer, v.Withheld = v.unheard(v.Answer)
	}
	return late
}

// lag is how much later than the leg's start its first event was delivered; 0 where
// the one of its set-up was not, or has a time of its own.
func (l *Leg) lag() call.Time {
	for i := range l.Moments {
		if m := &l.Moments[i]; m.Type == call.EventCallInitiated && m.Src == call.EvidenceIngest {
			return l.FirstEvent - l.started.At
		}
	}
	return 0
}

// heard is the instant if only its delivery tells it, else not known.
func heard(at call.Instant) call.Time {
	if at.Src != call.EvidenceIngest {
		return 0
	}
	return at.At
}

func near(a, b call.Time) bool { return a-b <= agreeMS && b-a <= agreeMS }

// unheard is what is left of an instant whose delivery came late: nothing, if that was
// all that told it.
func (v *Life) unheard(at call.Instant) (left call.Instant, withheld bool) {
	if at.Src != call.EvidenceIngest {
		return at, v.Withheld
	}
	v.Remarks |= call.FlagTimesInferred
	return call.Instant{}, true
}

// claimEnd lets the provider's claim tell the end, which was heard late: from the
// start, or where that would be before the answer, from there. An end that the claim
// confirms stays; one without a claim is not known.
func (l *Leg) claimEnd(v *Life) {
	claim := call.Time(l.Duration.Value * 1000)
	if v.End.Src != call.EvidenceIngest || claim > 0 && near(v.End.At-v.Started.At, claim) {
		return
	}
	latest := v.End.At + agreeMS - claim // nothing is told before it happens
	v.End, v.Withheld = v.unheard(v.End)
	from := v.Started.At
	if v.Answer.Known() && from+claim < v.Answer.At && v.Answer.At <= latest {
		from = v.Answer.At
	}
	if claim > 0 && from <= latest {
		v.End = call.Instant{At: from + claim, Src: call.EvidenceDerived, Precision: 1000}
		v.Claimed, v.Withheld = true, !v.Answer.Known() && l.Answered()
	}
}

// delayed takes a delay that was the same for all off what only the delivery tells.
func (v *Life) delayed(lag call.Time) {
	for _, at := range [...]*call.Instant{&v.Ringing, &v.Answer, &v.End} {
		if at.Src == call.EvidenceIngest {
			*at = call.Instant{At: at.At - lag, Src: call.EvidenceDerived, Precision: 1000}
			v.Remarks |= call.FlagTimesInferred
		}
	}
}

// The stages of a leg's life, in the order in which they happen.
const (
	stageStarted = iota
	stageRinging
	stageAnswered
	stageEnded
	stages
)

func (v *Life) stages() [stages]*call.Instant {
	return [...]*call.Instant{&v.Started, &v.Ringing, &v.Answer, &v.End}
}

// stageOf is the stage that an event of type t tells, if it tells one.
func stageOf(t call.EventType) (stage int, tells bool) {
	switch t {
	case call.EventCallInitiated:
		return stageStarted, true
	case call.EventCallRinging:
		return stageRinging, true
	case call.EventCallAnswered, call.EventTransferAnswered:
		return stageAnswered, true
	case call.EventCallEnded, call.EventCallDestroyed:
		return stageEnded, true
	default:
		return 0, false
	}
}

// doubtStatements gives up instants that contradict each other by more than clocks are
// off, until none do: the one that the most other statements contradict, those of the
// leg's events included; of several the one of the weakest evidence, then what lies
// between start and end. For what was given up stands the time of the event that tells of it, if that
// can be.
func (l *Leg) doubtStatements(v *Life) {
	life := v.stages()
	var given [stages]bool
	for l.contradictory(life) {
		worst, most := stageStarted, 0
		for _, i := range [...]int{stageRinging, stageAnswered, stageEnded, stageStarted} {
			if n := l.objections(life, i, *life[i]); n > most || n > 0 && n == most && life[i].Src > life[worst].Src {
				worst, most = i, n
			}
		}
		v.refuted = true
		v.Remarks |= call.FlagClockSkew
		told := *life[worst]
		*life[worst] = call.Instant{}
		if !given[worst] && !v.late {
			given[worst] = true
			*life[worst] = l.eventOf(life, worst, told.At)
		}
		v.Withheld = v.Withheld || !life[worst].Known()
		v.Claimed = v.Claimed && worst != stageEnded
	}
}

// contradictory reports whether any two of the instants contradict each other.
func (l *Leg) contradictory(life [stages]*call.Instant) bool {
	for i, a := range life {
		for j := i + 1; j < stages; j++ {
			if l.contradict(*a, i, *life[j], j) {
				return true
			}
		}
	}
	return false
}

// contradict reports whether a, of an earlier stage, and b cannot both be true: a is
// stamped after b, or so long before it as nobody waits for an answer. A Kafka
// timestamp may be late, so it tells only by being too early. Ringing counts where a
// field names it: its event repeats for each agent, and the one that came before the
// answer may be lost.
func (l *Leg) contradict(a call.Instant, i int, b call.Instant, j int) bool {
	switch {
	case !a.Known() || !b.Known() || i == stageRinging && j == stageAnswered && a.Src == call.EvidenceEvent:
		return false
	case a.Src != call.EvidenceIngest && a.At > b.At+call.Time(b.Precision)+call.Impossible:
		return true
	default:
		return b.Src != call.EvidenceIngest && b.At > a.At+call.LongestWait && (j <= stageAnswered || !l.Answered())
	}
}

// objections counts the statements that contradict at as the instant of stage i: the
// other instants, and the leg's events.
func (l *Leg) objections(life [stages]*call.Instant, i int, at call.Instant) (n int) {
	if !at.Known() {
		return 0
	}
	for j, other := range life {
		if j < i && l.contradict(*other, j, at, i) || j > i && l.contradict(at, i, *other, j) {
			n++
		}
	}
	for k := range l.Moments {
		m := &l.Moments[k]
		j, tells := stageOf(m.Type)
		told := call.Instant{At: m.At, Src: m.Src, Precision: 1}
		switch {
		case !tells, j == stageRinging && i > j: // it rings again at the next agent
		case j < i && l.contradict(told, j, at, i), j >= i && l.contradict(at, i, told, j):
			n++
		}
	}
	return n
}

// eventOf is the time of the first event that tells of stage i, other than the one that
// is not believed; absent where none can be true.
func (l *Leg) eventOf(life [stages]*call.Instant, i int, untrue call.Time) call.Instant {
	for k := range l.Moments {
		m := &l.Moments[k]
		at := call.Instant{At: m.At, Src: m.Src, Precision: 1}
		if j, tells := stageOf(m.Type); !tells || j != i || m.At == untrue {
			continue
		}
		fits := true
		for j, other := range life {
			fits = fits && !(j < i && l.contradict(*other, j, at, i)) && !(j > i && l.contradict(at, i, *other, j))
		}
		if fits {
			return at
		}
	}
	return call.Instant{}
}
