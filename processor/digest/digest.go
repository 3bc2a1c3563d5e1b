// Package digest hashes what must hash alike in every run and every build: it is
// stored, and equal values must give equal digests.
package digest

import "math/bits"

// Digest is a hash of the words and texts that were added to it, in their order.
// It is wyhash's mixing step over words of eight bytes, not a defence against
// chosen input. The zero value is the digest of nothing.
type Digest uint64

const (
	seed = 0xa0761d6478bd642f
	mix  = 0xe7037ed1a0b428db
)

// Word adds eight bytes.
func (d *Digest) Word(n uint64) {
	hi, lo := bits.Mul64(uint64(*d)^n^seed, mix^n>>32)
	*d = Digest(hi ^ lo ^ n)
}

// Text adds a text and its length.
func (d *Digest) Text(s string) {
	d.Word(uint64(len(s)))
	for len(s) >= 8 {
		d.Word(uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56)
		s = s[8:]
	}
	var rest uint64
	for i := range len(s) {
		rest |= uint64(s[i]) << (8 * i)
	}
	d.Word(rest)
}

// OfText is the digest of one text.
func OfText(s string) Digest {
	var d Digest
	d.Text(s)
	return d
}
