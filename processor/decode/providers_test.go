package decode

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
		if int(p) >= len(providers) || providers[p].fits == nil || providers[p].read == nil {
			fmt.Printf("processor/decode/providers.go has no row for %s\n", p)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}
