package leg

import (
	"cmp"
	"strings"

	"callstitch/processor/call"
)

// policy says how a leg merges what its events say about one field.
type policy struct {
	Field  string // of leg
	Policy string
	Why    string
}

// policies is the fold, field by field. Every policy is commutative,
// associative and idempotent, except the last ones, which count deliveries and
// are not part of a record's canonical form.
var policies = []policy{
	{"id", "constant", "the leg's identity"},
	{"tenant", "constant", "part of the leg's identity"},
	{"provider", "constant", "part of the leg's identity"},
	{"scope", "constant", "part of the leg's identity"},
	{"callID", "constant", "part of the leg's identity"},
	{"started", "earliest of best evidence", "a reported start beats the time of whatever event came with it"},
	{"ringing", "earliest of best evidence", "ringing repeats for each agent; the first one began the wait"},
	{"answer", "earliest of best evidence", "answers repeat after a transfer; the first one began the talk"},
	{"hangup", "earliest of best evidence", "destroyed and a second hang-up come after the end and do not move it"},
	{"miss", "earliest of best evidence", "apart from hangup, because a call missed by one user may be answered by another"},
	{"marks", "union", "what was seen at all, also where its time is not known"},
	{"queued", "smallest", "the call waits from when it was queued first"},
	{"earliest", "smallest", "names the session, unless it cannot be"},
	{"firstEvent", "smallest", "span of the evidence"},
	{"newest", "largest", "span of the evidence; a Kafka timestamp does not count, as a copy may lower it"},
	{"alive", "largest", "a lost end is replaced by the last evidence of life, never by more"},
	{"answeredBy", "largest in the order UNKNOWN, SYSTEM, HUMAN, MACHINE", "detection corrects the first guess, and a machine is the costlier error"},
	{"direction", "first by (time, state rank, event id)", "the earliest event saw the call before anything rewrote it"},
	{"from", "first by (time, state rank, event id)", "transfers rewrite parties"},
	{"to", "first by (time, state rank, event id)", "the party that was called, not the one that answered after a transfer"},
	{"account", "first by (time, state rank, event id)", "missing from some events of a call"},
	{"parentCallID", "first by (time, state rank, event id)", "a leg has one parent"},
	{"conferenceID", "first by (time, state rank, event id)", "a leg may change rooms; the first one is kept"},
	{"transferType", "first by (time, state rank, event id)", "the first passing-on that says its kind"},
	{"duration", "first by (end's evidence and time, state rank, event id)", "the claim belongs to the end that counts"},
	{"talk", "first by (end's evidence and time, state rank, event id)", "the claim belongs to the end that counts"},
	{"cause", "one group: own before a copy's, a transfer's before a hang-up's, most facts, then first by (end's evidence and time, state rank, event id)", "cause, code and party of different events must not be mixed"},
	{"attributes", "for each key first by (time, state rank, event id); the 32 smallest keys", "a tag may be rewritten mid-call"},
	{"moments", "for each event the smallest time; the 64 first by (lifecycle before the rest, time, type, event id)", "keypad input must not push out the answers"},
	{"recordings", "for each id: largest status, duration and channels, smallest instants, first URL and format; the 16 smallest ids", "a recording only grows"},
	{"ties", "union; the 16 smallest by (kind, value)", "what joined the leg to others"},
	{"hangups", "for each content the smallest time; the 4 first", "two different hang-ups of one call tell an attended transfer"},
	{"flags", "union", "a remark stays true"},
	{"events", "number of accepted events", "ties to the audit"},
	{"arrival", "largest", "when the waiting began; not in the record"},
	{"duplicates", "count of deliveries", "not canonical"},
	{"late", "count of deliveries", "not canonical"},
	{"outOfOrder", "count of deliveries", "not canonical"},
	{"firstSource", "smallest by (timestamp, topic, partition, offset), of copies too", "its timestamp decides which of two legs of one instant came first; the rest is not canonical"},
	{"lastSource", "largest by (timestamp, topic, partition, offset)", "not canonical"},
}

// standing is how strongly a statement is made; the first two are of the leg's
// own events.
type standing uint8

const (
	unsaid    standing = iota
	dated              // by an event with a time
	undated            // by an event without one, as in raw files
	witnessed          // by a copy of the leg in another leg's event
)

// precedence orders the statements of several events about one field.
type precedence struct {
	at       call.Time
	id       uint32 // of the event, to break ties for good
	standing standing
	rank     uint8 // of the event's state in the lifecycle
}

func (p precedence) compare(o precedence) int {
	if c := cmp.Compare(p.standing, o.standing); c != 0 {
		return c
	}
	if c := cmp.Compare(p.at, o.at); c != 0 {
		return c
	}
	if c := cmp.Compare(p.rank, o.rank); c != 0 {
		return c
	}
	return cmp.Compare(p.id, o.id)
}

// Pick is what the events say of one field: of their statements the one of the
// smallest precedence. Value is the zero value where none was made.
type Pick[T any] struct {
	by    precedence
	Value T
}

// offer takes the statement if it comes first. Two contents of one event tie,
// and the smaller value wins.
func (p *Pick[T]) offer(by precedence, value T, compare func(a, b T) int) {
	if p.by.standing != unsaid {
		c := by.compare(p.by)
		if c > 0 || c == 0 && compare(value, p.Value) >= 0 {
			return
		}
	}
	p.by, p.Value = by, value
}

// Known reports whether any statement was made.
func (p *Pick[T]) Known() bool { return p.by.standing != unsaid }

func compareParties(a, b call.Party) int {
	return cmp.Or(strings.Compare(a.Raw, b.Raw), strings.Compare(a.E164, b.E164), cmp.Compare(a.Kind, b.Kind))
}
