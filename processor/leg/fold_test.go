package leg

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"callstitch/processor/call"
	"callstitch/processor/call/calltest"
	"callstitch/processor/codec"
)

func TestEveryFieldOfALegHasAPolicy(t *testing.T) {
	var fields, listed []string
	for f := range reflect.TypeFor[Leg]().Fields() {
		name := strings.ToLower(f.Name[:1]) + f.Name[1:]
		if f.Name == "ID" {
			name = "id"
		}
		fields = append(fields, name)
	}
	for _, p := range policies {
		listed = append(listed, p.Field)
		if p.Policy == "" || p.Why == "" {
			t.Errorf("%s: policy %q, reason %q: neither may be empty", p.Field, p.Policy, p.Why)
		}
	}
	slices.Sort(fields)
	slices.Sort(listed)
	if d := cmp.Diff(fields, listed); d != "" {
		t.Errorf("fields of leg (-) and of the table (+) differ:\n%s", d)
	}
}

// permutationsPerStory times the 100 stories that rapid draws.
const permutationsPerStory = 120

// canonical is the leg's form without what deliveries leave behind.
func canonical(l *Leg) []byte {
	c := *l
	c.Duplicates, c.Late, c.OutOfOrder, c.Arrival = 0, 0, 0, 0
	c.FirstSource, c.LastSource = Position{ingestedAt: c.FirstSource.ingestedAt}, Position{}
	w := codec.NewWriter(nil)
	c.Visit(w)
	return w.Buf
}

// Any order, any copies, also with later Kafka timestamps, and a restart
// anywhere: the legs and their session are the same.
func TestFoldDoesNotDependOnOrderRepetitionOrRestarts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		told := calltest.DrawStory(t)
		want := newLegBook()
		for _, e := range told {
			want.take(e)
		}
		for range permutationsPerStory {
			order := rapid.Permutation(told).Draw(t, "order")
			if rapid.Bool().Draw(t, "repeat") {
				for _, e := range rapid.SliceOfN(rapid.SampledFrom(told), 0, 6).Draw(t, "repeats") {
					order = append(order, calltest.Delayed(e, 500*rapid.Int64Range(0, 3).Draw(t, "delay")))
				}
			}
			restart := rapid.IntRange(0, len(order)).Draw(t, "restart")
			got := newLegBook()
			for i, e := range order {
				if i == restart {
					for id, l := range got.legs {
						got.legs[id] = reload(t, l)
					}
				}
				got.take(e)
			}
			compareBooks(t, want, got)
			for _, e := range told {
				got.legs[e.Leg].merge(e)
			}
			compareBooks(t, want, got)
		}
	})
}

func compareBooks(t *rapid.T, want, got *legBook) {
	for id, l := range want.legs {
		g := got.legs[id]
		if !bytes.Equal(canonical(l), canonical(g)) {
			t.Fatalf("leg %s:\n%+v\nafter another order:\n%+v", l.CallID, l, g)
		}
		if g.Arrival != got.arrival[id] {
			t.Fatalf("leg %s: arrival %d, the largest that came was %d", l.CallID, g.Arrival, got.arrival[id])
		}
	}
}

func TestMomentsOverflowTheSameWayInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var told []Moment
		for i := range rapid.IntRange(momentsMax-4, momentsMax+10).Draw(t, "moments") {
			typ := rapid.SampledFrom([]call.EventType{call.EventCallRinging, call.EventDTMF}).Draw(t, "type")
			told = append(told, Moment{At: call.Time(rapid.Int64Range(1, 50).Draw(t, "at")), id: uint32(i), Type: typ, Src: call.EvidenceEvent})
			if rapid.IntRange(0, 4).Draw(t, "copied") == 0 {
				m := told[len(told)-1]
				m.At = call.Time(rapid.Int64Range(1, 50).Draw(t, "at again"))
				told = append(told, m)
			}
		}
		fill := func(order []Moment) (set []Moment, overflow bool) {
			for _, m := range order {
				overflow = addMoment(&set, m) || overflow
			}
			return set, overflow
		}
		want, cut := fill(told)
		got, gotCut := fill(rapid.Permutation(told).Draw(t, "order"))
		if cut != gotCut || !slices.Equal(want, got) {
			t.Fatalf("overflow %v, then %v:\n%v\n%v", cut, gotCut, want, got)
		}
		if len(want) > momentsMax {
			t.Fatalf("%d moments, at most %d", len(want), momentsMax)
		}
	})
}

func TestHangupsKeepTheSmallestTimeOfEachContent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		told := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) hangup {
			return hangup{call.Time(rapid.Int64Range(1, 9).Draw(t, "at")), rapid.Uint64Range(1, 6).Draw(t, "content")}
		}), 1, 12).Draw(t, "hang-ups")
		want := map[uint64]call.Time{}
		for _, h := range told {
			want[h.content] = Earlier(want[h.content], h.at)
		}
		var all, got []hangup
		for content, at := range want {
			all = append(all, hangup{at, content})
		}
		slices.SortFunc(all, compareHangups)
		for _, h := range told {
			addHangup(&got, h)
		}
		if !slices.Equal(got, all[:min(len(all), hangupsMax)]) {
			t.Fatalf("%v, want the first of %v", got, all)
		}
	})
}

func TestKeypadInputDoesNotPushOutTheAnswer(t *testing.T) {
	var l Leg
	for i := range momentsMax + 20 {
		l.Fold(happened(call.Bandwidth, "c", call.EventDTMF, float64(i)), 0, false)
	}
	l.Fold(happened(call.Bandwidth, "c", call.EventCallAnswered, 1000), 0, false)
	if !slices.ContainsFunc(l.Moments, func(m Moment) bool { return m.Type == call.EventCallAnswered }) {
		t.Error("the answer is not in the timeline")
	}
	if !l.Saw(MomentsCut) {
		t.Error("the timeline does not say that it was cut")
	}
}

func TestStrongerEvidenceBeatsAnEarlierInstant(t *testing.T) {
	var l Leg
	l.Fold(happened(call.Opentact, "c", call.EventCallRinging, 1, func(e *call.Event) { e.Started = instant(call.EvidenceDerived, 0) }), 0, false)
	l.Fold(happened(call.Opentact, "c", call.EventCallInitiated, 2), 0, false)
	if l.started != instant(call.EvidenceReported, 2) {
		t.Errorf("started %+v, want the reported instant", l.started)
	}
	if l.Earliest != second(0) {
		t.Errorf("first instant %d, want the plain minimum %d", l.Earliest, second(0))
	}
}

func TestDestroyedDoesNotMoveTheEnd(t *testing.T) {
	var l Leg
	l.Fold(happened(call.Opentact, "c", call.EventCallDestroyed, 9, func(e *call.Event) { e.Ended = instant(call.EvidenceEvent, 9) }), 0, false)
	if l.end() != instant(call.EvidenceEvent, 9) {
		t.Errorf("end %+v: destroyed alone must end the leg", l.end())
	}
	l.Fold(happened(call.Opentact, "c", call.EventCallEnded, 5), 0, false)
	if l.end() != instant(call.EvidenceReported, 5) {
		t.Errorf("end %+v, want the hang-up's", l.end())
	}
}

func TestAMissedCallThatAnotherUserAnsweredGoesOn(t *testing.T) {
	var l Leg
	l.Fold(happened(call.Sonetel, "c", call.EventCallMissed, 5), 0, false)
	if !l.Ended() || l.end() != instant(call.EvidenceReported, 5) {
		t.Errorf("ended %v at %+v: a miss alone ends the call", l.Ended(), l.end())
	}
	l.Fold(happened(call.Sonetel, "c", call.EventCallAnswered, 7), 0, false)
	if l.Ended() {
		t.Error("ended, although another user answered")
	}
	l.Fold(happened(call.Sonetel, "c", call.EventCallEnded, 9), 0, false)
	if l.end() != instant(call.EvidenceReported, 9) {
		t.Errorf("end %+v, want the hang-up's", l.end())
	}
}

func TestTheCauseWithMoreFactsWins(t *testing.T) {
	poor := happened(call.Opentact, "c", call.EventCallEnded, 5, because(call.CauseUnknown, 0))
	rich := happened(call.Opentact, "c", call.EventCallDestroyed, 6, because(call.CauseBusy, 17))
	for _, order := range [][]*call.Event{{poor, rich}, {rich, poor}} {
		var l Leg
		for _, e := range order {
			l.Fold(e, 0, false)
		}
		if why := l.Ending(); why.HangupCause != call.CauseBusy || why.Q850.N != 17 {
			t.Errorf("cause %v, Q.850 %v", why.HangupCause, why.Q850)
		}
	}
}

func TestOwnEventsBeatCopiesInOtherLegs(t *testing.T) {
	var l Leg
	l.Identify("default", call.Opentact, "")
	l.Witness(&call.LegSnapshot{
		CallID: "p", From: call.Party{Raw: "15550100001"}, Started: instant(call.EvidenceSnapshot, 0), Alive: instant(call.EvidenceSnapshot, 1),
	}, 0)
	if l.ID != call.NewLegID("default", call.Opentact, "", "p") {
		t.Error("a leg known only from a copy has no id")
	}
	l.Fold(happened(call.Opentact, "p", call.EventCallInitiated, 3, called("+15550100001", "+15550100002")), 0, false)
	if l.From.Value.Raw != "+15550100001" || l.started.Src != call.EvidenceReported {
		t.Errorf("from %q, started %+v: want the leg's own", l.From.Value.Raw, l.started)
	}
	if l.Earliest != second(0) {
		t.Errorf("first instant %d, want the copy's %d", l.Earliest, second(0))
	}
}

// What a copy says of the end counts until the leg's own events say anything of it,
// however little that is, in any order.
func TestTheCauseOfACopyYieldsToTheLegsOwn(t *testing.T) {
	copies := []*call.LegSnapshot{
		{CallID: "p", Ended: instant(call.EvidenceSnapshot, 9), Ending: call.Ending{HangupCause: call.CauseBusy, Q850: call.Code{N: 17, Src: call.CodeReported}}},
		{CallID: "p", Ended: instant(call.EvidenceSnapshot, 8), Ending: call.Ending{HangupCause: call.CauseNormal, Q850: call.Code{N: 16, Src: call.CodeReported}}},
	}
	own := happened(call.Opentact, "p", call.EventCallEnded, 10, because(call.CauseUnknown, 0))
	for _, swapped := range []bool{false, true} {
		if swapped {
			copies[0], copies[1] = copies[1], copies[0]
		}
		var l Leg
		l.Identify("default", call.Opentact, "")
		for _, s := range copies {
			l.Witness(s, 0)
		}
		if why := l.Ending(); why.HangupCause != call.CauseNormal || why.Q850.N != 16 {
			t.Errorf("copies tell %v, Q.850 %v", why.HangupCause, why.Q850)
		}
		l.Fold(own, 0, false)
		l.Witness(copies[0], 0)
		if why := l.Ending(); why.HangupCause != call.CauseUnknown || why.Q850.Known() {
			t.Errorf("the leg's own event tells %v, Q.850 %v", why.HangupCause, why.Q850)
		}
	}
	alive := &call.LegSnapshot{CallID: "p", Alive: instant(call.EvidenceSnapshot, 1), Ending: call.Ending{HangupCause: call.CauseBusy}}
	var l Leg
	if l.Witness(alive, 0); l.Ending() != (call.Ending{}) || l.Ended() {
		t.Errorf("a copy without an end ends the leg: %v", l.Ending())
	}
}

func TestHoldsUntil(t *testing.T) {
	const arrival = 1_000_000
	const grace, unanswered, answered = 30_000, 300_000, 4 * 3600_000
	for _, tt := range []struct {
		name string
		typ  []call.EventType
		want call.Arrival
	}{
		{"a ringing leg waits for its answer", []call.EventType{call.EventCallRinging}, arrival + unanswered},
		{"an answered leg waits for its end", []call.EventType{call.EventCallAnswered}, arrival + answered},
		{"an ended leg waits for stragglers", []call.EventType{call.EventCallAnswered, call.EventCallEnded}, arrival + grace},
		{"a channel's end is not the leg's", []call.EventType{call.EventCallAnswered, call.EventChannelEnded}, arrival + answered},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l Leg
			for i, typ := range tt.typ {
				l.Fold(happened(call.Stringee, "c", typ, float64(i)), arrival, false)
			}
			if got := l.HoldsUntil(storyTimeouts); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

func TestOutOfOrderIsCounted(t *testing.T) {
	var l Leg
	for _, s := range []float64{1, 5, 3, 5, 4} {
		l.Fold(happened(call.Opentact, "c", call.EventDTMF, s), 0, false)
	}
	if l.OutOfOrder != 2 {
		t.Errorf("%d out of order, want the two that are older than the newest", l.OutOfOrder)
	}
}

func BenchmarkFold(b *testing.B) {
	events := answeredDial()
	events = []*call.Event{events[2], events[3], events[4], events[5]}
	for _, e := range events {
		e.Account, e.Tenant = "58699aff-0000-46b6-b428-000000000000", "tenant"
	}
	b.ReportAllocs()
	i := 0
	var l Leg
	for b.Loop() {
		if i == len(events) {
			i, l = 0, Leg{}
		}
		l.Fold(events[i], 1, false)
		i++
	}
}
