package stitch

import (
	"cmp"
	"encoding/binary"
	"strings"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/digest"
)

// marks is what was seen of a leg at all. An instant may be unknown although
// the fact is certain: a raw file has no clock for providers that send none.
type marks uint16

const (
	initiated    marks = 1 << iota // a set-up event
	rang                           // an event or instant of ringing
	picked                         // an event or instant that only an answered call has
	answerTold                     // an event whose own subject is the answer
	hungUp                         // an event or instant of the end
	missedCall                     // missed by a user, which ends only a call that nobody answers
	platformTook                   // the answer is the platform's own
	tookMessage                    // the platform says that a message was taken
	agentGone                      // an agent or channel left
	momentsCut                     // the timeline overflowed
	bridged                        // connected to a call or room that no link names
)

// leg is the commutative fold over the set of one leg's accepted events; the
// table policies says how each field merges. An instant of 0 is not known.
type leg struct {
	id            call.LegID
	tenant        string
	provider      call.Provider
	scope, callID string

	started, ringing, answer, hangup, miss call.Instant

	marks      marks
	answeredBy call.Answerer
	flags      call.Flags

	queued     int64 // when the provider queued the call; no instant of the leg's life
	earliest   int64 // plain minimum of every instant
	firstEvent int64
	newest     int64 // largest event time that is not a Kafka timestamp
	alive      int64 // last proof that the call went on

	direction    pick[call.Direction]
	from, to     pick[call.Party]
	account      pick[string]
	parentCallID pick[string]
	conferenceID pick[string]
	transferType pick[call.TransferType]
	duration     pick[int64] // seconds, the provider's claim
	talk         pick[int64]
	cause        pick[call.Ending]

	attributes []attribute // by key
	moments    []moment    // by compareMoments
	recordings []recording // by id
	ties       []tie
	hangups    []hangup

	arrival                              int64
	events, duplicates, late, outOfOrder int32
	firstSource, lastSource              position
}

// position is where a raw record was read, and when it was written there.
type position struct {
	source     call.Source
	ingestedAt int64
}

func (p position) compare(o position) int {
	return cmp.Or(
		cmp.Compare(p.ingestedAt, o.ingestedAt), strings.Compare(p.source.Topic, o.source.Topic),
		cmp.Compare(p.source.Partition, o.source.Partition), cmp.Compare(p.source.Offset, o.source.Offset),
	)
}

// fold merges an accepted event. arrival is in epoch milliseconds.
func (l *leg) fold(e *call.Event, arrival int64) {
	if t := e.Time; t.Known() && t.Src != call.Ingest && t.At+max(1, int64(t.Precision)) <= l.newest {
		l.outOfOrder++
	}
	if e.Late {
		l.late++
	}
	l.mergePosition(e)
	l.merge(e)
	l.events++
	l.arrival = max(l.arrival, arrival)
}

// variant merges a second content of an event that happens once: other bytes
// under the same id. It is idempotent but for the count.
func (l *leg) variant(e *call.Event, arrival int64) {
	l.duplicates++
	l.merge(e)
	l.arrival = max(l.arrival, arrival)
}

// repeat counts an exact copy of an accepted event. Where the Kafka timestamp
// is the only clock, the copy with the smallest counts, so that the order of
// copies does not matter; elsewhere a copy changes nothing.
func (l *leg) repeat(e *call.Event) {
	l.duplicates++
	if e.Time.Src == call.Ingest || e.Started.Src == call.Ingest || e.Ringing.Src == call.Ingest ||
		e.Answered.Src == call.Ingest || e.Ended.Src == call.Ingest {
		l.merge(e)
	}
}

// identify says whose leg this is, before anything but another leg's event has
// told of it. No account comes along: which one would depend on which of the
// other leg's events was first.
func (l *leg) identify(tenant string, p call.Provider, scope string) {
	l.tenant, l.provider, l.scope = tenant, p, scope
}

// witness merges what another leg's event says about this leg, which was
// identified. It is idempotent, and whatever the leg's own events say beats it.
func (l *leg) witness(s *call.LegSnapshot, arrival int64) {
	if l.callID == "" {
		l.callID = s.CallID
		l.id = call.NewLegID(l.tenant, l.provider, l.scope, l.callID)
	}
	by := precedence{standing: witnessed} // as LegSnapshot.Join has it: no copy beats another by its time
	l.mergeParties(by, s.Direction, s.From, s.To)
	l.mergeInstants(s.Started, s.Ringing, s.Answered)
	if s.Ended.Known() {
		l.marks |= hungUp
		l.hangup = call.Earliest(l.hangup, s.Ended)
		l.earliest = smallest(l.earliest, s.Ended.At)
		l.mergeEnding(precedence{standing: copied}, s.Ending)
	}
	if s.Alive.Known() {
		l.alive = max(l.alive, s.Alive.At)
	}
	l.arrival = max(l.arrival, arrival)
}

// conflict notes that another content came under the id of an accepted event.
func (l *leg) conflict() { l.flags |= call.IDConflict }

// overflow notes that a link that the leg named takes no more legs.
func (l *leg) overflow() { l.flags |= call.LinkOverflow }

// first is the plain minimum of every accepted instant of whatever class; false
// where none is known.
func (l *leg) first() (int64, bool) { return l.earliest, l.earliest != 0 }

// answered reports whether the leg was answered, by whomever.
func (l *leg) answered() bool { return l.marks&picked != 0 }

// ended reports whether the leg is known to have ended. A call that one user
// missed and another answered goes on.
func (l *leg) ended() bool {
	return l.marks&hungUp != 0 || l.marks&missedCall != 0 && !l.answered()
}

// end is when the leg ended, absent where that is not known.
func (l *leg) end() call.Instant {
	switch {
	case l.marks&hungUp != 0:
		return l.hangup
	case l.ended():
		return l.miss
	default:
		return call.Instant{}
	}
}

// holdsUntil is the arrival time, in epoch milliseconds, until which the leg
// keeps its session open.
func (l *leg) holdsUntil(cfg Config) int64 {
	wait := cfg.UnansweredTimeout
	switch {
	case l.ended():
		wait = cfg.Grace
	case l.answered():
		wait = cfg.AnsweredTimeout
	}
	return after(l.arrival, wait)
}

func after(at int64, d time.Duration) int64 { return at + d.Milliseconds() }

// twiceHungUp reports whether the leg hung up a second time, which tells that it
// was the consultation of an attended transfer, and when; 0 where that is not
// known.
func (l *leg) twiceHungUp() (at int64, yes bool) {
	if len(l.hangups) < 2 {
		return 0, false
	}
	return l.hangups[1].at, true
}

// lastAlive is the last evidence that the leg was alive, 0 where there is none.
func (l *leg) lastAlive() int64 {
	t := max(l.alive, l.started.At, l.ringing.At, l.answer.At, l.end().At)
	for i := range l.moments {
		if provesLife(l.moments[i].typ) {
			t = max(t, l.moments[i].at)
		}
	}
	return t
}

// lastEvent is the time of the leg's last event, 0 where none is known. Kafka
// timestamps are taken from the timeline, where a copy may have lowered them.
func (l *leg) lastEvent() int64 {
	t := l.newest
	for i := range l.moments {
		t = max(t, l.moments[i].at)
	}
	return t
}

// provesLife reports whether an event of type t is sent only while the call is up.
// Recordings and transcripts follow minutes after its end.
func provesLife(t call.EventType) bool {
	switch t {
	case call.RecordingCompleted, call.RecordingAvailable, call.TranscriptionAvailable:
		return false
	default:
		return true
	}
}

// mergePosition keeps the span of source positions.
func (l *leg) mergePosition(e *call.Event) {
	p := position{e.Source, e.IngestedAt}
	if l.events == 0 || p.compare(l.firstSource) < 0 {
		l.firstSource = p
	}
	if l.events == 0 || p.compare(l.lastSource) > 0 {
		l.lastSource = p
	}
}

// merge is the part of the fold that is idempotent.
func (l *leg) merge(e *call.Event) {
	if l.events == 0 {
		l.id, l.tenant, l.provider, l.scope, l.callID = e.Leg, e.Tenant, e.Provider, e.Scope, e.CallID
	}
	by := precedence{standing: undated, rank: rankOf(e.Type), id: shortID(e.ID)}
	if e.Time.Known() {
		by.standing, by.at = dated, e.Time.At
		l.mergeTime(e)
	}
	l.flags |= e.Flags
	l.mergeMarks(e)
	l.mergeInstants(e.Started, e.Ringing, e.Answered)
	l.queued = smallest(l.queued, e.QueuedAt)
	l.mergeParties(by, e.Direction, e.From, e.To)
	l.mergeDetails(by, e)
	if e.Type.Terminal() || e.Ended.Known() {
		l.mergeEnd(e)
	}
}

// shortID is enough of an event's id to tell the events of one leg apart.
func shortID(id call.EventID) uint32 { return binary.BigEndian.Uint32(id[:4]) }

// mergeTime merges the event's own time.
func (l *leg) mergeTime(e *call.Event) {
	at := e.Time.At
	l.earliest = smallest(l.earliest, at)
	l.firstEvent = smallest(l.firstEvent, at)
	if e.Time.Src != call.Ingest {
		l.newest = max(l.newest, at)
		if provesLife(e.Type) {
			l.alive = max(l.alive, at)
		}
	}
	m := moment{at: at, id: shortID(e.ID), typ: e.Type, src: e.Time.Src}
	if e.Provider.Traits().OneCallID && attempt(e.Type) {
		m.callee, m.kind = e.To.Raw, e.To.Kind
	}
	if addMoment(&l.moments, m) {
		l.marks |= momentsCut
	}
}

// attempt reports whether an event of type t is about one of the agents who were
// tried for a call.
func attempt(t call.EventType) bool {
	return t == call.CallRinging || t == call.CallAnswered || t == call.ChannelEnded
}

// mergeMarks marks what the event's type and remarks show.
func (l *leg) mergeMarks(e *call.Event) {
	switch e.Type {
	case call.CallInitiated:
		l.marks |= initiated
	case call.CallRinging, call.EarlyMedia:
		l.marks |= rang
	case call.CallAnswered, call.TransferAnswered:
		l.marks |= picked | answerTold
	case call.CallBridged, call.CallHeld, call.CallResumed, call.ConferenceJoined:
		l.marks |= picked
	}
	if e.Type == call.ConferenceJoined || e.Type == call.ConferenceLeft || e.Type == call.CallUnbridged && !failedBridge(e.HangupCause) {
		l.marks |= bridged
	}
	if e.PlatformAnswer {
		l.marks |= platformTook
	}
	if e.Voicemail {
		l.marks |= tookMessage
	}
	if e.AgentLeft {
		l.marks |= agentGone
	}
	if certainty(e.AnsweredBy) > certainty(l.answeredBy) {
		l.answeredBy = e.AnsweredBy
	}
}

// failedBridge reports whether the cause with the end of a bridge means that it
// never was one.
func failedBridge(c call.HangupCause) bool { return c != call.NoCause && c != call.CauseNormal }

// certainty orders answerers: detection corrects the first guess.
func certainty(a call.Answerer) int {
	switch a {
	case call.System:
		return 1
	case call.Human:
		return 2
	case call.Machine:
		return 3
	default:
		return 0
	}
}

// mergeInstants merges the instants of a leg's life up to its answer.
func (l *leg) mergeInstants(started, ringing, answered call.Instant) {
	if started.Known() {
		l.started = call.Earliest(l.started, started)
		l.earliest = smallest(l.earliest, started.At)
	}
	if ringing.Known() {
		l.marks |= rang
		l.ringing = call.Earliest(l.ringing, ringing)
		l.earliest = smallest(l.earliest, ringing.At)
	}
	if answered.Known() {
		l.marks |= picked
		l.answer = call.Earliest(l.answer, answered)
		l.earliest = smallest(l.earliest, answered.At)
	}
}

// mergeParties merges who called whom.
func (l *leg) mergeParties(by precedence, d call.Direction, from, to call.Party) {
	if d != call.DirectionUnknown {
		l.direction.offer(by, d, cmp.Compare[call.Direction])
	}
	if from.Raw != "" {
		l.from.offer(by, from, compareParties)
	}
	if to.Raw != "" {
		l.to.offer(by, to, compareParties)
	}
}

// mergeDetails merges everything else that an event may name.
func (l *leg) mergeDetails(by precedence, e *call.Event) {
	offerText(&l.account, by, e.Account)
	offerText(&l.parentCallID, by, e.ParentCallID)
	offerText(&l.conferenceID, by, e.ConferenceID)
	if e.TransferType != call.NoTransfer {
		l.transferType.offer(by, e.TransferType, cmp.Compare[call.TransferType])
	}
	for i := range e.Attributes {
		addAttribute(&l.attributes, by, e.Attributes[i])
	}
	if e.Recording.ID != "" {
		addRecording(&l.recordings, by, &e.Recording)
	}
	for _, link := range e.Links {
		if link.Kind != call.Parent { // parentCallID says it
			l.ties = addSorted(l.ties, tie{link.Kind, uint64(digest.OfText(link.Value))}, tiesMax, compareTies)
		}
	}
}

func offerText(p *pick[string], by precedence, s string) {
	if s != "" {
		p.offer(by, s, strings.Compare)
	}
}

// mergeEnd merges an end, with the claims and the cause that come with it.
func (l *leg) mergeEnd(e *call.Event) {
	if e.Ended.Known() {
		l.earliest = smallest(l.earliest, e.Ended.At)
	}
	if e.Type == call.CallMissed {
		l.marks |= missedCall
		l.miss = call.Earliest(l.miss, e.Ended)
	} else {
		l.marks |= hungUp
		l.hangup = call.Earliest(l.hangup, e.Ended)
	}
	if !e.Type.Terminal() {
		return
	}
	by := precedence{at: e.Ended.At, standing: endStanding(e), rank: rankOf(e.Type), id: shortID(e.ID)}
	if e.ProviderDuration.Known {
		l.duration.offer(by, e.ProviderDuration.N, cmp.Compare[int64])
	}
	if e.ProviderTalk.Known {
		l.talk.offer(by, e.ProviderTalk.N, cmp.Compare[int64])
	}
	l.mergeEnding(by, e.Ending)
	if e.Provider.Traits().HangsUpTwice && e.IDKind == call.SemanticID && e.Type == call.CallEnded {
		addHangup(&l.hangups, hangup{e.Ended.At, e.Content})
	}
}

// endStanding orders ends by evidence: strongest first, then those without an
// instant, then misses, which end a call only if nobody answers it.
func endStanding(e *call.Event) standing {
	s := standing(e.Ended.Src)
	if !e.Ended.Known() {
		s = standing(call.Timeout) + 1
	}
	if e.Type == call.CallMissed {
		s += standing(call.Timeout) + 1
	}
	return s
}

// mergeEnding merges the group of fields that say why the leg ended.
func (l *leg) mergeEnding(by precedence, group call.Ending) {
	if group == (call.Ending{}) {
		return
	}
	held := &l.cause
	if !held.known() {
		held.by, held.value = by, group
		return
	}
	// Any other end beats a miss, and any of the leg's own a copy's. Then the
	// richer group wins.
	c := cmp.Or(cmp.Compare(by.owner(), held.by.owner()), cmp.Compare(held.value.Facts(), group.Facts()))
	switch {
	case c < 0:
		held.by, held.value = by, group
	case c == 0:
		held.offer(by, group, call.CompareEndings)
	}
}

// copied is the standing of an end that another leg's copy tells.
const copied = standing(call.Snapshot)

// owner orders ends by whose they are: the leg's own, a user's who missed the
// call, a copy's.
func (p precedence) owner() int {
	switch {
	case p.standing == copied:
		return 2
	case p.rank == uint8(call.CallMissed):
		return 1
	default:
		return 0
	}
}

// why is the ending that counts: a miss does not explain an answered call.
func (l *leg) why() call.Ending {
	if l.cause.by.rank == uint8(call.CallMissed) && l.answered() {
		return call.Ending{}
	}
	return l.cause.value
}
