package memory_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"callstitch/processor/call"
	"callstitch/schemas"
	"callstitch/topology"
)

// reserved are the words and fields of the schemas that nothing produces, and
// why. docs/records.md repeats them.
var reserved = map[string]string{
	"CallSession.hold_ms":            "no provider tells of holds; it is computed from `CALL_HELD` and `CALL_RESUMED`",
	"change_reason = REPROCESSED":    "a new generation begins with `OPENED`; `generation` tells that it is a new one",
	"event_type = CALL_HELD":         "no provider tells of holds",
	"event_type = CALL_QUEUED":       "Bandwidth names the time at which a call was queued, and sends no event of it: see `queue_ms`",
	"event_type = CALL_RESUMED":      "no provider tells of holds",
	"event_type = EARLY_MEDIA":       "no provider tells of early media; Opentact's channel state `EARLY` does not follow the call's",
	"event_type = RECORDING_STARTED": "no provider tells that a recording began, only that it is there, or complete",
	"event_type = TRANSFER_ANSWERED": "Bandwidth's `transferAnswer` is the answer of the leg that was dialled: `CALL_ANSWERED`",
	"event_type = TRANSFER_STARTED":  "no provider tells of it; a transfer that starts is seen by its leg",
	"hangup_party = NETWORK":         "no provider tells the network's end of a call from another's",
	"party_kind = APP":               "no provider names an application as an end of a call",
	"reject_reason = UNREADABLE":     "no event is in a batch that no client can read; operations.md says what becomes of one",
	"role = CONFERENCE":              "conferences do not join legs; a member has the role that it was called in",
	"role = RECORDING":               "no provider records on a leg of its own",
}

// documented are the events that each provider is known to send about calls, in its
// own words: a type, or a state of one.
var documented = map[string][]string{
	"opentact": {
		"call_state", "init", "ringing", "live", "hangup", "destroyed", "call_flow", "Answer", "Dial", "call_record", "call_asr",
	},
	"stringee": {"created", "started", "ringing", "answered", "ended", "agentEnded", "connect_failed", "recording", "dtmf", "dtmf_received"},
	"sonetel": {
		"newCallEvent", "callConnectedEvent", "channelHungUpEvent", "callHungUpEvent", "missedCallEvent",
		"callTransferredEvent", "twinTransferredEvent", "activeChannelEvent",
	},
	"bandwidth": {
		"answer", "bridgeComplete", "bridgeTargetComplete", "conferenceCreated", "conferenceRedirect", "conferenceMemberJoin",
		"conferenceMemberExit", "conferenceCompleted", "conferenceRecordingAvailable", "disconnect", "dtmf", "gather", "initiate",
		"machineDetectionComplete", "recordComplete", "recordingComplete", "recordingAvailable", "redirect",
		"transcriptionAvailable", "transferAnswer", "transferComplete", "transferDisconnect", "referComplete",
		"mediaStreamStarted", "mediaStreamRejected", "mediaStreamStopped", "realTimeTranscriptionStarted",
		"realTimeTranscriptionAvailable", "realTimeTranscriptionRejected", "realTimeTranscriptionStopped",
		"human", "answering-machine", "tone-detected", "silence", "timeout", "error",
	},
}

// TestEveryWordAndFieldIsProduced holds the schemas against the scenarios: each
// word of a vocabulary and each field is in the output of at least one story, or
// is reserved. So is each event that is documented. testdata/produced.txt names the
// story.
func TestEveryWordAndFieldIsProduced(t *testing.T) {
	produced := stories(t)
	var b strings.Builder
	for _, key := range known(t) {
		switch story, reason := produced[key], reserved[key]; {
		case story != "" && reason != "":
			t.Errorf("%s is reserved, and %s produces it", key, story)
		case story != "":
			fmt.Fprintf(&b, "%s: %s\n", key, story)
		case reason != "":
			fmt.Fprintf(&b, "%s: reserved, %s\n", key, reason)
		default:
			t.Errorf("no story produces %s: add one, or reserve it and say why", key)
		}
	}
	compareFile(t, "testdata/produced.txt", "", "", b.String())
}

func TestReservedIsKnown(t *testing.T) {
	all := known(t)
	for key := range reserved {
		if !slices.Contains(all, key) {
			t.Errorf("%s is reserved, but is no word or field", key)
		}
	}
}

func TestDocumentedReserved(t *testing.T) {
	var b strings.Builder
	b.WriteString("| reserved | why |\n|---|---|\n")
	for _, key := range slices.Sorted(maps.Keys(reserved)) {
		fmt.Fprintf(&b, "| %s | %s |\n", reservedName(key), reserved[key])
	}
	compareFile(t, "../../docs/records.md", "<!-- begin reserved -->\n", "<!-- end reserved -->", b.String())
}

// reservedName is a word after its vocabulary, or a field, in Markdown.
func reservedName(key string) string {
	vocabulary, word, isWord := strings.Cut(key, " = ")
	if isWord {
		return fmt.Sprintf("`%s` `%s`", vocabulary, word)
	}
	_, name, _ := strings.Cut(key, ".")
	return "`" + name + "`"
}

// compareFile holds what is between two lines of a file, or all of it, against
// what must be there.
func compareFile(t *testing.T, file, begin, end, want string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	is, after, ended := strings.Cut(rest, end)
	switch {
	case begin == "":
		before, is, after = "", string(text), ""
	case !found || !ended:
		t.Fatalf("%s has no lines %q and %q", file, begin, end)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := difference(want, is); diff != "" {
		t.Errorf("%s is not what it must be; run go test ./topology/memory -update (-want +is):\n%s", file, diff)
	}
}

// stories says for each word and field that the scenarios produce which one is
// the first, by name, to do so.
func stories(t *testing.T) map[string]string {
	t.Helper()
	files, _ := filepath.Glob("testdata/scenarios/*.txt")
	produced := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		told, _, _ := strings.Cut(string(text), "\n----\n")
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		note := func(key string) {
			if produced[key] == "" {
				produced[key] = name
			}
		}
		parseStory(t, told).run(t, 1, func(o topology.Output) {
			if r, ok := o.Value.(*call.Reject); ok {
				note("reject_reason = " + r.Reason.String())
			}
			if e, ok := o.Value.(*call.EventRecord); ok {
				note(e.Provider.String() + " sends " + e.ProviderType)
				note(e.Provider.String() + " sends " + e.ProviderState)
			}
			if s, ok := schemas.Of(o.Value); ok {
				noteFields(t, s, schemas.AppendJSON(nil, o.Value), note)
			}
		})
	}
	return produced
}

// noteFields notes each field of a record that is neither null nor empty nor
// zero, and its word where it has a vocabulary.
func noteFields(t *testing.T, s schemas.Subject, record []byte, note func(key string)) {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal(record, &value); err != nil {
		t.Fatal(err)
	}
	for _, f := range fieldsOf(t, s) {
		for _, v := range at(value, f.path) {
			note(s.String() + "." + strings.Join(f.path, "."))
			if word, ok := v.(string); ok && f.vocabulary != "" {
				note(f.vocabulary + " = " + word)
			}
		}
	}
}

// at is what a record holds at a path: what an array holds one by one, and
// nothing for null, false, zero and the empty string.
func at(v any, path []string) []any {
	switch v := v.(type) {
	case []any:
		var all []any
		for _, element := range v {
			all = append(all, at(element, path)...)
		}
		return all
	case map[string]any:
		if len(path) == 0 {
			if len(v) == 0 {
				return nil
			}
			return []any{v}
		}
		return at(v[path[0]], path[1:])
	case nil:
		return nil
	default:
		if v == "" || v == false || v == float64(0) {
			return nil
		}
		return []any{v}
	}
}

// known lists every word, every field and every documented event, sorted.
func known(t *testing.T) []string {
	t.Helper()
	var all []string
	for vocabulary, words := range call.Vocabulary() {
		for _, word := range words {
			all = append(all, vocabulary+" = "+word)
		}
	}
	for _, s := range schemas.Subjects() {
		for _, f := range fieldsOf(t, s) {
			all = append(all, s.String()+"."+strings.Join(f.path, "."))
		}
	}
	for provider, words := range documented {
		for _, word := range words {
			all = append(all, provider+" sends "+word)
		}
	}
	slices.Sort(all)
	return all
}

// field is one field of a schema, those of records in arrays too.
type field struct {
	path       []string
	vocabulary string
}

type avroField struct {
	Name  string
	Type  any
	Words []string `json:"x-values"`
}

var fieldCache = map[schemas.Subject][]field{}

func fieldsOf(t *testing.T, s schemas.Subject) []field {
	t.Helper()
	if fieldCache[s] == nil {
		var record struct{ Fields []avroField }
		if err := json.Unmarshal([]byte(s.Schema()), &record); err != nil {
			t.Fatal(err)
		}
		fieldCache[s] = flatten(t, nil, record.Fields)
	}
	return fieldCache[s]
}

func flatten(t *testing.T, above []string, fields []avroField) (all []field) {
	t.Helper()
	for _, f := range fields {
		path := append(slices.Clone(above), f.Name)
		all = append(all, field{path, vocabularyOf(t, f)})
		array, _ := f.Type.(map[string]any)
		record, _ := array["items"].(map[string]any)
		if record == nil {
			continue
		}
		inner, err := json.Marshal(record["fields"])
		if err != nil {
			t.Fatal(err)
		}
		var below []avroField
		if err := json.Unmarshal(inner, &below); err != nil {
			t.Fatal(err)
		}
		all = append(all, flatten(t, path, below)...)
	}
	return all
}

// vocabularyOf is the vocabulary that a field's words are of.
func vocabularyOf(t *testing.T, f avroField) string {
	t.Helper()
	if f.Words == nil {
		return ""
	}
	for name, words := range call.Vocabulary() {
		a, b := slices.Sorted(slices.Values(f.Words)), slices.Sorted(slices.Values(words))
		if slices.Equal(a, b) {
			return name
		}
	}
	t.Fatalf("%s has words of no vocabulary", f.Name)
	return ""
}
