package call

import "strings"

// IDKind says what an event's id is made of, and so what a second event with
// that id means.
type IDKind uint8

// The kinds of id. With Exact and Content ids, the same id with other content is
// a conflict. With a Semantic id it is a second once-only transition of the
// leg: a duplicate whose content is merged.
const (
	IDExact    IDKind = iota + 1 // the provider's own event id
	IDContent                    // a key composed from the event, per provider
	IDSemantic                   // leg and once-only transition
)

// Party is one end of a call as the provider wrote it.
type Party struct {
	Raw  string // as sent; empty is null
	E164 string // with its plus; empty unless the provider's format makes it certain
	Kind PartyKind
}

// NamesNobody reports whether a text stands where an address or an id would, and is the
// word for none: of a caller who withheld a number, or of a system that had none.
func NamesNobody(text string) bool {
	if len(text) > len("unavailable") {
		return false
	}
	switch strings.ToLower(text) {
	case "anonymous", "private", "restricted", "unavailable", "unknown", "undefined", "null", "nil", "none":
		return true
	}
	return false
}

// Source is where a raw record was read.
type Source struct {
	Topic     string
	Partition int32
	Offset    int64
}

// DefaultTenant owns what neither the source's settings nor a header gives to anybody.
const DefaultTenant = "default"

// Link is a value that joins this event's leg to others.
type Link struct {
	Kind  LinkKind
	Value string // for Parent, the other leg's provider call id
}

// LegSnapshot is what an event says about another leg, such as a copy of the
// parent inside it. It is evidence, not an event: neither published nor counted.
type LegSnapshot struct {
	CallID    string
	Direction Direction
	From, To  Party
	Started   Instant // all of class Snapshot
	Ringing   Instant
	Answered  Instant
	Ended     Instant
	Alive     Instant // when the leg was known to be alive
	Ending
}

// RecordingFact is what an event says about one recording.
type RecordingFact struct {
	ID          string
	Status      RecordingStatus
	URL         string
	StartedAt   Time // the recording's start, never the call's
	DurationMS  Int
	Channels    Int    // audio channels: 1 mixed, 2 caller and callee apart
	Format      string // container or codec as the provider names it, such as "wav"
	AvailableAt Time   // when the provider said that the media can be fetched
	Transcribed bool   // the fact is about the transcription of this recording
}

// Attribute is an allow-listed extra, such as the customer's own tag.
type Attribute struct{ Key, Value string }

// The attributes whose values are addresses of somebody, as those of a Party are.
const (
	// AttributeAlias is another number of the callee: of an inbound call the hotline that
	// was dialled, where the callee is the agent who is rung.
	AttributeAlias = "to_alias"
	// AttributeActor is who did it: a user, or whoever called from outside.
	AttributeActor = "actor"
)

// IsAddress reports whether the value is an address of somebody, such as a number.
func (a Attribute) IsAddress() bool { return a.Key == AttributeAlias || a.Key == AttributeActor }

// Event is one normalised provider event. Decoders fill it, the exchange
// carries it in the binary form that Visit describes, and the stitcher folds it.
// Empty strings, and Ints, Times and Instants that are not known, are null in records.
type Event struct {
	ID       EventID
	IDKind   IDKind
	Content  uint64 // hash of the normalised event without delivery facts and source; equal for true repeats
	Tenant   string
	Provider Provider
	Scope    string
	CallID   string
	Leg      LegID

	Type          EventType
	ProviderType  string // verbatim
	ProviderState string // verbatim, where the provider has a state beside the type
	ProviderID    string // the provider's own event id
	ParentCallID  string
	Account       string // the provider's account id; an attribute, never part of an identity

	Time       Instant // best estimate of when it happened
	ReportedAt Time    // when the provider made the message
	IngestedAt int64   // Kafka timestamp of the raw record when it came first, epoch ms; 0 in raw files, null

	// What the event says of its leg's lifecycle; most events know only some.
	Started  Instant
	Ringing  Instant
	Answered Instant
	Ended    Instant
	QueuedAt Time // when the call was queued, before it started

	Direction Direction
	From, To  Party

	Ending
	ProviderDuration Int // seconds, the provider's claim
	ProviderTalk     Int // seconds, the provider's claim

	AnsweredBy     Answerer // what the provider says answered; AnswererUnknown where it does not
	PlatformAnswer bool     // the answer on this leg is the platform's own (auto-answer, IVR), not a person's
	Voicemail      bool     // the platform says that a message was taken
	AgentLeft      bool     // one agent or channel left; the call goes on

	Recording      RecordingFact
	ConferenceID   string
	TransferType   TransferType
	TransferTarget string

	Links      []Link
	Snapshot   *LegSnapshot
	Attributes []Attribute // sorted by key
	Flags      Flags

	Source Source
	SHA256 [32]byte // of the raw record's value
}

// EventRecord is an event as records show it: with what its arrival told.
type EventRecord struct {
	*Event
	ProcessedAt Arrival // which caused the output
	Late        bool    // arrived after its session was FINAL, or after its leg's retention
	LatenessMS  int64   // arrival minus event time; 0 where the event time is the arrival
	Remarks     Flags   // beside the event's own
}

// DecoderVersion is raised when a decoder's output changes for an input that
// it already took.
const DecoderVersion = "2"
