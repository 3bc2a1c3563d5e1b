package topology

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math"
	"math/bits"
)

// slots hold keys and values by the million: bytes in pages, and a map of numbers. In a
// Go map of strings and slices each key has two pointers, which the collector follows in
// every cycle.
//
// Records of one class have slots of one size, one behind the other. Where a record goes,
// the last one of its class takes its slot: there are no holes, and pages that legs have
// left are given back.
//
//	class of 48 bytes   a b c d | e f g h | i j       c goes, j comes:
//	                    a b j d | e f g h | i
type slots struct {
	places  map[uint64]place // by the hash of the key
	others  map[string]place // of keys whose hash was another's when they came: as good as none
	most    int              // of places, since it was made: Go's maps never shrink
	classes []class
	spare   []byte // for the class that needs the next page: with each commit some come and go
	bytes   int    // of keys and values

	mask uint64 // the bits of a hash that count: all of them, but in tests
}

// class is the records of about one size.
type class struct {
	size  int      // of a slot
	pages [][]byte // all but the last are full
}

// place is where a record is.
type place struct {
	class, offset uint16
	page          uint32
}

const (
	// pageSize is a size that Go's allocator has. Larger pages would end with less that no
	// slot fits in, but each class has one that is not full.
	pageSize = 8 << 10
	// slotMin is the smallest slot, and the least between two sizes. From slotSteps times
	// that on, sizes grow by 1/slotSteps, and no slot is larger than its record by more.
	slotMin   = 16
	slotSteps = 32
	// mapShare is how far the keys may go down from their most before their map is made anew.
	mapShare = 4
)

func newSlots() slots {
	return slots{places: map[uint64]place{}, others: map[string]place{}, mask: math.MaxUint64}
}

func (s *slots) len() int { return len(s.places) + len(s.others) }

// get is the value of a key until the next set; nil where there is none.
func (s *slots) get(key []byte) []byte {
	f := s.find(key)
	if !f.known {
		return nil
	}
	_, value := record(s.slot(f.at))
	return value
}

// set gives a key its next value, of which it makes a copy; nil deletes it.
func (s *slots) set(key, value []byte) {
	f := s.find(key)
	if f.known {
		_, old := record(s.slot(f.at))
		s.bytes -= len(key) + len(old)
	}
	if value == nil {
		s.drop(f, key)
		return
	}
	s.bytes += len(key) + len(value)
	to := classOf(recordSize(key, value))
	if f.known && int(f.at.class) == to {
		put(s.slot(f.at), key, value)
		return
	}
	if f.known {
		s.remove(f.at)
	}
	at := s.add(to)
	put(s.slot(at), key, value)
	s.note(f, key, at)
}

// drop forgets a key.
func (s *slots) drop(f found, key []byte) {
	if !f.known {
		return
	}
	s.remove(f.at)
	if f.named {
		delete(s.others, string(key))
		return
	}
	delete(s.places, f.hash)
	if len(s.places) < s.most/mapShare {
		places := make(map[uint64]place, len(s.places))
		for hash, at := range s.places { // order: from map to map
			places[hash] = at
		}
		s.places, s.most = places, len(places)
	}
}

// found is where a key is, or would be.
type found struct {
	hash  uint64
	named bool // it is one of others
	known bool
	at    place
}

// hash needs to be fast, and no secret: keys that are made to meet cost a map of strings.
func (s *slots) hash(key []byte) uint64 {
	h := uint64(len(key))
	for ; len(key) >= 8; key = key[8:] {
		h = mix(h ^ binary.LittleEndian.Uint64(key))
	}
	for _, b := range key {
		h = h<<8 ^ uint64(b)
	}
	return mix(h) & s.mask
}

func mix(h uint64) uint64 {
	high, low := bits.Mul64(h, 0x9e3779b97f4a7c15)
	return high ^ low
}

func (s *slots) find(key []byte) found {
	f := found{hash: s.hash(key)}
	if f.at, f.known = s.places[f.hash]; f.known {
		if k, _ := record(s.slot(f.at)); bytes.Equal(k, key) {
			return f
		}
		f.named = true
	}
	if f.at, f.known = s.others[string(key)]; f.known {
		f.named = true
	}
	return f
}

// note keeps the place of a key.
func (s *slots) note(f found, key []byte, at place) {
	if f.named {
		s.others[string(key)] = at
		return
	}
	s.places[f.hash] = at
	s.most = max(s.most, len(s.places))
}

// slot is the memory at a place.
func (s *slots) slot(at place) []byte {
	c := &s.classes[at.class]
	return c.pages[at.page][at.offset:][:c.size]
}

// add makes a slot of a class.
func (s *slots) add(number int) place {
	for n := len(s.classes); n <= number; n++ {
		s.classes = append(s.classes, class{size: sizeOf(n)})
	}
	c := &s.classes[number]
	last := len(c.pages) - 1
	if last < 0 || len(c.pages[last])+c.size > max(pageSize, c.size) {
		c.pages = append(c.pages, s.page(c))
		last++
	}
	p := c.pages[last]
	if len(p)+c.size > cap(p) {
		p = append(make([]byte, 0, min(2*cap(p), pageSize)), p...)
	}
	c.pages[last] = p[:len(p)+c.size]
	return place{uint16(number), uint16(len(p)), uint32(last)}
}

// page is memory for the next slots of a class. The first page of a class begins small
// and doubles.
func (s *slots) page(c *class) []byte {
	switch page := s.spare; {
	case len(c.pages) == 0 || c.size > pageSize:
		return make([]byte, 0, c.size)
	case page != nil:
		s.spare = nil
		return page
	default:
		return make([]byte, 0, pageSize)
	}
}

// remove gives a slot to the last record of its class.
func (s *slots) remove(at place) {
	c := &s.classes[at.class]
	n := len(c.pages) - 1
	rest := len(c.pages[n]) - c.size
	if last := (place{at.class, uint16(rest), uint32(n)}); at != last {
		copy(s.slot(at), s.slot(last))
		s.moved(at)
	}
	c.pages[n] = c.pages[n][:rest]
	if rest == 0 {
		if cap(c.pages[n]) == pageSize {
			s.spare = c.pages[n]
		}
		c.pages[n] = nil
		c.pages = c.pages[:n]
	}
}

// moved notes the new place of a record.
func (s *slots) moved(to place) {
	key, _ := record(s.slot(to))
	if _, named := s.others[string(key)]; named {
		s.others[string(key)] = to
		return
	}
	s.places[s.hash(key)] = to
}

// each visits all keys, class by class.
func (s *slots) each() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for _, c := range s.classes {
			for _, page := range c.pages {
				for ; len(page) > 0; page = page[c.size:] {
					if !yield(record(page)) {
						return
					}
				}
			}
		}
	}
}

// recordSize is the size of a record: the lengths of key and value, then both.
func recordSize(key, value []byte) int {
	return uvarintSize(len(key)) + uvarintSize(len(value)) + len(key) + len(value)
}

func uvarintSize(n int) int { return (bits.Len(uint(n)|1) + 6) / 7 }

// put writes a record.
func put(slot, key, value []byte) {
	b := binary.AppendUvarint(slot[:0], uint64(len(key)))
	b = binary.AppendUvarint(b, uint64(len(value)))
	_ = append(append(b, key...), value...)
}

// record is the record at the beginning of b.
func record(b []byte) (key, value []byte) {
	k, n := binary.Uvarint(b)
	v, m := binary.Uvarint(b[n:])
	begin := n + m
	middle := begin + int(k)
	end := middle + int(v)
	return b[begin:middle:middle], b[middle:end:end]
}

// classOf is the class of the smallest slot that takes so many bytes, and sizeOf is how
// large the slots of a class are.
func classOf(size int) int {
	k := max(bits.Len(uint(size-1)/(slotMin*slotSteps))-1, 0) // doublings beyond the even part
	step := slotMin << k
	return k*slotSteps + (size-1)/step
}

func sizeOf(number int) int {
	k := max(number/slotSteps-1, 0)
	return (number - k*slotSteps + 1) * slotMin << k
}
