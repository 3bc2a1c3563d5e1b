package decode

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"

	"callstitch/processor/call"
)

// Limits on a raw record. The largest event seen in the field has 12 kB and
// nests 8 deep; what is beyond these is no call event.
const (
	MaxBytes = 1 << 20
	MaxDepth = 64
)

// document is one record's JSON after a single strict pass over its bytes. All of it
// is checked; of the members of objects, only those with the name of a field are kept.
// It refers to the input and copies nothing.
//
// What a container holds lies side by side in nodes, since it is put there when the
// container ends. Until then it waits in open, behind that of the containers around it.
//
//	{"type":"sms","x":[1],"to":["a","b"]}     nodes: "a" "b" │ type to │ the object
type document struct {
	src      []byte
	nodes    []node
	open     []node
	names    []name // of the objects around where the pass is, outermost first
	escapes  bool   // there are escapes in some string
	depth    int
	rejected *Rejection
}

// node is a value.
type node struct {
	at    span  // in the input
	holds span  // of a container, in nodes
	field field // of a member, which one it is
	kind  kind
}

// span is from one place to before another.
type span struct{ from, to int32 }

// kind is what a value begins with: one of { [ " t f n, and 0 for all numbers. The kind
// of no value is the byte 0.
type kind byte

// keptNodes bounds the memory that a decoder keeps between records.
const keptNodes = 4096

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
	i := d.space(0)
	if i == len(src) {
		d.early(0)
		return d.rejected
	}
	root := d.value(i, true)
	if root.at.to < 0 {
		return d.rejected
	}
	if i = d.space(int(root.at.to)); i < len(src) {
		d.second(i)
		return d.rejected
	}
	d.nodes = append(d.nodes, root)
	return nil
}

func (d *document) reset(src []byte) {
	if cap(d.nodes)+cap(d.open)+cap(d.names) > keptNodes {
		d.nodes, d.open, d.names = nil, nil, nil
	}
	d.src, d.nodes, d.open, d.names = src, d.nodes[:0], d.open[:0], d.names[:0]
	d.escapes, d.depth, d.rejected = false, 0, nil
}

func (d *document) root() value { return value{d, &d.nodes[len(d.nodes)-1]} }

// Each of the following reads what begins at byte i and returns the byte after it, or
// failed, after a call of fail.
const failed = -1

// fail rejects the document, and says where it stops being JSON without quoting any
// of it.
func (d *document) fail(what string, at int) int {
	d.rejected = reject(call.RejectMalformedJSON, what+" at byte "+strconv.Itoa(at))
	return failed
}

func (d *document) invalid(at int) int { return d.fail("invalid JSON", at) }

// early is for where more of the input could make it right.
func (d *document) early(at int) int { return d.fail("JSON ends early", at) }

// second rejects what stands behind the document.
func (d *document) second(i int) {
	if d.token(i) >= 0 {
		d.rejected = reject(call.RejectMalformedJSON, "more than one JSON value: the second begins at byte "+strconv.Itoa(i))
	}
}

// value reads any value, and what it holds if it is to be kept.
func (d *document) value(i int, keep bool) node {
	n := node{at: span{from: int32(i)}}
	end := failed
	switch c := d.src[i]; c {
	case '"':
		n.kind = '"'
		end = d.text(i)
	case '{', '[':
		n.kind = kind(c)
		end, n.holds = d.container(i, keep)
	case 't':
		n.kind = 't'
		end = d.literal(i, "true")
	case 'f':
		n.kind = 'f'
		end = d.literal(i, "false")
	case 'n':
		n.kind = 'n'
		end = d.literal(i, "null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		n.kind = '0'
		end = d.number(i)
	default:
		end = d.invalid(i)
	}
	n.at.to = int32(end)
	return n
}

// token reads a scalar, or the bracket that begins a container: of what stands where it
// may not, it counts first what is wrong in it.
func (d *document) token(i int) (end int) {
	if d.src[i] == '{' || d.src[i] == '[' {
		return i + 1
	}
	return int(d.value(i, false).at.to)
}

// container reads an object or an array. What it holds is in nodes.
func (d *document) container(i int, keep bool) (end int, holds span) {
	if d.depth == MaxDepth {
		d.rejected = reject(call.RejectTooDeep, "nested more than "+strconv.Itoa(MaxDepth)+" levels at byte "+strconv.Itoa(i))
		return failed, span{}
	}
	d.depth++
	before := len(d.open)
	if d.src[i] == '{' {
		end = d.object(i+1, keep)
	} else {
		end = d.array(i+1, keep)
	}
	d.depth--
	first := int32(len(d.nodes))
	d.nodes = append(d.nodes, d.open[before:]...)
	d.open = d.open[:before]
	return end, span{first, int32(len(d.nodes))}
}

// array reads the elements of an array and its closing bracket.
func (d *document) array(i int, keep bool) int {
	for i = d.item(i, ']', true); i >= 0; i = d.item(i, ']', false) {
		if d.src[i] == ']' {
			return i + 1
		}
		element := d.value(i, keep)
		if i = int(element.at.to); i < 0 {
			return failed
		}
		if keep {
			d.open = append(d.open, element)
		}
	}
	return failed
}

// object reads the members of an object and its closing brace.
func (d *document) object(i int, keep bool) int {
	known := nameSet{first: len(d.names)}
	for i = d.item(i, '}', true); i >= 0; i = d.item(i, '}', false) {
		if d.src[i] == '}' {
			d.names = d.names[:known.first]
			return i + 1
		}
		begin, name := d.name(i, &known, keep)
		if begin < 0 {
			return failed
		}
		member := d.value(begin, name != 0)
		if i = int(member.at.to); i < 0 {
			return failed
		}
		if name != 0 {
			member.field = name
			d.open = append(d.open, member)
		}
	}
	return failed
}

// item goes to where the next item of a container begins, or to its closing bracket.
// The byte before i is the opening bracket, or the end of the item before.
func (d *document) item(i int, closing byte, first bool) int {
	i = d.space(i)
	switch {
	case i == len(d.src):
		return d.early(i)
	case first || d.src[i] == closing:
		return i
	case d.src[i] != ',':
		return d.invalid(i)
	}
	next := d.space(i + 1)
	switch {
	case next == len(d.src):
		return d.early(next)
	case d.src[next] == '}' || d.src[next] == ']':
		return d.invalid(i)
	}
	return next
}

// name reads a member's name and goes on to where its value begins. It tells which field
// the member is, if the object is to be kept.
func (d *document) name(i int, known *nameSet, keep bool) (value int, f field) {
	if d.src[i] != '"' {
		if d.token(i) < 0 {
			return failed, 0
		}
		return d.invalid(i), 0
	}
	end := d.text(i)
	if end < 0 {
		return failed, 0
	}
	at := span{int32(i), int32(end)}
	text := d.unquote(at)
	h := hash(text)
	if d.has(known, at, h) {
		return d.fail("name that its object already has", i), 0
	}
	if keep {
		f = fieldOf(h, text)
	}
	if i = d.space(end); i < len(d.src) && d.src[i] != ':' {
		return d.invalid(i), 0
	}
	if i = d.space(min(i+1, len(d.src))); i == len(d.src) {
		return d.early(i), 0
	}
	return i, f
}

// name is where a member's name is, with its quotes.
type name struct {
	at   span
	hash uint32
}

// nameSet is the names of one object: the last ones of document.names.
type nameSet struct {
	first int
	seen  uint64          // of each hash, the bit of its last six bits
	all   map[string]bool // of an object with many
}

// many is how many names are too many to look at each of them.
const many = 32

// has reports whether an object has a name already, and takes it in.
func (d *document) has(known *nameSet, at span, h uint32) bool {
	bit := uint64(1) << (h % 64)
	if (known.seen&bit != 0 || len(d.names)-known.first >= many) && d.hasIndeed(known, at, h) {
		return true
	}
	known.seen |= bit
	d.names = append(d.names, name{at, h})
	return false
}

func (d *document) hasIndeed(known *nameSet, at span, h uint32) bool {
	own, text := d.names[known.first:], d.unquote(at)
	if len(own) >= many {
		return d.hasOfMany(known, own, text)
	}
	for _, n := range own {
		if n.hash == h && bytes.Equal(d.unquote(n.at), text) {
			return true
		}
	}
	return false
}

func (d *document) hasOfMany(known *nameSet, own []name, text []byte) bool {
	if known.all == nil {
		known.all = make(map[string]bool, 2*len(own))
		for _, n := range own {
			known.all[string(d.unquote(n.at))] = true
		}
	}
	if known.all[string(text)] {
		return true
	}
	known.all[string(text)] = true
	return false
}

// hash tells most texts apart, and short ones well; it is not kept.
func hash(text []byte) uint32 {
	var head, tail uint64
	switch n := len(text); {
	case n >= 8:
		head, tail = binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[n-8:])
	case n >= 4:
		head, tail = uint64(binary.LittleEndian.Uint32(text)), uint64(binary.LittleEndian.Uint32(text[n-4:]))
	case n > 0:
		head, tail = uint64(text[0])<<8|uint64(text[n-1]), uint64(text[n/2])
	}
	hi, lo := bits.Mul64(head^0xa0761d6478bd642f, tail^0xe7037ed1a0b428db^uint64(len(text))<<56)
	return uint32(hi ^ lo)
}
