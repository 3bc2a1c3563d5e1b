package decode

import "callstitch/processor/call"

var sonetel = provider{
	fits:    looksLikeSonetel,
	read:    (*draft).sonetel,
	fields:  sonetelFields,
	ignored: sonetelFeeds,
	// A transition that is told twice in other words is evidence of a transfer,
	// even where the words that differ are not read.
	onceContent: value.members,
}

// sonetelFields are the members that are read, wherever they stand.
var sonetelFields = []string{
	"callId", "calleeFlowId", "calleePhoneNumber", "calleeUser", "callerFlowId", "callerPhoneNumber",
	"callerUser", "date", "duration", "messageType", "notification", "notificationType",
}

// sonetelFeeds are the frames of the socket that are ignored.
var sonetelFeeds = map[string]string{
	"test":                "sonetel/test",         // echoed to test a connection
	"notificationRequest": "sonetel/subscription", // what a client asks for
	"tenantStatusEvent":   "sonetel/tenantStatusEvent",
	"presenceListEvent":   "sonetel/presenceListEvent",
	"wallboardEvent":      "sonetel/wallboardEvent",
	"newVoicemailEvent":   "sonetel/newVoicemailEvent",
	"":                    "sonetel/other",
}

// sonetelEvents are the notifications about calls. once marks those that a
// call sends once, and after an attended transfer once more for the same call.
// A channel that hung up leaves the call itself as it is.
var sonetelEvents = map[string]struct {
	event call.EventType
	once  bool
}{
	"newCallEvent":         {call.EventCallInitiated, true},
	"callConnectedEvent":   {call.EventCallAnswered, true},
	"callHungUpEvent":      {call.EventCallEnded, true},
	"missedCallEvent":      {call.EventCallMissed, true},
	"channelHungUpEvent":   {call.EventChannelEnded, false},
	"callTransferredEvent": {call.EventTransferCompleted, false},
	"twinTransferredEvent": {call.EventCallUpdated, false}, // to the same user's other telephone
	"activeChannelEvent":   {call.EventCallUpdated, false},
}

func looksLikeSonetel(v value) bool {
	return v.get("notificationType").isString() || v.get("messageType").isString()
}

// sonetel reads a frame of the socket: an envelope around a CallEvent, or a
// CallEvent that was taken out of it with its type added. Nothing in it says
// when it happened, so the Kafka timestamp is all there is.
func (d *draft) sonetel(root value) (ignored string) {
	frame := d.word(root.get("messageType"), "messageType")
	typ := d.word(root.get("notificationType"), "notificationType")
	body := root
	if n := root.get("notification"); n.given() {
		body = n
	}
	if kind, ignore := sonetelIgnored(frame, typ, body); ignore && d.rejected == nil {
		return kind
	}
	switch {
	case body.given() && !body.isObject():
		d.fail(call.RejectBadField, "notification is "+kindName(body.kind())+", want an object")
	case frame == "" && typ == "" && body.get("callId").given():
		d.fail(call.RejectBadField, "notificationType is absent")
	}
	d.callID(body.get("callId"), "callId")
	if d.rejected != nil {
		return ""
	}
	d.settle()
	d.sonetelCall(body)
	d.sonetelType(body, typ)
	return ""
}

func sonetelIgnored(frame, typ string, body value) (kind string, ignore bool) {
	if kind, ignore = sonetelFeeds[frame]; ignore && frame != "" {
		return kind, true
	}
	if kind, ignore = sonetelFeeds[typ]; ignore && typ != "" {
		return kind, true
	}
	known, isCall := sonetelEvents[typ]
	optional := !isCall || known.event == call.EventTransferCompleted || known.event == call.EventCallUpdated
	named := frame != "" || typ != ""
	return sonetelFeeds[""], named && optional && !body.get("callId").given()
}

// sonetelCall reads what every CallEvent says of its call.
func (d *draft) sonetelCall(body value) {
	e := d.event
	e.Started = d.instant(body.get("date"), value.moment, call.EvidenceReported)
	e.From = d.sonetelParty(body.get("callerPhoneNumber"), body.get("callerUser"))
	e.To = d.sonetelParty(body.get("calleePhoneNumber"), body.get("calleeUser"))
	for _, flow := range []value{body.get("callerFlowId"), body.get("calleeFlowId")} {
		d.link(call.LinkFlow, d.id(flow))
	}
}

// sonetelParty reads one end: a number where there is one, which may be an
// extension, else the user's object id.
func (d *draft) sonetelParty(number, user value) call.Party {
	party := d.address(number, never)
	switch {
	case party.Raw == "":
		party = call.Party{Raw: d.id(user), Kind: call.PartyUser}
		if party.Raw == "" {
			party.Kind = call.PartyUnknown
		}
	case party.Kind == call.PartyUnknown && user.given():
		party.Kind = call.PartyUser
	}
	return party
}

// sonetelType reads what happened.
func (d *draft) sonetelType(body value, typ string) {
	e := d.event
	known, ok := sonetelEvents[typ]
	if !ok {
		e.Flags |= call.FlagUnknownType
	}
	e.Type, e.ProviderType = known.event, typ
	e.Direction = sonetelDirection(body)
	switch e.Type {
	case call.EventCallInitiated:
		e.Started = or(e.Started, d.ingest())
	case call.EventCallAnswered:
		e.Answered = d.ingest()
	case call.EventCallEnded:
		e.Ended = d.ingest()
		e.ProviderDuration = body.get("duration").seconds()
	case call.EventCallMissed:
		e.Ended = d.ingest()
		e.HangupCause = call.CauseNoAnswer
	case call.EventChannelEnded:
		e.AgentLeft = true
		e.Direction = call.DirectionUnknown // only one side is filled, which tells nothing
	case call.EventTransferCompleted:
		e.TransferType = call.TransferUnknown
	}
	if known.once {
		d.once(typ)
	} else {
		d.keyed("", typ)
	}
}

// sonetelDirection goes by which ends are users of the exchange.
func sonetelDirection(body value) call.Direction {
	caller, callee := isUser(body.get("callerUser")), isUser(body.get("calleeUser"))
	switch {
	case caller && callee:
		return call.DirectionInternal
	case caller:
		return call.DirectionOutbound
	case callee:
		return call.DirectionInbound
	}
	return call.DirectionUnknown
}

func isUser(v value) bool { return v.given() && len(v.bytes()) > 0 }
