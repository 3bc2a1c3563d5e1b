package stitch

import (
	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// The messages between nodes. Four carry the union-find; witness carries what
// an event of one leg says about another.
const (
	unionMessage   byte = iota + 1 // join what you belong to with Root
	summaryMessage                 // the newest fold of one leg
	absorbMessage                  // what a former root published and held
	fullMessage                    // the link you named, or share, takes no more legs
	witnessMessage                 // a snapshot of you inside another leg's event
	settledMessage                 // an ABSORB that says of sessions, too, whether they have settled
)

// absorbMax is how many entries an ABSORB carries: some 20 KB.
const absorbMax = 64

// body is the decoded form of a message's body. Only the fields of its kind
// are set.
type body struct {
	kind byte
	exp  call.Arrival
	gate call.Arrival

	root  call.NodeID // union
	asker call.LegID  // union

	published []publication // absorb, settled
	members   []member      // absorb, settled; summary: the one leg
	dropped   int32         // absorb, settled: members that the sender did not keep

	tenant   string // witness
	provider call.Provider
	scope    string
	arrival  call.Arrival
	snapshot call.LegSnapshot
}

// Visit visits a message's body. A kind that is not known is that of a newer program,
// and nothing is known of what follows it.
func (b *body) Visit(c *codec.Codec) {
	c.Byte(&b.kind)
	if b.kind > settledMessage && !(controls && b.kind == shortCutMessage) {
		c.Fail(codec.ErrNewerState)
	}
	b.exp.Visit(c)
	b.gate.Visit(c)
	switch b.kind {
	case unionMessage:
		c.Raw(b.root[:])
		c.Raw(b.asker[:])
	case summaryMessage:
		codec.List(c, &b.members, (*member).Visit)
	case absorbMessage:
		codec.List(c, &b.published, (*publication).Visit)
		b.visitHeld(c)
	case settledMessage:
		codec.List(c, &b.published, (*publication).visitSettled)
		b.visitHeld(c)
	case fullMessage:
	case witnessMessage:
		c.String(&b.tenant)
		b.provider.Visit(c)
		c.String(&b.scope)
		b.arrival.Visit(c)
		b.snapshot.Visit(c)
	case 0:
		c.Fail(codec.ErrCorrupt)
	default:
		c.Raw(b.root[:])
	}
}

// visitHeld visits what a former root held.
func (b *body) visitHeld(c *codec.Codec) {
	codec.List(c, &b.members, (*member).Visit)
	c.Int32(&b.dropped)
}

// send hands a message to the task, stamped with what the sender knows, and returns its
// form.
func (m *Machine) send(from *node, to call.NodeID, trig call.Arrival, b *body) []byte {
	m.sent = *b
	m.sent.exp, m.sent.gate = from.exp, from.gate
	form := m.write(&m.sent)
	m.effects.Messages = append(m.effects.Messages, Message{To: to, Trig: trig, Body: form})
	return form
}
