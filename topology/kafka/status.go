package kafka

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"time"

	"callstitch/processor/call"
	"callstitch/topology"
)

// State is what an instance is doing.
type State uint8

// The states, in the order of a normal life.
const (
	Created     State = iota // waits for brokers, topics, schemas
	Rebalancing              // has no partitions yet, or restores some
	Running
	PendingShutdown // commits the batch at hand and leaves
	Stopped
)

var stateNames = [...]string{"CREATED", "REBALANCING", "RUNNING", "PENDING_SHUTDOWN", "STOPPED"}

func (s State) String() string { return stateNames[s] }

// Task is one task of this instance.
type Task struct {
	topology.Report
	Topic     string // that it reads
	Partition int32
	Restoring bool
	Throttled bool // a source that waits for the exchange

	Position int64 // next offset to read, committed
	End      int64 // high watermark, as last heard
	// Newest is the timestamp of the newest record read, epoch ms; -1 before the first. Of one
	// that was a reject and was sent in again, which has the date of the first time, it is when it was read.
	Newest int64
	// Lead is how far the clock of a source partition is ahead of the brokers', as of the
	// last tick; 0 where it is not. RecordLead is the largest of records of the last
	// minute that are dated ahead by more than LeadMax.
	Lead, RecordLead time.Duration

	Remaining int64 // changelog offsets still to be restored
}

// Lag is the number of records that are not committed yet.
func (t Task) Lag() int64 { return max(t.End-t.Position, 0) }

// LagTime is how old the newest record read is, where there are more to read.
func (t Task) LagTime(now time.Time) time.Duration {
	if t.Lag() == 0 || t.Newest < 0 {
		return 0
	}
	return max(now.Sub(time.UnixMilli(t.Newest)), 0)
}

// Snapshot is a status at one moment.
type Snapshot struct {
	State    State
	Instance string
	// Waiting says what the instance waits for: a broker, a topic, a restore.
	// Empty: nothing.
	Waiting string
	Tasks   []Task // sorted by topic and partition

	// The clocks of the slowest stitch task of this instance; 0 before they
	// are known.
	LegClock, SessionClock call.Arrival
	HeldBy                 topology.TopicPartition // what holds it; zero if there is none
	// Held is how long one of the clocks has not moved; 0 where that is less than 5 s.
	// HeldWhy says then what the brokers say of it, in a sentence, and what to do.
	Held    time.Duration
	HeldWhy string
	// Open are transactions that are open for long, or that nobody ends, behind which readers
	// of this application may wait.
	Open        []OpenTransaction
	ExchangeLag int64 // largest lag of any exchange partition, of any instance

	Commits    int64
	LastCommit time.Time // zero before the first
	// Stalled is how long the worker has not got on; 0 unless that is longer than it may be.
	Stalled  time.Duration
	Interval time.Duration // of transactions that have work; 0 before the first
	Outputs  [topology.SinkCount]int64
	Ways     topology.Ways // of events to stitch tasks
}

func (s Snapshot) count(node string, restoring bool) (n int) {
	for _, t := range s.Tasks {
		if t.Node == node && t.Restoring == restoring {
			n++
		}
	}
	return n
}

func taskState(restoring bool) string {
	if restoring {
		return "restoring"
	}
	return "running"
}

// Ready reports whether the worker is in the group and every task restored.
func (s Snapshot) Ready() bool { return s.State == Running && s.Waiting == "" }

// Status is the state of a run for probes, metrics and the console. Its methods
// are safe for concurrent use. The zero value is the status of a run that has
// not begun.
type Status struct {
	mu       sync.Mutex
	state    State
	instance string
	waiting  string // of the start
	outage   string
	stall    stall
	held     held
	work     work

	commits    int64
	lastCommit time.Time
	outputs    [topology.SinkCount]int64
	ways       topology.Ways
}

// stall is that the worker stands still.
type stall struct {
	since time.Time // zero: none
	why   string    // what it waits for
}

// work is what the worker is at.
type work struct {
	joined bool  // it is in the group
	lag    int64 // of the exchange
	tasks  []Task
	// interval is how long its transactions last.
	interval time.Duration
}

// Snapshot is the status now.
func (s *Status) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := Snapshot{
		State: s.state, Instance: s.instance, Waiting: s.waiting,
		Commits: s.commits, LastCommit: s.lastCommit, Outputs: s.outputs, Ways: s.ways,
		Tasks: slices.Clone(s.work.tasks), ExchangeLag: s.work.lag, Interval: s.work.interval,
	}
	slices.SortFunc(snap.Tasks, func(a, b Task) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	snap.clocks()
	if !s.held.since.IsZero() {
		snap.Held, snap.HeldWhy, snap.Open = time.Since(s.held.since), s.held.why, slices.Clone(s.held.open)
	}
	if !s.stall.since.IsZero() {
		snap.Stalled = time.Since(s.stall.since)
	}
	if s.state == Running || s.state == Rebalancing {
		snap.State, snap.Waiting = s.running(snap)
	}
	return snap
}

// running tells apart an instance that works from one that still restores.
func (s *Status) running(snap Snapshot) (State, string) {
	switch remaining := restoring(snap.Tasks); {
	case s.outage != "":
		return Running, s.outage
	case snap.Stalled > 0:
		return Running, "stands still for " + snap.Stalled.Round(time.Second).String() + ", waits for " + s.stall.why
	case remaining != "":
		return Rebalancing, remaining
	case !s.work.joined:
		return Rebalancing, "waits for partitions"
	}
	return Running, ""
}

func restoring(tasks []Task) string {
	n, left := 0, int64(0)
	for _, t := range tasks {
		if t.Restoring {
			n++
			left += t.Remaining
		}
	}
	if n == 0 {
		return ""
	}
	return "restores " + strconv.Itoa(n) + " tasks, " + strconv.FormatInt(left, 10) + " changelog records left"
}

// clocks are those of the task that is furthest behind.
func (s *Snapshot) clocks() {
	first := true
	for _, t := range s.Tasks {
		if t.Node != topology.StitchNode || t.Restoring {
			continue
		}
		if first || t.LegClock < s.LegClock {
			s.LegClock, s.HeldBy = t.LegClock, t.HeldBy
		}
		if first || t.SessionClock < s.SessionClock {
			s.SessionClock = t.SessionClock
		}
		first = false
	}
	s.LegClock, s.SessionClock = max(s.LegClock, 0), max(s.SessionClock, 0)
}

func (s *Status) set(state State, instance string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.waiting = state, ""
	if instance != "" {
		s.instance = instance
	}
}

func (s *Status) wait(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = what
}

func (s *Status) setOutage(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outage = what
}

func (s *Status) setStall(now stall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stall = now
}

func (s *Status) setHeld(now held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = now
}

// setEnds sets how far the partitions of tasks reach, where it is known.
func (s *Status) setEnds(end func(topology.TopicPartition) (int64, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.work.tasks {
		t := &s.work.tasks[i]
		if at, ok := end(topology.TopicPartition{Topic: t.Topic, Partition: t.Partition}); ok {
			t.End = at
		}
	}
}

// leave notes that the worker is not in the group yet, or no longer. What its tasks were
// at stays known until it is, so that lag does not vanish while sessions fail.
func (s *Status) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work = work{tasks: slices.DeleteFunc(s.work.tasks, func(t Task) bool { return t.Restoring })}
}

// committed notes a transaction that committed.
func (s *Status) committed(outputs []topology.Output, ways topology.Ways) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits++
	s.lastCommit = time.Now()
	for _, o := range outputs {
		s.outputs[o.Sink()]++
	}
	s.ways.Memory += ways.Memory
	s.ways.Exchange += ways.Exchange
}

func (s *Status) update(now work) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work = now
}
