package kafka

import (
	"time"

	"callstitch/topology"
)

// report tells the status about the session's tasks, a few times a second.
func (s *session) report() {
	if time.Since(s.reported) < tickInterval/2 {
		return
	}
	s.reported = time.Now()
	now := work{joined: s.joined() && !s.pulse.lacksOffsets(), lag: s.lag, interval: s.interval()}
	for _, p := range s.parts {
		now.tasks = append(now.tasks, s.task(p))
	}
	s.status.update(now)
}

// joined reports whether the group has told the worker what is its own, which may
// be nothing.
func (s *session) joined() bool {
	_, generation := s.cl.GroupMetadata()
	return generation > 0
}

func (s *session) task(p *partition) Task {
	t := Task{
		Topic: p.Topic, Partition: p.Partition,
		Position: p.stable.offset, End: p.end, Newest: p.newest, Restoring: !p.active,
		Throttled: p.source && s.throttle, Lead: p.lead.clock, RecordLead: p.lead.record,
	}
	if p.restore != nil {
		t.Node, t.Remaining = topology.StitchNode, p.restore.remaining()
	}
	if p.task != nil {
		t.Report = p.task.Report()
	}
	return t
}
