package session

import (
	"fmt"
	"os"
	"testing"

	"callstitch/processor/call"
)

// TestNumberSaysWhatTheWordSays: FreeSWITCH's words tell the same by their numbers,
// since 2022 and before.
func TestNumberSaysWhatTheWordSays(t *testing.T) {
	for word, numbers := range map[string][]string{
		"LOSE_RACE": {"702", "502"}, "PICKED_OFF": {"805", "605"}, "BLIND_TRANSFER": {"800", "600"},
		"ATTENDED_TRANSFER": {"801", "601"}, "BOWOUT": {"814", "614"}, "NORMAL_CLEARING": {"16", ""},
	} {
		d := &dialects[call.Opentact]
		want := d.says(call.Ending{ProviderCause: word})
		for _, number := range numbers {
			for _, why := range []call.Ending{{ProviderCauseCode: number}, {ProviderCauseCode: number, ProviderCause: word}, {ProviderCauseCode: number, ProviderCause: "Whatever"}} {
				if got := d.says(why); got != want {
					t.Errorf("%+v says %d, the word %d", why, got, want)
				}
			}
		}
	}
}

// TestMain walks all providers before anything else: without the row of one,
// other tests would fail in ways that do not name it.
func TestMain(m *testing.M) {
	for _, p := range call.Providers() {
		if int(p) >= len(dialects) || dialects[p].transfers == nil {
			fmt.Printf("processor/session/dialect.go has no row for %s; one that tells of no transfers has an empty list of rules\n", p)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}
