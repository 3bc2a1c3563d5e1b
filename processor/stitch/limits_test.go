package stitch

import (
	"fmt"
	"math"
	"testing"

	"callstitch/processor/call"
	"callstitch/processor/leg"
)

// legEvent is one event of a call, with a time of its own.
func legEvent(callID string, n int, links ...call.Link) *call.Event {
	at := call.Time(1_700_000_000_000) + call.Time(n)*1000
	e := &call.Event{
		IDKind: call.IDExact, Tenant: "t", Provider: call.Sonetel, CallID: callID, Type: call.EventCallUpdated, Links: links,
		Time:    call.Instant{At: at, Src: call.EvidenceEvent, Precision: 1},
		Started: call.Instant{At: 1_700_000_000_000, Src: call.EvidenceReported, Precision: 1},
	}
	e.Leg = call.NewLegID(e.Tenant, e.Provider, e.Scope, e.CallID)
	e.ID = call.NewEventID(e.Leg, fmt.Sprint(n))
	return e
}

// TestLongCall holds that a call with more events than fit one chunk of ids
// knows each of them again, in one transaction and over many, and that they go
// with it.
func TestLongCall(t *testing.T) {
	for _, batch := range []int{1, 7, 1000} {
		state := mapState{}
		m := New(testConfig, state, testKeep)
		outcome := func(n int) Outcome {
			_, o, _ := m.Event(legEvent("c", n), 1_700_000_000_000, 1_700_000_000_000)
			if n%batch == 0 {
				m.Settle(Clocks{math.MinInt64, math.MinInt64}, 1)
				m.Flush()
				m.Commit()
				m.Take()
			}
			return o
		}
		const events = 3*idChunk + 5
		for n := range events {
			if o := outcome(n); o != Accepted {
				t.Fatalf("batch %d: event %d: outcome %d, want accepted", batch, n, o)
			}
		}
		for n := range events {
			if o := outcome(n); o != Duplicate {
				t.Fatalf("batch %d: event %d again: outcome %d, want duplicate", batch, n, o)
			}
		}
		m.Settle(Clocks{math.MinInt64, math.MinInt64}, 1)
		m.Flush()
		m.Commit()
		chunks := 0
		for key := range state {
			if key[0] == keyIDs {
				chunks++
			}
		}
		if chunks != events/idChunk {
			t.Errorf("batch %d: %d chunks of ids, want %d", batch, chunks, events/idChunk)
		}
		for _, days := range []call.Arrival{2, 10} { // the leg expires, then its stub
			at := call.Arrival(1_700_000_000_000) + days*24*60*60*1000
			m.Settle(Clocks{at, at}, 1)
			m.Flush()
			m.Commit()
		}
		if state.len() != 0 {
			t.Errorf("batch %d: %d keys are left of a leg that is forgotten", batch, state.len())
		}
	}
}

// TestFullLink holds that a link takes 64 legs, that the 65th is a session of its
// own, and that both sides say so.
func TestFullLink(t *testing.T) {
	w := newNetwork(t, testConfig, 1, 3)
	const legs = linkAskers + 1
	for n := range legs {
		w.event(legEvent(fmt.Sprint("c", n), n, call.Link{Kind: call.LinkFlow, Value: "everybody"}), 1_700_000_000_000)
	}
	for w.step() {
	}
	w.advance(1_700_000_001_000)
	sizes := map[int32]int{}
	for _, s := range w.last() {
		sizes[s.LegCount]++
		if !s.Flags.Has(call.FlagLinkOverflow) {
			t.Errorf("a session of %d legs does not say that the link was full", s.LegCount)
		}
	}
	if sizes[linkAskers] != 1 || sizes[1] != 1 || len(sizes) != 2 {
		t.Errorf("sessions by leg count: got %v, want one of %d and one of 1", sizes, linkAskers)
	}
}

// TestCrowd holds that a root keeps 1,000 members besides itself and counts the
// rest, and that its record lists 64 legs.
func TestCrowd(t *testing.T) {
	w := newNetwork(t, testConfig, 1, 2)
	const legs = rootMembers + 1 + 7
	for n := range legs {
		w.event(legEvent(fmt.Sprint("c", n), n, call.Link{Kind: call.LinkParent, Value: "root"}), 1_700_000_000_000)
	}
	w.event(legEvent("root", 0), 1_700_000_000_000)
	for w.step() {
	}
	w.advance(1_700_000_001_000)
	last := w.last()
	if len(last) != 1 {
		t.Fatalf("%d sessions, want 1", len(last))
	}
	s := last[0]
	if s.LegCount != legs+1 || len(s.Legs) != 64 || !s.LegsTruncated {
		t.Errorf("legs: counted %d, listed %d, truncated %t; want %d, 64, true", s.LegCount, len(s.Legs), s.LegsTruncated, legs+1)
	}
}

// TestCrowdIsHandedOver holds that legs which a root counted without keeping them
// are counted on by the smaller leg that becomes the root.
func TestCrowdIsHandedOver(t *testing.T) {
	w := newNetwork(t, testConfig, 1, 2)
	const legs = rootMembers + 8
	event := func(callID string) *call.Event {
		return legEvent(callID, 0, call.Link{Kind: call.LinkParent, Value: "root"})
	}
	least := call.LegNode(call.NewLegID("t", call.Sonetel, "", "root"))
	for n := range legs {
		e := event(fmt.Sprint("c", n))
		if id := call.LegNode(e.Leg); id.Less(least) {
			least = id
		}
		w.event(e, 1_700_000_000_000)
	}
	w.event(legEvent("root", 0), 1_700_000_000_000)
	for w.step() {
	}
	smaller := event("s0")
	for n := 1; !call.LegNode(smaller.Leg).Less(least); n++ {
		smaller = event(fmt.Sprint("s", n))
	}
	w.event(smaller, 1_700_000_000_500)
	for w.step() {
	}
	w.advance(1_700_000_001_000)
	last := w.last()
	if len(last) != 1 {
		t.Fatalf("%d sessions, want 1", len(last))
	}
	if last[0].LegCount != legs+2 {
		t.Errorf("%d legs are counted, want %d", last[0].LegCount, legs+2)
	}
}

// TestLateIsByArrival holds that an event is late, or after its leg's end, by its
// arrival alone: trig also tells how far the clock was, which a replay does not
// repeat.
func TestLateIsByArrival(t *testing.T) {
	m := New(testConfig, mapState{}, testKeep)
	const start, ahead = 1_700_000_000_000, 2 * 60 * 60 * 1000
	m.Event(legEvent("c", 0), start, start)
	e := legEvent("c", 1)
	if r, _, err := m.Event(e, start+1000, start+ahead); err != nil || r.Late {
		t.Error("an event in its leg's time is late because its trig is not")
	}
	expires := call.Arrival(start + 1000).Add(m.keep())
	if _, o, err := m.Event(legEvent("c", 2), expires, expires+ahead); err != nil || o != Accepted {
		t.Errorf("outcome %d at the end of the retention, want accepted", o)
	}
	expires = expires.Add(m.keep())
	if _, o, err := m.Event(legEvent("c", 3), expires+1, expires+1); err != nil || o != Late {
		t.Errorf("outcome %d after the retention, want late", o)
	}
}

// TestLate holds that what arrives after a leg's retention is published, flagged,
// and changes no session; and that after the stub is gone it is a new session.
func TestLate(t *testing.T) {
	state := mapState{}
	m := New(testConfig, state, testKeep)
	const start = 1_700_000_000_000
	const day = 24 * 60 * 60 * 1000
	settle := func(at call.Arrival) Effects {
		m.Settle(Clocks{at, at}, 10)
		m.Flush()
		m.Commit()
		return m.Take()
	}
	m.Event(legEvent("c", 0), start, start)
	settle(start)
	if fx := settle(start + 2*day); len(fx.Sessions) != 1 || fx.Sessions[0].CloseReason != call.ClosedTimeout {
		t.Fatalf("got %d sessions at the time-out, want one", len(fx.Sessions))
	}
	late := legEvent("c", 1)
	if _, o, err := m.Event(late, start+2*day, start+2*day); err != nil || o != Late {
		t.Fatalf("outcome %d, want late", o)
	}
	if fx := settle(start + 2*day); len(fx.Events) != 1 || !fx.Events[0].Remarks.Has(call.FlagLateAfterRetention) || len(fx.Sessions) != 0 {
		t.Errorf("late event: %d events, flags %v, %d sessions", len(fx.Events), late.Flags.Words(), len(fx.Sessions))
	}
	old := legEvent("c", 3) // of a partition that the clock did not wait for
	if _, o, err := m.Event(old, start+1000, start+2*day+1); err != nil || o != Late {
		t.Fatalf("outcome %d of an event within the retention of a leg that was freed, want late", o)
	}
	if fx := settle(start + 2*day); len(fx.Events) != 1 || !fx.Events[0].Late || len(fx.Sessions) != 0 {
		t.Errorf("old event: %d events, %d sessions", len(fx.Events), len(fx.Sessions))
	}
	settle(start + 10*day)
	if state.len() != 0 {
		t.Fatalf("the stub is still there: %d keys", state.len())
	}
	if _, o, err := m.Event(legEvent("c", 2), start+10*day, start+10*day); err != nil || o != Accepted {
		t.Errorf("outcome %d, want accepted: nothing is remembered", o)
	}
	settle(start + 10*day)
	m.Event(legEvent("d", 0, call.Link{Kind: call.LinkFlow, Value: "f"}), start, start)
	for _, msg := range m.Take().Messages { // to the link, which is made and freed at once
		if err := m.Receive(msg); err != nil {
			t.Fatal(err)
		}
	}
	settle(start + 20*day)
	settle(start + 30*day)
	if m.Open() != 0 || state.len() != 0 {
		t.Errorf("%d nodes are counted of %d", m.Open(), state.len())
	}
}

// TestOlderSummary holds that a summary that was overtaken changes nothing.
func TestOlderSummary(t *testing.T) {
	var s memberSet
	newer, older := &leg.Leg{CallID: "newer"}, &leg.Leg{CallID: "older"}
	s.put(member{v: 2, fold: fold{leg: newer}})
	if s.put(member{v: 1, fold: fold{leg: older}}) || s.all[0].leg != newer {
		t.Error("an older summary replaced a newer one")
	}
}
