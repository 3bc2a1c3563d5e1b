package simulator

import (
	"slices"
	"testing"

	domain "callstitch/processor/call"
)

// TestEveryProviderIsSimulated walks all providers and asks for the row of each.
func TestEveryProviderIsSimulated(t *testing.T) {
	for _, p := range domain.Providers() {
		i := slices.IndexFunc(providers[:], func(o *provider) bool { return o.name == p.String() })
		if i < 0 || providers[i].draw == nil || len(providers[i].slips) == 0 {
			t.Errorf("the simulator's providers have no row for %s", p)
		}
	}
}
