package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"callstitch/processor/call"
	"callstitch/topology"
)

// An instance is told that the clock stands when one of its clocks has not moved for ten
// ticks, and not before it knows them.
func TestClockStands(t *testing.T) {
	start := time.Unix(1_790_000_000, 0)
	at := func(leg, session call.Arrival) Snapshot {
		return Snapshot{LegClock: leg, SessionClock: session, Tasks: []Task{{Report: topology.Report{Node: topology.StitchNode}}}}
	}
	var h holds
	for i, c := range []struct {
		after time.Duration
		snap  Snapshot
		moves bool
	}{
		{0, Snapshot{}, true},
		{time.Hour, Snapshot{}, true}, // nothing is its own
		{time.Hour + time.Second, at(1, 1), true},
		{time.Hour + 2*time.Second, at(2, 2), true},
		{time.Hour + 6*time.Second, at(2, 2), true},
		{time.Hour + 7*time.Second, at(2, 2), false},
		{time.Hour + 8*time.Second, at(3, 2), false}, // a stitch task is behind
		{time.Hour + 9*time.Second, at(3, 3), true},
		{time.Hour + 14*time.Second, at(3, 4), false},
		{time.Hour + 15*time.Second, at(1, 1), true}, // a task has come that is behind
	} {
		if got := h.moves(c.snap, start.Add(c.after)); got != c.moves {
			t.Errorf("step %d: moves %t, want %t", i, got, c.moves)
		}
	}
}

// What holds the clock is told apart by what brokers say, and each has its remedy.
func TestWhatHoldsTheClock(t *testing.T) {
	now := time.Date(2026, 11, 28, 20, 14, 3, 0, time.UTC)
	tp := topology.TopicPartition{Topic: "call.raw", Partition: 3}
	hanging := &OpenTransaction{TopicPartition: tp, First: 7, Producer: 41, ID: "x-1", Since: now}
	ending := &OpenTransaction{TopicPartition: tp, First: 7, Producer: 41, ID: "x-1", Since: now, Ends: time.Date(2126, 11, 28, 20, 14, 3, 0, time.UTC)}
	for name, c := range map[string]struct {
		of           SourceClock
		state        SourceState
		why, do      string
		holds, drops bool
	}{
		"nothing was read": {SourceClock{Position: -1, End: 9, Leader: 1}, SourceUnread, "nothing was read of it yet", "", true, false},
		"idle":             {SourceClock{Position: 9, End: 9, Leader: 1, Owner: "a"}, SourceIdle, "nothing waits in it", "", false, false},
		"behind": {
			SourceClock{Position: 7, End: 9, Leader: 1, Owner: "a"},
			SourceBehind,
			"2 offsets wait to be read, from 7 on", "wait, or scale; where its offset stands, see the log of the instance that owns it", true, false,
		},
		"nobody's": {SourceClock{Position: 7, End: 9, Leader: 1}, SourceUnowned, "no instance reads it", "start callstitch, with this topic in its sources", true, false},
		"without a leader": {
			SourceClock{Position: 7, End: -1, Leader: -1, Replicas: []int32{2}, Owner: "a"},
			SourceLeaderless,
			"it has no leader; broker 2 has it", "bring broker 2 back; where it is gone for good: callstitch clock drop call.raw 3", true, true,
		},
		"without a leader, of several": {
			SourceClock{Position: 7, End: -1, Leader: -1, Replicas: []int32{2, 3}},
			SourceLeaderless,
			"it has no leader; one of brokers 2, 3 has it", "bring one of brokers 2, 3 back; where it is gone for good: callstitch clock drop call.raw 3", true, true,
		},
		"with a leader that hangs": {
			SourceClock{Position: 7, End: -1, Leader: 2, Replicas: []int32{2}, Owner: "a"},
			SourceSilent,
			"broker 2, which leads it, does not say how far it reaches", "bring broker 2 back; where it is gone for good: callstitch clock drop call.raw 3", true, true,
		},
		"behind a transaction that hangs": {
			SourceClock{Position: 7, End: 9, Leader: 1, Owner: "a", Open: hanging},
			SourceOpen,
			"it is read no further than an open transaction of producer 41 (transactional id x-1) from offset 7 on, since 2026-11-28 20:14:03Z, which no coordinator ends",
			"callstitch abort call.raw 3", true, true,
		},
		"behind a transaction that ends": {
			SourceClock{Position: 7, End: 9, Leader: 1, Owner: "a", Open: ending},
			SourceOpen,
			"it is read no further than an open transaction of producer 41 (transactional id x-1) from offset 7 on, since 2026-11-28 20:14:03Z, which its coordinator ends by 2126-11-28 20:14:03Z",
			"wait until 2126-11-28 20:14:03Z", true, false,
		},
		"dropped": {
			SourceClock{Position: 7, End: -1, Leader: -1, Dropped: now},
			SourceDropped,
			"it was dropped from the clock at 2026-11-28 20:14:03Z, until it is read again from offset 7 on", "", false, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.of.TopicPartition, c.of.Vouched = tp, call.Arrival(now.Add(-2*LeadMax).UnixMilli())
			c.of.State = c.of.state()
			if c.of.State != c.state || c.of.Why() != c.why || c.of.Remedy() != c.do {
				t.Errorf("%s: %s: %s", c.of.State, c.of.Why(), c.of.Remedy())
			}
			clocks := Clocks{Sources: []SourceClock{c.of}, Members: 1}
			if _, held := clocks.Held(now); held != c.holds {
				t.Errorf("it holds the clock: %t", held)
			}
			clocks.Sources[0].Vouched = call.Arrival(now.Add(-2 * heldLimit).UnixMilli())
			if _, held := clocks.Held(now); held != (c.drops || c.state == SourceOpen) { // only what cannot be read does so soon
				t.Errorf("it holds the clock soon: %t", held)
			}
			if err := (&Drop{SourceClock: c.of}).allowed(); (err == nil) != c.drops {
				t.Errorf("it may be dropped: %v", err)
			}
			said := clocks.why(Snapshot{HeldBy: tp, LegClock: c.of.Vouched}, now)
			if strings.Contains(said, c.why) != c.holds {
				t.Errorf("an instance says %q", said)
			}
		})
	}
}

// A transaction ends by itself only where its coordinator has this partition in its books.
func TestTransactionThatHangs(t *testing.T) {
	tp := topology.TopicPartition{Topic: "call.raw", Partition: 3}
	began := time.UnixMilli(1_790_000_000_000)
	books := func(partition int32) kadm.TopicsSet {
		s := make(kadm.TopicsSet)
		s.Add("call.raw", partition)
		return s
	}
	for name, c := range map[string]struct {
		of    kadm.DescribedTransaction
		hangs bool
	}{
		"it goes on":                   {kadm.DescribedTransaction{State: "Ongoing", ProducerID: 41, Topics: books(3)}, false},
		"it is being committed":        {kadm.DescribedTransaction{State: "PrepareCommit", ProducerID: 41, Topics: books(3)}, false},
		"it is being aborted":          {kadm.DescribedTransaction{State: "PrepareAbort", ProducerID: 41, Topics: books(3)}, false},
		"it is over elsewhere":         {kadm.DescribedTransaction{State: "CompleteCommit", ProducerID: 41, Topics: books(3)}, true},
		"a later one goes on":          {kadm.DescribedTransaction{State: "Ongoing", ProducerID: 41, Topics: books(2)}, true},
		"its id is another producer's": {kadm.DescribedTransaction{State: "Ongoing", ProducerID: 42, Topics: books(3)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c.of.StartTimestamp, c.of.TimeoutMillis = began.UnixMilli(), 10_000
			o := OpenTransaction{TopicPartition: tp, Producer: 41}
			if err := o.heardOf("x-1", c.of.State, c.of); err != nil {
				t.Fatal(err)
			}
			if o.Hangs() != c.hangs || o.ID != "x-1" || o.State != c.of.State {
				t.Errorf("%+v", o)
			}
			if want := began.Add(10*time.Second + coordinatorScan); !c.hangs && !o.Ends.Equal(want) {
				t.Errorf("it ends by %v, want %v", o.Ends, want)
			}
		})
	}
}

// A coordinator that does not tell may have the transaction in its books, so nobody is to
// abort it.
func TestTransactionThatIsNotDescribed(t *testing.T) {
	for err, known := range map[*kerr.Error]bool{kerr.TransactionalIDNotFound: true, kerr.CoordinatorLoadInProgress: false, kerr.NotCoordinator: false} {
		o := OpenTransaction{Producer: 41}
		if got := o.heardOf("x-1", "Ongoing", kadm.DescribedTransaction{Err: err}); (got == nil) != known {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// A partition that was added is not heard of before the first tick, while others are.
func TestClockOfAddedPartition(t *testing.T) {
	added := SourceClock{State: SourceUnread, Vouched: call.Unheard, Position: -1}
	read := SourceClock{State: SourceUnowned, Vouched: 7, Position: 9}
	if _, ok := (&Clocks{Sources: []SourceClock{added, read}}).HeldBy(); !ok {
		t.Error("nothing holds the clock of a group that has read")
	}
	if _, ok := (&Clocks{Sources: []SourceClock{added}}).HeldBy(); ok {
		t.Error("the clock is held though nothing was read")
	}
}

// One of whose producer nothing is known may be of one that this user may not see.
func TestTransactionOfSomebodyUnseen(t *testing.T) {
	began := time.UnixMilli(1_790_000_000_000)
	for age, hangs := range map[time.Duration]bool{time.Minute: false, 15 * time.Minute: false, 16 * time.Minute: true, 240 * time.Hour: true} {
		for _, hidden := range []bool{false, true} {
			o := OpenTransaction{Since: began}
			if o.unseen(began.Add(age), hidden); o.Hangs() != (hangs && !hidden) {
				t.Errorf("after %v, hidden %t, it hangs: %t", age, hidden, o.Hangs())
			}
		}
	}
	old := OpenTransaction{Since: began}
	old.unseen(began.Add(time.Hour), true)
	if text := old.String() + ": " + old.Remedy(); strings.Contains(text, "callstitch abort") || !strings.Contains(text, "DESCRIBE on transactional ids") {
		t.Errorf("it says %q", text)
	}
}

// TestCoordinated holds the hash against what Java says.
func TestCoordinated(t *testing.T) {
	for group, want := range map[string]int32{"callstitch": 35, "grüße😀": 40, "": 0, "polygenelubricants": 0} {
		if got := coordinated(group, 50); got != want {
			t.Errorf("group %q is coordinated by partition %d, want %d", group, got, want)
		}
	}
}
