package topology

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

func part(n int32) TopicPartition { return TopicPartition{"call.raw", n} }

// The leg clock waits for every partition of every source, follows the slowest,
// and never goes back.
func TestLegClock(t *testing.T) {
	c := newClocks(1)
	c.configure(map[string]int32{"call.raw": 2})
	tell := func(p TopicPartition, time, want call.Arrival) {
		t.Helper()
		c.progress(p, time)
		if c.settle(); c.leg != want {
			t.Errorf("after %s told %d the leg clock is %d, want %d", p, time, c.leg, want)
		}
	}
	tell(part(0), 100, call.Unheard)
	tell(part(1), 50, 50)
	tell(part(1), 200, 100)
	tell(part(0), 250, 200)
	tell(part(0), 90, 200) // what it vouched for stays
	tell(part(1), 300, 250)

	c.configure(map[string]int32{"call.raw": 3})
	tell(part(0), 400, 250) // the new partition holds the clock where it is
	tell(part(2), 30, 250)
	tell(part(2), 350, 300)
	if held, _ := c.heldBy(); held.source != part(1) {
		t.Errorf("held by %s, want %s", held.source, part(1))
	}

	c.configure(map[string]int32{"other": 1}) // the source left
	other := TopicPartition{"other", 0}
	tell(other, 1000, 1000)
}

func TestNoSources(t *testing.T) {
	c := newClocks(1)
	c.settle()
	if _, ok := c.heldBy(); ok || c.leg != call.Unheard {
		t.Errorf("a topology without sources has time %d", c.leg)
	}
}

func TestClocksBinary(t *testing.T) {
	c := newClocks(2)
	c.configure(map[string]int32{"call.raw": 2})
	c.progress(part(1), 7)
	c.tasks[1] = taskClock{5, 9}
	c.leg, c.session = 3, 4
	got := newClocks(2)
	if err := codec.Read(codec.Append(nil, &c), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c, got, cmp.AllowUnexported(clocks{}, sourceClock{}, taskClock{})); d != "" {
		t.Error(d)
	}
}

// The smallest trig in flight is that of a plain list of everything sent and
// not acknowledged.
func TestFlight(t *testing.T) {
	const partitions = 3
	rapid.Check(t, func(t *rapid.T) {
		type message struct {
			partition int32
			sent
		}
		f := make(flight, partitions)
		var all, fresh []message
		var ends [partitions]int64
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				p, trig := rapid.Int32Range(0, partitions-1).Draw(t, "p"), call.Arrival(rapid.Int64Range(1, 20).Draw(t, "trig"))
				f.send(p, trig)
				fresh = append(fresh, message{p, sent{ends[p], trig}})
				ends[p]++
			},
			"commit": func(t *rapid.T) {
				for _, s := range fresh {
					f.tell(s.partition, s.offset)
				}
				f.commit()
				all, fresh = append(all, fresh...), nil
			},
			"abort": func(t *rapid.T) {
				f.abort()
				fresh = nil
			},
			"acknowledge": func(t *rapid.T) {
				p := rapid.Int32Range(0, partitions-1).Draw(t, "p")
				at := rapid.Int64Range(0, ends[p]).Draw(t, "position")
				f.acknowledge(p, at)
				var kept []message
				for _, s := range all {
					if s.partition != p || s.offset >= at {
						kept = append(kept, s)
					}
				}
				all = kept
			},
			"": func(t *rapid.T) {
				want := call.Arrival(math.MaxInt64)
				for _, s := range append(slices.Clone(all), fresh...) {
					want = min(want, s.trig)
				}
				if got := f.earliest(); got != want {
					t.Fatalf("earliest %d, want %d", got, want)
				}
			},
		})
	})
}
