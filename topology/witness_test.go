package topology

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"callstitch/processor/call"
)

// arrivals is the rule of arrival as docs/protocol.md has it: the clock of a partition is
// the latest date so far that the next record bore out, and a record arrives by its own
// date, but not before the clock.
func arrivals(dates []call.Arrival) (all []call.Arrival) {
	for i, date := range dates {
		clock := call.Unheard
		for j := range i {
			if dates[j+1] >= dates[j].Add(-time.Minute) {
				clock = max(clock, dates[j])
			}
		}
		all = append(all, max(clock, date))
	}
	return all
}

// drawDates draws the dates of a partition's records: of producers whose clocks are right,
// ahead, or behind, in bursts and after silences. True time is that of the last right one.
func drawDates(rng *rand.Rand, wrongInARow bool) (dates []call.Arrival, wrong []bool) {
	now := call.Arrival(1_772_442_000_000)
	for len(dates) < 40 {
		now = now.Add([]time.Duration{0, time.Millisecond, time.Second, 2 * time.Minute, 3 * time.Hour}[rng.IntN(5)])
		last := len(wrong) > 0 && wrong[len(wrong)-1]
		switch by := time.Duration(rng.Int64N(int64(90 * time.Minute))); {
		case rng.IntN(4) == 0 && (wrongInARow || !last):
			dates, wrong = append(dates, now.Add(by)), append(wrong, true)
		case rng.IntN(6) == 0:
			dates, wrong = append(dates, now.Add(-3*by)), append(wrong, false)
		default:
			dates, wrong = append(dates, now), append(wrong, false)
		}
	}
	return dates, wrong
}

// live reads the dates as a run might: in transactions of any size, some of which abort,
// with ticks that find the partition idle or not, and owners that change. It returns when
// each record arrived, and what was vouched for before it, without the brokers' clock.
func live(rng *rand.Rand, dates []call.Arrival, plant func(*DecodeTask)) (arrived, vouched []call.Arrival, err error) {
	task := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
	plant(task)
	told := call.Unheard
	for len(arrived) < len(dates) {
		var fx Effects
		n := 1 + rng.IntN(min(6, len(dates)-len(arrived)))
		for i := range n {
			offset := len(arrived) + i
			if err := task.Process(rawRecord(int64(offset), int64(dates[offset]), stringee("created", 0)), &fx); err != nil {
				return nil, nil, err
			}
		}
		if _, err := task.Finish(&fx); err != nil {
			return nil, nil, err
		}
		tick := call.Unheard
		if rng.IntN(2) == 0 {
			tick = task.Progress(rng.IntN(2) == 0, call.Unheard).Time
		}
		if rng.IntN(4) == 0 {
			if err := task.Abort(); err != nil {
				return nil, nil, err
			}
			continue
		}
		for _, d := range fx.Decoded {
			arrived, vouched = append(arrived, d.Arrival), append(vouched, told)
		}
		told = max(told, tick)
		task.Commit(0)
		if rng.IntN(5) == 0 {
			next := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
			plant(next)
			if err := next.Restore(task.Metadata()); err != nil {
				return nil, nil, err
			}
			task = next
		}
	}
	return arrived, vouched, nil
}

// P4: when a record arrives is decided by its partition's records, in whatever way they
// are read, and never at or before what the partition vouched for.
func sameInAnyRun(seed uint64, plant func(*DecodeTask)) error {
	rng := rand.New(rand.NewPCG(seed, 39))
	dates, _ := drawDates(rng, true)
	want := arrivals(dates)
	got, vouched, err := live(rng, dates, plant)
	if err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("seed %d: records dated %v arrive at %v, want %v", seed, dates, got, want)
	}
	for i := range got {
		if got[i] <= vouched[i] {
			return fmt.Errorf("seed %d: record %d arrives at %d, and %d was vouched for", seed, i, got[i], vouched[i])
		}
	}
	return nil
}

// One record dated ahead, however far and however often, moves the clock by the leeway at
// most: no right record arrives later than that after true time, and nothing is vouched
// for beyond it.
func oneMovesNothing(seed uint64, plant func(*DecodeTask)) error {
	rng := rand.New(rand.NewPCG(seed, 40))
	dates, wrong := drawDates(rng, false)
	got, vouched, err := live(rng, dates, plant)
	if err != nil {
		return err
	}
	now := call.Unheard
	for i := range dates {
		if now != call.Unheard && vouched[i] > now.Add(time.Minute) {
			return fmt.Errorf("seed %d: before record %d, %d was vouched for at %d", seed, i, vouched[i], now)
		}
		if wrong[i] {
			continue
		}
		now = max(now, dates[i])
		if got[i] > now.Add(time.Minute) {
			return fmt.Errorf("seed %d: record %d, dated %d at %d, arrives at %d", seed, i, dates[i], now, got[i])
		}
	}
	return nil
}

// witnessSeeds is how many drawings each property is tried with.
const witnessSeeds = 500

func TestArrivalIsTheSameInAnyRun(t *testing.T) { holds(t, sameInAnyRun) }

func TestOneRecordMovesNoClock(t *testing.T) { holds(t, oneMovesNothing) }

func holds(t *testing.T, property func(uint64, func(*DecodeTask)) error) {
	for seed := range uint64(witnessSeeds) {
		if err := property(seed, func(*DecodeTask) {}); err != nil {
			t.Fatal(err)
		}
	}
}

// A record of Kafka that has no timestamp is dated by its provider, and no more believed
// than others.
func TestNoTimestampMovesNoClock(t *testing.T) {
	const start, wild = 1_772_442_000_000, 3_900_000_000_000 // in the year 2093
	task := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
	var fx Effects
	for i, r := range []struct{ timestamp, instant int64 }{{start, 0}, {0, wild}, {0, 0}, {start + 5, 0}, {0, 0}} {
		if err := task.Process(rawRecord(int64(i), r.timestamp, stringee("created", r.instant)), &fx); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []call.Arrival{start, wild, start, start + 5, start} {
		if at := fx.Decoded[i].Arrival; at != want {
			t.Errorf("event %d arrives at %d, want %d", i, at, want)
		}
	}
	if got := task.Report().Arrival; got != start {
		t.Errorf("the clock is at %d", got)
	}
}

// What the version before the date was kept had committed is taken up.
func TestMetadataWithoutADate(t *testing.T) {
	const start = 1_772_442_000_000
	task := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
	if err := task.Restore(fmt.Sprint("1 7 ", start, " 7 7 0 0 7")); err != nil {
		t.Fatal(err)
	}
	var fx Effects
	for i, date := range []int64{start - 5, start + 5} {
		if err := task.Process(rawRecord(7+int64(i), date, stringee("created", 0)), &fx); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []call.Arrival{start, start + 5} {
		if at := fx.Decoded[i].Arrival; at != want {
			t.Errorf("event %d arrives at %d, want %d", i, at, want)
		}
	}
	if err := task.Restore(task.Metadata() + " 99"); err != nil {
		t.Errorf("a word of a later version: %v", err)
	}
}
