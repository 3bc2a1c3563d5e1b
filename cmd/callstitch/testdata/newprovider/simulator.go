package simulator

// Halloo tells each step of each leg once, with its time. Its platform answers
// inbound calls and dials agents; a leg that is handed over says so.

var halloo = provider{
	name:  "halloo",
	draw:  drawHalloo,
	noise: []noiseKind{{"heartbeat", hallooHeartbeat}},
	slips: []slip{{"MISSING_CALL_ID", `"id":"`, `"xd":"`}},
}

type hallooFeed struct{ *feed }

func drawHalloo(f *feed, start int64) {
	h := hallooFeed{f}
	t := &f.call.truth
	caller, hotline, agent := f.phone(), f.phone(), f.phone()
	t.Direction, t.From, t.To = "INBOUND", party{caller, caller}, party{hotline, hotline}
	t.Disposition, t.AnsweredBy = "ANSWERED", "UNKNOWN"
	f.unsure |= HangupCause | HangupParty

	a := h.addLeg(&leg{id: f.uuid(), from: t.From, to: t.To, origin: true})
	h.tell(a, nil, "setup", start, tellsStart, &a.started)
	h.tell(a, nil, "connected", start+f.between(100, 900), tellsAnswer, &a.answered)
	b := h.dial(a, agent, a.answered.at+f.between(10, 300))
	switch {
	case f.chance(0.2):
		t.Disposition, t.AnsweredBy = "BUSY", "SYSTEM"
		h.release(b, a, "busy", b.started.at+f.around(3000))
		h.release(a, nil, "done", b.ended.at+f.between(10, 300))
	case f.chance(f.transfers):
		h.answer(b, a)
		at := b.answered.at + f.around(20_000)
		c := h.dial(a, f.phone(), at)
		h.release(b, a, "handed-over", at+f.between(1, 50))
		f.call.passedOn(passing{typ: "BLIND", result: "COMPLETED", to: c.id, by: b.to.raw})
		h.answer(c, a)
		h.hangUp(c, a)
	default:
		h.answer(b, a)
		h.hangUp(b, a)
	}
	f.inOrder()
}

func (h hallooFeed) dial(from *leg, callee string, at int64) *leg {
	l := h.addLeg(&leg{id: h.uuid(), from: from.to, to: party{callee, callee}})
	h.tell(l, from, "setup", at, tellsStart, &l.started)
	h.tell(l, from, "alerting", at+h.between(50, 500), tellsRinging, &l.ringing)
	return l
}

func (h hallooFeed) answer(l, from *leg) {
	h.tell(l, from, "connected", l.ringing.at+h.around(5000), tellsAnswer, &l.answered)
}

func (h hallooFeed) hangUp(l, from *leg) {
	h.release(l, from, "done", l.answered.at+h.around(60_000))
	h.release(from, nil, "done", l.ended.at+h.between(10, 300))
}

func (h hallooFeed) release(l, from *leg, why string, at int64) {
	l.how.word = why
	h.tell(l, from, "released", at, tellsEnd, &l.ended)
}

// tell writes the message of one step, which sets the instant that it shows.
func (h hallooFeed) tell(l, from *leg, step string, at int64, k kind, shown *moment) {
	*shown = moment{at, "REPORTED"}
	b := str(h.object(), "halloo", step)
	b = str(b, "id", l.id)
	b = iso(b, "at", at)
	anchors := []*leg{l}
	if from == nil {
		b = str(b, "way", "in")
	} else {
		b = str(b, "way", "out")
		b = str(b, "dialled_from", from.id)
		anchors = append(anchors, from)
	}
	b = str(b, "caller", l.from.raw)
	b = str(b, "callee", l.to.raw)
	if k == tellsEnd {
		b = str(b, "why", l.how.word)
	}
	m := message{leg: l, at: at, sent: at + h.between(1, 40), kind: k, shows: []*moment{shown}, anchors: anchors}
	h.say(m, append(b, '}'))
}

func hallooHeartbeat(_ draw, _ *tenant, at int64) []byte {
	return append(iso(str([]byte("{"), "halloo", "heartbeat"), "at", at), '}')
}
