package terminal

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// On a terminal a line replaces the last and goes at the end; elsewhere lines stay. What
// is over soon is not told at all.
func TestProgress(t *testing.T) {
	for _, c := range []struct {
		live  bool
		every time.Duration
		takes time.Duration
		want  string
	}{
		{true, progressLive, 900 * time.Millisecond, ""},
		{true, progressLive, 1500 * time.Millisecond, "\r\x1b[Khalf\r\x1b[Khalf\r\x1b[K"},
		{false, progressLines, 9 * time.Second, ""},
		{false, progressLines, 25 * time.Second, "half\nhalf\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			p := startProgress(&out, func() string { return "half" }, c.live, c.every)
			time.Sleep(c.takes)
			p.Stop()
			p.Stop()
			if got := out.String(); got != c.want {
				t.Errorf("live %t, %v: %q, want %q", c.live, c.takes, got, c.want)
			}
		})
	}
	var out bytes.Buffer
	p := StartProgress(&out, func() string { return "half" })
	p.Stop()
	if strings.Contains(out.String(), "half") {
		t.Error("told at once")
	}
}
