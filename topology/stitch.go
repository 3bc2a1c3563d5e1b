package topology

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"

	"callstitch/processor/call"
	"callstitch/processor/codec"
	"callstitch/processor/number"
	"callstitch/processor/stitch"
	"callstitch/schemas"
)

// StitchTask owns the nodes of one exchange partition, their clocks, and the
// books of the source partitions whose name hashes there. All of it is in its
// store and so in the changelog: another owner takes it up from there.
type StitchTask struct {
	cfg       *Config
	partition int32
	raw       map[string]int32 // partitions of each source topic

	store   *Store
	machine *stitch.Machine
	local   []stitch.Message // to this task's own nodes, first in first out
	arena   arena

	clocks   clocks
	flight   flight
	accounts map[TopicPartition]*account
	books    map[TopicPartition]*book

	position int64        // next exchange offset; records below it are in the state already
	held     call.Arrival // what the last owner's clock was held to
	ends     []int64      // until all tasks are past these, its messages may be in flight; nil then
	said     Clock        // as of the last commit

	replayed int64 // records skipped because the state has them

	numbers *number.Writer // of outputs; of nothing that is kept or sent between tasks
	trace   func(Step)     // nil where nobody asked

	control control
}

// decodedLegs is how many legs all tasks of an application together keep decoded, some
// 2 to 3 kB each: 50 MB at most, and less where instances share them. With 300 calls a
// second more than half of the nodes that are touched were touched so lately; four times
// as many legs spare the rest of the reading, and cost as much again in marking.
const decodedLegs = 16_384

// NewStitchTask is the task of one exchange partition with an empty store.
// Raw gives the partition count of each source topic: the leg clock waits for
// all of them.
func NewStitchTask(cfg *Config, partition int32, raw map[string]int32) *StitchTask {
	t := &StitchTask{cfg: cfg, partition: partition, raw: raw, store: NewStore(), numbers: cfg.Numbers.Writer()}
	t.flight = make(flight, cfg.ExchangePartitions)
	t.machine = stitch.New(cfg.Stitch, t.store, decodedLegs/int(cfg.ExchangePartitions))
	if err := t.Restored(nil); err != nil {
		panic(err) // an empty store cannot be corrupt
	}
	return t
}

// Reads is the partition of the exchange whose nodes the task owns.
func (t *StitchTask) Reads() TopicPartition {
	return TopicPartition{t.cfg.ExchangeTopic(), t.partition}
}

// Sources tells the task the partition counts of the source topics anew, after
// a topic grew. A new partition holds the leg clock where it is until it is
// heard.
func (t *StitchTask) Sources(raw map[string]int32) {
	t.raw = raw
	t.clocks.configure(raw)
}

// Process takes one exchange record. An error is not the record's fault: the
// record, or the state, was damaged or written by a newer program.
func (t *StitchTask) Process(r Record, fx *Effects) error {
	if r.Offset < t.position {
		t.replayed++
		return nil
	}
	t.position = r.Offset + 1
	if err := t.process(r, fx); err != nil {
		return fmt.Errorf("process %s-%d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	return nil
}

func (t *StitchTask) process(r Record, fx *Effects) error {
	if len(r.Value) == 0 {
		return codec.ErrCorrupt
	}
	switch r.Value[0] {
	case eventKind:
		e, arrival, err := parseEvent(r.Value)
		if err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		return t.TakeEvent(Decoded{e, arrival})
	case messageKind:
		m, err := parseMessage(r.Key, r.Value)
		if err != nil {
			return fmt.Errorf("read a message: %w", err)
		}
		return t.machine.Receive(m)
	case tickKind:
		k, err := parseTick(r.Value)
		if err != nil {
			return fmt.Errorf("read a tick: %w", err)
		}
		return t.tick(k, fx)
	default:
		return unknownKind(r.Value[0])
	}
}

// TakeEvent hands an event to its leg, in whichever way it came. A partition that
// seemed idle may deliver an old timestamp; what the event causes now must still hold
// the clock back, so its trig lies beyond the clock.
func (t *StitchTask) TakeEvent(d Decoded) error {
	e, trig := d.Event, d.Arrival
	if t.clocks.leg != call.Unheard && !(controls && t.control.trigFromArrival) {
		trig = max(trig, t.clocks.leg+1)
	}
	source := TopicPartition{e.Source.Topic, e.Source.Partition}
	r, outcome, err := t.machine.Event(e, d.Arrival, trig)
	if err != nil {
		return err
	}
	t.account(source).count(outcome)
	if t.trace != nil {
		t.trace(Step{r, outcome})
	}
	return nil
}

// TakeProgress takes in how far source partitions have come, behind all of their events
// that were before that, in whichever way it came.
func (t *StitchTask) TakeProgress(all []Progress) {
	for _, p := range all {
		if _, ok := t.raw[p.Source.Topic]; ok {
			t.clocks.progress(p.Source, p.Time)
		}
		t.account(p.Source).progress(p, t.partition)
	}
	t.clocks.settle()
}

func (t *StitchTask) tick(k *Tick, fx *Effects) error {
	t.TakeProgress(k.Progress)
	for _, c := range k.Clocks {
		if c.Task < 0 || c.Task >= t.cfg.ExchangePartitions {
			return codec.ErrCorrupt
		}
		t.hear(c)
	}
	for _, a := range k.Answers {
		if a.Task < 0 || a.Task >= t.cfg.ExchangePartitions {
			return codec.ErrCorrupt
		}
		t.enter(a, fx)
	}
	t.clocks.settle()
	return nil
}

// hear takes in another task's clock, or this one's own. The latest counts, not
// the largest: a clock goes back where a new message holds it.
func (t *StitchTask) hear(c Clock) {
	told := &t.clocks.tasks[c.Task]
	if controls && t.control.largestClock {
		c.Time = max(c.Time, told.time)
	}
	*told = taskClock{c.Time, c.Position}
	t.flight.acknowledge(c.Task, c.Position)
}

// enter writes an answer into its book, and publishes the page that it closed.
func (t *StitchTask) enter(a Answer, fx *Effects) {
	b := t.book(a.Source)
	closed := b.answer(a, t.cfg.ExchangePartitions)
	t.store.Put(sourceKey(bookKey, a.Source), codec.Append(nil, b))
	if closed != nil {
		fx.Outputs = append(fx.Outputs, Output{Key: []byte(a.Source.String()), Value: audit(a.Source, closed)})
	}
}

// settleLimit bounds the timers of one transaction. One that fires costs about
// as much as an event; the rest waits for the next transaction.
const settleLimit = 2_000

// Finish ends a batch: messages between own nodes are delivered, what is due by
// the clocks is published, and the changes of the state go to the changelog.
// More says that further timers are due, for the next transaction. An error is the
// state's, as that of Process.
func (t *StitchTask) Finish(fx *Effects) (more bool, err error) {
	if err := t.deliver(fx); err != nil {
		return false, t.failed(err)
	}
	more, err = t.machine.Settle(stitch.Clocks{Leg: t.clocks.leg, Session: t.clocks.session}, settleLimit)
	if err != nil {
		return false, t.failed(err)
	}
	if err := t.deliver(fx); err != nil {
		return false, t.failed(err)
	}
	t.machine.Flush()
	t.record()
	fx.Changelog = t.store.appendChanges(fx.Changelog, t.partition, &t.arena)
	return more, nil
}

func (t *StitchTask) failed(err error) error {
	return fmt.Errorf("stitch task %d: %w", t.partition, err)
}

// deliver takes the machine's effects until no message to an own node is left.
func (t *StitchTask) deliver(fx *Effects) error {
	for {
		t.emit(t.machine.Take(), fx)
		if len(t.local) == 0 {
			return nil
		}
		for _, m := range t.local {
			if err := t.machine.Receive(m); err != nil {
				return err
			}
		}
		t.local = t.local[:0]
	}
}

// Emit gives what the task's nodes send and publish so far. The rest follows with Finish.
func (t *StitchTask) Emit(fx *Effects) { t.emit(t.machine.Take(), fx) }

func (t *StitchTask) emit(of stitch.Effects, fx *Effects) {
	for _, m := range of.Messages {
		t.send(m, fx)
	}
	for _, e := range of.Events {
		t.publish(e.Leg, e, fx)
	}
	for _, s := range of.Sessions {
		t.publish(s.ID, s, fx)
	}
	for _, s := range of.Settled {
		t.publish(s.ID, call.Settled{Session: s}, fx)
	}
	for _, l := range of.Legs {
		t.publish(l.ID, l, fx)
	}
	for _, e := range of.Conflicts {
		fx.Outputs = append(fx.Outputs, conflicting(t.numbers.Rejected(e)))
	}
}

// publish makes an output of a value of the domain, with numbers as readers may see them.
func (t *StitchTask) publish(key call.LegID, value call.Output, fx *Effects) {
	fx.Outputs = append(fx.Outputs, Output{t.hexKey(key), t.numbers.Output(value)})
}

func (t *StitchTask) send(m stitch.Message, fx *Effects) {
	p := Partition(m.To[:], t.cfg.ExchangePartitions)
	if p == t.partition {
		t.local = append(t.local, m)
		return
	}
	t.flight.send(p, m.Trig)
	fx.Exchange = append(fx.Exchange, Envelope{
		Partition: p,
		Key:       t.arena.keep(append(t.arena.room(), m.To[:]...)),
		Value:     t.arena.keep(appendMessage(t.arena.room(), m)),
		From:      t.partition,
		Trig:      m.Trig,
	})
}

func (t *StitchTask) hexKey(id call.LegID) []byte {
	return t.arena.keep(hex.AppendEncode(t.arena.room(), id[:]))
}

// reached is how far the task has both got and been acknowledged. It goes back
// where a new message holds it.
func (t *StitchTask) reached() call.Arrival {
	r := t.clocks.leg
	if least := t.flight.earliest(); least != math.MaxInt64 && !(controls && t.control.ignoreFlight) {
		r = min(r, least-1)
	}
	if !t.settled() && !(controls && t.control.ignoreEnds) {
		r = min(r, t.held)
	}
	return r
}

// settled reports whether every task is past what a last owner may have sent it.
func (t *StitchTask) settled() bool {
	for i, end := range t.ends {
		if t.clocks.tasks[i].position < end {
			return false
		}
	}
	return true
}

// Clock is the task's clock as of its last commit, for a tick.
func (t *StitchTask) Clock() Clock { return t.said }

// Tick adds to a tick the task's clock and its answers that are due.
func (t *StitchTask) Tick(k *Tick, _ bool, _ call.Arrival) {
	k.Clocks = append(k.Clocks, t.Clock())
	k.Answers = append(k.Answers, t.Answers()...)
}

// Metadata is empty: the task's state is in the changelog.
func (t *StitchTask) Metadata() string { return "" }

// Answering reports whether answers are due for the next tick.
func (t *StitchTask) Answering() bool {
	for _, a := range t.accounts { // order: any answers
		if len(a.due) > 0 {
			return true
		}
	}
	return false
}

// Answers are the task's answers that are due, for the next tick.
func (t *StitchTask) Answers() (due []Answer) {
	for _, a := range t.accounts { // order: sorted below, or a sum that has none
		due = append(due, a.due...)
		a.due = a.due[:0]
	}
	slices.SortStableFunc(due, func(a, b Answer) int { return a.Source.Compare(b.Source) })
	return due
}

// Sent tells the offset that a message, an envelope whose From is this task, got in
// the exchange: of all messages of a transaction, before its Commit, in their order.
func (t *StitchTask) Sent(e Envelope, offset int64) { t.flight.tell(e.Partition, offset) }

// Commit makes everything since the last Commit durable. Position is the next
// exchange offset after the transaction.
func (t *StitchTask) Commit(position int64) {
	t.flight.commit()
	t.store.Commit()
	t.machine.Commit()
	t.held = t.reached()
	if t.settled() {
		t.ends = nil
	}
	t.said = Clock{Task: t.partition, Time: t.held, Position: position}
}

// Abort goes back to the last Commit, and fails as a restore does. It costs what the
// transaction touched, not what the task holds.
func (t *StitchTask) Abort() error {
	t.flight.abort()
	t.store.Abort()
	if err := t.goBack(); err != nil {
		return t.failed(err)
	}
	return nil
}

// LegClock is the arrival time that all source partitions have
// passed; call.Unheard before all were heard.
func (t *StitchTask) LegClock() call.Arrival { return t.clocks.leg }

// SessionClock is the arrival time before which no message is in
// flight; call.Unheard before all tasks were heard.
func (t *StitchTask) SessionClock() call.Arrival { return t.clocks.session }

// Position is the next exchange offset that the state does not contain. A
// committed group offset beyond it means that the changelog lost records.
func (t *StitchTask) Position() int64 { return t.position }

// Pending is the number of bytes of state that the open transaction has
// written.
func (t *StitchTask) Pending() int { return t.store.Pending() }

// Report is what operators are told of the task.
func (t *StitchTask) Report() Report {
	held, _ := t.clocks.heldBy()
	return Report{
		Node: StitchNode, LegClock: t.clocks.leg, SessionClock: t.clocks.session, HeldBy: held.source,
		Nodes: t.machine.Open(), Keys: t.store.Len(), Bytes: t.store.Size(), Counts: t.Counts(), Replayed: t.replayed,
	}
}

// Counts is what the events of every source partition came to in this task.
func (t *StitchTask) Counts() (sum Counts) {
	for _, a := range t.accounts { // order: sorted below, or a sum that has none
		sum.Add(a.counts)
	}
	return sum
}

// conflicting is the reject of an event whose id came before with other
// content. Its raw bytes are in the source topic still.
func conflicting(e *call.EventRecord) Output {
	key := []byte(e.Leg.String())
	return Output{Key: key, Value: &call.Reject{
		Reason: call.RejectIDConflict,
		Detail: "an event with this id was accepted before with other content",
		Source: e.Source, Timestamp: e.IngestedAt, Key: key, Value: schemas.AppendJSON(nil, e),
	}}
}
