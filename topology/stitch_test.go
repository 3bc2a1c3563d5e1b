package topology

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/processor/codec"
	"callstitch/processor/stitch"
)

var stitchConfig = &Config{
	ExchangePartitions: 2,
	Stitch: stitch.Config{
		Grace: time.Second, UnansweredTimeout: time.Minute, AnsweredTimeout: time.Minute, Retention: time.Hour, Partial: true,
	},
}

// feed is a stitch task and what its runtime does.
type feed struct {
	t         *testing.T
	task      *StitchTask
	fx        Effects
	offset    int64
	changelog []Change
}

func newFeed(t *testing.T) *feed {
	return &feed{t: t, task: NewStitchTask(stitchConfig, 0, map[string]int32{"call.raw": 1})}
}

func (f *feed) put(key, value []byte) {
	f.t.Helper()
	if err := f.task.Process(Record{Topic: "exchange", Offset: f.offset, Key: key, Value: value}, &f.fx); err != nil {
		f.t.Fatal(err)
	}
	f.offset++
}

func (f *feed) tick(k Tick) { f.t.Helper(); f.put(nil, k.EnvelopeFor(stitchConfig, 0).Value) }

func (f *feed) time(at call.Arrival) {
	f.t.Helper()
	f.tick(Tick{
		Progress: []Progress{{Source: part(0), Time: at}},
		Clocks:   []Clock{{Task: 0, Time: at}, {Task: 1, Time: at}},
	})
}

func (f *feed) commit() {
	if _, err := f.task.Finish(&f.fx); err != nil {
		f.t.Fatal(err)
	}
	for i, e := range f.fx.Exchange {
		f.task.Sent(e, 100+int64(i))
	}
	f.changelog = append(f.changelog, f.fx.Changelog...)
	f.task.Commit(f.offset)
	f.fx.Reset()
}

// restored is another owner's task, from the changelog.
func (f *feed) restored(ends []int64) *feed {
	f.t.Helper()
	next := newFeed(f.t)
	for _, c := range f.changelog {
		next.task.Load(c.Key, c.Value)
	}
	if err := next.task.Restored(ends); err != nil {
		f.t.Fatal(err)
	}
	next.offset = f.offset
	return next
}

// linked is an event of a leg of the task's partition with a link to another
// partition, so that a message goes there.
func linked(n int) (key, value []byte) {
	for i := n; ; i++ {
		e := &call.Event{
			Tenant: "t", Provider: call.Sonetel, CallID: string(rune('a' + i)), Type: call.EventCallInitiated,
			Time: call.Instant{At: 1000, Src: call.EvidenceReported, Precision: 1}, Source: call.Source{Topic: "call.raw"},
			Links: []call.Link{{Kind: call.LinkFlow, Value: string(rune('A' + i))}},
		}
		e.Leg = call.NewLegID(e.Tenant, e.Provider, e.Scope, e.CallID)
		e.ID = call.NewEventID(e.Leg, "x")
		from := call.LegNode(e.Leg)
		to := call.LinkNode(e.Tenant, e.Provider, e.Scope, call.LinkFlow, e.Links[0].Value)
		if Partition(from[:], 2) == 0 && Partition(to[:], 2) == 1 {
			return from[:], appendEvent(nil, e, 1000)
		}
	}
}

// A message holds the task's clock until its partition's task is past it.
func TestClockIsHeldByFlight(t *testing.T) {
	f := newFeed(t)
	f.time(500)
	f.commit()
	f.put(linked(0))
	f.time(5000)
	f.commit()
	if got := f.task.Clock(); got != (Clock{Task: 0, Time: 999, Position: 3}) {
		t.Errorf("clock %+v: want one held before 1000", got)
	}
	f.tick(Tick{Clocks: []Clock{{Task: 1, Time: 5000, Position: 100}}})
	f.commit()
	if got := f.task.Clock().Time; got != 999 {
		t.Errorf("acknowledged by the position of the message itself: %d", got)
	}
	f.tick(Tick{Clocks: []Clock{{Task: 1, Time: 5000, Position: 101}}})
	if got := f.task.Clock().Time; got != 999 {
		t.Errorf("the clock of the open transaction was told: %d", got)
	}
	f.commit()
	if got := f.task.Clock().Time; got != 5000 {
		t.Errorf("clock %d, want 5000 once acknowledged", got)
	}
}

// A new owner does not know what was in flight. It holds its clock where the
// last one's was until every task is past the ends of the exchange at the
// take-over: past the high watermarks, since what lies between a last stable
// offset and them may be a committed message.
func TestTakeOver(t *testing.T) {
	f := newFeed(t)
	f.time(500)
	f.commit()
	f.put(linked(0))
	f.time(5000)
	f.commit()

	next := f.restored([]int64{3, 120})
	if got := next.task.Clock(); got.Time != 999 || got.Position != 3 {
		t.Errorf("clock %+v right after the take-over", got)
	}
	hear := func(position int64, want call.Arrival) {
		t.Helper()
		next.tick(Tick{Clocks: []Clock{{Task: 0, Time: 999, Position: 4}, {Task: 1, Time: 9000, Position: position}}})
		next.commit()
		if got := next.task.Clock().Time; got != want {
			t.Errorf("with task 1 at %d the clock is %d, want %d", position, got, want)
		}
	}
	hear(119, 999)
	again := next.restored([]int64{4, 120})
	if got := again.task.Clock().Time; got != 999 {
		t.Errorf("after a second take-over the clock is %d", got)
	}
	hear(120, 5000)
}

// A partition that was added to a source holds the leg clock where it is until
// it is heard.
func TestSourceGrows(t *testing.T) {
	f := newFeed(t)
	f.time(500)
	f.task.Sources(map[string]int32{"call.raw": 2})
	f.time(9000)
	if got := f.task.LegClock(); got != 500 {
		t.Errorf("leg clock %d before the new partition was heard, want 500", got)
	}
	f.tick(Tick{Progress: []Progress{{Source: part(1), Time: 7000}}})
	if got := f.task.LegClock(); got != 7000 {
		t.Errorf("leg clock %d, want 7000", got)
	}
}

// Two tasks that process the same say the same in the same order, however many
// source partitions they keep accounts of: a changelog does not depend on who
// wrote it.
func TestEqualTasks(t *testing.T) {
	const partitions = 40
	told := func() (changelog []Change, answers []Answer) {
		f := &feed{t: t, task: NewStitchTask(stitchConfig, 0, map[string]int32{"call.raw": partitions})}
		var k Tick
		for p := range int32(partitions) {
			k.Progress = append(k.Progress, Progress{Source: part(p), Time: 500, Offset: 4, Totals: Totals{Read: 4}})
		}
		f.tick(k)
		f.commit()
		return f.changelog, f.task.Answers()
	}
	changelog, answers := told()
	again, answersAgain := told()
	if d := cmp.Diff(changelog, again); d != "" {
		t.Errorf("changelogs (-one +other):\n%s", d)
	}
	if d := cmp.Diff(answers, answersAgain); d != "" {
		t.Errorf("answers (-one +other):\n%s", d)
	}
	if len(answers) != partitions {
		t.Errorf("%d answers, want one for each of %d partitions", len(answers), partitions)
	}
}

// An event that is older than the clock causes messages that are not.
func TestTrigIsBeyondTheClock(t *testing.T) {
	f := newFeed(t)
	f.time(7000)
	f.put(linked(0))
	f.task.Finish(&f.fx)
	if len(f.fx.Exchange) == 0 {
		t.Fatal("no message")
	}
	for _, e := range f.fx.Exchange {
		if e.Trig != 7001 || e.From != 0 {
			t.Errorf("envelope with trig %d from %d", e.Trig, e.From)
		}
	}
}

// An abort leaves nothing, and a restore brings back everything: both give the
// clocks, counts, answers and position of the last commit.
func TestAbortAndRestore(t *testing.T) {
	f := newFeed(t)
	f.tick(Tick{
		Progress: []Progress{{Source: part(0), Time: 500, Offset: 4, Arrival: 501, Totals: Totals{Read: 4}}},
		Clocks:   []Clock{{Task: 0, Time: 400}, {Task: 1, Time: 300}},
	})
	f.put(linked(0))
	f.put(linked(0))
	f.commit()
	snapshot := func(task *StitchTask) []any {
		return []any{
			task.Clock(), task.LegClock(), task.SessionClock(), task.Counts(), task.Position(), task.Report().HeldBy,
			contents(task.store), task.Answers(),
		}
	}
	want := snapshot(f.task)

	f.time(9000)
	f.put(linked(3))
	f.tick(Tick{Progress: []Progress{{Source: part(0), Time: 9000, Offset: 9, Arrival: 1, Totals: Totals{Read: 9}}}})
	f.task.Finish(&f.fx)
	f.task.Abort()
	if d := cmp.Diff(want, snapshot(f.task)); d != "" {
		t.Errorf("after an abort:\n%s", d)
	}
	f.task.Commit(f.offset) // with no message to be told the offset of
	next := f.restored(nil).task
	got := snapshot(next)
	want[0], got[0] = nil, nil // a new owner does not know the flight, and holds nothing back where it is told that there is none
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("after a restore:\n%s", d)
	}
	if c := want[3].(Counts); c.Accepted != 1 || c.Duplicate != 1 {
		t.Errorf("counts %+v", c)
	}
}

// Records that the state contains already are passed over, so that an offset
// that was set back counts nothing twice.
func TestReplayedRecords(t *testing.T) {
	f := newFeed(t)
	f.put(linked(0))
	f.commit()
	f.offset = 0
	f.put(linked(0))
	if f.task.Report().Replayed != 1 || f.task.Counts() != (Counts{Accepted: 1}) {
		t.Errorf("replayed %d, counts %+v", f.task.Report().Replayed, f.task.Counts())
	}
}

// Nothing processed, nothing to write.
func TestFinishWithoutWork(t *testing.T) {
	f := newFeed(t)
	f.time(500)
	f.put(linked(0))
	f.tick(Tick{Answers: []Answer{{Source: part(0), Task: 1, Offset: 4}}})
	f.commit()
	more, err := f.task.Finish(&f.fx)
	if err != nil || more || len(f.fx.Changelog) > 0 || f.task.Pending() > 0 {
		t.Errorf("changes %+v, %v", f.fx.Changelog, err)
	}
}

// TestUnreadableState holds that no bytes of a changelog are guessed at, and none
// make the restore panic: what a newer program wrote is told from what is damaged.
func TestUnreadableState(t *testing.T) {
	nodeKey := append([]byte{'n'}, make([]byte, 17)...)
	for name, c := range map[string]struct {
		key, value []byte
		want       error
	}{
		"clocks of a newer program":  {[]byte{clocksKey}, []byte{clocksForm + 1}, codec.ErrNewerState},
		"account of a newer program": {sourceKey(accountKey, part(0)), []byte{accountForm + 1}, codec.ErrNewerState},
		"book of a newer program":    {sourceKey(bookKey, part(0)), []byte{bookForm + 1}, codec.ErrNewerState},
		"node of a newer program":    {nodeKey, []byte{3, 0}, codec.ErrNewerState},
		"a newer program's key":      {[]byte("Z"), []byte{1}, codec.ErrNewerState},
		"a newer program's node key": {append([]byte{'z'}, nodeKey[1:]...), []byte{1}, codec.ErrNewerState},

		"damaged position":    {[]byte{positionKey}, []byte{2}, codec.ErrCorrupt},
		"empty clocks":        {[]byte{clocksKey}, []byte{}, codec.ErrCorrupt},
		"damaged clocks":      {[]byte{clocksKey}, []byte{clocksForm, 1}, codec.ErrCorrupt},
		"damaged account":     {sourceKey(accountKey, part(0)), []byte{accountForm, 2}, codec.ErrCorrupt},
		"damaged book":        {sourceKey(bookKey, part(0)), []byte{bookForm, 2}, codec.ErrCorrupt},
		"a book of others":    {sourceKey(bookKey, part(0)), codec.Append(nil, &book{target: newPage(answer(0, 1), 7)}), codec.ErrCorrupt},
		"damaged node":        {nodeKey, []byte{1, 0}, codec.ErrCorrupt},
		"node that never was": {nodeKey, make([]byte, 20), codec.ErrCorrupt},
		"empty node":          {nodeKey, []byte{}, codec.ErrCorrupt},
		"empty key":           {nil, []byte{1}, codec.ErrCorrupt},
		"cut key of a node":   {nodeKey[:5], []byte{1, 0}, codec.ErrCorrupt},
		"cut key of a book":   {[]byte{bookKey, 0}, []byte{bookForm}, codec.ErrCorrupt},
	} {
		task := NewStitchTask(stitchConfig, 0, nil)
		task.Load(c.key, c.value)
		if err := task.Restored(nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	task := NewStitchTask(stitchConfig, 0, nil)
	other := newClocks(3)
	task.Load([]byte{clocksKey}, codec.Append(nil, &other))
	if err := task.Restored(nil); err == nil || !strings.Contains(err.Error(), "partitions") {
		t.Errorf("state of another partition count: %v", err)
	}
}
