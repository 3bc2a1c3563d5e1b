package stitch

import "callstitch/processor/call"

// cache holds nodes in decoded form: all that the machine works on, and, of the others,
// those that it worked on last. Reading a node's form is the dearest part of most steps,
// and a call's events come in bursts.
//
// A node that rests in the cache is what reading its stored form would give, so that
// only speed depends on which ones do.
type cache struct {
	nodes  map[call.NodeID]*node
	keep   int // what those that rest may weigh in all
	weight int // what they do
	oldest *node
	newest *node

	left []*room // of nodes that were dropped; effects of the open transaction may share their memory
	free []*room // empty ones: at most freeRooms
}

// freeRooms is how many rooms wait for new nodes: few, for most are taken again at once.
const freeRooms = 256

func newCache(keep int) cache { return cache{nodes: map[call.NodeID]*node{}, keep: keep} }

// weight is how many legs a node is as large as: it has its own, those of its members,
// and chunks of ids, which are smaller.
func (n *node) weight() int { return 1 + len(n.members.all) + len(n.ids.full) }

// begin is a node of which nothing is known.
func (c *cache) begin(id call.NodeID) *node {
	if !id.IsLeg() {
		return &node{id: id}
	}
	if last := len(c.free) - 1; last >= 0 {
		r := c.free[last]
		c.free = c.free[:last]
		return r.begin(id)
	}
	return new(room).begin(id)
}

// settled says that the effects of the transaction are used up. Rooms are emptied, with
// their short lists: what reads a form does not write what is absent from it.
func (c *cache) settled() {
	for _, r := range c.left[:min(len(c.left), freeRooms-len(c.free))] {
		*r = room{}
		c.free = append(c.free, r)
	}
	clear(c.left)
	c.left = c.left[:0]
}

// add takes in a node that is worked on.
func (c *cache) add(n *node) { c.nodes[n.id] = n }

// take takes a node out of those that rest, to be worked on.
func (c *cache) take(n *node) {
	if !n.rests {
		return
	}
	n.rests = false
	c.weight -= n.weight()
	if n.older != nil {
		n.older.newer = n.newer
	} else {
		c.oldest = n.newer
	}
	if n.newer != nil {
		n.newer.older = n.older
	} else {
		c.newest = n.older
	}
	n.older, n.newer = nil, nil
}

// rest puts a node that was worked on to rest.
func (c *cache) rest(n *node) {
	n.rests = true
	c.weight += n.weight()
	n.older = c.newest
	if c.newest != nil {
		c.newest.newer = n
	} else {
		c.oldest = n
	}
	c.newest = n
}

// shrink drops those that have rested longest, until the others are within the bound.
func (c *cache) shrink() {
	for c.weight > c.keep {
		c.drop(c.oldest)
	}
}

// drop forgets a node.
func (c *cache) drop(n *node) {
	c.take(n)
	if c.nodes[n.id] != n {
		return
	}
	delete(c.nodes, n.id)
	if n.room != nil && len(c.left) < freeRooms {
		c.left = append(c.left, n.room)
	}
}
