package simulator

import "testing"

// told completes the truth of a call of one leg from its messages, which arrive
// 40 ms after what they tell.
func told(l *leg, messages ...message) *Truth {
	c := &call{truth: Truth{Tenant: "t", Provider: "sonetel"}, legs: []*leg{l}, messages: messages}
	for i := range c.messages {
		m := &c.messages[i]
		m.leg, m.anchors, m.arrival = l, []*leg{l}, m.at+40
	}
	c.arrive()
	c.tell()
	return &c.truth
}

// A user's miss ends a call of which nothing more is told, and none that somebody
// answered. Where it or the answer was lost, nobody knows.
func TestAMissEndsACallThatNobodyAnswers(t *testing.T) {
	const start, missed, answered, ended = 1_000_000, 1_010_000, 1_011_000, 1_020_000
	for _, tt := range []struct {
		name         string
		answer, end  bool
		lost         kind // of the messages that never arrive; tellsEnd for none
		close        string
		endedAt      int64
		namesClosing bool
	}{
		{"missed, and silence", false, false, tellsEnd, "NORMAL", missed + 40, true},
		{"missed and hung up", false, true, tellsEnd, "NORMAL", ended + 40, true},
		{"missed by one, answered by another, and silence", true, false, tellsEnd, "TIMEOUT", answered + 40, true},
		{"the answer is lost", true, false, tellsAnswer, "TIMEOUT", 0, false},
		{"the miss is lost", false, false, tellsExtra, "NORMAL", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &leg{id: "pbx.1", started: moment{start, "REPORTED"}, missed: planned(missed)}
			messages := []message{
				{at: start, kind: tellsStart, ingest: true, shows: []*moment{&l.started}},
				{at: missed, kind: tellsExtra, ingest: true, shows: []*moment{&l.missed}, clock: &l.missed, lost: tt.lost == tellsExtra},
			}
			if tt.answer {
				l.answered = planned(answered)
				messages = append(messages, message{
					at: answered, kind: tellsAnswer, ingest: true, shows: []*moment{&l.answered}, clock: &l.answered, lost: tt.lost == tellsAnswer,
				})
			}
			if tt.end {
				l.ended = planned(ended)
				messages = append(messages, message{at: ended, kind: tellsEnd, ingest: true, shows: []*moment{&l.ended}, clock: &l.ended})
			}
			tr := told(l, messages...)
			if named := tr.Names(CloseReason); named != tt.namesClosing {
				t.Fatalf("names how the call closed: %v", named)
			}
			if tt.namesClosing && (tr.CloseReason != tt.close || tr.Ended.at != tt.endedAt) {
				t.Errorf("closed %s at %d, want %s at %d", tr.CloseReason, tr.Ended.at, tt.close, tt.endedAt)
			}
		})
	}
}

// Whoever has the call cannot be the one to whom it is passed on.
func TestATransferGoesToAnotherAgent(t *testing.T) {
	f := &feed{draw: newDraw(1, callStream), call: &call{truth: Truth{Direction: "INBOUND"}}}
	s := &stringeeFeed{feed: f}
	for range 10_000 { // of 400 users, the same one is drawn 25 times
		holder := s.to.number
		if s.anotherAgent(); s.to.number == holder {
			t.Fatalf("%s passed the call to himself", holder)
		}
	}
}

// The post about a connection that failed has no time of its own, so that it was
// alive then is known from its arrival.
func TestTheLastSignOfAFailedConnectionIsItsArrival(t *testing.T) {
	l := &leg{id: "call-1"}
	f := &feed{draw: newDraw(1, callStream), call: &call{legs: []*leg{l}}, tenant: &tenant{}}
	s := &stringeeFeed{feed: f, leg: l}
	s.connectFailed(1_000_000)
	s.messages[0].arrival = 1_000_041
	if last := s.lastSign(); last != 1_000_041 {
		t.Errorf("last sign of life %d", last)
	}
}
