package leg

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the table of merge policies in docs/records.md")

// recordFields are the record fields that each field of a leg's fold fills, as
// Markdown; – where it only decides what others say.
var recordFields = map[string]string{
	"id":           "`leg_id`",
	"tenant":       "`tenant_id`",
	"provider":     "`provider`",
	"scope":        "–",
	"callID":       "`provider_call_id`",
	"started":      "`started_at`",
	"ringing":      "`ringing_at`",
	"answer":       "`answered_at`",
	"hangup":       "`ended_at`",
	"miss":         "`ended_at` of a leg that nobody answered",
	"marks":        "`disposition`, `start_lost`, `interim_lost`, `end_lost`",
	"queued":       "`queue_ms`",
	"earliest":     "`session_id`",
	"firstEvent":   "`first_event_at`",
	"newest":       "`last_event_at`",
	"alive":        "`ended_at` with source `TIMEOUT`",
	"answeredBy":   "`answered_by`",
	"direction":    "`direction`",
	"from":         "`from_raw`, `from_e164`, `from_kind`",
	"to":           "`to_raw`, `to_e164`, `to_kind`",
	"account":      "`provider_account_id`",
	"parentCallID": "`provider_parent_call_id`, `parent_leg_id`",
	"conferenceID": "`conference_id`",
	"transferType": "`transfers[].type`",
	"duration":     "`provider_duration_s`",
	"talk":         "`provider_talk_s`",
	"cause":        "`hangup_party`, `hangup_cause`, `q850_cause`, `sip_status`, `provider_cause`",
	"attributes":   "`attributes`",
	"moments":      "`timeline`",
	"recordings":   "`recordings`",
	"ties":         "`correlation_methods`",
	"hangups":      "`transfers`",
	"flags":        "`quality_flags`",
	"events":       "`event_count`",
	"arrival":      "–",
	"duplicates":   "`duplicate_count`",
	"late":         "`late_event_count`",
	"outOfOrder":   "`out_of_order_count`",
	"firstSource":  "`first_src_topic`, `first_src_partition`, `first_src_offset`",
	"lastSource":   "`last_src_topic`, `last_src_partition`, `last_src_offset`",
}

// TestDocumentedPolicies holds the table in docs/records.md against the one that
// the fold's tests are about.
func TestDocumentedPolicies(t *testing.T) {
	const page, begin, end = "../../docs/records.md", "<!-- begin policies -->\n", "<!-- end policies -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	documented, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no lines %q and %q", page, begin, end)
	}
	want := policyTable(t)
	if *update {
		if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("%s is not what policies say; run go test ./processor/leg -run Documented -update (-want +documented):\n%s", page, diff)
	}
}

func policyTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| of the fold | fills | policy | why |\n|---|---|---|---|\n")
	for _, p := range policies {
		fills, known := recordFields[p.Field]
		if !known {
			t.Errorf("recordFields does not say what %s fills", p.Field)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", p.Field, fills, p.Policy, p.Why)
	}
	if len(recordFields) != len(policies) {
		t.Errorf("recordFields names %d fields, policies %d", len(recordFields), len(policies))
	}
	return b.String()
}
