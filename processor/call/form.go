package call

import "callstitch/processor/codec"

// Visit visits an instant; an absent one takes one byte.
func (i *Instant) Visit(c *codec.Codec) {
	codec.Enum(c, &i.Src, len(evidenceNames))
	if i.Src == NoEvidence {
		*i = Instant{}
		return
	}
	i.At.Visit(c)
	c.Int32(&i.Precision)
}

// Visit visits an optional integer.
func (i *Int) Visit(c *codec.Codec) {
	c.Bool(&i.Known)
	if i.Known {
		c.Int64(&i.N)
	}
}

// Visit visits a cause code.
func (p *Code) Visit(c *codec.Codec) {
	codec.Enum(c, &p.Src, len(codeSourceNames))
	if p.Src != NoCode {
		c.Int32(&p.N)
	}
}

// Visit visits a party. E.164 is kept as a mark where it is the raw form, with or
// without its plus.
func (p *Party) Visit(c *codec.Codec) {
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
			c.Fail(codec.ErrCorrupt)
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

// Visit visits a direction.
func (p *Direction) Visit(c *codec.Codec) { codec.Enum(c, p, len(directionNames)) }

// Visit visits an event type.
func (p *EventType) Visit(c *codec.Codec) { codec.Enum(c, p, len(eventTypeNames)) }

// Visit visits who ended a leg.
func (p *HangupParty) Visit(c *codec.Codec) { codec.Enum(c, p, len(hangupPartyNames)) }

// Visit visits why a leg ended.
func (p *HangupCause) Visit(c *codec.Codec) { codec.Enum(c, p, len(hangupCauseNames)) }

// Visit visits who answered.
func (p *Answerer) Visit(c *codec.Codec) { codec.Enum(c, p, len(answererNames)) }

// Visit visits a transfer type.
func (p *TransferType) Visit(c *codec.Codec) { codec.Enum(c, p, len(transferTypeNames)) }

// Visit visits a provider.
func (p *Provider) Visit(c *codec.Codec) { codec.Enum(c, p, len(providers)) }

// Visit visits a set of flags.
func (p *Flags) Visit(c *codec.Codec) {
	n := int64(*p)
	c.Int64(&n)
	*p = Flags(n)
}

// Visit visits a recording fact.
func (r *RecordingFact) Visit(c *codec.Codec) {
	c.String(&r.ID)
	if r.ID == "" {
		return
	}
	codec.Enum(c, &r.Status, len(recordingStatusNames))
	c.String(&r.URL)
	r.StartedAt.Visit(c)
	r.DurationMS.Visit(c)
	r.Channels.Visit(c)
	c.String(&r.Format)
	r.AvailableAt.Visit(c)
	c.Bool(&r.Transcribed)
}

// Visit visits one attribute.
func (a *Attribute) Visit(c *codec.Codec) {
	c.String(&a.Key)
	c.String(&a.Value)
}

// Visit visits what an event says about another leg.
func (s *LegSnapshot) Visit(c *codec.Codec) {
	c.String(&s.CallID)
	s.Direction.Visit(c)
	s.From.Visit(c)
	s.To.Visit(c)
	s.Started.Visit(c)
	s.Ringing.Visit(c)
	s.Answered.Visit(c)
	s.Ended.Visit(c)
	s.Alive.Visit(c)
	s.Ending.Visit(c)
}

// Visit visits why a leg ended.
func (e *Ending) Visit(c *codec.Codec) {
	e.HangupParty.Visit(c)
	e.HangupCause.Visit(c)
	e.Q850.Visit(c)
	e.SIPStatus.Visit(c)
	c.String(&e.ProviderCause)
	c.String(&e.ProviderCauseCode)
}

// Visit visits a link.
func (l *Link) Visit(c *codec.Codec) {
	codec.Enum(c, &l.Kind, len(linkKindNames))
	c.String(&l.Value)
}

// Visit visits a leg's id.
func (id *LegID) Visit(c *codec.Codec) { c.Raw(id[:]) }

// Visit visits a node's id.
func (n *NodeID) Visit(c *codec.Codec) { c.Raw(n[:]) }

// eventForm is the version of Event's form.
const eventForm = 1

// Visit visits an event as the exchange carries it. The leg id is derived, and
// what the stitcher sets is not part of it.
func (e *Event) Visit(c *codec.Codec) {
	c.Form(eventForm)
	c.Raw(e.ID[:])
	codec.Enum(c, &e.IDKind, int(IDSemantic)+1)
	c.Uint64(&e.Content)
	c.String(&e.Tenant)
	e.Provider.Visit(c)
	c.String(&e.Scope)
	c.String(&e.CallID)
	e.Type.Visit(c)
	c.String(&e.ProviderType)
	c.String(&e.ProviderState)
	c.String(&e.ProviderID)
	c.String(&e.ParentCallID)
	c.String(&e.Account)
	e.Time.Visit(c)
	e.ReportedAt.Visit(c)
	c.Int64(&e.IngestedAt)
	e.Started.Visit(c)
	e.Ringing.Visit(c)
	e.Answered.Visit(c)
	e.Ended.Visit(c)
	e.QueuedAt.Visit(c)
	e.Direction.Visit(c)
	e.From.Visit(c)
	e.To.Visit(c)
	e.Ending.Visit(c)
	e.ProviderDuration.Visit(c)
	e.ProviderTalk.Visit(c)
	e.AnsweredBy.Visit(c)
	c.Bool(&e.PlatformAnswer)
	c.Bool(&e.Voicemail)
	c.Bool(&e.AgentLeft)
	e.Recording.Visit(c)
	c.String(&e.ConferenceID)
	e.TransferType.Visit(c)
	c.String(&e.TransferTarget)
	codec.List(c, &e.Links, (*Link).Visit)
	some := e.Snapshot != nil
	c.Bool(&some)
	if some {
		if c.Reading {
			e.Snapshot = &LegSnapshot{}
		}
		e.Snapshot.Visit(c)
	}
	codec.List(c, &e.Attributes, (*Attribute).Visit)
	e.Flags.Visit(c)
	c.String(&e.Source.Topic)
	c.Int32(&e.Source.Partition)
	c.Int64(&e.Source.Offset)
	c.Raw(e.SHA256[:])
	if c.Reading {
		e.Leg = NewLegID(e.Tenant, e.Provider, e.Scope, e.CallID)
	}
}
