package terminal

import (
	"fmt"
	"io"
	"time"
)

const (
	// redrawn is how often a terminal shows progress, told how often anything else has a
	// line of it.
	redrawn = 200 * time.Millisecond
	told    = 10 * time.Second
)

// Progress says how far something long has come: on a terminal in one line that changes,
// else in a line every ten seconds. What is done sooner is not spoken of.
type Progress struct {
	w     io.Writer
	what  string
	every time.Duration
	next  time.Time
	shown bool // a line that is not ended yet
}

// NewProgress is the progress of what is said, written to w.
func NewProgress(w io.Writer, what string) *Progress {
	p := &Progress{w: w, what: what, every: told}
	if Is(w) {
		p.every = redrawn
	}
	p.next = time.Now().Add(p.every)
	return p
}

// At takes in how much is done, of how much.
func (p *Progress) At(done, all int64) {
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next = now.Add(p.every)
	line := fmt.Sprintf("%s: %d of %d (%d %%)", p.what, done, all, 100*done/max(all, 1))
	if p.every == redrawn {
		p.shown = true
		fmt.Fprint(p.w, "\r"+line+"\x1b[K")
		return
	}
	fmt.Fprintln(p.w, line)
}

// End clears the line of a terminal.
func (p *Progress) End() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
