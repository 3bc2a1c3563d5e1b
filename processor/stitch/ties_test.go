package stitch

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"callstitch/processor/call"
)

const ringStart = 1_700_000_000_000

// rung is what is told of telephones that ring at once, in order: each is set up and
// given up, and all name the same start. The first one named is the first one heard of.
func rung(telephones int) (events []*call.Event) {
	for n := range 2 {
		for i := range telephones {
			e := legEvent(fmt.Sprintf("pbx.%d", i), n, call.Link{Kind: call.LinkFlow, Value: "caller"})
			if n == 0 {
				e.Type = call.EventCallInitiated
			} else {
				e.Type, e.Ended = call.EventCallEnded, e.Time
			}
			e.IngestedAt = ringStart + int64(n)*20_000 + int64(i)*7 + 50
			events = append(events, e)
		}
	}
	return events
}

// Of legs with one first instant, the one heard of first names the session, from the
// first record on: nothing is superseded on the way.
func TestTheLegHeardOfFirstNamesTheSession(t *testing.T) {
	for telephones := 2; telephones < 9; telephones++ {
		w := newNetwork(t, testConfig, uint64(telephones), 3)
		events := rung(telephones)
		for _, e := range events {
			w.event(e, call.Arrival(e.IngestedAt))
			w.advance(call.Arrival(e.IngestedAt) - 1)
		}
		w.finish(ringStart + 3_600_000)
		if len(w.sessions) != 1 || w.sessions[events[0].Leg] == nil {
			t.Errorf("%d telephones: %d session ids, want one, that of the first", telephones, len(w.sessions))
		}
	}
}

// Whatever the order of records, and of their copies with other timestamps, the leg of
// the smallest timestamp names the session: a copy that has a smaller one than all
// before it is heard by the root, wherever that is.
func TestTheSmallestTimestampOfAnyCopyNamesTheSession(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 3))
		events := rung(2 + rng.IntN(5))
		for _, e := range events[:len(events):len(events)] {
			for range rng.IntN(3) {
				c := *e
				c.IngestedAt += rng.Int64N(200) - 100
				if rng.IntN(4) == 0 { // a variant, or a conflict
					c.Content++
				}
				events = append(events, &c)
			}
		}
		first := events[0]
		for _, e := range events {
			if rng.IntN(2) == 0 {
				e.IDKind = call.IDSemantic
			}
			if e.IngestedAt < first.IngestedAt || e.IngestedAt == first.IngestedAt && first.Leg.String() > e.Leg.String() {
				first = e
			}
		}
		rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		w := newNetwork(t, testConfig, seed, 1+rng.IntN(4))
		at := call.Arrival(ringStart)
		for _, e := range events {
			at += call.Arrival(rng.IntN(400))
			w.event(e, at)
			w.advance(at - 1)
		}
		w.finish(at + 3_600_000)
		if last := w.last(); len(last) != 1 || last[0].ID != first.Leg {
			t.Fatalf("seed %d: %d sessions, the first %s, want one: %s", seed, len(last), last[0].ID, first.Leg)
		}
	}
}

// A repeat costs a message only where it tells something: the second copy of a leg's
// first record, with a later timestamp, does not.
func TestARepeatThatTellsNothingSendsNothing(t *testing.T) {
	m := New(testConfig, mapState{}, testKeep)
	e := rung(1)[0]
	tell := func(timestamp int64) int {
		c := *e
		c.IngestedAt = timestamp
		m.Event(&c, ringStart, ringStart)
		m.Flush()
		m.Commit()
		return len(m.Take().Messages)
	}
	tell(ringStart)
	// Its root is elsewhere.
	if err := m.Receive(Message{To: call.LegNode(e.Leg), Trig: ringStart, Body: m.write(&body{kind: unionMessage, root: call.LegNode(call.LegID{1})})}); err != nil {
		t.Fatal(err)
	}
	m.Flush()
	m.Commit()
	m.Take()
	for _, tt := range []struct{ later, want int }{{0, 0}, {10, 0}, {-10, 1}, {-10, 0}, {-5, 0}, {-11, 1}} {
		if n := tell(ringStart + int64(tt.later)); n != tt.want {
			t.Errorf("a repeat %d ms later sends %d messages, want %d", tt.later, n, tt.want)
		}
	}
}
