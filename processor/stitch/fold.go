package stitch

import (
	"cmp"
	"encoding/binary"
	"strings"

	"callstitch/processor/call"
	"callstitch/processor/digest"
)

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
	by := precedence{standing: undated, rank: e.Type.Rank(), id: shortID(e.ID)}
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
	by := precedence{at: e.Ended.At, standing: endStanding(e), rank: e.Type.Rank(), id: shortID(e.ID)}
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
	case p.rank == call.CallMissed.Rank():
		return 1
	default:
		return 0
	}
}
