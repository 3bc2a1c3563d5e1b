package call

// Leg is the row of one leg: the topic call.legs, and the base of the legs
// inside a session. A row is a complete snapshot.
type Leg struct {
	ID           LegID
	SessionID    LegID
	Tenant       string
	Provider     Provider
	Account      string
	CallID       string
	ParentCallID string
	ParentLeg    *LegID
	Role         Role

	Revision   int32
	Generation int32

	Direction  Direction
	From, To   Party
	AnsweredBy Answerer

	Disposition Disposition
	Started     Instant
	Ringing     Instant
	Answered    Instant
	Ended       Instant
	RingMS      Int
	TalkMS      Int
	TotalMS     Int

	ProviderDuration Int
	ProviderTalk     Int

	HangupParty   HangupParty
	HangupCause   HangupCause
	Q850          Code
	SIPStatus     Code
	ProviderCause string

	StartLost, InterimLost, EndLost, Complete bool
	Flags                                     Flags
	ConferenceID                              string

	EventCount, DuplicateCount, LateEventCount, OutOfOrderCount int32
	FirstEventAt, LastEventAt                                   Time
	EmittedAt                                                   Arrival // which caused the row
	Attributes                                                  []Attribute
}
