package call

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"unicode"
	"unicode/utf8"
)

// nameMax bounds the names of a tenant and a scope, which are part of every id.
const nameMax = 128

// IsName reports whether a header may name a tenant or a scope: up to 128 bytes of UTF-8
// without control characters. A tenant's is not empty either.
func IsName(b []byte) bool {
	if len(b) > nameMax || !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// LegID identifies one provider call id of one tenant. A session is named by
// the LegID of its oldest leg.
type LegID [16]byte

// NewLegID is the first 16 bytes of SHA-256 over tenant, provider, scope and
// the provider's call id, each as a 4-byte big-endian length and its bytes, so
// that no two different quadruples share an encoding.
func NewLegID(tenant string, p Provider, scope, callID string) LegID {
	var stack [256]byte
	return LegID(digest(stack[:0], tenant, p.String(), scope, callID))
}

// String is the id in lower-case hex, as records and topic keys show it.
func (id LegID) String() string { return hex.EncodeToString(id[:]) }

// ParseLegID reads 32 hex digits.
func ParseLegID(s string) (id LegID, ok bool) {
	if len(s) != 2*len(id) {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(s))
	return id, err == nil
}

// EventID identifies an event for ever: replays and retries give the same id.
type EventID [16]byte

// NewEventID derives an id from the leg and the parts that name the event: the
// provider's own id, or the key composed from the event's content.
func NewEventID(leg LegID, parts ...string) EventID {
	var stack [256]byte
	return EventID(digest(appendText(stack[:0], leg[:]), parts...))
}

// String is the id in lower-case hex.
func (id EventID) String() string { return hex.EncodeToString(id[:]) }

// NodeID names a vertex of the call graph: a leg, or a link that legs share.
// Its first byte is the kind, so that byte order is the protocol's order: legs
// before links, then by id.
type NodeID [17]byte

const (
	legNode  = 0
	linkNode = 1
)

// LegNode is the vertex of a leg.
func LegNode(id LegID) (n NodeID) {
	n[0] = legNode
	copy(n[1:], id[:])
	return n
}

// LinkNode is the vertex of a value that several legs share, such as a flow id.
// It is scoped as legs are: no link crosses tenants, providers or scopes.
func LinkNode(tenant string, p Provider, scope string, kind LinkKind, value string) (n NodeID) {
	n[0] = linkNode
	var stack [256]byte
	id := digest(stack[:0], tenant, p.String(), scope, kind.String(), value)
	copy(n[1:], id[:])
	return n
}

// IsLeg reports whether n is a leg rather than a link.
func (n NodeID) IsLeg() bool { return n[0] == legNode }

// Leg is the leg that n stands for; only for nodes where IsLeg holds.
func (n NodeID) Leg() LegID { return LegID(n[1:]) }

// Compare orders nodes: legs before links, then by id.
func (n NodeID) Compare(o NodeID) int { return bytes.Compare(n[:], o[:]) }

// Less reports whether n comes before o.
func (n NodeID) Less(o NodeID) bool { return n.Compare(o) < 0 }

// String is the kind and the id, for tests and explanations.
func (n NodeID) String() string {
	kind := "leg:"
	if !n.IsLeg() {
		kind = "link:"
	}
	return kind + hex.EncodeToString(n[1:])
}

// digest is the first 16 bytes of SHA-256 over b and the texts, each behind its length.
func digest(b []byte, texts ...string) [16]byte {
	for _, t := range texts {
		b = appendText(b, t)
	}
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}
