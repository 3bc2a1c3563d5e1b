package decode

import "callstitch/processor/call"

// The stages of a call's life in one event, in the order in which they happen; the
// last one is that the provider tells of it.
const (
	stageQueued = iota
	stageStarted
	stageRinging
	stageAnswered
	stageEnded
	stageTold
	stages
)

// life is what one event states of the stages; what it does not state is 0.
type life [stages]call.Time

// contradicts reports whether two stages are stated in the wrong order, by more than
// clocks are off, or in the right one with a wait between them that nobody has.
func (l *life) contradicts(i, j int) bool {
	if i > j {
		i, j = j, i
	}
	return l[i].Known() && l[j].Known() && (l[i] > l[j]+call.Impossible || j <= stageAnswered && l[j] > l[i]+call.LongestWait)
}

// impossible is the stage whose statement is to be given up first: the one that the
// most others contradict, and of several the one furthest from witness, which is when
// the event was told; -1 where all can be true.
//
//	answered       started   ended told
//	   ┆              ├────────┤  ┆       the answer, weeks before the others
//	started answered           told   ended
//	   ├───────┼────────────────┆       ┆  the end, which was told before it was
func (l *life) impossible(witness call.Time) int {
	if call.Follow(l[:]) {
		return -1
	}
	worst, most := -1, 0
	for i := range l {
		n := 0
		for j := range l {
			if l.contradicts(i, j) {
				n++
			}
		}
		if n > most || n > 0 && n == most && l.from(i, witness) > l.from(worst, witness) {
			worst, most = i, n
		}
	}
	return worst
}

func (l *life) from(i int, witness call.Time) call.Time {
	return max(l[i]-witness, witness-l[i])
}

// doubt takes from the event what its other statements rule out, so that it moves
// nothing: a fold that keeps the earliest answer would keep one of weeks ago.
func (d *draft) doubt() {
	e := d.event
	answered := e.Answered.Known()
	witness := d.witness()
	instants := [stages]*call.Instant{
		stageStarted: &e.Started, stageRinging: &e.Ringing, stageAnswered: &e.Answered, stageEnded: &e.Ended,
	}
	l := life{stageQueued: e.QueuedAt, stageTold: e.ReportedAt}
	for i, at := range instants {
		if at != nil && stated(*at) {
			l[i] = at.At
		}
	}
	for i := l.impossible(witness); i >= 0; i = l.impossible(witness) {
		e.Flags |= call.FlagClockSkew
		switch {
		case i == stageQueued:
			e.QueuedAt = 0
		case i == stageTold:
			d.untold()
		default:
			d.unstate(instants[i])
		}
		l[i] = 0
	}
	if answered && !e.Answered.Known() {
		e.Answered = call.Sometime() // that it was answered is no question of when
	}
	d.doubtSnapshot()
}

// witness is when the event was told, or else happened.
func (d *draft) witness() call.Time {
	if d.event.ReportedAt.Known() {
		return d.event.ReportedAt
	}
	return d.event.Time.At
}

// stated reports whether the instant is a statement of its own, and not the event's
// time or Kafka's.
func stated(at call.Instant) bool {
	return at.Src != call.EvidenceEvent && at.Src != call.EvidenceIngest
}

// unstate takes back an instant. If the event is about it, the event's time stands
// for it, as where it was not named at all.
func (d *draft) unstate(at *call.Instant) {
	e := d.event
	if e.Time == *at { // it was the event's time
		e.Time = call.Instant{At: e.ReportedAt, Src: call.EvidenceEvent, Precision: 1}
		if !e.ReportedAt.Known() {
			e.Time = call.Instant{}
			d.settle()
		}
	}
	*at = call.Instant{}
	if at == subject(e) {
		*at = e.Time
	}
}

// untold takes back when the event was told, and what stands on that alone.
func (d *draft) untold() {
	e := d.event
	e.ReportedAt = 0
	told := e.Time
	if told.Src != call.EvidenceEvent {
		return
	}
	e.Time = call.Instant{}
	d.settle()
	if at := subject(e); at != nil && *at == told {
		*at = e.Time
	}
}

// subject is the instant that the event is about, nil where it is about none.
func subject(e *call.Event) *call.Instant {
	switch e.Type {
	case call.EventCallInitiated:
		return &e.Started
	case call.EventCallRinging:
		return &e.Ringing
	case call.EventCallAnswered:
		return &e.Answered
	case call.EventCallEnded, call.EventCallDestroyed:
		return &e.Ended
	default:
		return nil
	}
}

// doubtSnapshot does the same for the copy of another leg.
func (d *draft) doubtSnapshot() {
	s := d.event.Snapshot
	if s == nil {
		return
	}
	witness := d.witness()
	l := life{stageTold: d.event.ReportedAt}
	instants := [stages]*call.Instant{
		stageStarted: &s.Started, stageRinging: &s.Ringing, stageAnswered: &s.Answered, stageEnded: &s.Ended,
	}
	for i, at := range instants {
		if at != nil {
			l[i] = at.At
		}
	}
	for i := l.impossible(witness); i >= 0; i = l.impossible(witness) {
		d.event.Flags |= call.FlagClockSkew
		if instants[i] != nil {
			*instants[i] = call.Instant{}
		}
		l[i] = 0
	}
	if d.event.ReportedAt.Known() && s.Alive.At > d.event.ReportedAt+call.Impossible {
		s.Alive = call.Instant{}
		d.event.Flags |= call.FlagClockSkew
	}
}
