package schemas

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"callstitch/processor/call"
)

// Any text survives JSON as the standard library reads it; what is not UTF-8
// is replaced as it is in Avro.
func TestAppendJSONText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, value := text().Draw(t, "key"), text().Draw(t, "value")
		leg := &call.Leg{Tenant: value, Attributes: []call.Attribute{{Key: key, Value: value}}}
		var got struct {
			Tenant     string            `json:"tenant_id"`
			Attributes map[string]string `json:"attributes"`
		}
		if err := json.Unmarshal(AppendJSON(nil, leg), &got); err != nil {
			t.Fatal(err)
		}
		want := strings.ToValidUTF8(value, "\uFFFD")
		if got.Tenant != want || got.Attributes[strings.ToValidUTF8(key, "\uFFFD")] != want {
			t.Fatalf("got %+q, want %+q", got, want)
		}
	})
}

func TestAppendJSONIsOneLine(t *testing.T) {
	eachSubject(t, func(t *testing.T, s Subject) {
		rapid.Check(t, func(t *rapid.T) {
			got := AppendJSON([]byte("head "), random(t, s, 3))
			if !json.Valid(got[len("head "):]) || strings.ContainsAny(string(got), "\n\r") {
				t.Fatalf("got %s", got)
			}
		})
	})
}

func TestAppendJSONEmpty(t *testing.T) {
	const want = `{"topic":"t","partition":0,"next_offset":0,"read":0,"decoded":0,"ignored":0,"rejected":0,"events":0,` +
		`"accepted":0,"duplicate":0,"conflicting":0,"late":0,"closed_at":1767225600000}`
	if got := string(AppendJSON(nil, &call.Audit{Topic: "t", ClosedAt: sampleTime})); got != want {
		t.Fatalf("got %s", got)
	}
	if got := string(AppendJSON(nil, &call.Reject{})); got != "null" {
		t.Fatalf("got %s", got)
	}
}

// What was not observed is null, and nothing else is.
func TestNulls(t *testing.T) {
	for _, c := range []struct {
		value       call.Output
		null, known []string
	}{
		{
			&call.EventRecord{Event: &call.Event{}},
			[]string{
				"scope", "event_time", "event_time_src", "event_time_precision_ms", "reported_at", "ingested_at",
				"from_raw", "from_e164", "from_kind", "q850_cause", "q850_src", "provider_duration_s", "recording_status", "transfer_type",
			},
			[]string{"tenant_id", "event_type", "direction", "answered_by", "lateness_ms", "link_keys", "attributes", "processed_at"},
		},
		{
			&call.EventRecord{Event: &call.Event{
				Time: call.Instant{Src: call.EvidenceIngest}, ReportedAt: -1, From: call.Party{Kind: call.PartyApp}, To: call.Party{Raw: "7"},
				Ending: call.Ending{Q850: call.Code{Src: call.CodeMapped}}, ProviderDuration: call.Some(0),
			}},
			[]string{"from_raw", "to_e164", "started_at"},
			[]string{"event_time", "event_time_precision_ms", "reported_at", "from_kind", "to_raw", "to_kind", "q850_cause", "provider_duration_s"},
		},
		{
			&call.EventRecord{Event: &call.Event{Answered: call.Sometime()}}, []string{"answered_at", "answered_at_src"}, nil,
		},
		{
			&call.Session{FirstSource: &call.Source{Topic: "t"}, LastSource: &call.Source{}},
			[]string{"close_reason", "superseded_by", "last_src_topic", "last_src_partition", "last_src_offset", "first_event_at", "talk_ms"},
			[]string{"first_src_topic", "first_src_partition", "first_src_offset", "emitted_at", "legs", "transfers"},
		},
		{&call.Session{}, []string{"first_src_topic", "first_src_partition", "first_src_offset"}, []string{"disposition"}},
		{&call.Leg{}, []string{"parent_leg_id", "provider_parent_call_id", "total_ms"}, []string{"leg_id", "session_id", "quality_flags"}},
	} {
		var fields map[string]any
		if err := json.Unmarshal(AppendJSON(nil, c.value), &fields); err != nil {
			t.Fatal(err)
		}
		for _, name := range c.null {
			if v, ok := fields[name]; !ok || v != nil {
				t.Errorf("%T: %s is %v, want null", c.value, name, v)
			}
		}
		for _, name := range c.known {
			if fields[name] == nil {
				t.Errorf("%T: %s is null", c.value, name)
			}
		}
	}
}
