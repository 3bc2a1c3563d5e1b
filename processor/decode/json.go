package decode

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"callstitch/processor/call"
)

// Limits on a raw record. The largest event seen in the field has 12 kB and
// nests 8 deep; what is beyond these is no call event.
const (
	MaxBytes = 1 << 20
	MaxDepth = 64
)

// keptNodes bounds the memory that a decoder keeps between records.
const keptNodes = 4096

// document is one record's JSON after a single strict pass: a flat list of
// values in document order, each of which knows where the next one after it
// begins. It refers to the input and copies nothing.
type document struct {
	src     []byte
	escapes bool // there are escapes in some string
	nodes   []node
	open    []int32 // containers that are not closed yet
	input   bytes.Buffer
	tokens  jsontext.Decoder
}

type node struct {
	nameFrom, nameTo int32 // the member's name with its quotes; equal for elements
	from, to         int32
	next             int32 // the node after this value and all that it holds
	kind             jsontext.Kind
	escapedName      bool
}

// byteOrderMark is what some relays write before JSON, and two relays in a row write
// twice. A reader may ignore it (RFC 8259 §8.1).
var byteOrderMark = []byte("\ufeff")

// parse reads all of src, which must be one JSON value: valid UTF-8, no name
// twice in an object, nothing after it. Byte order marks before it are as if they
// were not there; places in the input are counted after them.
func (d *document) parse(src []byte) *Rejection {
	for bytes.HasPrefix(src, byteOrderMark) {
		src = src[len(byteOrderMark):]
	}
	d.reset(src)
	var name node
	named, end := false, int32(0)
	for {
		token, err := d.tokens.ReadToken()
		if err == io.EOF && len(d.nodes) > 0 {
			return nil
		}
		if err != nil {
			return malformed(err, end)
		}
		from := d.skip(end)
		end = int32(d.tokens.InputOffset())
		kind := token.Kind()
		switch top := len(d.open) - 1; {
		case kind == jsontext.KindEndObject || kind == jsontext.KindEndArray:
			d.close(end)
		case top >= 0 && d.nodes[d.open[top]].kind == jsontext.KindBeginObject && !named:
			name, named = node{nameFrom: from, nameTo: end, escapedName: d.isEscaped(from, end)}, true
		case top < 0 && len(d.nodes) > 0:
			return reject(call.RejectMalformedJSON, "more than one JSON value: the second begins at byte "+strconv.Itoa(int(from)))
		default:
			name.from, name.to, name.kind = from, end, kind
			if !d.add(name) {
				return reject(call.RejectTooDeep, "nested more than "+strconv.Itoa(MaxDepth)+" levels at byte "+strconv.Itoa(int(from)))
			}
			name, named = node{}, false
		}
	}
}

func (d *document) reset(src []byte) {
	if cap(d.nodes) > keptNodes {
		d.nodes = nil
	}
	d.src, d.nodes, d.open = src, d.nodes[:0], d.open[:0]
	d.escapes = bytes.IndexByte(src, '\\') >= 0
	d.input = *bytes.NewBuffer(src)
	d.tokens.Reset(&d.input)
}

// skip finds where the token after byte at begins: all that stands between
// tokens is white space, a comma or a colon.
func (d *document) skip(at int32) int32 {
	for ; int(at) < len(d.src); at++ {
		switch d.src[at] {
		case ' ', '\t', '\r', '\n', ',', ':':
		default:
			return at
		}
	}
	return at
}

// add appends a value; false where it would nest too deep.
func (d *document) add(n node) bool {
	at := int32(len(d.nodes))
	n.next = at + 1
	d.nodes = append(d.nodes, n)
	if n.kind == jsontext.KindBeginObject || n.kind == jsontext.KindBeginArray {
		d.open = append(d.open, at)
	}
	return len(d.open) <= MaxDepth
}

func (d *document) close(end int32) {
	last := len(d.open) - 1
	n := &d.nodes[d.open[last]]
	n.to, n.next = end, int32(len(d.nodes))
	d.open = d.open[:last]
}

func (d *document) root() value { return value{d, 0} }

// malformed says where the input stops being JSON, without quoting any of it.
func malformed(err error, end int32) *Rejection {
	what, at := "invalid JSON", int64(end)
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = syntactic.ByteOffset
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		what = "name that its object already has"
	case errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF:
		what = "JSON ends early"
	}
	return reject(call.RejectMalformedJSON, what+" at byte "+strconv.FormatInt(at, 10))
}

// value is one JSON value of a document; the zero value is absent.
type value struct {
	doc *document
	at  int32
}

func (v value) node() *node { return &v.doc.nodes[v.at] }

// kind is 0 for an absent value.
func (v value) kind() jsontext.Kind {
	if v.doc == nil {
		return 0
	}
	return v.node().kind
}

// given reports whether there is a value, other than null and the empty string:
// relays that turn a query or a form into JSON write "" for what the provider left
// out.
func (v value) given() bool { return v.kind() != 0 && v.kind() != jsontext.KindNull && !v.isEmpty() }

// isEmpty reports whether v is the empty string.
func (v value) isEmpty() bool { return v.isString() && v.node().to-v.node().from == int32(len(`""`)) }

func (v value) isObject() bool { return v.kind() == jsontext.KindBeginObject }
func (v value) isString() bool { return v.kind() == jsontext.KindString }

// get is the object's member of that name, absent where v is no object.
func (v value) get(name string) value {
	if !v.isObject() {
		return value{}
	}
	d := v.doc
	for i, end := v.at+1, v.node().next; i < end; {
		n := &d.nodes[i]
		if int(n.nameTo-n.nameFrom) == len(name)+len(`""`) && string(d.src[n.nameFrom+1:n.nameTo-1]) == name ||
			n.escapedName && string(unquote(d.src[n.nameFrom:n.nameTo])) == name {
			return value{d, i}
		}
		i = n.next
	}
	return value{}
}

// either is the member of the first name, or else of the second.
func (v value) either(name, other string) value {
	if m := v.get(name); m.given() {
		return m
	}
	return v.get(other)
}

func (d *document) isEscaped(from, to int32) bool {
	return d.escapes && bytes.IndexByte(d.src[from:to], '\\') >= 0
}

// elements are the values of an array, none where v is no array.
func (v value) elements() iter.Seq2[int, value] {
	return func(yield func(int, value) bool) {
		if v.kind() != jsontext.KindBeginArray {
			return
		}
		n := 0
		for i, end := v.at+1, v.node().next; i < end; i = v.doc.nodes[i].next {
			if !yield(n, value{v.doc, i}) {
				return
			}
			n++
		}
	}
}

func (v value) raw() []byte {
	n := v.node()
	return v.doc.src[n.from:n.to]
}

// members hashes the names and values in v, whatever their order and the space
// between them, and without those that are empty.
func (v value) members() (sum uint64) {
	for i := v.at; i < v.node().next; i++ {
		n := &v.doc.nodes[i]
		if n.kind == jsontext.KindBeginObject || n.kind == jsontext.KindBeginArray || (value{v.doc, i}).isEmpty() {
			continue
		}
		sum += fnv1a(v.doc.src[n.nameFrom:n.nameTo], v.doc.src[n.from:n.to])
	}
	return sum
}

// bytes is the text of a string, nil for anything else. It may be part of the
// input.
func (v value) bytes() []byte {
	if !v.isString() {
		return nil
	}
	return unquote(v.raw())
}

func unquote(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	b, _ := jsontext.AppendUnquote(nil, quoted) // valid: the document was parsed
	return b
}

// literal is a string or number as it was written; empty for anything else.
func (v value) literal() string {
	if v.kind() == '0' {
		return string(v.raw())
	}
	return string(v.bytes())
}

// is reports whether v is that string.
func (v value) is(s string) bool { return v.isString() && string(v.bytes()) == s }

func (v value) isTrue() bool { return v.kind() == jsontext.KindTrue }

// integer is a whole number, or a string of one, as some providers write
// durations and instants, in whatever form a relay has brought it: 36, "36", 36.0,
// "36.0" and 3.6e1 are one. What is too large for int64 saturates.
func (v value) integer() (n int64, ok bool) {
	var digits []byte
	switch v.kind() {
	case jsontext.KindNumber:
		digits = v.raw()
	case jsontext.KindString:
		digits = v.bytes()
	}
	if len(digits) == 0 || len(digits) > 32 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return n, true
	}
	sign, number := "", string(digits)
	if number[0] == '-' {
		sign, number = "-", number[1:]
	}
	whole, _, ok := wholeNumber(number)
	if !ok {
		return 0, false
	}
	n, _ = strconv.ParseInt(sign+whole, 10, 64)
	return n, true
}

// wholeMax bounds the digits of a whole number that is read.
const wholeMax = 400

// wholeNumber reads the forms of a JSON number that are no plain digits, such as 9.0 and
// 1.5e3, and none that a fraction is left of. Nothing is rounded: named is how many of
// its digits are written out, and the others are zeros by the exponent.
func wholeNumber(s string) (digits string, named int, ok bool) {
	exponent := 0
	mantissa := s
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		n, err := strconv.Atoi(s[i+1:])
		if err != nil || n < -wholeMax || n > wholeMax {
			return "", 0, false
		}
		mantissa, exponent = s[:i], n
	}
	whole, fraction, pointed := strings.Cut(mantissa, ".")
	digits = whole + fraction
	if whole == "" || pointed && fraction == "" || !allDigits(digits) {
		return "", 0, false
	}
	switch point := len(whole) + exponent; {
	case point >= len(digits):
		named = len(digits)
		digits += strings.Repeat("0", point-len(digits))
	case strings.Trim(digits[max(point, 0):], "0") != "":
		return "", 0, false
	default:
		digits = digits[:max(point, 0)]
		named = len(digits)
	}
	zeros := len(digits) - len(strings.TrimLeft(digits, "0"))
	if zeros == len(digits) {
		return "0", 1, true
	}
	return digits[zeros:], named - zeros, true
}

// kindName names a kind of JSON value in a rejection.
func kindName(k jsontext.Kind) string {
	switch k {
	case jsontext.KindNull:
		return "null"
	case jsontext.KindTrue, jsontext.KindFalse:
		return "a boolean"
	case jsontext.KindString:
		return "a string"
	case jsontext.KindNumber:
		return "a number"
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindBeginArray:
		return "an array"
	}
	return "absent"
}
