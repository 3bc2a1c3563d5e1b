package rejects

import (
	"strings"
	"testing"
)

// A value may be made to have each of its places looked at to its end, which would take
// minutes: each of these is told at once.
func TestHostileValues(t *testing.T) {
	for _, part := range []string{"a", "1", "+1", "a:", "a.", "http://", "http://a/", "é", "1 ", "x@", "?token=", "1-"} {
		long := strings.Repeat(part, (1<<20)/len(part))
		for _, value := range []string{long, `{"from":"` + long + `"}`, `{"x":"` + long + `"}`} {
			if got := len(Pretty([]byte(value), false)); got == 0 || got > 3*valueShown {
				t.Errorf("%d bytes are told of many %q", got, part)
			}
		}
	}
}
