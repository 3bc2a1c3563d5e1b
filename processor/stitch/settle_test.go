package stitch

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"callstitch/processor/call"
)

const settleStart = call.Arrival(1_700_000_000_000)

// settling is testConfig with sessions that settle so long after they closed.
func settling(after time.Duration) Config {
	cfg := testConfig
	cfg.Settled, cfg.SettledAfter = true, after
	return cfg
}

// forms are the versions of the stored nodes' forms.
func forms(s mapState) (all []byte) {
	for key, value := range s.all() {
		if key[0] == keyNode {
			all = append(all, value[0])
		}
	}
	slices.Sort(all)
	return all
}

// A session settles when it is forgotten, not a moment before, as its last record says.
func TestSettlesWhenForgotten(t *testing.T) {
	state := mapState{}
	m := New(settling(0), state, testKeep)
	for i, e := range alone(settleStart) {
		m.Event(e, settleStart+call.Arrival(i), settleStart+call.Arrival(i))
	}
	forgotten := (settleStart + 2).Add(m.cfg.Forgotten()) + 1
	fx := settled(m, forgotten, forgotten-1)
	if len(fx.Sessions) != 1 || len(fx.Settled) != 0 {
		t.Fatalf("%d records and %d settled before the session is forgotten, want the FINAL one only", len(fx.Sessions), len(fx.Settled))
	}
	if got := forms(state); !slices.Equal(got, []byte{nodeForm}) {
		t.Errorf("stored in the forms %v: an earlier program could not take it up", got)
	}
	final := fx.Sessions[0]
	fx = settled(m, forgotten, forgotten)
	if len(fx.Sessions) != 0 || len(fx.Settled) != 1 {
		t.Fatalf("%d records and %d settled, want one that settled", len(fx.Sessions), len(fx.Settled))
	}
	s := *fx.Settled[0]
	if s.EmittedAt != forgotten || s.ChangeReason != call.ChangeFinalized || s.Amended {
		t.Errorf("settled at %d, %s, amended %t", s.EmittedAt, s.ChangeReason, s.Amended)
	}
	if s.State != final.State || s.Revision != final.Revision || s.TotalMS != final.TotalMS || s.EventCount != 3 || s.ID != final.ID {
		t.Errorf("settled as %+v, where the last record was %+v", s, *final)
	}
}

// With a delay a session settles so long after its closing time, and later where it was
// amended before that; what comes after it is in its revisions only.
func TestSettlesAfterDelay(t *testing.T) {
	const delay = time.Hour
	state := mapState{}
	m := New(settling(delay), state, testKeep)
	events := alone(settleStart)
	m.Event(events[0], settleStart, settleStart)
	m.Event(events[2], settleStart, settleStart)
	closes := settleStart.Add(m.cfg.Grace)
	if fx := settled(m, closes.Add(delay)-1, closes.Add(delay)-1); len(fx.Sessions) != 1 || len(fx.Settled) != 0 {
		t.Fatalf("%d records and %d settled within the delay", len(fx.Sessions), len(fx.Settled))
	}
	late := closes.Add(delay) - 1
	m.Event(events[1], late, late)
	closes = late.Add(m.cfg.Grace)
	if fx := settled(m, closes.Add(delay)-1, closes.Add(delay)-1); len(fx.Sessions) != 1 || !fx.Sessions[0].Amended || len(fx.Settled) != 0 {
		t.Fatalf("%d records and %d settled of one that was amended within the delay", len(fx.Sessions), len(fx.Settled))
	}
	fx := settled(m, closes.Add(delay), closes.Add(delay))
	if len(fx.Sessions) != 0 || len(fx.Settled) != 1 || fx.Settled[0].Revision != 2 || fx.Settled[0].EmittedAt != closes.Add(delay) {
		t.Fatalf("%d records, and %d settled, want one in revision 2", len(fx.Sessions), len(fx.Settled))
	}
	if got := forms(state); !slices.Equal(got, []byte{settledForm}) {
		t.Errorf("stored in the forms %v: an earlier program would take it up, and one that was taken up again settle it twice", got)
	}
	m = New(m.cfg, state, testKeep)
	if err := m.Rebuild(state.all()); err != nil {
		t.Fatal(err)
	}
	more := legEvent("c-0", 7)
	more.Leg = events[0].Leg
	later := closes.Add(delay) + 5
	m.Event(more, later, later)
	forgotten := later.Add(m.cfg.Forgotten()) + 1
	if fx := settled(m, forgotten, forgotten); len(fx.Sessions) != 1 || !fx.Sessions[0].Amended || len(fx.Settled) != 0 {
		t.Errorf("%d records and %d settled of one that had settled", len(fx.Sessions), len(fx.Settled))
	}
}

// A session that has settled takes that along to the root that it is handed over to; one
// that has not settles there, and lists what it absorbed.
func TestSettledIsHandedOver(t *testing.T) {
	for name, older := range map[string]bool{"the one that settled stays": true, "the other one stays": false} {
		t.Run(name, func(t *testing.T) {
			const delay = time.Hour
			m := New(settling(delay), mapState{}, testKeep)
			a, b := alone(settleStart), legEvent("smaller", 0)
			if bytes.Compare(a[0].Leg[:], b.Leg[:]) < 0 { // the larger one settles, and hands over
				t.Fatal("the ids are in another order: name the legs anew")
			}
			at := settleStart
			for _, e := range a {
				m.Event(e, at, at)
			}
			at = at.Add(m.cfg.Grace + delay)
			if fx := settled(m, at, at); len(fx.Settled) != 1 {
				t.Fatalf("%d have settled, want 1", len(fx.Settled))
			}
			if !older {
				b.Started.At, b.Time.At = b.Started.At-60_000, b.Time.At-60_000
			} else {
				b.Started.At, b.Time.At = b.Started.At+60_000, b.Time.At+60_000
			}
			m.Event(b, at, at)
			joins := legEvent(a[0].CallID, 7, call.Link{Kind: call.LinkParent, Value: "smaller"})
			m.Event(joins, at, at)
			fx := m.Take()
			kinds := 0
			for len(fx.Messages) > 0 {
				for _, msg := range fx.Messages {
					if msg.Body[0] == settledMessage {
						kinds++
					}
					if err := m.Receive(msg); err != nil {
						t.Fatal(err)
					}
				}
				fx = m.Take()
			}
			if kinds != 1 {
				t.Errorf("%d messages say what has settled, want 1", kinds)
			}
			at = at.Add(m.cfg.Forgotten()) + 1
			fx = settled(m, at, at)
			switch {
			case older && len(fx.Settled) != 0:
				t.Errorf("session %s has settled once more", fx.Settled[0].ID)
			case !older && (len(fx.Settled) != 1 || fx.Settled[0].ID != b.Leg || !slices.Contains(fx.Settled[0].MergedSessionIDs, a[0].Leg)):
				t.Errorf("%d have settled, want the survivor, which lists the other", len(fx.Settled))
			}
		})
	}
}

// A leg that was forgotten and is told of once more is one of which nothing is known. It
// has a session again, and that does not settle: the id may have, before.
func TestComesAgainSettlesNotAgain(t *testing.T) {
	for _, by := range []byte{witnessMessage, unionMessage} {
		for _, early := range []bool{true, false} {
			if n := comesAgain(t, by, early, Control{}); n != 0 {
				t.Errorf("message %d, event at once %t: %d have settled of one that had before, want none", by, early, n)
			}
		}
	}
}

// comesAgain has a session settle and be forgotten, its leg told of by a message, and
// events of it come after that, the first one at once or when it is forgotten again. It
// returns how many have settled from then on until its stub would be forgotten.
func comesAgain(t *testing.T, by byte, early bool, plant Control) (again int) {
	t.Helper()
	state := mapState{}
	m := New(settling(0), state, testKeep)
	m.Plant(plant)
	e := legEvent("d", 0)
	m.Event(e, settleStart, settleStart)
	at := settleStart.Add(m.cfg.Forgotten()) + 1
	if fx := settled(m, at, at); len(fx.Settled) != 1 {
		t.Fatalf("%d have settled, want 1", len(fx.Settled))
	}
	smaller := call.LegNode(call.LegID{1})
	told := body{
		kind: by, root: smaller, tenant: e.Tenant, provider: e.Provider, scope: e.Scope, arrival: at,
		snapshot: call.LegSnapshot{CallID: e.CallID, From: call.Party{Raw: "+15550100001"}},
	}
	told.exp = at.Add(m.keep())
	if err := m.Receive(Message{To: call.LegNode(e.Leg), Trig: at, Body: m.write(&told)}); err != nil {
		t.Fatal(err)
	}
	if by == unionMessage { // what its new root knows of it
		m.deliver(t)
	}
	again += len(settled(m, at, at).Settled)
	if form := forms(state); plant == (Control{}) && !slices.Contains(form, settledForm) {
		t.Errorf("stored in the forms %v: nothing says that it has come again", form)
	}
	if err := m.Rebuild(state.all()); err != nil {
		t.Fatal(err)
	}
	if early {
		m.Event(legEvent("d", 1), at+1, at+1)
		m.deliver(t)
	}
	for range 2 { // the stub is kept for longer
		at = at.Add(m.cfg.Forgotten()) + 2
		again += len(settled(m, at, at).Settled)
		m.Event(legEvent("d", 2), at, at) // late, or of a leg that was never heard of
		m.deliver(t)
	}
	return again
}

// deliver hands the machine's messages to itself.
func (m *Machine) deliver(t *testing.T) {
	t.Helper()
	for fx := m.Take(); len(fx.Messages) > 0; fx = m.Take() {
		for _, msg := range fx.Messages {
			if err := m.Receive(msg); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Of what two roots know of one id, the one that has kept it knows best.
func TestSettlementAnd(t *testing.T) {
	for _, x := range []struct{ a, b, want settlement }{
		{unsettled, unsettled, unsettled},
		{unsettled, hasSettled, hasSettled},
		{hasSettled, mayHaveBefore, hasSettled},
		{unsettled, mayHaveBefore, unsettled},
		{mayHaveBefore, mayHaveBefore, mayHaveBefore},
	} {
		if x.a.and(x.b) != x.want || x.b.and(x.a) != x.want {
			t.Errorf("%d and %d: %d, %d, want %d", x.a, x.b, x.a.and(x.b), x.b.and(x.a), x.want)
		}
	}
	n := &node{published: []publication{{revision: 3, settled: hasSettled}}}
	n.absorbPublication(publication{revision: 4})
	if p := n.published[0]; p.revision != 4 || p.settled != hasSettled {
		t.Errorf("a later revision made %+v of one that had settled", p)
	}
}

// With nothing that settles, forms and messages are those of a program that knows nothing
// of it; and where all settle when they are forgotten, too.
func TestSettlingLeavesFormsAlone(t *testing.T) {
	for _, cfg := range []Config{testConfig, settling(0)} {
		w := newNetwork(t, cfg, 5, 3)
		at := settleStart
		for i := range 5 {
			for _, e := range conversation(w.rng, string(rune('a'+i)), 1+i, call.Time(at)) {
				at++
				w.event(e, at)
			}
		}
		for w.step() {
		}
		for _, to := range []call.Arrival{at, at.Add(cfg.AnsweredTimeout), at.Add(cfg.AnsweredTimeout + cfg.Retention), at.Add(10 * cfg.Forgotten())} {
			w.advance(to)
			for _, s := range w.states {
				if got := forms(s); slices.Contains(got, settledForm) {
					t.Errorf("settled %t: stored in the forms %v", cfg.Settled, got)
				}
			}
		}
	}
}

// What waits for its gate is not freed before it was published: an event of a partition that
// seemed idle may cause its messages longer after its date than a node is kept.
func TestNotFreedBeforeItsGate(t *testing.T) {
	m := New(settling(0), mapState{}, testKeep)
	e := legEvent("c", 0, call.Link{Kind: call.LinkFlow, Value: "f"})
	gate := settleStart.Add(m.cfg.Forgotten() + time.Hour)
	m.Event(e, settleStart, gate)
	if fx := settled(m, gate, gate-1); len(fx.Sessions) != 0 || m.Open() == 0 {
		t.Fatalf("%d records before the gate, %d nodes", len(fx.Sessions), m.Open())
	}
	if fx := settled(m, gate, gate); len(fx.Sessions) != 1 || len(fx.Settled) != 1 {
		t.Errorf("%d records and %d settled at the gate, want one of each", len(fx.Sessions), len(fx.Settled))
	}
}

// A session is FINAL before it is forgotten, also where the last that was heard of its leg is
// an event once more with other content: that puts off the end, and keeps nothing alive.
// And whether the clock passes both times at once makes no difference.
func TestFinalBeforeForgotten(t *testing.T) {
	for _, retention := range []time.Duration{0, testConfig.Retention} {
		for _, leap := range []bool{false, true} {
			cfg := settling(0)
			cfg.Retention = retention
			m := New(cfg, mapState{}, testKeep)
			answered := legEvent("c", 0)
			answered.IDKind, answered.Type, answered.Answered = call.IDSemantic, call.EventCallAnswered, answered.Time
			again := *answered
			again.Content++
			heard := settleStart.Add(m.keep() - time.Minute)
			var published, settles []*call.Session
			m.Event(answered, settleStart, settleStart)
			look := func(from, to call.Arrival) {
				for at := from; at <= to && !leap; at = at.Add(10 * time.Minute) {
					fx := settled(m, at, at)
					published, settles = append(published, fx.Sessions...), append(settles, fx.Settled...)
				}
			}
			look(settleStart, heard)
			if _, outcome, _ := m.Event(&again, heard, heard); outcome != Duplicate {
				t.Fatalf("the event is %d once more, want a duplicate", outcome)
			}
			forgotten := settleStart.Add(m.cfg.Forgotten()) + 1
			look(heard, forgotten-1)
			fx := settled(m, forgotten, forgotten)
			published, settles = append(published, fx.Sessions...), append(settles, fx.Settled...)
			if last := published[len(published)-1]; last.State != call.StateFinal || len(settles) != 1 {
				t.Errorf("retention %v, leap %t: the last record is %s, and %d have settled", retention, leap, last.State, len(settles))
			}
		}
	}
}
