package stitch

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/processor/codec"
	"callstitch/processor/leg"
)

// What a machine keeps decoded changes nothing but its speed: the same events give the
// same sessions and the same state, byte by byte.
func TestKeepingChangesNothing(t *testing.T) {
	for seed := range uint64(40) {
		without := keeping(t, seed, 0)
		for _, keep := range []int{1, 4, 1000} {
			with := keeping(t, seed, keep)
			if d := cmp.Diff(without.sessions, with.sessions); d != "" {
				t.Fatalf("seed %d: sessions differ (-without +with %d kept):\n%s", seed, keep, d)
			}
			for i := range without.states {
				without.states[i].takeBack()
				with.states[i].takeBack()
				if d := cmp.Diff(without.states[i], with.states[i]); d != "" {
					t.Fatalf("seed %d: state %d differs (-without +with %d kept):\n%s", seed, i, keep, d)
				}
			}
		}
	}
}

// keeping is a network whose machines keep so much, after some conversations.
func keeping(t *testing.T, seed uint64, keep int) *network {
	rng := rand.New(rand.NewPCG(seed, 8))
	var events []*call.Event
	for c := range 4 {
		events = append(events, conversation(rng, fmt.Sprint("c", c), 1+rng.IntN(9), 1_700_000_000_000)...)
	}
	rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	w := newNetwork(t, testConfig, seed, 2)
	for i := range w.machines {
		w.machines[i] = New(w.cfg, w.states[i], keep)
	}
	at := call.Arrival(1_700_000_000_000)
	for _, e := range events {
		at += call.Arrival(rng.IntN(400))
		w.event(e, at)
		w.advance(at - 1)
		for _, m := range w.machines {
			mustBeWhole(t, &m.nodes)
		}
	}
	w.finish(at + 60_000)
	return w
}

// mustBeItsForm holds that what is taken for a leg's form is that.
func mustBeItsForm(t *testing.T, f *fold) {
	t.Helper()
	if f.leg != nil && f.form != nil && !bytes.Equal(f.form, codec.Append(nil, f.leg)) {
		t.Fatalf("of leg %s another form is held than it has", f.leg.ID)
	}
}

// mustBeWhole holds that those that rest are within the bound, and are all that is held
// between two steps, with the forms that they have.
func mustBeWhole(t *testing.T, c *cache) {
	t.Helper()
	weight, resting := 0, map[call.NodeID]*node{}
	for n := c.oldest; n != nil; n = n.newer {
		mustBeItsForm(t, &n.fold)
		for i := range n.members.all {
			mustBeItsForm(t, &n.members.all[i].fold)
		}
		weight += n.weight()
		resting[n.id] = n
		if n.newer == nil && n != c.newest {
			t.Fatal("the list ends before its newest")
		}
	}
	if weight != c.weight || weight > c.keep {
		t.Fatalf("those that rest weigh %d, and count as %d of %d", weight, c.weight, c.keep)
	}
	if !maps.Equal(resting, c.nodes) {
		t.Fatalf("%d rest, and %d are held", len(resting), len(c.nodes))
	}
}

// Those that were worked on last stay.
func TestTheOldestGoFirst(t *testing.T) {
	c := newCache(3)
	for _, i := range []byte{1, 2, 3, 1, 4} {
		id := call.NodeID{i}
		n := c.nodes[id]
		if n == nil {
			n = &node{id: id}
			c.add(n)
		}
		c.take(n)
		c.rest(n)
		c.shrink()
	}
	var kept []byte
	for id := range c.nodes {
		kept = append(kept, id[0])
	}
	if slices.Sort(kept); !slices.Equal(kept, []byte{1, 3, 4}) {
		t.Errorf("kept are %v", kept)
	}
}

// The memory of a node that was dropped serves another after the commit, as if it were new.
func TestARoomForgets(t *testing.T) {
	c := newCache(0)
	first, second := call.NodeID{0, 1}, call.NodeID{0, 2}
	n := c.begin(first)
	if n.room == nil {
		t.Fatal("the node of a leg has no room")
	}
	n.begin()
	n.leg.CallID = "first"
	n.leg.Moments = append(n.leg.Moments, leg.Moment{At: 1, Callee: "user1"})
	n.links = append(n.links, second)
	n.ids.tail = append(n.ids.tail, knownID{content: 1})
	n.published = append(n.published, publication{revision: 1})
	c.add(n)
	c.rest(n)
	c.shrink()
	if c.begin(second).room == n.room {
		t.Fatal("a room is taken before the commit, when effects may still share its memory")
	}
	c.settled()
	again := c.begin(second)
	if again.room != n.room {
		t.Fatal("the room was not taken again")
	}
	if fresh := new(room).begin(second).room; !reflect.DeepEqual(again.room, fresh) {
		t.Errorf("the room has %+v, want %+v", again.room, fresh)
	}
}
