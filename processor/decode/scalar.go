package decode

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// space skips white space.
func (d *document) space(i int) int {
	for i < len(d.src) && d.src[i] <= ' ' {
		switch d.src[i] {
		case ' ', '\t', '\r', '\n':
			i++
		default:
			return i
		}
	}
	return i
}

func (d *document) literal(i int, word string) int {
	if end := i + len(word); end <= len(d.src) && string(d.src[i:end]) == word {
		return end
	}
	for k := range len(word) {
		switch {
		case i+k == len(d.src):
			return d.early(i + k)
		case d.src[i+k] != word[k]:
			return d.invalid(i + k)
		}
	}
	return i + len(word)
}

// number reads a number: -0.5e+3, its parts in this order, all but the digits before the point
// optional, and no zero before other digits.
func (d *document) number(begin int) int {
	i := begin
	if d.src[i] == '-' {
		i++
	}
	if i < len(d.src) && d.src[i] == '0' {
		i++
	} else if i = d.digits(begin, i); i < 0 {
		return failed
	}
	if i < len(d.src) && d.src[i] == '.' {
		if i = d.digits(begin, i+1); i < 0 {
			return failed
		}
	}
	if i < len(d.src) && (d.src[i] == 'e' || d.src[i] == 'E') {
		i++
		if i < len(d.src) && (d.src[i] == '+' || d.src[i] == '-') {
			i++
		}
		return d.digits(begin, i)
	}
	return i
}

// digits reads one digit or more of the number that began at begin.
func (d *document) digits(begin, i int) int {
	switch {
	case i == len(d.src):
		return d.early(begin)
	case !isDigit(d.src[i]):
		return d.invalid(i)
	}
	for i < len(d.src) && isDigit(d.src[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// text reads a string. What ends it, what needs a closer look and what may not be in it
// is looked for in eight bytes at once.
func (d *document) text(i int) int {
	src := d.src
	for i++; i < len(src); {
		if len(src)-i >= 8 {
			special := specials(binary.LittleEndian.Uint64(src[i : i+8 : i+8]))
			if special == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(special) / 8
		}
		switch c := src[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			d.escapes = true
			if i = d.escape(i); i < 0 {
				return failed
			}
		case c < ' ':
			return d.invalid(i)
		case c < utf8.RuneSelf:
			i++
		default:
			r, size := utf8.DecodeRune(src[i:])
			if r == utf8.RuneError && size == 1 {
				if !utf8.FullRune(src[i:]) {
					return d.early(i)
				}
				return d.invalid(i)
			}
			i += size
		}
	}
	return d.early(i)
}

// specials marks quotes, backslashes, control characters and what is not ASCII by the
// highest bits of their bytes. Only the lowest mark is to be relied on: a subtraction that
// borrows from the byte above can mark that, too.
//
// The quote is next to the control characters once it has changed places with the space,
// from which it differs in one bit.
func specials(w uint64) uint64 {
	const each, high = 0x0101010101010101, 0x8080808080808080
	quoteOrControl := (w ^ each*('"'^' ')) - each*(' '+1)
	backslash := (w ^ each*'\\') - each
	return (quoteOrControl | backslash | w) & high
}

// escape reads an escape, or two that are one character as a surrogate pair. An
// incomplete one is only early if it can still become valid.
func (d *document) escape(begin int) int {
	if begin+1 == len(d.src) {
		return d.early(begin)
	}
	switch d.src[begin+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return begin + 2
	case 'u':
	default:
		return d.invalid(begin)
	}
	first, ok := unit(d.src[begin:])
	switch {
	case !ok:
		return d.noUnit(begin, begin, false)
	case !utf16.IsSurrogate(first):
		return begin + unitSize
	}
	second, ok := unit(d.src[begin+unitSize:])
	switch {
	case !ok:
		return d.noUnit(begin, begin+unitSize, true)
	case utf16.DecodeRune(first, second) == utf8.RuneError:
		return d.invalid(begin)
	}
	return begin + 2*unitSize
}

// noUnit fails the escape that began at begin since there is no UTF-16 unit at byte at, or
// not yet: the input may end in it. A low one is to be the second of a surrogate pair.
func (d *document) noUnit(begin, at int, low bool) int {
	rest := d.src[at:]
	if len(rest) >= unitSize {
		return d.invalid(begin)
	}
	for i, c := range rest {
		small := c | 0x20
		switch {
		case i == 0 && c == '\\', i == 1 && c == 'u':
		case low && i == 2 && small == 'd', low && i == 3 && small >= 'c' && small <= 'f':
		case i >= 2 && !(low && i < 4) && hexDigit(c) >= 0:
		default:
			return d.invalid(begin)
		}
	}
	return d.early(begin)
}

// unitSize is the length of an escape of one UTF-16 unit, such as \u00e9.
const unitSize = 6

// unit is the UTF-16 unit that s begins with, as an escape.
func unit(s []byte) (u rune, ok bool) {
	if len(s) < unitSize || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	for _, c := range s[2:unitSize] {
		digit := hexDigit(c)
		if digit < 0 {
			return 0, false
		}
		u = u<<4 | digit
	}
	return u, true
}

func hexDigit(c byte) rune {
	switch small := c | 0x20; {
	case isDigit(c):
		return rune(c - '0')
	case small >= 'a' && small <= 'f':
		return rune(small - 'a' + 10)
	}
	return -1
}

// unquote is the text of a string. It may be part of the input.
func (d *document) unquote(at span) []byte {
	text := d.src[at.from+1 : at.to-1]
	if !d.escapes || bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	return unescape(text)
}

// unescape is a copy of the inside of a valid JSON string, with characters for escapes.
func unescape(text []byte) []byte {
	plain := make([]byte, 0, len(text))
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return append(plain, text...)
		}
		plain = append(plain, text[:i]...)
		switch c := text[i+1]; c {
		case 'b':
			plain = append(plain, '\b')
		case 'f':
			plain = append(plain, '\f')
		case 'n':
			plain = append(plain, '\n')
		case 'r':
			plain = append(plain, '\r')
		case 't':
			plain = append(plain, '\t')
		case 'u':
			r, _ := unit(text[i:])
			if i += unitSize - 2; utf16.IsSurrogate(r) {
				low, _ := unit(text[i+2:])
				r, i = utf16.DecodeRune(r, low), i+unitSize
			}
			plain = utf8.AppendRune(plain, r)
		default: // a quote, a slash or a backslash
			plain = append(plain, c)
		}
		text = text[i+2:]
	}
}
