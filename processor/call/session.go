package call

// Session is one call with all its legs. Each record is a complete snapshot;
// the highest record version of a session id is the truth, and a SUPERSEDED
// session's truth is its survivor.
type Session struct {
	ID       LegID
	Tenant   string
	Provider Provider
	Account  string

	State            RecordState
	Revision         int32 // 1, 2, 3 … for each session id and generation
	Generation       int32
	ChangeReason     ChangeReason
	Amended          bool
	CloseReason      CloseReason
	SupersededBy     *LegID
	MergedSessionIDs []LegID // sorted

	Direction   Direction
	From, To    Party
	Disposition Disposition
	AnsweredBy  Answerer

	Started          Instant
	Ringing          Instant
	PlatformAnswered Instant
	Answered         Instant
	Ended            Instant

	RingMS             Int
	TalkMS             Int
	HoldMS             Int
	QueueMS            Int
	TotalMS            Int
	LegTalkMSSum       Int
	ProviderDuration   Int
	DurationMismatchMS Int

	HangupParty   HangupParty
	HangupCause   HangupCause
	Q850          Code
	SIPStatus     Code
	ProviderCause string

	LegCount, AnsweredLegCount, TransferCount, ParticipantCount int32
	ConferenceID                                                string

	StartLost, InterimLost, EndLost, Complete bool
	Flags                                     Flags
	CorrelationMethods                        []LinkKind // sorted by word
	LegsTruncated                             bool
	TimelineTruncated                         bool

	EventCount, DuplicateCount, LateEventCount, OutOfOrderCount int32
	FirstSource, LastSource                                     *Source
	FirstEventAt, LastEventAt                                   Time
	EmittedAt                                                   Arrival // which caused the record

	Legs       []LegSummary // sorted by start, leg id; at most 64
	Transfers  []Transfer   // sorted by time
	Recordings []Recording  // sorted by recording id
	Timeline   []Moment     // sorted by time; at most 256
	Attributes []Attribute
}

// Settled is the record of a session that changes no more, for readers who cannot take a
// correction: the last one of those before it, once.
type Settled struct{ *Session }

// LegSummary is a leg inside its session's record.
type LegSummary struct {
	ID          LegID
	Role        Role
	ParentLeg   *LegID
	CallID      string
	FromE164    string
	ToE164      string
	Started     Instant
	Answered    Instant
	Ended       Instant
	Disposition Disposition
	HangupCause HangupCause
}

// Transfer is one passing-on of a call.
type Transfer struct {
	At         Time
	Type       TransferType
	FromLeg    *LegID
	ToLeg      *LegID
	Transferor string // raw party that passed the call on; empty is null
	Result     TransferResult
	Inferred   bool // no explicit transfer event was seen
}

// Recording is one recording of a session.
type Recording struct {
	ID          string
	Leg         LegID
	Status      RecordingStatus
	StartedAt   Time
	DurationMS  Int
	Channels    Int
	Format      string
	URL         string
	AvailableAt Time
	Transcribed bool
}

// Moment is one entry of a session's timeline.
type Moment struct {
	At   Time
	Type EventType
	Leg  LegID
	Src  Evidence
}
