package decode

import (
	"encoding/json"
	"testing"

	"callstitch/processor/call"
)

// TestRedelivery: what only says how an event was delivered changes neither its
// id nor its content.
func TestRedelivery(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		edits      map[string]any
	}{
		{"the same bytes later", "opentact/hangup.json", nil},
		{"another channel", "opentact/hangup.json", map[string]any{
			"modified_on": "2024-02-20T16:45:00.000Z", "delivery_report": []any{map[string]any{"channel": "wss"}},
		}},
		{"the parent was touched since", "opentact/hangup.json", map[string]any{"call.parent.modified_on": "2024-02-20T16:42:00.000Z"}},
		{"the same post again", "stringee/ringing.json", nil},
		{"a second socket", "sonetel/hungup.json", nil},
		{"a second socket, a channel", "sonetel/channel_hungup.json", nil},
		{"a retried post", "bandwidth/dtmf.json", nil},
		{"a retried post without a time", "bandwidth/gather.json", map[string]any{"eventTime": nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := fixture(t, tt.file)
			if tt.file == "bandwidth/gather.json" {
				base = edited(t, tt.file, tt.edits)
			}
			first := decodeChecked(t, Settings{}, Input{Value: base, Timestamp: kafkaTimestamp}).Events[0]
			again := decodeChecked(t, Settings{}, Input{
				Value: edited(t, tt.file, tt.edits), Timestamp: kafkaTimestamp + 5000,
				Source: call.Source{Topic: "call.raw", Partition: 3, Offset: 99},
			}).Events[0]
			if first.ID != again.ID || first.Content != again.Content {
				t.Errorf("ids %s %s, contents %x %x", first.ID, again.ID, first.Content, again.Content)
			}
		})
	}
}

// TestVariants: which second events are the same event, and which of those say
// something else.
func TestVariants(t *testing.T) {
	for _, tt := range []struct {
		name, file          string
		edits               map[string]any
		kind                call.IDKind
		sameID, sameContent bool
	}{
		{
			"one uuid, another end", "opentact/hangup.json",
			map[string]any{"call.hangup_on": "2024-02-20T16:41:37.099Z"},
			call.IDExact, true, false,
		},
		{"another uuid", "opentact/hangup.json", map[string]any{"uuid": "16587a24-492f-4baa-bbd2-bcb73be0302e"}, call.IDExact, false, false},
		{
			"the second hang-up after a transfer", "sonetel/hungup.json",
			map[string]any{"notification.duration": "60"},
			call.IDSemantic, true, false,
		},
		{
			"another channel", "sonetel/channel_hungup.json",
			map[string]any{"notification.calleeFlowId": "f-3"},
			call.IDContent, false, false,
		},
		{
			"the next agent rings", "stringee/agent_ended.json",
			map[string]any{"timestamp_ms": json.Number("1515859276000"), "actor": "agent2"},
			call.IDContent, false, false,
		},
		{
			"the next agent in the same millisecond", "stringee/agent_ended.json",
			map[string]any{"to.number": "agent2"},
			call.IDContent, false, false,
		},
		{
			"a disconnect with another body", "bandwidth/disconnect.json",
			map[string]any{"cause": "timeout"},
			call.IDSemantic, true, false,
		},
		{
			"another recording", "bandwidth/recording_available.json",
			map[string]any{"recordingId": "r-2"},
			call.IDContent, false, false,
		},
		{
			"a recording with another body", "bandwidth/recording_available.json",
			map[string]any{"status": "complete"},
			call.IDContent, true, false,
		},
		{
			// Which key was pressed is in neither, or it could be found again.
			"another key at the same time", "bandwidth/dtmf.json",
			map[string]any{"digit": "8"},
			call.IDContent, true, true,
		},
		{"another key, later", "bandwidth/dtmf.json", map[string]any{"eventTime": "2022-05-04T18:53:11.001Z"}, call.IDContent, false, false},
		{"a state of the older generation", "opentact/v2022_hangup.json", map[string]any{"timestamp": "2022-07-04T16:45:11.000Z"}, call.IDSemantic, true, false},
		{
			"a step of the older generation", "opentact/v2022_answer.json",
			map[string]any{"payload.command.path": "Answer[1]"},
			call.IDContent, false, true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := event(t, fixture(t, tt.file))
			b := event(t, edited(t, tt.file, tt.edits))
			if a.IDKind != tt.kind || b.IDKind != tt.kind {
				t.Errorf("kinds %d and %d, want %d", a.IDKind, b.IDKind, tt.kind)
			}
			if (a.ID == b.ID) != tt.sameID || (a.Content == b.Content) != tt.sameContent {
				t.Errorf("same id %v, same content %v", a.ID == b.ID, a.Content == b.Content)
			}
		})
	}
}

// TestEventsOfOneCallDiffer: no two fixtures share an id.
func TestEventsOfOneCallDiffer(t *testing.T) {
	seen := map[call.EventID]string{}
	for _, file := range fixtures(t, "*") {
		for _, e := range New(Settings{}).Decode(Input{Value: fixture(t, file), Timestamp: kafkaTimestamp}).Events {
			if other, twice := seen[e.ID]; twice && e.IDKind != call.IDSemantic {
				t.Errorf("%s and %s share an id", file, other)
			}
			seen[e.ID] = file
		}
	}
}
