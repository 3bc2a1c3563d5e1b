package topology

import (
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestStore(t *testing.T) { rapid.Check(t, checkStore) }

func FuzzStore(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkStore)) }

// checkStore holds a store against a plain map that is copied at every commit.
func checkStore(t *rapid.T) {
	s := NewStore()
	s.base.mask = rapid.SampledFrom([]uint64{math.MaxUint64, 1, 0}).Draw(t, "mask") // some keys, or all, have one hash
	committed, now := map[string]string{}, map[string]string{}
	key := rapid.SampledFrom(storeKeys)
	size := rapid.SampledFrom([]int{0, 1, 10, 14, 40, 600, 2000, 5000, 9000}) // of all kinds of slots and pages
	changelog := map[string]string{}
	var changes []Change
	t.Repeat(map[string]func(*rapid.T){
		"put": func(t *rapid.T) {
			k, v := key.Draw(t, "key"), strings.Repeat(rapid.StringN(1, 1, 1).Draw(t, "value"), size.Draw(t, "size"))
			s.Put([]byte(k), []byte(v))
			now[k] = v
		},
		"delete": func(t *rapid.T) {
			k := key.Draw(t, "key")
			s.Put([]byte(k), nil)
			delete(now, k)
		},
		"flush": func(t *rapid.T) { changes = s.appendChanges(changes, 3, new(arena)) },
		"commit": func(t *rapid.T) {
			for _, c := range s.appendChanges(changes, 3, new(arena)) {
				if c.Value == nil {
					delete(changelog, string(c.Key))
				} else {
					changelog[string(c.Key)] = string(c.Value)
				}
			}
			s.Commit()
			committed, changes = maps.Clone(now), nil
		},
		"abort": func(t *rapid.T) {
			s.Abort()
			now, changes = maps.Clone(committed), nil
		},
		"": func(t *rapid.T) {
			seen := map[string]string{}
			for _, k := range storeKeys {
				if v := s.Get([]byte(k)); v != nil {
					seen[k] = string(v)
				}
			}
			if d := cmp.Diff(now, seen); d != "" {
				t.Fatalf("reads differ (-want +got):\n%s", d)
			}
			if d := cmp.Diff(committed, contents(s)); d != "" {
				t.Fatalf("committed state differs (-want +got):\n%s", d)
			}
			if d := cmp.Diff(committed, changelog); d != "" {
				t.Fatalf("changelog differs (-want +got):\n%s", d)
			}
			checkSizes(t, s, committed)
			checkSlots(t, &s.base)
		},
	})
}

var storeKeys = []string{"", "a", "b", "c", "dd", strings.Repeat("e", 200)}

// checkSlots checks that every key is where its place says, and that there is no hole and
// no page too many.
func checkSlots(t *rapid.T, s *slots) {
	n := 0
	for number, c := range s.classes {
		for i, page := range c.pages {
			if last := i == len(c.pages)-1; len(page) == 0 || !last && len(page)+c.size <= pageSize {
				t.Fatalf("page %d of %d of slots of %d bytes has %d", i, len(c.pages), c.size, len(page))
			}
			for offset := 0; offset < len(page); offset += c.size {
				key, value := record(page[offset:])
				if f := s.find(key); !f.known || f.at != (place{uint16(number), uint16(offset), uint32(i)}) {
					t.Fatalf("the key %.9q is not found at its place", key)
				}
				if classOf(recordSize(key, value)) != number {
					t.Fatalf("a value of %d bytes is in a slot of %d", len(value), c.size)
				}
				n++
			}
		}
	}
	if n != s.len() {
		t.Fatalf("%d records for %d keys", n, s.len())
	}
}

// Each size has the smallest slot that takes it, and no slot is larger than that by much.
func TestSlotSizes(t *testing.T) {
	for size := 1; size < 100_000; size++ {
		n := classOf(size)
		slot := sizeOf(n)
		if slot < size || n > 0 && sizeOf(n-1) >= size || slot-size >= max(slotMin, size/slotSteps+1) {
			t.Fatalf("%d bytes are in a slot of %d", size, slot)
		}
	}
}

// When legs go, so does the memory that they took.
func TestStoreGivesBack(t *testing.T) {
	s := NewStore()
	const keys = 50_000
	for i := range keys {
		s.Load(storeKey(i), make([]byte, 50+i%400))
	}
	for i := range keys - 100 {
		s.Load(storeKey(i), nil)
	}
	held := 0
	for _, c := range s.base.classes {
		for _, page := range c.pages {
			held += cap(page)
		}
	}
	if held > 100*pageSize || s.base.most > 1000 {
		t.Errorf("pages of %d bytes and a map of %d places for %d keys", held, s.base.most, s.Len())
	}
}

func contents(s *Store) map[string]string {
	all := map[string]string{}
	for k, v := range s.All() {
		all[string(k)] = string(v)
	}
	return all
}

func checkSizes(t *rapid.T, s *Store, committed map[string]string) {
	size := 0
	for k, v := range committed {
		size += len(k) + len(v)
	}
	pending := 0
	for _, w := range s.writes {
		pending += len(w.key) + len(w.value)
	}
	if s.Len() != len(committed) || s.Size() != size || s.Pending() != pending {
		t.Fatalf("len %d, size %d, pending %d; want %d, %d, %d",
			s.Len(), s.Size(), s.Pending(), len(committed), size, pending)
	}
}

// A restore gives the state that the changelog tells, and keeps no part of the
// buffer that the record came in.
func TestStoreLoad(t *testing.T) {
	s := NewStore()
	buffer := []byte("onetwo")
	s.Load([]byte("k"), buffer[:3])
	s.Load([]byte("gone"), buffer[3:])
	s.Load([]byte("gone"), nil)
	s.Load([]byte("empty"), []byte{})
	copy(buffer, "xxxxxx")
	if d := cmp.Diff(map[string]string{"k": "one", "empty": ""}, contents(s)); d != "" {
		t.Error(d)
	}
	if s.Size() != len("kone")+len("empty") {
		t.Errorf("size %d", s.Size())
	}
}
