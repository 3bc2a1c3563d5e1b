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
