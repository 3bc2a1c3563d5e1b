package stitch

import (
	"encoding/binary"
	"slices"

	"callstitch/processor/call"
)

// codec visits the leg's binary form, both ways, all but the id: whatever holds a
// leg goes by it, and sets it before it reads. Equal folds have equal forms.
//
// The form travels with every change of a leg, so it is small: a first number
// says which parts follow, instants are differences to the earliest one, and
// precedences are references to the events of the timeline, which most are.
func (l *leg) codec(c *call.Codec) {
	s := l.shape()
	c.Int64((*int64)(&s))
	c.String(&l.tenant)
	c.Provider(&l.provider)
	c.String(&l.callID)
	c.Int64(&l.earliest)
	l.codecMarks(c)
	l.codecInstants(c, s)
	l.codecMoments(c)
	l.codecPicks(c, s)
	l.codecSets(c, s)
	l.codecDeliveries(c, s)
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

func (l *leg) codecMarks(c *call.Codec) {
	m := int64(l.marks)
	c.Int64(&m)
	l.marks = marks(m)
	call.Enum(c, &l.answeredBy, int(call.System)+1)
	c.Flags(&l.flags)
}

func (l *leg) codecInstants(c *call.Codec, s shape) {
	for i, in := range l.instants() {
		in.Src = call.Evidence(s >> (evidenceBits * i) & (1<<evidenceBits - 1))
		if in.Src > call.Timeout {
			corrupt(c)
			return
		}
		if !in.Known() {
			continue
		}
		l.codecAt(c, &in.At)
		if s.has(1 << (precisionsAt + i)) {
			in.Precision = 1
		} else {
			c.Int32(&in.Precision)
		}
	}
	l.codecAt(c, &l.firstEvent)
	l.codecAt(c, &l.newest)
	l.codecAt(c, &l.alive)
	if s.has(hasQueue) {
		l.codecAt(c, &l.queued)
	}
}

// codecAt visits an instant as one more than its distance from the earliest; 0
// stays 0, which is not known.
func (l *leg) codecAt(c *call.Codec, at *int64) {
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

func (l *leg) codecMoments(c *call.Codec) {
	n := c.Len(len(l.moments))
	if n > momentsMax {
		corrupt(c)
		return
	}
	if c.Reading && n > 0 {
		l.moments = make([]moment, n, min(n+2, momentsMax))
	}
	for i := range l.moments {
		l.codecMoment(c, &l.moments[i])
	}
}

// namesCallee is the bit of a moment's form that says that a callee follows;
// below it are the evidence and the callee's kind.
const namesCallee = 1 << 6

func (l *leg) codecMoment(c *call.Codec, m *moment) {
	l.codecAt(c, &m.at)
	codecShortID(c, &m.id)
	c.EventType(&m.typ)
	form := byte(m.src) | byte(m.kind)<<evidenceBits
	if m.callee != "" {
		form |= namesCallee
	}
	c.Byte(&form)
	m.src, m.kind = call.Evidence(form&7), call.PartyKind(form>>evidenceBits&7)
	if m.src > call.Timeout || m.kind > call.App {
		corrupt(c)
	}
	if form&namesCallee != 0 {
		c.String(&m.callee)
	}
}

func codecShortID(c *call.Codec, id *uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], *id)
	c.Raw(b[:])
	*id = binary.BigEndian.Uint32(b[:])
}

// corrupt makes every further read fail.
func corrupt(c *call.Codec) {
	if c.Reading {
		c.Err, c.Buf = call.ErrCorrupt, nil
	}
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

func (d *dictionary) codec(c *call.Codec, p *precedence) {
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
		d.codecNew(c, p)
	default:
		corrupt(c)
	}
}

func (d *dictionary) codecNew(c *call.Codec, p *precedence) {
	c.Byte((*byte)(&p.standing))
	c.Byte(&p.rank)
	d.leg.codecAt(c, &p.at)
	codecShortID(c, &p.id)
	if p.standing == unsaid { // it would have been written as 0
		corrupt(c)
	}
	d.learn(*p)
}

// codecPick visits a pick whose value is visited by value.
func codecPick[T any](c *call.Codec, d *dictionary, p *pick[T], value func(*call.Codec, *T)) {
	d.codec(c, &p.by)
	if p.known() {
		value(c, &p.value)
	}
}

func (l *leg) codecPicks(c *call.Codec, s shape) {
	d := &dictionary{leg: l}
	for i := range l.moments[:min(len(l.moments), dictionarySize/2)] {
		m := &l.moments[i]
		d.learn(precedence{at: m.at, id: m.id, standing: dated, rank: rankOf(m.typ)})
	}
	codecPick(c, d, &l.direction, (*call.Codec).Direction)
	codecPick(c, d, &l.from, (*call.Codec).Party)
	codecPick(c, d, &l.to, (*call.Codec).Party)
	codecPick(c, d, &l.account, (*call.Codec).String)
	codecPick(c, d, &l.parentCallID, (*call.Codec).String)
	if s.has(hasConference) {
		codecPick(c, d, &l.conferenceID, (*call.Codec).String)
	}
	if s.has(hasTransfer) {
		codecPick(c, d, &l.transferType, (*call.Codec).TransferType)
	}
	if s.has(hasClaims) {
		codecPick(c, d, &l.duration, (*call.Codec).Int64)
		codecPick(c, d, &l.talk, (*call.Codec).Int64)
	}
	if s.has(hasCause) {
		codecPick(c, d, &l.cause, (*call.Codec).Ending)
	}
	if s.has(hasAttributes) {
		call.List(c, &l.attributes, d.codecAttribute)
	}
	if s.has(hasRecordings) {
		call.List(c, &l.recordings, d.codecRecording)
	}
}

func (d *dictionary) codecAttribute(c *call.Codec, a *attribute) {
	c.String(&a.key)
	codecPick(c, d, &a.value, (*call.Codec).String)
}

func (d *dictionary) codecRecording(c *call.Codec, r *recording) {
	c.String(&r.id)
	call.Enum(c, &r.status, int(call.RecordingIsAvailable)+1)
	c.Bool(&r.transcribed)
	d.leg.codecAt(c, &r.startedAt)
	d.leg.codecAt(c, &r.availableAt)
	c.Maybe(&r.durationMS)
	c.Maybe(&r.channels)
	codecPick(c, d, &r.url, (*call.Codec).String)
	codecPick(c, d, &r.format, (*call.Codec).String)
}

func (l *leg) codecSets(c *call.Codec, s shape) {
	if s.has(hasTies) {
		call.List(c, &l.ties, func(c *call.Codec, t *tie) {
			call.Enum(c, &t.kind, int(call.SameID)+1)
			c.Uint64(&t.hash)
		})
	}
	if s.has(hasHangups) {
		call.List(c, &l.hangups, func(c *call.Codec, h *hangup) {
			l.codecAt(c, &h.at)
			c.Uint64(&h.content)
		})
	}
}

func (l *leg) codecDeliveries(c *call.Codec, s shape) {
	if s.has(hasScope) {
		c.String(&l.scope)
	}
	l.codecAt(c, &l.arrival)
	c.Int32(&l.events)
	if s.has(hasFaults) {
		c.Int32(&l.duplicates)
		c.Int32(&l.late)
		c.Int32(&l.outOfOrder)
	}
	if l.events == 0 {
		return
	}
	l.codecPosition(c, &l.firstSource)
	// Most legs come from one topic, whose name is written once.
	topic := l.lastSource.source.Topic
	if topic == l.firstSource.source.Topic {
		l.lastSource.source.Topic = ""
	}
	l.codecPosition(c, &l.lastSource)
	switch {
	case !c.Reading:
		l.lastSource.source.Topic = topic
	case l.lastSource.source.Topic == "":
		l.lastSource.source.Topic = l.firstSource.source.Topic
	}
}

func (l *leg) codecPosition(c *call.Codec, p *position) {
	c.String(&p.source.Topic)
	c.Int32(&p.source.Partition)
	c.Int64(&p.source.Offset)
	l.codecAt(c, &p.ingestedAt)
}
