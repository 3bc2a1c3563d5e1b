// Package spool keeps records on disk until they are taken elsewhere: appended, they
// outlive the process and a loss of power; drained, they are deleted. They come out in
// no certain order, and some of them again after a crash.
package spool

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Record is what is kept.
type Record struct {
	Time    time.Time // to the millisecond
	Headers []Header
	Body    []byte
}

// Header is one of a record's.
type Header struct{ Key, Value string }

// Config says where records are kept and how much of them.
type Config struct {
	Dir string // made if it is not there; one process at a time uses it
	Max int64  // bytes on disk
	Log *slog.Logger
}

var (
	// ErrFull is that of an Append for which there is no room: Max is reached, the disk
	// is full or refuses to write, or it is so slow that too much waits for it. Once
	// there is room again records are taken again.
	ErrFull = errors.New("the spool has no room")
	// ErrClosed is that of an Append after Close.
	ErrClosed = errors.New("the spool is closed")
)

const (
	// MaxLeast is the least Max: room to write one segment while another drains.
	MaxLeast = 2 * segmentBytes
	// RecordMax bounds a record, headers and all: several times what a decoder takes.
	RecordMax = 4 << 20
)

const (
	// segmentBytes is where a segment ends and the next begins. One is deleted as a
	// whole, and after a crash sent again as a whole, and it is read into memory.
	segmentBytes = 8 << 20
	// commitBytesMax bounds what is written at a time, unless it is one record.
	commitBytesMax = 2 << 20
	// pendingBytesMax bounds what waits for the disk: some seconds of a slow one.
	pendingBytesMax = 16 << 20
	// probeEvery is how often a disk that refused is tried without being asked to.
	probeEvery = time.Second
	// probeBytes is what must fit then.
	probeBytes = 1 << 20
)

// Spool is a directory of segments. Its methods may be called from any goroutine.
type Spool struct {
	cfg    Config
	disk   disk
	lock   io.Closer
	wake   chan struct{} // holds one: there is something for the writer to do
	ended  chan struct{} // closed when the writer has
	writer writer

	mu           sync.Mutex // guards the rest
	pending      []pending
	pendingBytes int64
	bytes        int64 // of all segments
	records      int64 // that are not yet taken
	active       int64 // of them, in the segment that is written
	sealed       []*segment
	refused      error // why the disk did not take the last that was written, or nil
	seal, closed bool  // what the writer is asked to do
}

// pending is a record that waits to be written.
type pending struct {
	record Record
	size   int64
	done   chan<- error
}

// segment is one that is no longer written.
type segment struct {
	name    string
	size    int64
	records int64 // that are not yet taken
}

const (
	segmentSuffix = ".spool"
	damagedSuffix = ".damaged"
	lockName      = "lock"
	probeName     = "probe"
)

// segmentName sorts as its number does.
func segmentName(number uint64) string { return fmt.Sprintf("%016x%s", number, segmentSuffix) }

// Open opens a spool with what an earlier process left in it, and takes its directory
// for this process until Close.
func Open(cfg Config) (*Spool, error) {
	if cfg.Max < MaxLeast {
		return nil, fmt.Errorf("the spool's maximum of %d bytes is less than %d", cfg.Max, MaxLeast)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the spool's directory: %w", err)
	}
	lock, err := lockFile(filepath.Join(cfg.Dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("lock the spool's directory %s: %w: another process uses it, give this one another", cfg.Dir, err)
	}
	s, err := open(cfg, directory(cfg.Dir))
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.lock = lock
	return s, nil
}

func open(cfg Config, d disk) (*Spool, error) {
	s := &Spool{cfg: cfg, disk: d, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	names, err := d.list()
	if err != nil {
		return nil, fmt.Errorf("open the spool: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		var number uint64
		if _, err := fmt.Sscanf(strings.TrimSuffix(name, damagedSuffix), "%016x"+segmentSuffix, &number); err != nil {
			continue
		}
		s.writer.number = max(s.writer.number, number)
		if strings.HasSuffix(name, damagedSuffix) {
			continue
		}
		if err := s.adopt(name); err != nil {
			return nil, fmt.Errorf("open the spool's segment %s: %w", name, err)
		}
	}
	go s.write()
	return s, nil
}

// adopt takes over a segment of an earlier process.
func (s *Spool) adopt(name string) error {
	head, tail, size, err := s.disk.ends(name, max(headBytes, endBytes))
	if err != nil {
		return err
	}
	if len(head) >= len(form) && strings.HasPrefix(string(head), formPrefix) && string(head[:len(form)]) != form {
		return errors.New("a newer program wrote it: let that one drain it")
	}
	if records, ok := recordsOf(head, tail); ok {
		s.keep(&segment{name: name, size: size, records: records})
		return nil
	}
	return s.repair(name, size)
}

// repair counts the records of a segment that was not closed in order, and cuts off what
// is torn: nobody was told that it is safe.
func (s *Spool) repair(name string, size int64) error {
	data, err := s.disk.read(name)
	if err != nil {
		return err
	}
	r, ok := newReader(data)
	if !ok && size < int64(headBytes) {
		return s.disk.remove(name) // it was just made
	}
	if !ok {
		s.cfg.Log.Warn("a spool segment has no head: none of its records was ever acknowledged, or the disk has damaged it",
			"segment", name+damagedSuffix, "bytes", size)
		return s.disk.rename(name, name+damagedSuffix)
	}
	records := int64(0)
	for _, ok := r.next(); ok; _, ok = r.next() {
		records++
	}
	if torn := size - int64(r.end); torn > 0 {
		s.cfg.Log.Info("cut off the torn end of a spool segment", "segment", name, "bytes", torn)
		if err := s.disk.truncate(name, int64(r.end)); err != nil {
			return err
		}
	}
	if records == 0 && r.damaged == 0 {
		return s.disk.remove(name)
	}
	s.keep(&segment{name: name, size: int64(r.end), records: records})
	return nil
}

// keep adds a segment to those that are to be drained.
func (s *Spool) keep(seg *segment) {
	s.sealed = append(s.sealed, seg)
	s.bytes += seg.size
	s.records += seg.records
}

// Append keeps a record. It returns at once. The channel tells nil once the record is
// durable, or why it is not; a record that failed may come out nevertheless. The body
// may not be changed before that.
func (s *Spool) Append(r Record) <-chan error {
	done := make(chan error, 1)
	if err := s.enqueue(pending{r, sizeOf(r), done}); err != nil {
		done <- err
	}
	return done
}

func (s *Spool) enqueue(p pending) error {
	if p.size > RecordMax {
		return fmt.Errorf("a record of %d bytes, of %d at most", p.size, RecordMax)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.bytes+s.pendingBytes+p.size > s.cfg.Max:
		return s.full()
	case s.pendingBytes+p.size > pendingBytesMax:
		return fmt.Errorf("%w: the disk is too slow, %d bytes wait for it", ErrFull, s.pendingBytes)
	}
	s.pending = append(s.pending, p)
	s.pendingBytes += p.size
	s.stir()
	return nil
}

func (s *Spool) full() error {
	return fmt.Errorf("%w: it holds %d bytes of %d", ErrFull, s.bytes, s.cfg.Max)
}

// stir has the writer look.
func (s *Spool) stir() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Room is nil while records can be appended, and else why they cannot.
func (s *Spool) Room() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.refused != nil:
		return s.refused
	case s.bytes+s.pendingBytes+RecordMax > s.cfg.Max:
		return s.full()
	}
	return nil
}

// Size is how many records are kept that are not yet taken elsewhere, and how many bytes
// they and others of their segments take on disk.
func (s *Spool) Size() (records, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records, s.bytes
}

// Close writes what was appended, and gives the directory free.
func (s *Spool) Close() error {
	s.mu.Lock()
	s.closed = true
	s.stir()
	s.mu.Unlock()
	<-s.ended
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}
