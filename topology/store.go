package topology

import "iter"

// Store is a task's state: the committed keys and, over them, the writes of
// the transaction that is open. Reads see both. It has one owner at a time.
type Store struct {
	base    slots
	index   map[string]int // key → its place in writes
	writes  []write        // in the order of each key's first write
	pending int            // bytes of keys and values in writes
}

type write struct {
	key   string
	value []byte // nil deletes
	told  bool   // the changelog has this value
}

// NewStore is an empty store.
func NewStore() *Store {
	return &Store{base: newSlots(), index: map[string]int{}}
}

// Get is the value of a key, nil where there is none. The caller does not
// change it, and it is gone with the next Commit or Load.
func (s *Store) Get(key []byte) []byte {
	if i, ok := s.index[string(key)]; ok {
		return s.writes[i].value
	}
	return s.base.get(key)
}

// Put writes a value in the open transaction; nil deletes. The store keeps
// value, not key.
func (s *Store) Put(key, value []byte) {
	if i, ok := s.index[string(key)]; ok {
		w := &s.writes[i]
		s.pending += len(value) - len(w.value)
		w.value, w.told = value, false
		return
	}
	k := string(key)
	s.index[k] = len(s.writes)
	s.writes = append(s.writes, write{key: k, value: value})
	s.pending += len(k) + len(value)
}

// Load puts a committed value: one changelog record of a restore. It copies key and
// value; nil deletes.
func (s *Store) Load(key, value []byte) { s.base.set(key, value) }

// Commit makes the open transaction's writes the committed state.
func (s *Store) Commit() {
	for _, w := range s.writes {
		s.base.set([]byte(w.key), w.value)
	}
	s.Abort()
}

// Abort forgets the open transaction's writes.
func (s *Store) Abort() {
	clear(s.index)
	clear(s.writes)
	s.writes = s.writes[:0]
	s.pending = 0
}

// appendChanges appends the writes that the changelog has not seen yet, with keys out of
// the arena.
func (s *Store) appendChanges(changes []Change, partition int32, a *arena) []Change {
	for i := range s.writes {
		w := &s.writes[i]
		if w.told {
			continue
		}
		w.told = true
		changes = append(changes, Change{Partition: partition, Key: a.keep(append(a.room(), w.key...)), Value: w.value})
	}
	return changes
}

// All visits every committed key, in no particular order, each for the time of its
// visit. The open transaction's writes are not part of it.
func (s *Store) All() iter.Seq2[[]byte, []byte] { return s.base.each() }

// Len is the number of committed keys.
func (s *Store) Len() int { return s.base.len() }

// Size is the number of bytes of committed keys and values.
func (s *Store) Size() int { return s.base.bytes }

// Pending is the number of bytes that the open transaction has written. A
// runtime ends a transaction early where it grows large.
func (s *Store) Pending() int { return s.pending }
