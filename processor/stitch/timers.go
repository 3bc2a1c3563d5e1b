package stitch

import "callstitch/processor/call"

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

type entry struct {
	at call.Arrival
	id call.NodeID
}

// less breaks ties by id, so that the order never depends on history.
func (e *entry) less(o *entry) bool {
	if e.at != o.at {
		return e.at < o.at
	}
	return e.id.Less(o.id)
}

// entries is a binary heap: container/heap would allocate for each entry.
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
		x.legClock.push(entry{t.at, id})
	} else {
		x.sessionClock.push(entry{t.at, id})
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
	if len(*e) == 0 || (*e)[0].at > now {
		return id, false
	}
	due := e.pop()
	for len(*e) > 0 && (*e)[0] == due {
		e.pop()
	}
	return due.id, true
}

// due reports whether any node is due by now.
func (x *index) due(now Clocks) bool {
	return len(x.sessionClock) > 0 && x.sessionClock[0].at <= now.Session ||
		len(x.legClock) > 0 && x.legClock[0].at <= now.Leg
}
