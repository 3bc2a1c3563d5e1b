package stitch

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/leg"
)

var testConfig = Config{
	Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
	Retention: 24 * time.Hour, StubRetention: 72 * time.Hour, Partial: true,
}

// testKeep is how many legs a machine keeps decoded in tests: few enough that it drops
// some all the time.
const testKeep = 5

// mapState is a task's store without transactions. What Get returns is gone with the next
// Get, as with a store that moves what it holds.
type mapState map[string][]byte

// handedOut is the key under which it has what Get returned.
const handedOut = ""

// len is the number of keys.
func (s mapState) len() int {
	s.takeBack()
	return len(s)
}

func (s mapState) takeBack() {
	clear(s[handedOut])
	delete(s, handedOut)
}

func (s mapState) Get(key []byte) []byte {
	s.takeBack()
	if v, ok := s[string(key)]; ok {
		s[handedOut] = bytes.Clone(v)
	}
	return s[handedOut]
}

func (s mapState) Put(key, value []byte) {
	if value == nil {
		delete(s, string(key))
		return
	}
	s[string(key)] = value
}

func (s mapState) all() iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		for k, v := range s {
			if k != handedOut && !yield([]byte(k), v) {
				return
			}
		}
	}
}

// network is a few machines with perfect clocks: the session clock never
// passes a message in flight. What clocks do under faults is tested in topology.
type network struct {
	t        *testing.T
	cfg      Config
	rng      *rand.Rand
	machines []*Machine
	states   []mapState
	inFlight [][]Message // by destination; delivered in order
	clock    call.Arrival
	sessions map[call.LegID][]*call.Session
}

func newNetwork(t *testing.T, cfg Config, seed uint64, machines int) *network {
	w := &network{t: t, cfg: cfg, rng: rand.New(rand.NewPCG(seed, 1)), clock: math.MinInt64, sessions: map[call.LegID][]*call.Session{}}
	for range machines {
		s := mapState{}
		w.states = append(w.states, s)
		w.machines = append(w.machines, New(cfg, s, testKeep))
		w.inFlight = append(w.inFlight, nil)
	}
	return w
}

func (w *network) owner(id call.NodeID) int { return int(id[1]) % len(w.machines) }

func (w *network) event(e *call.Event, arrival call.Arrival) {
	i := w.owner(call.LegNode(e.Leg))
	w.machines[i].Event(e, arrival, max(arrival, w.clock+1))
	w.commit(i)
	for w.rng.IntN(3) > 0 && w.step() {
	}
}

// step delivers one message that is in flight.
func (w *network) step() bool {
	var waiting []int
	for i, q := range w.inFlight {
		if len(q) > 0 {
			waiting = append(waiting, i)
		}
	}
	if len(waiting) == 0 {
		return false
	}
	i := waiting[w.rng.IntN(len(waiting))]
	msg := w.inFlight[i][0]
	w.inFlight[i] = w.inFlight[i][1:]
	if err := w.machines[i].Receive(msg); err != nil {
		w.t.Fatal(err)
	}
	w.commit(i)
	return true
}

// advance moves the clocks, no further than the oldest message in flight.
func (w *network) advance(to call.Arrival) {
	for _, q := range w.inFlight {
		for _, msg := range q {
			to = min(to, msg.Trig-1)
		}
	}
	w.clock = max(w.clock, to)
	for i := range w.machines {
		w.commit(i)
	}
}

func (w *network) commit(i int) {
	m := w.machines[i]
	for more := true; more; {
		more, _ = m.Settle(Clocks{Leg: w.clock, Session: w.clock}, 100)
	}
	m.Flush()
	m.Commit()
	fx := m.Take()
	for _, msg := range fx.Messages {
		j := w.owner(msg.To)
		w.inFlight[j] = append(w.inFlight[j], msg)
	}
	for _, s := range fx.Sessions {
		past := w.sessions[s.ID]
		if int(s.Revision) != len(past)+1 {
			w.t.Errorf("session %s: revision %d after %d revisions", s.ID, s.Revision, len(past))
		}
		w.sessions[s.ID] = append(past, s)
	}
	if w.rng.IntN(4) == 0 {
		m.Rebuild(w.states[i].all())
	}
}

func (w *network) finish(at call.Arrival) {
	for w.step() {
	}
	w.advance(at)
	for w.step() {
		w.t.Error("a timer sent a message")
	}
}

// last lists the last record of every session that is not SUPERSEDED.
func (w *network) last() (out []*call.Session) {
	for _, revisions := range w.sessions {
		if s := revisions[len(revisions)-1]; s.State != call.StateSuperseded {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *call.Session) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out
}

// conversation is a few calls, linked by flows and parents at random.
func conversation(rng *rand.Rand, name string, legs int, at call.Time) (events []*call.Event) {
	for i := range legs {
		id := fmt.Sprintf("%s-%d", name, i)
		var links []call.Link
		if i > 0 {
			j := rng.IntN(i)
			if rng.IntN(2) == 0 {
				links = []call.Link{{Kind: call.LinkParent, Value: fmt.Sprintf("%s-%d", name, j)}}
			} else {
				links = []call.Link{{Kind: call.LinkFlow, Value: fmt.Sprintf("%s-flow-%d", name, j)}}
			}
		}
		links = append(links, call.Link{Kind: call.LinkFlow, Value: fmt.Sprintf("%s-flow-%d", name, i)})
		start := at + call.Time(i)*1000
		for k, typ := range []call.EventType{call.EventCallInitiated, call.EventCallAnswered, call.EventCallEnded} {
			e := &call.Event{
				IDKind: call.IDExact, Tenant: "t", Provider: call.Sonetel, CallID: id, Type: typ, Links: links,
				Time:    call.Instant{At: start + call.Time(k)*5000, Src: call.EvidenceEvent, Precision: 1},
				Started: call.Instant{At: start, Src: call.EvidenceReported, Precision: 1},
			}
			if typ == call.EventCallAnswered {
				e.Answered = e.Time
			}
			if typ == call.EventCallEnded {
				e.Ended = e.Time
			}
			e.Leg = call.NewLegID(e.Tenant, e.Provider, e.Scope, e.CallID)
			e.ID = call.NewEventID(e.Leg, typ.String())
			e.Content = uint64(k)
			events = append(events, e)
		}
	}
	return events
}

// TestComponents joins conversations whose events come in any order, twice or
// not, over any number of machines, and finds each of them once and whole.
func TestComponents(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 7))
		var events []*call.Event
		want := map[int]int{}
		for c := range 4 {
			legs := 1 + rng.IntN(6)
			want[legs]++
			events = append(events, conversation(rng, fmt.Sprintf("c%d", c), legs, 1_700_000_000_000)...)
		}
		rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		w := newNetwork(t, testConfig, seed, 1+rng.IntN(5))
		at := call.Arrival(1_700_000_000_000)
		for _, e := range events {
			at += call.Arrival(rng.IntN(400))
			w.event(e, at)
			if rng.IntN(3) == 0 {
				w.event(e, at)
			}
			w.advance(at - 1)
		}
		w.finish(at + 5*60*60*1000)
		got := map[int]int{}
		for _, s := range w.last() {
			if s.State != call.StateFinal {
				t.Errorf("seed %d: session %s is %s at the end", seed, s.ID, s.State)
			}
			got[int(s.LegCount)]++
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("seed %d: sessions by leg count: got %v, want %v", seed, got, want)
		}
	}
}

// TestNothingStays frees every node once its time is over.
func TestNothingStays(t *testing.T) {
	w := newNetwork(t, testConfig, 1, 3)
	at := call.Arrival(1_700_000_000_000)
	for _, e := range conversation(rand.New(rand.NewPCG(1, 1)), "c", 5, call.Time(at)) {
		at++
		w.event(e, at)
	}
	w.finish(at + 10*24*60*60*1000)
	w.advance(at + 20*24*60*60*1000)
	for i, s := range w.states {
		if s.len() > 0 || w.machines[i].Open() != 0 {
			t.Errorf("machine %d still holds %d keys and %d nodes", i, s.len(), w.machines[i].Open())
		}
	}
}

// TestQuietStretch holds that a clock that leaps over a session's whole
// retention still closes it.
func TestQuietStretch(t *testing.T) {
	w := newNetwork(t, testConfig, 3, 2)
	at := call.Arrival(1_700_000_000_000)
	for _, e := range conversation(rand.New(rand.NewPCG(1, 1)), "c", 3, call.Time(at))[:5] {
		w.event(e, at)
	}
	w.finish(at + 10*24*60*60*1000)
	last := w.last()
	if len(last) != 1 || last[0].State != call.StateFinal {
		t.Errorf("got %d sessions, want one that is FINAL", len(last))
	}
}

// TestFirstPartials holds that a session published before any clock was heard
// goes on: at most one revision a second of the leg clock, but each of them.
func TestFirstPartials(t *testing.T) {
	w := newNetwork(t, testConfig, 3, 1)
	at := call.Arrival(1_700_000_000_000)
	events := conversation(rand.New(rand.NewPCG(1, 1)), "c", 1, call.Time(at))
	for i, e := range events {
		e.Links = nil
		w.event(e, at+call.Arrival(i)*5000)
		w.advance(at + call.Arrival(i)*5000 - 1)
	}
	w.finish(at + 60_000)
	var reasons []string
	for _, s := range w.sessions[w.last()[0].ID] {
		reasons = append(reasons, s.ChangeReason.String())
	}
	if got, want := fmt.Sprint(reasons), "[OPENED ANSWERED ENDED FINALIZED]"; got != want {
		t.Errorf("revisions: got %s, want %s", got, want)
	}
}

// TestTimerThatChangesNothing holds that a node whose timer fired in vain still
// wakes for what comes later.
func TestTimerThatChangesNothing(t *testing.T) {
	m := New(testConfig, mapState{}, testKeep)
	const start = 1_700_000_000_000
	flow := call.Link{Kind: call.LinkFlow, Value: "f"}
	event := func(n int, at call.Arrival) {
		e := legEvent("c", n, flow)
		if n == 0 {
			e.Time.Src = call.EvidenceIngest // a copy of it is worth another look
		} else {
			e.Answered = e.Time
		}
		m.Event(e, at, at)
	}
	settle := func(session call.Arrival) int {
		m.Settle(Clocks{session, session}, 10)
		m.Flush()
		m.Commit()
		fx := m.Take()
		for _, msg := range fx.Messages {
			if err := m.Receive(msg); err != nil {
				t.Fatal(err)
			}
		}
		m.Settle(Clocks{session, session}, 10)
		m.Flush()
		m.Commit()
		m.Take()
		return len(fx.Sessions)
	}
	event(0, start)
	settle(start - 1)
	if n := settle(start + 10); n != 1 {
		t.Fatalf("%d records of the first event, want 1", n)
	}
	event(0, start+20)
	settle(start + 10)
	if n := settle(start + 30); n != 0 {
		t.Fatalf("%d records of a copy, want none", n)
	}
	event(1, start+40)
	settle(start + 30)
	if n := settle(start + 50); n != 1 {
		t.Errorf("%d records of the second event, want 1", n)
	}
}

// settled is what a machine publishes at the clocks.
func settled(m *Machine, leg, session call.Arrival) Effects {
	m.Settle(Clocks{leg, session}, 10)
	m.Flush()
	m.Commit()
	return m.Take()
}

// TestFinalWaitsForMessages holds that a session whose time is over by the leg
// clock is not FINAL while a message may be in flight that changes it.
func TestFinalWaitsForMessages(t *testing.T) {
	m := New(testConfig, mapState{}, testKeep)
	const start = 1_700_000_000_000
	closes := call.Arrival(start).Add(testConfig.UnansweredTimeout)
	m.Event(legEvent("c", 0), start, start)
	for _, at := range []struct {
		session call.Arrival
		want    call.RecordState
	}{{closes - 1, call.StatePartial}, {closes, call.StateFinal}} {
		fx := settled(m, closes, at.session)
		if len(fx.Sessions) != 1 || fx.Sessions[0].State != at.want {
			t.Fatalf("session clock %d ms before the close: %d records, want one that is %s", closes-at.session, len(fx.Sessions), at.want)
		}
	}
}

// TestConflictWaitsForMessages holds that the mark which a conflict leaves on a
// session with links is published like any other change, once no message that
// was caused before it is in flight.
func TestConflictWaitsForMessages(t *testing.T) {
	m := New(testConfig, mapState{}, testKeep)
	const start = 1_700_000_000_000
	event := func(content uint64) *call.Event {
		e := legEvent("c", 0, call.Link{Kind: call.LinkFlow, Value: "f"})
		e.Content = content
		return e
	}
	m.Event(event(1), start, start)
	if fx := settled(m, start, start); len(fx.Sessions) != 1 {
		t.Fatalf("%d records of the event, want 1", len(fx.Sessions))
	}
	if _, o, err := m.Event(event(2), start+500, start+500); err != nil || o != Conflicting {
		t.Fatalf("outcome %d, want conflicting", o)
	}
	if fx := settled(m, start+499, start+499); len(fx.Sessions) != 0 {
		t.Errorf("%d records before the session clock has passed the conflict", len(fx.Sessions))
	}
	if fx := settled(m, start+500, start+500); len(fx.Sessions) != 1 || !fx.Sessions[0].Flags.Has(call.FlagIDConflict) {
		t.Errorf("%d records of the conflict, want one with its mark", len(fx.Sessions))
	}
}

// TestAbsorbedAfterItsMember holds that a root which has a member already, and
// hears only then that it was published as a session, ends that session although
// nothing else changes.
func TestAbsorbedAfterItsMember(t *testing.T) {
	m := New(testConfig, mapState{}, testKeep)
	const start = 1_700_000_000_000
	root, other := legEvent("a", 0), legEvent("b", 0)
	if bytes.Compare(root.Leg[:], other.Leg[:]) > 0 {
		root, other = other, root
	}
	receive := func(b *body) Effects {
		t.Helper()
		if err := m.Receive(Message{To: call.LegNode(root.Leg), Trig: start, Body: m.write(b)}); err != nil {
			t.Fatal(err)
		}
		return settled(m, start, start)
	}
	m.Event(root, start, start)
	settled(m, start, start)
	joined := member{id: other.Leg, v: 1, fold: fold{leg: new(leg.Leg)}}
	joined.leg.Fold(other, start, false)
	if fx := receive(&body{kind: summaryMessage, members: []member{joined}}); len(fx.Sessions) != 1 || fx.Sessions[0].LegCount != 2 {
		t.Fatalf("%d records of the member, want one of two legs", len(fx.Sessions))
	}
	fx := receive(&body{kind: absorbMessage, published: []publication{{id: other.Leg, revision: 3, state: call.StatePartial}}})
	if len(fx.Sessions) != 2 {
		t.Fatalf("%d records, want the last of the absorbed session and one of its survivor", len(fx.Sessions))
	}
	if s := fx.Sessions[0]; s.ID != other.Leg || s.State != call.StateSuperseded || s.Revision != 4 || *s.SupersededBy != root.Leg {
		t.Errorf("session %s is %s in revision %d, want it SUPERSEDED in 4", s.ID, s.State, s.Revision)
	}
	if s := fx.Sessions[1]; s.ID != root.Leg || !slices.Equal(s.MergedSessionIDs, []call.LegID{other.Leg}) {
		t.Errorf("session %s lists %v, want what it absorbed", s.ID, s.MergedSessionIDs)
	}
}

// TestSlowMessageFindsItsLeg holds that a leg past its retention is still there
// for an hour: what was sent to it in time may be slow.
func TestSlowMessageFindsItsLeg(t *testing.T) {
	m := New(testConfig, mapState{}, testKeep)
	const start = 1_700_000_000_000
	e := legEvent("c", 0)
	m.Event(e, start, start)
	settled(m, start, start)
	last := call.Arrival(start).Add(m.keep() + time.Hour)
	if fx := settled(m, last, last); len(fx.Sessions) != 1 || fx.Sessions[0].State != call.StateFinal {
		t.Fatalf("%d records at the time-out, want one that is FINAL", len(fx.Sessions))
	}
	told := body{
		kind: witnessMessage, tenant: e.Tenant, provider: e.Provider, scope: e.Scope, arrival: start,
		snapshot: call.LegSnapshot{CallID: e.CallID, From: call.Party{Raw: "+15550100001"}},
	}
	if err := m.Receive(Message{To: call.LegNode(e.Leg), Trig: start, Body: m.write(&told)}); err != nil {
		t.Fatal(err)
	}
	fx := settled(m, last, last)
	if len(fx.Sessions) != 1 {
		t.Fatalf("%d records of the message, want 1", len(fx.Sessions))
	}
	if s := fx.Sessions[0]; s.Revision != 3 || s.EventCount != 1 || s.From.Raw != "+15550100001" {
		t.Errorf("revision %d of %d events from %q, want the third, of the event and the message", s.Revision, s.EventCount, s.From.Raw)
	}
}
