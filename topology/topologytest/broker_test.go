package topologytest

import (
	"slices"
	"testing"

	"callstitch/processor/call"
	"callstitch/topology"
)

// The model is the judge of every run, so it is held here against what Kafka does:
// what readers of committed records see, and until where.

func newBroker() (*broker, *partition) {
	b := &broker{committed: map[*partition]position{}, flight: map[sentMessage]call.Arrival{}}
	return b, &partition{topic: "call.raw"}
}

// put appends a record of one letter, in a transaction or outside of any.
func put(b *broker, p *partition, letter string, in *transaction) int64 {
	return b.append(p, topology.Record{Value: []byte(letter)}, in)
}

// mustRead reads a partition from its start as a reader of committed records does.
func mustRead(t *testing.T, p *partition, want string, wantStable, wantEnd int64) {
	t.Helper()
	records, next := p.fetch(0, 100)
	var got string
	for _, r := range records {
		got += string(r.Value)
	}
	if got != want || next != wantStable || p.lastStable() != wantStable || p.end() != wantEnd {
		t.Errorf("read %q up to %d of %d, last stable %d; want %q up to %d of %d", got, next, p.end(), p.lastStable(), want, wantStable, wantEnd)
	}
}

func TestOpenTransactionHidesWhatIsBehindIt(t *testing.T) {
	b, p := newBroker()
	put(b, p, "a", nil)
	first, second := b.begin(), b.begin()
	put(b, p, "b", first)
	put(b, p, "c", nil)
	put(b, p, "d", second)
	mustRead(t, p, "a", 1, 4)
	b.finish(second, committed) // its record is committed, and still not seen
	mustRead(t, p, "a", 1, 5)
	b.finish(first, committed)
	mustRead(t, p, "abcd", 6, 6)
}

func TestAbortedRecordsAreNotRead(t *testing.T) {
	b, p := newBroker()
	tx := b.begin()
	put(b, p, "a", tx)
	put(b, p, "b", nil)
	tx.offsets[p] = position{offset: 1}
	b.finish(tx, aborted)
	mustRead(t, p, "b", 3, 3)
	if len(b.open) != 0 || b.committed[p] != (position{}) {
		t.Errorf("%d transactions are open, and the position is %+v", len(b.open), b.committed[p])
	}
}

// A marker takes an offset in each partition that the transaction wrote to, once.
func TestMarkers(t *testing.T) {
	b, p := newBroker()
	other, untouched := &partition{number: 1}, &partition{number: 2}
	tx := b.begin()
	put(b, p, "a", tx)
	put(b, p, "b", tx)
	put(b, other, "c", tx)
	b.finish(tx, committed)
	mustRead(t, p, "ab", 3, 3)
	mustRead(t, other, "c", 2, 2)
	mustRead(t, untouched, "", 0, 0)
	if at := put(b, p, "d", nil); at != 3 {
		t.Errorf("the record behind the marker is at %d, want 3", at)
	}
}

// Positions are committed with the transaction, and with no other.
func TestPositionsCommitWithTheTransaction(t *testing.T) {
	b, p := newBroker()
	want := position{offset: 7, metadata: "clock"}
	tx, other := b.begin(), b.begin()
	tx.offsets[p] = want
	b.finish(other, committed)
	if got := b.committed[p]; got != (position{}) {
		t.Errorf("the position is %+v before the commit", got)
	}
	b.finish(tx, committed)
	if got := b.committed[p]; got != want {
		t.Errorf("the position is %+v, want %+v", got, want)
	}
}

// A fetch of few records says where to read on, past aborted ones and markers.
func TestFetchGoesOn(t *testing.T) {
	b, p := newBroker()
	tx := b.begin()
	put(b, p, "a", nil)
	put(b, p, "x", tx)
	b.finish(tx, aborted)
	put(b, p, "b", nil)
	var got []string
	for from := int64(0); from < p.end(); {
		records, next := p.fetch(from, 1)
		for _, r := range records {
			got = append(got, string(r.Value))
		}
		if next == from {
			t.Fatalf("a fetch from %d does not go on", from)
		}
		from = next
	}
	if !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("read %q", got)
	}
}

// The broker aborts a transaction that has been open for longer than allowed.
func TestExpiry(t *testing.T) {
	b, p := newBroker()
	old := b.begin()
	put(b, p, "a", old)
	b.now = 10
	young := b.begin()
	put(b, p, "b", young)
	b.expire(10)
	if old.state != open {
		t.Error("a transaction is aborted that has been open for no longer than allowed")
	}
	b.now = 11
	b.expire(10)
	if old.state != aborted || young.state != open {
		t.Errorf("the old transaction is %d, the young one %d", old.state, young.state)
	}
	mustRead(t, p, "", 1, 3)
}

// A message is in flight until it is aborted, or the position of its reader has
// passed it.
func TestMessagesInFlight(t *testing.T) {
	b, p := newBroker()
	send := func(trig call.Arrival) *transaction {
		tx := b.begin()
		b.flight[sentMessage{p, put(b, p, "m", tx)}] = trig
		return tx
	}
	mustBeEarliest := func(want call.Arrival, any bool) {
		t.Helper()
		if got, some := b.earliest(); got != want || some != any {
			t.Errorf("the earliest in flight is %d, %t; want %d, %t", got, some, want, any)
		}
	}
	mustBeEarliest(0, false)
	first, second, third := send(30), send(10), send(20)
	if b.hides(first) || !b.hides(second) {
		t.Error("only what lies behind another open transaction is hidden")
	}
	mustBeEarliest(10, true)
	b.finish(second, aborted)
	mustBeEarliest(20, true)
	b.finish(first, committed)
	b.finish(third, committed)
	reader := b.begin()
	reader.offsets[p] = position{offset: 2} // the third message is next
	b.finish(reader, committed)
	mustBeEarliest(20, true)
	reader = b.begin()
	reader.offsets[p] = position{offset: 3}
	b.finish(reader, committed)
	mustBeEarliest(0, false)
}
