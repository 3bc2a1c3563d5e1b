package topology

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

var decodeConfig = &Config{ExchangePartitions: 4}

func stringee(status string, at int64) []byte {
	when := ""
	if at > 0 {
		when = fmt.Sprintf(`"timestamp_ms":%d,`, at)
	}
	return fmt.Appendf(nil, `{"call_status":%q,%s"call_id":"call-vn-1-A-1","event_id":"e-%s","project_id":1,
		"from":{"number":"15550100001","type":"external"},"to":{"number":"agent1","type":"internal"}}`, status, when, status)
}

func rawRecord(offset, timestamp int64, value []byte) Record {
	return Record{
		Topic: "call.raw", Partition: 2, Offset: offset, Timestamp: timestamp, Key: []byte("key"), Value: value,
		Headers: []call.Header{{Key: "provider", Value: []byte("stringee")}},
	}
}

// An event arrives by its record's date, but not before its partition's clock, which
// follows a record when the next bears its date out, be it one that is rejected or
// ignored.
func TestArrival(t *testing.T) {
	task := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
	const start, minute = 1_772_442_000_000, 60_000
	for i, c := range []struct {
		timestamp   int64
		value       []byte
		want, clock call.Arrival
	}{
		{start, stringee("created", start), start, call.Unheard},
		{start + 50, nil, start + 50, start},
		{start + 20, stringee("started", start+9), start + 50, start + 50},
		{start + 70, []byte("{"), start + 70, start + 50},
		{start + 60, stringee("ringing", start), start + 70, start + 70},
		{math.MaxInt64, stringee("answered", start), timestampMax, start + 70},
		{start + 80, stringee("ended", start), start + 80, start + 70},
		{start + 90, nil, start + 90, start + 80},
		{start + 90 + minute, nil, start + 90 + minute, start + 90},
		{start + 90, stringee("recording", start), start + 90 + minute, start + 90 + minute},
		{start + 91 + 2*minute, nil, start + 91 + 2*minute, start + 90 + minute},
		{start + 90 + minute, nil, start + 90 + minute, start + 90 + minute},
	} {
		var fx Effects
		task.Process(rawRecord(int64(i), c.timestamp, c.value), &fx)
		p := task.Progress(false, call.Unheard)
		vouched := call.Unheard
		if c.clock != call.Unheard {
			vouched = c.clock - 1
		}
		if p.Arrival != max(c.clock, call.Arrival(min(c.timestamp, timestampMax))) || p.Time != vouched || p.Offset != int64(i)+1 {
			t.Errorf("record %d: progress %+v, want arrival %d and a clock at %d", i, p, c.want, c.clock)
		}
		if got := task.Report().Arrival; got != c.clock {
			t.Errorf("record %d: the clock is reported at %d, want %d", i, got, c.clock)
		}
		for _, d := range fx.Decoded {
			if d.Arrival != c.want {
				t.Errorf("record %d: event arrives at %d", i, d.Arrival)
			}
		}
	}
	if d := cmp.Diff(Totals{Read: 12, Decoded: 6, Ignored: 5, Rejected: 1, Events: 6}, task.Totals()); d != "" {
		t.Error(d)
	}
}

// Idle time is what the broker's clock said before the fetch, and nothing less
// than the partition's own time.
func TestProgress(t *testing.T) {
	task := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
	for _, c := range []struct {
		idle        bool
		heard, want call.Arrival
	}{{false, 500, call.Unheard}, {true, call.Unheard, call.Unheard}, {true, 500, 500}} {
		if got := task.Progress(c.idle, c.heard).Time; got != c.want {
			t.Errorf("nothing read, idle %t, heard %d: %d, want %d", c.idle, c.heard, got, c.want)
		}
	}
	task.Process(rawRecord(0, 1000, nil), &Effects{})
	if got := task.Progress(false, 5000).Time; got != call.Unheard {
		t.Errorf("one record read, which nothing bears out: %d", got)
	}
	task.Process(rawRecord(1, 1000, nil), &Effects{})
	for _, c := range []struct {
		idle        bool
		heard, want call.Arrival
	}{{false, 5000, 999}, {true, 500, 999}, {true, 5000, 5000}} {
		if got := task.Progress(c.idle, c.heard).Time; got != c.want {
			t.Errorf("idle %t, heard %d: %d, want %d", c.idle, c.heard, got, c.want)
		}
	}
}

// A partition that was dropped from the clock vouches as an idle one, through restores, until
// a record of it is read, or there is none to read. What waited in it arrives by its date.
func TestDroppedPartition(t *testing.T) {
	const start, hour = 1_772_442_000_000, 3_600_000
	dropped := func() *DecodeTask {
		before := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
		before.Process(rawRecord(0, start, nil), &Effects{})
		before.Process(rawRecord(1, start+1, nil), &Effects{})
		before.Drop(start + 5)
		task := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
		if err := task.Restore(before.Metadata()); err != nil {
			t.Fatal(err)
		}
		return task
	}
	tell := func(task *DecodeTask, idle bool, heard call.Arrival) call.Arrival {
		var k Tick
		task.Tick(&k, idle, heard)
		task.Commit(0)
		return k.Progress[0].Time
	}
	task := dropped()
	if got := task.Report().Dropped; got != start+5 {
		t.Errorf("dropped at %d", got)
	}
	for _, c := range []struct{ heard, want call.Arrival }{{call.Unheard, start - 1}, {start + 7, start + 7}, {start + 3*hour, start + 3*hour}} {
		if got := tell(task, false, c.heard); got != c.want {
			t.Errorf("heard %d: it vouches for %d, want %d", c.heard, got, c.want)
		}
	}
	if got := task.Report().Vouched; got != start+3*hour {
		t.Errorf("it says that it has vouched for %d", got)
	}
	var fx Effects
	task.Process(rawRecord(2, start+2, stringee("created", start)), &fx)
	if got := fx.Decoded[0].Arrival; got != start+2 {
		t.Errorf("what waited arrives at %d, want %d", got, start+2)
	}
	if got := tell(task, false, start+4*hour); got != start || task.Report().Dropped != 0 {
		t.Errorf("a partition that is read vouches for %d, want %d", got, start)
	}

	task = dropped()
	tell(task, true, start+7)
	if got := tell(task, false, start+hour); got != start-1 || task.Report().Dropped != 0 {
		t.Errorf("a partition in which nothing waits vouches for %d once something does, want %d", got, start-1)
	}
	task = dropped()
	task.Move(2, 0)
	if task.Report().Dropped != 0 {
		t.Error("it is dropped still, and was moved")
	}
	task = dropped()
	task.Process(rawRecord(2, start+2, nil), &Effects{})
	task.Abort()
	if task.Report().Dropped == 0 {
		t.Error("a record was read in a transaction that was aborted, and it is dropped no more")
	}
}

// An earlier version leaves its metadata without the numbers that came later, and takes
// those of this one.
func TestMetadataOfEarlierVersions(t *testing.T) {
	task := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
	if err := task.Restore("1 5 1000 5 5 0 0 5 1001"); err != nil {
		t.Fatal(err)
	}
	if r := task.Report(); r.Vouched != call.Unheard || r.Dropped != 0 || r.Arrival != 1000 {
		t.Errorf("%+v", r)
	}
}

// A raw file has no timestamps: an event arrives at the largest provider instant
// so far, and waits until there is one.
func TestRawFile(t *testing.T) {
	task := NewDecodeTask(decodeConfig, Source{Topic: "file"}, 0)
	const start = 1_772_442_000_000
	var fx Effects
	task.Process(rawRecord(0, 0, stringee("created", 0)), &fx)
	if len(fx.Decoded) != 0 || task.Progress(false, call.Unheard).Time != call.Unheard {
		t.Fatalf("an event was sent with no time known: %+v", fx)
	}
	task.Process(rawRecord(1, 0, stringee("ringing", start+5)), &fx)
	task.Process(rawRecord(2, 0, stringee("started", start)), &fx)
	if len(fx.Decoded) != 3 {
		t.Fatalf("%d events", len(fx.Decoded))
	}
	for i, d := range fx.Decoded {
		if d.Arrival != start+5 {
			t.Errorf("event %d arrives at %d", i, d.Arrival)
		}
	}

	silent := NewDecodeTask(decodeConfig, Source{Topic: "file"}, 0)
	fx.Reset()
	silent.Process(rawRecord(0, 0, stringee("created", 0)), &fx)
	silent.End()
	silent.Finish(&fx)
	if len(fx.Decoded) != 1 || silent.Progress(false, call.Unheard).Arrival != 0 {
		t.Errorf("a file without instants: %d events, %+v", len(fx.Decoded), silent.Progress(false, call.Unheard))
	}
}

func TestDecodeTaskState(t *testing.T) {
	task := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
	if err := task.Restore(""); err != nil {
		t.Fatal(err)
	}
	task.Process(rawRecord(4, 1000, nil), &Effects{})
	task.Process(rawRecord(5, 900, stringee("created", 5)), &Effects{})
	task.Commit(0)
	before := task.Progress(false, call.Unheard)
	task.Process(rawRecord(6, 2000, []byte("{")), &Effects{})
	task.Process(rawRecord(7, 2000, nil), &Effects{})
	task.Abort()
	if d := cmp.Diff(before, task.Progress(false, call.Unheard)); d != "" {
		t.Errorf("after an abort:\n%s", d)
	}
	if n := task.Report().Ignored; len(n) != 1 || n["null"] != 1 {
		t.Errorf("ignored %v", n)
	}

	next := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
	if err := next.Restore(task.Metadata()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, next.Progress(false, call.Unheard)); d != "" {
		t.Errorf("after a restore from %q:\n%s", task.Metadata(), d)
	}
	next.Abort()
	if d := cmp.Diff(before, next.Progress(false, call.Unheard)); d != "" {
		t.Errorf("after a restore and an abort:\n%s", d)
	}
	if err := next.Restore("2 1"); !errors.Is(err, codec.ErrNewerState) {
		t.Errorf("metadata of a newer program: %v", err)
	}
	if err := next.Restore("1 1 x"); err == nil {
		t.Error("metadata that is none was taken")
	}
}

// The largest state fits far below the 4,096 bytes that a broker takes.
func TestMetadataSize(t *testing.T) {
	task := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
	n := int64(math.MinInt64)
	task.now = decodeState{
		position: n, clock: call.Arrival(n), dated: call.Arrival(n), totals: Totals{n, n, n, n, n}, vouched: call.Arrival(n), dropped: n,
	}
	if got := len(task.Metadata()); got > 256 {
		t.Errorf("%d bytes", got)
	}
}

// A reject carries all that its record was.
func TestReject(t *testing.T) {
	task := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
	var fx Effects
	r := rawRecord(3, 77, []byte("{"))
	task.Process(r, &fx)
	if len(fx.Outputs) != 1 || fx.Outputs[0].Sink() != Rejects {
		t.Fatalf("outputs %+v", fx.Outputs)
	}
	got := fx.Outputs[0].Value.(*call.Reject)
	want := &call.Reject{
		Reason: call.RejectMalformedJSON, Detail: got.Detail, Source: call.Source{Topic: "call.raw", Partition: 2, Offset: 3},
		Timestamp: 77, Key: r.Key, Value: r.Value, Headers: r.Headers,
	}
	if d := cmp.Diff(want, got); d != "" || string(fx.Outputs[0].Key) != "key" {
		t.Error(d)
	}
}

// A slice that the arena gave out is not written again.
func TestArena(t *testing.T) {
	var a arena
	var kept [][]byte
	for i := range 3000 {
		b := a.room()
		for range i % 200 {
			b = append(b, byte(i))
		}
		kept = append(kept, a.keep(b))
	}
	large := a.keep(append(a.room(), make([]byte, 2*arenaChunk)...))
	if len(large) != 2*arenaChunk {
		t.Errorf("%d bytes", len(large))
	}
	for i, b := range kept {
		if len(b) != i%200 || cap(b) != len(b) {
			t.Fatalf("slice %d has %d bytes of %d", i, len(b), cap(b))
		}
		for _, c := range b {
			if c != byte(i) {
				t.Fatalf("slice %d was overwritten", i)
			}
		}
	}
}
