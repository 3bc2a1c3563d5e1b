package leg

import (
	"bytes"
	"cmp"
	"strings"
	"time"

	"callstitch/processor/call"
)

// Leg is what is known of one leg: the commutative fold over the set of its
// accepted events. The table policies says how each field merges. Only the
// methods of this package change a leg; sessions read it.
type Leg struct {
	ID       call.LegID
	Tenant   string
	Provider call.Provider
	scope    string
	CallID   string

	started, ringing, answer call.Instant // by the strongest evidence; answer: the first, whoever gave it
	hangup, miss             call.Instant // end chooses between them

	marks      Marks
	AnsweredBy call.Answerer
	Flags      call.Flags

	Queued     call.Time // when the provider queued the call; no instant of the leg's life
	Earliest   call.Time // plain minimum of every instant of whatever evidence
	FirstEvent call.Time
	newest     call.Time // largest event time that is not a Kafka timestamp
	alive      call.Time // last proof that the call went on

	Direction    Pick[call.Direction]
	From, To     Pick[call.Party]
	Account      Pick[string]
	ParentCallID Pick[string]
	ConferenceID Pick[string]
	TransferType Pick[call.TransferType]
	Duration     Pick[int64] // seconds, the provider's claim
	Talk         Pick[int64] // seconds, the provider's claim
	cause        Pick[call.Ending]

	Attributes []Attribute // by key
	Moments    []Moment    // what told of the call's course first, then by time
	Recordings []Recording // by id
	Ties       []Tie
	hangups    []hangup

	Arrival                              call.Arrival // the last one
	Events, Duplicates, Late, OutOfOrder int32
	FirstSource, LastSource              Position
}

// Marks are what was seen of a leg at all. An instant may be unknown although
// the fact is certain: a raw file has no clock for providers that send none.
type Marks uint16

// The marks.
const (
	Initiated        Marks = 1 << iota // a set-up event
	Rang                               // an event or instant of ringing
	connected                          // an event or instant that only an answered call has
	answerTold                         // an event whose own subject is the answer
	hungUp                             // an event or instant of the end
	Missed                             // missed by a user, which ends only a call that nobody answers
	PlatformAnswered                   // the answer is the platform's own
	MessageTaken                       // the platform says that a message was taken
	AgentLeft                          // an agent or channel left
	MomentsCut                         // the timeline overflowed
	Bridged                            // connected to a call or room that no link names
)

// Saw reports whether any of the marks was seen of the leg.
func (l *Leg) Saw(m Marks) bool { return l.marks&m != 0 }

// Answered reports whether the leg was answered, by whomever.
func (l *Leg) Answered() bool { return l.Saw(connected) }

// Ended reports whether the leg is known to have ended. A call that one user
// missed and another answered goes on.
func (l *Leg) Ended() bool {
	return l.Saw(hungUp) || l.Saw(Missed) && !l.Answered()
}

// end is when the leg ended by the strongest evidence, absent where that is not known.
func (l *Leg) end() call.Instant {
	switch {
	case l.Saw(hungUp):
		return l.hangup
	case l.Ended():
		return l.miss
	default:
		return call.Instant{}
	}
}

// HoldsUntil is the arrival time until which the leg
// keeps its session open.
func (l *Leg) HoldsUntil(t Timeouts) call.Arrival {
	wait := t.Unanswered
	switch {
	case l.Ended():
		wait = t.Grace
	case l.Answered():
		wait = t.Answered
	}
	return l.Arrival.Add(wait)
}

// Timeouts are how long a leg is waited for after its last arrival: an ended one
// for stragglers, the others for an end that may never arrive.
type Timeouts struct{ Grace, Unanswered, Answered time.Duration }

// HungUpTwice reports whether the leg hung up a second time, which tells that it
// was the consultation of an attended transfer, and when, as far as
// that is known.
func (l *Leg) HungUpTwice() (at call.Time, yes bool) {
	if len(l.hangups) < 2 {
		return 0, false
	}
	return l.hangups[1].at, true
}

// LastAlive is the last evidence that the leg was alive, not known where there is none.
func (l *Leg) LastAlive() call.Time {
	v := l.Life()
	t := max(l.alive, v.Started.At, v.Ringing.At, v.Answer.At, v.End.At)
	for i := range l.Moments {
		if m := &l.Moments[i]; provesLife(m.Type) && !(v.late && m.Src == call.EvidenceIngest) {
			t = max(t, l.Moments[i].At)
		}
	}
	return t
}

// LastEvent is the time of the leg's last event, not known where none had one. Kafka
// timestamps are taken from the timeline, where a copy may have lowered them.
func (l *Leg) LastEvent() call.Time {
	t := l.newest
	for i := range l.Moments {
		t = max(t, l.Moments[i].At)
	}
	return t
}

// provesLife reports whether an event of type t is sent only while the call is up.
// Recordings and transcripts follow minutes after its end.
func provesLife(t call.EventType) bool {
	switch t {
	case call.EventRecordingCompleted, call.EventRecordingAvailable, call.EventTranscriptionAvailable:
		return false
	default:
		return true
	}
}

// Ending is why and by whom the leg ended, as far as that counts: a miss does not
// explain an answered call.
func (l *Leg) Ending() call.Ending {
	if l.cause.by.rank == call.EventCallMissed.Rank() && l.Answered() {
		return call.Ending{}
	}
	return l.cause.Value
}

// ParentLeg is the id of the leg that this one names as its parent; nil for none.
func (l *Leg) ParentLeg() *call.LegID {
	if !l.ParentCallID.Known() {
		return nil
	}
	id := call.NewLegID(l.Tenant, l.Provider, l.scope, l.ParentCallID.Value)
	return &id
}

// Extras are the leg's attributes in the form of records, sorted by key; the
// caller's own.
func (l *Leg) Extras() []call.Attribute {
	if len(l.Attributes) == 0 {
		return nil
	}
	all := make([]call.Attribute, len(l.Attributes))
	for i, a := range l.Attributes {
		all[i] = call.Attribute{Key: a.Key, Value: a.Text.Value}
	}
	return all
}

// Position is where a raw record was read, and when it was written there.
type Position struct {
	Source     call.Source
	ingestedAt int64
}

// Compare orders positions by time, then by place.
func (p Position) Compare(o Position) int {
	return cmp.Or(
		cmp.Compare(p.ingestedAt, o.ingestedAt), strings.Compare(p.Source.Topic, o.Source.Topic),
		cmp.Compare(p.Source.Partition, o.Source.Partition), cmp.Compare(p.Source.Offset, o.Source.Offset),
	)
}

// CompareFirst orders legs by which was heard of first: by the Kafka timestamp of the
// first record about each, then by id. Legs that only other legs' records tell of come
// last. It decides between legs of one instant, such as those of a ring group whose
// provider dates them in whole seconds.
func CompareFirst(a, b *Leg) int {
	if known := a.Events > 0; known != (b.Events > 0) {
		if known {
			return -1
		}
		return 1
	}
	if c := cmp.Compare(a.FirstSource.ingestedAt, b.FirstSource.ingestedAt); c != 0 {
		return c
	}
	return bytes.Compare(a.ID[:], b.ID[:])
}
