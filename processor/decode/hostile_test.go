package decode

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// TestEveryFieldWithEveryType puts values of every type in place of every value
// of every event. Nothing may crash, and each record must become exactly one of
// events, an ignore, or a rejection.
func TestEveryFieldWithEveryType(t *testing.T) {
	junk := []any{
		nil, true, false, json.Number("0"), json.Number("-1"), json.Number("1.5"), json.Number("1e300"),
		json.Number("18446744073709551616"), "", " ", "x", "0", "486", "PT", "2024-13-41T25:61:61Z", "1970-01-01T00:00:00Z",
		strings.Repeat("9", 300), strings.Repeat("é", 2000),
		[]any{},
		[]any{nil},
		[]any{map[string]any{}},
		map[string]any{},
		map[string]any{"uuid": json.Number("1"), "state": []any{}, "number": map[string]any{}, "value": nil},
	}
	for _, p := range call.Providers() {
		for _, file := range fixtures(t, p.String()) {
			doc := parsed(t, fixture(t, file))
			for _, l := range leaves("", doc) {
				for _, v := range junk {
					l.set(v)
					in := Input{Value: encoded(t, doc), Timestamp: kafkaTimestamp}
					decodeChecked(t, Settings{Provider: p}, in)
				}
				l.set(l.old)
			}
		}
	}
}

// TestEveryFieldMissing takes away every member of every event, and every
// provider's events go to every other provider's decoder.
func TestEveryFieldMissing(t *testing.T) {
	for _, file := range fixtures(t, "*") {
		raw := fixture(t, file)
		for _, p := range call.Providers() {
			decodeChecked(t, Settings{Provider: p}, Input{Value: raw})
		}
		doc := parsed(t, raw).(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(doc)) {
			old := doc[name]
			delete(doc, name)
			decodeChecked(t, Settings{}, Input{Value: encoded(t, doc), Timestamp: kafkaTimestamp})
			doc[name] = old
		}
	}
}

// TestTruncated cuts every event at every byte: none of the pieces is JSON.
func TestTruncated(t *testing.T) {
	for _, p := range call.Providers() {
		raw := bytes.TrimSpace(fixture(t, fixtures(t, p.String())[0]))
		for n := range len(raw) {
			r := decodeChecked(t, Settings{Provider: p}, Input{Value: raw[:n:n]})
			if r.Reject == nil || r.Reject.Reason != call.RejectMalformedJSON {
				t.Fatalf("%d bytes of %s: %+v", n, p, r)
			}
		}
	}
}

// TestCarried replaces every string and number of every event by a mark and
// lists where marks show up in what leaves the decoder. The golden lists are
// the allow-list: nothing of an account but its id, no dialled digits.
func TestCarried(t *testing.T) {
	for _, p := range call.Providers() {
		carried := map[string]bool{}
		for _, file := range fixtures(t, p.String()) {
			doc := parsed(t, fixture(t, file))
			for _, l := range leaves("", doc) {
				carried[l.path] = carried[l.path] || showsUp(t, p, doc, l)
			}
		}
		maps.DeleteFunc(carried, func(_ string, yes bool) bool { return !yes })
		got := strings.Join(slices.Sorted(maps.Keys(carried)), "\n") + "\n"
		golden := filepath.Join("testdata", p.String(), "carried.golden")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s: %s", p, diff)
		}
	}
}

func showsUp(t *testing.T, p call.Provider, doc any, l leaf) bool {
	const mark = "7316408852"
	switch l.old.(type) {
	case string:
		l.set(mark)
	case json.Number:
		l.set(json.Number(mark))
	default:
		return false
	}
	defer func() { l.set(l.old) }()
	for _, e := range New(Settings{Provider: p}).Decode(Input{Value: encoded(t, doc)}).Events {
		if bytes.Contains(codec.Append(nil, e), []byte(mark)) {
			return true
		}
	}
	return false
}
