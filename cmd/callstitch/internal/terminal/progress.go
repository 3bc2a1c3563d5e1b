package terminal

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// progressAfter is how long something may take before anybody asks how far it is.
	progressAfter = time.Second
	// progressLive is between two looks on a terminal, where a line replaces the last.
	progressLive = 200 * time.Millisecond
	// progressLines is between two lines elsewhere, which stay.
	progressLines = 10 * time.Second
)

// Progress tells how far a long piece of work is: on a terminal in one line that
// goes when the work ends, elsewhere by a line every ten seconds.
type Progress struct {
	stop chan struct{}
	done sync.WaitGroup
}

// StartProgress tells on w what say says, called beside the work, until Stop.
func StartProgress(w io.Writer, say func() string) *Progress {
	every := progressLines
	if Is(w) {
		every = progressLive
	}
	return startProgress(w, say, Is(w), every)
}

func startProgress(w io.Writer, say func() string, live bool, every time.Duration) *Progress {
	p := &Progress{stop: make(chan struct{})}
	p.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		begun, shown := time.Now(), false
		for {
			select {
			case <-p.stop:
				if shown && live {
					fmt.Fprint(w, "\r\x1b[K")
				}
				return
			case <-tick.C:
			}
			switch {
			case live && time.Since(begun) > progressAfter:
				shown = true
				fmt.Fprintf(w, "\r\x1b[K%s", say())
			case !live:
				fmt.Fprintln(w, say())
			}
		}
	})
	return p
}

// Stop ends the telling, and returns when nothing more is written. It may be called
// again.
func (p *Progress) Stop() {
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.done.Wait()
}
