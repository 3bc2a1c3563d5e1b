package decode

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
)

// edited is a fixture with some values replaced, by path; a nil deletes.
func edited(t testing.TB, file string, edits map[string]any) []byte {
	t.Helper()
	doc := parsed(t, fixture(t, file))
	for path, v := range edits {
		object := doc.(map[string]any)
		names := strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			object = object[name].(map[string]any)
		}
		if last := names[len(names)-1]; v == nil {
			delete(object, last)
		} else {
			object[last] = v
		}
	}
	return encoded(t, doc)
}

// event decodes what must be one event.
func event(t testing.TB, raw []byte) *call.Event {
	t.Helper()
	r := decodeChecked(t, Settings{}, Input{Value: raw, Timestamp: kafkaTimestamp})
	if len(r.Events) != 1 {
		t.Fatalf("%s, want one event: %+v", outcome(r), r.Reject)
	}
	return r.Events[0]
}

// quirk is one oddity of a provider: a fixture, edited, and what must come out.
type quirk struct {
	name  string
	file  string
	edits map[string]any
	want  string // outcome
	check func(*testing.T, *call.Event)
}

func runQuirks(t *testing.T, quirks []quirk) {
	for _, q := range quirks {
		t.Run(q.name, func(t *testing.T) {
			r := decodeChecked(t, Settings{}, Input{Value: edited(t, q.file, q.edits), Timestamp: kafkaTimestamp})
			if got := outcome(r); q.want != "" && got != q.want {
				t.Fatalf("%s, want %s", got, q.want)
			}
			if q.check != nil {
				if len(r.Events) == 0 {
					t.Fatalf("no event: %s", outcome(r))
				}
				q.check(t, r.Events[0])
			}
		})
	}
}

func at(ms call.Time, src call.Evidence, precision int32) call.Instant {
	return call.Instant{At: ms, Src: src, Precision: precision}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestOpentactQuirks(t *testing.T) {
	const hangupOn, createdOn = 1_708_447_297_088, 1_708_447_297_228
	runQuirks(t, []quirk{
		{
			name: "hangup without hangup_on", file: "opentact/hangup.json",
			edits: map[string]any{"call.hangup_on": nil},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "time", e.Time, at(createdOn, call.EvidenceEvent, 1))
				equal(t, "ended", e.Ended, at(createdOn, call.EvidenceEvent, 1))
			},
		},
		{
			name: "init without the call's creation", file: "opentact/init.json",
			edits: map[string]any{"call.created_on": nil},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "started", e.Started, at(1_708_447_294_874, call.EvidenceReported, 1))
			},
		},
		{
			name: "hangup_on that cannot be read", file: "opentact/hangup.json",
			edits: map[string]any{"call.hangup_on": "yesterday"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "ended", e.Ended, at(createdOn, call.EvidenceEvent, 1))
				equal(t, "flags", e.Flags, call.FlagBadInstant)
			},
		},
		{
			name: "no time but Kafka's", file: "opentact/live.json",
			edits: map[string]any{"call.answer_on": nil, "created_on": nil},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "answered", e.Answered, at(kafkaTimestamp, call.EvidenceIngest, 1))
				equal(t, "flags", e.Flags, call.FlagNoEventTime)
			},
		},
		{name: "hangup in 1970", file: "opentact/hangup.json", edits: map[string]any{"call.hangup_on": "1970-01-01T00:00:00.000Z"}, want: "BAD_TIMESTAMP"},
		{name: "made in 2100", file: "opentact/hangup.json", edits: map[string]any{"created_on": "2100-01-01T00:00:00.000Z"}, want: "BAD_TIMESTAMP"},
		{
			name: "the call began in 1970", file: "opentact/hangup.json",
			edits: map[string]any{"call.created_on": "1970-01-01T00:00:00.000Z"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "started", e.Started, call.Instant{})
				equal(t, "flags", e.Flags, call.FlagBadInstant)
			},
		},
		{
			name: "destroyed is the only end", file: "opentact/destroyed.json",
			check: func(t *testing.T, e *call.Event) {
				equal(t, "ended", e.Ended, at(1_708_447_304_718, call.EvidenceReported, 1))
			},
		},
		{
			name: "destroyed with the hangup before it", file: "opentact/destroyed.json",
			edits: map[string]any{"call.hangup_on": "2024-02-20T16:41:44.700Z"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "ended", e.Ended, at(1_708_447_304_700, call.EvidenceReported, 1))
				equal(t, "time", e.Time, at(1_708_447_304_718, call.EvidenceReported, 1))
			},
		},
		{
			name: "destroyed before it hung up", file: "opentact/destroyed.json",
			edits: map[string]any{"call.hangup_on": "2024-02-20T16:41:44.800Z"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "ended", e.Ended, at(1_708_447_304_718, call.EvidenceReported, 1))
			},
		},
		{
			name: "the payload's duration is not the call's", file: "opentact/hangup.json",
			edits: map[string]any{"payload.duration": json.Number("3")},
			check: func(t *testing.T, e *call.Event) { equal(t, "duration", e.ProviderDuration, call.Some(1)) },
		},
		{
			// The application of an outbound call has the same auto_answer, and
			// it is not the one who answers it.
			name: "auto_answer on an outbound call", file: "opentact/live.json",
			edits: map[string]any{"call.direction": "out"},
			check: func(t *testing.T, e *call.Event) { equal(t, "platform answer", e.PlatformAnswer, false) },
		},
		{
			name: "no auto_answer", file: "opentact/live.json",
			edits: map[string]any{"call.sip_control_app.auto_answer": false},
			check: func(t *testing.T, e *call.Event) { equal(t, "platform answer", e.PlatformAnswer, false) },
		},
		{
			name: "a cause of FreeSWITCH's own", file: "opentact/hangup.json",
			edits: map[string]any{"call.q850_cause": json.Number("806"), "call.q850_cause_string": "USER_NOT_REGISTERED"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "q850", e.Q850, call.Code{})
				equal(t, "code", e.ProviderCauseCode, "806")
				equal(t, "cause", e.HangupCause, call.CauseUnreachable)
			},
		},
		{
			name: "a cause by name only", file: "opentact/hangup.json",
			edits: map[string]any{"call.q850_cause": nil, "call.q850_cause_string": "USER_BUSY"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "q850", e.Q850, call.Code{N: 17, Src: call.CodeMapped})
				equal(t, "cause", e.HangupCause, call.CauseBusy)
			},
		},
		{
			name: "an unknown state that names an end", file: "opentact/hangup.json",
			edits: map[string]any{"payload.state": "parked"},
			want:  "opentact UNKNOWN",
			check: func(t *testing.T, e *call.Event) { equal(t, "ended", e.Ended, call.Instant{}) },
		},
		{name: "a state that is a number", file: "opentact/hangup.json", edits: map[string]any{"payload.state": json.Number("1")}, want: "BAD_FIELD"},
		{name: "no state in the payload", file: "opentact/hangup.json", edits: map[string]any{"payload.state": nil}, want: "opentact CALL_ENDED"},
		{name: "no state at all", file: "opentact/hangup.json", edits: map[string]any{"payload.state": nil, "call.state": nil}, want: "opentact UNKNOWN"},
		{name: "no call id", file: "opentact/hangup.json", edits: map[string]any{"call.uuid": nil}, want: "MISSING_CALL_ID"},
		{name: "the nil call id", file: "opentact/hangup.json", edits: map[string]any{"call.uuid": "00000000-0000-0000-0000-000000000000"}, want: "MISSING_CALL_ID"},
		{name: "a call id that is a number", file: "opentact/hangup.json", edits: map[string]any{"call.uuid": json.Number("7")}, want: "BAD_FIELD"},
		{name: "an unknown type about a call", file: "opentact/hangup.json", edits: map[string]any{"type": "call_hold"}, want: "opentact UNKNOWN"},
		{name: "an unknown type about none", file: "opentact/hangup.json", edits: map[string]any{"type": "fax", "call": nil}, want: "ignored opentact/other"},
		{name: "a feed that is not about calls", file: "opentact/hangup.json", edits: map[string]any{"type": "tn_order"}, want: "ignored opentact/tn_order"},
		{name: "a recording of no call", file: "opentact/call_record.json", edits: map[string]any{"call": nil}, want: "ignored opentact/call_record"},
		{
			name: "a recording that names the call itself", file: "opentact/call_record.json",
			edits: map[string]any{"call": nil, "call_record.call": map[string]any{"uuid": "a-1"}},
			check: func(t *testing.T, e *call.Event) { equal(t, "call id", e.CallID, "a-1") },
		},
		{
			name: "a nil parent", file: "opentact/hangup.json",
			edits: map[string]any{"call.parent.uuid": "00000000-0000-0000-0000-000000000000"},
			check: func(t *testing.T, e *call.Event) {
				if e.ParentCallID != "" || e.Links != nil || e.Snapshot != nil {
					t.Errorf("linked by the nil uuid: %+v", e)
				}
			},
		},
		{
			name: "a parent that is itself", file: "opentact/hangup.json",
			edits: map[string]any{"call.parent.uuid": "1c7091a5-ba1f-46a2-bf06-b1137cb6b683"},
			check: func(t *testing.T, e *call.Event) { equal(t, "links", len(e.Links), 0) },
		},
		{
			name: "an Answer that failed", file: "opentact/v2022_answer.json",
			edits: map[string]any{"payload.command.success": false},
			want:  "opentact CALL_UPDATED",
			check: func(t *testing.T, e *call.Event) { equal(t, "answered", e.Answered, call.Instant{}) },
		},
		{
			name: "an Answer of the newer generation", file: "opentact/call_flow_dial.json",
			edits: map[string]any{"call_flow.name": "Answer", "call_flow.success": true},
			want:  "opentact CALL_ANSWERED",
			check: func(t *testing.T, e *call.Event) { equal(t, "platform answer", e.PlatformAnswer, true) },
		},
		{
			name: "a command without a body", file: "opentact/v2022_answer.json",
			edits: map[string]any{"payload.command": nil},
			check: func(t *testing.T, e *call.Event) { equal(t, "state", e.ProviderState, "Answer") },
		},
		{
			name: "a newer message without its uuid", file: "opentact/hangup.json",
			edits: map[string]any{"uuid": nil},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "kind", e.IDKind, call.IDSemantic)
				equal(t, "duration", e.ProviderDuration, call.Some(1))
			},
		},
		{
			name: "a duration of unknown unit", file: "opentact/v2022_hangup.json",
			check: func(t *testing.T, e *call.Event) { equal(t, "duration", e.ProviderDuration, call.Int{}) },
		},
	})
}

// TestOpentactOneNumberTwoSpellings: a child writes its parent's number without
// the plus.
func TestOpentactOneNumberTwoSpellings(t *testing.T) {
	e := event(t, fixture(t, "opentact/hangup.json"))
	if e.From.Raw == e.Snapshot.From.Raw || e.From.E164 == "" || e.From.E164 != e.Snapshot.From.E164 {
		t.Errorf("from %+v, of the parent %+v", e.From, e.Snapshot.From)
	}
}

func TestOpentactVoicemail(t *testing.T) {
	type step = map[string]any
	record := func(state string, success bool) step {
		return step{"name": "Record", "tag": "voicemail", "state": state, "success": success}
	}
	tone := step{"name": "Tone", "state": "success", "success": true}
	failed := step{"name": "Dial", "state": "failed", "success": false}
	reached := step{"name": "Dial", "state": "success", "success": true, "children": []any{record("success", true)}}
	for _, tt := range []struct {
		name string
		logs []any
		want bool
	}{
		{"no steps", nil, false},
		{"queued, and its beep was played", []any{failed, record("queued", false), tone}, true},
		{"queued, nobody was reached", []any{failed, record("queued", false)}, true},
		{"it ran", []any{record("success", true)}, true},
		{"it failed", []any{failed, record("failed", false)}, false},
		{"not tagged", []any{failed, step{"name": "Record", "state": "success", "success": true}}, false},
		{"somebody was reached", []any{reached, record("queued", false), step{"name": "Tone", "state": "queued"}}, false},
		{"somebody was reached, but then it ran", []any{reached, record("queued", false), tone}, true},
		{"only what a dial may do", []any{reached}, false},
		{"inside another step", []any{failed, step{"name": "Error", "children": []any{record("queued", false), tone}}}, true},
		{"junk", []any{nil, "Record", step{"name": "Record", "tag": []any{}}, []any{record("success", true)}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := edited(t, "opentact/destroyed.json", map[string]any{"call.logs": tt.logs, "call.records": nil})
			equal(t, "voicemail", event(t, raw).Voicemail, tt.want)
		})
	}
}

// TestOpentactRecordings: a message may list several recordings, an event tells
// of one.
func TestOpentactRecordings(t *testing.T) {
	r := decodeChecked(t, Settings{}, Input{Value: fixture(t, "opentact/destroyed.json")})
	var got []string
	ids := map[call.EventID]bool{}
	for _, e := range r.Events {
		got = append(got, e.Type.String()+" "+e.Recording.ID+" "+e.Recording.Status.String())
		ids[e.ID] = true
	}
	want := []string{
		"CALL_DESTROYED aaaaaaaa-0000-4000-8000-000000000001 AVAILABLE",
		"RECORDING_AVAILABLE aaaaaaaa-0000-4000-8000-000000000002 PENDING",
	}
	if diff := cmp.Diff(want, got); diff != "" || len(ids) != 2 {
		t.Errorf("%d ids, %s", len(ids), diff)
	}
}

func TestOpentactTooManyRecordings(t *testing.T) {
	records := make([]any, maxRecordings+1)
	for i := range records {
		records[i] = map[string]any{"uuid": strings.Repeat("r", i+1)}
	}
	raw := edited(t, "opentact/destroyed.json", map[string]any{"call.records": records})
	r := decodeChecked(t, Settings{}, Input{Value: raw})
	equal(t, "events", len(r.Events), maxRecordings)
}

func TestStringeeQuirks(t *testing.T) {
	runQuirks(t, []quirk{
		{
			name: "a status of tomorrow", file: "stringee/ringing.json", edits: map[string]any{"call_status": "hold"},
			want: "stringee UNKNOWN",
		},
		{name: "a status that is a number", file: "stringee/ringing.json", edits: map[string]any{"call_status": json.Number("3")}, want: "BAD_FIELD"},
		{name: "no call id", file: "stringee/ended.json", edits: map[string]any{"call_id": ""}, want: "MISSING_CALL_ID"},
		{name: "a long call id", file: "stringee/ended.json", edits: map[string]any{"call_id": strings.Repeat("x", 257)}, want: "BAD_FIELD"},
		{
			name: "seconds for milliseconds", file: "stringee/ended.json", edits: map[string]any{"timestamp_ms": json.Number("1538369461")},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "ended", e.Ended, at(1_538_369_461_000, call.EvidenceEvent, 1000))
				equal(t, "flags", e.Flags, call.Flags(0))
			},
		},
		{name: "seconds of 1999", file: "stringee/ended.json", edits: map[string]any{"timestamp_ms": json.Number("946684799")}, want: "BAD_TIMESTAMP"},
		{name: "a time beyond all", file: "stringee/ended.json", edits: map[string]any{"timestamp_ms": json.Number("1e30")}, want: "BAD_TIMESTAMP"},
		{
			name: "a time in words", file: "stringee/ended.json", edits: map[string]any{"timestamp_ms": "now"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "ended", e.Ended, at(kafkaTimestamp, call.EvidenceIngest, 1))
				equal(t, "started", e.Started, call.Instant{})
				equal(t, "flags", e.Flags, call.FlagBadInstant|call.FlagNoEventTime)
			},
		},
		{
			name: "the time as a string", file: "stringee/ended.json", edits: map[string]any{"timestamp_ms": "1538369461077"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "time", e.Time, at(1_538_369_461_077, call.EvidenceEvent, 1))
			},
		},
		{
			name: "durations as strings", file: "stringee/ended_answered.json",
			check: func(t *testing.T, e *call.Event) {
				equal(t, "answered", e.Answered, at(1_515_859_270_000, call.EvidenceDerived, 1000))
				equal(t, "started", e.Started, at(1_515_859_261_000, call.EvidenceDerived, 1000))
			},
		},
		{
			name: "durations that cannot be", file: "stringee/ended_answered.json",
			edits: map[string]any{"duration": json.Number("-1"), "answerDuration": json.Number("1e15")},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "started", e.Started, call.Instant{})
				equal(t, "answered", e.Answered, call.Instant{})
				equal(t, "duration", e.ProviderDuration, call.Int{})
			},
		},
		{
			name: "the caller gave up", file: "stringee/ended.json", edits: map[string]any{"endCallCause": "USER_END_CALL"},
			check: func(t *testing.T, e *call.Event) { equal(t, "cause", e.HangupCause, call.CauseCanceled) },
		},
		{
			name: "the caller ended, talk unknown", file: "stringee/ended.json",
			edits: map[string]any{"endCallCause": "USER_END_CALL", "answerDuration": nil},
			check: func(t *testing.T, e *call.Event) { equal(t, "cause", e.HangupCause, call.CauseNormal) },
		},
		{
			name: "it could not be made", file: "stringee/ended.json", edits: map[string]any{"endCallCause": "CAN_NOT_MAKE_CALL"},
			check: func(t *testing.T, e *call.Event) { equal(t, "cause", e.HangupCause, call.CauseFailed) },
		},
		{
			name: "too long", file: "stringee/ended_answered.json", edits: map[string]any{"endCallCause": "MAX_CONNECT_TIME"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "cause", e.HangupCause, call.CauseMaxDuration)
				equal(t, "party", e.HangupParty, call.HangupByPlatform)
			},
		},
		{
			name: "a cause of tomorrow", file: "stringee/ended.json", edits: map[string]any{"endCallCause": "4867 X"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "cause", e.HangupCause, call.CauseUnknown)
				equal(t, "sip", e.SIPStatus, call.Code{})
			},
		},
		{
			name: "a status without a reason phrase", file: "stringee/ended.json", edits: map[string]any{"endCallCause": "603"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "cause", e.HangupCause, call.CauseRejected)
				equal(t, "q850", e.Q850, call.Code{N: 21, Src: call.CodeMapped})
			},
		},
		{
			name: "both ends outside", file: "stringee/ended.json", edits: map[string]any{"from.type": "external", "callCreatedReason": nil},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "direction", e.Direction, call.DirectionUnknown)
				equal(t, "party", e.HangupParty, call.HangupByUnknown)
			},
		},
		{
			name: "it came from outside", file: "stringee/ended.json",
			edits: map[string]any{"from.type": "internal", "to.type": "internal", "callCreatedReason": "EXTERNAL_CALL_IN"},
			check: func(t *testing.T, e *call.Event) { equal(t, "direction", e.Direction, call.DirectionInbound) },
		},
		{
			name: "the server made it", file: "stringee/ended.json",
			edits: map[string]any{"from.type": nil, "callCreatedReason": "SERVER_CALL_OUT_BY_MAKE_CALL_TO_EXTERNAL_BEFORE"},
			check: func(t *testing.T, e *call.Event) { equal(t, "direction", e.Direction, call.DirectionOutbound) },
		},
		{
			name: "a national number", file: "stringee/ended.json", edits: map[string]any{"to.number": "0555015668"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "to", e.To, call.Party{Raw: "0555015668", Kind: call.PartyPSTN})
			},
		},
		{
			name: "a recording without a URL", file: "stringee/recording.json", edits: map[string]any{"recording_url": json.Number("1")},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "id", e.Recording.ID, "call-vn-1-ZD3IDIXS1J-1515820305477/1515859270000")
				equal(t, "url", e.Recording.URL, "")
			},
		},
		{
			name: "a recording without an end", file: "stringee/recording.json", edits: map[string]any{"end_time": nil},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "time", e.Time, at(1_515_859_270_000, call.EvidenceEvent, 1))
				equal(t, "duration", e.Recording.DurationMS, call.Int{})
			},
		},
		{
			name: "a recording without times", file: "stringee/recording.json", edits: map[string]any{"end_time": nil, "start_time": nil},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "time", e.Time, at(kafkaTimestamp, call.EvidenceIngest, 1))
			},
		},
		{name: "a key without a call", file: "stringee/dtmf.json", edits: map[string]any{"call_id": json.Number("1")}, want: "BAD_FIELD"},
	})
}

func TestStringeeOthers(t *testing.T) {
	s := Settings{Provider: call.Stringee}
	for value, want := range map[string]string{
		`{"action":"GetIVRRouting","calls":[{"call_id":"x"}]}`: "ignored stringee/routing",
		`{"type":"sms","text":"x"}`:                            "ignored stringee/other",
		`{"type":"x","call_id":"call-1"}`:                      "stringee UNKNOWN",
		`{"call_id":"call-1"}`:                                 "stringee UNKNOWN",
		`{}`:                                                   "MISSING_CALL_ID",
	} {
		if got := outcome(decodeChecked(t, s, Input{Value: []byte(value)})); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}

func TestSonetelQuirks(t *testing.T) {
	runQuirks(t, []quirk{
		{
			name: "the date is the start, not the event", file: "sonetel/hungup.json",
			check: func(t *testing.T, e *call.Event) {
				equal(t, "started", e.Started, at(1_610_035_227_000, call.EvidenceReported, 1000))
				equal(t, "time", e.Time, at(kafkaTimestamp, call.EvidenceIngest, 1))
				equal(t, "ended", e.Ended, at(kafkaTimestamp, call.EvidenceIngest, 1))
			},
		},
		{
			name: "a date with a fraction and a zone", file: "sonetel/new.json", edits: map[string]any{"notification.date": "2021-01-07T16:00:27.500Z"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "started", e.Started, at(1_610_035_227_500, call.EvidenceReported, 1))
				equal(t, "flags", e.Flags, call.FlagNoEventTime)
			},
		},
		{
			name: "a date of 1970", file: "sonetel/new.json", edits: map[string]any{"notification.date": "1970-01-01 00:00:00"},
			want: "sonetel CALL_INITIATED",
			check: func(t *testing.T, e *call.Event) {
				equal(t, "started", e.Started, at(kafkaTimestamp, call.EvidenceIngest, 1))
				equal(t, "flags", e.Flags, call.FlagNoEventTime|call.FlagBadInstant)
			},
		},
		{
			name: "the duration as a number", file: "sonetel/hungup.json", edits: map[string]any{"notification.duration": json.Number("42")},
			check: func(t *testing.T, e *call.Event) { equal(t, "duration", e.ProviderDuration, call.Some(42)) },
		},
		{
			name: "one flow on both sides", file: "sonetel/new.json", edits: map[string]any{"notification.calleeFlowId": "f-1"},
			check: func(t *testing.T, e *call.Event) {
				if diff := cmp.Diff([]call.Link{{Kind: call.LinkFlow, Value: "f-1"}}, e.Links); diff != "" {
					t.Error(diff)
				}
			},
		},
		{
			name: "no user at all", file: "sonetel/new.json", edits: map[string]any{"notification.calleeUser": ""},
			check: func(t *testing.T, e *call.Event) { equal(t, "direction", e.Direction, call.DirectionUnknown) },
		},
		{
			name: "a user without a number", file: "sonetel/new.json", edits: map[string]any{"notification.calleePhoneNumber": nil},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "to", e.To, call.Party{Raw: "1650938", Kind: call.PartyUser})
			},
		},
		{name: "a test frame", file: "sonetel/new.json", edits: map[string]any{"messageType": "test"}, want: "ignored sonetel/test"},
		{name: "a subscription", file: "sonetel/new.json", edits: map[string]any{"messageType": "notificationRequest"}, want: "ignored sonetel/subscription"},
		{name: "a wallboard", file: "sonetel/new.json", edits: map[string]any{"notificationType": "wallboardEvent"}, want: "ignored sonetel/wallboardEvent"},
		{name: "a type of tomorrow about a call", file: "sonetel/new.json", edits: map[string]any{"notificationType": "x"}, want: "sonetel UNKNOWN"},
		{name: "a type of tomorrow about none", file: "sonetel/new.json", edits: map[string]any{"notificationType": "x", "notification": []any{}}, want: "ignored sonetel/other"},
		{name: "a transfer of no call", file: "sonetel/transferred.json", edits: map[string]any{"notification.callId": nil}, want: "ignored sonetel/other"},
		{name: "a notification that is text", file: "sonetel/new.json", edits: map[string]any{"notification": "x"}, want: "BAD_FIELD"},
		{name: "a call id that is a number", file: "sonetel/new.json", edits: map[string]any{"notification.callId": json.Number("1610035217.1460")}, want: "BAD_FIELD"},
		{name: "no call id", file: "sonetel/missed.json", edits: map[string]any{"notification.callId": nil}, want: "MISSING_CALL_ID"},
	})
}

func TestSonetelWithoutType(t *testing.T) {
	s := Settings{Provider: call.Sonetel}
	for value, want := range map[string]string{
		`{"callId":"1.1"}`: "BAD_FIELD",
		`{}`:               "MISSING_CALL_ID",
	} {
		if got := outcome(decodeChecked(t, s, Input{Value: []byte(value)})); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}

// TestSonetelWithoutKafka: in a raw file nothing tells when it happened.
func TestSonetelWithoutKafka(t *testing.T) {
	e := decodeChecked(t, Settings{}, Input{Value: fixture(t, "sonetel/hungup.json")}).Events[0]
	if e.Time.Known() || e.Ended.Known() || e.IngestedAt != 0 || !e.Flags.Has(call.FlagNoEventTime) {
		t.Errorf("time %+v, ended %+v", e.Time, e.Ended)
	}
}

func TestBandwidthQuirks(t *testing.T) {
	runQuirks(t, []quirk{
		{
			name: "a recording's start is not the call's", file: "bandwidth/recording_available.json",
			check: func(t *testing.T, e *call.Event) {
				equal(t, "started", e.Started, call.Instant{})
				equal(t, "recording", e.Recording.StartedAt, 1_651_690_415_716)
			},
		},
		{
			name: "initiate without a start", file: "bandwidth/initiate.json", edits: map[string]any{"startTime": nil},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "started", e.Started, at(1_651_690_381_832, call.EvidenceEvent, 1))
			},
		},
		{
			name: "a tag too long to link by", file: "bandwidth/answer.json", edits: map[string]any{"tag": strings.Repeat("x", maxText+1)},
			check: func(t *testing.T, e *call.Event) { equal(t, "attributes", len(e.Attributes), 0) },
		},
		{
			name: "nanoseconds", file: "bandwidth/transcription.json",
			check: func(t *testing.T, e *call.Event) {
				equal(t, "time", e.Time, at(1_651_690_480_208, call.EvidenceEvent, 1))
			},
		},
		{
			name: "an inbound call counts as answered by the platform", file: "bandwidth/disconnect_inbound.json",
			check: func(t *testing.T, e *call.Event) {
				equal(t, "platform answer", e.PlatformAnswer, true)
				equal(t, "answered", e.Answered, at(1_651_690_385_360, call.EvidenceReported, 1))
			},
		},
		{
			name: "a transfer's leg has the numbers of the transfer", file: "bandwidth/transfer_disconnect.json",
			check: func(t *testing.T, e *call.Event) {
				equal(t, "from", e.From.E164, "+15550105555")
				equal(t, "to", e.To.Raw, "sip:agent@example.com")
				equal(t, "account", e.Account, "55555555")
			},
		},
		{
			name: "a transfer without its caller id", file: "bandwidth/transfer_answer.json", edits: map[string]any{"transferCallerId": nil},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "from", e.From.E164, "+15550101111")
				equal(t, "to", e.To.E164, "+15550106666")
			},
		},
		{
			name: "a failed bridge that names a transfer", file: "bandwidth/bridge_complete.json", edits: map[string]any{"transferTo": "+15550106666"},
			check: func(t *testing.T, e *call.Event) { equal(t, "to", e.To.E164, "+15550102222") },
		},
		{
			name: "the transferred leg keeps its numbers", file: "bandwidth/transfer_complete.json",
			check: func(t *testing.T, e *call.Event) {
				equal(t, "to", e.To.E164, "+15550102222")
				equal(t, "target", e.TransferTarget, "+15550106666")
				equal(t, "ended", e.Ended, call.Instant{})
			},
		},
		{
			name: "an injected parent", file: "bandwidth/disconnect.json", edits: map[string]any{"parent_call_id": "c-parent"},
			check: func(t *testing.T, e *call.Event) { equal(t, "parent", e.ParentCallID, "c-parent") },
		},
		{
			name: "two different parents", file: "bandwidth/transfer_answer.json", edits: map[string]any{"parent_call_id": "c-parent"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "parent", e.ParentCallID, "c-95ac8d6e-2c7ae496-7558-47a4-b291-4f02a3ca6942")
				equal(t, "links", len(e.Links), 2)
			},
		},
		{
			name: "withheld", file: "bandwidth/initiate.json", edits: map[string]any{"from": "Restricted"},
			check: func(t *testing.T, e *call.Event) { equal(t, "from", e.From, call.Party{Raw: "Restricted"}) },
		},
		{
			name: "a cause of tomorrow", file: "bandwidth/disconnect.json", edits: map[string]any{"cause": "gremlins"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "cause", e.HangupCause, call.CauseUnknown)
				equal(t, "word", e.ProviderCause, "gremlins")
			},
		},
		{
			name: "a cause of tomorrow with a status", file: "bandwidth/disconnect_sip.json", edits: map[string]any{"cause": "gremlins"},
			check: func(t *testing.T, e *call.Event) { equal(t, "cause", e.HangupCause, call.CauseBusy) },
		},
		{
			name: "a stream's cause is not the call's", file: "bandwidth/media_stream_rejected.json",
			check: func(t *testing.T, e *call.Event) { equal(t, "cause", e.HangupCause, call.NoCause) },
		},
		{
			name: "silence is no person", file: "bandwidth/machine_detection.json",
			edits: map[string]any{"machineDetectionResult.value": "silence"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "answered by", e.AnsweredBy, call.AnswererUnknown)
				equal(t, "state", e.ProviderState, "silence")
			},
		},
		{
			name: "a recording that failed", file: "bandwidth/recording_available.json", edits: map[string]any{"status": "error"},
			check: func(t *testing.T, e *call.Event) { equal(t, "status", e.Recording.Status, call.RecordingFailed) },
		},
		{
			name: "a disconnect without its end", file: "bandwidth/disconnect.json", edits: map[string]any{"endTime": nil},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "ended", e.Ended, at(1_561_046_155_533, call.EvidenceEvent, 1))
			},
		},
		{
			name: "an end of 1970", file: "bandwidth/disconnect.json", edits: map[string]any{"endTime": "1970-01-01T00:00:00Z"},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "ended", e.Ended, at(1_561_046_155_533, call.EvidenceEvent, 1))
				equal(t, "flags", e.Flags, call.FlagBadInstant)
			},
		},
		{
			name: "an end in milliseconds", file: "bandwidth/disconnect.json", edits: map[string]any{"endTime": json.Number("1561046154123")},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "ended", e.Ended, at(1_561_046_154_123, call.EvidenceReported, 1))
				equal(t, "flags", e.Flags, call.Flags(0))
			},
		},
		{
			name: "an event time that is a count", file: "bandwidth/disconnect.json", edits: map[string]any{"eventTime": json.Number("5")},
			check: func(t *testing.T, e *call.Event) {
				equal(t, "flags", e.Flags, call.FlagBadInstant|call.FlagNoEventTime)
			},
		},
		{name: "an event of 1999", file: "bandwidth/disconnect.json", edits: map[string]any{"eventTime": "1999-12-31T23:59:59.999Z"}, want: "BAD_TIMESTAMP"},
		{name: "an event of 2000", file: "bandwidth/disconnect.json", edits: map[string]any{"eventTime": "2000-01-01T00:00:00.000Z"}, want: "bandwidth CALL_ENDED"},
		{
			name: "no event time", file: "bandwidth/disconnect.json", edits: map[string]any{"eventTime": nil},
			check: func(t *testing.T, e *call.Event) { equal(t, "flags", e.Flags, call.FlagNoEventTime) },
		},
		{name: "a conference without a call", file: "bandwidth/conference_created_with_call.json", edits: map[string]any{"callId": nil}, want: "ignored bandwidth/conference"},
		{name: "a conference's recording", file: "bandwidth/conference_recording_with_call.json", edits: map[string]any{"callId": nil}, want: "ignored bandwidth/conference"},
		{name: "a type of tomorrow about none", file: "bandwidth/unknown.json", edits: map[string]any{"callId": nil}, want: "ignored bandwidth/other"},
		{name: "a type that is a number", file: "bandwidth/unknown.json", edits: map[string]any{"eventType": json.Number("1"), "event_type": "x"}, want: "BAD_FIELD"},
		{name: "no call id", file: "bandwidth/disconnect.json", edits: map[string]any{"callId": nil}, want: "MISSING_CALL_ID"},
	})
}

// TestBandwidthReferral: a <Refer> that was granted ends the call, one that was
// refused does not, and one of which nothing is told changes nothing.
func TestBandwidthReferral(t *testing.T) {
	for _, tt := range []struct {
		name                     string
		outcome, request, notify any
		want                     call.EventType
		sip                      int32
	}{
		{"granted", "success", json.Number("202"), json.Number("200"), call.EventCallEnded, 0},
		{"granted, codes are text", "success", "202", "200", call.EventCallEnded, 0},
		{"granted, no NOTIFY", "success", json.Number("202"), nil, call.EventCallEnded, 0},
		{"granted, no codes", "success", nil, "", call.EventCallEnded, 0},
		{"granted, the last NOTIFY was provisional", "success", json.Number("202"), json.Number("180"), call.EventCallEnded, 0},
		{"refused by the exchange", "failure", json.Number("405"), nil, call.EventTransferFailed, 405},
		{"the target is busy", "failure", json.Number("202"), json.Number("486"), call.EventTransferFailed, 486},
		{"the target declines, as text", "failure", "202", "603", call.EventTransferFailed, 603},
		{"no NOTIFY came", "failure", json.Number("202"), nil, call.EventTransferFailed, 0},
		{"it only rang", "failure", json.Number("202"), json.Number("183"), call.EventTransferFailed, 0},
		{"never sent", "failure", nil, nil, call.EventTransferFailed, 0},
		{"no word, but reached", nil, json.Number("202"), json.Number("200"), call.EventCallEnded, 0},
		{"no word, but refused", "", json.Number("503"), nil, call.EventTransferFailed, 503},
		{"no word, but unreachable", "", json.Number("202"), json.Number("404"), call.EventTransferFailed, 404},
		{"no word, and on its way", nil, json.Number("202"), json.Number("100"), call.EventCallUpdated, 0},
		{"a word of tomorrow", "pending", json.Number("202"), nil, call.EventCallUpdated, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := event(t, edited(t, "bandwidth/refer_complete.json", map[string]any{
				"referCallStatus": tt.outcome, "referSipResponseCode": tt.request, "notifySipResponseCode": tt.notify,
			}))
			equal(t, "type", e.Type, tt.want)
			equal(t, "SIP", e.SIPStatus.N, tt.sip)
			equal(t, "target", e.TransferTarget, "sip:alice@pbx.example.com")
			equal(t, "kind", e.TransferType, call.TransferBlind)
			equal(t, "flags", e.Flags, 0)
			if ends := tt.want == call.EventCallEnded; ends {
				equal(t, "ended", e.Ended, e.Time)
				equal(t, "cause", e.Ending, call.Ending{HangupCause: call.CauseTransferred, HangupParty: call.HangupByTransfer})
			} else {
				equal(t, "ended", e.Ended, call.Instant{})
			}
		})
	}
}

func TestBandwidthSpellings(t *testing.T) {
	camel := `{"eventType":"disconnect","eventTime":"2022-05-04T18:53:25.179Z","callId":"c-1","direction":"outbound","from":"+15550100001",` +
		`"to":"+15550100003","accountId":"5","startTime":"2022-05-04T18:53:03.383Z","endTime":"2022-05-04T18:53:25.179Z","cause":"timeout","sipCallId":"s"}`
	snake := `{"event_type":"disconnect","event_time":"2022-05-04T18:53:25.179Z","call_id":"c-1","direction":"outbound","from":"+15550100001",` +
		`"to":"+15550100003","account_id":"5","start_time":"2022-05-04T18:53:03.383Z","end_time":"2022-05-04T18:53:25.179Z","cause":"timeout","sip_call_id":"s"}`
	a, b := event(t, []byte(camel)), event(t, []byte(snake))
	if a.ID != b.ID || a.Content != b.Content {
		t.Errorf("the two spellings of one event differ: %s", cmp.Diff(a, b))
	}
}

func TestLinkByTag(t *testing.T) {
	in := Input{Value: fixture(t, "bandwidth/answer.json")}
	without := decodeChecked(t, Settings{}, in).Events[0]
	with := decodeChecked(t, Settings{LinkByTag: true}, in).Events[0]
	if diff := cmp.Diff([]call.Link{{Kind: call.LinkTag, Value: "campaign-7"}}, with.Links); diff != "" || without.Links != nil {
		t.Errorf("without %v, with: %s", without.Links, diff)
	}
	if with.Content != without.Content || with.ID != without.ID {
		t.Error("the setting changes what the event is")
	}
}
