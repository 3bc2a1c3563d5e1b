package decode

import (
	"strings"

	"callstitch/processor/call"
)

// The digits of a telephone number: E.164 allows 15, and what has fewer than 8
// is an extension or a service code.
const (
	minDigits = 8
	maxDigits = 15
)

// address reads a caller or callee that is written as one string (or, as
// Opentact does with its own numbers, as a JSON number) and tells what it is by
// its form. certain says whether bare digits are a number in international
// form at this provider.
func (d *draft) address(v value, certain func(digits string) bool) call.Party {
	b := v.bytes()
	if v.kind() == '0' {
		b = v.raw()
	}
	b = cut(b, maxID)
	if len(b) == 0 {
		return call.Party{}
	}
	if isNumber(string(b)) && certain(string(b)) {
		international := d.copyWith("+", b)
		return call.Party{Raw: international[1:], E164: international, Kind: call.PSTN}
	}
	raw := d.copy(b)
	if raw[0] == '+' && isNumber(raw[1:]) {
		return call.Party{Raw: raw, E164: raw, Kind: call.PSTN}
	}
	return call.Party{Raw: raw, Kind: kindOf(raw)}
}

// kindOf tells what an address is that is no number in international form.
func kindOf(raw string) call.PartyKind {
	switch {
	case isSIP(raw):
		return call.SIP
	case isNumber(raw):
		return call.PSTN
	case !links(raw) || allDigits(strings.TrimPrefix(raw, "+")):
		return call.PartyUnknown
	}
	return call.User
}

func isSIP(s string) bool {
	scheme, _, found := strings.Cut(s, ":")
	return found && (strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips"))
}

// isNumber says whether s has the digits of a telephone number, and no more.
func isNumber(s string) bool {
	return len(s) >= minDigits && len(s) <= maxDigits && allDigits(s)
}

func allDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// never is for providers whose bare digits may be national numbers or
// extensions.
func never(string) bool { return false }
