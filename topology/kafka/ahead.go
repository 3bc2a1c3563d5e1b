package kafka

import (
	"math"
	"time"

	"callstitch/processor/call"
)

// lead is how far a source partition is ahead of the brokers' clock. The date of a record
// may be its producer's, and what is dated ahead holds back what closes by it, while
// everything else looks healthy (K39). Nothing is decided by a lead: it is only told.
type lead struct {
	clock  time.Duration // of the partition's clock, as of the last tick; 0 where it is not ahead
	record time.Duration // of the record that was furthest ahead, by more than LeadMax, of late; else 0

	records  int64     // dated ahead, of the open transaction
	furthest int64     // timestamp of such a record since the last tick, epoch ms
	at       time.Time // of the last tick that knew of such a record

	toldClock, toldRecord bool // the log was told of it
}

// takeRecords is the number of records of the transaction that are dated ahead, once.
func (l *lead) takeRecords() int64 {
	n := l.records
	l.records = 0
	return n
}

// datedAhead notes the date of a record that is beyond aheadFrom.
func (l *lead) datedAhead(timestamp int64) {
	l.records++
	l.furthest = max(l.furthest, timestamp)
}

// aheadFrom is the timestamp behind which records are dated ahead of the brokers' clock,
// as it was heard last.
func (s *session) aheadFrom() int64 {
	if s.heard.heard == call.Unheard || s.heard.at.IsZero() {
		return math.MaxInt64
	}
	return int64(s.heard.now().Add(LeadMax))
}

// now is the brokers' clock by what was heard of it, or a little less.
func (o *observation) now() call.Arrival { return o.heard.Add(time.Since(o.at)) }

// measure compares the clocks and records of source partitions with the brokers' clock.
func (s *session) measure(o *observation) {
	if o.heard == call.Unheard {
		return
	}
	s.heard = observation{heard: o.heard, at: o.at}
	for _, p := range s.parts {
		if p.source && p.active {
			s.measureOne(p, o.now())
		}
	}
}

func (s *session) measureOne(p *partition, now call.Arrival) {
	l := &p.lead
	if l.clock = 0; p.task.Report().Arrival > now {
		l.clock = over(p.task.Report().Arrival, now)
	}
	switch {
	case l.furthest > 0:
		l.record, l.furthest, l.at = over(call.Arrival(l.furthest), now), 0, time.Now()
	case time.Since(l.at) > LeadMax:
		l.record = 0
	}
	log := s.log.With("topic", p.Topic, "partition", p.Partition)
	switch {
	case !l.toldClock && l.clock > LeadMax:
		l.toldClock = true
		log.Warn("the clock of a source partition is ahead of the brokers', and its sessions close later by that", "lead", l.clock.Round(time.Second))
	case l.toldClock && l.clock < LeadMax/2: // else it would be told again and again
		l.toldClock = false
		log.Info("the clock of a source partition is no longer ahead of the brokers'")
	}
	switch {
	case !l.toldRecord && l.record > 0:
		l.toldRecord = true
		log.Warn("records of a source partition are dated ahead of the brokers' clock, and their calls close later by that", "lead", l.record.Round(time.Second))
	case l.toldRecord && l.record == 0:
		l.toldRecord = false
		log.Info("records of a source partition are no longer dated ahead of the brokers' clock")
	}
}

func over(a, b call.Arrival) time.Duration { return time.Duration(a-b) * time.Millisecond }
