package feed

import "sync/atomic"

// What names one kind of a feed's frames, as metrics count them.
type What string

// The kinds of frames. Each frame that arrives is Taken, Dropped, TooLarge or Lost
// in the end; Held ones are counted again when they are taken.
const (
	Taken    What = "taken"     // handed over
	Dropped  What = "dropped"   // of a kind that is not to be taken
	Held     What = "held"      // refused at first, and kept in hand
	TooLarge What = "too_large" // over the limit: cannot be read, and ends the connection
	Lost     What = "lost"      // still refused when the program ended
)

// Whats lists them.
func Whats() []What { return []What{Taken, Dropped, Held, TooLarge, Lost} }

// Counters are what a feed tells of itself. Any goroutine may read them while the
// feed runs; the zero value is ready.
type Counters struct {
	connected  atomic.Bool
	refused    atomic.Int64 // frames in hand that were refused
	reconnects atomic.Int64
	frames     [5]atomic.Int64 // by index in Whats
}

// Up reports whether the feed is connected, subscribed, and read from: what the
// provider sends now is taken.
func (c *Counters) Up() bool { return c.connected.Load() && c.refused.Load() == 0 }

// Reconnects is how often a connection was tried for again, after the first time.
func (c *Counters) Reconnects() int64 { return c.reconnects.Load() }

// Frames is how many frames came to this end.
func (c *Counters) Frames(what What) int64 { return c.of(what).Load() }

func (c *Counters) count(what What) { c.of(what).Add(1) }

func (c *Counters) of(what What) *atomic.Int64 {
	for i, w := range Whats() {
		if w == what {
			return &c.frames[i]
		}
	}
	panic("feed: no such frames: " + string(what))
}
