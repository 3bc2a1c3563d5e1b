package decode

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
)

// title is the heading of a scheme's table of causes.
func (s Scheme) title() string {
	switch s {
	case Q850Scheme:
		return "Q.850"
	case FreeSwitchScheme:
		return "FreeSWITCH"
	case SIPScheme:
		return "SIP"
	default: // a provider's own, by its name
		return strings.ToUpper(string(s[:1])) + string(s[1:])
	}
}

// TestDocumentedCauses holds the tables in docs/records.md against Causes.
func TestDocumentedCauses(t *testing.T) { compareDocs(t, "causes", causeTables()) }

// TestDocumentedEvents holds the table of what providers send against the decoders.
func TestDocumentedEvents(t *testing.T) { compareDocs(t, "sent", sentTable()) }

// compareDocs holds what is between two marks of docs/records.md against what must be
// there.
func compareDocs(t *testing.T, mark, want string) {
	t.Helper()
	page, begin, end := "../../docs/records.md", "<!-- begin "+mark+" -->\n", "<!-- end "+mark+" -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	documented, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no lines %q and %q", page, begin, end)
	}
	if *update {
		if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("%s is not what the decoders say; run go test ./processor/decode -run Documented -update (-want +documented):\n%s", page, diff)
	}
}

// further are events that no map of a decoder lists: they are told by other members,
// or become several types.
var further = map[call.Provider]map[string]string{
	call.Opentact: {
		"call_flow": "`CALL_UPDATED`, of an `Answer` that succeeded `CALL_ANSWERED`", "call_record": "`RECORDING_AVAILABLE`",
		"call_asr": "`TRANSCRIPTION_AVAILABLE`",
	},
	call.Stringee: {"a post with `recording_url`": "`RECORDING_AVAILABLE`", "a post with `dtmf`": "`DTMF`"},
	call.Bandwidth: {
		"referComplete": "`CALL_ENDED` where the caller was passed on, `TRANSFER_FAILED` where not, `CALL_UPDATED` where it does not tell",
	},
}

// sentTable lists the events that are known of each provider, and what is ignored.
func sentTable() string {
	sent := map[call.Provider]map[string]string{}
	for _, p := range call.Providers() {
		sent[p] = map[string]string{}
	}
	for name, state := range opentactStates {
		sent[call.Opentact]["call_state "+name] = "`" + state.event.String() + "`"
	}
	for name, event := range stringeeStatuses {
		sent[call.Stringee][name] = "`" + event.String() + "`"
	}
	for name, known := range sonetelEvents {
		sent[call.Sonetel][name] = "`" + known.event.String() + "`"
	}
	for name, known := range bandwidthEvents {
		sent[call.Bandwidth][name] = "`" + known.event.String() + "`"
	}
	var b strings.Builder
	b.WriteString("| provider | sends | becomes |\n|---|---|---|\n")
	for _, p := range call.Providers() {
		maps.Copy(sent[p], further[p])
		for _, name := range slices.Sorted(maps.Keys(sent[p])) {
			shown := "`" + name + "`"
			if strings.Contains(name, "`") {
				shown = name
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", p, shown, sent[p][name])
		}
		fmt.Fprintf(&b, "| %s | anything else of a call | `UNKNOWN` |\n", p)
		fmt.Fprintf(&b, "| %s | of no call: `%s` | ignored, and counted so |\n", p,
			strings.Join(slices.Sorted(maps.Values(providers[p].ignored)), "`, `"))
	}
	return b.String()
}

func causeTables() string {
	var b strings.Builder
	var scheme Scheme
	for _, r := range Causes() {
		if r.Scheme != scheme {
			scheme = r.Scheme
			fmt.Fprintf(&b, "### %s\n\n| code | name | `hangup_cause` | unanswered | `hangup_party` | Q.850 | SIP | source |\n|---|---|---|---|---|---|---|---|\n", scheme.title())
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | `%s` | %s | %s | %s | %s |\n", r.Code, r.Name, r.Cause, r.Unanswered,
			partyOrNone(r.Party), codeOrNone(r.Q850), codeOrNone(r.SIP), r.Source)
	}
	return strings.ReplaceAll(b.String(), "|\n###", "|\n\n###")
}

func partyOrNone(p call.HangupParty) string {
	if p == call.NoHangupParty {
		return ""
	}
	return "`" + p.String() + "`"
}

func codeOrNone(n int32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
