package stitch

import (
	"slices"

	"callstitch/processor/call"
)

// skewToleranceMS is how far the instants of one leg may contradict the order of
// a call's life before that is remarked on: the hosts of one provider differ by
// some 200 ms, and one that waits for another stamps what came before too late.
const skewToleranceMS = 1000

// skew is the flag for a leg about which clocks disagree: an earlier stage of its
// life is stamped after a later one, by more than tolerated.
//
// Only a clock can be skewed, so what was computed from a duration does not count.
// A Kafka timestamp is late where a record is, so it tells only by being too early.
// Ringing counts where a field of its own names it: the event repeats for each
// agent, and the one that came before the answer may be lost.
func (l *leg) skew() call.Flags {
	life := [...]call.Instant{l.started, l.ringing, l.answer, l.end()}
	if life[1].Src == call.EventTime {
		life[1] = call.Instant{}
	}
	for i, a := range life {
		if !a.Known() || a.Src > call.Snapshot {
			continue
		}
		for _, b := range life[i+1:] {
			clocked := b.Known() && (b.Src <= call.Snapshot || b.Src == call.Ingest)
			if clocked && a.At > b.At+int64(b.Precision)+skewToleranceMS {
				return call.ClockSkew
			}
		}
	}
	return 0
}

// weak says whether nothing but a tag holds some of the legs together. The
// application may use one tag for several calls, and rewrite it during one.
func (p *picture) weak(methods []call.LinkKind) bool {
	if !slices.Contains(methods, call.Tag) {
		return false
	}
	first := p.ancestor(0)
	for i := range p.peers {
		if p.ancestor(i) != first {
			return true
		}
	}
	return false
}

// ancestor is the call id that leg i descends from, seen or only named.
func (p *picture) ancestor(i int) string {
	for range p.peers { // parents in a circle end as well
		if p.peers[i].parent < 0 {
			break
		}
		i = p.peers[i].parent
	}
	if m := &p.peers[i]; m.child() {
		return m.parentCallID.value
	}
	return p.peers[i].callID
}
