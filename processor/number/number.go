// Package number writes the numbers of telephones, and the other addresses of people, as
// the reader of a record may see them: whole, masked, or as a token in their place. What a
// session is was decided before, from the numbers themselves.
package number

import (
	"strings"
	"unicode"

	"callstitch/processor/call"
)

// Mode is how records show numbers.
type Mode uint8

// The modes.
const (
	Full   Mode = iota // as they are
	Masked             // as Mask has them
	HMAC               // as tokens, which are made with a key
)

var modes = [...]string{"full", "masked", "hmac"}

// Modes are the words for them.
func Modes() []string { return modes[:] }

func (m Mode) String() string { return modes[m] }

// ParseMode is the mode of a word.
func ParseMode(word string) (m Mode, known bool) {
	for i := range modes {
		if modes[i] == word {
			return Mode(i), true
		}
	}
	return Full, false
}

const (
	// shown is how many characters of a number or name stay readable.
	shown = 2
	// cover stands for each of the others.
	cover = '•'
)

// Mask is an address of which the last two letters and digits can be read, and only of
// what kind the others are: +15550100199 is +•••••••••99. Of a SIP or tel URI the user is
// left, of a short text nothing, of a token its end. What names nobody stays, and so does
// what is masked already.
func Mask(text string) string {
	if word, ok := nobody(text); ok {
		return word
	}
	if IsToken(text) {
		return tokenBegins + "…" + text[len(text)-shown:]
	}
	text, isSIP := cutURI(text)
	runes := []rune(text)
	left := shown
	for i := len(runes) - 1; i >= 0; i-- {
		if !unicode.In(runes[i], unicode.L, unicode.M, unicode.N) {
			continue
		}
		if left > 0 {
			left--
			continue
		}
		runes[i] = cover
	}
	// Of a short text the last two characters would be nearly all of it.
	if len(runes) <= shown {
		return strings.Repeat(string(cover), len(runes))
	}
	if isSIP {
		return "sip:" + string(runes)
	}
	return string(runes)
}

// nobody is what may be shown of an address of somebody who withheld theirs, in words or as
// RFC 3323 has it. What else stands behind an @ may say who it is all the same.
func nobody(text string) (shown string, ok bool) {
	user, _ := cutURI(text)
	at := strings.IndexByte(text, '@')
	switch {
	case !call.NamesNobody(user):
		return "", false
	case at >= 0 && !strings.EqualFold(text[at:], "@anonymous.invalid"):
		return text[:at], true
	}
	return text, true
}

// cutURI is the user of a SIP URI, or what a tel URI calls.
func cutURI(text string) (user string, isSIP bool) {
	for _, scheme := range []string{"sip:", "sips:", "tel:"} {
		if rest, ok := strings.CutPrefix(text, scheme); ok {
			text, isSIP = rest, scheme != "tel:"
		}
	}
	user, _, hasHost := strings.Cut(text, "@")
	return user, isSIP || hasHost
}
