// Package console serves what an operator looks at: a page with the live
// topology, clocks and latest sessions, and health, readiness and metrics. It
// shows this instance only, and never a whole phone number.
package console

import (
	"container/list"
	"context"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callstitch/processor/call"
	"callstitch/topology"
)

// Config is what a console shows.
type Config struct {
	Topology topology.Config
	Version  string
	Note     string // a sentence under the title, such as that grace is short; may be empty
	// Status is asked about twice a second, and at every request for readiness.
	Status   func() Status
	Gatherer prometheus.Gatherer
}

// Status is how a runtime is doing.
type Status struct {
	Ready   bool
	Phase   string   // one word, such as restoring
	Reasons []string // why it is not ready, and what holds it up

	Sources     []Source
	DecodeTasks int
	StitchTasks int
	OpenNodes   int64 // legs and links that are held
	ExchangeLag int64 // records of the exchange that are not processed yet
	Ways        topology.Ways

	LegClock, SessionClock call.Arrival // 0 before they are known
	HeldBy                 string

	// Totals of this instance's sources since it started.
	Totals call.Audit
}

// Source is one raw topic as this instance reads it.
type Source struct {
	Topic      string
	Partitions int
	Read       int64
}

const (
	// maxSessions bounds what the page can show; the topics have the rest.
	maxSessions = 200
	// history is how many seconds of rates are kept.
	history = 60
	// rateWindow is how many seconds a rate is averaged over.
	rateWindow = 5
)

// Console keeps the latest sessions and the rates of one instance.
type Console struct {
	cfg     Config
	started time.Time

	mu       sync.Mutex // guards what follows
	sessions map[call.LegID]*list.Element
	latest   *list.List // of *call.Session, the last changed first
	outputs  [topology.SinkCount]int64
	closed   int64     // sessions that became FINAL
	samples  []counter // one a second, the newest last
}

// counter are the running totals at one second.
type counter struct {
	read    int64
	ways    topology.Ways
	outputs [topology.SinkCount]int64
}

// New is a console that has seen nothing yet.
func New(cfg Config) *Console {
	return &Console{
		cfg: cfg, started: time.Now(),
		sessions: map[call.LegID]*list.Element{}, latest: list.New(),
	}
}

// Observe takes the outputs of a transaction that committed. It may be called
// from any goroutine; it keeps the sessions, which must not change afterwards.
func (c *Console) Observe(outputs []topology.Output) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range outputs {
		c.outputs[o.Sink()]++
		if s, ok := o.Value.(*call.Session); ok {
			c.keep(s)
		}
	}
}

// keep puts a session first; one that was absorbed by another is no longer
// shown.
func (c *Console) keep(s *call.Session) {
	if s.State == call.StateFinal && !s.Amended {
		c.closed++
	}
	if e, ok := c.sessions[s.ID]; ok {
		c.latest.Remove(e)
		delete(c.sessions, s.ID)
	}
	if s.State == call.StateSuperseded {
		return
	}
	c.sessions[s.ID] = c.latest.PushFront(s)
	if c.latest.Len() > maxSessions {
		oldest := c.latest.Remove(c.latest.Back()).(*call.Session)
		delete(c.sessions, oldest.ID)
	}
}

// Sample takes the totals once a second until ctx ends; rates are made of them.
func (c *Console) Sample(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		c.sample(c.cfg.Status())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Console) sample(s Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := counter{ways: s.Ways, outputs: c.outputs}
	for _, source := range s.Sources {
		now.read += source.Read
	}
	c.samples = append(c.samples, now)
	if len(c.samples) > history+1 {
		c.samples = c.samples[1:]
	}
}

// rate is the mean per second of a total over the last few seconds.
func (c *Console) rate(of func(counter) int64) float64 {
	n := len(c.samples)
	if n < 2 {
		return 0
	}
	window := min(rateWindow, n-1)
	per := float64(max(of(c.samples[n-1])-of(c.samples[n-1-window]), 0)) / float64(window) // totals go with their partitions
	return math.Round(per*10) / 10
}

// series are the rates of each of the last seconds, the newest last.
func (c *Console) series(of func(counter) int64) []int64 {
	out := make([]int64, 0, history)
	for i := 1; i < len(c.samples); i++ {
		out = append(out, max(of(c.samples[i])-of(c.samples[i-1]), 0))
	}
	return out
}
