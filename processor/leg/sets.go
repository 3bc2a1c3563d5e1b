package leg

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
	AttributesMax = 32 // the decoders allow fewer keys; this bounds a damaged configuration
	tiesMax       = 16 // a leg names two flows; a tag that is rewritten mid-call adds more
	hangupsMax    = 4  // two tell a transfer; more tell nothing more
)

// Moment is one entry of a leg's timeline: an event that has a time.
type Moment struct {
	At     call.Time
	id     uint32
	Type   call.EventType
	Src    call.Evidence
	Kind   call.PartyKind // what the callee is
	Callee string         // who was rung, answered or left, where one call id serves several agents; else empty
}

// expendable reports whether an event of type t gives up its place when there are
// too many: it tells nothing about the course of the call.
func expendable(t call.EventType) bool {
	switch t {
	case call.EventUnknown, call.EventDTMF, call.EventCallUpdated, call.EventMachineDetected, call.EventRecordingStarted,
		call.EventRecordingCompleted, call.EventRecordingAvailable, call.EventTranscriptionAvailable:
		return true
	default:
		return false
	}
}

func compareMoments(a, b Moment) int {
	if x, y := expendable(a.Type), expendable(b.Type); x != y {
		if y {
			return -1
		}
		return 1
	}
	if c := cmp.Compare(a.At, b.At); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Type, b.Type); c != 0 {
		return c
	}
	if c := cmp.Compare(a.id, b.id); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Src, b.Src), strings.Compare(a.Callee, b.Callee), cmp.Compare(a.Kind, b.Kind))
}

// addMoment puts m into the set. It returns true if the set overflowed. An
// event that is told again with an earlier time moves forward; what fell out
// never has to come back, because places only move forward.
func addMoment(set *[]Moment, m Moment) (overflow bool) {
	s := *set
	for i := range s {
		if s[i].id == m.id && s[i].Type == m.Type {
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
		s = make([]Moment, 0, 6)
	}
	*set = slices.Insert(s, i, m)
	return overflow
}

// Tie is one side of a link: its kind, and a hash that equals another leg's
// where both name the same value.
type Tie struct {
	Kind call.LinkKind
	Hash uint64
}

func compareTies(a, b Tie) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Hash, b.Hash))
}

// hangup is one content of a once-only hang-up event.
type hangup struct {
	at      call.Time
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

// Recording is what is known of one recording.
type Recording struct {
	ID          string
	Status      call.RecordingStatus
	Transcribed bool
	StartedAt   call.Time
	AvailableAt call.Time
	DurationMS  call.Int
	Channels    call.Int
	URL, Format Pick[string]
}

// addRecording merges a fact into the recording of its id.
func addRecording(set *[]Recording, by precedence, f *call.RecordingFact) {
	i, found := slices.BinarySearchFunc(*set, f.ID, func(r Recording, id string) int { return strings.Compare(r.ID, id) })
	if !found {
		if i == recordingsMax {
			return
		}
		s := *set
		*set = slices.Insert(s[:min(len(s), recordingsMax-1)], i, Recording{ID: f.ID})
	}
	(*set)[i].merge(by, f)
}

func (r *Recording) merge(by precedence, f *call.RecordingFact) {
	r.Status = max(r.Status, f.Status)
	r.Transcribed = r.Transcribed || f.Transcribed
	r.StartedAt = Earlier(r.StartedAt, f.StartedAt)
	r.AvailableAt = Earlier(r.AvailableAt, f.AvailableAt)
	r.DurationMS = largest(r.DurationMS, f.DurationMS)
	r.Channels = largest(r.Channels, f.Channels)
	offerText(&r.URL, by, f.URL)
	offerText(&r.Format, by, f.Format)
}

// largest is the larger of two numbers, any of them rather than none.
func largest(a, b call.Int) call.Int {
	if !a.Known || b.Known && b.N > a.N {
		return b
	}
	return a
}

// Attribute is the winning value of one key.
type Attribute struct {
	Key  string
	Text Pick[string]
}

// addAttribute merges a value into the attribute of its key.
func addAttribute(set *[]Attribute, by precedence, a call.Attribute) {
	i, found := slices.BinarySearchFunc(*set, a.Key, func(o Attribute, key string) int { return strings.Compare(o.Key, key) })
	if !found {
		if i == AttributesMax {
			return
		}
		s := *set
		*set = slices.Insert(s[:min(len(s), AttributesMax-1)], i, Attribute{Key: a.Key})
	}
	(*set)[i].Text.offer(by, a.Value, strings.Compare)
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

// Earlier is the earlier of two instants, any of them rather than none.
func Earlier(a, b call.Time) call.Time {
	if !a.Known() || b.Known() && b < a {
		return b
	}
	return a
}
