package kafka

import "time"

const (
	// backlogInterval is how long a transaction lasts while sources are behind. Each
	// costs some milliseconds in which nothing is read, whatever is in it; nobody who
	// waits for minutes minds half a second. A tick ends it, which timers need.
	backlogInterval = tickInterval
	// backlogLeast is how many records are a backlog at least: live traffic leaves as
	// many behind in the moment of a commit.
	backlogLeast = 10_000
)

// backlog knows whether the sources of a worker are behind: they hold more than it has
// read since the last tick. It is over when they hold half of that.
type backlog struct {
	on   bool
	read int64 // records of sources since the last tick
}

// tick looks at what the sources hold still.
func (b *backlog) tick(left int64) {
	most := max(backlogLeast, b.read)
	b.on = left > most || b.on && left > most/2
	b.read = 0
}

// left is how many records the worker's sources held that it has not processed.
func (s *session) left(o *observation) (n int64) {
	for tp, p := range s.parts {
		if position, ok := s.tasks.Position(tp); ok && p.source {
			n += max(o.end(p)-position, 0)
		}
	}
	return n
}

// interval is how long a transaction that has work may last.
func (s *session) interval() time.Duration {
	if s.backlog.on {
		return max(backlogInterval, s.cfg.CommitInterval)
	}
	return s.cfg.CommitInterval
}
