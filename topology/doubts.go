package topology

import (
	"time"

	"callstitch/processor/call"
)

// How far one record alone moves the clock of a file. What is further ahead may be a
// gap in the file, which a second record tells, or a wrong clock.
const (
	// leapOfLine is for records that only name call times.
	leapOfLine = 24 * time.Hour
	// leapOfTimestamp is for Kafka timestamps, which were arrival times once: what a run
	// over the topic said of lateness, a run over its copy says again. It is also how
	// late an event may be by its own time alone.
	leapOfTimestamp = 366 * 24 * time.Hour
	// agreement is how close two instants lie that bear each other out.
	agreement = 24 * time.Hour
)

// doubts are what a file's clock has heard and not believed.
type doubts struct {
	at     call.Arrival // further ahead than is believed; 0 for none
	leg    call.LegID   // of which call; zero for none
	sum    [32]byte     // of the record's value
	latest call.Arrival // the last arrival of a record that the clock has not followed
}

// FromFile says that the records are those of a file, whose clock makes no leap for one
// record: it would close every session and call all that follows late. An instant too
// far ahead is believed when a record of another call is within a day of it. Until then
// only its own record arrives then, so that an event which is days late is told from
// one in time; where it is a year ahead, not even that.
//
// The first line without a timestamp waits for any second one that is no copy of it. Where
// the two disagree the earlier is believed.
func (t *DecodeTask) FromFile() { t.file = true }

// believe reports whether the clock may move to an instant, and moves it where the
// instant bears out one that was in doubt.
func (s *decodeState) believe(at call.Arrival, stamped bool, events []*call.Event) bool {
	var leg call.LegID
	var sum [32]byte
	if len(events) > 0 {
		leg, sum = events[0].Leg, events[0].SHA256
	}
	leap := leapOfLine
	if stamped {
		leap = leapOfTimestamp
	}
	now := max(s.clock, s.dated)
	d, begun := &s.doubts, now != call.Unheard
	switch {
	case begun && at <= now.Add(leap), !begun && stamped:
		return true
	case d.at != 0 && d.sum == sum:
		return false // a copy bears nothing out
	case d.at != 0 && (d.leg != leg || !begun) && at <= d.at.Add(agreement) && d.at <= at.Add(agreement):
		s.clock = max(s.clock, d.at)
		return true
	case d.at != 0 && !begun && at < d.at:
		return true
	case d.at != 0 && !begun:
		s.clock = d.at
	}
	d.at, d.leg, d.sum = at, leg, sum
	return false
}

// doubtful is when a record arrived whose instant is not believed.
func (s *decodeState) doubtful(at call.Arrival) call.Arrival {
	if now := max(s.clock, s.dated); now != call.Unheard && at > now.Add(leapOfTimestamp) {
		return now
	}
	s.doubts.latest = max(s.doubts.latest, at)
	return at
}
