package topology

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkStore is a task's store under what legs do to it, by the number of keys that
// it holds: an operation reads the value of a key and writes the next one, which is
// larger by a little or, at the end of a leg's time, as small as a stub. A hundred
// make a transaction.
func BenchmarkStore(b *testing.B) {
	for _, keys := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			s := NewStore()
			for i := range keys {
				s.Load(storeKey(i), make([]byte, 50+i%400))
			}
			draw := rand.New(rand.NewPCG(1, 1))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				key := storeKey(draw.IntN(keys))
				size := len(s.Get(key)) + 60
				if size > 500 {
					size = 50
				}
				s.Put(key, make([]byte, size))
				if i%100 == 99 {
					s.Commit()
				}
			}
		})
	}
}

// storeKey is like that of a node.
func storeKey(i int) []byte {
	key := make([]byte, 18)
	binary.LittleEndian.PutUint64(key[2:], uint64(i)*0x9e3779b97f4a7c15)
	return key
}
