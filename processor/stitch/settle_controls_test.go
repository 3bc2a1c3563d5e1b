//go:build controls

package stitch

import "testing"

// Without the mark that a leg came again its session settles twice.
func TestComesAgainIsNoticed(t *testing.T) {
	for _, by := range []byte{witnessMessage, unionMessage} {
		for _, early := range []bool{true, false} {
			if n := comesAgain(t, by, early, Control{ForgetAgain: true}); n == 0 {
				t.Errorf("message %d, event at once %t: not noticed", by, early)
			}
		}
	}
}
