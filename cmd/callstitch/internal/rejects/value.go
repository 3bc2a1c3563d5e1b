package rejects

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"callstitch/processor/number"
)

const (
	// valueShown is how much of a value is told: what is more is for a program to look at.
	valueShown = 64 << 10
	// bytesShown is the same of a value that is no text, of which people see little.
	bytesShown = 1 << 10
)

// Pretty is a value for people: JSON indented, anything else as the text that it is,
// without what a terminal would obey. Numbers of telephones are masked, and names beside
// them, and what of an address is a secret, unless plain is set.
func Pretty(value []byte, plain bool) string {
	if value == nil {
		return "null"
	}
	text, ok := indented(value, plain)
	if !ok {
		text = string(value)
		if !plain {
			text = maskText(text)
		}
	}
	text = legible(text)
	cut := valueShown
	if !utf8.Valid(value) {
		cut = bytesShown
	}
	if len(text) > cut {
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		return fmt.Sprintf("%s…\n(of %d bytes)", text[:cut], len(value))
	}
	return text
}

// legible is a text whose lines stay lines, with everything else that cannot be seen
// written as an escape.
func legible(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r == '\t':
			b.WriteString("    ")
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// jsonOptions take what the decoder may have refused: the value is shown, not judged.
var jsonOptions = []jsontext.Options{jsontext.AllowDuplicateNames(true)}

// indented is a JSON value over several lines; not ok where it is none.
func indented(value []byte, plain bool) (text string, ok bool) {
	var out bytes.Buffer
	d := jsontext.NewDecoder(bytes.NewReader(value), jsonOptions...)
	e := jsontext.NewEncoder(&out, append([]jsontext.Options{jsontext.WithIndent("  ")}, jsonOptions...)...)
	w := masker{plain: plain}
	for {
		token, err := d.ReadToken()
		if err == io.EOF {
			return strings.TrimSuffix(out.String(), "\n"), out.Len() > 0
		}
		if err != nil {
			return "", false
		}
		if err := e.WriteToken(w.mask(token)); err != nil {
			return "", false
		}
	}
}

// masker masks the values of a JSON document, token by token.
type masker struct {
	plain bool
	open  []byte // '{' and '[' that are open
	name  bool   // the next string of the object is a name
	party int    // the depth below which all is a party's; 0: nothing is
	next  bool   // the next value is a party's
}

func (m *masker) mask(t jsontext.Token) jsontext.Token {
	switch t.Kind() {
	case '{', '[':
		m.open = append(m.open, byte(t.Kind()))
		if m.next && m.party == 0 {
			m.party = len(m.open)
		}
		m.next, m.name = false, t.Kind() == '{'
		return t
	case '}', ']':
		if m.party == len(m.open) {
			m.party = 0
		}
		m.open = m.open[:len(m.open)-1]
		m.valueEnds()
		return t
	case '"':
		text := t.String()
		if m.name {
			m.name, m.next = false, isPartyName(text)
			return m.text(text, t, false)
		}
		t = m.text(text, t, m.next || m.party > 0)
	case '0':
		t = m.text(t.String(), t, m.next || m.party > 0)
	}
	m.valueEnds()
	return t
}

// valueEnds says that what follows in an object is a name again.
func (m *masker) valueEnds() {
	m.next = false
	m.name = len(m.open) > 0 && m.open[len(m.open)-1] == '{'
}

// text masks one text; what needs no mask stays the token that it was.
func (m *masker) text(text string, t jsontext.Token, party bool) jsontext.Token {
	masked := text
	switch {
	case m.plain:
	case party:
		masked = number.Mask(text)
	default:
		masked = maskText(text)
	}
	if masked == text {
		return t
	}
	return jsontext.String(masked)
}

// partyNames are names of fields whose whole value is somebody's, at any provider and in
// envelopes of others.
var partyNames = regexp.MustCompile(`(?i)^(from|to|ani|dnis|cli|msisdn|user|username|alias|contact|e164|extension)$|^(from|to)_|destination|recipient|transfer_?target|number|phone|caller|callee|party|display_?name|(first|last|full)_?name`)

// noParty are names that have such a word and are something else.
var noParty = regexp.MustCompile(`(?i)(id|uuid|sid|type|kind|count|state|time|_at|_on|At|_src)$`)

func isPartyName(name string) bool { return partyNames.MatchString(name) && !noParty.MatchString(name) }

const (
	// numberDigits is how many digits make a telephone number, in any text.
	numberDigits = 7
	// numberLongest is more than what of a number may stand beyond what is shown.
	numberLongest = 256
	// numberShown is how many of its last digits are told.
	numberShown = 2
)

// parts are what a text is looked through for, the first that fits at a place: what is no
// number though it has digits, what is masked otherwise, and what may be a number. What
// may end at any distance is bounded, or each place would be looked at to the end of the text.
var parts = regexp.MustCompile(strings.Join([]string{
	`(?P<id>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b[0-9a-fA-F]{24,}\b)`,
	`(?P<time>\b(?:19|20)\d\d-\d\d-\d\d(?:[T ]\d\d:?\d\d(?::?\d\d(?:[.,]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?\b|\b1\d{12}\b)`,
	`(?P<url>\b[a-z][a-z0-9+.-]{0,30}://[^\s"<>]+)`,
	`(?P<user>[^\s"<>@:;,()=]{1,64}@)`, // RFC 5321 §4.5.3.1.1
	`(?P<number>[+(]?\d(?:[ ().\-/\x{a0}]{0,3}\d)*)`,
}, "|"))

// maskText masks numbers, users and secrets wherever they stand in a text, and cuts one of
// which not all is shown.
func maskText(text string) string {
	var b strings.Builder
	if len(text) > valueShown+numberLongest {
		text = text[:valueShown+numberLongest]
	}
	end := 0
	for _, at := range parts.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(text[end:at[0]])
		found := text[at[0]:at[1]]
		end = at[1]
		is := func(name string) bool { return at[2*parts.SubexpIndex(name)] >= 0 }
		switch {
		case is("url"):
			found = maskURL(found)
		case is("user"):
			found = number.Mask(strings.TrimSuffix(found, "@")) + "@"
		case is("number"):
			found = maskNumber(found)
		}
		b.WriteString(found)
	}
	b.WriteString(text[end:])
	return b.String()
}

// maskURL leaves away who logs in, and what may be a signature.
func maskURL(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	hidden := ""
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest, hidden = rest[:i], rest[i:i+1]+"•"
	}
	host, path, slash := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = "•@" + host[i+1:]
	}
	switch {
	case strings.Contains(path, "://"): // an address in an address, and so on
		path = "/•"
	case slash:
		path = "/" + maskText(path)
	}
	return scheme + "://" + host + path + hidden
}

// maskNumber masks all but the last digits, where there are as many as a telephone number
// has.
func maskNumber(text string) string {
	digits := 0
	for _, c := range []byte(text) {
		if '0' <= c && c <= '9' {
			digits++
		}
	}
	if digits < numberDigits {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return r
		}
		if digits--; digits < numberShown {
			return r
		}
		return '•'
	}, text)
}
