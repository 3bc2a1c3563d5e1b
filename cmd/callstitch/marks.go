package main

import (
	"fmt"
	"io"
	"strings"
)

// The colours of a terminal that callstitch uses, as parameters of SGR.
const (
	plain  = ""
	dim    = "2"
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	blue   = "34"
	violet = "35"
	cyan   = "36"
)

// paper writes text for people, in colour where its reader wants that.
type paper struct {
	io.Writer
	colour bool
}

func newPaper(w io.Writer) paper { return paper{w, colours(w)} }

// paint colours a text.
func (p paper) paint(colour, text string) string {
	if !p.colour || colour == plain {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// mark writes one condition with √ where it holds, else × and why.
func (p paper) mark(what string, err error) {
	if err == nil {
		fmt.Fprintf(p, "%s %s\n", p.paint(green, "√"), what)
		return
	}
	fmt.Fprintf(p, "%s %s\n", p.paint(red, "×"), what)
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(p, "    %s\n", line)
	}
}
