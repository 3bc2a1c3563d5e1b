package number

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"

	"callstitch/processor/call"
)

// KeyBytes is the least length of a key: of a shorter one whoever has tokens could try all
// there are.
const KeyBytes = 32

// Key is what tokens are made with. Whoever has it can try all numbers there are and so
// find whose token one is; without it nobody can. It prints as its id.
type Key struct{ secret string }

// NewKey is the key of a secret text.
func NewKey(secret string) (Key, error) {
	if len(secret) < KeyBytes {
		return Key{}, fmt.Errorf("has a key of %d bytes, and the least is %d: make one with openssl rand -hex 32", len(secret), KeyBytes)
	}
	return Key{secret}, nil
}

// ID tells keys apart, and says nothing of them: four hexadecimal digits, as tokens have
// them. Two keys have the same in one of 65,536 cases.
func (k Key) ID() string {
	if k == (Key{}) {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(k.secret))
	mac.Write([]byte{ofKey})
	return hex.EncodeToString(mac.Sum(nil)[:keyIDBytes])
}

// String is ID, so that no log or error shows the key.
func (k Key) String() string { return k.ID() }

// GoString is ID.
func (k Key) GoString() string { return k.ID() }

// MarshalText is ID.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.ID()), nil }

// What a key is used for, the first byte of what it signs.
const (
	ofKey byte = iota
	ofNumber
	ofRecord
	ofEvent
)

const (
	tokenBegins = "hmac:"
	keyIDBytes  = 2
	tokenBytes  = 16
	// tokenLength is that of hmac:KKKK:TTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTT.
	tokenLength = len(tokenBegins) + 2*keyIDBytes + 1 + 2*tokenBytes
)

// IsToken reports whether a text is the token of a number.
func IsToken(text string) bool { return KeyOf(text) != "" }

// KeyOf is the id of the key that a token was made with; empty where the text is no token.
func KeyOf(text string) string {
	rest, ok := strings.CutPrefix(text, tokenBegins)
	if !ok || len(text) != tokenLength || rest[2*keyIDBytes] != ':' {
		return ""
	}
	for i := range len(rest) {
		if c := rest[i]; i != 2*keyIDBytes && !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return ""
		}
	}
	return rest[:2*keyIDBytes]
}

// minter makes tokens with one key. It is not safe for concurrent use.
type minter struct {
	mac     hash.Hash
	begins  string // of each token
	scratch []byte
}

func newMinter(k Key) *minter {
	return &minter{mac: hmac.New(sha256.New, []byte(k.secret)), begins: tokenBegins + k.ID() + ":"}
}

// token stands for an address of a tenant: the first 16 bytes of HMAC-SHA-256 over the
// tenant and the address, in hexadecimal, behind the id of the key. It is the same wherever
// the tenant's records have that address, and another for another tenant. That any two of n
// addresses of a tenant share one has a chance below n²/2¹²⁹: 1.5 in 10¹⁹ for all 10¹⁰
// numbers of ten digits.
//
// A number is its digits, with its plus or without: so a spelling of which it is certain
// that it is in international form has the token of that form, and one of which it is not
// has that of the same digits, as the raw spellings themselves would be equal. Any other
// address is its text.
func (m *minter) token(tenant, address string) string {
	var sum [sha256.Size]byte
	m.sign(&sum, ofNumber, tenant, digits(address))
	text := append(m.scratch[:0], m.begins...)
	text = hex.AppendEncode(text, sum[:tokenBytes])
	m.scratch = text
	return string(text)
}

// record is a keyed hash of a raw record's hash. That one would let anybody try numbers
// who knows what else is in the record.
func (m *minter) record(tenant string, of [sha256.Size]byte) (sum [sha256.Size]byte) {
	m.sign(&sum, ofRecord, tenant, string(of[:]))
	return sum
}

// event is a keyed id of an event whose own one is made of what the event says: that one
// would let anybody try numbers who knows the rest, most of which is beside it.
func (m *minter) event(tenant string, of call.EventID) call.EventID {
	var sum [sha256.Size]byte
	m.sign(&sum, ofEvent, tenant, string(of[:]))
	return call.EventID(sum[:len(of)])
}

func (m *minter) sign(sum *[sha256.Size]byte, purpose byte, tenant, text string) {
	b := append(m.scratch[:0], purpose)
	b = binary.BigEndian.AppendUint32(b, uint32(len(tenant)))
	b = append(b, tenant...)
	b = append(b, text...)
	m.scratch = b
	m.mac.Reset()
	m.mac.Write(b)
	m.mac.Sum(sum[:0])
}

// The digits of a number, as E.164 and package decode have them.
const (
	digitsMin = 8
	digitsMax = 15
)

// digits is a number without its plus, and any other text as it is.
func digits(address string) string {
	rest := strings.TrimPrefix(address, "+")
	if len(rest) < digitsMin || len(rest) > digitsMax || rest[0] == '0' {
		return address
	}
	for i := range len(rest) {
		if rest[i] < '0' || rest[i] > '9' {
			return address
		}
	}
	return rest
}

// errNoKey is that numbers shall be tokens, and there is nothing to make them with.
var errNoKey = errors.New("tokens of numbers need a key")
