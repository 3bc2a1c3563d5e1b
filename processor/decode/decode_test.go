package decode

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
)

// outcome is a result in one line: event types, the kind that was ignored, or
// the reason of the rejection.
func outcome(r Result) string {
	switch {
	case r.Reject != nil:
		return r.Reject.Reason.String()
	case r.Ignored != "":
		return "ignored " + r.Ignored
	}
	var types []string
	for _, e := range r.Events {
		types = append(types, e.Provider.String()+" "+e.Type.String())
	}
	return strings.Join(types, ", ")
}

const (
	opentactLive     = `{"uuid":"e-1","type":"call_state","created_on":"2024-02-20T16:41:36.253Z","payload":{"state":"live"},"call":{"uuid":"a-1"}}`
	stringeeRinging  = `{"call_status":"ringing","call_id":"call-1","timestamp_ms":1515859261381}`
	sonetelNew       = `{"messageType":"notification","notificationType":"newCallEvent","notification":{"callId":"1.1"}}`
	bandwidthAnswer  = `{"eventType":"answer","callId":"c-1","eventTime":"2022-05-04T18:53:01.832Z"}`
	opentactSMS      = `{"uuid":"e-2","type":"sms","sms":{"uuid":"s-1"},"call":null}`
	bandwidthMeeting = `{"eventType":"conferenceCreated","conferenceId":"conf-1","eventTime":"2022-05-04T18:53:01.832Z"}`
)

func TestOutcomes(t *testing.T) {
	deep := func(levels int) string {
		return strings.Repeat("[", levels) + strings.Repeat("]", levels)
	}
	inside := func(levels int) string {
		return strings.TrimSuffix(opentactLive, "}") + `,"logs":` + deep(levels) + "}"
	}
	for _, tt := range []struct {
		name, value, want string
	}{
		{"opentact by shape", opentactLive, "opentact CALL_ANSWERED"},
		{"stringee by shape", stringeeRinging, "stringee CALL_RINGING"},
		{"sonetel by shape", sonetelNew, "sonetel CALL_INITIATED"},
		{"bandwidth by shape", bandwidthAnswer, "bandwidth CALL_ANSWERED"},
		{"surrounded by white space", " \r\n\t" + bandwidthAnswer + " \n", "bandwidth CALL_ANSWERED"},
		{"an escaped name", strings.Replace(bandwidthAnswer, "callId", `call\u0049d`, 1), "bandwidth CALL_ANSWERED"},

		{"no shape of ours", `{"id":1}`, "UNKNOWN_PROVIDER"},
		{"an empty object", `{}`, "UNKNOWN_PROVIDER"},
		{"two shapes", `{"eventType":"answer","callId":"c-1","call_status":"ringing","call_id":"x"}`, "AMBIGUOUS_PROVIDER"},

		{"JSON null", `null`, "ignored null"},
		{"an empty array", ` [ ] `, "ignored empty"},
		{"sms", opentactSMS, "ignored opentact/sms"},
		{"a device of BRTC", `{"eventType":"DEVICE_CONNECTED","endpointId":"e-1","eventTime":"2026-02-20T10:00:00.000Z","status":"CONNECTED"}`, "ignored bandwidth/endpoint"},
		{"an array", "[" + opentactLive + "," + stringeeRinging + "]", "opentact CALL_ANSWERED, stringee CALL_RINGING"},
		{"an array with ignored elements", "[" + opentactSMS + "," + opentactLive + ",null]", "opentact CALL_ANSWERED"},
		{"an array of ignored elements", "[" + opentactSMS + "," + bandwidthMeeting + "]", "ignored opentact/sms"},
		{"an array with a bad element", "[" + opentactLive + `,{"call_status":"ringing"}]`, "MISSING_CALL_ID"},
		{"an array in an array", "[[" + opentactLive + "]]", "BAD_FIELD"},

		{"a string", `"x"`, "BAD_FIELD"},
		{"a number", `1`, "BAD_FIELD"},
		{"true", `true`, "BAD_FIELD"},

		{"nothing", ``, "MALFORMED_JSON"},
		{"only white space", "  \n", "MALFORMED_JSON"},
		{"no JSON", `hello`, "MALFORMED_JSON"},
		{"a byte order mark", "\ufeff" + opentactLive, "opentact CALL_ANSWERED"},
		{"two byte order marks", "\ufeff\ufeff" + opentactLive, "opentact CALL_ANSWERED"},
		{"a byte order mark before null", "\ufeffnull", "ignored null"},
		{"only a byte order mark", "\ufeff", "MALFORMED_JSON"},
		{"a byte order mark after white space", " \ufeff" + opentactLive, "MALFORMED_JSON"},
		{"a byte order mark after the event", opentactLive + "\ufeff", "MALFORMED_JSON"},
		{"a byte order mark of UTF-16", "\xff\xfe{}", "MALFORMED_JSON"},
		{"a trailing comma", `{"eventType":"answer","callId":"c-1",}`, "MALFORMED_JSON"},
		{"text after it", bandwidthAnswer + `x`, "MALFORMED_JSON"},
		{"another value after it", bandwidthAnswer + bandwidthAnswer, "MALFORMED_JSON"},
		{"a name twice", `{"eventType":"answer","callId":"c-1","callId":"c-2"}`, "MALFORMED_JSON"},
		{"a name twice, once escaped", `{"eventType":"answer","callId":"c-1","call\u0049d":"c-2"}`, "MALFORMED_JSON"},
		{"a name twice in what is not read", `{"eventType":"answer","callId":"c-1","x":[{"a":1,"a":1}]}`, "MALFORMED_JSON"},
		{"invalid UTF-8", "{\"eventType\":\"answer\",\"callId\":\"c-\xff\"}", "MALFORMED_JSON"},
		{"half a surrogate pair", `{"eventType":"answer","callId":"c-\ud800"}`, "MALFORMED_JSON"},
		{"a raw control character", "{\"eventType\":\"answer\",\"callId\":\"c-\n\"}", "MALFORMED_JSON"},
		{"a leading zero", `{"eventType":"answer","callId":"c-1","x":01}`, "MALFORMED_JSON"},
		{"NaN", `{"eventType":"answer","callId":"c-1","x":NaN}`, "MALFORMED_JSON"},

		{"1 MiB", padded(MaxBytes), "bandwidth CALL_ANSWERED"},
		{"1 MiB and a byte", padded(MaxBytes + 1), "TOO_LARGE"},
		{"64 levels", deep(MaxDepth), "BAD_FIELD"},
		{"65 levels", deep(MaxDepth + 1), "TOO_DEEP"},
		{"64 levels in an event", inside(MaxDepth - 1), "opentact CALL_ANSWERED"},
		{"65 levels in an event", inside(MaxDepth), "TOO_DEEP"},
		{"65 levels with the array around it", "[" + inside(MaxDepth-1) + "]", "TOO_DEEP"},
		{"a million levels", deep(MaxBytes / 2), "TOO_DEEP"},
		{"half a million opened", strings.Repeat(`{"a":`, MaxBytes/8), "TOO_DEEP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := decodeChecked(t, Settings{}, Input{Value: []byte(tt.value), Timestamp: kafkaTimestamp})
			if got := outcome(r); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// padded is an event of exactly that many bytes.
func padded(size int) string {
	head, tail := strings.TrimSuffix(bandwidthAnswer, "}")+`,"x":"`, `"}`
	return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
}

func TestNullValue(t *testing.T) {
	r := decodeChecked(t, Settings{Provider: call.Opentact}, Input{Headers: []call.Header{{Key: "tenant"}}})
	if r.Ignored != "null" {
		t.Errorf("%+v", r)
	}
}

func TestRejectionNamesTheElement(t *testing.T) {
	value := "[" + opentactLive + "," + opentactSMS + `,{"call_status":"ringing"}]`
	r := decodeChecked(t, Settings{}, Input{Value: []byte(value)})
	if want := "element 2: call_id is absent or empty"; r.Reject == nil || r.Reject.Detail != want {
		t.Errorf("%+v, want %q", r.Reject, want)
	}
}

// TestByteOrderMark holds an event with marks before it to what it is without them: all
// but the hash of its bytes, and where it stops being JSON.
func TestByteOrderMark(t *testing.T) {
	const mark = "\ufeff"
	decode := func(value string) Result {
		return decodeChecked(t, Settings{}, Input{Value: []byte(value), Timestamp: kafkaTimestamp})
	}
	want, got := decode(bandwidthAnswer).Events[0], decode(mark + mark + bandwidthAnswer).Events[0]
	if want.SHA256 == got.SHA256 {
		t.Error("the hash is not that of the bytes as they came")
	}
	got.SHA256 = want.SHA256
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-without +with):\n%s", diff)
	}
	for _, broken := range []string{`{"eventType":"answer",}`, `{"a":1}{`, `{"a":1,"a":2}`, `{"a":`} {
		if want, got := decode(broken).Reject.Detail, decode(mark+broken).Reject.Detail; want != got {
			t.Errorf("%s: %q with a mark, %q without", broken, got, want)
		}
	}
}

// TestNoQuote sends records that are wrong in ways that invite quoting them.
func TestNoQuote(t *testing.T) {
	for _, value := range []string{
		`{"15550100123":1,"15550100123":2}`,
		`{"eventType":{"15550100123":1},"callId":"15550100123"}`,
		`{"eventType":"answer","callId":"` + strings.Repeat("15550100123", 30) + `"}`,
		`15550100123x`,
		`{"eventType":"answer","callId":"c-1","eventTime":"1970-01-01T00:00:00Z","from":"15550100123"}`,
	} {
		r := decodeChecked(t, Settings{}, Input{Value: []byte(value)})
		if r.Reject == nil || strings.Contains(r.Reject.Detail, "5550100123") {
			t.Errorf("%s: %+v", value, r.Reject)
		}
	}
}

func TestHeaders(t *testing.T) {
	header := func(key, value string) call.Header { return call.Header{Key: key, Value: []byte(value)} }
	settings := Settings{Provider: call.Stringee, Tenant: "configured", Scope: "pbx-1"}
	for _, tt := range []struct {
		name     string
		settings Settings
		headers  []call.Header
		want     string // provider tenant scope, or the reason
	}{
		{"nothing", Settings{}, nil, "bandwidth default "},
		{"settings", Settings{Tenant: "configured", Scope: "pbx-1"}, nil, "bandwidth configured pbx-1"},
		{"headers override", settings, []call.Header{header("provider", "bandwidth"), header("tenant", "acme"), header("scope", "")}, "bandwidth acme "},
		{"the last one counts", Settings{}, []call.Header{header("tenant", ""), header("tenant", "acme")}, "bandwidth acme "},
		{"128 bytes", Settings{}, []call.Header{header("tenant", strings.Repeat("é", 64))}, "bandwidth " + strings.Repeat("é", 64) + " "},
		{"others", Settings{}, []call.Header{header("traceparent", "\xff"), header("Tenant", "")}, "bandwidth default "},

		{"unknown provider", Settings{}, []call.Header{header("provider", "twilio")}, "UNKNOWN_PROVIDER"},
		{"empty provider", Settings{}, []call.Header{header("provider", "")}, "UNKNOWN_PROVIDER"},
		{"empty tenant", Settings{}, []call.Header{header("tenant", "")}, "BAD_HEADER"},
		{"null tenant", Settings{}, []call.Header{{Key: "tenant"}}, "BAD_HEADER"},
		{"long tenant", Settings{}, []call.Header{header("tenant", strings.Repeat("a", 129))}, "BAD_HEADER"},
		{"tenant of invalid UTF-8", Settings{}, []call.Header{header("tenant", "a\xff")}, "BAD_HEADER"},
		{"tenant with a control character", Settings{}, []call.Header{header("tenant", "a\x00")}, "BAD_HEADER"},
		{"tenant with a C1 control", Settings{}, []call.Header{header("tenant", "a\u0085")}, "BAD_HEADER"},
		{"long scope", Settings{}, []call.Header{header("scope", strings.Repeat("a", 129))}, "BAD_HEADER"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := Input{Value: []byte(bandwidthAnswer), Headers: tt.headers}
			if tt.settings.Provider != call.NoProvider {
				in.Timestamp = kafkaTimestamp
			}
			got := ""
			r := New(tt.settings).Decode(in)
			if r.Reject != nil {
				got = r.Reject.Reason.String()
			} else {
				got = r.Events[0].Provider.String() + " " + r.Events[0].Tenant + " " + r.Events[0].Scope
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestXelionIsSonetel(t *testing.T) {
	headers := []call.Header{{Key: "provider", Value: []byte("xelion")}}
	r := decodeChecked(t, Settings{}, Input{Value: []byte(sonetelNew), Headers: headers})
	if got := outcome(r); got != "sonetel CALL_INITIATED" {
		t.Error(got)
	}
}

// TestTenantsDoNotShareLegs: the same call id of two tenants, or two scopes, is
// two legs.
func TestTenantsDoNotShareLegs(t *testing.T) {
	legs := map[call.LegID]bool{}
	for _, s := range []Settings{{}, {Tenant: "a"}, {Tenant: "b"}, {Tenant: "a", Scope: "b"}} {
		e := decodeChecked(t, s, Input{Value: []byte(sonetelNew)}).Events[0]
		legs[e.Leg] = true
	}
	if len(legs) != 4 {
		t.Errorf("%d legs, want 4", len(legs))
	}
}

func TestLatestInstant(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        call.Time
	}{
		{"the message is later than the state", opentactLive, 1_708_447_296_253},
		{"of several events", "[" + stringeeRinging + "," + bandwidthAnswer + "]", 1_651_690_381_832},
		{"an instant of the parent", strings.Replace(opentactLive, `"uuid":"a-1"`, `"uuid":"a-1","parent":{"uuid":"p-1","modified_on":"2024-02-20T16:41:37Z"}`, 1), 1_708_447_297_000},
		{"a recording", `{"call_id":"x","recording_url":"https://media.example.com/1","start_time":1515859261381}`, 1_515_859_261_381},
		{"nothing but the Kafka timestamp", sonetelNew, 0},
	} {
		r := decodeChecked(t, Settings{}, Input{Value: []byte(tt.value), Timestamp: kafkaTimestamp})
		if got := LatestInstant(r.Events); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestIgnoredKindsAreBounded(t *testing.T) {
	seen := map[string]bool{}
	for _, kind := range IgnoredKinds() {
		if seen[kind] || kind == "" || len(kind) > 40 {
			t.Errorf("kind %q", kind)
		}
		seen[kind] = true
	}
}
