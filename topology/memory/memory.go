package memory

import (
	"errors"
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

	worker  *topology.Worker
	decodes []*topology.DecodeTask // in the order of their first record
	topics  map[string]int32       // source topics; partitions count when they are heard
	tasks   []*topology.StitchTask // by exchange partition
	queues  []queue                // by exchange partition

	batch int // raw records in the open batch
	books map[topology.TopicPartition]*call.Audit
	end   call.Arrival // where time stands after the end of the input; call.Unheard before
	told  bool         // Advance tells the time
}

// queue is what an exchange partition holds for its task.
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
		topics: map[string]int32{},
		queues: make([]queue, cfg.ExchangePartitions),
		books:  map[topology.TopicPartition]*call.Audit{},
		end:    call.Unheard,
	}
	r.worker = topology.NewWorker(&r.cfg.Config, topology.InOrder)
	for p := range cfg.ExchangePartitions {
		t := topology.NewStitchTask(&r.cfg.Config, p, r.topics)
		t.Trace(cfg.Trace)
		r.tasks = append(r.tasks, t)
		r.worker.Add(t, 0)
	}
	return r
}

// Process takes one raw record. Topic and partitions need not be known before:
// a partition exists from its first record on, and a topic that is not among
// the sources is decoded as the first source is. A Timestamp of 0 says that the
// record has none, as a raw line; it then arrives at the largest provider
// instant read so far. For one record the clock makes no leap: see
// [topology.DecodeTask.FromFile]. The record's slices may be reused after the call.
func (r *Runtime) Process(rec topology.Record) error {
	if err := r.open(topology.TopicPartition{Topic: rec.Topic, Partition: rec.Partition}, rec.Offset); err != nil {
		return err
	}
	outputs := len(r.worker.Effects().Outputs)
	if err := errors.Join(r.worker.Process(rec), r.worker.Work()); err != nil {
		return err
	}
	for _, o := range r.worker.Effects().Outputs[outputs:] {
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

// open makes the decode task of a partition at its first record. The batch at hand
// ends there: tasks come and go between two transactions.
func (r *Runtime) open(p topology.TopicPartition, offset int64) error {
	if _, known := r.worker.Position(p); known {
		return nil
	}
	if err := r.transact(nil); err != nil {
		return err
	}
	t := topology.NewDecodeTask(&r.cfg.Config, r.cfg.SourceOf(p.Topic), p.Partition)
	t.FromFile()
	r.worker.Add(t, offset)
	r.decodes = append(r.decodes, t)
	if _, known := r.topics[p.Topic]; !known {
		r.topics[p.Topic] = 0
		for _, s := range r.tasks {
			s.Sources(r.topics)
		}
	}
	return nil
}

// Commit ends the batch before it is full.
func (r *Runtime) Commit() error {
	if len(r.decodes) == 0 {
		return nil // not a single record
	}
	return r.commit()
}

// Advance commits, and then says that time has come to an instant of
// arrival time in every source partition: what is due by then is published.
func (r *Runtime) Advance(to call.Arrival) error {
	r.told = true
	if err := r.Commit(); err != nil || len(r.decodes) == 0 {
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
	if err := r.transact(nil); err != nil {
		return err
	}
	if err := r.drain(); err != nil {
		return err
	}
	return r.settle()
}

// transact ends the worker's open transaction and makes its effects real: what is for
// the exchange gets its offset, outputs are handed out.
func (r *Runtime) transact(tick topology.Seen) error {
	if err := r.worker.Finish(tick); err != nil {
		return err
	}
	fx, exchange := r.worker.Effects(), r.cfg.ExchangeTopic()
	sent := make([]int64, len(fx.Exchange))
	for i, e := range fx.Exchange {
		q := &r.queues[e.Partition]
		sent[i] = q.next
		q.records = append(q.records, topology.Record{
			Topic: exchange, Partition: e.Partition, Offset: q.next, Key: e.Key, Value: e.Value,
		})
		q.next++
	}
	for _, o := range fx.Outputs {
		if a, ok := o.Value.(*call.Audit); ok {
			r.books[topology.TopicPartition{Topic: a.Topic, Partition: a.Partition}] = a
		}
		r.emit(o)
	}
	r.worker.Commit(func(i int) int64 { return sent[i] })
	return nil
}

// drain lets the stitch tasks read, each in a transaction of its own, until nothing
// is left in the exchange and no timer is due.
func (r *Runtime) drain() error {
	for busy := true; busy; {
		busy = false
		for p := range r.queues {
			q := &r.queues[p]
			if len(q.records) == 0 && !r.worker.More() {
				continue
			}
			busy = true
			if err := r.turn(q); err != nil {
				return err
			}
		}
	}
	return nil
}

// turn is one transaction over all that a queue holds.
func (r *Runtime) turn(q *queue) error {
	for _, rec := range q.records {
		if err := r.worker.Process(rec); err != nil {
			return err
		}
	}
	clear(q.records)
	q.records = q.records[:0]
	return r.transact(nil)
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

// settled reports whether a tick would tell nothing new.
func (r *Runtime) settled() bool {
	slowest := call.Arrival(math.MaxInt64)
	for _, t := range r.decodes {
		slowest = min(slowest, t.Progress(r.seen(t.Reads())).Time)
	}
	for _, t := range r.tasks {
		if t.LegClock() < slowest || t.SessionClock() != t.LegClock() || t.Answering() {
			return false
		}
	}
	return true
}

func (r *Runtime) tick() error {
	if err := r.transact(r.seen); err != nil {
		return err
	}
	return r.drain()
}

// seen says of every source partition that it is idle: what was read is all that there
// is. It was heard at its last record, unless Advance tells the time; later if it fell
// behind the others, and at the end of the input last.
func (r *Runtime) seen(p topology.TopicPartition) (idle bool, heard call.Arrival) {
	heard = r.end
	if latest := r.latest(); latest != call.Unheard {
		heard = max(heard, latest.Add(-idleAfter))
	}
	for _, t := range r.decodes {
		if last := t.Progress(false, call.Unheard).Arrival; t.Reads() == p && last != call.Unheard && !r.told {
			heard = max(heard, last-1) // the next may have the same date
		}
	}
	return heard != call.Unheard, heard
}

// latest is the largest arrival of any source partition, call.Unheard where
// none is known.
func (r *Runtime) latest() call.Arrival {
	latest := call.Unheard
	for _, t := range r.decodes {
		latest = max(latest, t.Progress(false, call.Unheard).Arrival)
	}
	return latest
}

// Close ends the input: every session that still waits for an end becomes
// FINAL, and settles where that is asked for, and the book of every source partition is
// closed and checked. The runtime is not used afterwards.
func (r *Runtime) Close() error {
	if len(r.decodes) == 0 {
		return nil // not a single record
	}
	for _, t := range r.decodes {
		t.End()
		next, _ := r.worker.Position(t.Reads())
		if err := r.worker.Pass(t.Reads(), next-1); err != nil {
			return err
		}
	}
	if err := r.commit(); err != nil {
		return err
	}
	c := r.cfg.Stitch
	r.end = r.latest().Add(max(c.Grace, c.UnansweredTimeout, c.AnsweredTimeout)) + 1
	if err := r.settle(); err != nil {
		return err
	}
	if c.Settled {
		r.end = r.end.Add(c.Forgotten()) + 1
		if err := r.settle(); err != nil {
			return err
		}
	}
	return r.check()
}

// check holds the books against what the tasks have counted themselves.
func (r *Runtime) check() error {
	for _, t := range r.decodes {
		p := t.Progress(false, call.Unheard)
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
	for _, t := range r.decodes {
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
		n += t.Report().Nodes
	}
	return n
}
