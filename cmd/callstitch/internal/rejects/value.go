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
	w := masker{plain: plain, numbers: map[string]bool{}}
	// An id may come before the number that it must not show.
	if err := tokens(value, func(t jsontext.Token) error { w.mask(t); return nil }); err != nil {
		return "", false
	}
	var out bytes.Buffer
	e := jsontext.NewEncoder(&out, append([]jsontext.Options{jsontext.WithIndent("  ")}, jsonOptions...)...)
	w = masker{plain: plain, numbers: w.numbers}
	err := tokens(value, func(t jsontext.Token) error { return e.WriteToken(w.mask(t)) })
	return strings.TrimSuffix(out.String(), "\n"), err == nil && out.Len() > 0
}

// tokens reads a JSON value.
func tokens(value []byte, take func(jsontext.Token) error) error {
	d := jsontext.NewDecoder(bytes.NewReader(value), jsonOptions...)
	for {
		token, err := d.ReadToken()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if err := take(token); err != nil {
			return err
		}
	}
}

// masker masks the values of a JSON document, token by token.
type masker struct {
	plain   bool
	open    []byte          // '{' and '[' that are open
	name    bool            // the next string of the object is a name
	next    meaning         // of the next value
	party   int             // the depth below which all is a party's; 0: nothing is
	numbers map[string]bool // the last digits of each number that a party has
}

// meaning is what a value is, by the name of its field.
type meaning uint8

const (
	anything meaning = iota
	aParty
	anID
)

func meaningOf(name string) meaning {
	switch {
	case idNames.MatchString(name):
		return anID
	case partyNames.MatchString(name) && !noParty.MatchString(name):
		return aParty
	}
	return anything
}

func (m *masker) mask(t jsontext.Token) jsontext.Token {
	switch t.Kind() {
	case '{', '[':
		m.open = append(m.open, byte(t.Kind()))
		if m.next == aParty && m.party == 0 {
			m.party = len(m.open)
		}
		m.next, m.name = anything, t.Kind() == '{'
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
			m.name, m.next = false, meaningOf(text)
			return m.text(text, t, anything)
		}
		t = m.text(text, t, m.is())
	case '0':
		t = m.text(t.String(), t, m.is())
	}
	m.valueEnds()
	return t
}

// valueEnds says that what follows in an object is a name again.
func (m *masker) valueEnds() {
	m.next = anything
	m.name = len(m.open) > 0 && m.open[len(m.open)-1] == '{'
}

// is is what the value at hand is.
func (m *masker) is() meaning {
	if m.party > 0 {
		return aParty
	}
	return m.next
}

// text masks one text; what needs no mask stays the token that it was.
func (m *masker) text(text string, t jsontext.Token, is meaning) jsontext.Token {
	masked := text
	switch {
	case m.plain:
	case is == aParty:
		if digits := digitsOf(text); len(digits) >= numberDigits {
			m.numbers[digits[len(digits)-numberDigits:]] = true
		}
		masked = number.Mask(text)
	case is == anID && isID(text) && !m.holdsNumber(text):
	default:
		masked = maskText(text)
	}
	if masked == text {
		return t
	}
	return jsontext.String(masked)
}

// idNames are names of fields that hold the id of a call, or of something else by which one
// looks for it: those that the decoders read, and what envelopes add to them. None is
// somebody's: a callerId is a number.
var idNames = regexp.MustCompile(`(?i)^((provider_?|parent_?|sip_?|root_?)?call|leg|channel|session|conference|event|message|request|recording|transcription|ref|unique|linked|account|application|project|endpoint|error)_?(id|sid|uuid)$|^(uu)?id$|_leg_id$`)

// idForms is what an id is made of that is no number: letters with what else there is, a
// count behind an instant, as Asterisk has it, or more digits than any number has.
var idForms = regexp.MustCompile(`^(?:[\w.-]*[a-zA-Z][\w.-]*|1\d{9}\.\d{1,10}|\d{16,})$`)

const idLongest = 256

func isID(text string) bool { return len(text) <= idLongest && idForms.MatchString(text) }

// holdsNumber reports whether an id has a number in it that is a party's.
func (m *masker) holdsNumber(id string) bool {
	for _, part := range strings.FieldsFunc(id, unicode.IsLetter) {
		digits := digitsOf(part)
		for i := numberDigits; i <= len(digits); i++ {
			if m.numbers[digits[i-numberDigits:i]] {
				return true
			}
		}
	}
	return false
}

func digitsOf(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}

// partyNames are names of fields whose whole value is somebody's, at any provider and in
// envelopes of others.
var partyNames = regexp.MustCompile(`(?i)^(from|to|ani|dnis|cli|msisdn|user|username|alias|contact|e164|extension)$|^(from|to)_|destination|recipient|transfer_?target|number|phone|caller|callee|party|display_?name|(first|last|full)_?name`)

// noParty are names that have such a word and are something else.
var noParty = regexp.MustCompile(`(?i)(id|uuid|sid|type|kind|count|state|time|_at|_on|At|_src)$`)

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
	digits := len(digitsOf(text))
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
