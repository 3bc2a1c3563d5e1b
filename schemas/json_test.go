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
