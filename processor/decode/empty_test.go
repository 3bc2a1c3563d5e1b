package decode

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
)

// TestEmptyIsAbsent puts the empty string in place of every value of every event,
// objects and lists too. The record says what it would say without that member:
// relays write "" for what a provider left out.
func TestEmptyIsAbsent(t *testing.T) {
	for _, p := range call.Providers() {
		for _, file := range fixtures(t, p.String()) {
			doc := parsed(t, fixture(t, file))
			for _, l := range leaves("", doc) {
				l.set("")
				got := said(p, encoded(t, doc))
				l.set(nil)
				want := said(p, encoded(t, doc))
				if !strings.Contains(l.path, "[") { // a member, and not of a list's element
					want = said(p, edited(t, file, map[string]any{l.path: nil}))
				}
				l.set(l.old)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: %s is \"\" (-absent +empty):\n%s", file, l.path, diff)
				}
			}
		}
	}
}

// said is all that a record says, without the hash of its bytes.
func said(p call.Provider, raw []byte) string {
	r := New(Settings{Provider: p}).Decode(Input{Value: raw, Timestamp: kafkaTimestamp})
	for _, e := range r.Events {
		e.SHA256 = [32]byte{}
	}
	return describeResult(r)
}

// TestQueryTurnedIntoJSON: all values of a GET callback are strings, what is not
// there is empty, and a plus is a space.
func TestQueryTurnedIntoJSON(t *testing.T) {
	e := event(t, []byte(`{"eventType":"disconnect","eventTime":"2026-03-11T16:20:30.120Z","callId":"c-1","accountId":"5000000","direction":"outbound",
		"from":" 15550100151","to":" 495550100152","startTime":"2026-03-11T16:20:00.000Z","endTime":"2026-03-11T16:20:30.000Z","enqueuedTime":"","answerTime":"",
		"cause":"rejected","sipResponseCode":"603","tag":"","parentCallId":"","transferTo":"","transferCallerId":"","machineDetectionResult":""}`))
	equal(t, "from", e.From, call.Party{Raw: " 15550100151", E164: "+15550100151", Kind: call.PartyPSTN})
	equal(t, "to", e.To, call.Party{Raw: " 495550100152", E164: "+495550100152", Kind: call.PartyPSTN})
	equal(t, "SIP", e.SIPStatus, call.Code{N: 603, Src: call.CodeReported})
	equal(t, "flags", e.Flags, 0)
	equal(t, "answered", e.Answered, call.Instant{})
	equal(t, "attributes", len(e.Attributes), 0)
}
