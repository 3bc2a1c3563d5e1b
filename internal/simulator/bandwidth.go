package simulator

import (
	"slices"
	"strconv"
)

// Bandwidth sends an event per step of its call control. The answer of an
// inbound call is the platform's and shows only in later events; the legs that a
// Transfer dials name their parent and keep its numbers.

var bandwidth = provider{
	name:  "bandwidth",
	draw:  drawBandwidth,
	noise: []noiseKind{{"conference", bandwidthRoom}, {"endpoint", bandwidthDevice}},
	blanks: []string{
		"answerTime", "endTime", "enqueuedTime", "tag", "cause", "errorMessage", "errorId", "parentCallId", "transferTo", "transferCallerId",
		"sipResponseCode", "sipCallId", "machineDetectionResult", "conferenceId", "recordingId",
	},
	slips: []slip{ // of conference events the call id is in another place: without it they are news of the conference
		{"MISSING_CALL_ID", `Z","callId":"`, `Z","callXd":"`},
		{"BAD_TIMESTAMP", `"eventTime":"20`, `"eventTime":"19`},
	},
}

type bandwidthFeed struct {
	*feed
	said int64 // the time of the event being written
}

// bandwidthLeg is a leg with what only Bandwidth says of it.
type bandwidthLeg struct {
	*leg
	parent    *bandwidthLeg
	direction string
	target    string // transferTo
	start     int64
	live, end int64 // 0 where it never was
}

var (
	bandwidthNormal   = failure{word: "hangup", cause: "NORMAL"}
	bandwidthCancel   = failure{487, "cancel", "CANCELED", "CANCELED"}
	bandwidthFailures = []failure{
		{480, "timeout", "NO_ANSWER", "NO_ANSWER"},
		{480, "timeout", "NO_ANSWER", "NO_ANSWER"},
		{486, "busy", "BUSY", "BUSY"},
		{603, "rejected", "REJECTED", "REJECTED"},
		{0, "error", "FAILED", "FAILED"},
		{0, "callback-error", "FAILED", "FAILED"},
	}
)

func drawBandwidth(f *feed, start int64) {
	w := &bandwidthFeed{feed: f}
	switch w.weighted(0.38, 0.4, 0.05, 0.05, 0.05, 0.04, 0.03) {
	case 0:
		w.outbound(start)
	case 1:
		w.inbound(start)
	case 2:
		w.conference(start)
	case 3:
		w.hotline(start)
	case 4:
		w.screened(start)
	case 5:
		w.referral(start)
	default:
		w.givenUp(start)
	}
	f.imperfect()
}

func (w *bandwidthFeed) leg(direction string, parent *bandwidthLeg, start int64) *bandwidthLeg {
	b := append(append([]byte("c-"), w.hex(8)...), '-')
	b = append(append(b, w.hex(8)...), w.uuid()[8:]...)
	l := &bandwidthLeg{leg: w.addLeg(&leg{id: string(b)}), parent: parent, direction: direction, start: start}
	l.started = moment{start, "REPORTED"}
	l.how = bandwidthNormal
	if parent != nil {
		l.from, l.to = parent.from, parent.to
	}
	return l
}

func (l *bandwidthLeg) answer(at int64) { l.live, l.answered = at, moment{at, "REPORTED"} }
func (l *bandwidthLeg) stop(at int64)   { l.end, l.ended = at, moment{at, "REPORTED"} }

func (w *bandwidthFeed) outcome(disposition, by, cause string) {
	t := &w.call.truth
	t.Disposition, t.AnsweredBy, t.HangupCause = disposition, by, cause
	w.unsure |= HangupParty
}

// outbound is a call that an application makes to a person, or to that person's
// answering machine.
func (w *bandwidthFeed) outbound(start int64) {
	l := w.leg("outbound", nil, start)
	l.from, l.to = w.plus(), w.plus()
	t := &w.call.truth
	t.Direction, t.From, t.To = "OUTBOUND", l.from, l.to
	if !w.chance(0.65) {
		l.how = pick(w.draw, bandwidthFailures)
		l.stop(start + w.between(800, 30_000))
		w.outcome(l.how.disposition, "UNKNOWN", l.how.cause)
		w.disconnect(l)
		return
	}
	l.answer(start + w.around(7000))
	w.step("answer", l, l.live, tellsAnswer)
	l.stop(l.live + w.around(60_000))
	w.outcome("ANSWERED", "UNKNOWN", "NORMAL")
	switch w.weighted(0.6, 0.2, 0.2) {
	case 1:
		w.machine(l, "human")
		w.outcome("ANSWERED", "HUMAN", "NORMAL")
	case 2:
		w.machine(l, "answering-machine", &l.machine)
		w.outcome("VOICEMAIL", "MACHINE", "NORMAL")
	}
	w.keys(l)
	w.stream(l)
	w.disconnect(l)
	w.maybeRecording(l)
}

// stream writes the refusal of a media stream, whose cause is none of the call.
func (w *bandwidthFeed) stream(l *bandwidthLeg) {
	if !w.chance(0.1) {
		return
	}
	b := w.body(w.head("mediaStreamRejected", l, min(l.live+w.between(100, 900), l.end-1)), l, l.live, 0)
	b = raw(b, "mediaStream", `{"id":"s-`+w.uuid()+`","name":"listener","destination":"wss://listener.example.com","tracks":["inbound"]}`)
	b = str(b, "cause", "connection-error")
	b = str(b, "errorMessage", "The destination could not be reached")
	w.post(message{kind: tellsExtra}, l, append(b, '}'), &l.answered)
}

// machine writes what listening to the answer found.
func (w *bandwidthFeed) machine(l *bandwidthLeg, value string, found ...*moment) {
	at := min(l.live+w.between(700, 6000), l.end-1)
	for _, m := range found {
		*m = moment{at, "REPORTED"}
	}
	b := w.head("machineDetectionComplete", l, at)
	b = w.body(b, l, l.live, 0)
	b = raw(b, "machineDetectionResult", `{"value":"`+value+`","duration":"PT`+strconv.FormatInt((at-l.live)/1000, 10)+`.045329368S"}`)
	w.post(message{kind: tellsExtra}, l, append(b, '}'), append(found, &l.answered)...)
}

// keys are digits that somebody presses, each an event of its own.
func (w *bandwidthFeed) keys(l *bandwidthLeg) {
	at := l.live
	for range w.between(0, 2) {
		if at += w.between(700, 4000); at >= l.end {
			return
		}
		b := w.body(w.head("dtmf", l, at), l, l.live, 0)
		b = str(b, "digit", strconv.Itoa(w.IntN(10)))
		w.post(message{kind: tellsExtra}, l, append(b, '}'), &l.answered)
	}
}

// platform draws an inbound call that the platform answers after a moment.
func (w *bandwidthFeed) platform(start int64) *bandwidthLeg {
	a := w.leg("inbound", nil, start)
	a.origin = true
	a.from, a.to = w.plus(), w.plus()
	if w.chance(0.06) {
		a.from = party{raw: pick(w.draw, []string{"Anonymous", "Restricted", "Private", "Unavailable"})}
	}
	t := &w.call.truth
	t.Direction, t.From, t.To = "INBOUND", a.from, a.to
	b := w.body(w.head("initiate", a, start), a, 0, 0)
	if w.chance(0.3) {
		b = raw(b, "stirShaken", `{"verstat":"TN-Validation-Passed","attestationIndicator":"A"}`)
	}
	w.post(message{kind: tellsStart}, a, append(b, '}'))
	return a
}

// givenUp is an inbound call whose caller hangs up before the platform answers.
func (w *bandwidthFeed) givenUp(start int64) {
	a := w.platform(start)
	a.how = bandwidthCancel
	a.stop(start + w.between(300, 3000))
	w.outcome("CANCELED", "UNKNOWN", "CANCELED")
	w.disconnect(a)
}

// hotline is an inbound call that never leaves the platform: an announcement, or
// one after which the caller leaves a message.
func (w *bandwidthFeed) hotline(start int64) {
	a := w.platform(start)
	a.answer(start + w.between(500, 4000))
	a.stop(a.live + w.around(20_000))
	w.outcome("NO_ANSWER", "SYSTEM", "NORMAL")
	w.menu(a)
	w.keys(a)
	w.disconnect(a)
	if w.chance(0.5) {
		w.recording(a)
		w.outcome("VOICEMAIL", "SYSTEM", "NORMAL")
	}
}

// referral is an inbound call that is to be passed on out of the platform: the caller's
// own exchange is asked to call somebody else, and refuses once or twice, or for good.
func (w *bandwidthFeed) referral(start int64) {
	a, t := w.platform(start), &w.call.truth
	a.answer(start + w.between(500, 4000))
	at := a.live + w.between(1000, 20_000)
	for range w.between(0, 2) {
		refusal := pick(w.draw, bandwidthRefusals)
		w.refer(a, at, "failure", refusal[0], refusal[1], tellsExtra)
		w.call.passedOn(passing{typ: "BLIND", result: "FAILED", by: t.To.raw})
		at += w.between(2000, 8000)
	}
	if w.chance(0.2) {
		a.stop(at)
		w.outcome("NO_ANSWER", "SYSTEM", "NORMAL")
		w.disconnect(a)
		return
	}
	w.call.outOfSight = true
	w.refer(a, at, "success", 202, pick(w.draw, []int64{0, 180, 200}), tellsEnd, &a.ended)
	w.call.passedOn(passing{typ: "BLIND", result: "COMPLETED", by: t.To.raw})
	w.outcome("UNKNOWN", "SYSTEM", "TRANSFERRED")
	t.HangupParty, w.unsure = "TRANSFER", w.unsure&^HangupParty
	told := w.said
	a.ended = moment{told, "EVENT"}
	if w.chance(0.5) { // a disconnect follows; whoever hears the one hears the other
		a.stop(at + w.between(0, 300))
		b := ending(w.body(w.head("disconnect", a, a.end), a, a.live, a.end), a.how)
		if w.chance(0.5) {
			b = num(b, "sipResponseCode", 200)
		}
		w.said = told
		w.post(message{kind: tellsEnd}, a, append(b, '}'), &a.answered, &a.ended)
	}
}

// bandwidthRefusals are the statuses of the REFER and of its last NOTIFY, 0 for none.
var bandwidthRefusals = [][2]int64{{0, 0}, {405, 0}, {202, 0}, {202, 183}, {202, 404}, {202, 486}, {202, 503}}

// refer writes how a REFER went. Its statuses are numbers, now and then text.
func (w *bandwidthFeed) refer(a *bandwidthLeg, at int64, outcome string, request, notify int64, k kind, shows ...*moment) {
	b := w.body(w.head("referComplete", a, at), a, a.live, 0)
	b = str(b, "referCallStatus", outcome)
	text := w.chance(0.2)
	for _, s := range [...]struct {
		key    string
		status int64
	}{{"referSipResponseCode", request}, {"notifySipResponseCode", notify}} {
		switch {
		case s.status == 0:
		case text:
			b = str(b, s.key, strconv.FormatInt(s.status, 10))
		default:
			b = num(b, s.key, s.status)
		}
	}
	b = str(b, "referTo", "sip:"+w.extension("desk")+"@pbx.example.com")
	w.post(message{kind: k}, a, append(b, '}'), append(shows, &a.answered)...)
}

// screened is an inbound call that is offered to somebody who answers, is asked, and
// declines by a key. The caller then leaves a message, is offered to somebody else who
// takes the call, or gives up after a while.
func (w *bandwidthFeed) screened(start int64) {
	a := w.platform(start)
	a.answer(start + w.between(500, 4000))
	b := w.dial(a, a.live+w.between(300, 5000))
	b.declined = true
	b.answer(b.start + w.around(6000))
	w.transferred("transferAnswer", b, b.live, tellsAnswer, bandwidthNormal)
	key := b.live + w.between(1500, 20_000)
	w.asked(b, key)
	b.stop(key + w.between(100, 3500))
	w.transferred("transferDisconnect", b, b.end, tellsEnd, bandwidthNormal)
	w.transferComplete(a, b.end, bandwidthNormal)
	switch w.weighted(0.4, 0.4, 0.2) {
	case 0:
		a.stop(b.end + w.between(6000, 30_000))
		w.outcome("VOICEMAIL", "SYSTEM", "NORMAL")
		w.disconnect(a)
		w.recording(a)
		return
	case 1:
		next := w.dial(a, b.end+w.between(100, 900))
		next.answer(next.start + w.around(6000))
		w.transferred("transferAnswer", next, next.live, tellsAnswer, bandwidthNormal)
		taken := next.live + w.between(1500, 20_000)
		w.asked(next, taken)
		next.stop(taken + w.between(7000, 90_000))
		w.transferred("transferDisconnect", next, next.end, tellsEnd, bandwidthNormal)
		a.stop(next.end + w.between(5, 60))
		w.outcome("ANSWERED", "UNKNOWN", "NORMAL")
	default:
		a.stop(b.end + w.between(6000, 20_000))
		w.outcome("REJECTED", "SYSTEM", "NORMAL")
	}
	w.disconnect(a)
}

// asked writes the key that the one who was dialled pressed, which is told of that leg.
func (w *bandwidthFeed) asked(l *bandwidthLeg, at int64) {
	b := str(w.head("gather", l, at), "parentCallId", l.parent.id)
	b = str(b, "transferCallerId", l.to.raw)
	b = str(b, "transferTo", l.target)
	b = w.body(b, l, l.live, 0)
	b = str(b, "digits", strconv.Itoa(w.IntN(10)))
	b = str(b, "terminatingDigit", "")
	w.post(message{kind: tellsExtra}, l, append(b, '}'), &l.answered)
}

// menu writes the steps of an IVR: digits that were gathered, and the next
// instructions that were asked for.
func (w *bandwidthFeed) menu(l *bandwidthLeg) {
	at := l.live + w.between(300, 3000)
	if at >= l.end {
		return
	}
	b := w.body(w.head("gather", l, at), l, l.live, 0)
	b = str(b, "digits", strconv.FormatInt(w.between(0, 99), 10))
	b = str(b, "terminatingDigit", "#")
	w.post(message{kind: tellsExtra}, l, append(b, '}'), &l.answered)
	b = w.body(w.head(pick(w.draw, []string{"redirect", "somethingNew"}), l, at+100), l, l.live, 0)
	w.post(message{kind: tellsExtra}, l, append(b, '}'), &l.answered)
}

// conference is an inbound call that joins a conference for a while. Whether
// anybody else was in the room, its own events do not tell.
func (w *bandwidthFeed) conference(start int64) {
	a := w.platform(start)
	a.answer(start + w.between(500, 4000))
	id := "conf-" + w.uuid()
	from := a.live + w.between(500, 3000)
	until := from + w.around(60_000)
	a.stop(until + w.between(100, 3000))
	w.member("conferenceMemberJoin", a, id, from)
	w.member("conferenceMemberExit", a, id, until)
	w.disconnect(a)
	w.call.truth.ConferenceID = id
	w.outcome("UNKNOWN", "SYSTEM", "NORMAL")
}

// member writes a conference event of a call, which names no account.
func (w *bandwidthFeed) member(kind string, l *bandwidthLeg, conference string, at int64) {
	b := w.object()
	b = str(b, "eventType", kind)
	b = w.eventTime(b, at)
	b = str(b, "conferenceId", conference)
	b = str(b, "name", "meeting")
	b = str(b, "from", l.from.raw)
	b = str(b, "to", l.to.raw)
	b = str(b, "callId", l.id)
	w.say(message{leg: l.leg, at: w.said, sent: w.said + w.between(5, 90), kind: tellsExtra}, append(b, '}'))
}

// inbound is a call that the platform answers and transfers to one or more
// targets.
func (w *bandwidthFeed) inbound(start int64) {
	a := w.platform(start)
	a.answer(start + w.between(500, 4000))
	dial := a.live + w.between(300, 5000)
	if w.chance(0.62) {
		w.inboundAnswered(a, dial)
	} else {
		w.inboundFailed(a, dial)
	}
}

func (w *bandwidthFeed) dial(a *bandwidthLeg, at int64) *bandwidthLeg {
	b := w.leg("outbound", a, at)
	b.target = w.phone()
	if w.chance(0.3) {
		b.target = "sip:" + w.extension("agent") + "@pbx.example.com"
	}
	return b
}

func (w *bandwidthFeed) inboundAnswered(a *bandwidthLeg, dial int64) {
	b := w.dial(a, dial)
	b.answer(dial + w.around(6000))
	if w.chance(0.2) {
		w.losers(a, dial, b.live)
	}
	b.stop(b.live + w.around(60_000))
	end := b.end
	w.transferred("transferAnswer", b, b.live, tellsAnswer, bandwidthNormal)
	if w.chance(3 * strangeShare) {
		w.strangeKey(b)
	}
	if w.chance(w.transfers) {
		w.transferred("transferDisconnect", b, b.end, tellsEnd, bandwidthNormal)
		next := w.again(a, b)
		b, end = next, next.end
	}
	a.stop(end + w.between(5, 60))
	if w.chance(0.5) { // the caller hangs up first
		b.stop(a.end)
		a.stop(end)
	}
	w.transferred("transferDisconnect", b, b.end, tellsEnd, bandwidthNormal)
	w.outcome("ANSWERED", "UNKNOWN", "NORMAL")
	w.disconnect(a)
	w.maybeRecording(a)
}

// again is a second Transfer of the caller, after the first one's callee, b, left.
func (w *bandwidthFeed) again(a, b *bandwidthLeg) *bandwidthLeg {
	w.transferComplete(a, b.end, bandwidthNormal)
	next := w.dial(a, b.end+w.between(-200, 900))
	next.answer(next.start + w.around(5000))
	next.stop(next.live + w.around(60_000))
	w.transferred("transferAnswer", next, next.live, tellsAnswer, bandwidthNormal)
	w.call.passedOn(passing{typ: "BLIND", result: "COMPLETED", to: next.id, by: b.target, inferred: true})
	return next
}

// losers are targets that ring with the one who answers.
func (w *bandwidthFeed) losers(a *bandwidthLeg, dial, won int64) {
	for range w.between(1, 3) {
		l := w.dial(a, dial+w.between(0, 50))
		l.stop(max(won+w.between(5, 60), l.start+1))
		w.transferred("transferDisconnect", l, l.end, tellsEnd, bandwidthCancel)
	}
}

func (w *bandwidthFeed) inboundFailed(a *bandwidthLeg, dial int64) {
	var how failure
	var end int64
	for range 1 + w.weighted(0.75, 0.2, 0.05) {
		b := w.dial(a, dial+w.between(0, 50))
		b.how = pick(w.draw, bandwidthFailures)
		b.stop(dial + w.between(800, 25_000))
		w.transferred("transferDisconnect", b, b.end, tellsEnd, b.how)
		if end = max(end, b.end); how.word == "" {
			how = b.how
		} else {
			how = w.worse(how, b.how)
		}
	}
	w.outcome(how.disposition, "SYSTEM", how.cause)
	w.transferComplete(a, end, how)
	if w.chance(0.5) {
		a.stop(end + w.between(2000, 15_000))
		w.outcome("VOICEMAIL", "SYSTEM", how.cause)
		w.disconnect(a)
		w.recording(a)
		return
	}
	a.stop(end + w.between(100, 2000))
	w.disconnect(a)
}

// head starts an event of a call. Its time is a little after the fact, and now
// and then lacks its zone.
func (w *bandwidthFeed) head(kind string, l *bandwidthLeg, at int64) []byte {
	b := w.object()
	b = str(b, "eventType", kind)
	b = w.eventTime(b, at)
	b = str(b, "callId", l.id)
	b = str(b, "from", l.from.raw)
	b = str(b, "to", l.to.raw)
	b = str(b, "direction", l.direction)
	return str(b, "callUrl", "https://voice.bandwidth.com/api/v2/accounts/"+w.tenant.bandwidth+"/calls/"+l.id)
}

// eventTime is a little after the fact.
func (w *bandwidthFeed) eventTime(b []byte, at int64) []byte {
	at += w.between(0, 40)
	w.said = at
	if w.chance(0.02) {
		b = append(name(b, "eventTime"), '"')
		return append(appendISO(b, at), '"')
	}
	return iso(b, "eventTime", at)
}

// body appends the call's own members; an answer or end of 0 is left out.
func (w *bandwidthFeed) body(b []byte, l *bandwidthLeg, answer, end int64) []byte {
	b = str(b, "accountId", w.tenant.bandwidth)
	b = str(b, "applicationId", w.tenant.app)
	return l.times(b, answer, end)
}

func (l *bandwidthLeg) times(b []byte, answer, end int64) []byte {
	b = iso(b, "startTime", l.start)
	if answer != 0 {
		b = iso(b, "answerTime", answer)
	}
	if end != 0 {
		b = iso(b, "endTime", end)
	}
	return b
}

// post sends a message about a leg; every one shows when the leg started.
func (w *bandwidthFeed) post(m message, l *bandwidthLeg, b []byte, shows ...*moment) {
	m.leg, m.at = l.leg, w.said
	m.sent = m.at + w.between(5, 90)
	m.shows = append(shows, &l.started)
	m.anchors = []*leg{l.leg}
	w.say(m, b)
}

func (w *bandwidthFeed) step(kind string, l *bandwidthLeg, at int64, k kind) {
	b := w.body(w.head(kind, l, at), l, l.live, 0)
	w.post(message{kind: k}, l, append(b, '}'), &l.answered)
}

// disconnect writes the end of a leg. Now and then its endTime is that of a call of
// days before; the leg ended when it says so then.
func (w *bandwidthFeed) disconnect(l *bandwidthLeg) {
	end := l.end
	b := w.head("disconnect", l, l.end)
	if w.chance(strangeShare) {
		end -= w.days()
		l.ended = moment{w.said, "EVENT"}
	}
	b = w.body(b, l, l.live, end)
	b = ending(b, l.how)
	if l.how.code != 0 && w.chance(0.5) {
		b = num(b, "sipResponseCode", l.how.code)
	}
	w.post(message{kind: tellsEnd}, l, append(b, '}'), &l.answered, &l.ended)
}

func ending(b []byte, how failure) []byte {
	b = str(b, "cause", how.word)
	if how.word != "hangup" {
		b = str(b, "errorMessage", "Call ended: "+how.word)
	}
	return b
}

// transferred writes an event of a leg that a Transfer dialled. The end of one
// names neither account nor application.
func (w *bandwidthFeed) transferred(kind string, l *bandwidthLeg, at int64, k kind, how failure) {
	b := str(w.head(kind, l, at), "parentCallId", l.parent.id)
	b = str(b, "transferCallerId", l.to.raw)
	b = str(b, "transferTo", l.target)
	shows := []*moment{&l.answered}
	if k == tellsEnd {
		b = ending(l.times(b, l.live, l.end), how)
		shows = append(shows, &l.ended)
	} else {
		b = w.body(b, l, l.live, 0)
	}
	w.post(message{kind: k}, l, append(b, '}'), shows...)
}

// transferComplete tells the A-leg, which goes on, how its Transfer went. Now and then
// its answerTime is that of another call.
func (w *bandwidthFeed) transferComplete(a *bandwidthLeg, at int64, how failure) {
	b := w.head("transferComplete", a, at)
	if w.chance(5 * strangeShare) { // only what other events say shows that it cannot be
		w.unsure |= PlatformAnsweredAt | AnsweredLegCount
		b = ending(iso(b, "answerTime", a.live-w.days()), how)
		w.post(message{kind: tellsExtra}, a, append(b, '}'))
		return
	}
	if w.chance(10 * strangeShare) {
		w.unsure |= AnsweredLegCount // it may be all that tells that the call was answered, at whatever time
		b = ending(w.body(b, a, a.live-w.days(), 0), how)
		w.post(message{kind: tellsExtra}, a, append(b, '}'))
		return
	}
	b = ending(w.body(b, a, a.live, 0), how)
	w.post(message{kind: tellsExtra}, a, append(b, '}'), &a.answered)
}

// strangeKey is a key press whose answerTime is that of another call, and which names no
// start: only the other events of the leg show that it cannot be. It must not even name
// the session. What stands for the answer is the time of its own event.
func (w *bandwidthFeed) strangeKey(l *bandwidthLeg) {
	answerTold := w.said
	b := iso(w.head("dtmf", l, min(l.live+w.between(300, 900), l.end-1)), "answerTime", l.live-w.days())
	b = str(str(b, "parentCallId", l.parent.id), "digit", "5")
	w.post(message{kind: tellsExtra}, l, append(b, '}'))
	w.messages[len(w.messages)-1].anchors = nil
	keyTold := w.said
	w.restate = func() {
		if slices.ContainsFunc(w.messages, func(m message) bool { return m.leg == l.leg && m.at == keyTold && m.anchors == nil }) {
			l.answered = moment{answerTold, "EVENT"}
		}
	}
}

// strangeShare is the share of events with an instant that belongs to another call.
const strangeShare = 0.01

// days are one to sixty, in milliseconds.
func (w *bandwidthFeed) days() int64 { return w.between(1, 60) * 86_400_000 }

func (w *bandwidthFeed) maybeRecording(l *bandwidthLeg) {
	if w.chance(0.2) {
		w.recording(l)
	}
}

// recording writes the events about a recording and perhaps its transcription, a
// minute after the call, with times of nanoseconds and a start that is the
// recording's own.
func (w *bandwidthFeed) recording(l *bandwidthLeg) {
	id := "r-" + w.uuid()
	start := l.live + w.between(100, 2000)
	end := max(l.end-w.between(1, 20), start+1)
	sent := l.end + 61_000 + w.between(0, 4000)
	w.media("recordingAvailable", l, id, start, end, sent, "")
	if w.chance(0.3) {
		sent += w.between(5000, 20_000)
		w.media("transcriptionAvailable", l, id, start, end, sent, "t-"+w.uuid())
	}
}

func (w *bandwidthFeed) media(kind string, l *bandwidthLeg, id string, start, end, sent int64, transcription string) {
	b := w.object()
	b = str(b, "eventType", kind)
	b = append(name(b, "eventTime"), '"')
	b = appendISO(b, sent-w.between(20, 60))
	b = strconv.AppendInt(b, w.between(100_000, 999_999), 10)
	b = append(b, 'Z', '"')
	b = str(b, "callId", l.id)
	b = str(b, "from", l.from.raw)
	b = str(b, "to", l.to.raw)
	b = str(b, "direction", l.direction)
	b = str(b, "accountId", w.tenant.bandwidth)
	b = str(b, "applicationId", w.tenant.app)
	b = str(b, "recordingId", id)
	b = iso(b, "startTime", start)
	b = iso(b, "endTime", end)
	length := end - start
	b = str(b, "duration", "PT"+strconv.FormatInt(length/1000, 10)+"."+strconv.FormatInt(1000+length%1000, 10)[1:]+"S")
	b = str(b, "fileFormat", "wav")
	url := "https://voice.bandwidth.com/api/v2/accounts/" + w.tenant.bandwidth + "/calls/" + l.id + "/recordings/" + id
	b = str(b, "mediaUrl", url+"/media")
	if transcription == "" {
		b = num(b, "channels", 1)
		b = str(b, "status", "complete")
	} else {
		b = append(name(b, "transcription"), '{')
		b = str(b, "id", transcription)
		b = str(b, "status", "available")
		b = str(b, "url", url+"/transcription")
		b = iso(b, "completeTime", sent-100)
		b = append(b, '}')
	}
	b = append(b, '}')
	w.say(message{leg: l.leg, at: l.end, sent: sent, kind: tellsExtra, after: true, recording: id}, b)
}

func bandwidthRoom(d draw, _ *tenant, at int64) []byte {
	b := str([]byte("{"), "eventType", "conferenceCreated")
	b = iso(b, "eventTime", at)
	b = str(b, "conferenceId", "conf-"+d.uuid())
	return append(str(b, "name", "meeting"), '}')
}

// bandwidthDevice is news of a browser that may be called.
func bandwidthDevice(d draw, t *tenant, at int64) []byte {
	b := str([]byte("{"), "accountId", t.bandwidth)
	b = str(b, "endpointId", "e-"+d.uuid())
	b = str(b, "eventType", pick(d, []string{"DEVICE_CONNECTED", "DEVICE_DISCONNECTED"}))
	return append(iso(b, "eventTime", at), '}')
}
