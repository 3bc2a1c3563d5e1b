package kafka

import "testing"

// A worker is behind from where its sources hold more than it reads in a tick until they
// hold half of that, and never for what a commit leaves behind.
func TestBacklog(t *testing.T) {
	b := new(backlog)
	for i, step := range []struct {
		read, left int64
		want       bool
	}{
		{0, backlogLeast, false},
		{50_000, 50_000, false}, // as much as in one tick, of fast live traffic
		{50_000, 50_001, true},
		{50_000, 25_001, true},
		{50_000, 25_000, false},
		{50_000, 25_001, false},
		{0, backlogLeast + 1, true}, // nothing was read: as at the start
		{100, backlogLeast/2 + 1, true},
		{100, backlogLeast / 2, false},
	} {
		b.read += step.read
		if b.tick(step.left); b.on != step.want {
			t.Errorf("step %d: after %d read and with %d left it is %v", i, step.read, step.left, b.on)
		}
	}
}
