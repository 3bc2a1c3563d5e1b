package decode

import (
	"errors"
	"iter"
	"strconv"
	"strings"
)

// value is one JSON value of a document; the zero value is absent.
type value struct {
	doc  *document
	node *node
}

// kind is 0 for an absent value.
func (v value) kind() kind {
	if v.node == nil {
		return 0
	}
	return v.node.kind
}

// given reports whether there is a value, other than null and the empty string:
// relays that turn a query or a form into JSON write "" for what the provider left
// out.
func (v value) given() bool { return v.kind() != 0 && v.kind() != 'n' && !v.isEmpty() }

// isEmpty reports whether v is the empty string.
func (v value) isEmpty() bool { return v.isString() && v.node.at.to-v.node.at.from == int32(len(`""`)) }

func (v value) isObject() bool { return v.kind() == '{' }
func (v value) isString() bool { return v.kind() == '"' }

// get is the object's member of that name, which is one of fields; absent where v is no
// object.
func (v value) get(name string) value {
	if !v.isObject() {
		return value{}
	}
	f := fieldOf(hash([]byte(name)), []byte(name))
	members := v.held()
	for i := range members {
		if members[i].field == f {
			return value{v.doc, &members[i]}
		}
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

// elements are the values of an array, none where v is no array.
func (v value) elements() iter.Seq2[int, value] {
	return func(yield func(int, value) bool) {
		if v.kind() != '[' {
			return
		}
		elements := v.held()
		for i := range elements {
			if !yield(i, value{v.doc, &elements[i]}) {
				return
			}
		}
	}
}

// held is what a container holds.
func (v value) held() []node { return v.doc.nodes[v.node.holds.from:v.node.holds.to] }

func (v value) raw() []byte { return v.doc.src[v.node.at.from:v.node.at.to] }

// members hashes all names and values in v, whatever their order and the space between
// them, and without those that are empty. It reads what is no field, too.
func (v value) members() (sum uint64) {
	d := v.doc
	var name, scalar []byte
	for i, end := int(v.node.at.from), int(v.node.at.to); i < end; {
		switch d.src[i] {
		case ' ', '\t', '\r', '\n':
			i++
		case ':':
			name, scalar = scalar, nil
			i++
		case '{', '[':
			name = nil
			i++
		case ',', '}', ']':
			if len(scalar) > 0 && string(scalar) != `""` {
				sum += fnv1a(name, scalar)
			}
			name, scalar = nil, nil
			i++
		case '"': // as most are: token would do, and take longer
			end := d.text(i)
			i, scalar = end, d.src[i:end]
		default:
			end := d.token(i)
			i, scalar = end, d.src[i:end]
		}
	}
	return sum
}

// bytes is the text of a string, nil for anything else. It may be part of the
// input.
func (v value) bytes() []byte {
	if !v.isString() {
		return nil
	}
	return v.doc.unquote(v.node.at)
}

// literal is a string or number as it was written, nil for anything else. It may be
// part of the input.
func (v value) literal() []byte {
	if v.kind() == '0' {
		return v.raw()
	}
	return v.bytes()
}

// is reports whether v is that string.
func (v value) is(s string) bool { return v.isString() && string(v.bytes()) == s }

func (v value) isTrue() bool { return v.kind() == 't' }

// integer is a whole number, or a string of one, as some providers write
// durations and instants, in whatever form a relay has brought it: 36, "36", 36.0,
// "36.0" and 3.6e1 are one. What is too large for int64 saturates.
func (v value) integer() (n int64, ok bool) {
	var digits []byte
	switch v.kind() {
	case '0':
		digits = v.raw()
	case '"':
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
func kindName(k kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return "absent"
}
