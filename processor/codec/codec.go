// Package codec is the binary form of everything that callstitch stores in its
// changelog or sends through its exchange. One visit describes both directions, so
// that reading and writing cannot drift apart.
//
// A value has a form if it has a method Visit(c *Codec), which visits its fields in
// one fixed order. A form that is stored or sent by itself begins with a byte that
// tells its version (Codec.Form); a changed form takes the next byte. What was
// damaged reads as ErrCorrupt, and what a newer program wrote as ErrNewerState:
// neither is ever guessed at, and no bytes make a reader panic.
package codec

import (
	"encoding/binary"
	"errors"
	"slices"
)

var (
	// ErrCorrupt is the failure to read a binary form. It never stems from a
	// provider's data, only from a damaged internal topic.
	ErrCorrupt = errors.New("corrupt binary form")
	// ErrNewerState is the failure to read a form of a newer program. The way out
	// is to run that program.
	ErrNewerState = errors.New("written by a newer program")
)

// Value is what has a binary form.
type Value interface{ Visit(c *Codec) }

// Append appends the form of v to b.
func Append(b []byte, v Value) []byte {
	c := NewWriter(b)
	v.Visit(c)
	return c.Buf
}

// Read reads v from b, all of which must be used. It fails with ErrCorrupt or
// ErrNewerState.
func Read(b []byte, v Value) error {
	c := NewReader(b)
	v.Visit(c)
	return c.Done()
}

// Codec visits the fields of a value in one fixed order, either appending them to
// Buf or reading them from it. Integers are zigzag varints; strings and slices
// carry their length. The first failure of a reader stays in Err, and whatever it
// is asked for from then on is empty.
type Codec struct {
	Buf     []byte // output so far, or input that remains
	Reading bool
	Err     error
	text    string // all that is read, as a string: strings of the value are parts of it
}

// NewReader reads from b. All strings of the value share one copy of b.
func NewReader(b []byte) *Codec {
	c := new(Codec)
	c.Read(b)
	return c
}

// NewWriter appends to b.
func NewWriter(b []byte) *Codec { return &Codec{Buf: b} }

// Read makes c a reader of b, and Write one that appends to b, whatever it was
// before. They spare who visits much a codec for each value.
func (c *Codec) Read(b []byte) { *c = Codec{Buf: b, Reading: true, text: string(b)} }

// Write is described at Read.
func (c *Codec) Write(b []byte) { *c = Codec{Buf: b} }

// Done ends a reading: it is the reader's error, or ErrCorrupt where it has left
// something over.
func (c *Codec) Done() error {
	if c.Err == nil && len(c.Buf) != 0 {
		return ErrCorrupt
	}
	return c.Err
}

// Fail ends a reading with an error; the first one stays. A writer has nothing to
// fail at.
func (c *Codec) Fail(err error) {
	if !c.Reading {
		return
	}
	if c.Err == nil {
		c.Err = err
	}
	c.Buf = nil
}

func (c *Codec) corrupt() { c.Fail(ErrCorrupt) }

// Form visits the byte that a form begins with: its version, of which there is one.
func (c *Codec) Form(current byte) {
	form := current
	c.Forms(&form, current, current)
}

// Forms visits the byte that a form begins with, where several versions are read and
// written.
func (c *Codec) Forms(form *byte, oldest, newest byte) {
	c.Byte(form)
	if c.Reading && c.Err == nil {
		if err := CheckForm(*form, oldest, newest); err != nil {
			c.Fail(err)
		}
	}
}

// CheckForm is the error of a form of that version, where this program reads those from
// the oldest to the newest: ErrNewerState for a later one, ErrCorrupt for one that never
// was.
func CheckForm(form, oldest, newest byte) error {
	switch {
	case form > newest:
		return ErrNewerState
	case form < oldest:
		return ErrCorrupt
	default:
		return nil
	}
}

// Int64 visits an integer.
func (c *Codec) Int64(p *int64) {
	if !c.Reading {
		c.Buf = binary.AppendVarint(c.Buf, *p)
		return
	}
	if len(c.Buf) > 0 && c.Buf[0] < 0x80 { // most are small
		*p = int64(c.Buf[0]>>1) ^ -int64(c.Buf[0]&1)
		c.skip(1)
		return
	}
	n, size := binary.Varint(c.Buf)
	if size <= 0 {
		*p = 0
		c.corrupt()
		return
	}
	*p = n
	c.skip(size)
}

func (c *Codec) skip(n int) { c.Buf = c.Buf[n:] }

// Int32 visits an integer of 32 bits.
func (c *Codec) Int32(p *int32) {
	n := int64(*p)
	c.Int64(&n)
	*p = int32(n)
}

// Uint64 visits eight raw bytes, for hashes.
func (c *Codec) Uint64(p *uint64) {
	if !c.Reading {
		c.Buf = binary.BigEndian.AppendUint64(c.Buf, *p)
		return
	}
	if len(c.Buf) < 8 {
		c.corrupt()
		return
	}
	*p = binary.BigEndian.Uint64(c.Buf)
	c.skip(8)
}

// Byte visits one byte.
func (c *Codec) Byte(p *byte) {
	if !c.Reading {
		c.Buf = append(c.Buf, *p)
		return
	}
	if len(c.Buf) == 0 {
		c.corrupt()
		return
	}
	*p = c.Buf[0]
	c.skip(1)
}

// Bool visits a boolean: 0 or 1.
func (c *Codec) Bool(p *bool) {
	var b byte
	if *p {
		b = 1
	}
	c.Byte(&b)
	if b > 1 {
		c.corrupt()
	}
	*p = b == 1
}

// Raw visits a fixed number of bytes in place.
func (c *Codec) Raw(p []byte) {
	if !c.Reading {
		c.Buf = append(c.Buf, p...)
		return
	}
	if len(c.Buf) < len(p) {
		c.corrupt()
		return
	}
	copy(p, c.Buf)
	c.skip(len(p))
}

// String visits a string.
func (c *Codec) String(p *string) {
	n := int64(len(*p))
	c.Int64(&n)
	if !c.Reading {
		c.Buf = append(c.Buf, *p...)
		return
	}
	if n < 0 || n > int64(len(c.Buf)) {
		*p = ""
		c.corrupt()
		return
	}
	at := len(c.text) - len(c.Buf)
	*p = c.text[at : at+int(n)]
	c.skip(int(n))
}

// Len visits the length of a slice whose elements take at least one byte each.
func (c *Codec) Len(n int) int {
	l := int64(n)
	c.Int64(&l)
	if c.Reading && (l < 0 || l > int64(len(c.Buf))) {
		c.corrupt()
		return 0
	}
	return int(l)
}

// Enum visits a word of a vocabulary with n words, given as its number.
func Enum[T ~uint8](c *Codec, p *T, n int) {
	b := byte(*p)
	c.Byte(&b)
	if c.Reading && int(b) >= n {
		c.corrupt()
		b = 0
	}
	*p = T(b)
}

// List visits the elements of a slice.
func List[T any](c *Codec, p *[]T, visit func(*T, *Codec)) {
	n := c.Len(len(*p))
	if c.Reading {
		*p = slices.Grow((*p)[:0], n)[:n]
		if n == 0 {
			*p = nil
		}
	}
	for i := range *p {
		visit(&(*p)[i], c)
	}
}
