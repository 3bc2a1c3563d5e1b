package stitch

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strings"

	"callstitch/processor/call"
)

// Limits of one session record: beyond them a record grows past what sinks
// take, and the topics of events and legs hold the rest.
const (
	legsMax     = 64
	timelineMax = 256
)

// durationToleranceMS is how far a provider's own duration may be from ours
// before it is remarked on: providers round up to whole seconds, and stamp the
// end of a leg up to a second after it.
const durationToleranceMS = 2000

// peer is a leg as its session sees it.
type peer struct {
	*leg
	dialect   *dialect
	start     int64        // for order; math.MaxInt64 where not known
	end       call.Instant // absent where not known
	agent     call.Instant // when an agent answered after the platform had
	takenOver call.Instant // when a transfer connected a person to it
	parent    int          // -1 where its parent is not among the peers
	role      call.Role
	platform  bool // an answer on it is the platform's own
	person    bool // a called person answered it
	consult   bool // one party asks another about the caller
	left      bool // a transfer ended it
	passedOn  bool // its caller goes on elsewhere
}

// child says whether the leg names a parent: it is a dial of another leg.
func (m *peer) child() bool { return m.parentCallID.known() }

// joined is when the one who answered was connected.
func (m *peer) joined() call.Instant {
	switch {
	case m.agent.Known():
		return m.agent
	case m.answer.Known():
		return m.answer
	default:
		return m.takenOver
	}
}

// picture is a session's peers and what follows from them together.
type picture struct {
	peers     []peer // by start, then id
	origin    int
	transfers []transfer
	final     bool
	over      bool // every leg ended, and nothing more is expected
	open      bool // more may come
	flags     call.Flags

	anyPerson, childAnswered bool
}

// compose makes the session's record from its legs, in any order: everything
// but state, revision, change reason and merges. dropped is the number of legs
// that the root could not keep. The close reason is set only where final.
func compose(_ Config, id call.LegID, legs []*leg, dropped int, final bool) *call.Session {
	var buf [4]peer
	p := picture{peers: buf[:0], final: final}
	p.look(legs)
	s := &call.Session{ID: id, LegCount: int32(len(legs) + dropped)}
	if len(p.peers) == 0 {
		return s
	}
	p.identify(s)
	p.time(s)
	p.conclude(s)
	p.measure(s)
	p.count(s)
	p.list(s, dropped)
	s.Flags |= p.flags
	return s
}

// due is when, in arrival time, the session of these legs is FINAL.
func due(cfg Config, legs []*leg) int64 {
	at, last := int64(math.MinInt64), int64(math.MinInt64)
	for _, l := range legs {
		at = max(at, l.holdsUntil(cfg))
		last = max(last, l.arrival)
	}
	if pending(legs) {
		at = max(at, after(last, cfg.AnsweredTimeout))
	}
	return at
}

// pending says whether a leg hung up twice, which tells of a transfer, and the
// leg that goes on after it was not seen to end.
func pending(legs []*leg) bool {
	for _, l := range legs {
		if at, twice := l.twiceHungUp(); twice && !outlived(l, at, legs) {
			return true
		}
	}
	return false
}

// outlived says whether another leg than l has ended that can be the one that
// goes on: it started later, or ended later than l's second hang-up, or there
// are two others, the one passed on and the one it was passed to. The leg that
// the consulting party left ends with l; its end may only be heard later.
func outlived(l *leg, second int64, legs []*leg) bool {
	others := 0
	for _, x := range legs {
		if x == l || !x.ended() {
			continue
		}
		others++
		later := x.started.Known() && l.started.Known() && x.started.At > l.started.At ||
			second != 0 && x.end().Known() && x.end().At > second && !leftBy(x, l)
		if later || others == 2 {
			return true
		}
	}
	return false
}

// leftBy says whether x is a call of the party who made the consultation l, and
// not with the one consulted: the call that was passed on.
func leftBy(x, l *leg) bool {
	party := func(p call.Party) bool { return sameParty(x.from.value, p) || sameParty(x.to.value, p) }
	return party(l.from.value) && !party(l.to.value)
}

// look fills the picture.
func (p *picture) look(legs []*leg) {
	allEnded := true
	for _, l := range legs {
		p.peers = append(p.peers, newPeer(l))
		allEnded = allEnded && l.ended()
	}
	p.over = allEnded && !pending(legs)
	p.open = !p.over && !p.final
	if len(p.peers) == 0 {
		return
	}
	slices.SortFunc(p.peers, comparePeers)
	p.findParents()
	p.findConsultations()
	p.findOrigin()
	p.findTransfers()
	p.apply()
	for i := range p.peers {
		m := &p.peers[i]
		p.anyPerson = p.anyPerson || m.person
		p.childAnswered = p.childAnswered || m.person && m.child()
	}
}

// newPeer says what is known of a leg without looking at the others.
func newPeer(l *leg) peer {
	m := peer{leg: l, dialect: &dialects[l.provider], start: math.MaxInt64, end: l.end(), parent: -1, role: call.Destination}
	if l.started.Known() {
		m.start = l.started.At
	}
	inbound := l.direction.value == call.Inbound && !m.child()
	m.platform = l.marks&platformTook != 0 || inbound && m.dialect.answersInbound
	if m.platform {
		m.agent = l.agentAnswer()
	}
	m.person = m.agent.Known() || l.answered() && !l.deniesTalk() && (l.answeredBy == call.Human ||
		!m.platform && l.answeredBy != call.Machine && l.answeredBy != call.System)
	return m
}

// claimedNoneMS is how long talk may be that a provider claims as none: it counts
// whole seconds, and its hosts differ by some 200 ms.
const claimedNoneMS = 1200

// deniesTalk says whether the provider claims that nobody talked, and why the
// called party could not be reached. An answer before that was of somebody
// else, such as an agent who is rung before the customer is called.
func (l *leg) deniesTalk() bool {
	if !l.talk.known() || l.talk.value != 0 {
		return false
	}
	switch l.why().HangupCause {
	case call.CauseCanceled:
		return l.end().Known() && l.answer.Known() && l.end().At-l.answer.At >= claimedNoneMS
	case call.NoCause, call.CauseNormal, call.CauseTransferred, call.CauseUnknown:
		return false
	default:
		return true
	}
}

// agentAnswer is when an agent answered a call that the platform had answered
// before: the callee is a user, and not the one whom the caller had called.
func (l *leg) agentAnswer() call.Instant {
	for i := range l.moments {
		e := &l.moments[i]
		if e.typ == call.CallAnswered && e.kind == call.User && e.callee != l.to.value.Raw {
			return call.Instant{At: e.at, Src: e.src, Precision: 1}
		}
	}
	return call.Instant{}
}

func comparePeers(a, b peer) int {
	if c := cmp.Compare(a.start, b.start); c != 0 {
		return c
	}
	return bytes.Compare(a.id[:], b.id[:])
}

// findParents finds each peer's parent; most share one.
func (p *picture) findParents() {
	last := 0
	for i := range p.peers {
		m := &p.peers[i]
		if !m.child() {
			continue
		}
		name := m.parentCallID.value
		if p.peers[last].callID != name {
			last = max(0, slices.IndexFunc(p.peers, func(o peer) bool { return o.callID == name }))
		}
		if last != i && p.peers[last].callID == name {
			m.parent = last
		}
	}
}

// findOrigin takes the first peer that no other one made and that was no
// consultation.
func (p *picture) findOrigin() {
	best := -1
	for i := range p.peers {
		if p.peers[i].parent >= 0 {
			continue
		}
		if best < 0 || p.peers[best].consult && !p.peers[i].consult {
			best = i
		}
	}
	p.origin = max(0, best) // parents in a circle: damaged, but not fatal
	p.peers[p.origin].role = call.Origin
}

// identify says who called whom.
func (p *picture) identify(s *call.Session) {
	o := &p.peers[p.origin]
	s.Tenant, s.Provider = o.tenant, o.provider
	s.Direction, s.From, s.To = o.direction.value, o.from.value, o.to.value
	s.Account, s.ConferenceID = o.account.value, o.conferenceID.value
	for i := range p.peers {
		m := &p.peers[i]
		if s.Tenant == "" { // the origin is known only from a copy
			s.Tenant, s.Provider = m.tenant, m.provider
		}
		s.Account = cmp.Or(s.Account, m.account.value)
		s.ConferenceID = cmp.Or(s.ConferenceID, m.conferenceID.value)
	}
}

// time fills the session's instants. Instants of different legs are different
// facts, so among them the earlier one counts, not the better proven.
func (p *picture) time(s *call.Session) {
	s.Started = p.peers[p.origin].started
	var called, ended call.Instant
	for i := range p.peers {
		m := &p.peers[i]
		if !p.peers[p.origin].started.Known() {
			s.Started = call.Earliest(s.Started, m.started)
		}
		if !m.platform && m.role != call.Consult {
			called = sooner(called, m.ringing)
		}
		if m.platform && m.answered() && (!m.person || m.agent.Known()) {
			s.PlatformAnswered = sooner(s.PlatformAnswered, m.answer)
		}
		if m.end.Known() && (!ended.Known() || m.end.At > ended.At) {
			ended = m.end
		}
	}
	s.Ringing = called
	if !called.Known() && len(p.peers) == 1 {
		s.Ringing = p.peers[0].ringing
	}
	first := p.firstAnswered()
	if first >= 0 {
		s.Answered = p.peers[first].joined()
	}
	s.AnsweredBy = p.answerer(first)
	switch {
	case p.over:
		s.Ended = ended
	case p.final:
		s.Ended = p.lastAlive()
	}
}

// firstAnswered is the leg that a called person answered first, a consultation
// only where nothing else was answered; -1 for none.
func (p *picture) firstAnswered() int {
	best := -1
	for i := range p.peers {
		m := &p.peers[i]
		if m.person && (best < 0 || m.answeredBefore(&p.peers[best])) {
			best = i
		}
	}
	return best
}

// answeredBefore puts consultations last, and before them the legs to which a
// transfer connected a person: whoever passed the call on had answered it.
func (m *peer) answeredBefore(o *peer) bool {
	if m.consult != o.consult {
		return o.consult
	}
	if a, b := m.answered(), o.answered(); a != b {
		return a
	}
	a, b := m.joined(), o.joined()
	return a != b && sooner(b, a) == a
}

// sooner is the earlier of two instants, whatever their evidence.
func sooner(a, b call.Instant) call.Instant {
	if !a.Known() || b.Known() && (b.At < a.At || b.At == a.At && b.Before(a)) {
		return b
	}
	return a
}

// lastAlive is the lower bound of an end that was lost.
func (p *picture) lastAlive() call.Instant {
	var at int64
	for i := range p.peers {
		m := &p.peers[i]
		second, _ := m.twiceHungUp()
		at = max(at, m.lastAlive(), second)
	}
	return timedOut(at)
}

func timedOut(at int64) call.Instant {
	if at == 0 {
		return call.Instant{}
	}
	return call.Instant{At: at, Src: call.Timeout, Precision: 1}
}

// conclude says how the call went, why it ended, and what of it was not seen.
func (p *picture) conclude(s *call.Session) {
	var explains int
	s.Disposition, explains = p.outcome()
	if explains >= 0 && p.peers[explains].ended() {
		why := p.peers[explains].why()
		s.HangupParty, s.HangupCause = why.HangupParty, why.HangupCause
		s.Q850, s.SIPStatus, s.ProviderCause = why.Q850, why.SIPStatus, why.ProviderCause
	}
	if p.final {
		s.CloseReason = call.ClosedNormal
		if !p.over {
			s.CloseReason, s.EndLost = call.ClosedTimeout, true
		}
	}
	// A leg that names a parent began as somebody's dial: the call's start is its
	// parent's, of which nothing is known.
	s.StartLost = p.peers[p.origin].startLost() || p.peers[p.origin].child()
	for i := range p.peers {
		s.InterimLost = s.InterimLost || p.peers[i].interimLost()
	}
	s.Complete = p.over && !s.StartLost && !s.InterimLost &&
		!slices.ContainsFunc(p.peers, func(m peer) bool { return m.mayHaveTalked() && !(p.anyPerson && m.platform) })
	p.flags |= inferred(s.Started, s.Answered, s.Ended)
}

// startLost says whether the leg's set-up was not seen: its start is missing,
// computed, or known only from another leg's copy.
func (l *leg) startLost() bool {
	switch l.started.Src {
	case call.Reported, call.EventTime, call.Ingest:
		return false
	default:
		return l.marks&initiated == 0
	}
}

// interimLost says whether the leg was answered and the answer was not seen: it
// is missing, computed, or known only from another leg's copy.
func (l *leg) interimLost() bool {
	switch l.answer.Src {
	case call.Reported, call.EventTime, call.Ingest:
		return false
	default:
		return l.answered() && l.marks&answerTold == 0
	}
}

// inferred is the flag for instants that no provider stated.
func inferred(instants ...call.Instant) call.Flags {
	for _, i := range instants {
		if i.Src >= call.Snapshot {
			return call.TimesInferred
		}
	}
	return 0
}

// measure fills the durations. What needs an end that was lost is null.
func (p *picture) measure(s *call.Session) {
	s.RingMS = p.ring(s)
	s.TalkMS = p.talk()
	s.HoldMS = p.hold()
	s.QueueMS = p.queue()
	if p.over {
		s.TotalMS = between(s.Started, s.Ended, &p.flags)
	}
	sum := call.Some(0)
	for i := range p.peers {
		t := p.peers[i].legTalk(&p.flags)
		sum.N += t.N
		sum.Known = sum.Known && t.Known
	}
	if sum.Known {
		s.LegTalkMSSum = sum
	}
	if o := &p.peers[p.origin]; o.duration.known() { // a dial's claim is not the call's
		s.ProviderDuration = call.Some(o.duration.value)
		s.DurationMismatchMS = o.mismatch(&p.flags)
	}
}

// ring is the time from the first ringing to the first answer, or to the end of
// the last leg that was called.
func (p *picture) ring(s *call.Session) call.Int {
	if p.anyPerson {
		return between(s.Ringing, s.Answered, &p.flags)
	}
	if len(p.peers) == 1 && s.PlatformAnswered.Known() {
		return between(s.Ringing, s.PlatformAnswered, &p.flags)
	}
	if !p.over {
		return call.Int{}
	}
	var end call.Instant
	for i := range p.peers {
		m := &p.peers[i]
		if (!m.platform || len(p.peers) == 1) && m.end.Known() && m.end.At >= end.At {
			end = m.end
		}
	}
	return between(s.Ringing, end, &p.flags)
}

// mismatch is the leg's time from start to end minus the provider's claim.
func (m *peer) mismatch(flags *call.Flags) call.Int {
	var total call.Int
	if m.ended() {
		total = between(m.started, m.end, flags)
	}
	if !total.Known || !m.duration.known() {
		return call.Int{}
	}
	d := total.N - m.duration.value*1000
	if d > durationToleranceMS || d < -durationToleranceMS {
		*flags |= call.DurationMismatch
	}
	return call.Some(d)
}

// count fills the numbers and the span of the evidence.
func (p *picture) count(s *call.Session) {
	var first, last *leg
	for i := range p.peers {
		m := &p.peers[i]
		s.EventCount += m.events
		s.DuplicateCount += m.duplicates
		s.LateEventCount += m.late
		s.OutOfOrderCount += m.outOfOrder
		s.Flags |= m.flags | m.skew()
		if m.answered() || m.person {
			s.AnsweredLegCount++
		}
		s.FirstEventAt = smallest(s.FirstEventAt, m.firstEvent)
		s.LastEventAt = max(s.LastEventAt, m.lastEvent())
		if m.events == 0 {
			continue
		}
		if first == nil || m.firstSource.compare(first.firstSource) < 0 {
			first = m.leg
		}
		if last == nil || m.lastSource.compare(last.lastSource) > 0 {
			last = m.leg
		}
	}
	if first != nil {
		span := [2]call.Source{first.firstSource.source, last.lastSource.source}
		s.FirstSource, s.LastSource = &span[0], &span[1]
	}
	s.Flags |= arrivalRemarks(s.LateEventCount, s.OutOfOrderCount)
	s.ParticipantCount = p.participants()
	s.CorrelationMethods = p.methods()
	if p.weak(s.CorrelationMethods) {
		s.Flags |= call.CorrelationWeak
	}
}

func arrivalRemarks(late, outOfOrder int32) (f call.Flags) {
	if late > 0 {
		f |= call.LateEvents
	}
	if outOfOrder > 0 {
		f |= call.OutOfOrder
	}
	return f
}

// participants is the number of different parties: the caller, and whoever
// answered. A number with and without its plus is one party.
func (p *picture) participants() int32 {
	var buf [8]string
	names := buf[:0]
	add := func(raw string) {
		if raw = strings.TrimPrefix(raw, "+"); raw != "" {
			names = append(names, raw)
		}
	}
	add(p.peers[p.origin].from.value.Raw)
	for i := range p.peers {
		m := &p.peers[i]
		if !m.person {
			continue
		}
		agents := len(names)
		for k := range m.moments {
			if m.moments[k].typ == call.CallAnswered {
				add(m.moments[k].callee)
			}
		}
		if len(names) == agents { // no agents are named: the leg has one callee
			add(m.to.value.Raw)
		}
	}
	slices.Sort(names)
	return int32(len(slices.Compact(names)))
}

// methods is how the legs were joined, sorted by word.
func (p *picture) methods() []call.LinkKind {
	var methods []call.LinkKind
	for _, kind := range [...]call.LinkKind{call.Flow, call.Parent, call.SameID, call.Tag} {
		if p.joinedBy(kind) {
			methods = append(methods, kind)
		}
	}
	return methods
}

func (p *picture) joinedBy(kind call.LinkKind) bool {
	switch kind {
	case call.SameID:
		return p.peers[p.origin].provider.Traits().OneCallID
	case call.Parent:
		return slices.ContainsFunc(p.peers, func(m peer) bool { return m.parent >= 0 })
	default:
		return p.sharesTie(kind)
	}
}

// sharesTie says whether two peers name the same value of the kind.
func (p *picture) sharesTie(kind call.LinkKind) bool {
	if len(p.peers) < 2 {
		return false
	}
	var seen []uint64
	for i := range p.peers {
		mine := len(seen)
		for _, t := range p.peers[i].ties {
			if t.kind != kind {
				continue
			}
			if slices.Contains(seen[:mine], t.hash) {
				return true
			}
			seen = append(seen, t.hash)
		}
	}
	return false
}

// list fills the arrays.
func (p *picture) list(s *call.Session, dropped int) {
	shown := p.peers[:min(len(p.peers), legsMax)]
	if dropped > 0 || len(shown) < len(p.peers) {
		s.LegsTruncated = true
		p.flags |= call.LegsTruncated
	}
	p.listLegs(s, shown)
	p.recordTransfers(s)
	listTimeline(s, shown)
	s.TimelineTruncated = s.TimelineTruncated || s.LegsTruncated
	listRecordings(s, shown)
	s.Attributes = p.attributes(shown)
}

func (p *picture) listLegs(s *call.Session, shown []peer) {
	s.Legs = make([]call.LegSummary, len(shown))
	for i := range shown {
		m := &shown[i]
		s.Legs[i] = call.LegSummary{
			ID: m.id, Role: m.role, CallID: m.callID, FromE164: m.from.value.E164, ToE164: m.to.value.E164,
			Started: m.started, Answered: m.answer, Ended: m.end,
			Disposition: p.disposition(m, s.Disposition), HangupCause: m.cause(),
		}
		if p.final && !m.ended() {
			s.Legs[i].Ended = timedOut(m.lastAlive())
		}
	}
	for i := range shown {
		switch m := &shown[i]; {
		case m.parent >= 0 && m.parent < len(shown):
			s.Legs[i].ParentLeg = &s.Legs[m.parent].ID
		case m.child():
			s.Legs[i].ParentLeg = m.parentLeg()
		}
	}
}

// cause is why the leg ended. One that a transfer ended without a word of the
// provider's was transferred.
func (m *peer) cause() call.HangupCause {
	if cause := m.why().HangupCause; cause != call.NoCause || !m.passedOn || !m.ended() {
		return cause
	}
	return call.CauseTransferred
}

// parentLeg is the id of the leg that this one names as its parent.
func (l *leg) parentLeg() *call.LegID {
	if !l.parentCallID.known() {
		return nil
	}
	id := call.NewLegID(l.tenant, l.provider, l.scope, l.parentCallID.value)
	return &id
}

func listTimeline(s *call.Session, shown []peer) {
	n := 0
	for i := range shown {
		n += len(shown[i].moments)
		s.TimelineTruncated = s.TimelineTruncated || shown[i].marks&momentsCut != 0
	}
	if n == 0 {
		return
	}
	s.Timeline = make([]call.Moment, 0, n)
	for i := range shown {
		for k := range shown[i].moments {
			e := &shown[i].moments[k]
			s.Timeline = append(s.Timeline, call.Moment{At: e.at, Type: e.typ, Leg: shown[i].id, Src: e.src})
		}
	}
	slices.SortFunc(s.Timeline, compareTimeline)
	if n > timelineMax {
		s.Timeline, s.TimelineTruncated = s.Timeline[:timelineMax], true
	}
}

func compareTimeline(a, b call.Moment) int {
	if c := cmp.Compare(a.At, b.At); c != 0 {
		return c
	}
	if c := cmp.Compare(rankOf(a.Type), rankOf(b.Type)); c != 0 {
		return c
	}
	if c := bytes.Compare(a.Leg[:], b.Leg[:]); c != 0 {
		return c
	}
	return cmp.Compare(a.Src, b.Src)
}

// listRecordings lists each recording once; where two legs tell of it, as the
// one that knows it in the later state.
func listRecordings(s *call.Session, shown []peer) {
	for i := range shown {
		for k := range shown[i].recordings {
			r := &shown[i].recordings[k]
			s.Recordings = append(s.Recordings, call.Recording{
				ID: r.id, Leg: shown[i].id, Status: r.status, StartedAt: r.startedAt,
				DurationMS: r.durationMS, URL: r.url.value, Transcribed: r.transcribed,
				Channels: r.channels, Format: r.format.value, AvailableAt: r.availableAt,
			})
		}
	}
	slices.SortFunc(s.Recordings, func(a, b call.Recording) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), cmp.Compare(b.Status, a.Status), bytes.Compare(a.Leg[:], b.Leg[:]))
	})
	s.Recordings = slices.CompactFunc(s.Recordings, func(a, b call.Recording) bool { return a.ID == b.ID })
}

// attributes are the origin's, then what the other legs add, sorted by key.
func (p *picture) attributes(shown []peer) []call.Attribute {
	all := p.peers[p.origin].extras()
	for i := range shown {
		if i == p.origin {
			continue
		}
		for _, a := range shown[i].attributes {
			k, found := slices.BinarySearchFunc(all, a.key, func(o call.Attribute, key string) int { return strings.Compare(o.Key, key) })
			if !found && len(all) < attributesMax {
				all = slices.Insert(all, k, call.Attribute{Key: a.key, Value: a.value.value})
			}
		}
	}
	return all
}

// extras are the leg's attributes in the form of records, sorted by key.
func (l *leg) extras() []call.Attribute {
	if len(l.attributes) == 0 {
		return nil
	}
	all := make([]call.Attribute, len(l.attributes))
	for i, a := range l.attributes {
		all[i] = call.Attribute{Key: a.key, Value: a.value.value}
	}
	return all
}
