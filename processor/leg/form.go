package leg

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
func (l *Leg) Visit(c *codec.Codec) {
	s := l.shape()
	c.Int64((*int64)(&s))
	c.String(&l.Tenant)
	l.Provider.Visit(c)
	c.String(&l.CallID)
	l.Earliest.Visit(c)
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

func (l *Leg) shape() (s shape) {
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
	part(hasConference, l.ConferenceID.Known())
	part(hasTransfer, l.TransferType.Known())
	part(hasClaims, l.Duration.Known() || l.Talk.Known())
	part(hasCause, l.cause.Known())
	part(hasAttributes, len(l.Attributes) > 0)
	part(hasRecordings, len(l.Recordings) > 0)
	part(hasTies, len(l.Ties) > 0)
	part(hasHangups, len(l.hangups) > 0)
	part(hasQueue, l.Queued.Known())
	part(hasFaults, l.Duplicates|l.Late|l.OutOfOrder != 0)
	return s
}

func (s shape) has(part shape) bool { return s&part != 0 }

func (l *Leg) instants() [5]*call.Instant {
	return [...]*call.Instant{&l.started, &l.ringing, &l.answer, &l.hangup, &l.miss}
}

func (l *Leg) visitMarks(c *codec.Codec) {
	m := int64(l.marks)
	c.Int64(&m)
	l.marks = Marks(m)
	codec.Enum(c, &l.AnsweredBy, int(call.AnswererSystem)+1)
	l.Flags.Visit(c)
}

func (l *Leg) visitInstants(c *codec.Codec, s shape) {
	for i, in := range l.instants() {
		in.Src = call.Evidence(s >> (evidenceBits * i) & (1<<evidenceBits - 1))
		if in.Src > call.EvidenceTimeout {
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
	l.visitAt(c, &l.FirstEvent)
	l.visitAt(c, &l.newest)
	l.visitAt(c, &l.alive)
	if s.has(hasQueue) {
		l.visitAt(c, &l.Queued)
	}
}

// visitAt visits an instant as one more than its distance from the earliest; 0
// stays 0, which is not known.
func (l *Leg) visitAt(c *codec.Codec, at *call.Time) {
	var d int64
	if at.Known() {
		d = int64(*at-l.Earliest) + 1
		if d <= 0 {
			d-- // 0 is taken
		}
	}
	c.Int64(&d)
	switch {
	case d == 0:
		*at = 0
	case d < 0:
		*at = l.Earliest + call.Time(d)
	default:
		*at = l.Earliest + call.Time(d) - 1
	}
}

func (l *Leg) visitMoments(c *codec.Codec) {
	n := c.Len(len(l.Moments))
	if n > momentsMax {
		c.Fail(codec.ErrCorrupt)
		return
	}
	if c.Reading && n > 0 {
		if cap(l.Moments) < n {
			l.Moments = make([]Moment, 0, min(n+2, momentsMax))
		}
		l.Moments = l.Moments[:n]
	}
	for i := range l.Moments {
		l.visitMoment(c, &l.Moments[i])
	}
}

// namesCallee is the bit of a moment's form that says that a callee follows;
// below it are the evidence and the callee's kind.
const namesCallee = 1 << 6

func (l *Leg) visitMoment(c *codec.Codec, m *Moment) {
	l.visitAt(c, &m.At)
	visitShortID(c, &m.id)
	m.Type.Visit(c)
	form := byte(m.Src) | byte(m.Kind)<<evidenceBits
	if m.Callee != "" {
		form |= namesCallee
	}
	c.Byte(&form)
	m.Src, m.Kind = call.Evidence(form&7), call.PartyKind(form>>evidenceBits&7)
	if m.Src > call.EvidenceTimeout || m.Kind > call.PartyApp {
		c.Fail(codec.ErrCorrupt)
	}
	if form&namesCallee != 0 {
		c.String(&m.Callee)
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
	leg  *Leg
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
func visitPick[T any](c *codec.Codec, d *dictionary, p *Pick[T], value func(*T, *codec.Codec)) {
	d.visit(c, &p.by)
	if p.Known() {
		value(&p.Value, c)
	}
}

func visitString(s *string, c *codec.Codec) { c.String(s) }

func visitInt64(n *int64, c *codec.Codec) { c.Int64(n) }

func (l *Leg) visitPicks(c *codec.Codec, s shape) {
	d := &dictionary{leg: l}
	for i := range l.Moments[:min(len(l.Moments), dictionarySize/2)] {
		m := &l.Moments[i]
		d.learn(precedence{at: m.At, id: m.id, standing: dated, rank: m.Type.Rank()})
	}
	visitPick(c, d, &l.Direction, (*call.Direction).Visit)
	visitPick(c, d, &l.From, (*call.Party).Visit)
	visitPick(c, d, &l.To, (*call.Party).Visit)
	visitPick(c, d, &l.Account, visitString)
	visitPick(c, d, &l.ParentCallID, visitString)
	if s.has(hasConference) {
		visitPick(c, d, &l.ConferenceID, visitString)
	}
	if s.has(hasTransfer) {
		visitPick(c, d, &l.TransferType, (*call.TransferType).Visit)
	}
	if s.has(hasClaims) {
		visitPick(c, d, &l.Duration, visitInt64)
		visitPick(c, d, &l.Talk, visitInt64)
	}
	if s.has(hasCause) {
		visitPick(c, d, &l.cause, (*call.Ending).Visit)
	}
	if s.has(hasAttributes) {
		codec.List(c, &l.Attributes, d.visitAttribute)
	}
	if s.has(hasRecordings) {
		codec.List(c, &l.Recordings, d.visitRecording)
	}
}

func (d *dictionary) visitAttribute(a *Attribute, c *codec.Codec) {
	c.String(&a.Key)
	visitPick(c, d, &a.Text, visitString)
}

func (d *dictionary) visitRecording(r *Recording, c *codec.Codec) {
	c.String(&r.ID)
	codec.Enum(c, &r.Status, int(call.RecordingAvailable)+1)
	c.Bool(&r.Transcribed)
	d.leg.visitAt(c, &r.StartedAt)
	d.leg.visitAt(c, &r.AvailableAt)
	r.DurationMS.Visit(c)
	r.Channels.Visit(c)
	visitPick(c, d, &r.URL, visitString)
	visitPick(c, d, &r.Format, visitString)
}

func (l *Leg) visitSets(c *codec.Codec, s shape) {
	if s.has(hasTies) {
		codec.List(c, &l.Ties, func(t *Tie, c *codec.Codec) {
			codec.Enum(c, &t.Kind, int(call.LinkSameID)+1)
			c.Uint64(&t.Hash)
		})
	}
	if s.has(hasHangups) {
		codec.List(c, &l.hangups, func(h *hangup, c *codec.Codec) {
			l.visitAt(c, &h.at)
			c.Uint64(&h.content)
		})
	}
}

func (l *Leg) visitDeliveries(c *codec.Codec, s shape) {
	if s.has(hasScope) {
		c.String(&l.scope)
	}
	arrival := call.Time(l.Arrival) // written like a call time: the two are close
	l.visitAt(c, &arrival)
	l.Arrival = call.Arrival(arrival)
	c.Int32(&l.Events)
	if s.has(hasFaults) {
		c.Int32(&l.Duplicates)
		c.Int32(&l.Late)
		c.Int32(&l.OutOfOrder)
	}
	if l.Events == 0 {
		return
	}
	l.visitPosition(c, &l.FirstSource)
	// Most legs come from one topic, whose name is written once.
	topic := l.LastSource.Source.Topic
	if topic == l.FirstSource.Source.Topic {
		l.LastSource.Source.Topic = ""
	}
	l.visitPosition(c, &l.LastSource)
	switch {
	case !c.Reading:
		l.LastSource.Source.Topic = topic
	case l.LastSource.Source.Topic == "":
		l.LastSource.Source.Topic = l.FirstSource.Source.Topic
	}
}

func (l *Leg) visitPosition(c *codec.Codec, p *Position) {
	c.String(&p.Source.Topic)
	c.Int32(&p.Source.Partition)
	c.Int64(&p.Source.Offset)
	ingested := call.Time(p.ingestedAt)
	l.visitAt(c, &ingested)
	p.ingestedAt = int64(ingested)
}
