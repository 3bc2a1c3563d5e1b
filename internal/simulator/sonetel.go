package simulator

import (
	"strconv"
	"time"
)

// Sonetel's events (Xelion's, in truth) say what happened but not when: their
// date is when the call was initiated, so answer and end have no clock but
// Kafka's. Legs of one conversation share a flow id on one side or the other.

var sonetel = provider{
	name:  "sonetel",
	alias: "xelion",
	draw:  drawSonetel,
	noise: []noiseKind{{"test", sonetelTest}, {"presence", sonetelPresence}},
	blanks: []string{
		"messageType", "duration", "callerUser", "callerPhoneNumber", "callerFlowId", "calleeUser", "calleePhoneNumber", "calleeFlowId",
	},
	slips: []slip{{"MISSING_CALL_ID", `"callId":"`, `"callXd":"`}},
}

type sonetelFeed struct{ *feed }

// sonetelLeg is one call id: two ends, each with its flow.
type sonetelLeg struct {
	*leg
	caller, callee sonetelEnd
	date           string
	start          int64
}

// sonetelEnd is one end of a call; user is set for users of the tenant.
type sonetelEnd struct{ number, flow, user string }

func drawSonetel(f *feed, start int64) {
	s := sonetelFeed{f}
	first := s.firstLeg(start)
	s.event("newCallEvent", first, start, tellsStart, nil)
	switch {
	case s.chance(heldBackShare):
		s.heldBack(first)
		return
	case first.callee.user != "" && s.chance(ringGroupShare):
		s.ringGroup(first)
	case !s.chance(0.65):
		s.unanswered(first)
	case s.chance(s.transfers):
		switch s.weighted(0.4, 0.4, 0.2) {
		case 0:
			s.blindTransfer(first)
		case 1:
			s.attendedTransfer(first)
		default:
			s.givenUpOnHold(first)
		}
	default:
		answer := start + s.around(7000)
		if first.callee.user != "" && s.chance(0.15) {
			s.missedBy(first, answer-s.between(1, 300))
		}
		s.answer(first, answer)
		s.hangUp(first, first.answered.at+s.around(60_000))
		s.outcome("ANSWERED", "UNKNOWN")
	}
	f.imperfect()
}

func (s sonetelFeed) outcome(disposition, by string) {
	s.call.truth.Disposition, s.call.truth.AnsweredBy = disposition, by
	s.unsure |= HangupCause | HangupParty
}

func (s sonetelFeed) outsider() sonetelEnd { return sonetelEnd{number: s.phone(), flow: s.flow()} }

func (s sonetelFeed) user() sonetelEnd {
	return sonetelEnd{number: s.phone(), flow: s.flow(), user: strconv.FormatInt(s.between(1_600_000, 1_699_999), 10)}
}

// colleague is a user whom the one who has the call may ask: not by the number of the
// party outside, who would seem to be passed on.
func (s sonetelFeed) colleague(l *sonetelLeg) sonetelEnd {
	for {
		if u := s.user(); u.number != l.far().number {
			return u
		}
	}
}

func (s sonetelFeed) flow() string {
	s.tenant.nextFlow++
	return "f-" + strconv.FormatInt(s.tenant.nextFlow, 10)
}

// newLeg draws a call id, Asterisk's epoch and sequence, and the date in whole
// seconds of UTC.
func (s sonetelFeed) newLeg(caller, callee sonetelEnd, start int64) *sonetelLeg {
	s.tenant.nextCall++
	id := strconv.FormatInt(start/1000, 10) + "." + strconv.FormatInt(s.tenant.nextCall, 10)
	l := &sonetelLeg{leg: s.addLeg(&leg{id: id}), caller: caller, callee: callee, start: start}
	l.started = moment{start - start%1000, "REPORTED"}
	l.from, l.to = party{caller.number, caller.number}, party{callee.number, callee.number}
	layout := time.DateTime
	if s.chance(0.1) {
		layout = "2006-01-02T15:04:05Z"
	}
	l.date = time.UnixMilli(start).UTC().Format(layout)
	return l
}

// firstLeg is the call from an outsider to a user, or the other way, or between
// users.
func (s sonetelFeed) firstLeg(start int64) *sonetelLeg {
	t := &s.call.truth
	var caller, callee sonetelEnd
	switch s.weighted(0.6, 0.28, 0.12) {
	case 0:
		t.Direction = "INBOUND"
		caller, callee = s.outsider(), s.user()
	case 1:
		t.Direction = "OUTBOUND"
		caller, callee = s.user(), s.outsider()
	default:
		t.Direction = "INTERNAL"
		caller, callee = s.user(), s.user()
	}
	t.From, t.To = party{caller.number, caller.number}, party{callee.number, callee.number}
	return s.newLeg(caller, callee, start)
}

// planned is an instant whose value comes with its record's arrival.
func planned(at int64) moment { return moment{at, "planned"} }

func (s sonetelFeed) answer(l *sonetelLeg, at int64) {
	l.answered = planned(at)
	s.event("callConnectedEvent", l, at, tellsAnswer, &l.answered)
}

func (s sonetelFeed) hangUp(l *sonetelLeg, at int64) {
	l.ended = planned(at)
	s.event("callHungUpEvent", l, at, tellsEnd, &l.ended)
}

// unanswered is a call that nobody takes: missed, or given up by the caller, or
// one that falls back to another user.
func (s sonetelFeed) unanswered(l *sonetelLeg) {
	at := l.start + s.between(2000, 25_000)
	if s.chance(0.2) {
		s.channelHungUp(l, at-s.between(500, 1500))
	}
	if s.chance(0.25) {
		s.fallback(l, at)
		return
	}
	if s.chance(0.3) { // missed by a user, and then over
		s.miss(l, at)
		s.hangUp(l, at+s.between(1, 200))
	} else {
		l.ended = planned(at)
		s.event("missedCallEvent", l, at, tellsEnd, &l.ended)
	}
	s.outcome("NO_ANSWER", "UNKNOWN")
}

// missedBy tells one of several users whose phones ring that it missed the call,
// which another takes.
func (s sonetelFeed) missedBy(l *sonetelLeg, at int64) {
	rung := *l
	rung.callee.user = s.user().user
	s.miss(&rung, at)
}

// miss tells that a user missed the call, of which more is to come.
func (s sonetelFeed) miss(l *sonetelLeg, at int64) {
	l.missed = planned(at)
	s.event("missedCallEvent", l, at, tellsExtra, &l.missed)
}

// fallback is a second call of the same flow, to another user, after the first
// was not taken.
func (s sonetelFeed) fallback(l *sonetelLeg, at int64) {
	s.hangUp(l, at)
	next := s.newLeg(l.caller, s.user(), at+s.between(20, 300))
	s.event("newCallEvent", next, next.start, tellsStart, nil)
	s.answer(next, next.start+s.around(6000))
	s.hangUp(next, next.answered.at+s.around(60_000))
	s.outcome("ANSWERED", "UNKNOWN")
}

// blindTransfer passes the far party from one user to another: the first call
// ends, and one of the same flow begins.
func (s sonetelFeed) blindTransfer(l *sonetelLeg) {
	s.answer(l, l.start+s.around(7000))
	at := l.answered.at + s.around(20_000)
	s.hangUp(l, at)
	next := s.newLeg(l.far(), s.user(), at+s.between(20, 400))
	s.event("newCallEvent", next, next.start, tellsStart, nil)
	s.answer(next, next.start+s.around(5000))
	s.hangUp(next, next.answered.at+s.around(60_000))
	s.call.passedOn(passing{typ: "BLIND", result: "COMPLETED", to: next.id, by: l.near().number, inferred: true})
	s.outcome("ANSWERED", "UNKNOWN")
}

// far is the end of the call that is not the user who passes it on.
func (l *sonetelLeg) far() sonetelEnd {
	if l.callee.user == "" {
		return l.callee
	}
	return l.caller
}

// near is the end of the user who passes the call on.
func (l *sonetelLeg) near() sonetelEnd {
	if l.callee.user == "" {
		return l.caller
	}
	return l.callee
}

// attendedTransfer: user A, in a call with C, calls B, then joins the two. Three
// hang-ups follow at once: C with A, A with B, and A with B again, with other
// bytes. C and B speak on under a call id of their own.
func (s sonetelFeed) attendedTransfer(l *sonetelLeg) {
	s.answer(l, l.start+s.around(7000))
	consult := s.newLeg(l.near(), s.colleague(l), l.answered.at+s.around(15_000))
	consult.consult = true
	s.event("newCallEvent", consult, consult.start, tellsStart, nil)
	s.answer(consult, consult.start+s.around(4000))
	at := consult.answered.at + s.around(10_000)
	last := s.newLeg(l.far(), consult.callee, at)
	if s.chance(0.5) {
		s.event("newCallEvent", last, at, tellsStart, nil)
		s.answer(last, at+s.between(1, 30))
	} else { // its end is all that is told of it
		last.joined = &consult.ended
		s.unsure |= AnsweredLegCount
	}
	s.hangUp(l, at+s.between(31, 60))
	s.hangUp(consult, at+s.between(61, 90))
	s.hangUp(consult, at+s.between(91, 400))
	second := &s.messages[len(s.messages)-1]
	second.copy, second.promises = true, last.leg
	s.hangUp(last, at+s.between(401, 500)+s.around(60_000))
	s.call.passedOn(passing{typ: "ATTENDED", result: "COMPLETED", to: last.id, by: l.near().number, inferred: true})
	s.outcome("ANSWERED", "UNKNOWN")
}

// ringGroupShare is how many of the calls to users ring at several of them at once.
const ringGroupShare = 0.12

// ringGroup rings at several users at once. Each has a leg of its own, of one flow of
// the caller's and mostly of one date, since dates are whole seconds. One user may
// answer; the others missed the call, of which they are told at once or when the call
// is over.
func (s sonetelFeed) ringGroup(first *sonetelLeg) {
	group := []*sonetelLeg{first}
	at := first.start
	for range s.between(1, 3) {
		at += s.between(1, 60)
		l := s.newLeg(first.caller, s.user(), at)
		s.event("newCallEvent", l, at, tellsStart, nil)
		group = append(group, l)
	}
	s.call.rangAtOnce = true
	stop := at + s.around(7000)
	answers := -1
	if s.chance(0.75) {
		answers = s.IntN(len(group))
		s.answer(group[answers], stop)
		over := stop + s.around(60_000)
		s.hangUp(group[answers], over)
		if s.chance(0.5) {
			stop = over
		}
		s.outcome("ANSWERED", "UNKNOWN")
	} else {
		s.outcome("NO_ANSWER", "UNKNOWN")
	}
	for i, l := range group {
		if i != answers {
			stop += s.between(1, 200)
			l.ended = planned(stop)
			s.event("missedCallEvent", l, stop, tellsEnd, &l.ended)
		}
	}
}

// givenUpOnHold: user A, in a call with C, calls B. C gives up waiting, and the two
// talk on: nobody is passed on, and nobody talks to a caller who has left.
func (s sonetelFeed) givenUpOnHold(l *sonetelLeg) {
	s.answer(l, l.start+s.around(7000))
	consult := s.newLeg(l.near(), s.colleague(l), l.answered.at+s.around(15_000))
	consult.consult = true
	s.event("newCallEvent", consult, consult.start, tellsStart, nil)
	s.answer(consult, consult.start+s.around(4000))
	s.hangUp(l, max(consult.answered.at, consult.start+2000)+s.between(1000, 20_000))
	s.hangUp(consult, l.ended.at+s.around(60_000))
	s.outcome("ANSWERED", "UNKNOWN")
}

// heldBackShare is how many calls the relay tells too late.
const heldBackShare = 0.02

// heldBack is a call whose records a relay delivers minutes after it was over, all at
// once, or all but the first. When it was answered is then not known, and of its end
// only what the exchange claims.
func (s sonetelFeed) heldBack(l *sonetelLeg) {
	answered := s.chance(0.7)
	end := l.start + s.between(12_000, 30_000)
	s.outcome("NO_ANSWER", "UNKNOWN")
	if answered {
		at := l.start + s.between(1000, 10_000)
		s.answer(l, at)
		end = at + 12_000 + s.around(60_000)
		s.outcome("ANSWERED", "UNKNOWN")
	}
	s.hangUp(l, end)
	release := end + s.between(80_000, 3_600_000)
	for i := range s.messages {
		if m := &s.messages[i]; m.kind != tellsStart || s.chance(0.5) {
			m.sent = release
		}
	}
	s.inOrder()
	s.restate = func() {
		l.answered, l.untimed = moment{}, answered
		l.ended = moment{l.started.at + (end-l.start)/1000*1000, "DERIVED"}
	}
}

// event writes one notification with both ends.
func (s sonetelFeed) event(kind string, l *sonetelLeg, at int64, k kind, clock *moment) {
	b := s.open(kind, l)
	b = l.callee.append(b, "callee")
	b = l.caller.append(b, "caller")
	if k == tellsEnd && kind == "callHungUpEvent" {
		// A second hang-up differs in its duration and in its log.
		b = str(b, "duration", strconv.FormatInt((at-l.start)/1000, 10))
		b = str(b, "calleeCallLogOid", strconv.FormatInt(s.between(2_000_000, 2_999_999), 10))
	}
	m := message{leg: l.leg, at: at, sent: at + s.between(1, 40), kind: k, shows: []*moment{&l.started, clock}, clock: clock, ingest: true}
	m.anchors = []*leg{l.leg}
	s.say(m, append(b, '}', '}'))
}

// channelHungUp writes the end of one user's channel, of which only the callee's
// side is filled. The call goes on.
func (s sonetelFeed) channelHungUp(l *sonetelLeg, at int64) {
	b := l.callee.append(s.open("channelHungUpEvent", l), "callee")
	m := message{leg: l.leg, at: at, sent: at + s.between(1, 40), kind: tellsExtra, shows: []*moment{&l.started}, ingest: true}
	s.say(m, append(b, '}', '}'))
}

func (s sonetelFeed) open(kind string, l *sonetelLeg) []byte {
	b := s.object()
	b = str(b, "messageType", "notification")
	b = str(b, "notificationType", kind)
	b = append(name(b, "notification"), '{')
	b = null(b, "initiation")
	b = str(b, "date", l.date)
	return str(b, "callId", l.id)
}

func (e sonetelEnd) append(b []byte, side string) []byte {
	b = str(b, side+"FlowId", e.flow)
	b = str(b, side+"PhoneNumber", e.number)
	if e.user != "" {
		b = str(b, side+"User", e.user)
	}
	return b
}

func sonetelTest(d draw, _ *tenant, _ int64) []byte {
	b := str([]byte("{"), "messageType", "test")
	b = str(b, "message", strconv.FormatInt(d.between(1, 999), 10))
	return append(b, '}')
}

func sonetelPresence(_ draw, _ *tenant, _ int64) []byte {
	b := str([]byte("{"), "messageType", "notification")
	b = str(b, "notificationType", "presenceListEvent")
	return append(raw(b, "notification", "{}"), '}')
}
