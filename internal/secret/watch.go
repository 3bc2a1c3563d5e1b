package secret

import (
	"os"
	"sync"
	"time"
)

// lookInterval is how often files are looked at: often enough that a rotation is felt at
// once, and rarely enough that requests do not pay for it.
const lookInterval = time.Second

// A Watch tells when files have changed, by looking at them when it is asked. It needs
// no goroutine, and sees what notifications do not: a directory that was exchanged for
// another behind a symbolic link, as Kubernetes does.
type Watch struct {
	paths []string

	mu     sync.Mutex
	looked time.Time
	seen   []os.FileInfo // nil where there was no file
	again  bool          // they count as changed when they are looked at next
}

// NewWatch watches files. All of them count as changed when it is asked first.
func NewWatch(paths ...string) *Watch { return &Watch{paths: paths} }

// Changed reports whether a file is another than when Changed reported so last. It
// looks once a second at most. Read the files after it: what changes while they are
// read is then a change again.
func (w *Watch) Changed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.seen != nil && now.Sub(w.looked) < lookInterval {
		return false
	}
	w.looked = now
	found := make([]os.FileInfo, len(w.paths))
	changed := w.seen == nil || w.again
	w.again = false
	for i, path := range w.paths {
		found[i], _ = os.Stat(path) // one that is not there is a state like others
		changed = changed || !same(found[i], w.seen[i])
	}
	w.seen = found
	return changed
}

// Again has the files count as changed when they are looked at next, though nothing may
// tell: those that could not be read are the same when their owner, or who may read them,
// is another.
func (w *Watch) Again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.again = true
}

func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
