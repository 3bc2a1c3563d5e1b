package simulator

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// call is one drawn call: its legs, what its provider sends about them, and the
// truth. Whoever draws a call sets the facts of its legs and those fields of the
// truth that are facts of the whole; tell works out the rest.
type call struct {
	truth    Truth
	legs     []*leg
	messages []message
	unsure   Fields // that do not follow from the facts
	// rangAtOnce: whoever was heard to ring first, of those of one start, is the callee.
	rangAtOnce bool
	left       int // records not yet emitted
	// restate sets what the arrival of the messages does not tell, if anything.
	restate func()

	// caller is the leg of the party whom all others were connected to, where that
	// is not the first leg.
	caller *leg
	// outOfSight marks a call whose caller went where nothing tells of him.
	outOfSight bool
}

// leg is one leg as it was drawn. Its instants are those that the provider
// lets be known, with the class of evidence that its events give them.
type leg struct {
	id       string
	from, to party

	started, ringing, answered, ended moment
	// missed is when a user missed the call. That ends it only if nobody answers
	// and no other end is told.
	missed moment

	// origin marks a leg whose far end is the platform itself: its answer is
	// the platform's, and no person was called on it.
	origin bool
	// machine is when an answering machine was found to have answered.
	machine moment
	// consult marks a call between two agents about the caller: it is no talk
	// with the caller.
	consult bool
	// untimed marks a leg that was answered, of which nobody can tell when.
	untimed bool
	// declined marks a leg on which somebody answered, was asked, and did not take the
	// call.
	declined bool
	// joined is the moment at which somebody who was in the call already took the
	// leg over, where nothing tells of an answer on it.
	joined *moment
	// talks are the spans in which caller and called party were connected, where
	// these are not simply from answer to end.
	talks []span

	// heard is when the first record about the leg was in Kafka; 0 where none was.
	heard int64
	// until is when the caller was taken from a leg that stayed up.
	until *moment

	// how is in which way the leg ended, where its provider says so.
	how failure
}

// failure is a way in which a leg ends, in the words of its provider and ours. The
// disposition is that of a leg that nobody answered.
type failure struct {
	code        int64  // Q.850 or SIP, where the provider has one
	word        string // the provider's own
	disposition string
	cause       string
}

// first is the smallest instant that any event tells about the leg.
func (l *leg) first() int64 {
	first := int64(0)
	for _, m := range [...]moment{l.started, l.ringing, l.answered, l.ended} {
		if m.known() && (first == 0 || m.at < first) {
			first = m.at
		}
	}
	return first
}

// compareHeard orders legs of one instant: by the first record about each, then by id.
// Those that are known from others' records come last.
func compareHeard(tenant, provider string, a, b *leg) int {
	when := func(l *leg) int64 {
		if l.heard == 0 {
			return math.MaxInt64
		}
		return l.heard
	}
	return cmp.Or(cmp.Compare(when(a), when(b)), strings.Compare(legID(tenant, provider, a.id), legID(tenant, provider, b.id)))
}

// message is one thing that a provider says.
type message struct {
	leg     *leg
	at      int64 // when what it tells happened, epoch ms
	sent    int64 // when the provider sends it
	arrival int64 // when it is in Kafka
	value   []byte
	kind    kind
	// shows are the instants that are known from this message, clock the one
	// of them whose only evidence is the arrival.
	shows []*moment
	clock *moment
	// ingest marks a message without a time of its own; after one that tells of
	// something past, and so is no sign of life.
	ingest, after bool
	// copy marks a second telling of what was told: no event of its own.
	copy bool
	// promises is a leg of which the message tells that it goes on.
	promises *leg
	// recording is the id of the recording that the message tells of, if any.
	recording string
	// anchors are the legs whose start and links this message names.
	anchors []*leg
	lost    bool
}

// kind is which part of a call's life a message tells.
type kind uint8

const (
	tellsStart kind = iota
	tellsRinging
	tellsAnswer
	tellsEnd
	tellsExtra
)

// restsOn are the fields that a lost message of each kind makes uncertain.
var restsOn = [...]Fields{
	tellsStart: StartedAt | StartedAtSrc | TotalMS | FromRaw | FromE164 | ToRaw | ToE164 | Direction | EndedAt | EndedAtSrc |
		RingingAt | RingingAtSrc | RingMS | HangupCause | HangupParty | TransferCount | Transfers,
	tellsRinging: RingingAt | RingingAtSrc | RingMS | PlatformAnsweredAt | ToRaw | ToE164 | HangupCause | TransferCount | Transfers | EndedAt |
		EndedAtSrc | AnsweredLegCount | TalkMS,
	tellsAnswer: PlatformAnsweredAt | AnsweredAt | AnsweredAtSrc | AnsweredLegCount | AnsweredBy | Disposition | RingMS | TalkMS |
		HangupCause | HangupParty | TransferCount | Transfers | EndedAt | EndedAtSrc,
	tellsEnd: CloseReason | EndLost | EndedAt | EndedAtSrc | RingMS | TalkMS | TotalMS | Disposition | AnsweredBy | HangupCause |
		HangupParty | TransferCount | Transfers | AnsweredLegCount | PlatformAnsweredAt | AnsweredAt | AnsweredAtSrc,
	tellsExtra: Disposition | AnsweredBy | AnsweredAt | AnsweredAtSrc | ConferenceID | PlatformAnsweredAt | EndedAt | EndedAtSrc | AnsweredLegCount | TransferCount | Transfers |
		HangupCause | TalkMS | RingMS,
}

// passedOn says in the truth that somebody passed the caller on.
func (c *call) passedOn(p passing) {
	c.truth.Transfers = append(c.truth.Transfers, p)
	if p.result == "COMPLETED" {
		c.truth.TransferCount++
	}
}

// silence is the story of a provider that stops sending: nothing that happened
// after the instant is ever told. How an unanswered call would have gone is then
// not known.
func (c *call) silence(after int64) {
	all := len(c.messages)
	c.messages = slices.DeleteFunc(c.messages, func(m message) bool { return m.at > after })
	if len(c.messages) == all {
		return
	}
	c.forget()
	c.unsure |= AnsweredBy | HangupCause | HangupParty | TransferCount | Transfers | ConferenceID
	if c.truth.ConferenceID != "" {
		c.unsure |= TalkMS
		c.unsure |= AnsweredLegCount // a member has been answered, though nobody said so
	}
	if slices.ContainsFunc(c.legs, func(l *leg) bool { return l.declined }) {
		c.unsure |= Disposition | AnsweredAt | AnsweredAtSrc | RingMS | AnsweredLegCount // nothing tells whether it was
	}
	if slices.ContainsFunc(c.legs, (*leg).personAnswered) {
		c.truth.Disposition = "ANSWERED" // even by a machine, which was not found out
	} else {
		c.unsure |= Disposition
	}
}

func (l *leg) personAnswered() bool {
	return !l.origin && !l.machine.known() && !l.consult && !l.declined && l.answered.known()
}

// forget takes back what no message shows any more.
func (c *call) forget() {
	shown := make(map[*moment]bool)
	seen := make(map[*leg]bool)
	for i := range c.messages {
		for _, m := range c.messages[i].shows {
			shown[m] = true
		}
		for _, l := range c.messages[i].anchors {
			seen[l] = true
		}
	}
	for _, l := range c.legs {
		for _, m := range [...]*moment{&l.started, &l.ringing, &l.answered, &l.ended, &l.missed, &l.machine} {
			if !shown[m] {
				*m = moment{}
			}
		}
	}
	c.legs = slices.DeleteFunc(c.legs, func(l *leg) bool { return !seen[l] })
}

// arrive sets when each leg was heard of first, and the instants that only Kafka's
// timestamp tells: the smallest over all records that tell it.
func (c *call) arrive() {
	for i := range c.messages {
		m := &c.messages[i]
		if !m.lost && (m.leg.heard == 0 || m.arrival < m.leg.heard) {
			m.leg.heard = m.arrival
		}
		if m.clock == nil || m.lost {
			continue
		}
		if m.clock.src != "INGEST" || m.arrival < m.clock.at {
			*m.clock = moment{m.arrival, "INGEST"}
		}
	}
}

// tell completes the truth from the legs, once the arrival of every message is
// known.
func (c *call) tell() {
	t := &c.truth
	t.named = allFields &^ c.unsure
	t.CloseReason = "NORMAL"
	t.LegCount = int64(len(c.legs))
	for _, l := range c.legs {
		t.CallIDs = append(t.CallIDs, l.id)
		if l.endedByMiss() {
			l.ended = l.missed
		}
		c.tellLeg(l)
	}
	slices.Sort(t.CallIDs)
	c.tellEvents()
	t.SessionID = sessionID(t.Tenant, t.Provider, c.legs)
	if c.rangAtOnce {
		began := slices.MinFunc(c.legs, func(a, b *leg) int {
			return cmp.Or(cmp.Compare(a.started.at, b.started.at), compareHeard(t.Tenant, t.Provider, a, b))
		})
		t.From, t.To = began.from, began.to
	}
	if t.EndLost {
		t.CloseReason = "TIMEOUT"
		t.Ended = moment{c.lastSign(), "TIMEOUT"}
	}
	c.tellLengths()
	c.tellLoss()
}

// endedByMiss reports whether that a user missed the call is all that is told of its
// end.
func (l *leg) endedByMiss() bool {
	return l.missed.known() && !l.answered.known() && !l.ended.known()
}

func (c *call) tellEvents() {
	t := &c.truth
	for i := range c.messages {
		m := &c.messages[i]
		if !m.copy {
			t.EventCount++
		}
		if m.promises != nil && !m.promises.ended.known() {
			t.EndLost = true
		}
		if m.recording != "" {
			t.RecordingIDs = append(t.RecordingIDs, m.recording)
		}
	}
	slices.Sort(t.RecordingIDs)
	t.RecordingIDs = slices.Compact(t.RecordingIDs)
}

func (c *call) tellLeg(l *leg) {
	t := &c.truth
	t.Started = earliest(t.Started, l.started)
	if l.answered.known() || l.untimed {
		t.AnsweredLegCount++
	}
	switch {
	case l.origin:
		t.PlatformAnswered = earliest(t.PlatformAnswered, l.answered)
	case !l.consult:
		t.Ringing = earliest(t.Ringing, l.ringing)
		if !l.machine.known() && !l.declined {
			t.Answered = earliest(t.Answered, l.answered)
		}
	}
	if len(c.legs) == 1 {
		t.Ringing = l.ringing // nobody else was called
	}
	t.EndLost = t.EndLost || !l.ended.known()
	if l.ended.at > t.Ended.at {
		t.Ended = l.ended
	}
}

func earliest(a, b moment) moment {
	if !a.known() || b.known() && b.at < a.at {
		return b
	}
	return a
}

// lastSign is the last instant at which the call is known to have been alive.
func (c *call) lastSign() int64 {
	last := int64(0)
	for i := range c.messages {
		m := &c.messages[i]
		switch {
		case m.after:
		case m.ingest:
			last = max(last, m.arrival)
		default:
			last = max(last, m.at)
		}
	}
	return last
}

func (c *call) tellLengths() {
	t := &c.truth
	t.RingMS = c.rang()
	if t.EndLost {
		return
	}
	t.TalkMS = lasting(c.talk())
	if slices.ContainsFunc(c.legs, func(l *leg) bool { return l.untimed }) {
		t.TalkMS = length{}
	}
	if t.ConferenceID != "" || c.outOfSight {
		t.TalkMS = length{} // with whom, if with anybody, is not told
	}
	if t.Started.known() {
		t.TotalMS = lasting(t.Ended.at - t.Started.at)
	}
}

// rang is how long the telephone rang that a person answered first; where nobody
// answered, from the first ringing until the last called party's telephone stopped.
func (c *call) rang() length {
	t := &c.truth
	from, until := t.Ringing.at, int64(0)
	switch {
	case t.Answered.known():
		from, until = c.firstAnswered().ringing.at, t.Answered.at
	case len(c.legs) == 1 && t.PlatformAnswered.known():
		until = t.PlatformAnswered.at
	case t.EndLost:
	default:
		for _, l := range c.legs {
			if !l.origin || len(c.legs) == 1 {
				until = max(until, l.ended.at)
			}
		}
	}
	if from == 0 || until < from {
		return length{} // it was not seen, or the telephone was up before it
	}
	return lasting(until - from)
}

// firstAnswered is the leg that the first person answered.
func (c *call) firstAnswered() *leg {
	for _, l := range c.legs {
		if !l.origin && !l.consult && l.answered == c.truth.Answered {
			return l
		}
	}
	return c.legs[0] // which the platform had answered before
}

// talk is how long caller and a called person were connected.
func (c *call) talk() int64 {
	var spans []span
	for _, l := range c.legs {
		switch {
		case l.joined != nil:
			spans = append(spans, span{l.joined.at, l.ended.at})
		case l.origin || l.consult || l.declined || l.machine.known() || !l.answered.known():
		case l.talks != nil:
			spans = append(spans, l.talks...)
		default:
			spans = append(spans, c.withCaller(l))
		}
	}
	return union(spans)
}

// withCaller is the part of a leg's time in which the caller was there.
func (c *call) withCaller(l *leg) span {
	s := span{l.answered.at, l.ended.at}
	if l.until != nil && l.until.known() {
		s.to = min(s.to, l.until.at)
	}
	switch first := c.legs[0]; {
	case c.caller != nil && c.caller != l:
		s.to = min(s.to, c.caller.ended.at)
	case first.origin && first.ended.known():
		s.from = max(s.from, first.answered.at)
		s.to = min(s.to, first.ended.at)
	}
	return s
}

// tellLoss takes from the truth what rested on lost messages.
func (c *call) tellLoss() {
	anchored := make(map[*leg]bool, len(c.legs))
	heard := map[*leg]bool{c.legs[0]: true} // of whom more than a copy is left, or which is nobody's dial
	var lost Fields
	for i := range c.messages {
		m := &c.messages[i]
		if m.lost {
			c.truth.Lossy = true
			lost |= restsOn[m.kind]
			if m.leg.missed.known() && (m.kind == tellsAnswer || m.clock == &m.leg.missed) {
				lost |= restsOn[tellsEnd] // of the two, the answer decides whether the miss was the end
			}
			continue
		}
		heard[m.leg] = true
		for _, l := range m.anchors {
			anchored[l] = true
		}
	}
	if !c.truth.Lossy {
		return
	}
	if c.restate != nil { // whether it came late is not told any more
		lost |= restsOn[tellsAnswer] | restsOn[tellsEnd]
	}
	lost |= EventCount | Recordings
	if c.truth.Started.src == "DERIVED" {
		lost |= StartedAt | StartedAtSrc | TotalMS
	}
	if len(anchored) < len(c.legs) || len(heard) < len(c.legs) {
		lost = allFields &^ (TenantID | Provider | RecordState | Legs)
	}
	c.truth.named &^= lost
}
