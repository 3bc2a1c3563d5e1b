package kafka

import (
	"time"

	"callstitch/processor/call"
)

// LeadMax is how far the clock of a source partition may be ahead of the brokers' before
// this is told. What is less comes of clocks that differ as clocks do, and of ticks.
const LeadMax = time.Minute

// measure compares the clocks of source partitions with the brokers', which ticks hear.
// A record's date may be its producer's, and what is dated ahead holds back what closes
// by it, while everything else looks healthy (K39). Nothing is decided here.
func (s *session) measure(o *observation) {
	if o.heard == call.Unheard {
		return
	}
	now := o.heard.Add(time.Since(o.at))
	for _, p := range s.parts {
		if !p.source || !p.active {
			continue
		}
		p.lead = 0
		if clock := p.task.Report().Arrival; clock > now {
			p.lead = time.Duration(clock-now) * time.Millisecond
		}
		switch log := s.log.With("topic", p.Topic, "partition", p.Partition, "lead", p.lead.Round(time.Second)); {
		case !p.ahead && p.lead > LeadMax:
			p.ahead = true
			log.Warn("the clock of a source partition is ahead of the brokers', and its sessions close later by that")
		case p.ahead && p.lead < LeadMax/2: // else it would be told again and again
			p.ahead = false
			log.Info("the clock of a source partition is no longer ahead of the brokers'")
		}
	}
}
