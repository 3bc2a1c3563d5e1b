package topology

import (
	"slices"

	"callstitch/processor/call"
)

// The way of events from the decode task of a source partition to a stitch task. Where
// both are tasks of one worker, and so in the same transactions, an event is handed over
// in memory, and so is how far the partition has come. To any other task both go through
// the exchange. What a stitch task sees of a source partition stays first in first out:
// the way opens only when nothing of the partition is under way in the exchange.
//
// A crash loses nothing: what an event did in the task that it was handed to commits with
// the offset of the record that it was decoded from, or not at all, and the record is read
// again. A new owner of either partition begins with the way closed. See
// "Hand-over inside a worker" in docs/protocol.md.

// receiver is a task that can be handed events: a StitchTask.
type receiver interface {
	TakeEvent(d Decoded) error
	TakeProgress(all []Progress)
	// Emit gives what has come of the events so far: a runtime can write it while it
	// gathers more.
	Emit(fx *Effects)
}

// Ways counts events by the way that they took to their stitch task.
type Ways struct{ Memory, Exchange int64 }

// Ways counts the events of the open transaction.
func (w *Worker) Ways() Ways { return w.ways }

// route is the ways from one source partition to all stitch tasks, by exchange partition.
type route struct {
	// through is where a task must have come to have seen all of the source partition
	// that went through the exchange.
	through []int64
	// sent says that the open transaction has written to the task: through moves on
	// when the offset is known.
	sent []bool
	held bool // by the runtime
}

// held reports whether the runtime holds the partition back.
func (o *owned) held() bool { return o.route != nil && o.route.held }

// wrote notes that the open transaction writes to a task.
func (r *route) wrote(to int32) {
	if r != nil {
		r.sent[to] = true
	}
}

// committed moves on behind what the transaction has written to each task: ends are
// the offsets after the last record of the worker.
func (r *route) committed(ends []int64) {
	if r == nil {
		return
	}
	for j, sent := range r.sent {
		if sent {
			r.through[j] = ends[j]
		}
	}
	clear(r.sent)
}

// aborted forgets what the transaction has written: nobody will read it.
func (r *route) aborted() {
	if r != nil {
		clear(r.sent)
	}
}

// Route lets the worker hand over what it reads of a source partition. Ends are the high
// watermarks of all exchange partitions (read uncommitted), asked for after the stable
// offset of the source partition was: all that others have sent of it lies below. A
// partition without a route goes through the exchange.
func (w *Worker) Route(p TopicPartition, ends []int64) {
	if o := w.of(p); o != nil {
		o.route = &route{through: slices.Clone(ends), sent: make([]bool, w.cfg.ExchangePartitions)}
	}
}

// Closed reports whether some stitch task of this worker has not come to where it could
// be handed what is read of a source partition.
func (w *Worker) Closed(p TopicPartition) bool {
	o := w.of(p)
	if o == nil || o.route == nil {
		return false
	}
	for j, to := range w.stitch {
		if to != nil && !w.near(o, int32(j)) {
			return true
		}
	}
	return false
}

// Hold says that the runtime brings no more records of a source partition for the moment,
// but those that it had already, so that its ways open: under steady traffic there is always something under
// way. What it has come to is not told to the tasks whose way is closed, either, and it
// is not idle. A runtime does not hold a partition for longer than some seconds: a task
// may stand still, and the others would wait with it.
func (w *Worker) Hold(p TopicPartition, held bool) {
	if o := w.of(p); o != nil && o.route != nil {
		o.route.held = held
	}
}

// near reports whether the way from a source partition to a stitch task is through
// memory.
func (w *Worker) near(from *owned, to int32) bool {
	r, st := from.route, w.stitch[to]
	switch {
	case r == nil || st == nil:
		return false
	case controls && w.control.handOverAtOnce:
		return true
	}
	return !r.sent[to] && st.position >= r.through[to]
}

// dispatch sends the events of a decode task on their way.
func (w *Worker) dispatch(from *owned) {
	for _, d := range from.fx.Decoded {
		node := call.LegNode(d.Event.Leg)
		to := Partition(node[:], w.cfg.ExchangePartitions)
		if w.near(from, to) {
			from.given[to] = append(from.given[to], d)
			from.ways.Memory++
		} else {
			from.send(to, node, d)
		}
	}
	from.fx.Decoded = emptied(from.fx.Decoded)
}

// send sends an event through the exchange.
func (o *owned) send(to int32, node call.NodeID, d Decoded) {
	o.fx.Exchange = append(o.fx.Exchange, Envelope{
		Partition: to,
		Key:       o.arena.keep(append(o.arena.room(), node[:]...)),
		Value:     o.arena.keep(appendEvent(o.arena.room(), d.Event, d.Arrival)),
		From:      -1,
	})
	o.route.wrote(to)
	o.ways.Exchange++
}

// tell tells the stitch tasks how far the source partitions have come, those to which the
// way is open. The rest is what is to go through the exchange, by its partition.
func (w *Worker) tell(progress []Progress) (rest [][]Progress) {
	rest = make([][]Progress, w.cfg.ExchangePartitions)
	for j := range rest {
		var near []Progress
		for _, p := range progress {
			from := w.of(p.Source)
			switch {
			case w.near(from, int32(j)) && !(controls && w.control.eventsOnly):
				near = append(near, p)
			case from.held() && w.stitch[j] != nil:
				// The way opens soon, and would not if more were sent.
			default:
				rest[j] = append(rest[j], p)
				if !(controls && w.control.eventsOnly) {
					from.route.wrote(int32(j))
				}
			}
		}
		if len(near) > 0 {
			w.stitch[j].Task.(receiver).TakeProgress(near)
		}
	}
	return rest
}
