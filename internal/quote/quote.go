// Package quote makes what others have said, and where they are, fit for a log.
package quote

import (
	"net/url"
	"strings"
	"unicode"
)

// Line is a text on one line, of which at most so many bytes are quoted. The secrets are
// not in it, nor a part of one: some servers repeat what they were sent.
func Line(text string, most int, secrets ...string) string {
	for _, s := range secrets { // before the text is cut, or a part of one would be left
		if s != "" {
			text = strings.ReplaceAll(text, s, "•••")
		}
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	text = strings.TrimSpace(text)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// Address is an address without what may be secret in it: who logs in, a query, and a
// fragment; "?" where it is none.
func Address(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
