package kafka

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/topology"
)

// held is that the clocks of an instance stand still.
type held struct {
	since time.Time // zero: they move
	why   string
	open  []OpenTransaction
}

// holds is what a process knows of clocks that stand still. An instance whose commits go
// through may be well, and yet nothing become FINAL: a partition that nobody can read holds
// the clock of all.
type holds struct {
	leg, session call.Arrival
	moved        time.Time // when both last had
	asked, said  time.Time
	found        held
}

// heldAlarm is how long a clock may stand before the log is told, once a minute.
const heldAlarm = time.Minute

// watchClocks looks whether the clocks move, and why they do not.
func (p *process) watchClocks(ctx context.Context, cl *kgo.Client) {
	now, h, snap := time.Now(), &p.holds, p.status.Snapshot()
	if h.moves(snap, now) {
		if !h.said.IsZero() {
			p.cfg.Log.Info("the clock moves again", "after", now.Sub(h.found.since).Round(time.Second))
		}
		h.asked, h.said, h.found = time.Time{}, time.Time{}, held{}
		p.status.setHeld(held{})
		return
	}
	h.found.since = h.moved
	if now.Sub(snap.LastCommit) >= heldLimit { // which a standstill tells of, and why
		p.status.setHeld(held{since: h.moved, why: "this instance commits nothing"})
		return
	}
	if now.Sub(h.asked) >= retryInterval {
		h.asked = now
		h.found.why, h.found.open = p.whyHeld(ctx, cl, snap)
	}
	p.status.setHeld(h.found)
	if stood := now.Sub(h.moved); stood >= heldAlarm && now.Sub(h.said) >= stallReminder {
		h.said = now
		p.cfg.Log.Warn("the clock stands still, and nothing becomes final by it", "for", stood.Round(time.Second), "why", h.found.why)
	}
}

// moves reports whether both clocks have moved of late, of an instance that has tasks which
// know them.
func (h *holds) moves(snap Snapshot, now time.Time) bool {
	knows := snap.count(topology.StitchNode, false) > 0
	// One that goes back is that of a task which has just come.
	leg, session := snap.LegClock != h.leg, snap.SessionClock != h.session
	if !knows || h.moved.IsZero() || leg && session {
		h.leg, h.session, h.moved = snap.LegClock, snap.SessionClock, now
	}
	return now.Sub(h.moved) < heldLimit
}

// whyHeld asks the brokers.
func (p *process) whyHeld(ctx context.Context, cl *kgo.Client, snap Snapshot) (why string, open []OpenTransaction) {
	ctx, cancel := context.WithTimeout(ctx, retryInterval)
	defer cancel()
	var clocks *Clocks
	err := within(ctx, func() (err error) {
		clocks, err = readClocks(ctx, p.cfg, cl)
		return err
	})
	if err != nil { // clocks may still be written
		return fmt.Sprintf("%s holds it; brokers do not say why: %v", snap.HeldBy, err), nil
	}
	return clocks.why(snap, time.Now()), clocks.Open
}

// why says what holds the clocks of an instance: the source partition that holds its leg
// clock, or the session clock's, a transaction behind which the exchange is not read.
func (c *Clocks) why(snap Snapshot, now time.Time) string {
	var reasons []string
	late := now.Sub(time.UnixMilli(int64(snap.LegClock))) > heldLimit
	for _, s := range c.Sources {
		if s.TopicPartition == snap.HeldBy && late && s.State != SourceIdle && s.State != SourceDropped {
			reasons = append(reasons, s.sentence())
		}
	}
	for _, o := range c.Open {
		if o.TopicPartition != snap.HeldBy {
			reasons = append(reasons, fmt.Sprintf("%s is read no further than %s: %s", o.TopicPartition, &o, o.Remedy()))
		}
	}
	if c.Unknown != nil {
		reasons = append(reasons, "open transactions are not known: "+c.Unknown.Error())
	}
	if len(reasons) == 0 {
		return fmt.Sprintf("%s is the earliest; see the lag of the exchange, and the other instances", snap.HeldBy)
	}
	return strings.Join(reasons, "; ")
}

// sentence says why the partition holds the clock, and what to do.
func (c *SourceClock) sentence() string {
	s := c.TopicPartition.String() + " holds it: " + c.Why()
	if do := c.Remedy(); do != "" {
		s += ": " + do
	}
	return s
}
