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

// certainty reports whether bare digits are a number in international form at this
// provider; with a 0 in front they never are, since no country code begins so. They may
// have been relayed by what took them for a quantity, and lost their plus to it.
type certainty func(digits string, relayed bool) bool

// address reads a caller or callee that is written as one string, or as a JSON
// number, and tells what it is by its form.
func (d *draft) address(v value, certain certainty) call.Party {
	b, relayed := v.literal(), v.kind() == '0'
	if len(b) == 0 {
		return call.Party{}
	}
	plus := d.copyWith("+", cut(b, maxID)) // with the plus that it may turn out to need
	raw := plus[1:]
	if digits, quantity := rewritten(raw); quantity {
		party := call.Party{Raw: raw}
		if isNumber(digits) {
			party.Kind = call.PartyPSTN
			if digits[0] != '0' && certain(digits, true) {
				party.E164 = d.copyWith("+", []byte(digits))
			}
		}
		return party
	}
	switch {
	case isE164(plus) && certain(raw, relayed):
		return call.Party{Raw: raw, E164: plus, Kind: call.PartyPSTN}
	case raw[0] == ' ' && isNumber(raw[1:]) && raw[1] != '0': // a relay read the plus of a query as a space
		return call.Party{Raw: raw, E164: d.copyWith("+", b[1:]), Kind: call.PartyPSTN}
	case isE164(raw):
		return call.Party{Raw: raw, E164: raw, Kind: call.PartyPSTN}
	}
	return call.Party{Raw: raw, Kind: kindOf(raw)}
}

// rewritten reports whether a relay has taken an address for a quantity, such as
// 1.2025550101e+10, and is its digits; none where not each of them is written out, since
// the others may have been rounded away.
func rewritten(s string) (digits string, quantity bool) {
	if s == "" || s[0] < '0' || s[0] > '9' || !strings.ContainsAny(s, ".eE") {
		return "", false
	}
	digits, named, quantity := wholeNumber(s)
	if named < len(digits) {
		digits = ""
	}
	return digits, quantity
}

// isE164 reports whether s is a plus and 8 to 15 digits, as E.164 has them.
func isE164(s string) bool { return s[0] == '+' && isNumber(s[1:]) && s[1] != '0' }

// kindOf tells what an address is that is no number in international form. What
// names nobody, and what may be a short code, an extension or a feature code, is
// unknown.
func kindOf(raw string) call.PartyKind {
	scheme, rest, _ := strings.Cut(raw, ":")
	switch strings.ToLower(scheme) {
	case "sip", "sips":
		if user, _, _ := strings.Cut(rest, "@"); links(user) {
			return call.PartySIP
		}
		return call.PartyUnknown // sip:anonymous@anonymous.invalid, as RFC 3323 has it
	case "tel":
		raw = rest
	}
	switch n, dialled := dialledDigits(raw); {
	case dialled && n >= minDigits && n <= maxDigits:
		return call.PartyPSTN
	case dialled, !links(strings.TrimPrefix(raw, "+")):
		return call.PartyUnknown
	}
	return call.PartyUser
}

// dialledDigits counts the digits of what can be dialled, however it is spaced, and
// not those of an extension behind it; false where it cannot. It makes no number
// out of them: what a national or trunk prefix stands for is not certain.
func dialledDigits(s string) (n int, dialled bool) {
	s = strings.TrimPrefix(s, "+")
	for i, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			n++
		case strings.IndexByte(" -.()/*#", c) >= 0:
		default:
			return n, n > 0 && isExtension(strings.ToLower(s[i:]))
		}
	}
	return n, n > 0
}

// isExtension reports whether s is what follows a number to reach somebody behind it:
// parameters of a tel URI, or digits after a comma, x or ext.
func isExtension(s string) bool {
	if s[0] == ';' {
		return true
	}
	for _, mark := range [...]string{",", "x", "ext"} {
		if after, found := strings.CutPrefix(s, mark); found && strings.Trim(after, "., 0123456789") == "" {
			return true
		}
	}
	return false
}

// isNumber reports whether s has the digits of a telephone number, and no more.
func isNumber(s string) bool {
	return len(s) >= minDigits && len(s) <= maxDigits && allDigits(s)
}

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// always is for providers whose bare digits are numbers in international form.
func always(string, bool) bool { return true }

// never is for providers whose bare digits may be national numbers or
// extensions.
func never(string, bool) bool { return false }
