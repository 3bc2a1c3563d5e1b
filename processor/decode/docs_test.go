package decode

import (
	"fmt"
	"os"
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
func TestDocumentedCauses(t *testing.T) {
	const page, begin, end = "../../docs/records.md", "<!-- begin causes -->\n", "<!-- end causes -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	documented, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no lines %q and %q", page, begin, end)
	}
	want := causeTables()
	if *update {
		if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("%s is not what Causes says; run go test ./processor/decode -run Documented -update (-want +documented):\n%s", page, diff)
	}
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
