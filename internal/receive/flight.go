package receive

import (
	"container/list"
	"sync"
	"time"

	"callstitch/internal/receive/spool"
)

// recordBytes is what a record takes in memory besides its headers and its body: in the
// client, and here. It bounds the number of records too.
const recordBytes = 512

// sizeOf is what a record that is under way takes in memory: of the body all that was
// made room for, since it is kept as a whole.
func sizeOf(r spool.Record) int64 {
	n := recordBytes + cap(r.Body)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return int64(n)
}

// flight is what is under way to Kafka: what the client has not let go of, whether
// somebody waits for it or not.
type flight struct {
	max int64

	mu    sync.Mutex // guards the rest
	bytes int64
	under list.List // of *flown, the oldest first
}

// flown is one record.
type flown struct {
	since time.Time
	size  int64
	place *list.Element
}

// begin counts a record; nil if there is no room for it.
func (f *flight) begin(size int64) *flown {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bytes+size > f.max && size > 0 {
		return nil
	}
	f.bytes += size
	r := &flown{since: time.Now(), size: size}
	r.place = f.under.PushBack(r)
	return r
}

// end counts a record no more.
func (f *flight) end(r *flown) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes -= r.size
	f.under.Remove(r.place)
}

// oldest is since when the oldest record is under way; any is false if none is.
func (f *flight) oldest() (since time.Time, any bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if first := f.under.Front(); first != nil {
		return first.Value.(*flown).since, true
	}
	return time.Time{}, false
}

func (f *flight) size() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bytes
}
