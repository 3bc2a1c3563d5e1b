package memory

import (
	"fmt"
	"math"
	"slices"
	"time"

	"callstitch/processor/call"
	"callstitch/topology"
)

// Config is the topology and how it is run.
type Config struct {
	topology.Config
	// BatchRecords is how many raw records make a commit; 0 means 1,000.
	// PARTIAL revisions are published at commits: with 1 every record gets its
	// chance of one.
	BatchRecords int
	// Trace is told what became of each event; nil for nobody.
	Trace func(topology.Step)
}

const batchRecords = 1_000

// idleAfter is how far, in arrival time, a source partition may fall behind the
// others before it no longer holds the clock. In files a partition ends without
// a word, and what it held would never be freed. A record that still comes is
// taken as any other; a session that was FINAL is amended.
const idleAfter = time.Hour

// Runtime runs the topology over the records that it is given. It is not safe
// for concurrent use.
type Runtime struct {
	cfg  Config
	emit func(topology.Output)

	sources map[topology.SourcePartition]*topology.DecodeTask
	order   []*topology.DecodeTask // the same, in the order of their first record
	topics  map[string]int32       // source topics; partitions count when they are heard
	tasks   []*topology.StitchTask
	queues  []queue

	batch   int // raw records in the open batch
	effects topology.Effects
	books   map[topology.SourcePartition]*call.Audit
	answers []topology.Answer // for the next tick
	end     int64             // where time stands after the end of the input; math.MinInt64 before
}

// queue is one exchange partition: the records that its task has not read yet.
type queue struct {
	records []topology.Record
	next    int64 // offset
}

// New makes a runtime that hands each output to emit, in order, once the batch
// that made it is complete. Emit does not keep the key or value beyond its call
// unless it copies the key.
func New(cfg Config, emit func(topology.Output)) *Runtime {
	if cfg.BatchRecords == 0 {
		cfg.BatchRecords = batchRecords
	}
	r := &Runtime{
		cfg: cfg, emit: emit,
		sources: map[topology.SourcePartition]*topology.DecodeTask{},
		topics:  map[string]int32{},
		queues:  make([]queue, cfg.ExchangePartitions),
		books:   map[topology.SourcePartition]*call.Audit{},
		end:     math.MinInt64,
	}
	for p := range cfg.ExchangePartitions {
		t := topology.NewStitchTask(&r.cfg.Config, p, r.topics)
		t.Trace(cfg.Trace)
		r.tasks = append(r.tasks, t)
	}
	return r
}

// Process takes one raw record. Topic and partitions need not be known before:
// a partition exists from its first record on, and a topic that is not among
// the sources is decoded as the first source is. A Timestamp of 0 says that the
// record has none, as a raw line; it then arrives at the largest provider
// instant read so far. The record's slices may be reused after the call.
func (r *Runtime) Process(rec topology.Record) error {
	outputs := len(r.effects.Outputs)
	r.source(rec.Topic, rec.Partition).Process(rec, &r.effects)
	for _, o := range r.effects.Outputs[outputs:] {
		keep(o.Value.(*call.Reject))
	}
	r.batch++
	if r.batch < r.cfg.BatchRecords {
		return nil
	}
	return r.commit()
}

// keep makes a reject independent of the record that it was.
func keep(reject *call.Reject) {
	reject.Key, reject.Value = slices.Clone(reject.Key), slices.Clone(reject.Value)
	reject.Headers = slices.Clone(reject.Headers)
	for i := range reject.Headers {
		reject.Headers[i].Value = slices.Clone(reject.Headers[i].Value)
	}
}

func (r *Runtime) source(topic string, partition int32) *topology.DecodeTask {
	at := topology.SourcePartition{Topic: topic, Partition: partition}
	if t := r.sources[at]; t != nil {
		return t
	}
	t := topology.NewDecodeTask(&r.cfg.Config, r.cfg.SourceOf(topic), partition)
	r.sources[at] = t
	r.order = append(r.order, t)
	if _, ok := r.topics[topic]; !ok {
		r.topics[topic] = 0
		for _, s := range r.tasks {
			s.Sources(r.topics)
		}
	}
	return t
}

// Commit ends the batch before it is full.
func (r *Runtime) Commit() error {
	if len(r.order) == 0 {
		return nil // not a single record
	}
	return r.commit()
}

// Advance commits, and then says that time has come to an instant, in epoch ms
// of arrival time, in every source partition: what is due by then is published.
func (r *Runtime) Advance(to int64) error {
	if err := r.Commit(); err != nil || len(r.order) == 0 {
		return err
	}
	r.end = max(r.end, to)
	return r.settle()
}

// Session is the session that a leg belongs to as of the last commit, whether
// or not it may be published yet; nil where nothing is known of the leg, or no
// longer.
func (r *Runtime) Session(leg call.LegID) *call.Session {
	for id := call.LegNode(leg); ; {
		task := r.tasks[topology.Partition(id[:], r.cfg.ExchangePartitions)]
		s, up := task.Look(id)
		if s != nil || up == (call.NodeID{}) {
			return s
		}
		id = up
	}
}

// commit ends the batch: its events are stitched, and the clocks move as far as
// the batch allows.
func (r *Runtime) commit() error {
	r.batch = 0
	r.flush(nil)
	for _, t := range r.order {
		t.Commit()
	}
	if err := r.drain(); err != nil {
		return err
	}
	return r.settle()
}

// flush makes the effects so far real: what is for the exchange gets its offset,
// outputs are handed out. From is the stitch task that they came from, if any.
func (r *Runtime) flush(from *topology.StitchTask) {
	for _, e := range r.effects.Exchange {
		q := &r.queues[e.Partition]
		q.records = append(q.records, topology.Record{
			Topic: "exchange", Partition: e.Partition, Offset: q.next, Key: e.Key, Value: e.Value,
		})
		if from != nil {
			from.Sent(e, q.next)
		}
		q.next++
	}
	for _, o := range r.effects.Outputs {
		if a, ok := o.Value.(*call.Audit); ok {
			r.books[topology.SourcePartition{Topic: a.Topic, Partition: a.Partition}] = a
		}
		r.emit(o)
	}
	r.effects.Reset()
}

// drain lets the stitch tasks read until nothing is left in the exchange.
func (r *Runtime) drain() error {
	for busy := true; busy; {
		busy = false
		for p, t := range r.tasks {
			more, err := r.turn(t, &r.queues[p])
			if err != nil {
				return err
			}
			busy = busy || more
		}
		for _, q := range r.queues {
			busy = busy || len(q.records) > 0
		}
	}
	return nil
}

// turn is one transaction of a stitch task over all that its queue holds.
func (r *Runtime) turn(t *topology.StitchTask, q *queue) (more bool, err error) {
	for _, rec := range q.records {
		if err := t.Process(rec, &r.effects); err != nil {
			return false, err
		}
	}
	position := q.next
	clear(q.records)
	q.records = q.records[:0]
	if more, err = t.Finish(&r.effects); err != nil {
		return false, err
	}
	r.flush(t)
	t.Commit(position)
	return more, nil
}

// roundsMax bounds the ticks after a batch. Three are enough: time, then what
// the tasks make of it, then the answers.
const roundsMax = 8

// settle ticks until every clock stands where the sources allow it and every
// book is closed.
func (r *Runtime) settle() error {
	for range roundsMax {
		if err := r.tick(); err != nil {
			return err
		}
		if r.settled() {
			return nil
		}
	}
	return fmt.Errorf("the clocks of the stitch tasks do not settle after %d ticks; report this with the input", roundsMax)
}

// settled collects the answers for the next tick, and says whether it would
// tell anything new.
func (r *Runtime) settled() bool {
	r.answers = r.answers[:0]
	slowest := int64(math.MaxInt64)
	for _, p := range r.progress() {
		slowest = min(slowest, p.Time)
	}
	still := true
	for _, t := range r.tasks {
		r.answers = append(r.answers, t.Answers()...)
		still = still && t.LegClock() >= slowest && t.SessionClock() == t.LegClock()
	}
	return still && len(r.answers) == 0
}

func (r *Runtime) tick() error {
	tick := topology.Tick{Progress: r.progress(), Answers: r.answers}
	for _, t := range r.tasks {
		tick.Clocks = append(tick.Clocks, t.Clock())
	}
	r.effects.Exchange = append(r.effects.Exchange, tick.Envelopes(&r.cfg.Config)...)
	r.flush(nil)
	return r.drain()
}

// progress is where every source partition is. One that fell behind is idle,
// and at the end of the input all are.
func (r *Runtime) progress() []topology.Progress {
	least := r.end
	if latest := r.latest(); latest != math.MinInt64 {
		least = max(least, latest-idleAfter.Milliseconds())
	}
	progress := make([]topology.Progress, len(r.order))
	for i, t := range r.order {
		progress[i] = t.Progress(least != math.MinInt64, least)
	}
	return progress
}

// latest is the largest arrival of any source partition, math.MinInt64 where
// none is known.
func (r *Runtime) latest() int64 {
	latest := int64(math.MinInt64)
	for _, t := range r.order {
		latest = max(latest, t.Progress(false, 0).Arrival)
	}
	return latest
}

// Close ends the input: every session that still waits for an end becomes
// FINAL, and the book of every source partition is closed and checked. The
// runtime is not used afterwards.
func (r *Runtime) Close() error {
	if len(r.order) == 0 {
		return nil // not a single record
	}
	for _, t := range r.order {
		t.End(&r.effects)
	}
	if err := r.commit(); err != nil {
		return err
	}
	c := r.cfg.Stitch
	r.end = r.latest() + max(c.Grace, c.UnansweredTimeout, c.AnsweredTimeout).Milliseconds() + 1
	if err := r.settle(); err != nil {
		return err
	}
	return r.check()
}

// check holds the books against what the tasks have counted themselves.
func (r *Runtime) check() error {
	for _, t := range r.order {
		p := t.Progress(false, 0)
		b := r.books[p.Source]
		if b == nil || b.NextOffset != p.Offset || !b.Balanced() {
			return fmt.Errorf("the book of %s does not balance: %+v; report this with the input", p.Source, b)
		}
	}
	return nil
}

// Totals are the books of all source partitions in one, as of now. Topic,
// partition, and offset are not set.
func (r *Runtime) Totals() call.Audit {
	var records topology.Totals
	var events topology.Counts
	for _, t := range r.order {
		records.Add(t.Totals())
	}
	for _, t := range r.tasks {
		events.Add(t.Counts())
	}
	return call.Audit{
		Read: records.Read, Decoded: records.Decoded, Ignored: records.Ignored, Rejected: records.Rejected,
		Events: records.Events, Accepted: events.Accepted, Duplicate: events.Duplicate,
		Conflicting: events.Conflicting, Late: events.Late, ClosedAt: max(r.latest(), 0),
	}
}

// Nodes is the number of legs and links that are held in memory.
func (r *Runtime) Nodes() (n int) {
	for _, t := range r.tasks {
		nodes, _, _ := t.Held()
		n += nodes
	}
	return n
}
