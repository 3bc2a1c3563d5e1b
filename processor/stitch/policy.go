package stitch

import (
	"cmp"
	"slices"
	"strings"

	"callstitch/processor/call"
)

// Limits of what one leg keeps. What exceeds them is dropped by the order of
// the set, never by the order of arrival, so the rest is the same for every
// order.
const (
	momentsMax    = 64 // a call of minutes has ten; more is keypad input, which gives way first
	recordingsMax = 16 // a call is recorded once or twice
	attributesMax = 32 // the decoders allow fewer keys; this bounds a damaged configuration
	tiesMax       = 16 // a leg names two flows; a tag that is rewritten mid-call adds more
	hangupsMax    = 4  // two tell a transfer; more tell nothing more
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
	{"earliest", "smallest", "names the session, so it must not depend on evidence that comes later"},
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
	{"cause", "one group: own before a copy's, most facts, then first by (end's evidence and time, state rank, event id)", "cause, code and party of different events must not be mixed"},
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
	{"firstSource", "smallest by (timestamp, topic, partition, offset)", "not canonical"},
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
	at       int64
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

// rankOf orders event types by the lifecycle; an unknown one tells least.
func rankOf(t call.EventType) uint8 {
	if t == call.Unknown {
		return 255
	}
	return uint8(t)
}

// pick keeps the statement of the smallest precedence.
type pick[T any] struct {
	by    precedence
	value T
}

// offer takes the statement if it comes first. Two contents of one event tie,
// and the smaller value wins.
func (p *pick[T]) offer(by precedence, value T, compare func(a, b T) int) {
	if p.by.standing != unsaid {
		c := by.compare(p.by)
		if c > 0 || c == 0 && compare(value, p.value) >= 0 {
			return
		}
	}
	p.by, p.value = by, value
}

func (p *pick[T]) known() bool { return p.by.standing != unsaid }

func compareParties(a, b call.Party) int {
	return cmp.Or(strings.Compare(a.Raw, b.Raw), strings.Compare(a.E164, b.E164), cmp.Compare(a.Kind, b.Kind))
}

// moment is one entry of a leg's timeline.
type moment struct {
	at     int64
	id     uint32
	typ    call.EventType
	src    call.Evidence
	kind   call.PartyKind
	callee string // who was rung, answered or left, where one call id serves several agents
}

// expendable reports whether an event of type t gives up its place when there are
// too many: it tells nothing about the course of the call.
func expendable(t call.EventType) bool {
	switch t {
	case call.Unknown, call.DTMF, call.CallUpdated, call.MachineDetected, call.RecordingStarted,
		call.RecordingCompleted, call.RecordingAvailable, call.TranscriptionAvailable:
		return true
	default:
		return false
	}
}

func compareMoments(a, b moment) int {
	if x, y := expendable(a.typ), expendable(b.typ); x != y {
		if y {
			return -1
		}
		return 1
	}
	if c := cmp.Compare(a.at, b.at); c != 0 {
		return c
	}
	if c := cmp.Compare(a.typ, b.typ); c != 0 {
		return c
	}
	if c := cmp.Compare(a.id, b.id); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.src, b.src), strings.Compare(a.callee, b.callee), cmp.Compare(a.kind, b.kind))
}

// addMoment puts m into the set. It returns true if the set overflowed. An
// event that is told again with an earlier time moves forward; what fell out
// never has to come back, because places only move forward.
func addMoment(set *[]moment, m moment) (overflow bool) {
	s := *set
	for i := range s {
		if s[i].id == m.id && s[i].typ == m.typ {
			if compareMoments(m, s[i]) >= 0 {
				return false
			}
			s = slices.Delete(s, i, i+1)
			break
		}
	}
	i := len(s)
	for i > 0 && compareMoments(m, s[i-1]) < 0 {
		i--
	}
	if len(s) == momentsMax {
		if i == momentsMax {
			return true
		}
		s, overflow = s[:momentsMax-1], true
	}
	if s == nil {
		s = make([]moment, 0, 6)
	}
	*set = slices.Insert(s, i, m)
	return overflow
}

// tie is one side of a link: its kind, and a hash that equals another leg's
// where both name the same value.
type tie struct {
	kind call.LinkKind
	hash uint64
}

func compareTies(a, b tie) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.hash, b.hash))
}

// hangup is one content of a once-only hang-up event.
type hangup struct {
	at      int64 // 0 where not known
	content uint64
}

func compareHangups(a, b hangup) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.content, b.content))
}

// addHangup keeps the smallest time of each content.
func addHangup(set *[]hangup, h hangup) {
	s := *set
	if i := slices.IndexFunc(s, func(o hangup) bool { return o.content == h.content }); i >= 0 {
		if s[i].at <= h.at {
			return
		}
		s = slices.Delete(s, i, i+1)
	}
	*set = addSorted(s, h, hangupsMax, compareHangups)
}

// recording is what is known of one recording.
type recording struct {
	id          string
	status      call.RecordingStatus
	transcribed bool
	startedAt   int64 // 0 where not known
	availableAt int64 // 0 where not known
	durationMS  call.Int
	channels    call.Int
	url, format pick[string]
}

// addRecording merges a fact into the recording of its id.
func addRecording(set *[]recording, by precedence, f *call.RecordingFact) {
	i, found := slices.BinarySearchFunc(*set, f.ID, func(r recording, id string) int { return strings.Compare(r.id, id) })
	if !found {
		if i == recordingsMax {
			return
		}
		s := *set
		*set = slices.Insert(s[:min(len(s), recordingsMax-1)], i, recording{id: f.ID})
	}
	(*set)[i].merge(by, f)
}

func (r *recording) merge(by precedence, f *call.RecordingFact) {
	r.status = max(r.status, f.Status)
	r.transcribed = r.transcribed || f.Transcribed
	r.startedAt = smallest(r.startedAt, f.StartedAt)
	r.availableAt = smallest(r.availableAt, f.AvailableAt)
	r.durationMS = largest(r.durationMS, f.DurationMS)
	r.channels = largest(r.channels, f.Channels)
	offerText(&r.url, by, f.URL)
	offerText(&r.format, by, f.Format)
}

// largest is the larger of two numbers, any of them rather than none.
func largest(a, b call.Int) call.Int {
	if !a.Known || b.Known && b.N > a.N {
		return b
	}
	return a
}

// attribute is the winning value of one key.
type attribute struct {
	key   string
	value pick[string]
}

// addAttribute merges a value into the attribute of its key.
func addAttribute(set *[]attribute, by precedence, a call.Attribute) {
	i, found := slices.BinarySearchFunc(*set, a.Key, func(o attribute, key string) int { return strings.Compare(o.key, key) })
	if !found {
		if i == attributesMax {
			return
		}
		s := *set
		*set = slices.Insert(s[:min(len(s), attributesMax-1)], i, attribute{key: a.Key})
	}
	(*set)[i].value.offer(by, a.Value, strings.Compare)
}

// addSorted inserts v into a sorted set of at most limit values; the largest
// falls out.
func addSorted[T any](s []T, v T, limit int, compare func(a, b T) int) []T {
	i, found := slices.BinarySearchFunc(s, v, compare)
	if found || i == limit {
		return s
	}
	return slices.Insert(s[:min(len(s), limit-1)], i, v)
}

// smallest is the earlier of two instants, 0 being one that is not known: no
// instant of a record lies before the year 2000.
func smallest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
