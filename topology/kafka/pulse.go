package kafka

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"callstitch/topology"
)

// A worker commits a tick every half second, whatever comes in, as long as it has tasks.
// So one that has tasks and has not committed for some seconds is not at work, and it
// does not matter what it waits for: an acknowledgement, a coordinator, an offset that
// another transaction holds, or sessions that fail one after the other (K43).
//
// pulse is what is felt of a worker from outside: the worker itself just waits.
type pulse struct {
	mu    sync.Mutex
	at    step
	began time.Time // being there
	since time.Time // when it last committed, or had nothing to commit
	took  time.Time // when it was last given partitions whose offsets are not there yet; else zero
	stall bool      // it was found without a commit for too long, and has not come back
	fails error     // what ended its last session
	abort int       // transactions in a row that were aborted

	waits *awaited // acknowledgements of the open transaction
}

// stallLimit is how long a worker that has tasks may go without a commit before this is
// called a fault: ten ticks. A leader or a coordinator that moves in order is back before.
const stallLimit = 10 * tickInterval

// step is what a worker is at.
type step uint8

const (
	atJoin    step = iota // the group has not assigned anything yet
	atFence               // its producer has no id yet
	atRestore             // all its tasks still restore, which is watched there
	atWork                // polls and processes
	atFlush               // records of the open transaction are not acknowledged
	atCommit              // offsets are committed, and the transaction is ended
	atResolve             // the group's offsets tell whether a transaction was committed
	atAbort
	atPause // between two sessions
)

var stepWaits = [...]string{
	atJoin:    "the group to assign partitions",
	atFence:   "the coordinator of its transactions",
	atRestore: "its tasks to be restored",
	atWork:    "the end of its work on a batch",
	atFlush:   "acknowledgements",
	atCommit:  "the end of a transaction",
	atResolve: "the group's offsets, which tell whether a transaction was committed",
	atAbort:   "the end of a transaction that is aborted",
	atPause:   "its next session",
}

func newPulse() *pulse { return &pulse{since: time.Now()} }

// goesTo notes what the worker is at.
func (p *pulse) goesTo(s step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.at == atRestore { // that time does not count
		p.since = p.since.Add(now.Sub(p.began))
	}
	p.at, p.began = s, now
}

// flushes notes that the worker waits for acknowledgements.
func (p *pulse) flushes(a *awaited) {
	p.goesTo(atFlush)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits = a
}

// beat notes that the worker has committed, or that nothing is its own.
func (p *pulse) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since, p.stall, p.fails, p.abort = time.Now(), false, nil, 0
}

// aborted notes a transaction that was rolled back.
func (p *pulse) aborted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.abort++
}

// failed notes that a session has ended.
func (p *pulse) failed(err error) {
	p.goesTo(atPause)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails, p.took = err, time.Time{}
}

// given notes that the group has assigned partitions, whose offsets come next; taken,
// that they have come.
func (p *pulse) given() { p.setTook(time.Now()) }
func (p *pulse) taken() { p.setTook(time.Time{}) }

func (p *pulse) setTook(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took = at
}

// waitsForOffsets reports whether partitions are assigned whose offsets are not there.
func (p *pulse) waitsForOffsets() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.took.IsZero()
}

// stalled reports whether the worker has not committed for too long, since when, and
// what it waits for. It stays so until the worker commits.
func (p *pulse) stalled(now time.Time) (since time.Time, waits string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stall && p.at != atRestore && now.Sub(p.since) >= stallLimit {
		p.stall = true
	}
	return p.since, p.says(), p.stall
}

// stands reports whether the worker was found stalled.
func (p *pulse) stands() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stall
}

func (p *pulse) says() string {
	waits := stepWaits[p.at]
	switch {
	case p.at == atFlush && p.waits != nil:
		waits += p.waits.from()
	case !p.took.IsZero():
		waits = "the offsets of its partitions"
	}
	switch {
	case p.fails != nil:
		waits += "; its last session ended: " + p.fails.Error()
	case p.abort > 1:
		waits += fmt.Sprintf("; %d transactions in a row were aborted", p.abort)
	}
	return waits
}

// offsetsSince is since when the worker waits for the offsets of partitions, where that
// is too long; it may commit for others meanwhile.
func (p *pulse) offsetsSince(now time.Time) (since time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.took, !p.took.IsZero() && now.Sub(p.took) >= stallLimit
}

// awaited counts the records of a transaction that are not acknowledged, by topic.
type awaited struct {
	cfg  *Config
	left [toOutputs + topology.SinkCount]atomic.Int64
}

// Where a record goes; outputs follow in the order of their sinks.
const (
	toExchange = iota
	toChangelog
	toOutputs
)

// from names the topics that have not acknowledged all.
func (a *awaited) from() string {
	var topics []string
	for to := range a.left {
		if a.left[to].Load() > 0 {
			topics = append(topics, a.topic(to))
		}
	}
	if len(topics) == 0 {
		return ""
	}
	return " from " + strings.Join(topics, ", ")
}

func (a *awaited) topic(to int) string {
	switch to {
	case toExchange:
		return a.cfg.ExchangeTopic()
	case toChangelog:
		return a.cfg.ChangelogTopic()
	}
	return a.cfg.Topics.Topic(topology.Sink(to - toOutputs))
}
