package session

import (
	"fmt"
	"os"
	"testing"

	"callstitch/processor/call"
)

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
