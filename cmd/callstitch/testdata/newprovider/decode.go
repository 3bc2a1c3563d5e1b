package decode

import "callstitch/processor/call"

var halloo = provider{
	fits:    func(v value) bool { return v.get("halloo").isString() },
	read:    (*draft).halloo,
	fields:  []string{"at", "callee", "caller", "dialled_from", "halloo", "id", "way", "why"},
	ignored: map[string]string{"heartbeat": "halloo/heartbeat"},
	causes:  hallooCauses,
}

// hallooKinds are what a message may tell.
var hallooKinds = map[string]call.EventType{
	"setup":     call.EventCallInitiated,
	"alerting":  call.EventCallRinging,
	"connected": call.EventCallAnswered,
	"released":  call.EventCallEnded,
}

const (
	hallooScheme = Scheme("halloo")
	hallooDocs   = "halloo.example/docs/messages"
)

var hallooCauses = []CauseRow{
	keyword(hallooScheme, "done", call.CauseNormal, call.NoHangupParty, hallooDocs),
	keyword(hallooScheme, "busy", call.CauseBusy, call.NoHangupParty, hallooDocs),
	keyword(hallooScheme, "handed-over", call.CauseTransferred, call.HangupByTransfer, hallooDocs),
}

var hallooByWord = byCode(hallooCauses)

// halloo reads a message of Halloo's feed, each about one step of one leg.
func (d *draft) halloo(root value) (ignored string) {
	kind := d.word(root.get("halloo"), "halloo")
	if kind == "heartbeat" {
		return "halloo/heartbeat"
	}
	d.callID(root.get("id"), "id")
	if d.rejected != nil {
		return ""
	}
	e := d.event
	e.ProviderType = kind
	e.Time = d.clock(root.get("at"), "at", value.moment, call.EvidenceReported)
	e.ReportedAt = e.Time.At
	d.settle()
	d.hallooCall(root)
	var known bool
	if e.Type, known = hallooKinds[kind]; !known {
		e.Flags |= call.FlagUnknownType
	}
	switch e.Type {
	case call.EventCallInitiated:
		e.Started = e.Time
	case call.EventCallRinging:
		e.Ringing = e.Time
	case call.EventCallAnswered:
		e.Answered = e.Time
	case call.EventCallEnded:
		e.Ended = e.Time
		e.ProviderCause = d.text(root.get("why"))
		endsWith(&e.Ending, hallooByWord, e.ProviderCause)
	}
	if known {
		d.once(kind)
	} else {
		d.keyed(d.literal(root.get("at")), kind)
	}
	return ""
}

// hallooCall reads what every message says of its leg.
func (d *draft) hallooCall(root value) {
	e := d.event
	switch way := root.get("way"); {
	case way.is("in"):
		e.Direction = call.DirectionInbound
	case way.is("out"):
		e.Direction = call.DirectionOutbound
	}
	e.From, e.To = d.address(root.get("caller"), never), d.address(root.get("callee"), never)
	d.parent(d.id(root.get("dialled_from")))
}
