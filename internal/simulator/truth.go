package simulator

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"slices"
	"strconv"
)

// Truth is what a processor must say of one session in its last record: the
// fields of a CallSession that follow from the drawn call. It is written as one
// JSON object with the field names of CallSession, instants in epoch milliseconds.
//
// A Truth names only what is certain. Where records of the call were lost, the
// fields that rested on them are not named, "lossy" is true, and legs lists
// every leg that there was, seen or not. Without session_id the truth cannot even
// say under which ids what remains of the call comes out.
type Truth struct {
	SessionID string
	Tenant    string
	Provider  string
	Lossy     bool

	CloseReason string // NORMAL, or TIMEOUT where the provider went silent
	EndLost     bool
	Direction   string
	From, To    party
	Disposition string
	AnsweredBy  string

	Started, Ringing, PlatformAnswered, Answered, Ended moment

	RingMS, TalkMS, TotalMS length

	LegCount, AnsweredLegCount, TransferCount int64
	Transfers                                 []passing
	HangupCause, HangupParty                  string // empty: null
	ConferenceID                              string
	EventCount                                int64    // different events, however often delivered
	RecordingIDs                              []string // sorted
	CallIDs                                   []string // the provider's ids of the legs, sorted

	named Fields
}

// moment is an instant with its class of evidence; at 0 it was not observed.
type moment struct {
	at  int64
	src string
}

func (m moment) known() bool { return m.at != 0 }

// length is a duration in milliseconds, or unknown.
type length struct {
	ms    int64
	known bool
}

func lasting(ms int64) length { return length{max(ms, 0), true} }

// party is one end of a call as the provider writes it, and in E.164 where its
// format makes that certain.
type party struct{ raw, e164 string }

// passing is one transfer: its kind, what became of it, the call id of the leg to
// which it led, if any, and who passed the caller on, as the provider writes it.
// inferred is one of which no event tells.
type passing struct {
	typ, result, to, by string
	inferred            bool
}

// Fields is a set of the fields that a Truth can name.
type Fields uint64

// The fields of a Truth, in the order in which they are written.
const (
	SessionID Fields = 1 << iota
	TenantID
	Provider
	RecordState
	CloseReason
	EndLost
	Direction
	FromRaw
	FromE164
	ToRaw
	ToE164
	Disposition
	AnsweredBy
	StartedAt
	StartedAtSrc
	RingingAt
	RingingAtSrc
	PlatformAnsweredAt
	AnsweredAt
	AnsweredAtSrc
	EndedAt
	EndedAtSrc
	RingMS
	TalkMS
	TotalMS
	LegCount
	AnsweredLegCount
	TransferCount
	Transfers
	HangupCause
	HangupParty
	ConferenceID
	EventCount
	Recordings
	Legs
	endOfFields

	allFields = endOfFields - 1
)

// fields says how each field is written, in the order of the constants.
var fields = [...]struct {
	name   string
	append func(t *Truth, b []byte, key string) []byte
}{
	{"session_id", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.SessionID) }},
	{"tenant_id", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.Tenant) }},
	{"provider", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.Provider) }},
	{"record_state", func(t *Truth, b []byte, k string) []byte { return word(b, k, "FINAL") }},
	{"close_reason", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.CloseReason) }},
	{"end_lost", func(t *Truth, b []byte, k string) []byte { return boolean(b, k, t.EndLost) }},
	{"direction", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.Direction) }},
	{"from_raw", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.From.raw) }},
	{"from_e164", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.From.e164) }},
	{"to_raw", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.To.raw) }},
	{"to_e164", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.To.e164) }},
	{"disposition", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.Disposition) }},
	{"answered_by", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.AnsweredBy) }},
	{"started_at", func(t *Truth, b []byte, k string) []byte { return instant(b, k, t.Started) }},
	{"started_at_src", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.Started.src) }},
	{"ringing_at", func(t *Truth, b []byte, k string) []byte { return instant(b, k, t.Ringing) }},
	{"ringing_at_src", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.Ringing.src) }},
	{"platform_answered_at", func(t *Truth, b []byte, k string) []byte { return instant(b, k, t.PlatformAnswered) }},
	{"answered_at", func(t *Truth, b []byte, k string) []byte { return instant(b, k, t.Answered) }},
	{"answered_at_src", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.Answered.src) }},
	{"ended_at", func(t *Truth, b []byte, k string) []byte { return instant(b, k, t.Ended) }},
	{"ended_at_src", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.Ended.src) }},
	{"ring_ms", func(t *Truth, b []byte, k string) []byte { return duration(b, k, t.RingMS) }},
	{"talk_ms", func(t *Truth, b []byte, k string) []byte { return duration(b, k, t.TalkMS) }},
	{"total_ms", func(t *Truth, b []byte, k string) []byte { return duration(b, k, t.TotalMS) }},
	{"leg_count", func(t *Truth, b []byte, k string) []byte { return num(b, k, t.LegCount) }},
	{"answered_leg_count", func(t *Truth, b []byte, k string) []byte { return num(b, k, t.AnsweredLegCount) }},
	{"transfer_count", func(t *Truth, b []byte, k string) []byte { return num(b, k, t.TransferCount) }},
	{"transfers", (*Truth).appendTransfers},
	{"hangup_cause", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.HangupCause) }},
	{"hangup_party", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.HangupParty) }},
	{"conference_id", func(t *Truth, b []byte, k string) []byte { return word(b, k, t.ConferenceID) }},
	{"event_count", func(t *Truth, b []byte, k string) []byte { return num(b, k, t.EventCount) }},
	{"recordings", func(t *Truth, b []byte, k string) []byte { return ids(b, k, "recording_id", t.RecordingIDs) }},
	{"legs", func(t *Truth, b []byte, k string) []byte { return ids(b, k, "provider_call_id", t.CallIDs) }},
}

// Names reports whether the truth names all the fields of f.
func (t *Truth) Names(f Fields) bool { return t.named&f == f }

// AppendJSON appends the truth as one JSON object.
func (t *Truth) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	if t.Lossy {
		b = boolean(b, "lossy", true)
	}
	for rest := t.named; rest != 0; rest &= rest - 1 {
		f := &fields[bits.TrailingZeros64(uint64(rest))]
		b = f.append(t, b, f.name)
	}
	return append(b, '}')
}

// MarshalJSON is AppendJSON for encoding/json.
func (t Truth) MarshalJSON() ([]byte, error) { return t.AppendJSON(nil), nil }

// word appends a string, null where it is empty.
func word(b []byte, key, value string) []byte {
	if value == "" {
		return null(b, key)
	}
	return str(b, key, value)
}

func instant(b []byte, key string, m moment) []byte {
	if !m.known() {
		return null(b, key)
	}
	return num(b, key, m.at)
}

func duration(b []byte, key string, l length) []byte {
	if !l.known {
		return null(b, key)
	}
	return num(b, key, l.ms)
}

// ids appends an array of objects, of which only the ids are told.
func ids(b []byte, key, member string, values []string) []byte {
	b = append(name(b, key), '[')
	for _, id := range values {
		b = append(str(append(comma(b), '{'), member, id), '}')
	}
	return append(b, ']')
}

// appendTransfers appends the transfers by time, of each what the truth tells.
func (t *Truth) appendTransfers(b []byte, key string) []byte {
	b = append(name(b, key), '[')
	for _, p := range t.Transfers {
		b = str(append(comma(b), '{'), "type", p.typ)
		to := ""
		if p.to != "" {
			to = legID(t.Tenant, t.Provider, p.to)
		}
		b = word(b, "to_leg_id", to)
		b = word(b, "transferor", p.by)
		b = str(b, "result", p.result)
		b = append(boolean(b, "inferred", p.inferred), '}')
	}
	return append(b, ']')
}

// legID is the identity of a leg, and of the session that is named by it: the
// first 16 bytes of SHA-256 over tenant, provider, scope (always empty here) and
// call id, each with its length in four bytes before it.
func legID(tenant, provider, callID string) string {
	var space [192]byte
	b := space[:0]
	for _, part := range [...]string{tenant, provider, "", callID} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// sessionID is the id of the leg with the smallest first instant; of equal ones that of
// the one heard of first.
func sessionID(tenant, provider string, legs []*leg) string {
	if len(legs) == 0 {
		return ""
	}
	oldest := slices.MinFunc(legs, func(a, b *leg) int {
		return cmp.Or(cmp.Compare(a.first(), b.first()), compareHeard(tenant, provider, a, b))
	})
	return legID(tenant, provider, oldest.id)
}

// union is the time covered by the intervals, each of which has both ends.
func union(spans []span) int64 {
	slices.SortFunc(spans, func(a, b span) int { return int(a.from - b.from) })
	var total, end int64
	for _, s := range spans {
		s.from = max(s.from, end)
		total += max(s.to-s.from, 0)
		end = max(end, s.to)
	}
	return total
}

type span struct{ from, to int64 }

// String lists the names of the fields in f.
func (f Fields) String() string {
	var b []byte
	for i := range fields {
		if f&(1<<i) != 0 {
			b = append(append(b, ' '), fields[i].name...)
		}
	}
	if len(b) == 0 {
		return strconv.Itoa(int(f))
	}
	return string(b[1:])
}
