package leg

import (
	"testing"

	"pgregory.net/rapid"

	"callstitch/processor/call"
	"callstitch/processor/call/calltest"
)

const day = 86_400

// told is a leg of which events of these types and times, in seconds, were heard.
func told(l Leg, src call.Evidence, events map[call.EventType]float64) *Leg {
	for typ, s := range events {
		addMoment(&l.Moments, Moment{At: second(s), id: uint32(typ), Type: typ, Src: src})
		l.FirstEvent = Earlier(l.FirstEvent, second(s))
	}
	l.marks |= hungUp
	if l.answer.Known() {
		l.marks |= connected
	}
	l.Earliest = l.FirstEvent
	for _, i := range l.instants() {
		if i.Known() {
			l.Earliest = Earlier(l.Earliest, i.At)
		}
	}
	return &l
}

// TestStatementsThatCannotBe: of instants that contradict each other the one is given
// up that most statements contradict, and the event that tells of it stands for it.
func TestStatementsThatCannotBe(t *testing.T) {
	at := instant
	events := map[call.EventType]float64{call.EventCallInitiated: 0.1, call.EventCallAnswered: 5.1, call.EventCallEnded: 60.1}
	silent := map[call.EventType]float64{call.EventDTMF: 7}
	const reported, event = call.EvidenceReported, call.EvidenceEvent
	var none call.Instant
	for _, tt := range []struct {
		name                                string
		events                              map[call.EventType]float64
		started, ringing, answer, end       call.Instant
		wantStart, wantRing, wantAnswer, to call.Instant
		skew, withheld                      bool
	}{
		{"all in order", events, at(reported, 0), at(reported, 2), at(reported, 5), at(reported, 60), at(reported, 0), at(reported, 2), at(reported, 5), at(reported, 60), false, false},
		{"answered weeks ago", events, at(reported, 0), none, at(reported, -40*day), at(reported, 60), at(reported, 0), none, at(event, 5.1), at(reported, 60), true, false},
		{"… of which no event tells", silent, at(reported, 0), none, at(reported, -40*day), at(reported, 60), at(reported, 0), none, none, at(reported, 60), true, true},
		{"answered the day after", silent, at(reported, 0), none, at(reported, day), at(reported, 60), at(reported, 0), none, none, at(reported, 60), true, true},
		{"ended the day before", events, at(reported, 0), none, at(reported, 5), at(reported, -day), at(reported, 0), none, at(reported, 5), at(event, 60.1), true, false},
		{"began after all else", events, at(reported, 3600), none, at(reported, 5), at(reported, 60), at(event, 0.1), none, at(reported, 5), at(reported, 60), true, false},
		{"began a month before its answer", events, at(reported, -30*day), none, at(reported, 5), at(reported, 60), at(event, 0.1), none, at(reported, 5), at(reported, 60), true, false},
		{"rang after it was over", silent, at(reported, 0), at(reported, 7200), at(reported, 5), at(reported, 60), at(reported, 0), none, at(reported, 5), at(reported, 60), true, true},
		{"the next agent rings after an answer", silent, at(event, 0), at(event, 900), at(event, 5), at(event, 960), at(event, 0), at(event, 900), at(event, 5), at(event, 960), false, false},
		{"what hosts differ", events, at(reported, 0), none, at(reported, -0.2), at(reported, 60), at(reported, 0), none, at(reported, -0.2), at(reported, 60), false, false},
		{"five minutes are a clock", silent, at(reported, 0), none, at(reported, -300), at(reported, 60), at(reported, 0), none, at(reported, -300), at(reported, 60), true, false},
		{"a call of days", events, at(reported, 0), none, at(reported, 5), at(reported, 3*day), at(reported, 0), none, at(reported, 5), at(reported, 3*day), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := told(Leg{started: tt.started, ringing: tt.ringing, answer: tt.answer, hangup: tt.end}, event, tt.events)
			v := l.Life()
			if v.Started != tt.wantStart || v.Ringing != tt.wantRing || v.Answer != tt.wantAnswer || v.End != tt.to {
				t.Errorf("%+v", v)
			}
			if v.Remarks.Has(call.FlagClockSkew) != tt.skew || v.Withheld != tt.withheld {
				t.Errorf("remarks %v, withheld %v", v.Remarks.Words(), v.Withheld)
			}
			if first := l.First(); v.refuted && first < second(-3600) {
				t.Errorf("first %d, from what is not believed", first)
			}
		})
	}
}

// TestLateArrivals: only a timely delivery tells when something happened.
func TestLateArrivals(t *testing.T) {
	const ingest, derived = call.EvidenceIngest, call.EvidenceDerived
	whole := func(s float64) call.Instant { return call.Instant{At: second(s), Src: derived, Precision: 1000} }
	at := func(s float64) call.Instant { return instant(ingest, s) }
	var none call.Instant
	for _, tt := range []struct {
		name               string
		setUp, answer, end float64 // when heard; 0: not
		claim              int64   // -1: none
		wantAnswer, to     call.Instant
		withheld           bool
	}{
		{"in time", 0.3, 6, 66, 66, at(6), at(66), false},
		{"ten seconds are none", 10, 16, 76, 60, at(16), at(76), false},
		{"all at once", 320, 320.001, 320.002, 300, none, whole(300), true},
		{"all at once when the claim ends", 320, 320.001, 320.002, 320, none, at(320.002), true},
		{"all at once without a claim", 320, 320.001, 320.002, -1, none, none, true},
		{"a claim longer than the delivery allows", 320, 320.001, 320.002, 400, none, none, true},
		{"evenly late", 1200.3, 1206.3, 1266.3, 66, whole(6), whole(66), false},
		{"evenly late, and the claim is of the talk", 1200.3, 1206.3, 1266.3, 60, whole(6), whole(66), false},
		{"a moment too late to be even", 1200.3, 1206.3, 1268.4, 66, none, whole(66), true},
		{"the answer and the end", 0.3, 400, 400.001, 95, none, whole(95), true},
		{"the end", 0.3, 9, 510, 80, at(9), whole(80), false},
		{"the end, and the claim is of the talk", 0.3, 50, 510, 20, at(50), whole(70), false},
		{"the claim is of the talk", 0.3, 30, 90, 60, at(30), at(90), false},
		{"set-up not heard, all at once", 0, 400, 400.001, 95, none, whole(95), true},
		{"unanswered, and the claim is of no talk", 0.3, 0, 25, 0, none, at(25), false},
		{"unanswered, a minute of ringing is no delay", 0.3, 0, 60, 1, none, at(60), false},
		{"the answer came with the end after minutes", 0.3, 300.001, 300.002, 300, none, at(300.002), true},
		{"a short talk", 0.3, 20, 20.4, 20, at(20), at(20.4), false},
		{"the last of two copies", 0.3, 6, 66, -1, at(6), at(66), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := Leg{started: call.Instant{At: second(0), Src: call.EvidenceReported, Precision: 1000}, hangup: at(tt.end)}
			events := map[call.EventType]float64{call.EventCallEnded: tt.end}
			if tt.setUp != 0 {
				events[call.EventCallInitiated] = tt.setUp
			}
			if tt.answer != 0 {
				events[call.EventCallAnswered], l.answer = tt.answer, at(tt.answer)
			}
			if tt.claim >= 0 {
				l.Duration = Pick[int64]{by: precedence{standing: dated}, Value: tt.claim}
			}
			v := told(l, ingest, events).Life()
			if v.Answer != tt.wantAnswer || v.End != tt.to || v.Withheld != tt.withheld {
				t.Errorf("answer %+v, end %+v, withheld %v", v.Answer, v.End, v.Withheld)
			}
			if late := v.Answer != l.answer || v.End != l.hangup; late != v.Remarks.Has(call.FlagTimesInferred) {
				t.Errorf("remarks %v", v.Remarks.Words())
			}
		})
	}
}

// What is believed never contradicts itself.
func TestWhatIsBelievedCanBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newLegBook()
		for _, e := range calltest.Disturbed(t, calltest.DrawStory(t)) {
			b.take(e)
		}
		for _, l := range b.legs {
			v := l.Life()
			if l.contradictory(v.stages()) {
				t.Fatalf("%+v", v)
			}
		}
	})
}

// TestAnsweredSometime: an answer whose time cannot be was one, and moves no instant; a
// statement of when stands, whichever came first.
func TestAnsweredSometime(t *testing.T) {
	var l, before, after Leg
	none, at := call.Instant{}, instant(call.EvidenceDerived, 5)
	l.mergeInstants(none, none, call.Sometime())
	before.mergeInstants(none, none, at)
	before.mergeInstants(none, none, call.Sometime())
	after.mergeInstants(none, none, call.Sometime())
	after.mergeInstants(none, none, at)
	if !l.Answered() || l.answer.Known() || l.Earliest.Known() {
		t.Errorf("answered %v at %+v, earliest %d", l.Answered(), l.answer, l.Earliest)
	}
	if before.answer != at || after.answer != at || after.Earliest != at.At {
		t.Errorf("answered at %+v and %+v, want %+v", before.answer, after.answer, at)
	}
}
