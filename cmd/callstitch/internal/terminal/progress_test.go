package terminal

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// What is no terminal has a line every ten seconds, and none of what is done sooner.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := NewProgress(&out, "read call.sessions")
		for done := range int64(25) {
			p.At(done, 50)
			time.Sleep(time.Second)
		}
		p.End()
		if want := "read call.sessions: 10 of 50 (20 %)\nread call.sessions: 20 of 50 (40 %)\n"; out.String() != want {
			t.Errorf("it says\n%swant\n%s", out.String(), want)
		}
		NewProgress(&out, "nothing").At(0, 0)
	})
}
