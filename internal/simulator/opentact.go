package simulator

// Opentact sends one event per state of each leg, with a copy of the parent leg
// as it was at that moment in every event of a child.

var opentact = provider{
	name:   "opentact",
	draw:   drawOpentact,
	noise:  []noiseKind{{"sms", opentactOther("sms")}, {"tn", opentactOther("tn")}, {"account", opentactOther("account")}},
	blanks: []string{"ref_id", "call_flow", "call_record", "call_asr", "sms", "batch", "delivery_report"},
	slips:  []slip{{"MISSING_CALL_ID", `"call":{"uuid":`, `"call":{"uuxd":`}},
}

// opentactLeg is a leg with what only Opentact says of it.
type opentactLeg struct {
	*leg
	parent    *opentactLeg
	direction string // in or out
	thread    string
	auto      bool // the control app answers by itself
	// The instants of the states; 0 where the leg never reached one.
	created, init, ring, live, hangup, destroy int64
	has                                        int64 // when the caller came to it
	logs                                       []byte
	mailbox                                    []*moment // what its logs tell of a mailbox
	causeForm                                  int       // how its cause is written
	oldCodes                                   bool      // with the numbers of before 2022
}

var opentactNormal = failure{code: 16, word: "NORMAL_CLEARING", cause: "NORMAL"}

// opentactFailures are how a dial fails. Those that ring first say so by their
// disposition or code; see rings.
var opentactFailures = []failure{
	{17, "USER_BUSY", "BUSY", "BUSY"},
	{18, "NO_USER_RESPONSE", "NO_ANSWER", "NO_ANSWER"},
	{19, "NO_ANSWER", "NO_ANSWER", "NO_ANSWER"},
	{19, "NO_ANSWER", "NO_ANSWER", "NO_ANSWER"},
	{21, "CALL_REJECTED", "REJECTED", "REJECTED"},
	{816, "DECLINE", "REJECTED", "REJECTED"},
	{20, "SUBSCRIBER_ABSENT", "NO_ANSWER", "UNREACHABLE"},
	{1, "UNALLOCATED_NUMBER", "FAILED", "INVALID_NUMBER"},
	{28, "INVALID_NUMBER_FORMAT", "FAILED", "INVALID_NUMBER"},
	{34, "NORMAL_CIRCUIT_CONGESTION", "FAILED", "CONGESTION"},
}

// Nobody but the caller gives up a call; the second of the causes does not say so.
var (
	opentactCancels  = []failure{{487, "ORIGINATOR_CANCEL", "CANCELED", "CANCELED"}, {16, "NORMAL_CLEARING", "CANCELED", "NORMAL"}}
	opentactLostRace = failure{702, "LOSE_RACE", "CANCELED", "CANCELED"}
	// What the telephones of a group are told when the caller gives up.
	opentactUnwon = []failure{
		opentactLostRace, {702, "", "CANCELED", "CANCELED"}, {26, "NON_SELECTED_USER_CLEARING", "CANCELED", "CANCELED"}, {805, "PICKED_OFF", "CANCELED", "CANCELED"},
	}
	opentactBlind    = failure{code: 800, word: "BLIND_TRANSFER", cause: "TRANSFERRED"}
	opentactAttended = failure{code: 801, word: "ATTENDED_TRANSFER", cause: "TRANSFERRED"}
)

// rings reports whether the callee's phone rings before the dial fails so.
func (f failure) rings() bool {
	switch f.code {
	case 17, 19, 21, 816:
		return true
	}
	return false
}

func drawOpentact(f *feed, start int64) {
	o := opentactFeed{feed: f}
	switch f.weighted(0.6, 0.06, 0.34) {
	case 0:
		o.inbound(start)
	case 1:
		o.platformOnly(start)
	default:
		o.outbound(start)
	}
	for _, l := range o.drawn {
		o.settle(l)
	}
	for _, l := range o.drawn {
		o.tellLeg(l)
	}
	f.imperfect()
}

type opentactFeed struct {
	*feed
	drawn []*opentactLeg
}

// cause writes why a leg ended, in the form that its system has: by number and name, or
// by one of them alone. Those of before 2022 have other numbers for FreeSWITCH's own.
func (l *opentactLeg) cause(b []byte) []byte {
	code := l.how.code
	if l.oldCodes && code >= 700 {
		code -= 200
	}
	switch {
	case l.causeForm == 1 || l.how.word == "":
		return num(b, "q850_cause", code)
	case l.causeForm == 0:
		return str(num(b, "q850_cause", code), "q850_cause_string", l.how.word)
	default:
		return str(b, "q850_cause_string", l.how.word)
	}
}

func (o *opentactFeed) leg(direction string, parent *opentactLeg, at int64) *opentactLeg {
	l := &opentactLeg{leg: o.addLeg(&leg{id: o.uuid()}), parent: parent, direction: direction, thread: o.hex(32), created: at}
	l.init = at + o.between(5, 20)
	l.how, l.causeForm, l.oldCodes = opentactNormal, o.weighted(0.6, 0.25, 0.15), o.tenant.old
	o.drawn = append(o.drawn, l)
	return l
}

// settle fixes the leg's instants for the truth.
func (o *opentactFeed) settle(l *opentactLeg) {
	reported := func(at int64) moment {
		if at == 0 {
			return moment{}
		}
		return moment{at, "REPORTED"}
	}
	l.destroy = l.hangup + o.between(10, 120)
	l.started, l.ringing, l.answered = reported(l.created), reported(l.ring), reported(l.live)
	if l.ended = reported(l.hangup); o.chance(0.08) {
		l.hangup = 0 // only the second of the two terminal states is sent
		l.ended = reported(l.destroy)
	}
}

// outbound is a call that an application makes: one leg, and its far end is the
// called party.
func (o *opentactFeed) outbound(start int64) {
	if o.chance(o.transfers / 3) {
		o.outboundPassedOn(start)
		return
	}
	l := o.leg("out", nil, start)
	l.from, l.to = o.plus(), o.plus()
	o.call.truth.Direction = "OUTBOUND"
	o.call.truth.From, o.call.truth.To = l.from, l.to
	if o.chance(0.6) {
		o.ringAndAnswer(l)
		l.hangup = l.live + o.around(60_000)
		o.answered("NORMAL")
		return
	}
	o.fail(l, o.failure())
	o.unanswered(l.how)
}

// failure draws how a dial fails; one in five is given up by the caller.
func (o *opentactFeed) failure() failure {
	if o.chance(0.2) {
		return pick(o.draw, opentactCancels)
	}
	return pick(o.draw, opentactFailures)
}

func (o *opentactFeed) answered(cause string) {
	t := &o.call.truth
	t.Disposition, t.AnsweredBy, t.HangupCause = "ANSWERED", "UNKNOWN", cause
}

func (o *opentactFeed) unanswered(how failure) {
	t := &o.call.truth
	t.Disposition, t.AnsweredBy, t.HangupCause = how.disposition, "UNKNOWN", how.cause
	if how.code == 487 {
		t.HangupParty = "CALLER"
	}
}

func (o *opentactFeed) ringAndAnswer(l *opentactLeg) {
	l.ring = l.init + o.between(100, 3000)
	l.live = l.ring + o.around(6000)
}

func (o *opentactFeed) fail(l *opentactLeg, how failure) {
	l.how = how
	l.hangup = l.init + o.between(150, 2000)
	if how.rings() || how.disposition == "CANCELED" {
		l.ring = l.init + o.between(100, 3000)
		l.hangup = l.ring + o.between(500, 25_000)
	}
}

// plus is a number with its plus, bare one without; Opentact mixes both, for one
// and the same number too.
func (f *feed) plus() party { n := f.phone(); return party{n, n} }

func bare(p party) party { return party{p.raw[1:], p.raw} }

// platform draws the A-leg of an inbound call up to the platform's answer.
func (o *opentactFeed) platform(start int64) *opentactLeg {
	a := o.leg("in", nil, start)
	a.origin = true
	a.from, a.to = o.plus(), bare(o.plus())
	a.ring = a.init + o.between(2, 8)
	a.auto = true
	a.live = a.ring + o.between(300, 2000)
	t := &o.call.truth
	t.Direction, t.From, t.To = "INBOUND", a.from, a.to
	return a
}

// platformOnly is a call that ends in the platform: an IVR, and nobody dialled.
func (o *opentactFeed) platformOnly(start int64) {
	a := o.platform(start)
	a.hangup = a.live + o.around(20_000)
	t := &o.call.truth
	t.Disposition, t.AnsweredBy, t.HangupCause = "NO_ANSWER", "SYSTEM", "NORMAL"
}

// inbound is a call that the platform takes and passes to one or more users.
func (o *opentactFeed) inbound(start int64) {
	a := o.platform(start)
	dial := a.live + o.between(200, 1500)
	if o.chance(0.1) { // the control app leaves the answer to the one who is called
		a.auto = false
		o.answerLater(a)
		return
	}
	switch {
	case o.chance(0.62):
		o.inboundAnswered(a, dial)
	case o.chance(0.25):
		o.abandoned(a, dial)
	default:
		o.inboundFailed(a, dial)
	}
}

// answerLater is a call whose A-leg is answered when its B-leg is, or never.
func (o *opentactFeed) answerLater(a *opentactLeg) {
	b := o.dial(a, a.ring+o.between(50, 500))
	if o.chance(0.6) {
		o.ringAndAnswer(b)
		a.live = b.live + o.between(1, 20)
		b.hangup = a.live + o.around(60_000)
		a.hangup = b.hangup + o.between(10, 80)
		o.answered("NORMAL")
		return
	}
	a.live = 0
	o.fail(b, pick(o.draw, opentactFailures))
	a.hangup, a.how = b.hangup+o.between(5, 60), b.how
	o.unanswered(b.how)
}

func (o *opentactFeed) dial(a *opentactLeg, at int64) *opentactLeg {
	b := o.leg("out", a, at)
	b.from, b.to = bare(a.from), party{raw: o.extension("agent")}
	return b
}

func (o *opentactFeed) inboundAnswered(a *opentactLeg, dial int64) {
	if o.chance(0.15) {
		dial = o.hunt(a, dial)
	}
	b := o.dial(a, dial)
	o.ringAndAnswer(b)
	switch {
	case o.chance(0.05): // answers by itself; those that ring with it are slower
		b.live, b.ring = b.init+o.between(200, 2500), 0
		o.losers(a, dial, b.live)
	case o.chance(0.2):
		o.losers(a, dial, b.live)
	}
	b.hangup = b.live + o.around(60_000)
	if o.chance(0.1) { // a machine answers, and passes the caller on at once
		b.hangup = b.live + o.between(1200, 4500)
	}
	o.answered("NORMAL")
	a.logs = o.dialLogs(a.live, "success", false)
	if o.chance(o.transfers) {
		o.passOn(a, b)
		return
	}
	o.hangUp(a, b)
}

// hangUp ends a conversation: either side is first.
func (o *opentactFeed) hangUp(a, last *opentactLeg) {
	a.hangup = last.hangup + o.between(10, 80)
	if o.chance(0.5) { // the caller hangs up first
		a.hangup, last.hangup = last.hangup, a.hangup
	}
}

// hunt dials users one after the other, none of whom answers, and returns when
// the next is dialled.
func (o *opentactFeed) hunt(a *opentactLeg, at int64) int64 {
	for range o.between(1, 3) {
		b := o.dial(a, at)
		o.fail(b, pick(o.draw, opentactFailures))
		at = b.hangup + o.between(50, 500)
	}
	return at
}

// losers are users who ring with the one who answers, and lose.
func (o *opentactFeed) losers(a *opentactLeg, dial, won int64) {
	for range o.between(1, 3) {
		l := o.dial(a, dial+o.between(0, 50))
		l.how = opentactLostRace
		l.ring = min(l.init+o.between(100, 3000), won+o.between(0, 400))
		l.hangup = max(won, l.ring) + o.between(5, 60)
	}
}

// abandoned is a caller who hangs up while the users' phones ring.
func (o *opentactFeed) abandoned(a *opentactLeg, dial int64) {
	if o.chance(0.4) {
		o.abandonedGroup(a, dial)
		return
	}
	b := o.dial(a, dial)
	b.ring = b.init + o.between(100, 3000)
	a.hangup = b.ring + o.between(500, 20_000)
	b.hangup = a.hangup + o.between(5, 60)
	b.how = pick(o.draw, opentactCancels)
	o.unanswered(b.how)
	o.call.truth.AnsweredBy = "SYSTEM"
}

// abandonedGroup is a caller who hangs up while the telephones of a group ring: each
// of them is told that another one took the call.
func (o *opentactFeed) abandonedGroup(a *opentactLeg, dial int64) {
	how, ringing := pick(o.draw, opentactUnwon), dial
	group := make([]*opentactLeg, o.between(2, 4))
	for i := range group {
		b := o.dial(a, dial+o.between(0, 50))
		b.how, b.ring = how, b.init+o.between(100, 3000)
		ringing, group[i] = max(ringing, b.ring), b
	}
	a.hangup, a.how = ringing+o.between(500, 20_000), pick(o.draw, opentactCancels)
	for _, b := range group {
		b.hangup = a.hangup + o.between(5, 60)
	}
	o.unanswered(a.how)
	o.call.truth.AnsweredBy, o.call.truth.HangupParty = "SYSTEM", "CALLER"
}

// precedence orders the outcomes of several phones that rang and did not answer.
var precedence = []string{"BUSY", "REJECTED", "NO_ANSWER", "CANCELED", "FAILED"}

// worse says which of two failed dials speaks for the call. Of two with one
// disposition either may give the cause.
func (c *call) worse(a, b failure) failure {
	if a.disposition == b.disposition && a.cause != b.cause {
		c.unsure |= HangupCause
	}
	for _, d := range precedence {
		if a.disposition == d {
			return a
		}
		if b.disposition == d {
			return b
		}
	}
	return a
}

// inboundFailed is a dial that nobody answers, and after it, now and then, the
// caller's message.
func (o *opentactFeed) inboundFailed(a *opentactLeg, dial int64) {
	b := o.dial(a, dial)
	o.fail(b, pick(o.draw, opentactFailures))
	end, how := b.hangup, b.how
	if o.chance(0.25) {
		second := o.dial(a, dial+o.between(0, 50))
		o.fail(second, pick(o.draw, opentactFailures))
		end, how = max(end, second.hangup), o.worse(how, second.how)
	}
	o.unanswered(how)
	t := &o.call.truth
	t.AnsweredBy = "SYSTEM"
	voicemail := o.chance(0.5)
	if voicemail {
		t.Disposition = "VOICEMAIL"
		end += o.around(9000)
	}
	a.hangup = end + o.between(300, 2000)
	a.logs = o.dialLogs(b.created, "failed", voicemail)
}

// dialLogs is what the platform did during the call. The voicemail that it would
// take is listed inside the Dial, and again among the steps where it was reached:
// there the Record stays queued, and what follows it has run.
func (o *opentactFeed) dialLogs(at int64, dial string, voicemail bool) []byte {
	b := o.logEntry(nil, at, "Callback", "queued", "unknown", "", "")
	reason := "answered"
	if dial == "failed" {
		reason = "[originate] ERR NO_USER_RESPONSE. no any destinations are accept the call 1/1"
	}
	plan := o.logEntry(nil, at, "Record", "queued", "unknown", "voicemail", "")
	plan = o.logEntry(nil, at, "Error", "queued", "unknown", "", string(plan))
	b = o.logEntry(append(b, ','), at+3, "Dial", dial, reason, "", string(plan))
	if !voicemail {
		return b
	}
	b = o.logEntry(append(b, ','), at+4, "Error", "queued", "unknown", "", "")
	b = o.logEntry(append(b, ','), at+5, "Say", "success", "media played 1 times", "", "")
	b = o.logEntry(append(b, ','), at+7, "Record", "queued", "unknown", "voicemail", "")
	b = o.logEntry(append(b, ','), at+9, "Tone", "success", "tone '500' played 1 times", "", "")
	return o.logEntry(append(b, ','), at+11, "Pause", "queued", "unknown", "", "")
}

func (o *opentactFeed) logEntry(b []byte, at int64, command, state, reason, tag, children string) []byte {
	b = append(b, '{')
	b = iso(b, "created_on", at)
	b = str(b, "uuid", o.uuid())
	b = boolean(b, "success", state == "success")
	b = str(b, "state", state)
	b = str(b, "name", command)
	b = raw(b, "element", "{}")
	b = raw(b, "command", `{"name":"`+command+`"}`)
	b = str(b, "reason", reason)
	b = word(b, "tag", tag)
	b = append(name(b, "children"), '[')
	b = append(b, children...)
	return append(b, ']', '}')
}

// tellLeg writes the events of one leg.
func (o *opentactFeed) tellLeg(l *opentactLeg) {
	// Some tenants' calls without children come in the older shape.
	write := o.state
	if o.tenant.old && len(o.drawn) == 1 && l.direction == "out" {
		write = o.state2022
	}
	write(l, "init", l.init, tellsStart, &l.started)
	write(l, "ringing", l.ring, tellsRinging, &l.ringing)
	write(l, "live", l.live, tellsAnswer, &l.answered)
	if l.origin && l.live != 0 && o.chance(0.2) {
		o.flow(l, l.live+o.between(1, 40))
	}
	write(l, "hangup", l.hangup, tellsEnd, &l.ended)
	write(l, "destroyed", l.destroy, tellsEnd, &l.ended)
}

// freeswitch are the states of the switch, which lag and lead the call's.
var freeswitch = map[string][2]string{
	"init":      {"DOWN", "CS_INIT"},
	"ringing":   {"RINGING", "CS_ROUTING"},
	"live":      {"EARLY", "CS_EXECUTE"},
	"hangup":    {"DOWN", "CS_CONSUME_MEDIA"},
	"destroyed": {"HANGUP", "CS_REPORTING"},
}

// stateField names the one instant that an event of a state carries.
var stateField = map[string]string{
	"init": "init_on", "ringing": "ring_on", "live": "answer_on", "hangup": "hangup_on", "destroyed": "destroy_on",
}

// state writes the event of one state, and now and then the same event as a
// second subscription delivers it: one uuid, another delivery report.
func (o *opentactFeed) state(l *opentactLeg, state string, at int64, k kind, shown *moment) {
	if at == 0 {
		return
	}
	emitted := at + o.between(51, 201)
	id := o.uuid()
	m := message{leg: l.leg, at: at, sent: emitted, kind: k, shows: []*moment{&l.started, shown}, anchors: l.anchored()}
	if state == "destroyed" {
		m.shows = append(m.shows, l.mailbox...)
	}
	o.say(m, o.stateValue(l, id, state, at, emitted, emitted, "[]"))
	if o.chance(0.03) {
		m.sent += o.between(5, 400)
		m.copy = true
		o.say(m, o.stateValue(l, id, state, at, emitted, m.sent, `[{"channel":"webhook","success":true}]`))
	}
}

// anchored are the leg and the ancestor whose copy its events carry.
func (l *opentactLeg) anchored() []*leg {
	if l.parent == nil {
		return []*leg{l.leg}
	}
	return []*leg{l.leg, l.parent.leg}
}

func (o *opentactFeed) stateValue(l *opentactLeg, id, state string, at, emitted, modified int64, delivery string) []byte {
	b := o.object()
	b = str(b, "uuid", id)
	b = iso(b, "created_on", emitted)
	b = str(b, "type", "call_state")
	b = str(b, "message", "CallSCA "+l.direction+" "+l.from.raw+" > "+l.to.raw+" - "+state)
	b = append(name(b, "payload"), '{')
	b = str(b, "state", state)
	b = num(b, "duration", max(seconds(at-l.created)-o.Int64N(2), 0))
	b = append(b, '}')
	b = o.callObject(b, l, state, at)
	b = str(b, "ref_id", l.id)
	b = raw(b, "account", `{"uuid":"`+o.tenant.account+`"}`)
	b = null(b, "batch", "sms_brand", "ticket", "call_asr", "sms", "call_flow", "call_record", "user", "tn_order", "tn_lease",
		"sms_campaign", "tn", "tn_order_tn")
	b = iso(b, "modified_on", modified)
	b = raw(b, "delivery_report", delivery)
	return append(b, '}')
}

// seconds rounds up, as Opentact's durations do.
func seconds(ms int64) int64 { return (ms + 999) / 1000 }

// callObject appends the member call: the leg in one state.
func (o *opentactFeed) callObject(b []byte, l *opentactLeg, state string, at int64) []byte {
	b = append(name(b, "call"), '{')
	b = str(b, "uuid", l.id)
	b = str(b, "direction", l.direction)
	b = str(b, "from", l.from.raw)
	b = str(b, "to", l.to.raw)
	b = str(b, "state", state)
	b = num(b, "duration", seconds(at-l.created))
	b = str(b, "type", "CallSCA")
	b = iso(b, "created_on", l.created)
	b = iso(b, "modified_on", at)
	b = iso(b, stateField[state], at)
	if state == "hangup" || state == "destroyed" {
		b = l.cause(b)
	}
	b = str(b, "freeswitch_call_state", freeswitch[state][0])
	b = str(b, "freeswitch_channel_state", freeswitch[state][1])
	b = null(b, "stir_shaken_attest_level")
	if l.parent == nil {
		b = null(b, "parent")
	} else {
		b = l.parent.snapshot(b, at)
	}
	b = raw(b, "account", `{"uuid":"`+o.tenant.account+`"}`)
	b = o.number(b, l)
	b = o.controlApp(b, l)
	b = str(b, "thread", l.thread)
	b = null(b, "country", "lerg", "sip_connection", "hotkey")
	b = append(name(b, "logs"), '[')
	if state == "destroyed" {
		b = append(b, l.logs...)
	}
	b = append(b, ']')
	b = raw(b, "records", "[]")
	b = append(name(b, "children"), '[')
	if state == "destroyed" {
		b = o.children(b, l)
	}
	return append(b, ']', '}')
}

// number is the tenant's own number, which is a JSON number.
func (o *opentactFeed) number(b []byte, l *opentactLeg) []byte {
	if l.direction != "in" {
		return null(b, "tn")
	}
	b = append(name(b, "tn"), '{')
	b = raw(b, "tn", l.to.raw)
	b = null(b, "deleted_on")
	return append(b, '}')
}

func (o *opentactFeed) controlApp(b []byte, l *opentactLeg) []byte {
	if l.direction != "in" {
		return null(b, "sip_control_app")
	}
	b = append(name(b, "sip_control_app"), '{')
	b = str(b, "name", "reception")
	b = boolean(b, "is_active", true)
	b = boolean(b, "auto_answer", l.auto)
	b = null(b, "max_call_length_min")
	return append(b, '}')
}

func (o *opentactFeed) children(b []byte, l *opentactLeg) []byte {
	for _, c := range o.drawn {
		if c.parent == l {
			b = append(str(append(comma(b), '{'), "uuid", c.id), '}')
		}
	}
	return b
}

// snapshot appends the member parent: the leg as it stood at an instant.
func (l *opentactLeg) snapshot(b []byte, at int64) []byte {
	seen := func(i int64) int64 {
		if i > at {
			return 0
		}
		return i
	}
	state, modified := "init", l.init
	for _, s := range [...]struct {
		name string
		at   int64
	}{{"ringing", l.ring}, {"live", l.live}, {"hangup", l.hangup}, {"destroyed", l.destroy}} {
		if seen(s.at) != 0 {
			state, modified = s.name, s.at
		}
	}
	b = append(name(b, "parent"), '{')
	b = str(b, "type", "CallSCA")
	b = iso(b, "created_on", l.created)
	b = iso(b, "modified_on", modified)
	b = str(b, "uuid", l.id)
	b = str(b, "state", state)
	b = str(b, "direction", l.direction)
	b = str(b, "from", l.from.raw)
	b = str(b, "to", l.to.raw)
	b = num(b, "duration", seconds(modified-l.created))
	b = iso(b, "init_on", l.init)
	b = isoOrNull(b, "ring_on", seen(l.ring))
	b = isoOrNull(b, "answer_on", seen(l.live))
	b = isoOrNull(b, "hangup_on", seen(l.hangup))
	b = isoOrNull(b, "destroy_on", seen(l.destroy))
	b = null(b, "finished_on")
	if seen(l.hangup) == 0 && seen(l.destroy) == 0 {
		b = null(b, "q850_cause", "q850_cause_string")
	} else {
		b = l.cause(b)
	}
	b = null(b, "release_cause_from_protocol_stack", "stir_shaken_attest_level", "stir_shaken_identity")
	b = str(b, "thread", l.thread)
	b = null(b, "sip_user")
	return append(b, '}')
}

// flow writes a call_flow event: a command of the platform on the leg, which
// changes nothing in the leg's life.
func (o *opentactFeed) flow(l *opentactLeg, at int64) {
	emitted := at + o.between(51, 201)
	b := o.object()
	b = str(b, "uuid", o.uuid())
	b = iso(b, "created_on", emitted)
	b = str(b, "type", "call_flow")
	b = str(b, "message", "Say: success true, reason: media played 1 times")
	b = raw(b, "payload", `{"command":"Say"}`)
	b = o.callObject(b, l, "live", l.live)
	b = str(b, "ref_id", l.id)
	b = raw(b, "account", `{"uuid":"`+o.tenant.account+`"}`)
	b = raw(b, "call_flow", `{"uuid":"`+o.uuid()+`","success":true,"state":"success","reason":"media played 1 times","name":"Say","element":{},"command":{"name":"Say"}}`)
	b = iso(b, "modified_on", emitted)
	b = raw(b, "delivery_report", "[]")
	b = append(b, '}')
	o.say(message{leg: l.leg, at: emitted, sent: emitted, kind: tellsExtra, shows: []*moment{&l.started, &l.answered}, anchors: l.anchored()}, b)
}

// state2022 writes the older shape, in which the payload is the call itself,
// all instants so far are in it and there is no event id.
func (o *opentactFeed) state2022(l *opentactLeg, state string, at int64, k kind, shown *moment) {
	if at == 0 {
		return
	}
	seen := func(b []byte, key string, i int64) []byte {
		if i > at {
			i = 0
		}
		return isoOrNull(b, key, i)
	}
	emitted := at + o.between(51, 201)
	b := o.object()
	b = iso(b, "timestamp", emitted)
	b = boolean(b, "success", true)
	b = str(b, "message", "CallSCA "+l.direction+" "+l.from.raw+" > "+l.to.raw+" - "+state)
	b = str(b, "type", "call_state")
	b = null(b, "command")
	b = append(name(b, "payload"), '{')
	b = str(b, "direction", l.direction)
	b = str(b, "type", "CallSCA")
	b = iso(b, "created_on", l.created)
	b = iso(b, "modified_on", at)
	b = str(b, "uuid", l.id)
	b = str(b, "state", state)
	b = null(b, "state_end")
	b = str(b, "from", l.from.raw)
	b = str(b, "to", l.to.raw)
	b = num(b, "duration", at-l.created)
	b = seen(b, "init_on", l.init)
	b = seen(b, "ring_on", l.ring)
	b = seen(b, "answer_on", l.live)
	b = seen(b, "hangup_on", l.hangup)
	b = seen(b, "destroy_on", l.destroy)
	b = null(b, "finished_on")
	if k == tellsEnd {
		b = l.cause(b)
	} else {
		b = null(b, "q850_cause", "q850_cause_string")
	}
	b = append(b, '}', '}')
	o.say(message{leg: l.leg, at: at, sent: emitted, kind: k, shows: []*moment{&l.started, shown}, anchors: l.anchored()}, b)
}

func opentactOther(kind string) func(draw, *tenant, int64) []byte {
	return func(d draw, t *tenant, at int64) []byte {
		b := str([]byte("{"), "uuid", d.uuid())
		b = iso(b, "created_on", at)
		b = str(b, "type", kind)
		b = str(b, "message", kind+" changed")
		b = raw(b, "payload", `{"state":"changed"}`)
		b = null(b, "call", "call_flow", "call_record")
		b = raw(b, "account", `{"uuid":"`+t.account+`"}`)
		b = raw(b, "delivery_report", "[]")
		return append(b, '}')
	}
}
