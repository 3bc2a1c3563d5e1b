package simulator

import "strconv"

// Stringee has one call id for the whole conversation, whoever rings, answers or
// takes over, and repeats ringing and answered for each agent.

var stringee = provider{
	name:  "stringee",
	draw:  drawStringee,
	noise: []noiseKind{{"routing", stringeeRouting}},
	blanks: []string{
		"call_status", "event_id", "actor", "endCallCause", "endedBy", "callType", "duration", "answerDuration", "recording_url", "dtmf", "time",
		"start_time", "end_time", "agent_status",
	},
	slips: []slip{
		{"MISSING_CALL_ID", `"call_id":"`, `"call_xd":"`},
		{"BAD_TIMESTAMP", `"timestamp_ms":1`, `"timestamp_ms":91`},
	},
}

type stringeeFeed struct {
	*feed
	leg      *leg
	reason   string // callCreatedReason
	from, to stringeeParty
	rung     stringeeParty // the first who was rung, or who was there at the end
	start    int64
}

type stringeeParty struct{ number, alias, kind string }

var (
	stringeeFailures = []failure{
		{480, "480 Temporarily Unavailable", "NO_ANSWER", "NO_ANSWER"},
		{408, "408 Request Timeout", "NO_ANSWER", "NO_ANSWER"},
		{486, "486 Busy Here", "BUSY", "BUSY"},
		{600, "600 Busy Everywhere", "BUSY", "BUSY"},
		{603, "603 Decline", "REJECTED", "REJECTED"},
		{404, "404 Not Found", "FAILED", "INVALID_NUMBER"},
		{0, "CAN_NOT_MAKE_CALL", "FAILED", "FAILED"},
		{0, "USER_BUSY", "BUSY", "BUSY"}, // FreeSWITCH's words, from behind Stringee
		{0, "NO_ANSWER", "NO_ANSWER", "NO_ANSWER"},
		{0, "CALL_REJECTED", "REJECTED", "REJECTED"},
		{0, "UNALLOCATED_NUMBER", "FAILED", "INVALID_NUMBER"},
	}
	stringeeCancels = []failure{
		{0, "USER_END_CALL", "CANCELED", "CANCELED"},
		{487, "487 Request Terminated", "CANCELED", "CANCELED"},
		{0, "ORIGINATOR_CANCEL", "CANCELED", "CANCELED"},
	}
)

// stringeeOutbound are the reasons of calls to customers.
var stringeeOutbound = []string{"CLIENT_MAKE_CALL", "SERVER_CALL_OUT_BY_MAKE_CALL_TO_EXTERNAL_BEFORE"}

func drawStringee(f *feed, start int64) {
	s := &stringeeFeed{feed: f, start: start}
	s.leg = s.addLeg(&leg{id: "call-vn-1-" + f.token(10) + "-" + strconv.FormatInt(start-f.between(1, 40_000_000), 10)})
	s.leg.started = moment{start, "EVENT"}
	s.parties()
	s.status("created", start, tellsStart, &s.leg.started)
	if f.chance(0.7) {
		s.status("started", start+f.between(5, 300), tellsStart, nil)
	}
	if f.chance(0.6) {
		s.answered()
	} else {
		s.unanswered()
	}
	f.afterHeadless = s.headless
	f.imperfect()
}

// headless is what is left of the start if nobody heard it: the duration that
// ended claims, in whole seconds, and whom the first ringing was for.
func (s *stringeeFeed) headless() {
	s.leg.started = moment{s.leg.ended.at - (s.leg.ended.at-s.start)/1000*1000, "DERIVED"}
	if s.rung != (stringeeParty{}) {
		s.call.truth.To = s.rung.party()
	}
}

// parties draws who calls whom: a customer a hotline, a user a customer, or a
// user another.
func (s *stringeeFeed) parties() {
	t := &s.call.truth
	customer := stringeeParty{number: s.phone()[1:], kind: "external"}
	hotline := s.phone()[1:]
	switch s.weighted(0.5, 0.35, 0.15) {
	case 0:
		s.reason, t.Direction = "EXTERNAL_CALL_IN", "INBOUND"
		s.from, s.to = customer, stringeeParty{hotline, hotline, "internal"}
	case 1:
		s.reason, t.Direction = pick(s.draw, stringeeOutbound), "OUTBOUND"
		s.from, s.to = stringeeParty{hotline, hotline, "internal"}, customer
	default:
		s.reason, t.Direction = "CLIENT_MAKE_CALL", "INTERNAL"
		s.from, s.to = stringeeParty{s.extension("user"), "", "internal"}, stringeeParty{s.extension("user"), "", "internal"}
	}
	t.From, t.To = s.from.party(), s.to.party()
}

// party is how the truth names the party. Stringee writes telephone numbers as
// the bare digits of E.164, but digits of an internal party may be a user's name.
func (p stringeeParty) party() party {
	if p.kind == "internal" {
		return party{raw: p.number}
	}
	return party{p.number, "+" + p.number}
}

// agent draws the next user who is offered an inbound call.
func (s *stringeeFeed) agent() {
	if s.call.truth.Direction == "INBOUND" {
		s.to = stringeeParty{s.extension("user"), s.to.alias, "internal"}
	}
}

// anotherAgent draws a user who does not have an inbound call yet: where it rings
// again at the one who had it, nobody was passed on.
func (s *stringeeFeed) anotherAgent() {
	for holder := s.to.number; s.to.number == holder; {
		s.agent()
	}
}

func (s *stringeeFeed) ring(at int64) {
	s.agent()
	if !s.leg.ringing.known() {
		s.rung = s.to
		s.leg.ringing = moment{at, "EVENT"}
	}
	s.status("ringing", at, tellsRinging, &s.leg.ringing)
}

// hunt rings one agent after the other, each of whom declines, and returns when
// the last has left.
func (s *stringeeFeed) hunt(at int64) int64 {
	if s.call.truth.Direction != "INBOUND" || !s.chance(0.35) {
		return at
	}
	for range s.between(1, 3) {
		s.ring(at)
		at += s.between(1500, 15_000)
		s.status("agentEnded", at, tellsExtra, nil)
		at += s.between(50, 800)
	}
	return at
}

func (s *stringeeFeed) answered() {
	at := s.hunt(s.start + s.between(400, 2500))
	s.ring(at)
	at += s.around(6000)
	s.leg.answered = moment{at, "EVENT"}
	s.status("answered", at, tellsAnswer, &s.leg.answered)
	from := at
	for range s.between(0, 2) {
		at += s.between(700, 4000)
		s.dtmf(at)
	}
	if s.chance(0.03) { // a status that nobody has heard of
		s.status("holding", at+1, tellsExtra, nil)
	}
	if s.call.truth.Direction == "INBOUND" && s.chance(s.transfers) {
		from, at = s.transfer(from, at)
	}
	at += s.around(60_000)
	s.leg.ended = moment{at, "EVENT"}
	s.leg.talks = append(s.leg.talks, span{from, at})
	t := &s.call.truth
	t.Disposition, t.AnsweredBy, t.HangupCause = "ANSWERED", "UNKNOWN", "NORMAL"
	how := failure{word: "USER_END_CALL"}
	switch s.weighted(0.87, 0.05, 0.08) {
	case 1:
		how.word, t.HangupCause = "MAX_CONNECT_TIME", "MAX_DURATION"
		s.unsure |= HangupParty
	case 2:
		how.word = "NORMAL_CLEARING"
	}
	s.ended(at, how, s.chance(0.5))
	if s.chance(0.3) {
		s.recording(from, at)
	}
}

// transfer hands the caller from the agent who answered at from to another, and
// returns when that one answered, twice.
func (s *stringeeFeed) transfer(from, at int64) (answered, now int64) {
	at += s.around(20_000)
	s.leg.talks = append(s.leg.talks, span{from, at})
	s.status("agentEnded", at, tellsExtra, nil)
	at += s.between(100, 900)
	holder := s.to.number
	s.anotherAgent()
	s.status("ringing", at, tellsExtra, nil)
	at += s.around(5000)
	s.status("answered", at, tellsAnswer, nil)
	s.call.passedOn(passing{typ: "BLIND", result: "COMPLETED", to: s.leg.id, by: holder, inferred: true})
	return at, at
}

func (s *stringeeFeed) unanswered() {
	how, byCaller := pick(s.draw, stringeeFailures), false
	if s.chance(0.3) {
		how, byCaller = pick(s.draw, stringeeCancels), true
	}
	at := s.hunt(s.start + s.between(400, 2500))
	if how.disposition != "FAILED" {
		s.ring(at)
		at += s.between(500, 25_000)
	}
	if s.chance(0.05) {
		s.connectFailed(at - 100)
	}
	s.leg.ended = moment{at, "EVENT"}
	t := &s.call.truth
	t.Disposition, t.AnsweredBy, t.HangupCause = how.disposition, "UNKNOWN", how.cause
	s.ended(at, how, byCaller)
}

// status writes a call_status event.
func (s *stringeeFeed) status(status string, at int64, k kind, shown *moment) {
	b := s.statusValue(status, at)
	s.post(message{at: at, kind: k, shows: []*moment{shown}}, append(b, '}'))
}

// post sends a message about the one leg.
func (s *stringeeFeed) post(m message, b []byte) {
	m.leg, m.anchors = s.leg, s.call.legs
	if m.sent == 0 {
		m.sent = m.at + s.between(5, 60)
	}
	s.say(m, b)
}

func (s *stringeeFeed) statusValue(status string, at int64) []byte {
	b := s.object()
	b = str(b, "call_status", status)
	b = str(b, "call_id", s.leg.id)
	if !s.tenant.bare {
		b = str(b, "event_id", "O"+s.token(9)+"-"+strconv.FormatInt(at-s.between(1, 9_999_999), 10))
		b = num(b, "serial", s.between(1, 9))
		b = boolean(b, "peerToPeer", false)
	}
	b = num(b, "timestamp_ms", at)
	b = num(b, "project_id", s.tenant.project)
	b = str(b, "account_sid", s.tenant.sid)
	b = str(b, "request_from_user_id", "")
	b = str(b, "type", "stringee_call")
	b = str(b, "clientCustomData", "")
	b = str(b, "callCreatedReason", s.reason)
	if s.to.kind == "internal" && status != "created" && status != "started" {
		b = str(b, "actor", s.to.number)
		b = str(b, "actorType", "internal")
	}
	b = s.from.append(b, "from")
	return s.to.append(b, "to")
}

func (p stringeeParty) append(b []byte, key string) []byte {
	alias := p.alias
	if alias == "" {
		alias = p.number
	}
	b = append(name(b, key), '{')
	b = str(b, "number", p.number)
	b = str(b, "alias", alias)
	b = boolean(b, "is_online", p.kind == "internal")
	b = str(b, "type", p.kind)
	return append(b, '}')
}

// ended writes the one event that ends the call. Its durations are numbers, now
// and then strings of digits.
func (s *stringeeFeed) ended(at int64, how failure, byCaller bool) {
	s.hangupParty(byCaller)
	b := s.statusValue("ended", at)
	b = str(b, "endCallCause", how.word)
	by := s.to
	if byCaller {
		by = s.from
	}
	if by.kind == "external" {
		b = str(b, "endedBy", "EXTERNAL")
	} else {
		b = str(b, "endedBy", "INTERNAL")
	}
	b = str(b, "callType", "CALL")
	whole := (at - s.start) / 1000
	talk := int64(0)
	if s.leg.answered.known() {
		talk = (at - s.leg.answered.at) / 1000
	}
	if s.chance(0.05) {
		b = str(b, "duration", strconv.FormatInt(whole, 10))
		b = str(b, "answerDuration", strconv.FormatInt(talk, 10))
	} else {
		b = num(b, "duration", whole)
		b = num(b, "answerDuration", talk)
	}
	s.post(message{at: at, kind: tellsEnd, shows: []*moment{&s.leg.ended}}, append(b, '}'))
}

// hangupParty is who hung up, where endedBy tells: not between two internal
// parties.
func (s *stringeeFeed) hangupParty(byCaller bool) {
	switch {
	case s.call.truth.Direction == "INTERNAL":
		s.unsure |= HangupParty
	case byCaller:
		s.call.truth.HangupParty = "CALLER"
	default:
		s.call.truth.HangupParty = "CALLEE"
	}
}

// recording writes the post about a recording, which names neither account nor
// event and may come before ended.
func (s *stringeeFeed) recording(from, to int64) {
	s.unsure |= Recordings // they have no ids of their own
	b := s.object()
	b = str(b, "type", "recording")
	b = str(b, "call_id", s.leg.id)
	b = num(b, "start_time", from)
	b = num(b, "end_time", to)
	b = str(b, "recording_url", "https://recordings.example.com/"+s.hex(16)+".mp3")
	b = append(b, '}')
	s.post(message{at: to, sent: to + pick(s.draw, []int64{1, 900, 4000, 60_000}), kind: tellsExtra, after: true}, b)
}

// dtmf writes the post about a pressed key.
func (s *stringeeFeed) dtmf(at int64) {
	b := s.object()
	b = str(b, "time", strconv.FormatInt(at, 10))
	b = str(b, "dtmf", strconv.Itoa(s.IntN(10)))
	b = str(b, "call_id", s.leg.id)
	b = str(b, "customField", "")
	b = boolean(b, "timeout", false)
	s.post(message{at: at, kind: tellsExtra}, append(b, '}'))
}

// connectFailed writes the post about one leg to an agent that did not come up. It
// has no timestamp: its start_time may be that of the call.
func (s *stringeeFeed) connectFailed(at int64) {
	b := s.object()
	b = str(b, "call_status", "connect_failed")
	b = num(b, "project_id", s.tenant.project)
	b = str(b, "agent_status", "ended")
	b = str(b, "call_id", s.leg.id)
	b = s.from.append(b, "from")
	b = s.to.append(b, "to")
	b = num(b, "start_time", at)
	s.post(message{at: at, kind: tellsExtra, ingest: true}, append(b, '}'))
}

func stringeeRouting(d draw, t *tenant, _ int64) []byte {
	b := str([]byte("{"), "action", "GetIVRRouting")
	b = num(b, "project_id", t.project)
	b = raw(b, "calls", `[]`)
	b = num(b, "serial", d.between(1, 99))
	return append(b, '}')
}
