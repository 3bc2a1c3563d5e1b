package simulator

import (
	"container/heap"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Config says what traffic to make. Shares are between 0 and 1.
type Config struct {
	// Seed is where everything comes from. The same seed draws the same calls,
	// whatever the faults.
	Seed uint64
	// Calls is how many calls to draw; 0 never ends.
	Calls int
	// Rate is how many calls start per second of call time; 0 means 10.
	Rate float64
	// Duplicates is the share of records that come a second time, byte for byte,
	// up to half a minute later.
	Duplicates float64
	// Disorder is the share of records that arrive up to five seconds late.
	Disorder float64
	// Loss is the share of records that never arrive.
	Loss float64
	// Transfers is the share of answered calls that are passed on.
	Transfers float64
	// Garbage is the share of records, on top of the others, that no processor
	// can take.
	Garbage float64
	// Tenants is how many tenants the calls belong to; 0 means 1.
	Tenants int
	// Providers are the names of those that the calls come from; none means all.
	Providers []string
	// Start is when the first call may start; the zero time means defaultStart.
	Start time.Time
	// DiscardTruth keeps no truth, for endless runs in which nobody asks for it.
	DiscardTruth bool
}

const defaultRate = 10

// defaultStart is any fixed instant, so that runs without one are equal.
var defaultStart = time.Date(2026, time.November, 2, 8, 0, 0, 0, time.UTC)

// maxTenants keeps tenant names at two to four digits.
const maxTenants = 9999

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	for _, s := range []struct {
		name  string
		share float64
	}{
		{"duplicates", c.Duplicates}, {"disorder", c.Disorder}, {"loss", c.Loss}, {"transfers", c.Transfers}, {"garbage", c.Garbage},
	} {
		if !(s.share >= 0 && s.share <= 1) {
			return fmt.Errorf("%s is %v; it is a share from 0 to 1", s.name, s.share)
		}
	}
	switch {
	case c.Calls < 0:
		return fmt.Errorf("calls is %d; it is at least 0, which never ends", c.Calls)
	case !(c.Rate >= 0 && c.Rate <= 1e6):
		return fmt.Errorf("rate is %v; it is from 0 to 1,000,000 calls a second", c.Rate)
	case c.Tenants < 0 || c.Tenants > maxTenants:
		return fmt.Errorf("tenants is %d; it is from 0 to %d", c.Tenants, maxTenants)
	}
	for _, name := range c.Providers {
		if providerNamed(name) == nil {
			return fmt.Errorf("providers has %q; it is of %s", name, strings.Join(ProviderNames(), ", "))
		}
	}
	return nil
}

// Header is a record header.
type Header struct {
	Key   string
	Value []byte
}

// Record is one raw record. Timestamp, in epoch milliseconds, is when it is in
// Kafka; it must become the record's Kafka timestamp, since it is the only clock
// of some instants in the truth.
//
// Provider and Tenant are whose it is, also where no header says so: whoever delivers
// it otherwise than through Kafka knows.
type Record struct {
	Key, Value       []byte
	Timestamp        int64
	Headers          []Header
	Provider, Tenant string
}

// Counts are running totals of what was emitted.
type Counts struct {
	Calls      int64            // calls drawn
	Records    int64            // records emitted, of whatever kind
	Duplicates int64            // of these, second copies of others
	Delayed    int64            // of these, those that arrived late
	Lost       int64            // records that never arrived
	Ignored    map[string]int64 // records that carry no call event, by what they are
	Rejected   map[string]int64 // records that cannot be taken, by reject reason
}

// Simulator makes records and the truth about them. It is not for concurrent
// use. Memory is bounded by the records of the calls in progress and the truths
// not yet taken.
type Simulator struct {
	cfg     Config
	tenants []tenant
	from    []*provider
	calls   draw
	faults  draw
	clock   int64 // start of the latest call, epoch ms
	drawn   int
	queue   queue
	order   uint64
	truths  []Truth
	counts  Counts
	scratch []byte
}

// New returns a simulator of the given traffic. It panics on a configuration
// that Validate refuses.
func New(cfg Config) *Simulator {
	if err := cfg.Validate(); err != nil {
		panic("simulator: " + err.Error())
	}
	if cfg.Rate == 0 {
		cfg.Rate = defaultRate
	}
	if cfg.Start.IsZero() {
		cfg.Start = defaultStart
	}
	s := &Simulator{
		cfg:    cfg,
		calls:  newDraw(cfg.Seed, callStream),
		faults: newDraw(cfg.Seed, faultStream),
		clock:  cfg.Start.UnixMilli(),
		counts: Counts{Ignored: map[string]int64{}, Rejected: map[string]int64{}},
	}
	for _, p := range providers { // in this order, whatever that of the names is
		if len(cfg.Providers) == 0 || slices.ContainsFunc(cfg.Providers, func(name string) bool { return providerNamed(name) == p }) {
			s.from = append(s.from, p)
		}
	}
	s.tenants = newTenants(newDraw(cfg.Seed, tenantStream), max(cfg.Tenants, 1))
	return s
}

// Next returns the next record, in non-decreasing order of Timestamp; false at
// the end of the traffic.
func (s *Simulator) Next() (Record, bool) {
	for s.more() && (len(s.queue) == 0 || s.queue[0].record.Timestamp > s.clock) {
		s.drawCall()
	}
	if len(s.queue) == 0 {
		return Record{}, false
	}
	p := heap.Pop(&s.queue).(pending)
	s.emitted(p)
	return p.record, true
}

func (s *Simulator) more() bool { return s.cfg.Calls == 0 || s.drawn < s.cfg.Calls }

func (s *Simulator) emitted(p pending) {
	s.counts.Records++
	if p.call == nil {
		return
	}
	p.call.left--
	if p.call.left == 0 && !s.cfg.DiscardTruth {
		s.truths = append(s.truths, p.call.truth)
	}
}

// Truth returns the truths of the calls whose last record was emitted since the
// last call of Truth, and forgets them.
func (s *Simulator) Truth() []Truth {
	t := s.truths
	s.truths = nil
	return t
}

// Counts returns the totals so far. The maps are live: they change with the next
// record.
func (s *Simulator) Counts() Counts { return s.counts }

// drawCall draws the next call and queues its records, and, now and then, some
// that belong to no call.
func (s *Simulator) drawCall() {
	s.drawn++
	s.counts.Calls++
	s.clock += int64(s.calls.ExpFloat64() * 1000 / s.cfg.Rate)
	t := &s.tenants[s.calls.IntN(len(s.tenants))]
	p := pick(s.calls, s.from) // all are equally busy
	c := &call{truth: Truth{Tenant: t.name, Provider: p.name}}
	f := feed{draw: s.calls, call: c, tenant: t, transfers: s.cfg.Transfers, scratch: s.scratch}
	if s.calls.chance(relayedShare) {
		f.blanks = p.blanks
	}
	p.draw(&f, s.clock)
	s.scratch = f.scratch
	s.schedule(c, t, p)
	if s.calls.chance(noiseShare) {
		s.enqueue(pending{record: s.noise(t, p)})
	}
}

// noiseShare is how often a call is accompanied by a record that a provider
// sends on the same feed and that is about no call.
const noiseShare = 0.06

// Bounds of the faults, in milliseconds.
const (
	maxDelay  = 5_000
	maxRepeat = 30_000
)

// schedule decides when, how often and whether each message of a call arrives,
// then completes the call's truth and queues its records.
func (s *Simulator) schedule(c *call, t *tenant, p *provider) {
	last := int64(0)
	for i := range c.messages {
		m := &c.messages[i]
		last = max(last, m.sent+s.calls.between(20, 150))
		m.arrival = last
		m.lost = s.faults.chance(s.cfg.Loss)
		if s.faults.chance(s.cfg.Disorder) {
			m.arrival += s.faults.between(1, maxDelay)
			s.counts.Delayed++
		}
	}
	s.batch(c)
	c.arrive()
	if c.restate != nil {
		c.restate()
	}
	c.tell()
	for i := range c.messages {
		s.queueMessage(c, &c.messages[i], t, p)
	}
}

// batchShare is how often a producer puts two events of a call into one record,
// if they follow each other within batchLinger milliseconds.
const (
	batchShare  = 0.04
	batchLinger = 300
)

func (s *Simulator) batch(c *call) {
	for i := 0; i+1 < len(c.messages); i++ {
		a, b := &c.messages[i], &c.messages[i+1]
		if !s.calls.chance(batchShare) || b.sent-a.sent > batchLinger {
			continue
		}
		a.value = slices.Concat([]byte{'['}, a.value, []byte{','}, b.value, []byte{']'})
		a.arrival = max(a.arrival, b.arrival)
		b.arrival, b.lost, b.value = a.arrival, a.lost, nil
		i++
	}
}

func (s *Simulator) queueMessage(c *call, m *message, t *tenant, p *provider) {
	r := Record{Key: []byte(m.leg.id), Value: m.value, Timestamp: m.arrival, Headers: t.headers(s.calls, p, m.kind != tellsExtra), Provider: p.name, Tenant: t.name}
	if m.value == nil { // in one record with the one before
		return
	}
	if m.lost {
		s.counts.Lost++
		return
	}
	s.enqueue(pending{record: r, call: c})
	if s.faults.chance(s.cfg.Duplicates) {
		r.Timestamp += s.faults.between(0, maxRepeat)
		s.counts.Duplicates++
		s.enqueue(pending{record: r, call: c})
	}
	if s.faults.chance(s.cfg.Garbage) {
		s.enqueue(pending{record: s.garbage(r, t, p)})
	}
}

// pending is a record that waits for its time, and the call that waits for it.
type pending struct {
	record Record
	call   *call
	order  uint64 // of queueing, between equal timestamps
}

func (s *Simulator) enqueue(p pending) {
	s.order++
	p.order = s.order
	if p.call != nil {
		p.call.left++
	}
	heap.Push(&s.queue, p)
}

// queue is a heap of records by time.
type queue []pending

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	a, b := q[i].record.Timestamp, q[j].record.Timestamp
	return a < b || a == b && q[i].order < q[j].order
}

func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(pending)) }

func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = pending{}
	*q = old[:len(old)-1]
	return last
}
