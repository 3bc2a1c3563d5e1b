package kafka

import (
	"bytes"
	"testing"
)

// What was kept stays as it is until the memory is used again, and then that is what is
// used; what was forgotten is never used again.
func TestChunks(t *testing.T) {
	c := chunks[byte]{size: 64}
	keep := func(n int, with byte) []byte {
		return c.keep(append(c.room(16), bytes.Repeat([]byte{with}, n)...))
	}
	var kept [][]byte
	for i := range 40 {
		kept = append(kept, keep(i%7*20, byte(i))) // some outgrow their chunk
	}
	for i, b := range kept {
		if want := bytes.Repeat([]byte{byte(i)}, i%7*20); !bytes.Equal(b, want) || cap(b) != len(b) {
			t.Errorf("piece %d holds %v, of %d", i, b, cap(b))
		}
	}
	most := len(c.all)
	c.again()
	if again := keep(20, 99); &again[0] != &kept[1][0] {
		t.Error("the memory is not used again")
	}
	c.again()
	keep(20, 98)
	c.again()
	if len(c.all) >= most {
		t.Errorf("%d chunks are held after little was needed twice, %d after much", len(c.all), most)
	}
	c.forget()
	if b := keep(20, 97); &b[0] == &kept[1][0] {
		t.Error("memory that was forgotten is used again")
	}
}
