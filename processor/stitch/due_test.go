package stitch

import (
	"math/rand/v2"
	"testing"
	"time"

	"callstitch/processor/call"
)

// alone is the three events of a call of one leg that names no link: set-up, answer
// and end.
func alone(at call.Arrival) []*call.Event {
	events := conversation(rand.New(rand.NewPCG(1, 1)), "c", 1, call.Time(at))
	for _, e := range events {
		e.Links = nil
	}
	return events
}

// A session of one leg has its next revision when the leg clock is a second past the
// last one, not a moment later.
func TestNextRevisionComesAfterASecond(t *testing.T) {
	m := New(testConfig, mapState{}, testKeep)
	const start = call.Arrival(1_700_000_000_000)
	events := alone(start)
	m.Event(events[0], start, start)
	if n := len(settled(m, start, start-1).Sessions); n != 1 {
		t.Fatalf("%d records of the first event, want 1", n)
	}
	m.Event(events[1], start+10, start+10)
	if n := len(settled(m, start+999, start-1).Sessions); n != 0 {
		t.Errorf("%d records within a second, want none", n)
	}
	if n := len(settled(m, start+1000, start-1).Sessions); n != 1 {
		t.Errorf("%d records after a second, want 1", n)
	}
}

// A session that waited for its end by the session clock, and now waits for its next
// revision by the leg clock, is woken by that, however far the session clock is behind.
func TestTimerMovesToTheOtherClock(t *testing.T) {
	cfg := testConfig
	cfg.Grace = 900 * time.Millisecond
	m := New(cfg, mapState{}, testKeep)
	const start = call.Arrival(1_700_000_000_000)
	events := alone(start)
	m.Event(events[2], start, start)
	if n := len(settled(m, start, start-1).Sessions); n != 1 {
		t.Fatalf("%d records of an ended leg, want 1", n)
	}
	m.Event(events[1], start+500, start+500)
	if n := len(settled(m, start+500, start-1).Sessions); n != 0 {
		t.Fatalf("%d records within a second, want none", n)
	}
	if n := len(settled(m, start+1000, start+500).Sessions); n != 1 {
		t.Errorf("%d records after a second, want 1", n)
	}
}
