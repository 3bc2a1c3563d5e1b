// Package explain tells how a session came to be: which raw records made it, what
// each changed, and why it closed. It finds the records that have to do with a
// question, runs the processor's core over them again, and holds the result
// against what the output topics have. It reads files and topics; it writes only
// the story.
package explain

import (
	"fmt"

	"callstitch/cmd/callstitch/internal/terminal"
)

// Explain writes the story of what a question is about. Of parties the last two
// digits are shown, unless showNumbers. The error says that the evidence has
// nothing of it, or that it could not be written.
func Explain(w terminal.Writer, q Question, e Evidence, showNumbers bool) error {
	r := relate(e, q)
	if !r.found() {
		return fmt.Errorf("%s is in none of %s", q, e.where)
	}
	return newStory(w, q, r, showNumbers).replay(e)
}
