package decode

import (
	"net/url"
	"slices"
	"strings"
)

// maxURL bounds the URLs that are read; signed ones have some 2,000 bytes.
const maxURL = 16 << 10

// media is a URL to what was recorded, without what would let its reader in; empty where
// v is none, or what is left of it is longer than maxText.
func (d *draft) media(v value) string {
	b := v.bytes()
	if len(b) > maxURL {
		return ""
	}
	public := withoutSecrets(string(b))
	if len(public) > maxText {
		return ""
	}
	return d.copy([]byte(public))
}

// withoutSecrets is a URL without what lets its reader in: the user before the host, the
// secrets in its query, and the fragment, which no server sees and applications put
// tokens into. All else stays, byte for byte. A URL that cannot be read loses its query.
//
//	https://user:pass@host/r-1.wav?part=2&X-Amz-Signature=5f…#token=…
//	https://          host/r-1.wav?part=2
func withoutSecrets(raw string) string {
	if !strings.ContainsAny(raw, "?#@") {
		return raw
	}
	raw, _, _ = strings.Cut(raw, "#")
	base, query, _ := strings.Cut(raw, "?")
	base = withoutUser(base)
	if _, err := url.Parse(raw); err != nil {
		return base
	}
	if query = publicQuery(query); query == "" {
		return base
	}
	return base + "?" + query
}

// withoutUser cuts user and password from the front of the host.
func withoutUser(base string) string {
	at := strings.Index(base, "//")
	if at < 0 {
		return base
	}
	at += len("//")
	host, path := base[at:], ""
	if i := strings.IndexAny(host, `/\`); i >= 0 {
		host, path = host[:i], host[i:]
	}
	return base[:at] + host[strings.LastIndexByte(host, '@')+1:] + path
}

// publicQuery is the query without its secrets and, where it was signed, without what
// belongs to the signature: that is another one for each delivery.
func publicQuery(query string) string {
	var public []string
	signed := false
	pairs := strings.Split(query, "&")
	for _, pair := range pairs {
		signed = signed || isSecret(pair)
	}
	for _, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		if pair != "" && !isSecret(pair) && !(signed && signatureParts[plainName(name)]) {
			public = append(public, pair)
		}
	}
	return strings.Join(public, "&")
}

// isSecret reports whether a name=value of a query is a secret. Some servers take a
// semicolon for an ampersand, so that there may be several.
func isSecret(pair string) bool {
	return slices.ContainsFunc(strings.Split(pair, ";"), isOneSecret)
}

// isOneSecret goes by the name, and by what the value looks like.
func isOneSecret(pair string) bool {
	name, text, _ := strings.Cut(pair, "=")
	text, err := url.QueryUnescape(text)
	if err != nil {
		return true
	}
	plain := plainName(name)
	if secretNames[plain] || strings.HasPrefix(text, "eyJ") { // a JSON web token begins so
		return true
	}
	for _, part := range secretParts {
		if strings.Contains(plain, part) {
			return true
		}
	}
	return strings.Contains(text, "//") && strings.ContainsAny(text, "?#@") // a URL that may have secrets of its own
}

// plainName is a name in small letters and digits only: apiKey, api_key and api-key are
// one.
func plainName(name string) string {
	if readable, err := url.QueryUnescape(name); err == nil {
		name = readable
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, name)
}

// secretParts mark a secret wherever in a name they stand. The first two are what signed
// URLs of S3 and of Google's storage begin their parameters with.
var secretParts = []string{
	"xamz", "xgoog", "signature", "credential", "token", "secret", "password", "passwd", "passphrase",
	"apikey", "accesskey", "privatekey", "authorization", "sessionid",
}

// secretNames are whole names of secrets; sig is that of Azure's shared access signature.
var secretNames = names("key", "sig", "sign", "auth", "oauth", "jwt", "bearer", "pass", "pwd", "pw", "hmac", "otp", "pin", "session", "sas")

// signatureParts say until when, to whom and for what a signature is good, in the words
// of S3, Google, CloudFront and Azure. Without a signature they may mean anything.
var signatureParts = names(
	"expires", "exp", "policy", "keypairid", "googleaccessid",
	"sv", "ss", "srt", "sr", "sp", "st", "se", "sip", "spr", "si", "sdd", "skoid", "sktid", "skt", "ske", "sks", "skv",
)

func names(all ...string) map[string]bool {
	set := make(map[string]bool, len(all))
	for _, n := range all {
		set[n] = true
	}
	return set
}
