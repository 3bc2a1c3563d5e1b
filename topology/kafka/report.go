package kafka

import "time"

// report tells the status about the session's tasks, a few times a second.
func (s *session) report() {
	if time.Since(s.reported) < tickInterval/2 {
		return
	}
	s.reported = time.Now()
	now := workerStatus{joined: s.joined(), lag: s.lag}
	for _, p := range s.parts {
		now.tasks = append(now.tasks, s.task(p))
	}
	s.status.update(s.id, now)
}

// joined reports whether the group has told the worker what is its own, which may
// be nothing.
func (s *session) joined() bool {
	_, generation := s.cl.GroupMetadata()
	return generation > 0
}

func (s *session) task(p *partition) Task {
	t := Task{
		Worker: s.id, Node: "decode", Topic: p.topic, Partition: p.partition,
		Position: p.stable.offset, End: p.end, Newest: p.newest, Restoring: !p.active(),
		Throttled: p.decode != nil && s.throttle,
	}
	if p.decode != nil {
		t.Totals = p.decode.Totals()
	}
	if p.topic != s.cfg.ExchangeTopic() {
		return t
	}
	t.Node = "stitch"
	if p.restore != nil {
		t.Remaining = p.restore.remaining()
	}
	if stitch := p.stitch; stitch != nil {
		t.LegClock, t.SessionClock, t.Counts = stitch.LegClock(), stitch.SessionClock(), stitch.Counts()
		t.HeldBy.Topic, t.HeldBy.Partition = stitch.HeldBy()
		t.Nodes, t.Keys, t.Bytes = stitch.Held()
	}
	return t
}
