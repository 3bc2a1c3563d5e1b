package call

import (
	"math"
	"time"

	"callstitch/processor/codec"
)

// Arrival is arrival time, in epoch milliseconds: for each source partition the
// largest Kafka timestamp so far. The clocks stand on it and every timer runs on it;
// no time that a provider reports moves either.
type Arrival int64

// Unheard is an arrival before all others: nothing was heard yet.
const Unheard Arrival = math.MinInt64

// Add is the arrival d later, to whole milliseconds; a is not Unheard.
func (a Arrival) Add(d time.Duration) Arrival { return a + Arrival(d.Milliseconds()) }

// Visit visits the arrival.
func (a *Arrival) Visit(c *codec.Codec) { c.Int64((*int64)(a)) }

// Time is call time, in epoch milliseconds: an instant as providers report it. 0 is
// one that is not known, null in records; none lies before the year 2000. It tells what
// happened and in what order, and never drives a timer.
type Time int64

// Known reports whether the instant is known.
func (t Time) Known() bool { return t != 0 }

// Visit visits the instant.
func (t *Time) Visit(c *codec.Codec) { c.Int64((*int64)(t)) }

// Impossible is by how much the statements about one leg may contradict each other, in
// milliseconds, before one of them is not believed. The hosts of a provider differ by
// some 200 ms, and one whose time server is lost by minutes. What is further apart is
// no clock that is off, but the time of something else: the start of another call, a
// template, another zone. Smaller contradictions are only remarked on.
const Impossible Time = 5 * 60_000

// LongestWait is how long a call can wait to be made, or for its answer, in
// milliseconds: of two statements that are further apart, one is of another call.
const LongestWait Time = 24 * 3600 * 1000

// Follow reports whether those of the instants that are known follow each other, all
// within LongestWait: then none of them contradicts another.
func Follow(instants []Time) bool {
	var first, last Time
	for _, at := range instants {
		switch {
		case !at.Known():
		case !first.Known():
			first, last = at, at
		case at < last, at > first+LongestWait:
			return false
		default:
			last = at
		}
	}
	return true
}
