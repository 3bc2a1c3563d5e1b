package stitch

import (
	"encoding/binary"

	"callstitch/processor/call"
	"callstitch/processor/codec"
	"callstitch/processor/leg"
)

// Limits of a node. What goes beyond is counted or flagged, never lost quietly.
const (
	// linkAskers is how many legs a link takes: more is a poison key, such as
	// a number used as a flow id, and would swallow a tenant's day.
	linkAskers = 64
	// rootMembers is how many legs a root keeps; the rest is counted.
	rootMembers = 1000
	// legLinks is how many different links a leg follows. Two are usual.
	legLinks = 16
)

// node is one vertex of the call graph as its task holds it: a leg or a link,
// a root or a child. Between transactions nodes are bytes in the state, and those in
// the cache are this as well.
type node struct {
	id   call.NodeID
	stub bool         // an expired leg of which only the id is remembered
	came bool         // again, after it was a stub: see comeAgain
	up   call.NodeID  // the smaller node that it handed over to; zero for a root
	exp  call.Arrival // expires_at; 0 before an event was accepted
	gate call.Arrival // largest trig seen

	// A leg.
	fold                // without a leg until an event, or another leg's evidence, told of it
	v     int64         // version of the fold: the larger one is the newer
	links []call.NodeID // links already followed
	ids   idSet
	told  []call.LegSnapshot // what was passed on about the parent: none or one

	// A link.
	askers []call.LegID // distinct legs that joined through it

	// A root.
	members   memberSet     // the other legs of the session; its own fold is not repeated here
	published []publication // every session id it has published, or taken over

	// Rows of call.legs published for this root's own leg.
	row rowMark

	room *room // that it is part of; nil for a link, and for a node that is made anew

	// Bookkeeping of the transaction, not stored.
	due     timer // when it is looked at next
	stored  timer // due as last stored: the index has an entry no later than that
	fresh   bool  // not stored yet
	spent   bool  // its entry in the index was taken out
	changed bool  // differs from its stored form
	queued  bool  // waits in the machine's list of nodes to evaluate
	touched bool  // in the machine's list of nodes to store
	gone    bool  // deleted in this transaction

	// Its place in the cache, between those that were worked on before and after it.
	rests        bool
	older, newer *node
}

// room is the memory of a usual leg's node, in one piece.
type room struct {
	node      node
	leg       leg.Leg
	moments   [6]leg.Moment
	links     [2]call.NodeID
	ids       [8]knownID
	published [1]publication
}

// begin makes the room, which is empty, that of a node of which nothing is known.
func (r *room) begin(id call.NodeID) *node {
	r.node = node{id: id, room: r, links: r.links[:0], published: r.published[:0], ids: idSet{tail: r.ids[:0]}}
	return &r.node
}

// begin gives the node a leg of which nothing is known.
func (n *node) begin() {
	if n.room == nil {
		n.fold = fold{leg: new(leg.Leg)}
		return
	}
	n.room.leg = leg.Leg{Moments: n.room.moments[:0]}
	n.fold = fold{leg: &n.room.leg}
}

// publication is what a root remembers of a session id that it has published.
type publication struct {
	id       call.LegID
	revision int32
	state    call.RecordState
	wasFinal bool
	settled  settlement
	mark     uint64 // fingerprint of the last record
	facts    facts
	at       call.Arrival // leg clock at the last revision, for the limit of one a second
}

// rowMark is what is remembered of a published row of call.legs.
type rowMark struct {
	revision int32
	mark     uint64
}

// Visit visits the mark.
func (r *rowMark) Visit(c *codec.Codec) {
	c.Int32(&r.revision)
	if r.revision > 0 {
		c.Uint64(&r.mark)
	}
}

func (n *node) root() bool { return n.up == call.NodeID{} }

// sole reports whether the node is a session of one leg that names no link: no
// other node can have to do with it unless it is told so.
func (n *node) sole() bool {
	return n.leg != nil && len(n.links) == 0 && n.members.count == 0 && len(n.published) <= 1
}

// The versions of a node's form. One that knows nothing of what has settled is the first,
// so that a program that does not either takes it up.
const (
	nodeForm = 1 + iota
	settledForm
)

// Bits of the byte behind a stored node's form.
const (
	bitLegClock = 1 << iota // due on the leg clock, else on the session clock
	bitStub
	bitChild
	bitLeg
	bitCame
)

// Visit visits the node's stored form, without members and ids that have keys of
// their own.
func (n *node) Visit(c *codec.Codec) {
	form := n.form()
	c.Forms(&form, nodeForm, settledForm)
	bits := n.bits()
	c.Byte(&bits)
	at := uint64(n.due.at)
	c.Uint64(&at)
	if c.Reading {
		n.due = timer{at: call.Arrival(at), leg: bits&bitLegClock != 0}
		n.stub = bits&bitStub != 0
		n.came = bits&bitCame != 0
		if bits&bitLeg != 0 {
			n.begin()
			n.leg.ID = n.id.Leg()
		}
	}
	n.exp.Visit(c)
	if !n.stub {
		n.visitLive(c, bits&bitChild != 0, form)
	}
}

func (n *node) form() byte {
	if n.came || anySettled(n.published) {
		return settledForm
	}
	return nodeForm
}

func (n *node) bits() (bits byte) {
	if n.due.leg {
		bits |= bitLegClock
	}
	if n.stub {
		bits |= bitStub
	}
	if !n.root() {
		bits |= bitChild
	}
	if n.leg != nil {
		bits |= bitLeg
	}
	if n.came {
		bits |= bitCame
	}
	return bits
}

// visitLive visits what a node has that is no stub.
func (n *node) visitLive(c *codec.Codec, child bool, form byte) {
	n.gate.Visit(c)
	if child {
		n.up.Visit(c)
		if !n.up.Less(n.id) { // pointers that go round would never end
			c.Fail(codec.ErrCorrupt)
		}
	}
	if n.leg != nil {
		n.fold.Visit(c)
		c.Int64(&n.v)
	}
	if n.id.IsLeg() {
		codec.List(c, &n.links, (*call.NodeID).Visit)
		n.ids.Visit(c)
		codec.List(c, &n.told, (*call.LegSnapshot).Visit)
	} else {
		codec.List(c, &n.askers, (*call.LegID).Visit)
	}
	if n.root() {
		n.members.Visit(c)
		if form == nodeForm {
			codec.List(c, &n.published, (*publication).Visit)
		} else {
			codec.List(c, &n.published, (*publication).visitSettled)
		}
		n.row.Visit(c)
	}
}

// headerSize is the form, the bits and the due time: all that an index needs,
// so that a restore decodes nothing more.
const headerSize = 10

// header reads when a stored node is due.
func header(b []byte) (timer, error) {
	if len(b) == 0 {
		return timer{}, codec.ErrCorrupt
	}
	if err := codec.CheckForm(b[0], nodeForm, settledForm); err != nil {
		return timer{}, err
	}
	if len(b) < headerSize {
		return timer{}, codec.ErrCorrupt
	}
	return timer{at: call.Arrival(binary.BigEndian.Uint64(b[2:])), leg: b[1]&bitLegClock != 0}, nil
}

// Visit visits a publication, but not whether it has settled.
func (p *publication) Visit(c *codec.Codec) {
	p.id.Visit(c)
	c.Int32(&p.revision)
	codec.Enum(c, &p.state, int(call.StateSuperseded)+1)
	c.Bool(&p.wasFinal)
	c.Uint64(&p.mark)
	p.facts.Visit(c)
	p.at.Visit(c)
}
