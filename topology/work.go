package topology

import (
	"fmt"
	"slices"

	"callstitch/processor/call"
)

// Loop calls do with 0 to n-1, each once, in any order and maybe several at once, and
// returns when all calls have. A runtime brings one that uses its cores.
type Loop func(n int, do func(i int))

// InOrder is the loop of one core.
func InOrder(n int, do func(i int)) {
	for i := range n {
		do(i)
	}
}

// Seen tells what a runtime has seen of a source partition, as DecodeTask.Progress
// takes it.
type Seen func(TopicPartition) (idle bool, heard call.Arrival)

// preparer is a task that can do part of Process before the record's turn: a DecodeTask.
type preparer interface {
	Prepare(r *Record)
}

// Prepare does what processing some records needs no state for: to decode them. Each
// slice is of one partition, and no two of the same. It may be called at any time that a
// runtime has for it, while a transaction is being committed too; Process takes the
// records in their turn, or they are dropped.
func (w *Worker) Prepare(all [][]Record) {
	w.loop(len(all), func(i int) {
		j, found := w.search(TopicPartition{all[i][0].Topic, all[i][0].Partition})
		if !found {
			return
		}
		if t, ok := w.tasks[j].Task.(preparer); ok {
			for k := range all[i] {
				t.Prepare(&all[i][k])
			}
		}
	})
}

// Work has the tasks take what was read since the last Work: what is further on its way
// goes before what is new. An error is that of Task.Process, of the first task that has
// one.
func (w *Worker) Work() error {
	w.turn("Work", !w.finished)
	w.each(w.touched, w.takeInbox)
	w.handOver()
	return w.gather()
}

// Finish ends the transaction's work. A tick, where seen is not nil, speaks for all
// tasks. What it says of source partitions follows their events, on whichever way they
// go: it vouches for what is before it.
func (w *Worker) Finish(seen Seen) error {
	if err := w.Work(); err != nil {
		return err
	}
	w.finished = true
	for _, o := range w.tasks {
		if o.more || seen != nil {
			w.touch(o)
		}
	}
	w.each(w.touched, w.finishDecode)
	w.handOver()
	var tick Tick
	var rest [][]Progress
	if seen != nil {
		w.tick(DecodeNode, seen, &tick)
		rest = w.tell(tick.Progress)
	}
	w.each(w.touched, w.finishStitch)
	if err := w.gather(); err != nil || seen == nil {
		return err
	}
	w.tick(StitchNode, seen, &tick)
	for j, progress := range rest {
		tick.Progress = progress
		w.fx.Exchange = append(w.fx.Exchange, tick.EnvelopeFor(w.cfg, int32(j)))
	}
	return nil
}

// each does something with each of some tasks.
func (w *Worker) each(tasks []*owned, do func(*owned)) {
	w.loop(len(tasks), func(i int) { do(tasks[i]) })
}

// takeInbox has a task process its records. Events of a decode task go on their way.
func (w *Worker) takeInbox(o *owned) {
	for _, r := range o.inbox {
		if o.err = o.Process(r, &o.fx); o.err != nil {
			return
		}
	}
	o.inbox = emptied(o.inbox)
	if to, ok := o.Task.(receiver); ok {
		to.Emit(&o.fx)
		return
	}
	w.dispatch(o)
}

func (w *Worker) finishDecode(o *owned) {
	if w.node(o) == DecodeNode && o.err == nil {
		o.more, o.err = o.Finish(&o.fx)
		w.dispatch(o)
	}
}

func (w *Worker) finishStitch(o *owned) {
	if w.node(o) == StitchNode && o.err == nil {
		o.more, o.err = o.Finish(&o.fx)
	}
}

// tick adds the word of each task of a node.
func (w *Worker) tick(node string, seen Seen, k *Tick) {
	for _, o := range w.tasks {
		if w.node(o) == node {
			idle, heard := seen(o.at)
			o.Tick(k, idle && !o.held(), heard)
		}
	}
}

// gather puts the effects of all tasks together, in the order of the tasks. The error is
// the first one's, and what there is then is of no use.
func (w *Worker) gather() error {
	for _, o := range w.tasks {
		if o.err != nil {
			return o.err
		}
		w.fx.Exchange = append(w.fx.Exchange, o.fx.Exchange...)
		w.fx.Outputs = append(w.fx.Outputs, o.fx.Outputs...)
		w.fx.Changelog = append(w.fx.Changelog, o.fx.Changelog...)
		w.ways.Memory += o.ways.Memory
		w.ways.Exchange += o.ways.Exchange
		o.settle()
	}
	return nil
}

// handOver has stitch tasks take the events that are for them.
func (w *Worker) handOver() {
	if !slices.ContainsFunc(w.touched, func(o *owned) bool { return o.ways.Memory > 0 }) {
		return
	}
	for _, from := range w.tasks {
		for j := range from.given {
			if len(from.given[j]) > 0 {
				w.touch(w.stitch[j])
			}
		}
	}
	w.each(w.touched, w.takeHanded)
	for _, from := range w.tasks {
		for j := range from.given {
			from.given[j] = emptied(from.given[j])
		}
	}
}

// takeHanded has a stitch task take the events that decode tasks hand over, those of each
// in their order.
func (w *Worker) takeHanded(o *owned) {
	to, ok := o.Task.(receiver)
	if !ok || o.err != nil {
		return
	}
	for _, from := range w.tasks {
		if from.given == nil {
			continue
		}
		for _, d := range from.given[o.at.Partition] {
			if err := to.TakeEvent(d); err != nil {
				o.err = fmt.Errorf("hand over an event of %s offset %d: %w", from.at, d.Event.Source.Offset, err)
				return
			}
		}
	}
	to.Emit(&o.fx)
}
