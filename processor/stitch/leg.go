package stitch

import (
	"cmp"
	"strings"
	"time"

	"callstitch/processor/call"
)

// marks is what was seen of a leg at all. An instant may be unknown although
// the fact is certain: a raw file has no clock for providers that send none.
type marks uint16

const (
	initiated    marks = 1 << iota // a set-up event
	rang                           // an event or instant of ringing
	picked                         // an event or instant that only an answered call has
	answerTold                     // an event whose own subject is the answer
	hungUp                         // an event or instant of the end
	missedCall                     // missed by a user, which ends only a call that nobody answers
	platformTook                   // the answer is the platform's own
	tookMessage                    // the platform says that a message was taken
	agentGone                      // an agent or channel left
	momentsCut                     // the timeline overflowed
	bridged                        // connected to a call or room that no link names
)

// leg is the commutative fold over the set of one leg's accepted events; the
// table policies says how each field merges. An instant of 0 is not known.
type leg struct {
	id            call.LegID
	tenant        string
	provider      call.Provider
	scope, callID string

	started, ringing, answer, hangup, miss call.Instant

	marks      marks
	answeredBy call.Answerer
	flags      call.Flags

	queued     int64 // when the provider queued the call; no instant of the leg's life
	earliest   int64 // plain minimum of every instant
	firstEvent int64
	newest     int64 // largest event time that is not a Kafka timestamp
	alive      int64 // last proof that the call went on

	direction    pick[call.Direction]
	from, to     pick[call.Party]
	account      pick[string]
	parentCallID pick[string]
	conferenceID pick[string]
	transferType pick[call.TransferType]
	duration     pick[int64] // seconds, the provider's claim
	talk         pick[int64]
	cause        pick[call.Ending]

	attributes []attribute // by key
	moments    []moment    // by compareMoments
	recordings []recording // by id
	ties       []tie
	hangups    []hangup

	arrival                              int64
	events, duplicates, late, outOfOrder int32
	firstSource, lastSource              position
}

// position is where a raw record was read, and when it was written there.
type position struct {
	source     call.Source
	ingestedAt int64
}

func (p position) compare(o position) int {
	return cmp.Or(
		cmp.Compare(p.ingestedAt, o.ingestedAt), strings.Compare(p.source.Topic, o.source.Topic),
		cmp.Compare(p.source.Partition, o.source.Partition), cmp.Compare(p.source.Offset, o.source.Offset),
	)
}

// first is the plain minimum of every accepted instant of whatever class; false
// where none is known.
func (l *leg) first() (int64, bool) { return l.earliest, l.earliest != 0 }

// saw reports whether something was seen of the leg.
func (l *leg) saw(m marks) bool { return l.marks&m != 0 }

// answered reports whether the leg was answered, by whomever.
func (l *leg) answered() bool { return l.saw(picked) }

// ended reports whether the leg is known to have ended. A call that one user
// missed and another answered goes on.
func (l *leg) ended() bool {
	return l.saw(hungUp) || l.saw(missedCall) && !l.answered()
}

// end is when the leg ended, absent where that is not known.
func (l *leg) end() call.Instant {
	switch {
	case l.saw(hungUp):
		return l.hangup
	case l.ended():
		return l.miss
	default:
		return call.Instant{}
	}
}

// holdsUntil is the arrival time, in epoch milliseconds, until which the leg
// keeps its session open.
func (l *leg) holdsUntil(t Timeouts) int64 {
	wait := t.Unanswered
	switch {
	case l.ended():
		wait = t.Grace
	case l.answered():
		wait = t.Answered
	}
	return l.arrival + wait.Milliseconds()
}

// Timeouts are how long a leg is waited for after its last arrival: an ended one
// for stragglers, the others for an end that may never arrive.
type Timeouts struct{ Grace, Unanswered, Answered time.Duration }

// twiceHungUp reports whether the leg hung up a second time, which tells that it
// was the consultation of an attended transfer, and when; 0 where that is not
// known.
func (l *leg) twiceHungUp() (at int64, yes bool) {
	if len(l.hangups) < 2 {
		return 0, false
	}
	return l.hangups[1].at, true
}

// lastAlive is the last evidence that the leg was alive, 0 where there is none.
func (l *leg) lastAlive() int64 {
	t := max(l.alive, l.started.At, l.ringing.At, l.answer.At, l.end().At)
	for i := range l.moments {
		if provesLife(l.moments[i].typ) {
			t = max(t, l.moments[i].at)
		}
	}
	return t
}

// lastEvent is the time of the leg's last event, 0 where none is known. Kafka
// timestamps are taken from the timeline, where a copy may have lowered them.
func (l *leg) lastEvent() int64 {
	t := l.newest
	for i := range l.moments {
		t = max(t, l.moments[i].at)
	}
	return t
}

// provesLife reports whether an event of type t is sent only while the call is up.
// Recordings and transcripts follow minutes after its end.
func provesLife(t call.EventType) bool {
	switch t {
	case call.RecordingCompleted, call.RecordingAvailable, call.TranscriptionAvailable:
		return false
	default:
		return true
	}
}

// why is the ending that counts: a miss does not explain an answered call.
func (l *leg) why() call.Ending {
	if l.cause.by.rank == call.CallMissed.Rank() && l.answered() {
		return call.Ending{}
	}
	return l.cause.value
}

// parentLeg is the id of the leg that this one names as its parent.
func (l *leg) parentLeg() *call.LegID {
	if !l.parentCallID.known() {
		return nil
	}
	id := call.NewLegID(l.tenant, l.provider, l.scope, l.parentCallID.value)
	return &id
}

// extras are the leg's attributes in the form of records, sorted by key.
func (l *leg) extras() []call.Attribute {
	if len(l.attributes) == 0 {
		return nil
	}
	all := make([]call.Attribute, len(l.attributes))
	for i, a := range l.attributes {
		all[i] = call.Attribute{Key: a.key, Value: a.value.value}
	}
	return all
}
