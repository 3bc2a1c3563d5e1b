package call

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Codec visits the fields of a value in one fixed order, either appending them
// to Buf or reading them from it, so that one function describes both ways and
// they cannot drift apart. Integers are zigzag varints, strings and slices carry
// their length. After the visit Err is ErrCorrupt if reading ran past the end,
// met a length or word that cannot be, or found a non-canonical form.
type Codec struct {
	Buf     []byte // output so far, or input that remains
	Reading bool
	Err     error
	text    string // all that is read, as a string: strings of the value are parts of it
}

// ErrCorrupt is the failure to read a binary form. It never stems from input
// data, only from a damaged internal topic or a form of a newer program.
var ErrCorrupt = errors.New("corrupt binary form")

// NewReader reads from b. All strings of the value share one copy of b.
func NewReader(b []byte) *Codec {
	c := new(Codec)
	c.Read(b)
	return c
}

// NewWriter appends to b.
func NewWriter(b []byte) *Codec { return &Codec{Buf: b} }

// Read makes c a reader of b, and Write one that appends to b, whatever it was
// before. They spare who visits much a codec for each value.
func (c *Codec) Read(b []byte) { *c = Codec{Buf: b, Reading: true, text: string(b)} }

// Write is described at Read.
func (c *Codec) Write(b []byte) { *c = Codec{Buf: b} }

func (c *Codec) fail() {
	c.Err = ErrCorrupt
	c.Buf = nil
}

// Int64 visits an integer.
func (c *Codec) Int64(p *int64) {
	if !c.Reading {
		c.Buf = binary.AppendVarint(c.Buf, *p)
		return
	}
	if len(c.Buf) > 0 && c.Buf[0] < 0x80 { // most are small
		*p = int64(c.Buf[0]>>1) ^ -int64(c.Buf[0]&1)
		c.skip(1)
		return
	}
	n, size := binary.Varint(c.Buf)
	if size <= 0 {
		*p = 0
		c.fail()
		return
	}
	*p = n
	c.skip(size)
}

func (c *Codec) skip(n int) { c.Buf = c.Buf[n:] }

// Int32 visits an integer of 32 bits.
func (c *Codec) Int32(p *int32) {
	n := int64(*p)
	c.Int64(&n)
	*p = int32(n)
}

// Uint64 visits eight raw bytes, for hashes.
func (c *Codec) Uint64(p *uint64) {
	if !c.Reading {
		c.Buf = binary.BigEndian.AppendUint64(c.Buf, *p)
		return
	}
	if len(c.Buf) < 8 {
		c.fail()
		return
	}
	*p = binary.BigEndian.Uint64(c.Buf)
	c.skip(8)
}

// Byte visits one byte.
func (c *Codec) Byte(p *byte) {
	if !c.Reading {
		c.Buf = append(c.Buf, *p)
		return
	}
	if len(c.Buf) == 0 {
		c.fail()
		return
	}
	*p = c.Buf[0]
	c.skip(1)
}

// Bool visits a boolean.
func (c *Codec) Bool(p *bool) {
	var b byte
	if *p {
		b = 1
	}
	c.Byte(&b)
	*p = b == 1
}

// Raw visits a fixed number of bytes in place.
func (c *Codec) Raw(p []byte) {
	if !c.Reading {
		c.Buf = append(c.Buf, p...)
		return
	}
	if len(c.Buf) < len(p) {
		c.fail()
		return
	}
	copy(p, c.Buf)
	c.skip(len(p))
}

// String visits a string.
func (c *Codec) String(p *string) {
	n := int64(len(*p))
	c.Int64(&n)
	if !c.Reading {
		c.Buf = append(c.Buf, *p...)
		return
	}
	if n < 0 || n > int64(len(c.Buf)) {
		*p = ""
		c.fail()
		return
	}
	at := len(c.text) - len(c.Buf)
	*p = c.text[at : at+int(n)]
	c.skip(int(n))
}

// Len visits the length of a slice whose elements take at least one byte each.
func (c *Codec) Len(n int) int {
	l := int64(n)
	c.Int64(&l)
	if c.Reading && (l < 0 || l > int64(len(c.Buf))) {
		c.fail()
		return 0
	}
	return int(l)
}

// Enum visits a word of a vocabulary with n words, given as its number.
func Enum[T ~uint8](c *Codec, p *T, n int) {
	b := byte(*p)
	c.Byte(&b)
	if c.Reading && int(b) >= n {
		c.fail()
		b = 0
	}
	*p = T(b)
}

// List visits the elements of a slice.
func List[T any](c *Codec, p *[]T, visit func(*Codec, *T)) {
	n := c.Len(len(*p))
	if c.Reading {
		*p = slices.Grow((*p)[:0], n)[:n]
		if n == 0 {
			*p = nil
		}
	}
	for i := range *p {
		visit(c, &(*p)[i])
	}
}

// Instant visits an instant; an absent one takes one byte.
func (c *Codec) Instant(i *Instant) {
	Enum(c, &i.Src, len(evidenceNames))
	if i.Src == NoEvidence {
		*i = Instant{}
		return
	}
	c.Int64(&i.At)
	c.Int32(&i.Precision)
}

// Maybe visits an optional integer.
func (c *Codec) Maybe(i *Int) {
	c.Bool(&i.Known)
	if i.Known {
		c.Int64(&i.N)
	}
}

// Code visits a cause code.
func (c *Codec) Code(p *Code) {
	Enum(c, &p.Src, len(codeSourceNames))
	if p.Src != NoCode {
		c.Int32(&p.N)
	}
}

// Party visits a party. E.164 is kept as a mark where it is the raw form, with
// or without its plus.
func (c *Codec) Party(p *Party) {
	var form byte
	switch p.E164 {
	case "":
	case p.Raw:
		form = 1
	case "+" + p.Raw:
		form = 2
	default:
		form = 3
	}
	form |= byte(p.Kind) << 2
	c.Byte(&form)
	c.String(&p.Raw)
	if c.Reading {
		if int(form>>2) >= len(partyKindNames) {
			c.fail()
			return
		}
		p.Kind = PartyKind(form >> 2)
	}
	switch form & 3 {
	case 0:
		p.E164 = ""
	case 1:
		p.E164 = p.Raw
	case 2:
		if c.Reading {
			p.E164 = "+" + p.Raw
		}
	case 3:
		c.String(&p.E164)
	}
}

// Direction visits a direction.
func (c *Codec) Direction(p *Direction) { Enum(c, p, len(directionNames)) }

// EventType visits an event type.
func (c *Codec) EventType(p *EventType) { Enum(c, p, len(eventTypeNames)) }

// HangupParty visits who ended a leg.
func (c *Codec) HangupParty(p *HangupParty) { Enum(c, p, len(hangupPartyNames)) }

// HangupCause visits why a leg ended.
func (c *Codec) HangupCause(p *HangupCause) { Enum(c, p, len(hangupCauseNames)) }

// Answerer visits who answered.
func (c *Codec) Answerer(p *Answerer) { Enum(c, p, len(answererNames)) }

// TransferType visits a transfer type.
func (c *Codec) TransferType(p *TransferType) { Enum(c, p, len(transferTypeNames)) }

// Provider visits a provider.
func (c *Codec) Provider(p *Provider) { Enum(c, p, len(providerNames)) }

// Flags visits a set of flags.
func (c *Codec) Flags(p *Flags) {
	n := int64(*p)
	c.Int64(&n)
	*p = Flags(n)
}

// Recording visits a recording fact.
func (c *Codec) Recording(r *RecordingFact) {
	c.String(&r.ID)
	if r.ID == "" {
		return
	}
	Enum(c, &r.Status, len(recordingStatusNames))
	c.String(&r.URL)
	c.Int64(&r.StartedAt)
	c.Maybe(&r.DurationMS)
	c.Maybe(&r.Channels)
	c.String(&r.Format)
	c.Int64(&r.AvailableAt)
	c.Bool(&r.Transcribed)
}

// Attribute visits one attribute.
func (c *Codec) Attribute(a *Attribute) {
	c.String(&a.Key)
	c.String(&a.Value)
}

// Snapshot visits what an event says about another leg.
func (c *Codec) Snapshot(s *LegSnapshot) {
	c.String(&s.CallID)
	c.Direction(&s.Direction)
	c.Party(&s.From)
	c.Party(&s.To)
	c.Instant(&s.Started)
	c.Instant(&s.Ringing)
	c.Instant(&s.Answered)
	c.Instant(&s.Ended)
	c.Instant(&s.Alive)
	c.Ending(&s.Ending)
}

// Ending visits why a leg ended.
func (c *Codec) Ending(e *Ending) {
	c.HangupParty(&e.HangupParty)
	c.HangupCause(&e.HangupCause)
	c.Code(&e.Q850)
	c.Code(&e.SIPStatus)
	c.String(&e.ProviderCause)
	c.String(&e.ProviderCauseCode)
}

// Event visits an event as the exchange carries it. The leg id is derived, and
// what the stitcher sets is not part of it.
func (c *Codec) Event(e *Event) {
	c.Raw(e.ID[:])
	Enum(c, &e.IDKind, int(SemanticID)+1)
	c.Uint64(&e.Content)
	c.String(&e.Tenant)
	c.Provider(&e.Provider)
	c.String(&e.Scope)
	c.String(&e.CallID)
	c.EventType(&e.Type)
	c.String(&e.ProviderType)
	c.String(&e.ProviderState)
	c.String(&e.ProviderID)
	c.String(&e.ParentCallID)
	c.String(&e.Account)
	c.Instant(&e.Time)
	c.Int64(&e.ReportedAt)
	c.Int64(&e.IngestedAt)
	c.Instant(&e.Started)
	c.Instant(&e.Ringing)
	c.Instant(&e.Answered)
	c.Instant(&e.Ended)
	c.Int64(&e.QueuedAt)
	c.Direction(&e.Direction)
	c.Party(&e.From)
	c.Party(&e.To)
	c.Ending(&e.Ending)
	c.Maybe(&e.ProviderDuration)
	c.Maybe(&e.ProviderTalk)
	c.Answerer(&e.AnsweredBy)
	c.Bool(&e.PlatformAnswer)
	c.Bool(&e.Voicemail)
	c.Bool(&e.AgentLeft)
	c.Recording(&e.Recording)
	c.String(&e.ConferenceID)
	c.TransferType(&e.TransferType)
	c.String(&e.TransferTarget)
	List(c, &e.Links, func(c *Codec, l *Link) {
		Enum(c, &l.Kind, len(linkKindNames))
		c.String(&l.Value)
	})
	some := e.Snapshot != nil
	c.Bool(&some)
	if some {
		if c.Reading {
			e.Snapshot = &LegSnapshot{}
		}
		c.Snapshot(e.Snapshot)
	}
	List(c, &e.Attributes, (*Codec).Attribute)
	c.Flags(&e.Flags)
	c.String(&e.Source.Topic)
	c.Int32(&e.Source.Partition)
	c.Int64(&e.Source.Offset)
	c.Raw(e.SHA256[:])
}

// eventForm is the version of Event's binary form.
const eventForm = 1

// AppendBinary appends the event's binary form to b.
func (e *Event) AppendBinary(b []byte) []byte {
	c := NewWriter(append(b, eventForm))
	c.Event(e)
	return c.Buf
}

// ParseEvent reads AppendBinary's form; all of b must be used.
func ParseEvent(b []byte) (*Event, error) {
	if len(b) == 0 || b[0] != eventForm {
		return nil, ErrCorrupt
	}
	c := NewReader(b[1:])
	e := new(Event)
	c.Event(e)
	if c.Err != nil || len(c.Buf) != 0 {
		return nil, ErrCorrupt
	}
	e.Leg = NewLegID(e.Tenant, e.Provider, e.Scope, e.CallID)
	return e, nil
}
