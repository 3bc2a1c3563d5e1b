package secret

import (
	"os"
	"slices"
	"sync"
	"time"
)

// lookInterval is how often files are looked at: often enough that a rotation is felt at
// once, and rarely enough that requests do not pay for it.
const lookInterval = time.Second

// Kept is what was read of files last. It looks at them when it is asked, and reads them
// again where they have changed; while that fails, what was read before goes on. It needs
// no goroutine, and sees what notifications do not: a directory that was exchanged for
// another behind a symbolic link, as Kubernetes does. It is safe for concurrent use.
type Kept[T any] struct {
	paths []string
	read  func() (T, error)

	mu      sync.Mutex
	looked  time.Time
	seen    []os.FileInfo // nil where there was no file
	value   T
	problem error
}

// Keep reads files with a function that is called again when they have changed.
func Keep[T any](read func() (T, error), paths ...string) (*Kept[T], error) {
	k := &Kept[T]{paths: paths, read: read, looked: time.Now(), seen: look(paths)}
	k.value, k.problem = read()
	return k, k.problem
}

// Now is what was read last, and why the files as they are now are not that, or nil.
func (k *Kept[T]) Now() (value T, problem error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if now.Sub(k.looked) < lookInterval {
		return k.value, k.problem
	}
	k.looked = now
	// What changes while it is read is then a change again. And who may read a file changes
	// without it.
	if seen := look(k.paths); k.problem != nil || !slices.EqualFunc(seen, k.seen, same) {
		k.seen = seen
		fresh, err := k.read()
		if k.problem = err; err == nil {
			k.value = fresh
		}
	}
	return k.value, k.problem
}

func look(paths []string) []os.FileInfo {
	seen := make([]os.FileInfo, len(paths))
	for i, path := range paths {
		seen[i], _ = os.Stat(path) // one that is not there is a state like others
	}
	return seen
}

func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
