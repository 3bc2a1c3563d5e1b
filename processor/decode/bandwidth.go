package decode

import (
	"bytes"

	"callstitch/processor/call"
)

var bandwidth = provider{
	fits:    looksLikeBandwidth,
	read:    (*draft).bandwidth,
	fields:  bandwidthFields,
	ignored: bandwidthFeeds,
	causes:  bandwidthCauses,
	tag:     bandwidthTag,
}

// bandwidthFields are the members that are read, wherever they stand.
var bandwidthFields = []string{
	"accountId", "account_id", "answerTime", "answer_time", "callId", "callUrl", "call_id", "call_url", "cause",
	"channels", "conferenceId", "conference_id", "direction", "duration", "endTime", "end_time", "endpointId",
	"endpoint_id", "enqueuedTime", "enqueued_time", "eventTime", "eventType", "event_time", "event_type",
	"fileFormat", "file_format", "from", "id", "machineDetectionResult", "machine_detection_result",
	"mediaStream", "mediaUrl", "media_stream", "media_url", "notifySipResponseCode", "notify_sip_response_code",
	"parentCallId", "parent_call_id", "recordingId", "recording_id", "referCallStatus", "referSipResponseCode",
	"referTo", "refer_call_status", "refer_sip_response_code", "refer_to", "sipCallId", "sipResponseCode",
	"sip_call_id", "sip_response_code", "startTime", "start_time", "status", "tag", "to", "transcription",
	"transferCallerId", "transferTo", "transfer_caller_id", "transfer_to", "value",
}

// bandwidthTag is the attribute with the text that an application may set on
// its calls.
const bandwidthTag = "tag"

// bandwidthFeeds are the posts that are ignored.
var bandwidthFeeds = map[string]string{
	"conference": "bandwidth/conference", // about a conference, not one of its calls
	"endpoint":   "bandwidth/endpoint",   // a browser's device came or went; no call of it is named
	"":           "bandwidth/other",
}

// bandwidthEvent is what is known of one eventType.
type bandwidthEvent struct {
	event call.EventType
	// once: a call sends it once, so a copy with other bytes is a copy still.
	once bool
	// recording: startTime and endTime are those of a recording, or may be.
	recording bool
}

var bandwidthEvents = map[string]bandwidthEvent{
	"initiate":                       {event: call.EventCallInitiated, once: true},
	"answer":                         {event: call.EventCallAnswered, once: true},
	"disconnect":                     {event: call.EventCallEnded, once: true},
	"transferAnswer":                 {event: call.EventCallAnswered},
	"transferComplete":               {event: call.EventTransferCompleted},
	"transferDisconnect":             {event: call.EventCallEnded, once: true},
	"referComplete":                  {event: call.EventCallUpdated}, // until its outcome is read
	"bridgeComplete":                 {event: call.EventCallUnbridged},
	"bridgeTargetComplete":           {event: call.EventCallUnbridged},
	"conferenceCreated":              {event: call.EventCallUpdated, once: true},
	"conferenceRedirect":             {event: call.EventCallUpdated},
	"conferenceMemberJoin":           {event: call.EventConferenceJoined},
	"conferenceMemberExit":           {event: call.EventConferenceLeft},
	"conferenceCompleted":            {event: call.EventCallUpdated, once: true},
	"conferenceRecordingAvailable":   {event: call.EventRecordingAvailable, recording: true},
	"recordComplete":                 {event: call.EventRecordingCompleted, recording: true}, // as sent
	"recordingComplete":              {event: call.EventRecordingCompleted, recording: true}, // as the SDK says
	"recordingAvailable":             {event: call.EventRecordingAvailable, recording: true},
	"transcriptionAvailable":         {event: call.EventTranscriptionAvailable, recording: true},
	"machineDetectionComplete":       {event: call.EventMachineDetected},
	"dtmf":                           {event: call.EventDTMF},
	"gather":                         {event: call.EventDTMF},
	"redirect":                       {event: call.EventCallUpdated},
	"mediaStreamStarted":             {event: call.EventCallUpdated},
	"mediaStreamRejected":            {event: call.EventCallUpdated},
	"mediaStreamStopped":             {event: call.EventCallUpdated},
	"realTimeTranscriptionStarted":   {event: call.EventCallUpdated, recording: true},
	"realTimeTranscriptionAvailable": {event: call.EventTranscriptionAvailable, recording: true},
	"realTimeTranscriptionRejected":  {event: call.EventCallUpdated, recording: true},
	"realTimeTranscriptionStopped":   {event: call.EventCallUpdated, recording: true},
}

const (
	bandwidthScheme = Scheme("bandwidth")
	bandwidthDocs   = "dev.bandwidth.com/docs/voice/webhooks/disconnect"
)

// bandwidthCauses are the documented words of cause; the list is open.
var bandwidthCauses = []CauseRow{
	keyword(bandwidthScheme, "hangup", call.CauseNormal, call.NoHangupParty, bandwidthDocs),
	keyword(bandwidthScheme, "busy", call.CauseBusy, call.NoHangupParty, bandwidthDocs),
	keyword(bandwidthScheme, "timeout", call.CauseNoAnswer, call.HangupByTimeout, bandwidthDocs),
	keyword(bandwidthScheme, "cancel", call.CauseCanceled, call.NoHangupParty, bandwidthDocs),
	keyword(bandwidthScheme, "rejected", call.CauseRejected, call.NoHangupParty, bandwidthDocs),
	keyword(bandwidthScheme, "callback-error", call.CauseFailed, call.HangupByPlatform, bandwidthDocs),
	keyword(bandwidthScheme, "invalid-bxml", call.CauseFailed, call.HangupByPlatform, bandwidthDocs),
	keyword(bandwidthScheme, "application-error", call.CauseFailed, call.HangupByPlatform, bandwidthDocs),
	keyword(bandwidthScheme, "account-limit", call.CauseFailed, call.HangupByPlatform, bandwidthDocs),
	keyword(bandwidthScheme, "node-capacity-exceeded", call.CauseCongestion, call.HangupByPlatform, bandwidthDocs),
	keyword(bandwidthScheme, "error", call.CauseFailed, call.HangupByPlatform, bandwidthDocs),
	keyword(bandwidthScheme, "unknown", call.CauseFailed, call.NoHangupParty, bandwidthDocs),
}

var bandwidthByWord = byCode(bandwidthCauses)

func looksLikeBandwidth(v value) bool {
	return v.get("eventType").isString() || v.get("event_type").isString()
}

// bandwidth reads a webhook of Bandwidth's voice API. Fields are camelCase on
// the wire, and snake_case where an application writes out an SDK object.
func (d *draft) bandwidth(root value) (ignored string) {
	typ := d.word(root.either("eventType", "event_type"), "eventType")
	id := root.either("callId", "call_id")
	known, isKnown := bandwidthEvents[typ]
	if d.rejected == nil && !isKnown && !id.given() && root.either("endpointId", "endpoint_id").given() {
		return bandwidthFeeds["endpoint"]
	}
	if d.rejected == nil && typ != "" && !id.given() {
		switch {
		case isConference(root, typ):
			return bandwidthFeeds["conference"]
		case !isKnown:
			return bandwidthFeeds[""]
		}
	}
	d.callID(id, "callId")
	if d.rejected != nil {
		return ""
	}
	e := d.event
	if !isKnown {
		e.Flags |= call.FlagUnknownType
	}
	e.Type, e.ProviderType = known.event, typ
	d.bandwidthCall(root, known)
	if typ == "referComplete" {
		d.bandwidthRefer(root)
	} else {
		d.bandwidthType(root, typ)
	}
	// An inbound call counts as answered as soon as the application speaks.
	e.PlatformAnswer = e.Direction == call.DirectionInbound && e.Answered.Known()
	d.bandwidthID(root, typ, known.once)
	return ""
}

func isConference(root value, typ string) bool {
	return len(typ) >= len("conference") && typ[:len("conference")] == "conference" ||
		root.either("conferenceId", "conference_id").given() && typ == "recordingAvailable"
}

// bandwidthCall reads what all events say of their call.
func (d *draft) bandwidthCall(root value, known bandwidthEvent) {
	e := d.event
	e.Time = d.clock(root.either("eventTime", "event_time"), "eventTime", value.moment, call.EvidenceEvent)
	e.ReportedAt = e.Time.At
	d.settle()
	e.Direction = bandwidthDirection(root)
	if !known.recording {
		e.Started = d.instant(root.either("startTime", "start_time"), value.moment, call.EvidenceReported)
	}
	if e.Direction == call.DirectionOutbound { // no other calls are queued
		e.QueuedAt = d.instant(root.either("enqueuedTime", "enqueued_time"), value.moment, call.EvidenceReported).At
	}
	e.Answered = d.instant(root.either("answerTime", "answer_time"), value.moment, call.EvidenceReported)
	e.Account = d.bandwidthAccount(root)
	e.ConferenceID = d.id(root.either("conferenceId", "conference_id"))
	d.parent(d.id(root.get("parentCallId")))
	if injected := d.id(root.get("parent_call_id")); e.ParentCallID == "" {
		d.parent(injected)
	} else {
		d.link(call.LinkParent, injected)
	}
	d.bandwidthParties(root)
	d.attribute("sip_call_id", d.id(root.either("sipCallId", "sip_call_id")))
	d.attribute(bandwidthTag, d.exact(root.get("tag"), maxText)) // cut short, it could link what is not linked
}

func bandwidthDirection(root value) call.Direction {
	switch direction := root.get("direction"); {
	case direction.is("inbound"):
		return call.DirectionInbound
	case direction.is("outbound"):
		return call.DirectionOutbound
	}
	return call.DirectionUnknown
}

// bandwidthAccount is the account's id, which some events carry only in the
// path of the call's URL.
func (d *draft) bandwidthAccount(root value) string {
	if id := d.idOrNumber(root.either("accountId", "account_id")); id != "" {
		return id
	}
	_, path, _ := bytes.Cut(root.either("callUrl", "call_url").bytes(), []byte("/accounts/"))
	id, _, found := bytes.Cut(path, []byte("/"))
	if !found || len(id) > maxID {
		return ""
	}
	return d.copy(id)
}

// bandwidthParties reads both ends. On the leg that a transfer made, from and
// to stay those of the leg that was transferred, and its own are named apart.
func (d *draft) bandwidthParties(root value) {
	e := d.event
	from, to := root.get("from"), root.get("to")
	target := root.either("transferTo", "transfer_to")
	switch {
	case e.Type == call.EventTransferCompleted:
		e.TransferType = call.TransferUnknown
		e.TransferTarget = d.id(target)
	case target.given() && e.ParentCallID != "":
		to = target
		if caller := root.either("transferCallerId", "transfer_caller_id"); caller.given() {
			from = caller
		}
	}
	e.From, e.To = d.address(from, isRelayed), d.address(to, isRelayed)
}

// isRelayed is certain of bare digits that somebody took for a quantity: numbers have
// their plus at Bandwidth, and what else is in their place is no quantity.
func isRelayed(_ string, relayed bool) bool { return relayed }

// bandwidthType reads what only some events tell.
func (d *draft) bandwidthType(root value, typ string) {
	e := d.event
	switch e.Type {
	case call.EventCallInitiated:
		e.Started = or(e.Started, e.Time)
	case call.EventCallAnswered:
		e.Answered = or(e.Answered, e.Time)
		d.bandwidthMachine(root)
	case call.EventMachineDetected:
		d.bandwidthMachine(root)
	case call.EventCallEnded:
		e.Ended = or(d.instant(root.either("endTime", "end_time"), value.moment, call.EvidenceReported), e.Time)
		d.bandwidthCause(root)
	case call.EventTransferCompleted, call.EventCallUnbridged:
		d.bandwidthCause(root)
	case call.EventRecordingCompleted, call.EventRecordingAvailable, call.EventTranscriptionAvailable:
		d.bandwidthRecording(root, typ)
	}
}

// bandwidthCause reads why a call ended: the word decides, the SIP status of
// newer events adds to it, and stands for a word that says nothing.
func (d *draft) bandwidthCause(root value) {
	e := d.event
	if status := bandwidthStatus(root.either("sipResponseCode", "sip_response_code")); status != 0 {
		endsWithStatus(&e.Ending, status)
	}
	e.ProviderCause = d.text(root.get("cause"))
	if e.ProviderCause != "" && (e.ProviderCause != "unknown" || !e.SIPStatus.Known()) {
		endsWith(&e.Ending, bandwidthByWord, e.ProviderCause)
	}
}

// bandwidthRefer reads how the platform's request to the caller's own exchange went,
// to call somebody else instead. Where it was granted, the platform has torn the
// call down, and may say no more of it; where not, the call goes on.
func (d *draft) bandwidthRefer(root value) {
	e := d.event
	outcome := root.either("referCallStatus", "refer_call_status")
	requested := bandwidthStatus(root.either("referSipResponseCode", "refer_sip_response_code"))
	reached := bandwidthStatus(root.either("notifySipResponseCode", "notify_sip_response_code"))
	e.ProviderState = d.id(outcome)
	e.TransferType = call.TransferBlind
	e.TransferTarget = d.id(root.either("referTo", "refer_to"))
	switch {
	case outcome.is("success"), !outcome.is("failure") && reached >= 200 && reached < 300:
		e.Type, e.Ended = call.EventCallEnded, e.Time
		e.HangupCause, e.HangupParty = call.CauseTransferred, call.HangupByTransfer
	case outcome.is("failure"), requested >= 300, reached >= 300:
		e.Type = call.EventTransferFailed
		if status := max(requested, reached); status >= 300 {
			endsWithStatus(&e.Ending, status)
		}
	}
}

// bandwidthStatus is a SIP status, 0 where there is none.
func bandwidthStatus(v value) int32 {
	status, ok := v.integer()
	if !ok || status < 100 || status >= 700 {
		return 0
	}
	return int32(status)
}

// bandwidthMachine reads what answering machine detection found.
func (d *draft) bandwidthMachine(root value) {
	e := d.event
	found := root.either("machineDetectionResult", "machine_detection_result").get("value")
	e.ProviderState = d.id(found)
	switch {
	case found.is("human"):
		e.AnsweredBy = call.AnswererHuman
	case found.is("answering-machine"):
		e.AnsweredBy, e.Voicemail = call.AnswererMachine, true
	}
}

// bandwidthRecording reads a recording, or the transcription of one.
func (d *draft) bandwidthRecording(root value, typ string) {
	e := d.event
	e.ProviderState = d.id(root.get("status"))
	r := call.RecordingFact{
		ID:         d.id(root.either("recordingId", "recording_id")),
		URL:        d.media(root.either("mediaUrl", "media_url")),
		StartedAt:  d.instant(root.either("startTime", "start_time"), value.moment, call.EvidenceReported).At,
		DurationMS: root.get("duration").period(),
		Format:     d.id(root.either("fileFormat", "file_format")),
	}
	if n, ok := root.get("channels").integer(); ok && n > 0 && n <= maxChannels {
		r.Channels = call.Some(n)
	}
	switch e.Type {
	case call.EventTranscriptionAvailable:
		r.Transcribed = true
	case call.EventRecordingCompleted:
		r.Status = call.RecordingPending
	default:
		r.Status = bandwidthRecordingStatus(root.get("status"))
		if r.Status != call.RecordingFailed {
			r.AvailableAt = e.ReportedAt
		}
	}
	if r.ID != "" && typ != "realTimeTranscriptionAvailable" {
		e.Recording = r
	}
}

// maxChannels bounds what is believed of a recording; telephony records 1 or 2.
const maxChannels = 64

func bandwidthRecordingStatus(status value) call.RecordingStatus {
	switch {
	case status.is("partial"):
		return call.RecordingPartial
	case status.is("error"):
		return call.RecordingFailed
	}
	return call.RecordingAvailable
}

// bandwidthID names the event. Which key was pressed is no part of the name,
// from which it could be found again.
func (d *draft) bandwidthID(root value, typ string, once bool) {
	if once {
		d.once(typ)
		return
	}
	d.keyed(
		d.literal(root.either("eventTime", "event_time")), typ,
		d.event.ConferenceID,
		d.event.ParentCallID,
		d.literal(root.either("recordingId", "recording_id")),
		d.literal(root.get("transcription").get("id")),
		d.literal(root.either("mediaStream", "media_stream").get("id")),
	)
}
