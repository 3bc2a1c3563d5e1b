package topology

import (
	"math"
	"slices"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// clocks are what a stitch task knows of time: the leg clock, which no source
// partition's next event is at or before, and the session clock, which no
// message in flight was caused at or before. Both only go forward.
type clocks struct {
	leg, session call.Arrival

	sources []sourceClock // sorted by partition; every one that is configured or was heard
	tasks   []taskClock   // the latest word of each stitch task, by number
}

type sourceClock struct {
	source TopicPartition
	time   call.Arrival // call.Unheard until it was heard
}

type taskClock struct {
	time     call.Arrival
	position int64
}

func newClocks(tasks int32) clocks {
	c := clocks{leg: call.Unheard, session: call.Unheard, tasks: make([]taskClock, tasks)}
	for i := range c.tasks {
		c.tasks[i].time = call.Unheard
	}
	return c
}

// configure adds the source partitions that are not known yet, which hold the
// leg clock where it is until they are heard, and drops those whose topic is no
// longer a source.
func (c *clocks) configure(counts map[string]int32) {
	c.sources = slices.DeleteFunc(c.sources, func(s sourceClock) bool {
		_, ok := counts[s.source.Topic]
		return !ok
	})
	for topic, n := range counts { // order: each lands in its sorted place
		for p := range n {
			c.at(TopicPartition{topic, p})
		}
	}
}

func (c *clocks) at(p TopicPartition) *sourceClock {
	i, ok := slices.BinarySearchFunc(c.sources, p, func(s sourceClock, p TopicPartition) int {
		return s.source.Compare(p)
	})
	if !ok {
		c.sources = slices.Insert(c.sources, i, sourceClock{source: p, time: call.Unheard})
	}
	return &c.sources[i]
}

// progress takes in the time of a source partition. What a partition vouched
// for once stays vouched for.
func (c *clocks) progress(p TopicPartition, time call.Arrival) {
	s := c.at(p)
	s.time = max(s.time, time)
}

// heldBy is the source partition that holds the leg clock; false where there is
// no source.
func (c *clocks) heldBy() (sourceClock, bool) {
	if len(c.sources) == 0 {
		return sourceClock{}, false
	}
	return slices.MinFunc(c.sources, func(a, b sourceClock) int {
		switch {
		case a.time < b.time:
			return -1
		case a.time > b.time:
			return 1
		}
		return 0
	}), true
}

// settle moves both clocks as far as what was heard allows.
func (c *clocks) settle() {
	if held, ok := c.heldBy(); ok {
		c.leg = max(c.leg, held.time)
	}
	slowest := call.Arrival(math.MaxInt64)
	for _, t := range c.tasks {
		slowest = min(slowest, t.time)
	}
	c.session = max(c.session, slowest)
}

// clocksForm is the version of the stored form of clocks.
const clocksForm = 1

// Visit visits the clocks.
func (c *clocks) Visit(k *codec.Codec) {
	k.Form(clocksForm)
	c.leg.Visit(k)
	c.session.Visit(k)
	codec.List(k, &c.sources, (*sourceClock).Visit)
	codec.List(k, &c.tasks, (*taskClock).Visit)
}

// Visit visits the time of a source partition.
func (s *sourceClock) Visit(c *codec.Codec) {
	s.source.Visit(c)
	s.time.Visit(c)
}

// Visit visits the word of a stitch task.
func (t *taskClock) Visit(c *codec.Codec) {
	t.time.Visit(c)
	c.Int64(&t.position)
}

// flight is the messages that a stitch task sent to others and that were not
// acknowledged yet, by exchange partition.
type flight []lane

// lane is what is in flight to one partition, in the order of sending.
type lane struct {
	queue []sent         // of committed transactions, with ascending trigs
	open  []call.Arrival // trigs of the open transaction
	at    []int64        // their offsets, as far as the runtime has told them
}

type sent struct {
	offset int64
	trig   call.Arrival
}

func (f flight) send(partition int32, trig call.Arrival) {
	l := &f[partition]
	l.open = append(l.open, trig)
}

// tell records the offset of the next open message to a partition.
func (f flight) tell(partition int32, offset int64) {
	l := &f[partition]
	l.at = append(l.at, offset)
}

// commit queues what the open transaction sent. A message before another one
// that was caused no later need not be kept: it is acknowledged no later.
func (f flight) commit() {
	for i := range f {
		l := &f[i]
		for n, trig := range l.open {
			for len(l.queue) > 0 && l.queue[len(l.queue)-1].trig >= trig {
				l.queue = l.queue[:len(l.queue)-1]
			}
			l.queue = append(l.queue, sent{l.at[n], trig})
		}
	}
	f.abort()
}

// abort forgets what the open transaction sent.
func (f flight) abort() {
	for i := range f {
		f[i].open, f[i].at = f[i].open[:0], f[i].at[:0]
	}
}

// acknowledge forgets what went to a partition below a position.
func (f flight) acknowledge(partition int32, position int64) {
	l := &f[partition]
	n := 0
	for n < len(l.queue) && l.queue[n].offset < position {
		n++
	}
	l.queue = l.queue[n:]
}

// earliest is the smallest trig in flight, math.MaxInt64 where nothing is.
func (f flight) earliest() call.Arrival {
	least := call.Arrival(math.MaxInt64)
	for i := range f {
		for _, trig := range f[i].open {
			least = min(least, trig)
		}
		if len(f[i].queue) > 0 {
			least = min(least, f[i].queue[0].trig)
		}
	}
	return least
}
