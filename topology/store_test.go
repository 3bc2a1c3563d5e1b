package topology

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A store agrees with a plain map that is copied at every commit.
func TestStore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewStore()
		committed, now := map[string]string{}, map[string]string{}
		key := rapid.SampledFrom([]string{"a", "b", "c", "dd"})
		changelog := map[string]string{}
		var changes []Change
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, v := key.Draw(t, "key"), rapid.StringN(1, 3, 3).Draw(t, "value")
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
				for _, k := range []string{"a", "b", "c", "dd"} {
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
			},
		})
	})
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
