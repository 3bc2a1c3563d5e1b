package stitch

import (
	"slices"

	"callstitch/processor/call"
)

// codec visits the leg's binary form, both ways. Instants are written as
// differences to the earliest one, and precedences as references to the events
// of the timeline, which most of them are.
func (l *leg) codec(c *call.Codec) {
	c.Raw(l.id[:])
	c.String(&l.tenant)
	c.Provider(&l.provider)
	c.String(&l.scope)
	c.String(&l.callID)
	c.Int64(&l.earliest)
	l.codecInstants(c)
	l.codecMoments(c)
	l.codecPicks(c)
	l.codecSets(c)
	l.codecDeliveries(c)
}

func (l *leg) codecInstants(c *call.Codec) {
	m := int64(l.marks)
	c.Int64(&m)
	l.marks = marks(m)
	call.Enum(c, &l.answeredBy, int(call.System)+1)
	c.Flags(&l.flags)
	for _, i := range [...]*call.Instant{&l.started, &l.ringing, &l.answer, &l.hangup, &l.miss} {
		l.codecInstant(c, i)
	}
	for _, at := range [...]*int64{&l.firstEvent, &l.newest, &l.alive} {
		l.codecAt(c, at)
	}
}

func (l *leg) codecInstant(c *call.Codec, i *call.Instant) {
	call.Enum(c, &i.Src, int(call.Timeout)+1)
	if i.Src == call.NoEvidence {
		return
	}
	l.codecAt(c, &i.At)
	c.Int32(&i.Precision)
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
		m := &l.moments[i]
		l.codecAt(c, &m.at)
		codecShortID(c, &m.id)
		c.EventType(&m.typ)
		// One byte: evidence in the low bits, then the kind of callee, then how
		// its name is written: not at all, or in full.
		form := byte(m.src) | byte(m.kind)<<3
		if m.callee != "" {
			form |= 1 << 6
		}
		c.Byte(&form)
		m.src, m.kind = call.Evidence(form&7), call.PartyKind(form>>3&7)
		if m.src > call.Timeout || m.kind > call.App {
			corrupt(c)
		}
		if form&(1<<6) != 0 {
			c.String(&m.callee)
		}
	}
}

func codecShortID(c *call.Codec, id *uint32) {
	b := [4]byte{byte(*id >> 24), byte(*id >> 16), byte(*id >> 8), byte(*id)}
	c.Raw(b[:])
	*id = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// corrupt makes every further read fail.
func corrupt(c *call.Codec) {
	if c.Reading {
		c.Err, c.Buf = call.ErrCorrupt, nil
	}
}

// dictionary holds the precedences visited so far; a known one is written as
// its number.
type dictionary struct {
	leg  *leg
	keys []precedence
}

func (d *dictionary) codec(c *call.Codec, p *precedence) {
	// 0 is unsaid, then the timeline's events and the ones written before, then
	// a new one.
	n := int64(0)
	if !c.Reading && p.standing != unsaid {
		n = int64(slices.Index(d.keys, *p)) + 1
		if n == 0 {
			n = int64(len(d.keys)) + 1
		}
	}
	c.Int64(&n)
	switch {
	case n == 0:
		*p = precedence{}
	case n >= 1 && n <= int64(len(d.keys)):
		*p = d.keys[n-1]
	case n == int64(len(d.keys))+1:
		b := byte(p.standing)
		c.Byte(&b)
		p.standing = standing(b)
		c.Byte(&p.rank)
		d.leg.codecAt(c, &p.at)
		codecShortID(c, &p.id)
		d.keys = append(d.keys, *p)
	default:
		corrupt(c)
	}
}

// codecPick visits a pick whose value is visited by value.
func codecPick[T any](c *call.Codec, d *dictionary, p *pick[T], value func(*call.Codec, *T)) {
	d.codec(c, &p.by)
	if p.known() {
		value(c, &p.value)
	}
}

func (l *leg) codecPicks(c *call.Codec) {
	var buf [16]precedence
	d := &dictionary{leg: l, keys: buf[:0]}
	for i := range l.moments[:min(len(l.moments), len(buf)/2)] {
		m := &l.moments[i]
		d.keys = append(d.keys, precedence{at: m.at, id: m.id, standing: dated, rank: rankOf(m.typ)})
	}
	codecPick(c, d, &l.direction, (*call.Codec).Direction)
	codecPick(c, d, &l.from, (*call.Codec).Party)
	codecPick(c, d, &l.to, (*call.Codec).Party)
	codecPick(c, d, &l.account, (*call.Codec).String)
	codecPick(c, d, &l.parentCallID, (*call.Codec).String)
	codecPick(c, d, &l.conferenceID, (*call.Codec).String)
	codecPick(c, d, &l.transferType, (*call.Codec).TransferType)
	codecPick(c, d, &l.transferTarget, (*call.Codec).String)
	codecPick(c, d, &l.duration, (*call.Codec).Int64)
	codecPick(c, d, &l.talk, (*call.Codec).Int64)
	codecPick(c, d, &l.cause, codecEnding)
	call.List(c, &l.attributes, func(c *call.Codec, a *attribute) {
		c.String(&a.key)
		codecPick(c, d, &a.value, (*call.Codec).String)
	})
	call.List(c, &l.recordings, func(c *call.Codec, r *recording) {
		c.String(&r.id)
		call.Enum(c, &r.status, int(call.RecordingIsAvailable)+1)
		c.Bool(&r.transcribed)
		l.codecAt(c, &r.startedAt)
		l.codecAt(c, &r.availableAt)
		c.Maybe(&r.durationMS)
		c.Maybe(&r.channels)
		codecPick(c, d, &r.url, (*call.Codec).String)
		codecPick(c, d, &r.format, (*call.Codec).String)
	})
}

func codecEnding(c *call.Codec, e *ending) {
	c.HangupParty(&e.party)
	c.HangupCause(&e.cause)
	c.Code(&e.q850)
	c.Code(&e.sip)
	c.String(&e.provider)
	c.String(&e.providerCode)
}

func (l *leg) codecSets(c *call.Codec) {
	call.List(c, &l.ties, func(c *call.Codec, t *tie) {
		call.Enum(c, &t.kind, int(call.SameID)+1)
		c.Uint64(&t.hash)
	})
	call.List(c, &l.hangups, func(c *call.Codec, h *hangup) {
		l.codecAt(c, &h.at)
		c.Uint64(&h.content)
	})
}

func (l *leg) codecDeliveries(c *call.Codec) {
	l.codecAt(c, &l.arrival)
	for _, n := range [...]*int32{&l.events, &l.duplicates, &l.late, &l.outOfOrder} {
		c.Int32(n)
	}
	if l.events == 0 {
		return
	}
	l.codecPosition(c, &l.firstSource)
	same := l.lastSource.source.Topic == l.firstSource.source.Topic
	topic := l.lastSource.source.Topic
	c.Bool(&same)
	if same {
		l.lastSource.source.Topic = "" // as the first one's
	}
	l.codecPosition(c, &l.lastSource)
	if same {
		topic = l.firstSource.source.Topic
	}
	if same || !c.Reading {
		l.lastSource.source.Topic = topic
	}
}

func (l *leg) codecPosition(c *call.Codec, p *position) {
	c.String(&p.source.Topic)
	c.Int32(&p.source.Partition)
	c.Int64(&p.source.Offset)
	l.codecAt(c, &p.ingestedAt)
}
