package call

import "slices"

// Every vocabulary is closed: records carry the words below and no others, and
// a test holds them against the schemas. The zero value of each type is the
// word for "not known" or, where a field is optional, the empty word that is
// null in records.
//
// A constant is named by its vocabulary and then its word, so that ANSWERED of a
// disposition and of a change reason are two names: DispositionAnswered,
// ChangeAnswered. The zero value of an optional field is No and the vocabulary.

// EventType is what happened, in one vocabulary for all providers.
type EventType uint8

// The event types, in the order of the lifecycle.
const (
	EventUnknown EventType = iota
	EventCallInitiated
	EventCallQueued
	EventCallRinging
	EventEarlyMedia
	EventCallAnswered
	EventCallBridged
	EventCallUnbridged
	EventCallHeld
	EventCallResumed
	EventTransferStarted
	EventTransferAnswered
	EventTransferCompleted
	EventTransferFailed
	EventConferenceJoined
	EventConferenceLeft
	EventChannelEnded
	EventCallMissed
	EventCallEnded
	EventCallDestroyed
	EventRecordingStarted
	EventRecordingCompleted
	EventRecordingAvailable
	EventTranscriptionAvailable
	EventMachineDetected
	EventDTMF
	EventCallUpdated
)

var eventTypeNames = [...]string{
	"UNKNOWN", "CALL_INITIATED", "CALL_QUEUED", "CALL_RINGING", "EARLY_MEDIA", "CALL_ANSWERED", "CALL_BRIDGED",
	"CALL_UNBRIDGED", "CALL_HELD", "CALL_RESUMED", "TRANSFER_STARTED", "TRANSFER_ANSWERED", "TRANSFER_COMPLETED",
	"TRANSFER_FAILED", "CONFERENCE_JOINED", "CONFERENCE_LEFT", "CHANNEL_ENDED", "CALL_MISSED", "CALL_ENDED",
	"CALL_DESTROYED", "RECORDING_STARTED", "RECORDING_COMPLETED", "RECORDING_AVAILABLE", "TRANSCRIPTION_AVAILABLE",
	"MACHINE_DETECTED", "DTMF", "CALL_UPDATED",
}

func (t EventType) String() string { return eventTypeNames[t] }

// Terminal reports whether the event ends its leg. A channel that ended, an agent
// who left, a finished transfer or bridge do not.
func (t EventType) Terminal() bool {
	return t == EventCallMissed || t == EventCallEnded || t == EventCallDestroyed
}

// Rank orders event types by the lifecycle; an unknown one tells least.
func (t EventType) Rank() uint8 {
	if t == EventUnknown {
		return 255
	}
	return uint8(t)
}

// LinkKind is why two legs belong together.
type LinkKind uint8

// The links that are followed. Conference ids are an attribute, not a link.
const (
	NoLink     LinkKind = iota
	LinkParent          // the provider names the leg that made this one
	LinkFlow            // an id that the provider gives to each end of a call, and keeps when that end is passed on
	LinkTag             // a text of the customer's own, where a source is configured so
	LinkSameID          // the legs are one: see Traits.OneCallID
)

var linkKindNames = [...]string{"", "PARENT", "FLOW", "TAG", "SESSION"}

func (k LinkKind) String() string { return linkKindNames[k] }

// Direction is seen from the platform's customer.
type Direction uint8

// The directions.
const (
	DirectionUnknown Direction = iota
	DirectionInbound
	DirectionOutbound
	DirectionInternal
)

var directionNames = [...]string{"UNKNOWN", "INBOUND", "OUTBOUND", "INTERNAL"}

func (d Direction) String() string { return directionNames[d] }

// PartyKind is what a caller's or callee's address is.
type PartyKind uint8

// The kinds of address.
const (
	PartyUnknown PartyKind = iota
	PartyPSTN              // a telephone number
	PartySIP               // a SIP URI
	PartyUser              // a user id of the provider
	PartyClient            // a browser or app client
	PartyApp               // an application of the platform
)

var partyKindNames = [...]string{"UNKNOWN", "PSTN", "SIP", "USER", "CLIENT", "APP"}

func (k PartyKind) String() string { return partyKindNames[k] }

// HangupParty is who ended the leg; the zero value is null.
type HangupParty uint8

// Who may end a leg.
const (
	NoHangupParty HangupParty = iota
	HangupByCaller
	HangupByCallee
	HangupByPlatform
	HangupByNetwork
	HangupByTransfer
	HangupByTimeout
	HangupByUnknown
)

var hangupPartyNames = [...]string{"", "CALLER", "CALLEE", "PLATFORM", "NETWORK", "TRANSFER", "TIMEOUT", "UNKNOWN"}

func (p HangupParty) String() string { return hangupPartyNames[p] }

// HangupCause is why a leg ended; the zero value is null.
type HangupCause uint8

// The normalised causes.
const (
	NoCause HangupCause = iota
	CauseNormal
	CauseBusy
	CauseNoAnswer
	CauseRejected
	CauseCanceled
	CauseInvalidNumber
	CauseUnreachable
	CauseCongestion
	CauseMediaTimeout
	CauseMaxDuration
	CauseTransferred
	CauseFailed
	CauseUnknown
)

var hangupCauseNames = [...]string{
	"", "NORMAL", "BUSY", "NO_ANSWER", "REJECTED", "CANCELED", "INVALID_NUMBER", "UNREACHABLE", "CONGESTION",
	"MEDIA_TIMEOUT", "MAX_DURATION", "TRANSFERRED", "FAILED", "UNKNOWN",
}

func (c HangupCause) String() string { return hangupCauseNames[c] }

// Unanswered is the disposition of a leg that ended so and that nobody answered;
// a normal end then means that the caller gave up. DispositionUnknown says that
// the cause does not tell.
func (c HangupCause) Unanswered() Disposition {
	switch c {
	case CauseNormal, CauseCanceled:
		return DispositionCanceled
	case CauseBusy:
		return DispositionBusy
	case CauseNoAnswer, CauseUnreachable, CauseMaxDuration:
		return DispositionNoAnswer
	case CauseRejected:
		return DispositionRejected
	case CauseInvalidNumber, CauseCongestion, CauseMediaTimeout, CauseFailed:
		return DispositionFailed
	default: // NoCause, CauseTransferred, CauseUnknown
		return DispositionUnknown
	}
}

// CodeSource tells a code the provider reported from one mapped out of another.
type CodeSource uint8

// Where a Q.850 or SIP code comes from; the zero value is null.
const (
	NoCode CodeSource = iota
	CodeReported
	CodeMapped
)

var codeSourceNames = [...]string{"", "REPORTED", "MAPPED"}

func (s CodeSource) String() string { return codeSourceNames[s] }

// Code is a Q.850 cause (1–127) or a SIP status with its source; the zero
// value is null. A mapped code never overwrites a reported one: RFC 3398's
// tables are lossy both ways.
type Code struct {
	N   int32
	Src CodeSource
}

// Known reports whether there is a code.
func (c Code) Known() bool { return c.Src != NoCode }

// Disposition is the outcome of a leg or session towards the called party.
type Disposition uint8

// The dispositions. A platform's answer alone is never DispositionAnswered.
const (
	DispositionUnknown Disposition = iota
	DispositionInProgress
	DispositionAnswered
	DispositionVoicemail
	DispositionNoAnswer
	DispositionBusy
	DispositionRejected
	DispositionCanceled
	DispositionFailed
)

var dispositionNames = [...]string{
	"UNKNOWN", "IN_PROGRESS", "ANSWERED", "VOICEMAIL", "NO_ANSWER", "BUSY", "REJECTED", "CANCELED", "FAILED",
}

func (d Disposition) String() string { return dispositionNames[d] }

// Answerer is who or what answered.
type Answerer uint8

// The answerers.
const (
	AnswererUnknown Answerer = iota
	AnswererHuman
	AnswererMachine
	AnswererSystem
)

var answererNames = [...]string{"UNKNOWN", "HUMAN", "MACHINE", "SYSTEM"}

func (a Answerer) String() string { return answererNames[a] }

// RecordState is where a session record stands.
type RecordState uint8

// The record states.
const (
	StatePartial RecordState = iota + 1
	StateFinal
	StateSuperseded
)

var recordStateNames = [...]string{"", "PARTIAL", "FINAL", "SUPERSEDED"}

func (s RecordState) String() string { return recordStateNames[s] }

// ChangeReason is why a revision exists.
type ChangeReason uint8

// The change reasons.
const (
	ChangeOpened ChangeReason = iota + 1
	ChangeAnswered
	ChangeTransferred
	ChangeEnded
	ChangeFinalized
	ChangeLateEvent
	ChangeRecording
	ChangeMerged
	ChangeSuperseded
	ChangeTimeoutClosed
	ChangeReprocessed
)

var changeReasonNames = [...]string{
	"", "OPENED", "ANSWERED", "TRANSFERRED", "ENDED", "FINALIZED", "LATE_EVENT", "RECORDING", "MERGED", "SUPERSEDED",
	"TIMEOUT_CLOSED", "REPROCESSED",
}

func (r ChangeReason) String() string { return changeReasonNames[r] }

// CloseReason is why a session ended; the zero value is null.
type CloseReason uint8

// The close reasons.
const (
	NotClosed CloseReason = iota
	ClosedNormal
	ClosedTimeout
	ClosedMerged
)

var closeReasonNames = [...]string{"", "NORMAL", "TIMEOUT", "MERGED"}

func (r CloseReason) String() string { return closeReasonNames[r] }

// Role is a leg's part in its session.
type Role uint8

// The roles.
const (
	NoRole Role = iota
	RoleOrigin
	RoleDestination
	RoleConsult
	RoleTransferTarget
	RoleConference
	RoleRecording
)

var roleNames = [...]string{"", "ORIGIN", "DESTINATION", "CONSULT", "TRANSFER_TARGET", "CONFERENCE", "RECORDING"}

func (r Role) String() string { return roleNames[r] }

// TransferType is how a call was passed on; the zero value is null in events.
type TransferType uint8

// The transfer types.
const (
	NoTransfer TransferType = iota
	TransferBlind
	TransferAttended
	TransferBlonde
	TransferUnknown
)

var transferTypeNames = [...]string{"", "BLIND", "ATTENDED", "BLONDE", "UNKNOWN"}

func (t TransferType) String() string { return transferTypeNames[t] }

// TransferResult is how a transfer went.
type TransferResult uint8

// The results of a transfer.
const (
	ResultUnknown TransferResult = iota
	ResultCompleted
	ResultFailed
)

var transferResultNames = [...]string{"UNKNOWN", "COMPLETED", "FAILED"}

func (r TransferResult) String() string { return transferResultNames[r] }

// RecordingStatus is where a recording stands; higher is later, so that the
// largest wins whatever the order of events. The zero value is null.
type RecordingStatus uint8

// The states of a recording.
const (
	NoRecording RecordingStatus = iota
	RecordingPending
	RecordingPartial
	RecordingFailed
	RecordingAvailable
)

var recordingStatusNames = [...]string{"", "PENDING", "PARTIAL", "FAILED", "AVAILABLE"}

func (s RecordingStatus) String() string { return recordingStatusNames[s] }

// Flags is a set of remarks on an event, a leg or a session.
type Flags uint32

// The flags, in the alphabetical order in which records list them.
const (
	FlagClockSkew Flags = 1 << iota
	FlagCorrelationWeak
	FlagDurationMismatch
	FlagIDConflict
	FlagLateAfterRetention
	FlagLateEvents
	FlagLegsTruncated
	FlagLinkOverflow
	FlagNegativeClamped
	FlagNoEventTime
	FlagOutOfOrder
	FlagTimesInferred
	FlagUnknownType
	FlagZonelessTime
	FlagBadInstant
)

var flagNames = [...]string{
	"CLOCK_SKEW", "CORRELATION_WEAK", "DURATION_MISMATCH", "ID_CONFLICT", "LATE_AFTER_RETENTION", "LATE_EVENTS",
	"LEGS_TRUNCATED", "LINK_OVERFLOW", "NEGATIVE_CLAMPED", "NO_EVENT_TIME", "OUT_OF_ORDER", "TIMES_INFERRED",
	"UNKNOWN_TYPE", "ZONELESS_TIME", "BAD_INSTANT",
}

// Has reports whether all of g are set in f.
func (f Flags) Has(g Flags) bool { return f&g == g }

// Words lists the flags that are set, sorted; nil for none.
func (f Flags) Words() []string {
	var words []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			words = append(words, name)
		}
	}
	slices.Sort(words)
	return words
}

// RejectReason is why a record, or an event, was not taken.
type RejectReason uint8

// The reject reasons, each described in docs/operations.md.
const (
	RejectMalformedJSON RejectReason = iota + 1
	RejectTooLarge
	RejectTooDeep
	RejectUnknownProvider
	RejectAmbiguousProvider
	RejectMissingCallID
	RejectBadField
	RejectBadTimestamp
	RejectBadHeader
	RejectIDConflict
	RejectUnreadable
)

var rejectReasonNames = [...]string{
	"", "MALFORMED_JSON", "TOO_LARGE", "TOO_DEEP", "UNKNOWN_PROVIDER", "AMBIGUOUS_PROVIDER", "MISSING_CALL_ID",
	"BAD_FIELD", "BAD_TIMESTAMP", "BAD_HEADER", "ID_CONFLICT", "UNREADABLE",
}

func (r RejectReason) String() string { return rejectReasonNames[r] }

// ParseRejectReason reads a reason's name.
func ParseRejectReason(s string) (RejectReason, bool) {
	i := slices.Index(rejectReasonNames[1:], s)
	return RejectReason(i + 1), i >= 0
}

// RejectReasonNames lists their names.
func RejectReasonNames() []string { return slices.Clone(rejectReasonNames[1:]) }

// Vocabulary lists the words of each closed vocabulary by the name of the
// record field that carries it. Schemas and docs are tested against it.
func Vocabulary() map[string][]string {
	return map[string][]string{
		"provider":         ProviderNames(),
		"event_type":       eventTypeNames[:],
		"evidence":         evidenceNames[1:],
		"direction":        directionNames[:],
		"party_kind":       partyKindNames[:],
		"hangup_party":     hangupPartyNames[1:],
		"hangup_cause":     hangupCauseNames[1:],
		"code_src":         codeSourceNames[1:],
		"disposition":      dispositionNames[:],
		"answered_by":      answererNames[:],
		"record_state":     recordStateNames[1:],
		"change_reason":    changeReasonNames[1:],
		"close_reason":     closeReasonNames[1:],
		"role":             roleNames[1:],
		"transfer_type":    transferTypeNames[1:],
		"transfer_result":  transferResultNames[:],
		"recording_status": recordingStatusNames[1:],
		"link":             linkKindNames[1:],
		"flag":             flagNames[:],
		"reject_reason":    rejectReasonNames[1:],
	}
}
