package stitch

import (
	"bytes"
	"encoding/binary"
	"slices"

	"callstitch/processor/call"
)

// timer is when a node is looked at next: on the leg clock or the session clock.
type timer struct {
	at  call.Arrival
	leg bool
}

// alarm is a node with its timer.
type alarm struct {
	id call.NodeID
	timer
}

// index finds the nodes that are due. It is derived from the stored nodes,
// never stored itself: for each node it holds an entry no later than the node is
// due, so an entry that comes up early is put back and one whose node is gone
// is dropped. A node whose timer only moved later costs nothing here.
type index struct {
	legClock, sessionClock entries
}

// entry is when, and then who, as bytes in the order of both: ties are broken by id, so
// that the order never depends on history. There are one or two for each node held, so
// nothing in them is wasted.
type entry [8 + len(call.NodeID{})]byte

func newEntry(id call.NodeID, at call.Arrival) (e entry) {
	binary.BigEndian.PutUint64(e[:8], uint64(at)^1<<63)
	copy(e[8:], id[:])
	return e
}

func (e *entry) at() call.Arrival { return call.Arrival(binary.BigEndian.Uint64(e[:8]) ^ 1<<63) }

func (e *entry) id() call.NodeID { return call.NodeID(e[8:]) }

func (e *entry) less(o *entry) bool {
	if a, b := e.at(), o.at(); a != b {
		return a < b
	}
	return bytes.Compare(e[8:], o[8:]) < 0
}

// entries is a binary heap: container/heap would allocate for each entry. It takes less
// memory again when most of its entries are gone.
type entries []entry

func (e *entries) push(x entry) {
	*e = append(*e, x)
	h := *e
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h[i].less(&h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

// pop takes the first of at least one.
func (e *entries) pop() entry {
	h := *e
	first, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	if last < cap(h)/4 {
		h = slices.Clone(h)
	}
	*e = h
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h[child].less(&h[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

func (x *index) push(id call.NodeID, t timer) {
	if t.leg {
		x.legClock.push(newEntry(id, t.at))
	} else {
		x.sessionClock.push(newEntry(id, t.at))
	}
}

// pop takes the next node that is due by now.
func (x *index) pop(now Clocks) (id call.NodeID, ok bool) {
	if id, ok = popDue(&x.sessionClock, now.Session); ok {
		return id, true
	}
	return popDue(&x.legClock, now.Leg)
}

func popDue(e *entries, now call.Arrival) (id call.NodeID, ok bool) {
	if len(*e) == 0 || (*e)[0].at() > now {
		return id, false
	}
	due := e.pop()
	for len(*e) > 0 && (*e)[0] == due {
		e.pop()
	}
	return due.id(), true
}

// due reports whether any node is due by now.
func (x *index) due(now Clocks) bool {
	return len(x.sessionClock) > 0 && x.sessionClock[0].at() <= now.Session ||
		len(x.legClock) > 0 && x.legClock[0].at() <= now.Leg
}
