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
// does not matter what it waits for: an acknowledgement, a coordinator, or sessions that
// fail one after the other (K43). Three things it may wait for while others commit: offsets
// that another transaction holds, a restore, and a source that no broker answers for.
//
// pulse is what is felt of a worker from outside: the worker itself just waits.
type pulse struct {
	mu    sync.Mutex
	at    step
	began time.Time // being there
	since time.Time // when it last committed, or had nothing to commit
	took  time.Time // when it was given partitions whose offsets are not there yet; else zero
	deaf  time.Time // since when the ends of sources that it owns are not known; else zero
	moved time.Time // when a restore under way last moved; zero where there is none
	left  int64     // changelog records that it has still to read
	stall bool      // it was found without a commit for too long, and has not come back
	fails error     // what ended its last session
	abort int       // transactions in a row that were aborted

	unheard string   // those sources
	waits   *awaited // acknowledgements of the open transaction
}

// stallLimit is how long a worker that has tasks may go without a commit before this is
// called a fault: ten ticks. A leader or a coordinator that moves in order is back before.
const stallLimit = 10 * tickInterval

// step is what a worker is at.
type step uint8

const (
	atJoin    step = iota // the group has not assigned anything yet
	atFence               // its producer has no id yet
	atRestore             // all its tasks still restore, which may take its time
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
	p.fails, p.took, p.moved, p.deaf = err, time.Time{}, time.Time{}, time.Time{}
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

// hears notes which source partitions brokers say nothing about, and since when; zero
// where they do.
func (p *pulse) hears(since time.Time, unheard []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf, p.unheard = since, some(unheard)
}

// restores notes how much is left of the restores under way, if there are any.
func (p *pulse) restores(any bool, left int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !any:
		p.moved = time.Time{}
	case p.moved.IsZero() || left != p.left:
		p.moved, p.left = time.Now(), left
	}
}

// lacksOffsets reports whether partitions are assigned whose offsets are not there.
func (p *pulse) lacksOffsets() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.took.IsZero()
}

// feel reports whether the worker stands still, since when, and what it waits for. Without
// a commit it stays so until the worker commits.
func (p *pulse) feel(now time.Time) (found stall, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at != atRestore && now.Sub(p.since) >= stallLimit {
		p.stall = true
	}
	if p.stall {
		return stall{p.since, p.says()}, true
	}
	for _, s := range []stall{
		{p.took, waitsForOffsets}, // its other tasks may commit meanwhile
		{p.moved, stepWaits[atRestore]},
		{p.deaf, "the brokers to say how far " + p.unheard + " reaches"},
	} {
		if !s.since.IsZero() && now.Sub(s.since) >= stallLimit && (!ok || s.since.Before(found.since)) {
			found, ok = s, true
		}
	}
	return found, ok
}

const waitsForOffsets = "the offsets of its partitions"

// hopeless reports whether the worker is not expected to commit soon.
func (p *pulse) hopeless() bool {
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
		waits = waitsForOffsets
	}
	switch {
	case p.fails != nil:
		waits += "; its last session ended: " + p.fails.Error()
	case p.abort > 1:
		waits += fmt.Sprintf("; %d transactions in a row were aborted", p.abort)
	}
	return waits
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
