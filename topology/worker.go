package topology

import (
	"errors"
	"fmt"
	"slices"

	"callstitch/processor/call"
)

// Task is the work that one partition is: a DecodeTask for a partition of a source,
// a StitchTask for one of the exchange. Only a Worker calls what is here, and so
// keeps its order: records, Finish, Tick, then Commit, which follows Sent, or Abort.
type Task interface {
	Reads() TopicPartition
	// Process takes one record of the partition. An error is not the record's fault:
	// it, or the state, was damaged or written by a newer program.
	Process(r Record, fx *Effects) error
	// Finish ends the task's part of a transaction. More says that timers are due
	// still, for the next one.
	Finish(fx *Effects) (more bool, err error)
	// Tick adds to a tick what the task has to tell; idle and heard are those of
	// DecodeTask.Progress.
	Tick(k *Tick, idle bool, heard call.Arrival)
	// Metadata is kept beside the committed offset of the partition.
	Metadata() string
	// Sent tells the offset of an envelope whose From is this task.
	Sent(e Envelope, offset int64)
	// Commit makes the transaction durable; position is the next offset after it.
	Commit(position int64)
	// Abort goes back to the last Commit.
	Abort() error
	// Pending is the number of bytes of state that the open transaction has written.
	Pending() int
	Report() Report
}

// The nodes of the topology that have tasks.
const (
	DecodeNode = "decode"
	StitchNode = "stitch"
)

// Report is what operators are told of a task. What does not concern its kind is
// zero.
type Report struct {
	Node string // DecodeNode or StitchNode

	Totals  Totals           // of a decode task, since the generation began
	Ignored map[string]int64 // of a decode task: ignored records by kind
	Arrival call.Arrival     // of a decode task: its partition's clock; call.Unheard before it is known
	Vouched call.Arrival     // of a decode task: the latest time that it has told of its partition; call.Unheard before
	Dropped int64            // of a decode task: when its partition was dropped from the clock, epoch ms; 0: it is in it

	LegClock, SessionClock call.Arrival   // of a stitch task; call.Unheard before they are known
	HeldBy                 TopicPartition // the source partition that holds the leg clock
	Nodes, Keys, Bytes     int            // that are kept
	Counts                 Counts
	Replayed               int64 // records skipped because the state had them
}

// Worker is the tasks of one member of the group, and the one transaction that is
// open over them. It is the part of a runtime that must be the same in all of them,
// so that the tests under the adversary prove the order that production runs:
//
//	Add, Remove           between two transactions
//	Process, Pass         the transaction: what was read
//	Work                  tasks take it, now and then
//	Finish                once: timers, changelog, and a tick behind all events
//	Commit or Abort       what became of it
//
// The runtime makes Effects and Offsets durable together between Finish and Commit;
// it may begin with the effects before. A call that is out of its turn panics.
//
// The runtime's Loop may run tasks at once. In each phase of Work and Finish a task
// changes nothing but itself, and looks only at what other tasks do not change in it: where
// they stood when their records came. Effects come in the order of the tasks all the same.
//
// A transaction touches the tasks that it has records for, those whose timers are
// due, and with a tick all of them. Each one's offset is committed with it, moved or
// not: the group refuses the commit of a member that has lost a partition, and so
// nobody writes the state of what is not his.
type Worker struct {
	cfg    *Config
	loop   Loop
	tasks  []*owned // by partition
	stitch []*owned // those that can be handed events, by exchange partition; nil where it has none
	last   *owned   // the one found last: records come in runs of one partition

	fx       Effects
	touched  []*owned // by the open transaction
	ways     Ways     // of its events
	finished bool     // the open transaction only waits for its end

	control control
}

// owned is a task and how far it is.
type owned struct {
	Task
	at       TopicPartition
	position int64 // next offset, as of what was processed
	stable   int64 // the same, as of the last Commit
	touched  bool  // by the open transaction
	more     bool  // its timers are due still

	inbox []Record // to be worked on
	fx    Effects  // of the work at hand
	err   error    // with which it failed

	// Of a source partition:
	route *route
	given [][]Decoded // to be handed over, by exchange partition
	ways  Ways        // of the work at hand
	arena arena       // of events for the exchange
}

// NewWorker is a worker without tasks.
func NewWorker(cfg *Config, loop Loop) *Worker {
	return &Worker{cfg: cfg, loop: loop, stitch: make([]*owned, cfg.ExchangePartitions)}
}

// Add takes a task in, whose partition was read up to position.
func (w *Worker) Add(t Task, position int64) {
	w.turn("Add", !w.open())
	i, found := w.search(t.Reads())
	if found {
		panic(fmt.Sprintf("topology: two tasks of %s in one worker", t.Reads()))
	}
	o := &owned{Task: t, at: t.Reads(), position: position, stable: position}
	w.tasks = slices.Insert(w.tasks, i, o)
	if _, ok := t.(receiver); ok {
		w.stitch[o.at.Partition] = o
	} else {
		o.given = make([][]Decoded, w.cfg.ExchangePartitions)
	}
}

// Remove drops the task of a partition, if there is one, with all that it holds.
func (w *Worker) Remove(p TopicPartition) {
	w.turn("Remove", !w.open())
	w.last = nil
	if i, found := w.search(p); found {
		if j := slices.Index(w.stitch, w.tasks[i]); j >= 0 {
			w.stitch[j] = nil
		}
		w.tasks = slices.Delete(w.tasks, i, i+1)
	}
}

// Process takes a record, to be worked on by the next Work. That of a partition which
// has no task here is an error of the runtime.
func (w *Worker) Process(r Record) error {
	o, err := w.reading(TopicPartition{r.Topic, r.Partition}, r.Offset)
	if err != nil {
		return err
	}
	o.inbox = append(o.inbox, r)
	return nil
}

// Pass goes over an offset at which there is no record for the task, such as the
// marker of a transaction.
func (w *Worker) Pass(p TopicPartition, offset int64) error {
	_, err := w.reading(p, offset)
	return err
}

// reading touches the task of a partition that is read at an offset.
func (w *Worker) reading(p TopicPartition, offset int64) (*owned, error) {
	w.turn("Process", !w.finished)
	o := w.of(p)
	if o == nil {
		return nil, fmt.Errorf("read %s at %d, for which there is no task here", p, offset)
	}
	w.touch(o)
	o.position = offset + 1
	return o, nil
}

// node is the node of the topology that a task belongs to.
func (w *Worker) node(o *owned) string {
	if o.at.Topic == w.cfg.ExchangeTopic() {
		return StitchNode
	}
	return DecodeNode
}

// Effects is what the open transaction asks for so far. It grows with each call, and
// is empty again after Commit and Abort.
func (w *Worker) Effects() *Effects { return &w.fx }

// Offset is what a transaction commits for one partition.
type Offset struct {
	TopicPartition
	Next     int64 // offset to be read next
	Metadata string
}

// Offsets are those of the tasks that the open transaction has touched, to be
// committed with its effects.
func (w *Worker) Offsets() []Offset {
	offsets := make([]Offset, len(w.touched))
	for i, o := range w.touched {
		offsets[i] = Offset{o.at, o.position, o.Metadata()}
	}
	return offsets
}

// Commit makes the finished transaction the tasks' state: its effects and offsets
// are durable. Sent is the offset in the exchange of each envelope of the effects.
func (w *Worker) Commit(sent func(i int) int64) {
	w.turn("Commit", w.finished)
	exchange := w.cfg.ExchangeTopic()
	ends := make([]int64, w.cfg.ExchangePartitions)
	for i, e := range w.fx.Exchange {
		at := sent(i)
		ends[e.Partition] = max(ends[e.Partition], at+1)
		if e.From >= 0 {
			w.of(TopicPartition{exchange, e.From}).Sent(e, at)
		}
	}
	w.each(w.touched, func(o *owned) {
		o.stable = o.position
		o.route.committed(ends)
		o.Commit(o.position)
	})
	w.end()
}

// Abort drops the open transaction: nothing of it is durable. What was due before is
// due again.
func (w *Worker) Abort() error {
	w.each(w.touched, func(o *owned) {
		o.position, o.more = o.stable, true
		o.inbox = emptied(o.inbox)
		o.settle()
		o.route.aborted()
		o.err = o.Abort()
	})
	var errs []error
	for _, o := range w.touched {
		errs = append(errs, o.err)
	}
	w.end()
	return errors.Join(errs...)
}

// More reports whether timers are due: the next transaction should not wait for
// records.
func (w *Worker) More() bool {
	return slices.ContainsFunc(w.tasks, func(o *owned) bool { return o.more })
}

// Empty reports whether the worker has no task.
func (w *Worker) Empty() bool { return len(w.tasks) == 0 }

// Pending is the number of bytes of state that the open transaction has written. A
// runtime ends a transaction early where it grows large.
func (w *Worker) Pending() (n int) {
	for _, o := range w.touched {
		n += o.Pending()
	}
	return n
}

// Position is the next offset of a partition to be processed; false where it has no
// task here.
func (w *Worker) Position(p TopicPartition) (next int64, ok bool) {
	o := w.of(p)
	if o == nil {
		return 0, false
	}
	return o.position, true
}

// settle forgets the effects that the worker has taken, and keeps their memory.
func (o *owned) settle() {
	o.fx.Reset()
	o.ways = Ways{}
}

func (w *Worker) touch(o *owned) {
	if !o.touched {
		o.touched = true
		w.touched = append(w.touched, o)
	}
}

// end is the end of a transaction, whichever.
func (w *Worker) end() {
	for _, o := range w.touched {
		o.touched, o.err = false, nil
	}
	w.touched, w.finished, w.ways = w.touched[:0], false, Ways{}
	w.fx.Reset()
}

func (w *Worker) open() bool { return w.finished || len(w.touched) > 0 }

// turn holds a call against the order that Worker describes.
func (w *Worker) turn(call string, its bool) {
	if !its {
		panic("topology: Worker." + call + " out of its turn")
	}
}

// of is the task of a partition, nil where it has none here.
func (w *Worker) of(p TopicPartition) *owned {
	if w.last != nil && w.last.at == p {
		return w.last
	}
	i, found := w.search(p)
	if !found {
		return nil
	}
	w.last = w.tasks[i]
	return w.last
}

func (w *Worker) search(p TopicPartition) (i int, found bool) {
	return slices.BinarySearchFunc(w.tasks, p, func(o *owned, p TopicPartition) int { return o.at.Compare(p) })
}
