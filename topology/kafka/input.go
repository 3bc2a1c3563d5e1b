package kafka

import "time"

const (
	// exchangeLagMax is where raw records wait until the exchange was worked off.
	// Messages between stitch tasks never wait, so nothing can deadlock.
	exchangeLagMax = 50_000
	exchangeLagLow = exchangeLagMax / 2

	// holdLimit is how long sources are held at most: after an assignment, for tasks that
	// are restored, and after each of these has come, for what it has still to read. That
	// takes one or two commits of others; a task that stands still for longer must not
	// keep the rest waiting.
	holdLimit = 5 * time.Second
	// holdAgain is how often it is tried again where a way stayed closed, and holdShort
	// for how long: else one long backlog would send all events through the exchange
	// until the next assignment.
	holdAgain = time.Minute
	holdShort = time.Second
)

// balanceInput has the client fetch what the tasks can take now.
func (s *session) balanceInput() {
	s.throttle = s.lag > exchangeLagMax || s.throttle && s.lag >= exchangeLagLow
	s.holdSources(time.Now())
	pause, resume := make(map[string][]int32), make(map[string][]int32)
	for tp, p := range s.parts {
		wanted := s.wants(p)
		switch {
		case p.fetched && !wanted:
			pause[tp.Topic] = append(pause[tp.Topic], tp.Partition)
		case !p.fetched && wanted:
			resume[tp.Topic] = append(resume[tp.Topic], tp.Partition)
		}
		p.fetched = wanted
	}
	if len(pause) > 0 {
		s.cl.PauseFetchPartitions(pause)
	}
	if len(resume) > 0 {
		s.cl.ResumeFetchPartitions(resume)
	}
}

// wants reports whether the client is to fetch a partition: its task is the worker's,
// and the client can read it. Sources wait while any exchange partition lags too much,
// and while they are held.
func (s *session) wants(p *partition) bool {
	return p.active && (p.hand == nil || !p.hand.paused) && !(p.source && (s.throttle || p.held))
}

// holdSources holds back the sources whose events cannot be handed over to every stitch
// task of the worker: what is under way in the exchange arrives meanwhile, and tasks that
// were just assigned are restored. A long restore is not waited for.
func (s *session) holdSources(now time.Time) {
	if now.After(s.holdNext) {
		s.holdUntil, s.holdNext = now.Add(holdShort), now.Add(holdAgain)
	}
	restoring := false
	for _, p := range s.parts {
		restoring = restoring || !p.source && !p.active && now.Before(s.assigned.Add(holdLimit))
	}
	for tp, p := range s.parts {
		if p.source && p.active {
			p.held = restoring || now.Before(s.holdUntil) && s.tasks.Closed(tp)
			s.tasks.Hold(tp, p.held)
		}
	}
}

// holdAnew begins to hold sources for what a new task has still to read.
func (s *session) holdAnew(now time.Time) {
	s.holdUntil, s.holdNext = now.Add(holdLimit), now.Add(holdAgain)
}
