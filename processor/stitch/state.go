package stitch

import (
	"encoding/binary"
	"fmt"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// The first byte of each kind of key in the state.
const (
	keyNode    = 'n'
	keyIDs     = 'd'
	keyMembers = 'm'
)

// nodeKey is a node's key, valid until the next key.
func (m *Machine) nodeKey(id call.NodeID) []byte {
	m.key = append(append(m.key[:0], keyNode), id[:]...)
	return m.key
}

// chunkKey is the key of a part of a node, valid until the next key.
func (m *Machine) chunkKey(kind byte, id call.NodeID, number int) []byte {
	m.key = append(append(m.key[:0], kind), id[:]...)
	m.key = binary.BigEndian.AppendUint16(m.key, uint16(number))
	return m.key
}

// write is the form of v, in memory of its own and of its size: states and
// messages keep it.
func (m *Machine) write(v codec.Value) []byte {
	m.codec.Write(m.written[:0])
	v.Visit(&m.codec)
	m.written = m.codec.Buf
	return append(make([]byte, 0, len(m.written)), m.written...)
}

// read reads v from b, which is what of that node.
func (m *Machine) read(b []byte, v codec.Value, what string, of call.NodeID) {
	m.codec.Read(b)
	v.Visit(&m.codec)
	if err := m.codec.Done(); err != nil {
		m.fail(what, of, err)
	}
}

// fail notes that something of a node could not be read.
func (m *Machine) fail(what string, of call.NodeID, err error) {
	if m.unreadable == nil {
		m.unreadable = fmt.Errorf("read %s %s: %w", what, of, err)
	}
}

// node finds the node, or makes it.
func (m *Machine) node(id call.NodeID) *node {
	if n := m.stored(id); n != nil {
		return n
	}
	n := m.nodes.nodes[id]
	if n == nil {
		n = m.nodes.begin(id)
		n.fresh = true
		m.nodes.add(n)
		m.touch(n)
	}
	if n.gone {
		*n = node{id: id, stored: n.stored, spent: true, touched: true}
	}
	return n
}

// stored finds the node, or nothing.
func (m *Machine) stored(id call.NodeID) *node {
	n := m.nodes.nodes[id]
	if n == nil {
		b := m.state.Get(m.nodeKey(id))
		if b == nil {
			return nil
		}
		n = m.parse(id, b)
		m.nodes.add(n)
	}
	m.touch(n)
	if n.gone {
		return nil
	}
	return n
}

// touch notes that a node is worked on.
func (m *Machine) touch(n *node) {
	if !n.touched {
		n.touched = true
		m.nodes.take(n)
		m.touched = append(m.touched, n)
	}
}

func (m *Machine) parse(id call.NodeID, b []byte) *node {
	n := m.nodes.begin(id)
	m.read(b, n, "node", id)
	n.stored = n.due
	return n
}

// changed marks a node to be stored, and to get its timer set.
func (m *Machine) changed(n *node) {
	n.changed = true
	m.wake(n)
}

// wake puts a node into the queue of those to evaluate.
func (m *Machine) wake(n *node) {
	if !n.queued {
		n.queued = true
		m.queue = append(m.queue, n)
	}
}

func (m *Machine) loadIDs(n *node) {
	for number := len(n.ids.full); number < int(n.ids.chunks); number++ {
		var chunk idList
		m.read(m.state.Get(m.chunkKey(keyIDs, n.id, number)), &chunk, "event ids of", n.id)
		n.ids.full = append(n.ids.full, chunk)
	}
}

func (m *Machine) remember(n *node, id knownID) {
	if full, number := n.ids.add(id); full != nil {
		chunk := idList(full)
		m.state.Put(m.chunkKey(keyIDs, n.id, int(number)), m.write(&chunk))
	}
}

func (m *Machine) loadMembers(n *node) {
	if len(n.members.all) == int(n.members.count) {
		return
	}
	for number := range n.members.chunks() {
		var chunk memberList
		m.read(m.state.Get(m.chunkKey(keyMembers, n.id, number)), &chunk, "members of", n.id)
		n.members.all = append(n.members.all, chunk...)
	}
	if len(n.members.all) != int(n.members.count) {
		m.fail("members of", n.id, codec.ErrCorrupt)
	}
}

func (m *Machine) flushMembers(n *node) {
	for number, dirty := range n.members.dirty {
		if dirty {
			chunk := n.members.chunk(number)
			m.state.Put(m.chunkKey(keyMembers, n.id, number), m.write((*memberList)(&chunk)))
			n.members.dirty[number] = false
		}
	}
}

// dropMembers forgets the members; the keys of chunks that were stored go too.
func (m *Machine) dropMembers(n *node) {
	for number := range n.members.chunks() {
		m.state.Put(m.chunkKey(keyMembers, n.id, number), nil)
	}
	n.members = memberSet{}
}

func (m *Machine) dropIDs(n *node) {
	for number := range int(n.ids.chunks) {
		m.state.Put(m.chunkKey(keyIDs, n.id, number), nil)
	}
	n.ids = idSet{}
}
