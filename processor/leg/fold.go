package leg

import (
	"cmp"
	"encoding/binary"
	"strings"

	"callstitch/processor/call"
	"callstitch/processor/digest"
)

// Fold merges an accepted event.
func (l *Leg) Fold(e *call.Event, arrival call.Arrival, late bool) {
	if t := e.Time; t.Known() && t.Src != call.EvidenceIngest && t.At+max(1, call.Time(t.Precision)) <= l.newest {
		l.OutOfOrder++
	}
	if late {
		l.Late++
	}
	l.meet(e)
	if p := (Position{e.Source, e.IngestedAt}); l.Events == 0 || p.Compare(l.LastSource) > 0 {
		l.LastSource = p
	}
	l.merge(e)
	l.Events++
	l.Arrival = max(l.Arrival, arrival)
}

// Variant merges a second content of an event that happens once: other bytes
// under the same id. It is idempotent but for the count.
func (l *Leg) Variant(e *call.Event, arrival call.Arrival) {
	l.Duplicates++
	l.meet(e)
	l.merge(e)
	l.Arrival = max(l.Arrival, arrival)
}

// Repeat counts an exact copy of an accepted event, and reports whether it may have
// told anything new. Where the Kafka timestamp is the only clock, the copy with the
// smallest counts, so that the order of copies does not matter; elsewhere a copy
// tells no more than when the leg was first heard of.
func (l *Leg) Repeat(e *call.Event) (news bool) {
	l.Duplicates++
	news = l.meet(e)
	if e.Time.Src == call.EvidenceIngest || e.Started.Src == call.EvidenceIngest || e.Ringing.Src == call.EvidenceIngest ||
		e.Answered.Src == call.EvidenceIngest || e.Ended.Src == call.EvidenceIngest {
		l.merge(e)
		return true
	}
	return news
}

// Identify says whose leg this is, before anything but another leg's event has
// told of it. No account comes along: which one would depend on which of the
// other leg's events was first.
func (l *Leg) Identify(tenant string, p call.Provider, scope string) {
	l.Tenant, l.Provider, l.scope = tenant, p, scope
}

// Witness merges what another leg's event says about this leg, which was
// identified. It is idempotent, and whatever the leg's own events say beats it.
func (l *Leg) Witness(s *call.LegSnapshot, arrival call.Arrival) {
	if l.CallID == "" {
		l.CallID = s.CallID
		l.ID = call.NewLegID(l.Tenant, l.Provider, l.scope, l.CallID)
	}
	by := precedence{standing: witnessed} // as LegSnapshot.Join has it: no copy beats another by its time
	l.mergeParties(by, s.Direction, s.From, s.To)
	l.mergeInstants(s.Started, s.Ringing, s.Answered)
	if s.Ended.Known() {
		l.marks |= hungUp
		l.hangup = call.Earliest(l.hangup, s.Ended)
		l.Earliest = Earlier(l.Earliest, s.Ended.At)
		l.mergeEnding(precedence{standing: copied}, s.Ending)
	}
	if s.Alive.Known() {
		l.alive = max(l.alive, s.Alive.At)
	}
	l.Arrival = max(l.Arrival, arrival)
}

// Conflict notes that e came with another content under the id of an accepted event.
// Which of the two was accepted depends on their order, so both count for when the
// leg was first heard of.
func (l *Leg) Conflict(e *call.Event) {
	l.meet(e)
	l.Flags |= call.FlagIDConflict
}

// Overflow notes that a link that the leg named takes no more legs.
func (l *Leg) Overflow() { l.Flags |= call.FlagLinkOverflow }

// meet keeps the first of all records about the leg, copies too, and reports whether
// this one has an earlier timestamp than all before it.
func (l *Leg) meet(e *call.Event) (earlier bool) {
	p := Position{e.Source, e.IngestedAt}
	if l.Events > 0 && p.Compare(l.FirstSource) >= 0 {
		return false
	}
	earlier = l.Events == 0 || p.ingestedAt < l.FirstSource.ingestedAt
	l.FirstSource = p
	return earlier
}

// merge is the part of the fold that is idempotent.
func (l *Leg) merge(e *call.Event) {
	if l.Events == 0 {
		l.ID, l.Tenant, l.Provider, l.scope, l.CallID = e.Leg, e.Tenant, e.Provider, e.Scope, e.CallID
	}
	by := precedence{standing: undated, rank: e.Type.Rank(), id: shortID(e.ID)}
	if e.Time.Known() {
		by.standing, by.at = dated, e.Time.At
		l.mergeTime(e)
	}
	l.Flags |= e.Flags
	l.mergeMarks(e)
	l.mergeInstants(e.Started, e.Ringing, e.Answered)
	l.Queued = Earlier(l.Queued, e.QueuedAt)
	l.mergeParties(by, e.Direction, e.From, e.To)
	l.mergeDetails(by, e)
	if e.Type.Terminal() || e.Ended.Known() {
		l.mergeEnd(e)
	}
}

// shortID is enough of an event's id to tell the events of one leg apart.
func shortID(id call.EventID) uint32 { return binary.BigEndian.Uint32(id[:4]) }

// mergeTime merges the event's own time.
func (l *Leg) mergeTime(e *call.Event) {
	at := e.Time.At
	l.Earliest = Earlier(l.Earliest, at)
	l.FirstEvent = Earlier(l.FirstEvent, at)
	if e.Time.Src != call.EvidenceIngest {
		l.newest = max(l.newest, at)
		if provesLife(e.Type) {
			l.alive = max(l.alive, at)
		}
	}
	m := Moment{At: at, id: shortID(e.ID), Type: e.Type, Src: e.Time.Src}
	if e.Provider.Traits().OneCallID && attempt(e.Type) {
		m.Callee, m.Kind = e.To.Raw, e.To.Kind
	}
	if addMoment(&l.Moments, m) {
		l.marks |= MomentsCut
	}
}

// attempt reports whether an event of type t is about one of the agents who were
// tried for a call.
func attempt(t call.EventType) bool {
	return t == call.EventCallRinging || t == call.EventCallAnswered || t == call.EventChannelEnded
}

// mergeMarks marks what the event's type and remarks show.
func (l *Leg) mergeMarks(e *call.Event) {
	switch e.Type {
	case call.EventCallInitiated:
		l.marks |= Initiated
	case call.EventCallRinging, call.EventEarlyMedia:
		l.marks |= Rang
	case call.EventCallAnswered, call.EventTransferAnswered:
		l.marks |= connected | answerTold
	case call.EventCallBridged, call.EventCallHeld, call.EventCallResumed, call.EventConferenceJoined:
		l.marks |= connected
	}
	if e.Type == call.EventCallEnded && e.TransferType != call.NoTransfer {
		l.marks |= connected | Bridged // whoever was on it was passed on to somebody of whom there is no leg
	}
	if e.Type == call.EventConferenceJoined || e.Type == call.EventConferenceLeft || e.Type == call.EventCallUnbridged && !failedBridge(e.HangupCause) {
		l.marks |= Bridged
	}
	if e.ProviderTalk.N > 0 {
		l.marks |= connected // whenever that was
	}
	if e.PlatformAnswer {
		l.marks |= PlatformAnswered
	}
	if e.Voicemail {
		l.marks |= MessageTaken
	}
	if e.AgentLeft {
		l.marks |= AgentLeft
	}
	if certainty(e.AnsweredBy) > certainty(l.AnsweredBy) {
		l.AnsweredBy = e.AnsweredBy
	}
}

// failedBridge reports whether the cause with the end of a bridge means that it
// never was one.
func failedBridge(c call.HangupCause) bool { return c != call.NoCause && c != call.CauseNormal }

// certainty orders answerers: detection corrects the first guess.
func certainty(a call.Answerer) int {
	switch a {
	case call.AnswererSystem:
		return 1
	case call.AnswererHuman:
		return 2
	case call.AnswererMachine:
		return 3
	default:
		return 0
	}
}

// mergeInstants merges the instants of a leg's life up to its answer.
func (l *Leg) mergeInstants(started, ringing, answered call.Instant) {
	if started.Known() {
		l.started = call.Earliest(l.started, started)
		l.Earliest = Earlier(l.Earliest, started.At)
	}
	if ringing.Known() {
		l.marks |= Rang
		l.ringing = call.Earliest(l.ringing, ringing)
		l.Earliest = Earlier(l.Earliest, ringing.At)
	}
	if answered.Known() {
		l.marks |= connected
	}
	if answered.Known() && answered != call.Sometime() {
		l.answer = call.Earliest(l.answer, answered)
		l.Earliest = Earlier(l.Earliest, answered.At)
	}
}

// mergeParties merges who called whom.
func (l *Leg) mergeParties(by precedence, d call.Direction, from, to call.Party) {
	if d != call.DirectionUnknown {
		l.Direction.offer(by, d, cmp.Compare[call.Direction])
	}
	if from.Raw != "" {
		l.From.offer(by, from, compareParties)
	}
	if to.Raw != "" {
		l.To.offer(by, to, compareParties)
	}
}

// mergeDetails merges everything else that an event may name.
func (l *Leg) mergeDetails(by precedence, e *call.Event) {
	offerText(&l.Account, by, e.Account)
	offerText(&l.ParentCallID, by, e.ParentCallID)
	offerText(&l.ConferenceID, by, e.ConferenceID)
	if e.TransferType != call.NoTransfer {
		l.TransferType.offer(by, e.TransferType, cmp.Compare[call.TransferType])
	}
	for i := range e.Attributes {
		addAttribute(&l.Attributes, by, e.Attributes[i])
	}
	if e.Recording.ID != "" {
		addRecording(&l.Recordings, by, &e.Recording)
	}
	for _, link := range e.Links {
		if link.Kind != call.LinkParent { // parentCallID says it
			l.Ties = addSorted(l.Ties, Tie{link.Kind, uint64(digest.OfText(link.Value))}, tiesMax, compareTies)
		}
	}
}

func offerText(p *Pick[string], by precedence, s string) {
	if s != "" {
		p.offer(by, s, strings.Compare)
	}
}

// mergeEnd merges an end, with the claims and the cause that come with it.
func (l *Leg) mergeEnd(e *call.Event) {
	if e.Ended.Known() {
		l.Earliest = Earlier(l.Earliest, e.Ended.At)
	}
	if e.Type == call.EventCallMissed {
		l.marks |= Missed
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
		l.Duration.offer(by, e.ProviderDuration.N, cmp.Compare[int64])
	}
	if e.ProviderTalk.Known {
		l.Talk.offer(by, e.ProviderTalk.N, cmp.Compare[int64])
	}
	l.mergeEnding(by, e.Ending)
	if e.Provider.Traits().HangsUpTwice && e.IDKind == call.IDSemantic && e.Type == call.EventCallEnded {
		addHangup(&l.hangups, hangup{e.Ended.At, e.Content})
	}
}

// endStanding orders ends by evidence: strongest first, then those without an
// instant, then misses, which end a call only if nobody answers it.
func endStanding(e *call.Event) standing {
	s := standing(e.Ended.Src)
	if !e.Ended.Known() {
		s = standing(call.EvidenceTimeout) + 1
	}
	if e.Type == call.EventCallMissed {
		s += standing(call.EvidenceTimeout) + 1
	}
	return s
}

// mergeEnding merges the group of fields that say why the leg ended.
func (l *Leg) mergeEnding(by precedence, group call.Ending) {
	if group == (call.Ending{}) {
		return
	}
	held := &l.cause
	if !held.Known() {
		held.by, held.Value = by, group
		return
	}
	// Any other end beats a miss, and any of the leg's own a copy's. That the party was
	// passed on beats the hang-up that follows from it. Then the richer group wins.
	c := cmp.Or(
		cmp.Compare(by.owner(), held.by.owner()), passedOn(held.Value)-passedOn(group),
		cmp.Compare(held.Value.Facts(), group.Facts()),
	)
	switch {
	case c < 0:
		held.by, held.Value = by, group
	case c == 0:
		held.offer(by, group, call.CompareEndings)
	}
}

// passedOn is 1 where a transfer ended the leg.
func passedOn(e call.Ending) int {
	if e.HangupCause == call.CauseTransferred {
		return 1
	}
	return 0
}

// copied is the standing of an end that another leg's copy tells.
const copied = standing(call.EvidenceSnapshot)

// owner orders ends by whose they are: the leg's own, a user's who missed the
// call, a copy's.
func (p precedence) owner() int {
	switch {
	case p.standing == copied:
		return 2
	case p.rank == call.EventCallMissed.Rank():
		return 1
	default:
		return 0
	}
}
