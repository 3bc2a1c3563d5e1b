package console

import (
	"strings"
	"unicode"

	"callstitch/processor/call"
)

// shown is how many characters of a number or name stay readable.
const shown = 2

// Mask is a party for the page: of its digits and letters all but the last two
// become dots. The address of a SIP URI is not shown at all.
func Mask(p call.Party) string {
	text := p.E164
	if text == "" {
		text = p.Raw
	}
	text, isSIP := cutSIP(text)
	runes := []rune(text)
	left := shown
	for i := len(runes) - 1; i >= 0; i-- {
		if !unicode.IsLetter(runes[i]) && !unicode.IsDigit(runes[i]) {
			continue
		}
		if left > 0 {
			left--
			continue
		}
		runes[i] = '•'
	}
	// Of a short text the last two characters would be nearly all of it.
	if len(runes) <= shown {
		return strings.Repeat("•", len(runes))
	}
	if isSIP {
		return "sip:" + string(runes)
	}
	return string(runes)
}

// cutSIP is the user of a SIP URI.
func cutSIP(text string) (string, bool) {
	for _, scheme := range []string{"sip:", "sips:", "tel:"} {
		if rest, ok := strings.CutPrefix(text, scheme); ok {
			text = rest
		}
	}
	user, _, ok := strings.Cut(text, "@")
	return user, ok
}
