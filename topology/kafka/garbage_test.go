package kafka

import "testing"

func TestGarbagePercent(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 160}, // before the first cycle
		{20 << 20, 160},
		{240 << 20, 160},
		{384 << 20, 100},
		{768 << 20, 50},
		{1536 << 20, 25},
		{64 << 30, 25},
	} {
		if got := garbagePercent(c.live); got != c.want {
			t.Errorf("of %d MiB that live: %d %%, want %d", c.live>>20, got, c.want)
		}
	}
}
