package decode

import (
	"math/rand/v2"
	"testing"

	"callstitch/processor/call"
)

// disconnect is a Bandwidth event of 10 March 2026 with the given members.
func disconnect(t *testing.T, members string) *call.Event {
	t.Helper()
	return event(t, []byte(`{"eventType":"disconnect","callId":"c-1","direction":"outbound",`+members+`}`))
}

// TestImpossibleStatements: of statements that contradict each other the one is
// dropped that most others rule out, else the one furthest from when it was told.
func TestImpossibleStatements(t *testing.T) {
	const (
		told    = `"eventTime":"2026-03-10T10:00:31.050Z"`
		start   = `"startTime":"2026-03-10T10:00:00.000Z"`
		answer  = `"answerTime":"2026-03-10T10:00:03.000Z"`
		end     = `"endTime":"2026-03-10T10:00:31.000Z"`
		started = call.Time(1773136800000)
	)
	reported := func(after call.Time) call.Instant { return at(started+after, call.EvidenceReported, 1) }
	startedAt, answeredAt, endedAt := reported(0), reported(3000), reported(31_000)
	toldAt := at(started+31_050, call.EvidenceEvent, 1)
	for _, tt := range []struct {
		name, members            string
		skew                     bool
		started, answered, ended call.Instant
	}{
		{"nothing wrong", told + `,` + start + `,` + answer + `,` + end, false, startedAt, answeredAt, endedAt},
		{"answered weeks before the start", told + `,` + start + `,"answerTime":"2026-01-28T15:54:25.432Z",` + end, true, startedAt, call.Sometime(), endedAt},
		{"answered the day after", told + `,` + start + `,"answerTime":"2026-03-11T10:00:03.000Z",` + end, true, startedAt, call.Sometime(), endedAt},
		{"ended the day before", told + `,` + start + `,` + answer + `,"endTime":"2026-03-09T10:00:31.000Z"`, true, startedAt, answeredAt, toldAt},
		{"ends in a year", told + `,` + start + `,` + answer + `,"endTime":"2027-03-10T10:00:31.000Z"`, true, startedAt, answeredAt, toldAt},
		{"starts after it was over", told + `,"startTime":"2026-03-10T11:00:00.000Z",` + answer + `,` + end, true, call.Instant{}, answeredAt, endedAt},
		{"queued a day after the start", told + `,` + start + `,` + end + `,"enqueuedTime":"2026-03-11T09:00:00.000Z"`, true, startedAt, call.Instant{}, endedAt},
		{"told before all of it", `"eventTime":"2026-02-01T10:00:31.050Z",` + start + `,` + answer + `,` + end, true, startedAt, answeredAt, endedAt},
		{"started a month before the answer", told + `,"startTime":"2026-02-08T10:00:00.000Z",` + answer + `,` + end, true, call.Instant{}, answeredAt, endedAt},
		{"two hours of a zone", told + `,` + start + `,"answerTime":"2026-03-10T12:00:03.000",` + end, true, startedAt, call.Sometime(), endedAt},
		{"five minutes are a clock", told + `,` + start + `,"answerTime":"2026-03-10T09:55:00.000Z",` + end, false, startedAt, reported(-300_000), endedAt},
		{"a moment more is not", told + `,` + start + `,"answerTime":"2026-03-10T09:54:59.999Z",` + end, true, startedAt, call.Sometime(), endedAt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := disconnect(t, tt.members)
			equal(t, "CLOCK_SKEW", e.Flags.Has(call.FlagClockSkew), tt.skew)
			equal(t, "started", e.Started, tt.started)
			equal(t, "answered", e.Answered, tt.answered)
			equal(t, "ended", e.Ended, tt.ended)
			equal(t, "queued", e.QueuedAt, 0)
		})
	}
}

// TestEventToldAtNoTime: an event whose own time the others rule out has none.
func TestEventToldAtNoTime(t *testing.T) {
	e := disconnect(t, `"eventTime":"2026-02-01T10:00:31.050Z","startTime":"2026-03-10T10:00:00.000Z","answerTime":"2026-03-10T10:00:03.000Z"`)
	equal(t, "time", e.Time, at(kafkaTimestamp, call.EvidenceIngest, 1))
	equal(t, "ended", e.Ended, e.Time)
	equal(t, "told", e.ReportedAt, 0)
	equal(t, "flags", e.Flags, call.FlagClockSkew|call.FlagNoEventTime)
}

// TestImpossibleSubject: where an Opentact event is about the instant that the rest
// rules out, the message's own time stands for it.
func TestImpossibleSubject(t *testing.T) {
	e := event(t, []byte(`{"type":"call_state","uuid":"e-1","created_on":"2026-03-10T10:00:05.100Z","payload":{"state":"live"},
		"call":{"uuid":"leg-1","created_on":"2026-03-10T10:00:00.000Z","answer_on":"2026-01-28T10:00:05.000Z",
		"parent":{"uuid":"leg-0","created_on":"2026-03-10T09:59:59.000Z","answer_on":"2026-01-28T10:00:05.000Z","hangup_on":"2026-04-01T00:00:00.000Z","modified_on":"2026-04-01T00:00:00.000Z"}}}`))
	told := at(1773136805100, call.EvidenceEvent, 1)
	equal(t, "time", e.Time, told)
	equal(t, "answered", e.Answered, told)
	equal(t, "copy's start", e.Snapshot.Started.At, 1773136799000)
	equal(t, "copy's answer", e.Snapshot.Answered, call.Instant{})
	equal(t, "copy's end", e.Snapshot.Ended, call.Instant{})
	equal(t, "copy's life", e.Snapshot.Alive, call.Instant{})
	equal(t, "flags", e.Flags, call.FlagClockSkew)
}

// TestTalkLongerThanTheCall: an answer computed from a duration that the other one
// rules out is none.
func TestTalkLongerThanTheCall(t *testing.T) {
	e := event(t, []byte(`{"call_status":"ended","call_id":"call-1","timestamp_ms":1773136842000,"duration":42,"answerDuration":4200}`))
	equal(t, "answered", e.Answered, call.Sometime())
	equal(t, "started", e.Started, at(1773136800000, call.EvidenceDerived, 1000))
	equal(t, "flags", e.Flags, call.FlagClockSkew)
}

// TestImpossibleEndsInPeace: whatever is stated, what remains contradicts nothing, no
// more is given up than was in contradiction, and what agrees is left alone.
func TestImpossibleEndsInPeace(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		var l life
		for i := range l {
			if rng.IntN(4) > 0 {
				l[i] = 1773136800000 + call.Time(rng.Int64N(10*int64(call.Impossible))) - 5*call.Impossible
			}
		}
		witness := l[stageTold]
		for i := l.impossible(witness); i >= 0; i = l.impossible(witness) {
			if !l[i].Known() {
				t.Fatalf("%v: gave up stage %d, which is not stated", l, i)
			}
			l[i] = 0
		}
		for i := range l {
			for j := range i {
				if l.contradicts(i, j) {
					t.Fatalf("%v: stages %d and %d contradict each other still", l, j, i)
				}
			}
		}
	}
}
