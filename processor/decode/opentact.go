package decode

import "callstitch/processor/call"

var opentact = provider{
	fits:    looksLikeOpentact,
	read:    (*draft).opentact,
	fields:  opentactFields,
	ignored: opentactFeeds,
}

// opentactFields are the members that are read, wherever they stand.
var opentactFields = []string{
	"account", "answer_on", "auto_answer", "call", "call_flow", "call_record", "children", "command",
	"created_on", "destroy_on", "direction", "duration", "from", "hangup_on", "init_on", "logs", "modified_on",
	"name", "parent", "path", "payload", "q850_cause", "q850_cause_string", "records", "ring_on",
	"sip_control_app", "state", "stir_shaken_attest_level", "success", "tag", "timestamp", "to", "type", "url",
	"uuid",
}

// opentactFeeds are the kinds of Opentact's feed that are ignored. Those that
// start with call_ are taken where they name a call.
var opentactFeeds = map[string]string{
	"account":      "opentact/account",
	"auth":         "opentact/auth",
	"batch":        "opentact/batch",
	"sms":          "opentact/sms",
	"sms_brand":    "opentact/sms_brand",
	"sms_campaign": "opentact/sms_campaign",
	"ticket":       "opentact/ticket",
	"tn":           "opentact/tn",
	"tn_lease":     "opentact/tn_lease",
	"tn_order":     "opentact/tn_order",
	"tn_order_tn":  "opentact/tn_order_tn",
	"user":         "opentact/user",
	"call_record":  "opentact/call_record",
	"call_asr":     "opentact/call_asr",
	"":             "opentact/other",
}

// opentactStates are the states of a call, with the field that says when it
// got there.
var opentactStates = map[string]struct {
	event call.EventType
	at    string
}{
	"init":      {call.EventCallInitiated, "init_on"},
	"ringing":   {call.EventCallRinging, "ring_on"},
	"live":      {call.EventCallAnswered, "answer_on"},
	"bridged":   {call.EventCallBridged, ""},
	"hangup":    {call.EventCallEnded, "hangup_on"},
	"destroyed": {call.EventCallDestroyed, "destroy_on"},
}

func looksLikeOpentact(v value) bool {
	return v.get("type").isString() &&
		(v.get("uuid").isString() || v.get("call").isObject() || v.get("payload").isObject())
}

// opentactMessage is one message of the feed, of either generation: since 2024
// the call is a member of its own and the message has a uuid; before, the call
// was in, or was, the payload, and the message had none.
type opentactMessage struct {
	root, leg value
	typ       string
	clock     call.Instant // when the message was made
}

// opentact reads a message of Opentact's websocket or webhook.
func (d *draft) opentact(root value) (ignored string) {
	m := opentactMessage{root: root, typ: d.word(root.get("type"), "type")}
	m.leg = opentactCall(root, m.typ)
	if kind, ignore := m.ignored(); ignore && d.rejected == nil {
		return kind
	}
	d.callID(m.leg.get("uuid"), "call.uuid")
	if d.rejected != nil {
		return ""
	}
	m.clock = d.clock(root.either("created_on", "timestamp"), "created_on", value.moment, call.EvidenceEvent)
	e := d.event
	e.ProviderType = m.typ
	e.Account = d.id(root.get("account").get("uuid"))
	if e.Account == "" {
		e.Account = d.id(m.leg.get("account").get("uuid"))
	}
	e.Time, e.ReportedAt = m.clock, m.clock.At
	d.opentactLeg(m.leg)
	d.opentactType(m)
	d.opentactID(m)
	return ""
}

// opentactCall finds the call in a message; absent where it is about none.
func opentactCall(root value, typ string) value {
	payload := root.get("payload")
	switch {
	case root.get("call").isObject():
		return root.get("call")
	case payload.get("call").isObject():
		return payload.get("call")
	case typ == "call_state":
		return payload
	case typ == "call_record":
		return root.get("call_record").get("call")
	}
	return value{}
}

func (m opentactMessage) ignored() (kind string, ignore bool) {
	kind, listed := opentactFeeds[m.typ]
	switch m.typ {
	case "", "call_state", "call_flow":
		return "", false
	case "call_record", "call_asr":
		return kind, !m.leg.get("uuid").given()
	}
	if !listed {
		return opentactFeeds[""], !m.leg.get("uuid").given()
	}
	return kind, true
}

// opentactLeg reads what every message says of its call.
func (d *draft) opentactLeg(leg value) {
	e := d.event
	e.Started = d.instant(leg.get("created_on"), value.moment, call.EvidenceReported)
	e.Direction = opentactDirection(leg)
	e.From = d.address(leg.get("from"), isNorthAmerican)
	e.To = d.address(leg.get("to"), isNorthAmerican)
	d.attribute("stir_shaken_attest_level", d.text(leg.get("stir_shaken_attest_level")))
	d.opentactParent(leg.get("parent"))
	// Outbound calls name the application that made them with the same
	// auto_answer, but there it is the other side who answers.
	e.PlatformAnswer = e.Direction == call.DirectionInbound && leg.get("sip_control_app").get("auto_answer").isTrue()
}

func opentactDirection(leg value) call.Direction {
	switch direction := leg.get("direction"); {
	case direction.is("in"):
		return call.DirectionInbound
	case direction.is("out"):
		return call.DirectionOutbound
	}
	return call.DirectionUnknown
}

// isNorthAmerican reports whether bare digits are a number of the North American
// plan with its country code: Opentact writes those with and without a plus,
// even in one message, and its own inventory (tn) only so.
func isNorthAmerican(digits string, _ bool) bool { return len(digits) == 11 && digits[0] == '1' }

// opentactParent reads the embedded copy of the call that created this one.
func (d *draft) opentactParent(parent value) {
	d.parent(d.id(parent.get("uuid")))
	if d.event.ParentCallID == "" {
		return
	}
	snapshot := func(field string) call.Instant {
		return d.instant(parent.get(field), value.moment, call.EvidenceSnapshot)
	}
	d.event.Snapshot = &call.LegSnapshot{
		CallID:    d.event.ParentCallID,
		Direction: opentactDirection(parent),
		From:      d.address(parent.get("from"), isNorthAmerican),
		To:        d.address(parent.get("to"), isNorthAmerican),
		Started:   snapshot("created_on"),
		Ringing:   snapshot("ring_on"),
		Answered:  snapshot("answer_on"),
		Ended:     or(snapshot("hangup_on"), snapshot("destroy_on")),
		Alive:     snapshot("modified_on"),
		Ending:    d.opentactCause(parent),
	}
}

// opentactType reads what happened.
func (d *draft) opentactType(m opentactMessage) {
	e := d.event
	switch m.typ {
	case "call_state":
		d.opentactState(m)
	case "call_flow":
		d.opentactCommand(m)
	case "call_record":
		e.Type = call.EventRecordingAvailable
		e.Recording = d.opentactRecording(m.root.get("call_record"))
		if e.Recording.ID != "" {
			e.Recording.Status, e.Recording.AvailableAt = call.RecordingAvailable, e.ReportedAt
		}
	case "call_asr":
		e.Type = call.EventTranscriptionAvailable
	default:
		e.Type, e.Flags = call.EventUnknown, e.Flags|call.FlagUnknownType
	}
	d.settle()
}

func (d *draft) opentactState(m opentactMessage) {
	e := d.event
	state := m.root.get("payload").get("state")
	if !state.given() {
		state = m.leg.get("state")
	}
	e.ProviderState = d.word(state, "payload.state")
	known, ok := opentactStates[e.ProviderState]
	if !ok {
		e.Type, e.Flags = call.EventUnknown, e.Flags|call.FlagUnknownType
		return
	}
	e.Type = known.event
	e.Time = or(d.clock(m.leg.get(known.at), "call."+known.at, value.moment, call.EvidenceReported), m.clock)
	d.settle()
	d.opentactInstants(m.leg)
	switch e.Type {
	case call.EventCallInitiated:
		e.Started = or(e.Started, e.Time)
	case call.EventCallRinging:
		e.Ringing = or(e.Ringing, e.Time)
	case call.EventCallAnswered:
		e.Answered = or(e.Answered, e.Time)
	case call.EventCallEnded, call.EventCallDestroyed:
		d.opentactEnd(m)
	}
}

// opentactInstants reads the instants of a call up to its answer.
func (d *draft) opentactInstants(leg value) {
	d.event.Ringing = d.instant(leg.get("ring_on"), value.moment, call.EvidenceReported)
	d.event.Answered = d.instant(leg.get("answer_on"), value.moment, call.EvidenceReported)
}

// opentactEnd reads what hangup and destroyed say.
func (d *draft) opentactEnd(m opentactMessage) {
	e := d.event
	e.Ended = call.Earliest(
		d.instant(m.leg.get("hangup_on"), value.moment, call.EvidenceReported),
		d.instant(m.leg.get("destroy_on"), value.moment, call.EvidenceReported),
	)
	e.Ended = or(e.Ended, e.Time)
	if m.root.get("uuid").given() || m.root.get("call").isObject() {
		e.ProviderDuration = m.leg.get("duration").seconds() // before 2024 its unit is not known
	}
	e.Ending = d.opentactCause(m.leg)
	e.Voicemail = tookVoicemail(m.leg.get("logs"))
	for i, record := range m.leg.get("records").elements() {
		switch {
		case i == 0:
			e.Recording = d.opentactRecording(record)
		case i < maxRecordings:
			d.opentactFurtherRecording(m, record)
		}
	}
}

// opentactCause reads why a call ended, from the call or from a copy of it.
func (d *draft) opentactCause(leg value) (e call.Ending) {
	endsWithFreeSwitch(&e, leg.get("q850_cause"), d.text(leg.get("q850_cause_string")))
	return e
}

// maxRecordings bounds the events that one message can make; a call has one
// recording, or a few.
const maxRecordings = 64

// opentactRecording reads one recording. Its shape is not documented; a uuid
// and, where it can be fetched, a url are all that is relied on.
func (d *draft) opentactRecording(record value) call.RecordingFact {
	r := call.RecordingFact{ID: d.id(record.get("uuid")), URL: d.media(record.get("url"))}
	switch {
	case r.ID == "":
		return call.RecordingFact{}
	case r.URL == "":
		r.Status = call.RecordingPending
	default:
		r.Status = call.RecordingAvailable
	}
	return r
}

// opentactFurtherRecording makes an event of a recording, since an event tells
// of one only.
func (d *draft) opentactFurtherRecording(m opentactMessage, record value) {
	fact := d.opentactRecording(record)
	if fact.ID == "" {
		return
	}
	e := d.event
	d.more = append(d.more, &call.Event{
		ID: call.NewEventID(e.Leg, "record", string(m.root.get("uuid").bytes()), fact.ID), IDKind: call.IDContent,
		Tenant: e.Tenant, Provider: e.Provider, Scope: e.Scope, CallID: e.CallID, Leg: e.Leg, Account: e.Account,
		Type: call.EventRecordingAvailable, ProviderType: e.ProviderType, ProviderState: e.ProviderState,
		Time: or(m.clock, e.Time), ReportedAt: e.ReportedAt, IngestedAt: e.IngestedAt, Recording: fact,
	})
}

// opentactCommand reads a step of the call flow that a call went through.
func (d *draft) opentactCommand(m opentactMessage) {
	e := d.event
	step := m.root.get("call_flow")
	if !step.isObject() {
		step = m.root.get("payload").get("command")
	}
	e.ProviderState = d.id(step.either("name", "command"))
	if e.ProviderState == "" {
		e.ProviderState = d.id(m.root.get("command"))
	}
	e.Type = call.EventCallUpdated
	d.settle()
	d.opentactInstants(m.leg)
	if e.ProviderState == "Answer" && step.get("success").kind() != 'f' {
		e.Type, e.PlatformAnswer = call.EventCallAnswered, true
		e.Answered = or(e.Answered, e.Time)
	}
}

// opentactID names the event. Messages without a uuid are told apart by their
// state, and those that can repeat by their time.
func (d *draft) opentactID(m opentactMessage) {
	if uuid := d.id(m.root.get("uuid")); !isBlank(uuid) {
		d.named(uuid)
		return
	}
	if m.typ == "call_state" && d.event.Type != call.EventUnknown && d.event.Type != call.EventCallBridged {
		d.once(d.event.ProviderState)
		return
	}
	path := m.root.get("payload").get("command").get("path")
	d.keyed(d.literal(m.root.either("created_on", "timestamp")), m.typ, d.event.ProviderState, d.literal(path))
}

// tookVoicemail reports whether the steps that a call went through include a
// recording tagged voicemail that ran.
func tookVoicemail(logs value) bool {
	connected := false
	for _, step := range logs.elements() {
		connected = connected || (step.get("name").is("Dial") && ran(step))
	}
	return recordedVoicemail(logs, connected)
}

// recordedVoicemail looks for the recording. Opentact leaves its step queued
// even where the beep that belongs to it was played, so a queued one counts,
// unless somebody was reached and nothing of it or after it ran. The steps
// inside a Dial are what it may do, not what it did.
func recordedVoicemail(logs value, connected bool) bool {
	doubtful := false
	for _, step := range logs.elements() {
		switch {
		case doubtful && ran(step):
			return true
		case step.get("name").is("Record") && step.get("tag").is("voicemail"):
			if ran(step) || (!connected && !step.get("state").is("failed")) {
				return true
			}
			doubtful = !step.get("state").is("failed")
		case !step.get("name").is("Dial") && recordedVoicemail(step.get("children"), connected):
			return true
		}
	}
	return false
}

func ran(step value) bool { return step.get("success").isTrue() || step.get("state").is("success") }
