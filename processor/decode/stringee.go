package decode

import (
	"bytes"
	"strings"

	"callstitch/processor/call"
)

var stringee = provider{
	fits:    looksLikeStringee,
	read:    (*draft).stringee,
	fields:  stringeeFields,
	ignored: stringeeFeeds,
	causes:  stringeeCauses,
}

// stringeeFields are the members that are read, wherever they stand.
var stringeeFields = []string{
	"account_sid", "action", "actor", "agent_status", "alias", "answerDuration", "callCreatedReason",
	"callType", "call_id", "call_status", "calls", "clientCustomData", "dtmf", "duration", "endCallCause",
	"end_time", "endedBy", "event_id", "from", "number", "project_id", "recording_url", "start_time", "time",
	"timestamp_ms", "to", "type",
}

// stringeeFeeds are the posts to a Stringee event URL that are ignored.
var stringeeFeeds = map[string]string{
	"routing": "stringee/routing", // questions where to route a call
	"":        "stringee/other",
}

// stringeeStatuses are the values of call_status. agentEnded and connect_failed
// end nothing: the call may be offered to the next agent.
var stringeeStatuses = map[string]call.EventType{
	"created":        call.EventCallInitiated,
	"started":        call.EventCallInitiated,
	"ringing":        call.EventCallRinging,
	"answered":       call.EventCallAnswered,
	"agentEnded":     call.EventChannelEnded,
	"connect_failed": call.EventCallUpdated,
	"dtmf_received":  call.EventDTMF,
	"ended":          call.EventCallEnded,
}

const (
	stringeeScheme = Scheme("stringee")
	stringeeDocs   = "developer.stringee.com/docs/server/call-events"
)

// stringeeCauses are the keywords of endCallCause, which may also hold a SIP
// status. USER_END_CALL is CANCELED where the same event says that nobody
// talked.
var stringeeCauses = []CauseRow{
	keyword(stringeeScheme, "USER_END_CALL", call.CauseNormal, call.NoHangupParty, stringeeDocs),
	keyword(stringeeScheme, "CAN_NOT_MAKE_CALL", call.CauseFailed, call.NoHangupParty, stringeeDocs),
	keyword(stringeeScheme, "MAX_CONNECT_TIME", call.CauseMaxDuration, call.HangupByPlatform, stringeeDocs),
}

var stringeeByWord = byCode(stringeeCauses)

func looksLikeStringee(v value) bool {
	return v.get("call_status").given() ||
		(v.get("call_id").given() && (v.get("recording_url").given() || v.get("dtmf").given())) ||
		isStringeeRouting(v)
}

func isStringeeRouting(v value) bool {
	return v.get("action").isString() && v.get("calls").kind() == '['
}

// stringee reads a post to a Stringee project's event URL. One call id stands
// for the whole conversation, through every agent and transfer.
func (d *draft) stringee(root value) (ignored string) {
	status := d.word(root.get("call_status"), "call_status")
	recording, dtmf := root.get("recording_url").given(), root.get("dtmf").given()
	if d.rejected == nil && status == "" && !recording && !dtmf {
		switch {
		case isStringeeRouting(root):
			return stringeeFeeds["routing"]
		case root.get("type").given() && !root.get("call_id").given():
			return stringeeFeeds[""]
		}
	}
	d.callID(root.get("call_id"), "call_id")
	if d.rejected != nil {
		return ""
	}
	d.event.Account = d.id(root.get("account_sid"))
	switch {
	case status != "":
		d.stringeeStatus(root, status)
	case recording:
		d.stringeeRecording(root)
	case dtmf:
		d.stringeeKey(root)
	default:
		d.stringeeUnknown(root)
	}
	return ""
}

// stringeeStatus reads a change of the call's state.
func (d *draft) stringeeStatus(root value, status string) {
	e := d.event
	e.ProviderType = status
	e.Time = d.clock(root.get("timestamp_ms"), "timestamp_ms", value.epoch, call.EvidenceEvent)
	e.ReportedAt = e.Time.At
	d.settle()
	d.stringeeParties(root)
	d.attribute(call.AttributeActor, d.id(root.get("actor")))
	d.attribute("client_custom_data", d.text(root.get("clientCustomData")))
	d.attribute("project_id", d.idOrNumber(root.get("project_id")))
	d.attribute(call.AttributeAlias, d.stringeeAlias(root.get("to")))

	var known bool
	if e.Type, known = stringeeStatuses[status]; !known {
		e.Flags |= call.FlagUnknownType
	}
	switch e.Type {
	case call.EventCallInitiated:
		e.Started = e.Time
	case call.EventCallRinging:
		e.Ringing = e.Time
	case call.EventCallAnswered:
		e.Answered = e.Time
	case call.EventChannelEnded:
		e.AgentLeft = true
	case call.EventCallUpdated:
		e.ProviderState = d.id(root.get("agent_status"))
	case call.EventCallEnded:
		d.stringeeEnd(root)
	}
	at := root.either("timestamp_ms", "start_time")
	d.stringeeID(root, at, status, d.literal(root.get("actor")), d.literal(root.get("to").get("number")))
}

// stringeeEnd reads what only the end of a call tells.
func (d *draft) stringeeEnd(root value) {
	e := d.event
	e.Ended = e.Time
	e.ProviderDuration = root.get("duration").seconds()
	e.ProviderTalk = root.get("answerDuration").seconds()
	if e.Ended.Src == call.EvidenceEvent {
		e.Started = before(e.Ended, e.ProviderDuration)
		if e.ProviderTalk.N > 0 {
			e.Answered = before(e.Ended, e.ProviderTalk)
		}
	}
	e.PlatformAnswer = root.get("callType").is("IVR")
	e.ProviderCause = d.text(root.get("endCallCause"))
	d.stringeeCause()
	if e.HangupParty == call.NoHangupParty {
		e.HangupParty = stringeeHangupParty(root)
	}
}

// stringeeCause reads a keyword, a SIP status with its reason phrase, or a cause of
// FreeSWITCH, which comes through from behind Stringee.
func (d *draft) stringeeCause() {
	e := d.event
	if row, ok := causeByName[e.ProviderCause]; ok {
		ends(&e.Ending, row)
		return
	}
	code, _, _ := strings.Cut(e.ProviderCause, " ")
	switch {
	case e.ProviderCause == "":
	case len(code) == 3 && allDigits(code) && code >= "100" && code < "700":
		endsWithStatus(&e.Ending, int32(digits([]byte(code))))
	case e.ProviderCause == "USER_END_CALL" && e.ProviderTalk.Known && e.ProviderTalk.N == 0:
		e.HangupCause = call.CauseCanceled
	default:
		endsWith(&e.Ending, stringeeByWord, e.ProviderCause)
	}
}

// stringeeHangupParty tells who hung up from the side that did. Where both
// sides are of one kind that does not tell.
func stringeeHangupParty(root value) call.HangupParty {
	endedBy := strings.ToLower(string(root.get("endedBy").bytes()))
	if endedBy == "" {
		return call.NoHangupParty
	}
	caller := root.get("from").get("type").is(endedBy)
	callee := root.get("to").get("type").is(endedBy)
	switch {
	case caller && !callee:
		return call.HangupByCaller
	case callee && !caller:
		return call.HangupByCallee
	}
	return call.HangupByUnknown
}

// stringeeParties reads both ends and the direction between them.
func (d *draft) stringeeParties(root value) {
	d.event.From = d.stringeeParty(root.get("from"))
	d.event.To = d.stringeeParty(root.get("to"))
	d.event.Direction = stringeeDirection(root)
}

// stringeeParty reads one end. Stringee writes outside numbers as bare digits
// in international form; an inside one is an id of the customer's app, even if
// it is all digits.
func (d *draft) stringeeParty(end value) call.Party {
	certain := never
	if end.get("type").is("external") {
		certain = always
	}
	party := d.address(end.get("number"), certain)
	switch {
	case strings.HasPrefix(party.Raw, "btncall_"): // the web page's call button
		party.Kind = call.PartyClient
	case end.get("type").is("internal") && party.Raw != "" && party.E164 == "":
		party.Kind = call.PartyUser
	}
	return party
}

// stringeeAlias is the callee's other name, where it has one: of an inbound call
// the hotline that was dialled, while the number is the agent's who is rung.
func (d *draft) stringeeAlias(end value) string {
	alias := end.get("alias")
	if bytes.Equal(alias.bytes(), end.get("number").bytes()) {
		return ""
	}
	return d.id(alias)
}

// stringeeDirection goes by the two ends where they differ, else by how the
// call came to be.
func stringeeDirection(root value) call.Direction {
	from, to := root.get("from").get("type"), root.get("to").get("type")
	reason := string(root.get("callCreatedReason").bytes())
	switch {
	case from.is("external") && to.is("internal"):
		return call.DirectionInbound
	case from.is("internal") && to.is("external"):
		return call.DirectionOutbound
	case reason == "EXTERNAL_CALL_IN":
		return call.DirectionInbound
	case from.is("internal") && to.is("internal"):
		return call.DirectionInternal
	case reason != "":
		return call.DirectionOutbound
	}
	return call.DirectionUnknown
}

// stringeeRecording reads the post that tells where a recording is. It names
// neither account nor project.
func (d *draft) stringeeRecording(root value) {
	e := d.event
	e.Type, e.ProviderType = call.EventRecordingAvailable, "recording"
	start := d.instant(root.get("start_time"), value.epoch, call.EvidenceEvent)
	end := d.clock(root.get("end_time"), "end_time", value.epoch, call.EvidenceEvent)
	e.Time = or(end, start)
	d.settle()
	e.Recording = call.RecordingFact{
		URL:       d.media(root.get("recording_url")),
		Status:    call.RecordingAvailable,
		StartedAt: start.At,
	}
	e.Recording.ID = recordingID(e.Recording.URL)
	if e.Recording.ID == "" {
		e.Recording.ID = e.CallID + "/" + d.literal(root.get("start_time"))
	}
	if start.Known() && end.Known() && end.At >= start.At {
		e.Recording.DurationMS = call.Some(int64(end.At - start.At))
	}
	d.stringeeID(root, root.either("end_time", "start_time"), "recording", d.literal(root.get("start_time")), e.Recording.ID)
}

// recordingID is the last element of a URL's path, which names what it leads
// to; empty where it has none, or one too long for an id.
func recordingID(url string) string {
	if i := strings.IndexAny(url, "?#"); i >= 0 {
		url = url[:i]
	}
	url = strings.TrimRight(url, "/")
	id := url[strings.LastIndexByte(url, '/')+1:]
	if len(id) > maxID {
		return ""
	}
	return id
}

// stringeeKey reads a pressed key, but not which one.
func (d *draft) stringeeKey(root value) {
	e := d.event
	e.Type, e.ProviderType = call.EventDTMF, "dtmf"
	e.Time = d.clock(root.get("time"), "time", value.epoch, call.EvidenceEvent)
	e.ReportedAt = e.Time.At
	d.settle()
	d.stringeeID(root, root.get("time"), "dtmf")
}

// stringeeUnknown keeps a post about a call that is none of the known ones.
func (d *draft) stringeeUnknown(root value) {
	e := d.event
	e.Type, e.Flags = call.EventUnknown, e.Flags|call.FlagUnknownType
	e.ProviderType = d.id(root.get("type"))
	e.Time = d.clock(root.get("timestamp_ms"), "timestamp_ms", value.epoch, call.EvidenceEvent)
	e.ReportedAt = e.Time.At
	d.settle()
	d.stringeeID(root, root.get("timestamp_ms"), e.ProviderType)
}

// stringeeID names the event by the event id that live systems send and the
// documentation does not know, else by its parts.
func (d *draft) stringeeID(root, at value, parts ...string) {
	if id := d.id(root.get("event_id")); !isBlank(id) {
		d.named(id)
		return
	}
	d.keyed(d.literal(at), parts...)
}
