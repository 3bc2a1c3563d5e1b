package simulator

import (
	"math/rand/v2"
	"strconv"
)

// draw is a stream of random facts.
type draw struct{ *rand.Rand }

// Two streams, so that faults do not change which calls are drawn.
const (
	callStream  = 1
	faultStream = 2
)

func newDraw(seed, stream uint64) draw { return draw{rand.New(rand.NewPCG(seed, stream))} }

func (d draw) chance(share float64) bool { return share > 0 && d.Float64() < share }

// between is uniform over lo to hi, both included.
func (d draw) between(lo, hi int64) int64 { return lo + d.Int64N(hi-lo+1) }

// around is a duration in milliseconds with the given mean: exponential, at
// least a tenth of the mean and at most five times of it.
func (d draw) around(mean int64) int64 {
	return min(max(int64(d.ExpFloat64()*float64(mean)), mean/10), 5*mean)
}

func pick[T any](d draw, choices []T) T { return choices[d.IntN(len(choices))] }

// phone is a fictional number in E.164: the exchange 555 and a line from 0100 to
// 0199, in any area code.
func (d draw) phone() string {
	b := strconv.AppendInt([]byte("+1"), d.between(200, 999), 10)
	b = append(b, "5550"...)
	return string(strconv.AppendInt(b, d.between(100, 199), 10))
}

// extension is the name of a user inside a tenant.
func (d draw) extension(prefix string) string {
	return prefix + strconv.FormatInt(d.between(100, 499), 10)
}

const hexDigits = "0123456789abcdef"

func (d draw) appendHex(b []byte, n int) []byte {
	for n > 0 {
		bits := d.Uint64()
		for i := 0; i < 16 && n > 0; i++ {
			b = append(b, hexDigits[bits&15])
			bits >>= 4
			n--
		}
	}
	return b
}

func (d draw) hex(n int) string { return string(d.appendHex(nil, n)) }

// uuid is a random UUID of version 4.
func (d draw) uuid() string { return string(d.appendUUID(nil)) }

func (d draw) appendUUID(b []byte) []byte {
	b = append(d.appendHex(b, 8), '-')
	b = append(d.appendHex(b, 4), '-', '4')
	b = append(d.appendHex(b, 3), '-', hexDigits[8+d.IntN(4)])
	b = append(d.appendHex(b, 3), '-')
	return d.appendHex(b, 12)
}

const upperDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// token is n upper-case letters and digits.
func (d draw) token(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = upperDigits[d.IntN(len(upperDigits))]
	}
	return string(b)
}
