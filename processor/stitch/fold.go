package stitch

import (
	"bytes"

	"callstitch/processor/codec"
	"callstitch/processor/leg"
)

// fold is a leg with its form. The form is most of what is written of a node or in a
// message, and most are written more often than the leg changes: so it is made once.
type fold struct {
	leg  *leg.Leg // nil where nothing is known of one
	form []byte   // of the leg as it is; nil where that is not known

	at, end int // where the form is in what was written last
}

// legChanges says that the leg is about to change.
func (f *fold) legChanges() { f.form = nil }

// Visit visits the leg.
func (f *fold) Visit(c *codec.Codec) {
	if c.Reading {
		rest := c.Buf
		f.leg.Visit(c)
		f.form = bytes.Clone(rest[:len(rest)-len(c.Buf)]) // the state's memory is not the machine's to keep
		return
	}
	f.at = len(c.Buf)
	if f.form != nil {
		c.Raw(f.form)
	} else {
		f.leg.Visit(c)
	}
	f.end = len(c.Buf)
}

// wrote takes the form out of what was written last, which nobody changes.
func (f *fold) wrote(written []byte) { f.form = written[f.at:f.end:f.end] }
