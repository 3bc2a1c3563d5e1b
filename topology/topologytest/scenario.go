package topologytest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/topology"
)

// Raw is one record of the raw topic, and when the broker appends it, in epoch
// ms. The record's own timestamp is the producer's and may be older. Offsets
// are given by the broker; records of a partition are appended in the order of
// the scenario.
type Raw struct {
	topology.Record
	At   int64
	Kind Kind
	More int // events of its kind that it tells beside the first
}

// Ahead dates one record in so many of each partition ahead of the broker's clock, never
// two in a row.
func Ahead(records []Raw, oneIn int, by time.Duration) []Raw {
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(a, b Raw) int { return cmp.Compare(a.At, b.At) })
	read := map[topology.TopicPartition]int{}
	for i := range records {
		p := topology.TopicPartition{Topic: records[i].Topic, Partition: records[i].Partition}
		if read[p]++; read[p]%max(oneIn, 2) == 0 {
			records[i].Timestamp = records[i].At + by.Milliseconds()
		}
	}
	return records
}

// Faults are the adversary's means, as probabilities per occasion.
type Faults struct {
	Lag         float64 // a stitch task is not polled for a while, per step
	Pause       float64 // a source partition is not polled for a while, per step
	Stall       float64 // a worker stands still for a while, per step
	Leap        float64 // nothing at all happens for hours, per step
	Abort       float64 // a transaction aborts
	CrashBefore float64 // a worker dies before its commit; its transaction stays open
	CrashAfter  float64 // a worker dies after its commit, before it knows
	CrashHidden float64 // the same, where a message that it sent is hidden behind another's open transaction
	Rebalance   float64 // tasks change their owner, per step
	Drop        float64 // a source partition that begins to be paused is dropped from the clock

	// StaleIdle makes workers claim that a partition is idle on the ground of
	// an old fetch: the runtime's part of the clock rules, broken.
	StaleIdle bool
	// StableEnds makes a take-over wait for the last stable offsets only, which
	// hide committed messages behind open transactions of others.
	StableEnds bool
}

// Hostile is a bit of everything.
var Hostile = Faults{
	Lag: 0.05, Pause: 0.02, Stall: 0.02, Leap: 0.0005, Abort: 0.05, CrashBefore: 0.003, CrashAfter: 0.003, CrashHidden: 0.05,
	Rebalance: 0.01,
}

// Scenario is one run. The zero values of Stitch and Replay are those of a live
// run with time-outs of seconds.
type Scenario struct {
	Seed       uint64
	Partitions int32 // of the exchange
	Workers    int
	Sources    int32 // partitions of each raw topic that Records name, at least
	Records    []Raw
	Faults     Faults
	Stitch     stitch.Config
	// Replay has all records in the raw topics before the workers start, which
	// then read them in large hops.
	Replay bool
	// Pace is how many times slower than usual the run is, 0 for 1. A run over
	// days needs thousands.
	Pace int64
	// Busy makes no partition idle while there are faults.
	Busy bool
	// HandOver lets workers hand events over in memory. Hold is then how often, of
	// its steps, a worker holds a source partition back that cannot be handed over yet.
	HandOver bool
	Hold     float64

	// For planting faults in tasks: called for each task that is made.
	OnStitch func(*topology.StitchTask)
	OnDecode func(*topology.DecodeTask)
	OnWorker func(*topology.Worker)
	// Loop is how a worker runs its tasks; nil: one after the other.
	Loop topology.Loop
	// ShortWay, where it is set, delivers messages between the tasks of one
	// worker instead of the exchange.
	ShortWay func(from, to *topology.StitchTask, e topology.Envelope)
}

// Short are time-outs of seconds, with a retention that no short run exceeds.
var Short = stitch.Config{
	Grace: time.Second, UnansweredTimeout: 4 * time.Second, AnsweredTimeout: 12 * time.Second,
	Retention: 10 * time.Minute, StubRetention: time.Minute, Partial: true, Legs: true,
}

// Result is what a run has published.
type Result struct {
	Sessions Last
	Settled  map[call.LegID]*call.Session
	Rows     map[call.LegID]int32 // last revision of each leg's row
	Events   []*call.EventRecord
	Rejects  []*call.Reject
	Books    map[topology.TopicPartition]*call.Audit
	Stats    Stats

	merged map[merge]bool // every one that a survivor has ever listed
}

type merge struct{ absorbed, survivor call.LegID }

// Stats tell how eventful a run was.
type Stats struct {
	Steps, Commits, Aborts, Crashes, TakeOvers int
	SessionRecords, Messages                   int
	Polls                                      int // that gave raw records
	Handed                                     int // events handed over in memory and committed, but those that a crash hid
	Drops                                      int // source partitions that were dropped from the clock
}

// Run plays a scenario and fails the test where a promise was broken.
func Run(t testing.TB, s Scenario) *Result {
	t.Helper()
	res, err := s.Play()
	if err != nil {
		t.Fatalf("%v\nrepeat with: go test -run '^%s$' -seed=%d", err, t.Name(), s.Seed)
	}
	return res
}

// Play plays a scenario. The error tells the first promise that was broken
// while it ran: a clock that passed a message in flight, a revision that does
// not follow the last one, a book that does not balance, or an end that never
// came.
func (s Scenario) Play() (*Result, error) {
	g := newGame(s)
	if err := g.live(); err != nil {
		return g.result, fmt.Errorf("seed %d, %d partitions, %d workers, at step %d: %w",
			s.Seed, s.Partitions, s.Workers, g.stats.Steps, err)
	}
	return g.result, nil
}

type game struct {
	Scenario
	cfg      topology.Config
	rng      *rand.Rand
	broker   *broker
	workers  []*worker
	orphaned []*transaction // left open by workers that died
	pending  []Raw          // not appended yet
	calm     bool           // no more faults
	target   call.Arrival   // where the session clocks must come
	result   *Result
	stats    *Stats
}

func newGame(s Scenario) *game {
	if s.Stitch == (stitch.Config{}) {
		s.Stitch = Short
	}
	s.Pace = max(s.Pace, 1)
	if s.Loop == nil {
		s.Loop = topology.InOrder
	}
	g := &game{
		Scenario: s,
		rng:      rand.New(rand.NewPCG(s.Seed, 1)),
		broker: &broker{
			committed: map[*partition]position{}, flight: map[sentMessage]call.Arrival{},
		},
		result: newResult(),
	}
	g.stats = &g.result.Stats
	g.cfg = topology.Config{
		ApplicationID: "test", ExchangePartitions: s.Partitions, Stitch: s.Stitch,
		Topics: topology.Topics{Events: "call.events", Sessions: "call.sessions", Legs: "call.legs", Settled: "call.settled", Rejects: "call.rejects", Audit: "call.audit"},
	}
	for p := range s.Partitions {
		g.broker.exchange = append(g.broker.exchange, &partition{topic: g.cfg.ExchangeTopic(), number: p})
		g.broker.changelog = append(g.broker.changelog, &partition{topic: g.cfg.ChangelogTopic(), number: p})
	}
	g.schedule()
	for range s.Workers {
		w := newWorker(g)
		g.workers = append(g.workers, &w)
	}
	return g
}

// schedule makes the raw partitions and puts the records in the order of their
// appending.
func (g *game) schedule() {
	first, latest := g.Records[0].At, int64(0)
	for _, r := range g.Records {
		if !slices.ContainsFunc(g.cfg.Sources, func(s topology.Source) bool { return s.Topic == r.Topic }) {
			g.cfg.Sources = append(g.cfg.Sources, topology.Source{Topic: r.Topic})
			for n := range g.Sources {
				g.broker.raw = append(g.broker.raw, &partition{topic: r.Topic, number: n})
			}
		}
		first, latest = min(first, r.At), max(latest, r.Timestamp, r.At)
	}
	g.pending = slices.Clone(g.Records)
	slices.SortStableFunc(g.pending, func(a, b Raw) int { return int(a.At - b.At) })
	g.target = call.Arrival(latest).Add(g.timeouts())
	g.broker.now = first
	if g.Replay {
		g.broker.now = int64(g.target) + 1
	}
}

func (g *game) chance(p float64) bool { return !g.calm && g.rng.Float64() < p }

func (g *game) fetchMax() int {
	if g.Replay || g.calm {
		return 500
	}
	return 20
}

func (g *game) counts() map[string]int32 {
	counts := map[string]int32{}
	for _, s := range g.cfg.Sources {
		counts[s.Topic] = g.Sources
	}
	return counts
}

// ends are what a take-over waits for.
func (g *game) ends() (ends []int64) {
	if !g.Faults.StableEnds {
		return g.watermarks()
	}
	for _, p := range g.broker.exchange {
		ends = append(ends, p.lastStable())
	}
	return ends
}

// watermarks are the high watermarks of the exchange.
func (g *game) watermarks() (ends []int64) {
	for _, p := range g.broker.exchange {
		ends = append(ends, p.end())
	}
	return ends
}

// stepsMax bounds a run.
const stepsMax = 400_000

// live lets the run happen.
func (g *game) live() error {
	for !g.done() {
		if g.stats.Steps++; g.stats.Steps > stepsMax {
			return errors.New("the run does not come to an end")
		}
		g.advance()
		if err := g.balance(); err != nil {
			return err
		}
		if err := g.turn(); err != nil {
			return err
		}
		if err := g.watch(); err != nil {
			return err
		}
	}
	return g.close()
}

// advance moves the broker's clock and appends what is due.
func (g *game) advance() {
	step := 20
	if g.calm {
		step = 400 / len(g.workers)
	}
	g.broker.now += (1 + int64(g.rng.IntN(step))) * g.Pace
	if g.chance(g.Faults.Leap) {
		g.broker.now += int64(g.rng.IntN(leap))
	}
	g.broker.expire(timeout * g.Pace)
	for len(g.pending) > 0 && (g.Replay || g.pending[0].At <= g.broker.now) {
		g.broker.append(g.partitionOf(g.pending[0].Record), g.pending[0].Record, nil)
		g.pending = g.pending[1:]
	}
	if len(g.pending) == 0 && g.chance(0.003) {
		g.calm = true
		if g.cfg.Stitch.Settled {
			g.forget()
		}
		if g.stats.Drops > 0 { // what waited in a dropped partition may arrive as late as now
			g.target = max(g.target, call.Arrival(g.broker.now).Add(g.timeouts()))
		}
	}
}

// forget lets so much time pass that every session is forgotten, and so has settled.
func (g *game) forget() {
	g.target = max(g.target, call.Arrival(g.broker.now)).Add(g.cfg.Stitch.Forgotten())
	g.broker.now = max(g.broker.now, int64(g.target))
}

func (g *game) timeouts() time.Duration {
	return max(g.cfg.Stitch.Grace, g.cfg.Stitch.UnansweredTimeout, g.cfg.Stitch.AnsweredTimeout)
}

func (g *game) partitionOf(r topology.Record) *partition {
	for _, p := range g.broker.raw {
		if p.topic == r.Topic && p.number == r.Partition {
			return p
		}
	}
	panic(fmt.Sprintf("the scenario has no partition %s-%d", r.Topic, r.Partition))
}

// timeout is after how long the broker aborts a transaction, in milliseconds at
// the usual pace.
const timeout = 3_000

// leap is three hours, more than a node is kept in a scenario of Short.
const leap = 3 * 60 * 60 * 1000

// late draws, with a probability, until when something is late: mostly for less
// than a transaction's time-out, sometimes for hours.
func (g *game) late(p float64) (until int64) {
	switch {
	case !g.chance(p):
		return 0
	case g.chance(0.1):
		return g.broker.now + int64(g.rng.IntN(leap))
	}
	return g.broker.now + g.rng.Int64N(timeout*g.Pace)
}

func (g *game) turn() error {
	w := g.workers[g.rng.IntN(len(g.workers))]
	if w.busy > g.broker.now && !g.calm {
		return nil
	}
	w.busy = g.late(g.Faults.Stall)
	return w.step()
}

// commit commits a transaction and takes in what it published.
func (g *game) commit(tx *transaction) error {
	if tx.state != open {
		return errors.New("the model lost a transaction")
	}
	g.broker.finish(tx, committed)
	g.stats.Commits++
	for _, o := range tx.outputs {
		if err := g.result.take(o); err != nil {
			return err
		}
	}
	return nil
}

func newResult() *Result {
	return &Result{
		Sessions: Last{}, Settled: map[call.LegID]*call.Session{}, Rows: map[call.LegID]int32{}, Books: map[topology.TopicPartition]*call.Audit{},
		merged: map[merge]bool{},
	}
}

// take takes in an output that was committed.
func (res *Result) take(o topology.Output) error {
	switch v := o.Value.(type) {
	case *call.Session:
		res.Stats.SessionRecords++
		last := res.Sessions[v.ID]
		if last == nil && v.Revision != 1 || last != nil && v.Revision != last.Revision+1 {
			return fmt.Errorf("session %s: revision %d (%s) does not follow %s", v.ID, v.Revision, v.State, told(last))
		}
		if last != nil && last.State == call.StateFinal && v.State == call.StatePartial {
			return fmt.Errorf("session %s: PARTIAL again after FINAL", v.ID)
		}
		res.Sessions.Put(v)
		for _, id := range v.MergedSessionIDs {
			res.merged[merge{id, v.ID}] = true
		}
	case call.Settled:
		if err := res.settle(v.Session); err != nil {
			return err
		}
	case *call.Leg:
		if last := res.Rows[v.ID]; v.Revision != last+1 {
			return fmt.Errorf("row of leg %s: revision %d does not follow %d", v.ID, v.Revision, last)
		}
		res.Rows[v.ID] = v.Revision
	case *call.EventRecord:
		res.Events = append(res.Events, v)
	case *call.Reject:
		res.Rejects = append(res.Rejects, v)
	case *call.Audit:
		if !v.Balanced() {
			return fmt.Errorf("book does not balance: %+v", *v)
		}
		res.Books[topology.TopicPartition{Topic: v.Topic, Partition: v.Partition}] = v
	}
	return nil
}

func told(s *call.Session) string {
	if s == nil {
		return "nothing"
	}
	return fmt.Sprintf("revision %d (%s)", s.Revision, s.State)
}

// watch holds the session clocks against the messages in flight, and the leg clocks
// against the broker's: no producer dates two records in a row ahead.
func (g *game) watch() error {
	trig, any := g.broker.earliest()
	for _, w := range g.workers {
		for number, task := range w.machines {
			if task.LegClock() > call.Arrival(g.broker.now).Add(topology.Leeway) {
				return fmt.Errorf("the leg clock of task %d is at %d, ahead of the broker's at %d", number, task.LegClock(), g.broker.now)
			}
			if any && task.SessionClock() >= trig {
				return fmt.Errorf("the session clock of task %d is at %d, past a message in flight that was caused at %d",
					number, task.SessionClock(), trig)
			}
		}
	}
	return nil
}

// done reports whether all input was taken, all time-outs have passed, and all
// books are closed.
func (g *game) done() bool {
	if !g.calm || len(g.pending) > 0 || len(g.broker.flight) > 0 {
		return false
	}
	for _, p := range g.broker.raw {
		b := g.result.Books[p.name()]
		if p.end() > 0 && (b == nil || b.NextOffset != p.end()) {
			return false
		}
	}
	owned := int32(0)
	for _, w := range g.workers {
		if w.tx != nil || w.tasks.More() {
			return false
		}
		for _, task := range w.machines {
			owned++
			if task.SessionClock() < g.target {
				return false
			}
		}
	}
	return owned == g.Partitions
}

// close holds the books against the raw topics.
func (g *game) close() error {
	for _, p := range g.broker.raw {
		if b := g.result.Books[p.name()]; p.end() > 0 && b.Read != p.end() {
			return fmt.Errorf("the book of %s-%d read %d of %d records", p.topic, p.number, b.Read, p.end())
		}
	}
	return nil
}
