// Package terminal writes for people: conditions that hold or do not, sessions a
// line each, in colour where the reader's terminal shows colours. It knows the
// domain's values and no command.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// Colour is a parameter of SGR, the terminal's sequence for how text looks.
type Colour string

// The colours that callstitch uses.
const (
	Plain  Colour = ""
	Dim    Colour = "2"
	Bold   Colour = "1"
	Red    Colour = "31"
	Green  Colour = "32"
	Yellow Colour = "33"
	Blue   Colour = "34"
	Violet Colour = "35"
	Cyan   Colour = "36"
)

// Writer writes text for people. The zero value of Colours writes plain text.
type Writer struct {
	io.Writer
	Colours bool
}

// New is a Writer to w, in colour where ShowsColours(w).
func New(w io.Writer) Writer { return Writer{w, ShowsColours(w)} }

// Paint is the text in a colour.
func (w Writer) Paint(c Colour, text string) string {
	if !w.Colours || c == Plain {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// Mark writes one condition: with √ where err is nil, else with × and the error's
// lines below it.
func (w Writer) Mark(what string, err error) {
	if err == nil {
		fmt.Fprintf(w, "%s %s\n", w.Paint(Green, "√"), what)
		return
	}
	fmt.Fprintf(w, "%s %s\n", w.Paint(Red, "×"), what)
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(w, "    %s\n", line)
	}
}

// Remark writes one line, with !, that deserves a look and is no condition.
func (w Writer) Remark(text string) {
	fmt.Fprintf(w, "%s %s\n", w.Paint(Yellow, "!"), text)
}

// Printable is somebody else's text without what a terminal would obey.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '�'
	}, text)
}

// Is reports whether w is a terminal.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ShowsColours reports whether w shows colours and the user wants them
// (no-color.org).
func ShowsColours(w io.Writer) bool {
	return Is(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
