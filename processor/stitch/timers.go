package stitch

import (
	"container/heap"

	"callstitch/processor/call"
)

// timer is when a node is looked at next: on the leg clock or the session clock.
type timer struct {
	at  int64
	leg bool
}

// index finds the nodes that are due. It is derived from the stored nodes,
// never stored itself: for each node it holds an entry no later than the node is
// due, so an entry that comes up early is put back and one whose node is gone
// is dropped. A node whose timer only moved later costs nothing here.
type index struct {
	legClock, sessionClock entries
}

type entry struct {
	at int64
	id call.NodeID
}

type entries []entry

func (e entries) Len() int { return len(e) }

// Less breaks ties by id, so that the order never depends on history.
func (e entries) Less(i, j int) bool {
	if e[i].at != e[j].at {
		return e[i].at < e[j].at
	}
	return e[i].id.Less(e[j].id)
}
func (e entries) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *entries) Push(x any)   { *e = append(*e, x.(entry)) }
func (e *entries) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (x *index) push(id call.NodeID, t timer) {
	if t.leg {
		heap.Push(&x.legClock, entry{t.at, id})
	} else {
		heap.Push(&x.sessionClock, entry{t.at, id})
	}
}

// pop takes the next node that is due by now.
func (x *index) pop(now Clocks) (id call.NodeID, ok bool) {
	if id, ok = popDue(&x.sessionClock, now.Session); ok {
		return id, true
	}
	return popDue(&x.legClock, now.Leg)
}

func popDue(e *entries, now int64) (id call.NodeID, ok bool) {
	if len(*e) == 0 || (*e)[0].at > now {
		return id, false
	}
	due := heap.Pop(e).(entry)
	for len(*e) > 0 && (*e)[0] == due {
		heap.Pop(e)
	}
	return due.id, true
}

// due says whether any node is due by now.
func (x *index) due(now Clocks) bool {
	return len(x.sessionClock) > 0 && x.sessionClock[0].at <= now.Session ||
		len(x.legClock) > 0 && x.legClock[0].at <= now.Leg
}
