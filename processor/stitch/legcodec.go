package stitch

import (
	"encoding/binary"
	"slices"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// Visit visits the leg's form, all but the id: whatever holds a leg goes by it, and
// sets it before it reads. Equal folds have equal forms.
//
// The form travels with every change of a leg, so it is small: a first number
// says which parts follow, instants are differences to the earliest one, and
// precedences are references to the events of the timeline, which most are.
func (l *leg) Visit(c *codec.Codec) {
	s := l.shape()
	c.Int64((*int64)(&s))
	c.String(&l.tenant)
	l.provider.Visit(c)
	c.String(&l.callID)
	c.Int64(&l.earliest)
	l.visitMarks(c)
	l.visitInstants(c, s)
	l.visitMoments(c)
	l.visitPicks(c, s)
	l.visitSets(c, s)
	l.visitDeliveries(c, s)
}

// shape is which parts of a leg's form are there, from the low bits: the
// evidence of five instants in three bits each, whether each is to the
// millisecond, and the rare parts.
type shape int64

const (
	evidenceBits = 3
	precisionsAt = 5 * evidenceBits
	rarePartsAt  = precisionsAt + 5
)

const (
	hasScope      shape = 1 << (rarePartsAt + iota)
	hasConference       // conferenceID
	hasTransfer         // transferType
	hasClaims           // duration, talk
	hasCause
	hasAttributes
	hasRecordings
	hasTies
	hasHangups
	hasFaults // duplicates, late, outOfOrder
	hasQueue
)

func (l *leg) shape() (s shape) {
	for i, in := range l.instants() {
		s |= shape(in.Src) << (evidenceBits * i)
		if in.Precision == 1 {
			s |= 1 << (precisionsAt + i)
		}
	}
	part := func(bit shape, there bool) {
		if there {
			s |= bit
		}
	}
	part(hasScope, l.scope != "")
	part(hasConference, l.conferenceID.known())
	part(hasTransfer, l.transferType.known())
	part(hasClaims, l.duration.known() || l.talk.known())
	part(hasCause, l.cause.known())
	part(hasAttributes, len(l.attributes) > 0)
	part(hasRecordings, len(l.recordings) > 0)
	part(hasTies, len(l.ties) > 0)
	part(hasHangups, len(l.hangups) > 0)
	part(hasQueue, l.queued != 0)
	part(hasFaults, l.duplicates|l.late|l.outOfOrder != 0)
	return s
}

func (s shape) has(part shape) bool { return s&part != 0 }

func (l *leg) instants() [5]*call.Instant {
	return [...]*call.Instant{&l.started, &l.ringing, &l.answer, &l.hangup, &l.miss}
}

func (l *leg) visitMarks(c *codec.Codec) {
	m := int64(l.marks)
	c.Int64(&m)
	l.marks = marks(m)
	codec.Enum(c, &l.answeredBy, int(call.System)+1)
	l.flags.Visit(c)
}

func (l *leg) visitInstants(c *codec.Codec, s shape) {
	for i, in := range l.instants() {
		in.Src = call.Evidence(s >> (evidenceBits * i) & (1<<evidenceBits - 1))
		if in.Src > call.Timeout {
			c.Fail(codec.ErrCorrupt)
			return
		}
		if !in.Known() {
			continue
		}
		l.visitAt(c, &in.At)
		if s.has(1 << (precisionsAt + i)) {
			in.Precision = 1
		} else {
			c.Int32(&in.Precision)
		}
	}
	l.visitAt(c, &l.firstEvent)
	l.visitAt(c, &l.newest)
	l.visitAt(c, &l.alive)
	if s.has(hasQueue) {
		l.visitAt(c, &l.queued)
	}
}

// visitAt visits an instant as one more than its distance from the earliest; 0
// stays 0, which is not known.
func (l *leg) visitAt(c *codec.Codec, at *int64) {
	var d int64
	if *at != 0 {
		d = *at - l.earliest + 1
		if d <= 0 {
			d-- // 0 is taken
		}
	}
	c.Int64(&d)
	switch {
	case d == 0:
		*at = 0
	case d < 0:
		*at = l.earliest + d
	default:
		*at = l.earliest + d - 1
	}
}

func (l *leg) visitMoments(c *codec.Codec) {
	n := c.Len(len(l.moments))
	if n > momentsMax {
		c.Fail(codec.ErrCorrupt)
		return
	}
	if c.Reading && n > 0 {
		l.moments = make([]moment, n, min(n+2, momentsMax))
	}
	for i := range l.moments {
		l.visitMoment(c, &l.moments[i])
	}
}

// namesCallee is the bit of a moment's form that says that a callee follows;
// below it are the evidence and the callee's kind.
const namesCallee = 1 << 6

func (l *leg) visitMoment(c *codec.Codec, m *moment) {
	l.visitAt(c, &m.at)
	visitShortID(c, &m.id)
	m.typ.Visit(c)
	form := byte(m.src) | byte(m.kind)<<evidenceBits
	if m.callee != "" {
		form |= namesCallee
	}
	c.Byte(&form)
	m.src, m.kind = call.Evidence(form&7), call.PartyKind(form>>evidenceBits&7)
	if m.src > call.Timeout || m.kind > call.App {
		c.Fail(codec.ErrCorrupt)
	}
	if form&namesCallee != 0 {
		c.String(&m.callee)
	}
}

func visitShortID(c *codec.Codec, id *uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], *id)
	c.Raw(b[:])
	*id = binary.BigEndian.Uint32(b[:])
}

// dictionary holds the first precedences visited, which begin with those of
// the timeline's first events; a known one is written as its number.
type dictionary struct {
	leg  *leg
	keys [dictionarySize]precedence
	size int
}

// dictionarySize is more than a usual leg has; what does not fit is written in
// full. It is part of the form.
const dictionarySize = 16

func (d *dictionary) known() []precedence { return d.keys[:d.size] }

func (d *dictionary) learn(p precedence) {
	if d.size < dictionarySize {
		d.keys[d.size] = p
		d.size++
	}
}

func (d *dictionary) visit(c *codec.Codec, p *precedence) {
	// 0 is unsaid, then come the known ones, then a new one.
	var n int64
	if !c.Reading && p.standing != unsaid {
		n = int64(slices.Index(d.known(), *p)) + 1
		if n == 0 {
			n = int64(d.size) + 1
		}
	}
	c.Int64(&n)
	switch known := int64(d.size); {
	case n == 0:
		*p = precedence{}
	case n >= 1 && n <= known:
		*p = d.keys[n-1]
	case n == known+1:
		d.visitNew(c, p)
	default:
		c.Fail(codec.ErrCorrupt)
	}
}

func (d *dictionary) visitNew(c *codec.Codec, p *precedence) {
	c.Byte((*byte)(&p.standing))
	c.Byte(&p.rank)
	d.leg.visitAt(c, &p.at)
	visitShortID(c, &p.id)
	if p.standing == unsaid { // it would have been written as 0
		c.Fail(codec.ErrCorrupt)
	}
	d.learn(*p)
}

// visitPick visits a pick whose value is visited by value.
func visitPick[T any](c *codec.Codec, d *dictionary, p *pick[T], value func(*T, *codec.Codec)) {
	d.visit(c, &p.by)
	if p.known() {
		value(&p.value, c)
	}
}

func visitString(s *string, c *codec.Codec) { c.String(s) }

func visitInt64(n *int64, c *codec.Codec) { c.Int64(n) }

func (l *leg) visitPicks(c *codec.Codec, s shape) {
	d := &dictionary{leg: l}
	for i := range l.moments[:min(len(l.moments), dictionarySize/2)] {
		m := &l.moments[i]
		d.learn(precedence{at: m.at, id: m.id, standing: dated, rank: m.typ.Rank()})
	}
	visitPick(c, d, &l.direction, (*call.Direction).Visit)
	visitPick(c, d, &l.from, (*call.Party).Visit)
	visitPick(c, d, &l.to, (*call.Party).Visit)
	visitPick(c, d, &l.account, visitString)
	visitPick(c, d, &l.parentCallID, visitString)
	if s.has(hasConference) {
		visitPick(c, d, &l.conferenceID, visitString)
	}
	if s.has(hasTransfer) {
		visitPick(c, d, &l.transferType, (*call.TransferType).Visit)
	}
	if s.has(hasClaims) {
		visitPick(c, d, &l.duration, visitInt64)
		visitPick(c, d, &l.talk, visitInt64)
	}
	if s.has(hasCause) {
		visitPick(c, d, &l.cause, (*call.Ending).Visit)
	}
	if s.has(hasAttributes) {
		codec.List(c, &l.attributes, d.visitAttribute)
	}
	if s.has(hasRecordings) {
		codec.List(c, &l.recordings, d.visitRecording)
	}
}

func (d *dictionary) visitAttribute(a *attribute, c *codec.Codec) {
	c.String(&a.key)
	visitPick(c, d, &a.value, visitString)
}

func (d *dictionary) visitRecording(r *recording, c *codec.Codec) {
	c.String(&r.id)
	codec.Enum(c, &r.status, int(call.RecordingIsAvailable)+1)
	c.Bool(&r.transcribed)
	d.leg.visitAt(c, &r.startedAt)
	d.leg.visitAt(c, &r.availableAt)
	r.durationMS.Visit(c)
	r.channels.Visit(c)
	visitPick(c, d, &r.url, visitString)
	visitPick(c, d, &r.format, visitString)
}

func (l *leg) visitSets(c *codec.Codec, s shape) {
	if s.has(hasTies) {
		codec.List(c, &l.ties, func(t *tie, c *codec.Codec) {
			codec.Enum(c, &t.kind, int(call.SameID)+1)
			c.Uint64(&t.hash)
		})
	}
	if s.has(hasHangups) {
		codec.List(c, &l.hangups, func(h *hangup, c *codec.Codec) {
			l.visitAt(c, &h.at)
			c.Uint64(&h.content)
		})
	}
}

func (l *leg) visitDeliveries(c *codec.Codec, s shape) {
	if s.has(hasScope) {
		c.String(&l.scope)
	}
	l.visitAt(c, &l.arrival)
	c.Int32(&l.events)
	if s.has(hasFaults) {
		c.Int32(&l.duplicates)
		c.Int32(&l.late)
		c.Int32(&l.outOfOrder)
	}
	if l.events == 0 {
		return
	}
	l.visitPosition(c, &l.firstSource)
	// Most legs come from one topic, whose name is written once.
	topic := l.lastSource.source.Topic
	if topic == l.firstSource.source.Topic {
		l.lastSource.source.Topic = ""
	}
	l.visitPosition(c, &l.lastSource)
	switch {
	case !c.Reading:
		l.lastSource.source.Topic = topic
	case l.lastSource.source.Topic == "":
		l.lastSource.source.Topic = l.firstSource.source.Topic
	}
}

func (l *leg) visitPosition(c *codec.Codec, p *position) {
	c.String(&p.source.Topic)
	c.Int32(&p.source.Partition)
	c.Int64(&p.source.Offset)
	l.visitAt(c, &p.ingestedAt)
}
