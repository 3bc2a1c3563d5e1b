package stitch

import (
	"iter"
	"slices"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/codec"
	"callstitch/processor/leg"
)

// Machine holds the nodes of one task. It is not safe for concurrent use. A
// transaction is any number of steps that each end with Flush. The task makes what Take
// returned and the state writes durable together and calls Commit, or undoes the writes
// and calls Abort.
//
// What it stored or sent is read again much later, and maybe by another program. A
// form that cannot be read fails the call that met it, and every later one until
// Abort: with codec.ErrNewerState where a newer program wrote it, else with
// codec.ErrCorrupt. Nothing of that transaction may be committed.
//
// In its State it uses keys that begin with 'n' (nodes), 'd' (chunks of event
// ids) and 'm' (chunks of members).
type Machine struct {
	cfg   Config
	state State

	nodes   cache   // decoded: those touched since the last Flush, and others that were lately
	touched []*node // since the last Flush, in the order of touching
	queue   []*node // to be evaluated at the next Settle
	index   index
	open    []*node       // touched by this transaction
	set     []alarm       // what it puts into the index, once it is committed
	woken   []call.NodeID // whose entries in the index it took out
	live    int           // nodes stored, stubs included
	stable  int           // the same, as of the last Commit

	unreadable error // the first form that could not be read

	effects  Effects
	legs     []*leg.Leg  // scratch of evaluate
	received body        // scratch of Receive
	sent     body        // scratch of send
	self     [1]member   // scratch of grown
	codec    codec.Codec // scratch of read and write
	written  []byte      // scratch of write
	key      []byte      // scratch of nodeKey and chunkKey
	control  Control
}

// New makes a machine over an empty or restored state; call Rebuild if it is
// not empty. Keep is how many legs it keeps decoded between two transactions, some 3 kB
// each; nothing but its speed depends on that.
func New(cfg Config, state State, keep int) *Machine {
	return &Machine{cfg: cfg, state: state, nodes: newCache(keep)}
}

// Event takes an event at the leg that it names, and returns its record with what
// became of it. Arrival is its arrival time; trig is max(arrival, leg clock + 1 ms),
// for every message that it causes.
func (m *Machine) Event(e *call.Event, arrival, trig call.Arrival) (*call.EventRecord, Outcome, error) {
	r := &call.EventRecord{Event: e, ProcessedAt: arrival}
	if e.Time.Known() && e.Time.Src != call.EvidenceIngest {
		r.LatenessMS = max(int64(arrival)-int64(e.Time.At), 0)
	}
	outcome := m.event(r, trig)
	return r, outcome, m.unreadable
}

func (m *Machine) event(r *call.EventRecord, trig call.Arrival) Outcome {
	e, arrival := r.Event, r.ProcessedAt
	n := m.node(call.LegNode(e.Leg))
	late := n.stub || n.exp != 0 && arrival > n.exp
	if controls && m.control.LateByTimer {
		late = n.stub
	}
	if late {
		return m.late(r)
	}
	if n.leg == nil {
		n.begin()
	}
	m.loadIDs(n)
	id := newKnownID(e)
	if known, ok := n.ids.find(id.id); ok {
		return m.again(n, r, known.content == id.content, trig)
	}
	r.Late = n.leg.Events > 0 && arrival > n.leg.HoldsUntil(m.cfg.timeouts())
	m.remember(n, id)
	n.legChanges()
	earliest := n.leg.Earliest
	n.leg.Fold(e, arrival, r.Late)
	if controls && m.control.FirstEvent && earliest.Known() {
		n.leg.Earliest = earliest
	}
	m.effects.Events = append(m.effects.Events, r)
	n.exp = max(n.exp, arrival.Add(m.keep()))
	m.learned(n, e, arrival, trig)
	return Accepted
}

// late publishes an event whose leg is past its retention; it changes no
// session and keeps nothing alive. The arrival tells, and where a clock has gone on
// without a partition that holds older events, also that the leg was freed: what it was
// is no longer known.
func (m *Machine) late(r *call.EventRecord) Outcome {
	r.Late, r.Remarks = true, call.FlagLateAfterRetention
	m.effects.Events = append(m.effects.Events, r)
	return Late
}

// again takes an event whose id its leg has accepted before. A repeat says
// something new only where the Kafka timestamp is the only clock or the smallest so
// far, a variant may say anything, and a conflict leaves its mark on the record. None
// of them keeps the leg alive: only accepted events do.
func (m *Machine) again(n *node, r *call.EventRecord, same bool, trig call.Arrival) Outcome {
	e, arrival := r.Event, r.ProcessedAt
	n.legChanges()
	switch {
	case same:
		if news := n.leg.Repeat(e); !news {
			m.changed(n)
			m.sendWitness(n, e, arrival, trig) // copies may differ in when the parent was last seen alive
			return Duplicate
		}
		m.learned(n, e, arrival, trig)
		return Duplicate
	case e.IDKind == call.IDSemantic:
		n.leg.Variant(e, arrival)
		m.learned(n, e, arrival, trig)
		return Duplicate
	default:
		n.leg.Conflict(e)
		m.effects.Conflicts = append(m.effects.Conflicts, r)
		n.gate = max(n.gate, trig)
		m.grown(n, trig)
		return Conflicting
	}
}

// learned spreads what an event has told its leg: the new fold to the root, and
// the links and the evidence that the event named.
func (m *Machine) learned(n *node, e *call.Event, arrival, trig call.Arrival) {
	n.gate = max(n.gate, trig)
	m.grown(n, trig)
	for _, l := range e.Links {
		m.follow(n, e, l, trig)
	}
	m.sendWitness(n, e, arrival, trig)
}

// keep is how long after the last accepted event a leg is remembered.
func (m *Machine) keep() time.Duration {
	return m.cfg.AnsweredTimeout + m.cfg.Retention
}

// grown numbers the leg's new fold and passes it on to its root; a root has it
// already.
func (m *Machine) grown(n *node, trig call.Arrival) {
	n.v++
	m.changed(n)
	if n.root() {
		return
	}
	m.self[0] = member{id: n.id.Leg(), v: n.v, fold: n.fold}
	m.self[0].wrote(m.send(n, n.up, trig, &body{kind: summaryMessage, members: m.self[:]}))
	n.fold = m.self[0].fold
}

// follow joins the leg to what a link of its event names.
func (m *Machine) follow(n *node, e *call.Event, l call.Link, trig call.Arrival) {
	y := LinkedNode(e, l)
	if y == n.id || slices.Contains(n.links, y) || len(n.links) == legLinks {
		return
	}
	n.links = append(n.links, y)
	if n.root() && y.Less(n.id) {
		m.handOver(n, y, trig)
	}
	a := n.id
	if !n.root() {
		a = n.up
	}
	m.union(n, a, y, n.id.Leg(), trig)
}

// LinkedNode is the node that a link of an event leads to.
func LinkedNode(e *call.Event, l call.Link) call.NodeID {
	if l.Kind == call.LinkParent {
		return call.LegNode(call.NewLegID(e.Tenant, e.Provider, e.Scope, l.Value))
	}
	return call.LinkNode(e.Tenant, e.Provider, e.Scope, l.Kind, l.Value)
}

// sendWitness passes on what the event says about another leg, once.
func (m *Machine) sendWitness(n *node, e *call.Event, arrival, trig call.Arrival) {
	if e.Snapshot == nil {
		return
	}
	told := e.Snapshot.Join(call.LegSnapshot{})
	if len(n.told) == 1 {
		if told = n.told[0].Join(*e.Snapshot); told == n.told[0] {
			return
		}
	}
	n.told = []call.LegSnapshot{told}
	to := call.LegNode(call.NewLegID(e.Tenant, e.Provider, e.Scope, told.CallID))
	m.send(n, to, trig, &body{
		kind: witnessMessage, tenant: e.Tenant, provider: e.Provider, scope: e.Scope,
		arrival: arrival, snapshot: told,
	})
}

// union makes one component of two: the larger node hears of the smaller one.
func (m *Machine) union(from *node, a, b call.NodeID, asker call.LegID, trig call.Arrival) {
	switch c := a.Compare(b); {
	case c < 0:
		m.send(from, b, trig, &body{kind: unionMessage, root: a, asker: asker})
	case c > 0:
		m.send(from, a, trig, &body{kind: unionMessage, root: b, asker: asker})
	}
}

// handOver makes a root a child of the smaller node w, and gives w all that it
// published and held. Published goes along, else its revisions would begin at 1
// again under w.
func (m *Machine) handOver(n *node, w call.NodeID, trig call.Arrival) {
	m.loadMembers(n)
	members := n.members.all
	if n.leg != nil {
		members = append([]member{{id: n.id.Leg(), v: n.v, fold: n.fold, row: n.row}}, members...)
	}
	published, dropped := n.published, n.members.dropped
	if controls && m.control.ForgetPublished {
		published = nil
	}
	kind := absorbMessage
	if anySettled(published) && !(controls && m.control.ForgetSettled) {
		kind = settledMessage
	}
	m.dropMembers(n)
	n.published, n.row, n.up = nil, rowMark{}, w
	m.changed(n)
	for len(published)+len(members) > 0 {
		p := published[:min(len(published), absorbMax)]
		l := members[:min(len(members), absorbMax-len(p))]
		m.send(n, w, trig, &body{kind: kind, published: p, members: l, dropped: dropped})
		published, members, dropped = published[len(p):], members[len(l):], 0
	}
}

// Receive takes a message at the node that it names.
func (m *Machine) Receive(msg Message) error {
	b := &m.received
	*b = body{}
	if m.read(msg.Body, b, "message to", msg.To); m.unreadable != nil {
		return m.unreadable
	}
	n := m.node(msg.To)
	if n.stub {
		m.comeAgain(n)
	}
	n.exp = max(n.exp, b.exp)
	if !n.id.IsLeg() {
		n.exp = max(n.exp, msg.Trig.Add(m.keep()))
	}
	n.gate = max(n.gate, b.gate)
	m.changed(n)
	switch b.kind {
	case unionMessage:
		m.onUnion(n, b, msg.Trig)
	case summaryMessage, absorbMessage, settledMessage:
		m.onAbsorb(n, b, msg.Trig)
	case fullMessage:
		m.onFull(n, msg.Trig)
	case witnessMessage:
		m.onWitness(n, b, msg.Trig)
	default:
		n.onShortCut(b)
	}
	return m.unreadable
}

func (m *Machine) onUnion(n *node, b *body, trig call.Arrival) {
	if !b.root.Less(n.id) { // the larger node hears of the smaller one
		m.fail("UNION at", n.id, codec.ErrCorrupt)
		return
	}
	if !n.id.IsLeg() && !m.admit(n, b.asker, trig) {
		return
	}
	switch {
	case n.root():
		m.handOver(n, b.root, trig)
	case n.up != b.root:
		m.union(n, n.up, b.root, b.asker, trig)
	}
}

// admit takes one more leg through a link, unless the link is full. Then both
// sides hear of it: the leg that is refused, and one that was taken.
func (m *Machine) admit(n *node, asker call.LegID, trig call.Arrival) bool {
	i, known := slices.BinarySearchFunc(n.askers, asker, func(a, b call.LegID) int {
		return slices.Compare(a[:], b[:])
	})
	switch {
	case known:
		return true
	case len(n.askers) == linkAskers:
		m.send(n, call.LegNode(asker), trig, &body{kind: fullMessage})
		m.send(n, call.LegNode(n.askers[0]), trig, &body{kind: fullMessage})
		return false
	}
	n.askers = slices.Insert(n.askers, i, asker)
	return true
}

// onAbsorb takes summaries and what former roots published; a child passes
// them on to its root.
func (m *Machine) onAbsorb(n *node, b *body, trig call.Arrival) {
	if !n.root() {
		m.send(n, n.up, trig, b)
		return
	}
	m.loadMembers(n)
	for _, l := range b.members {
		m.absorbMember(n, l)
		if controls && m.control.ShortCut && b.kind != summaryMessage {
			m.sendShortCut(n, l, trig)
		}
	}
	n.members.dropped += b.dropped
	for _, p := range b.published {
		n.absorbPublication(p)
	}
	m.wake(n)
}

func (m *Machine) absorbMember(n *node, l member) {
	if n.id.IsLeg() && l.id == n.id.Leg() {
		// This node's own fold, back from a root that has since handed over: it
		// is older than what the node holds, but its row may be newer.
		if l.row.revision > n.row.revision {
			n.row = l.row
		}
		return
	}
	n.members.put(l)
}

func (n *node) absorbPublication(p publication) {
	i := slices.IndexFunc(n.published, func(q publication) bool { return q.id == p.id })
	if i < 0 {
		n.published = append(n.published, p)
		return
	}
	q := &n.published[i]
	settled := q.settled.and(p.settled)
	if p.revision > q.revision {
		*q = p
	}
	q.settled = settled
}

// onFull notes at a leg that a link it named takes no more legs.
func (m *Machine) onFull(n *node, trig call.Arrival) {
	if n.leg == nil {
		return
	}
	n.legChanges()
	n.leg.Overflow()
	m.grown(n, trig)
}

// onWitness folds another leg's evidence about this one. It is no event: it
// counts nowhere, but it may be all that is known of the leg.
func (m *Machine) onWitness(n *node, b *body, trig call.Arrival) {
	if n.leg == nil {
		n.begin()
	}
	n.legChanges()
	n.leg.Identify(b.tenant, b.provider, b.scope)
	n.leg.Witness(&b.snapshot, b.arrival)
	m.grown(n, trig)
}

// Settle, which must come before Flush, evaluates the nodes that this transaction touched and the nodes that
// are due, at most limit of the latter. It reports whether more are due.
func (m *Machine) Settle(now Clocks, limit int) (more bool, err error) {
	for _, n := range m.queue {
		n.queued = false
		m.evaluate(n, now)
	}
	m.queue = emptied(m.queue)
	for range limit {
		id, ok := m.index.pop(now)
		if !ok {
			return false, m.unreadable
		}
		m.woken = append(m.woken, id)
		if n := m.stored(id); n != nil {
			n.spent = true
			m.evaluate(n, now)
		}
	}
	return m.index.due(now), m.unreadable
}

// Flush writes every touched node to the state.
func (m *Machine) Flush() {
	for _, n := range m.touched {
		m.flush(n)
		n.touched = false
		if n.gone || n.stub { // a stub's form has less than the node
			m.nodes.drop(n)
		} else {
			m.nodes.rest(n)
		}
	}
	m.nodes.shrink()
	m.open = append(m.open, m.touched...)
	m.touched = emptied(m.touched)
}

func (m *Machine) flush(n *node) {
	switch {
	case n.gone:
		m.state.Put(m.nodeKey(n.id), nil)
		if !n.fresh {
			m.live--
		}
		return
	case n.changed || n.spent && n.due != n.stored:
		m.flushMembers(n)
		form := m.write(n)
		m.state.Put(m.nodeKey(n.id), form)
		if n.leg != nil {
			n.wrote(form)
		}
	}
	if n.fresh {
		m.live++
	}
	if n.fresh || n.spent || n.due.at < n.stored.at || n.due.leg != n.stored.leg {
		m.set = append(m.set, alarm{n.id, n.due})
	}
	n.stored, n.fresh, n.spent, n.changed = n.due, false, false, false
}

// Take drains the effects since the last Take. They stay valid until the
// machine is used again.
func (m *Machine) Take() Effects {
	taken := m.effects
	m.effects = Effects{}
	return taken
}

// Commit makes the transaction at hand the machine's state: all that it wrote is
// durable.
func (m *Machine) Commit() {
	for _, a := range m.set {
		m.index.push(a.id, a.timer)
	}
	m.set, m.woken, m.stable = m.set[:0], m.woken[:0], m.live
	m.open = emptied(m.open)
	m.nodes.settled()
}

// Abort forgets the transaction at hand, whose writes the state has undone already. It
// costs what the transaction touched: that is read anew, and what it took out of the index
// goes in again, as it is stored.
func (m *Machine) Abort() error {
	if !(controls && m.control.KeepTouched) {
		for _, n := range m.open {
			m.nodes.drop(n)
		}
		for _, n := range m.touched {
			m.nodes.drop(n)
		}
	}
	m.forget()
	m.set, m.live = m.set[:0], m.stable
	for _, id := range m.woken {
		if b := m.state.Get(m.nodeKey(id)); b != nil && !(controls && m.control.SleepOn) {
			m.enter(id, b)
		}
	}
	m.woken = m.woken[:0]
	return m.unreadable
}

// Rebuild makes the index from all that is stored, after a restore.
func (m *Machine) Rebuild(all iter.Seq2[[]byte, []byte]) error {
	m.nodes = newCache(m.nodes.keep)
	m.forget()
	m.index, m.set, m.woken, m.live = index{}, nil, nil, 0
	for key, value := range all {
		m.load(key, value)
	}
	m.stable = m.live
	return m.unreadable
}

// forget drops what the transaction at hand is about.
func (m *Machine) forget() {
	m.touched, m.open, m.queue, m.effects = emptied(m.touched), emptied(m.open), emptied(m.queue), Effects{}
	m.unreadable = nil
}

// emptied is an empty list in the memory of another, which keeps no node alive.
func emptied(nodes []*node) []*node {
	clear(nodes)
	return nodes[:0]
}

// load indexes what is stored under a key. A kind of key that is not known is that
// of a newer program, which this one would leave out of all it does.
func (m *Machine) load(key, value []byte) {
	var id call.NodeID
	switch {
	case len(key) < 1+len(id):
		m.fail("key of", id, codec.ErrCorrupt)
		return
	case key[0] == keyIDs, key[0] == keyMembers:
		return
	case key[0] != keyNode:
		m.fail("key of", call.NodeID(key[1:1+len(id)]), codec.ErrNewerState)
		return
	}
	copy(id[:], key[1:])
	m.live++
	m.enter(id, value)
}

// enter puts a stored node into the index, by the head of its form.
func (m *Machine) enter(id call.NodeID, form []byte) {
	due, err := header(form)
	if err != nil {
		m.fail("node", id, err)
		return
	}
	m.index.push(id, due)
}

// Open is the number of nodes held, stubs included.
func (m *Machine) Open() int { return m.live }
