package rejects

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"callstitch/processor/call"
	"callstitch/schemas"
)

func TestPretty(t *testing.T) {
	for value, want := range map[string]string{
		``:                              ``,
		`not json`:                      `not json`,
		`{}`:                            `{}`,
		`[1,2.5,{}]`:                    "[\n  1,\n  2.5,\n  {}\n]",
		`{"a":"b","a":[null,true]}`:     "{\n  \"a\": \"b\",\n  \"a\": [\n    null,\n    true\n  ]\n}",
		"{\"a\":\"\\u001b[31m\u202e\"}": "{\n  \"a\": \"\\u001b[31m\\u202e\"\n}",
		"a\x1b[2J\tb\r\nc\xff":          "a\\u001b[2J    b\\u000d\nc\\xff",
		`{"from":"+15550100123","callId":"c-7c4e7185-1234-5678-9012-345678901234","to":"sip:alice@example.com"}`: "{\n  \"from\": \"+•••••••••23\",\n  \"callId\": \"c-7c4e7185-1234-5678-9012-345678901234\",\n  \"to\": \"sip:•••ce\"\n}",
		`{"caller":{"name":"Alice","tags":["x1234"]},"n":15550100123,"at":1772359200123,"state":"live"}`:         "{\n  \"caller\": {\n    \"name\": \"•••ce\",\n    \"tags\": [\n      \"•••34\"\n    ]\n  },\n  \"n\": \"•••••••••23\",\n  \"at\": 1772359200123,\n  \"state\": \"live\"\n}",
	} {
		if got := Pretty([]byte(value), false); got != want {
			t.Errorf("%q\n got %s\nwant %s", value, got, want)
		}
	}
	event := schemas.AppendJSON(nil, &call.EventRecord{Event: &call.Event{
		CallID: "c-1", From: call.Party{Raw: "4711", E164: "+15550100123"}, To: call.Party{Raw: "sip:bob@example.com"}, TransferTarget: "5550100",
		Recording: call.RecordingFact{URL: "https://h.example/a?sig=secret"},
	}})
	if got := Pretty(event, false); !strings.Contains(got, `"provider_call_id": "c-1"`) || regexp.MustCompile(`4711|0100|bob|secret`).MatchString(got) {
		t.Errorf("an event as it was understood: %s", got)
	}
	if got := Pretty(nil, false); got != "null" {
		t.Errorf("a null value is %q", got)
	}
	if got := Pretty([]byte(`{"to":"+15550100123"}`), true); !strings.Contains(got, "+15550100123") {
		t.Errorf("plain: %s", got)
	}
	if got := Pretty([]byte(strings.Repeat("é ", valueShown)), false); len(got) > valueShown+50 || !strings.HasSuffix(got, "\n(of 196608 bytes)") {
		t.Errorf("%d bytes are shown, which end in %q", len(got), got[len(got)-30:])
	}
	if got := Pretty(bytes.Repeat([]byte{0xff}, 1e6), false); len(got) > bytesShown+50 || !strings.HasPrefix(got, `\xff\xff`) {
		t.Errorf("%d bytes are shown of what is no text: %.20s", len(got), got)
	}
}

func TestMaskText(t *testing.T) {
	for text, want := range map[string]string{
		"call from +1 555-0100-123 at 2026-03-01T10:00:00.500Z": "call from +• •••-••••-•23 at 2026-03-01T10:00:00.500Z",
		"2026-03-01 10:00:00 5550100":                           "2026-03-01 10:00:00 •••••00",
		"(555) 010-0123":                                        "(•••) •••-••23",
		"123456 is short":                                       "123456 is short",
		"https://u:pw@h.example/15550100123/a?sig=abc#x":        "https://•@h.example/•••••••••23/a?•",
		"<sip:15550100123@pbx.example>;tag=1":                   "<sip:•••••••••23@pbx.example>;tag=1",
		"bob@example.com":                                       "•ob@example.com",
		"at 1772359200123 ms":                                   "at 1772359200123 ms",
		"49 1772 3592001":                                       "•• •••• •••••01",
		"":                                                      "",
	} {
		if got := maskText(text); got != want {
			t.Errorf("%q\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestIDs: one looks for a call by its id, so that is shown whole, unless it is a number or
// has one of the record's in it. What is called an id and is a party's is no id.
func TestIDs(t *testing.T) {
	for value, want := range map[string]string{
		`{"callId":"a12345678b"}`:                                 `a12345678b`,
		`{"call_id":"call-vn-1-ZD3IDIXS1J-168898765"}`:            `call-vn-1-ZD3IDIXS1J-168898765`,
		`{"id":"1700000000.1234"}`:                                `1700000000.1234`,
		`{"parentCallId":"1234567890123456"}`:                     `1234567890123456`,
		`{"accountId":"AC5550199555"}`:                            `AC5550199555`,
		`{"call":{"uuid":"leg-15550100123"}}`:                     `leg-15550100123`, // whose number would it be?
		`{"callId":"15550100123"}`:                                `•••••••••23`,
		`{"callId":15550100123}`:                                  `•••••••••23`,
		`{"callId":"+15550100123"}`:                               `+•••••••••23`,
		`{"callId":"555.010.0123"}`:                               `•••.•••.••23`,
		`{"callId":"15550100123@pbx"}`:                            `•••••••••23@pbx`,
		`{"callId":"leg-15550100123-1","to":"(555) 010-0123"}`:    `leg-••••••••••3-1`,
		`{"from":{"number":"5550100123"},"callId":"x5550100123"}`: `x••••••••23`,
		`{"callerId":"sip15550100123"}`:                           `sip•••••••••23`,
		`{"callerId":"15550100123"}`:                              `•••••••••23`,
		`{"transferCallerId":"15550100123"}`:                      `•••••••••23`,
		`{"from":{"id":"a15550100123b"}}`:                         `•••••••••••3b`,
		`{"request_from_user_id":"15550100123"}`:                  `•••••••••23`,
	} {
		if got := Pretty([]byte(value), false); !strings.Contains(got, `"`+want+`"`) && !strings.Contains(got, ": "+want+"\n") {
			t.Errorf("%s\n got %s\nwant %s", value, got, want)
		}
	}
}

// No number comes out whole, wherever it stands and however it is written.
func TestNoNumberIsShown(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	forms := []string{
		`{"from":"%s"}`, `{"x":{"y":["%s"]}}`, `{"x":%[1]s}`, `%s`, `from=%s&to=1`, `{"url":"https://h/%s"}`, `{"url":"https://h/?n=%s"}`,
		`{"to":"sip:%s@h"}`, `{"%s":1}`, `{"callId":"%s"}`, `{"callId":"c-%[1]s-1","to":"+%[1]s"}`, `{"id":"x%[1]s","from":{"number":"%[1]s"}}`, `<x>%s</x>`, `{"x":"%s`, "a%sb", `{"x":"call %s now"}`, `{"x":"{\"from\":\"%s\"}"}`,
	}
	for range 2000 {
		number := fmt.Sprintf("1555010%04d", r.IntN(10_000))
		form := forms[r.IntN(len(forms))]
		if got := Pretty(fmt.Appendf(nil, form, number), false); strings.Contains(got, number) || strings.Contains(got, number[4:]) {
			t.Fatalf("%s of %s is shown as %s", form, number, got)
		}
	}
}
