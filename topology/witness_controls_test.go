//go:build controls

package topology

import "testing"

// Without its rule each property fails, and so would notice.
func TestWitnessIsNoticed(t *testing.T) {
	for _, c := range []struct {
		name     string
		property func(uint64, func(*DecodeTask)) error
		plant    func(*DecodeTask)
	}{
		{"a partition's clock follows each record", oneMovesNothing, FollowAtOnce},
		{"a partition's clock follows each record", sameInAnyRun, FollowAtOnce},
		{"a partition that is idle needs no witness", sameInAnyRun, BelieveIdle},
		{"a partition that is not idle vouches for its last record", sameInAnyRun, VouchForLatest},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(witnessSeeds) {
				if err := c.property(seed, c.plant); err != nil {
					t.Logf("noticed: %.200v", err)
					return
				}
			}
			t.Error("not noticed")
		})
	}
}
