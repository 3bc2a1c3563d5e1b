package simulator

import (
	"strings"
	"testing"
)

// asSessions is what a processor without fault would say.
func asSessions(truths []Truth) string {
	var b strings.Builder
	for i := range truths {
		whole := truths[i]
		whole.named = allFields
		whole.Lossy = false
		b.Write(whole.AppendJSON(nil))
		b.WriteByte('\n')
	}
	return b.String()
}

func compare(t *testing.T, truths []Truth, sessions string) Report {
	t.Helper()
	r, err := Compare(truths, strings.NewReader(sessions))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCompareTakesTheTruth(t *testing.T) {
	_, truths, _ := run(faulty(300))
	r := compare(t, truths, asSessions(truths))
	if !r.OK() || r.Matched+r.Excused != len(truths) || r.Matched < len(truths)/2 {
		t.Errorf("%s", r.String())
	}
}

func TestCompareFindsWhatIsWrong(t *testing.T) {
	_, truths, _ := run(Config{Seed: 4, Calls: 20})
	sessions := asSessions(truths)
	first := truths[0].SessionID
	lines := strings.SplitAfter(sessions, "\n")

	r := compare(t, truths, strings.Join(lines[1:], ""))
	if r.Missing != 1 || r.Extra != 0 {
		t.Errorf("one left out: %s", r.String())
	}
	r = compare(t, truths[1:], sessions)
	if r.Missing != 0 || r.Extra != 1 {
		t.Errorf("one too many: %s", r.String())
	}
	r = compare(t, truths, strings.Replace(sessions, `"leg_count":`, `"leg_count":9`, 1))
	if r.Wrong["leg_count"] != 1 || len(r.Wrong) != 1 {
		t.Errorf("one wrong count: %s", r.String())
	}
	r = compare(t, truths, strings.Replace(sessions, `"provider_call_id":"`, `"provider_call_id":"x`, 1))
	if r.Wrong["legs"] != 1 {
		t.Errorf("one wrong leg: %s", r.String())
	}
	r = compare(t, truths, sessions+`{"session_id":"`+first+`","record_version":9,"record_state":"SUPERSEDED"}`+"\n")
	if r.Missing != 1 {
		t.Errorf("one superseded: %s", r.String())
	}
	older := `{"session_id":"` + first + `","record_version":-1,"record_state":"PARTIAL"}` + "\n"
	for _, both := range []string{older + sessions, sessions + older} {
		if r = compare(t, truths, both); !r.OK() {
			t.Errorf("with an older version: %s", r.String())
		}
	}
	if _, err := Compare(truths, strings.NewReader("{}\n")); err == nil {
		t.Error("a line without session_id is taken")
	}
}

// What is left of a call with losses may come out as other sessions than the
// truth names.
func TestCompareExcusesLoss(t *testing.T) {
	lossy := Truth{Tenant: "t", Provider: "sonetel", Lossy: true, CallIDs: []string{"a", "b"}, named: TenantID | Provider | Legs}
	session := `{"session_id":"1","tenant_id":"t","provider":"sonetel","legs":[{"provider_call_id":"b"}]}` + "\n"
	if r := compare(t, []Truth{lossy}, session); !r.OK() || r.Excused != 1 {
		t.Errorf("%s", r.String())
	}
	if r := compare(t, []Truth{lossy}, strings.Replace(session, `"b"`, `"c"`, 1)); r.Extra != 1 {
		t.Errorf("%s", r.String())
	}
}
