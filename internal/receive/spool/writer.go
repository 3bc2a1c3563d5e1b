package spool

import (
	"crypto/rand"
	"fmt"
	"time"
)

// writer has what belongs to the goroutine that writes.
type writer struct {
	number  uint64 // of the newest segment
	name    string
	file    file // nil if no segment is being written
	mark    [markBytes]byte
	size    int64 // what of it is durable
	records int64
	buffer  []byte
}

// write is the goroutine that writes. What comes in while the disk is busy is written
// and made durable together, next: an idle disk is not waited for.
func (s *Spool) write() {
	defer close(s.ended)
	var again <-chan time.Time // when a disk that refused is tried
	for {
		for batch := s.batch(); len(batch) > 0; batch = s.batch() {
			err := s.commit(batch)
			s.settle(batch, err)
		}
		if s.asked(&s.closed) {
			s.endSegment()
			return
		}
		if s.asked(&s.seal) {
			s.endSegment()
		}
		if again == nil && s.isRefused() {
			again = time.After(probeEvery)
		}
		select {
		case <-s.wake:
		case <-again:
			again = nil
			s.probe()
		}
	}
}

func (s *Spool) asked(what *bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *what && len(s.pending) == 0
}

// batch takes from those that wait what is to be written next.
func (s *Spool) batch() []pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, bytes := 0, int64(0)
	for n < len(s.pending) && (n == 0 || bytes+s.pending[n].size <= commitBytesMax) {
		bytes += s.pending[n].size
		n++
	}
	batch := s.pending[:n:n]
	s.pending = s.pending[n:]
	if len(s.pending) == 0 {
		s.pending = nil
	}
	return batch
}

// settle tells those who wait how it went.
func (s *Spool) settle(batch []pending, err error) {
	s.mu.Lock()
	for _, p := range batch {
		s.pendingBytes -= p.size
	}
	if err != nil {
		s.note(err)
	}
	s.mu.Unlock()
	for _, p := range batch {
		p.done <- err
	}
}

// note keeps whether the disk takes what is written, and says when that changes.
func (s *Spool) note(err error) {
	switch was := s.refused; {
	case err != nil && was == nil:
		s.cfg.Log.Error("the spool cannot write: what Kafka does not take is refused until it can", "err", err)
	case err == nil && was != nil:
		s.cfg.Log.Info("the spool can write again")
	}
	s.refused = err
}

// commit makes records durable, all or none of them.
func (s *Spool) commit(batch []pending) error {
	w := &s.writer
	if err := s.beginSegment(); err != nil {
		return refusal("begin a segment", err)
	}
	w.buffer = w.buffer[:0]
	if w.size == 0 {
		w.buffer = append(append(w.buffer, form...), w.mark[:]...)
	}
	for _, p := range batch {
		w.buffer = appendRecord(w.buffer, w.mark[:], p.record)
	}
	if _, err := w.file.Write(w.buffer); err != nil {
		// Behind a part of a frame nothing may be written: it would be taken for damage.
		if w.file.Truncate(w.size) != nil {
			s.abandonSegment()
		}
		return refusal("write", err)
	}
	if err := s.syncSegment(); err != nil {
		// After this nobody knows what is on disk, and the next attempt may succeed
		// without having written anything: this file is not written again.
		s.abandonSegment()
		return refusal("sync", err)
	}
	w.size += int64(len(w.buffer))
	w.records += int64(len(batch))
	s.grow(int64(len(w.buffer)), int64(len(batch)))
	if cap(w.buffer) > 2*commitBytesMax {
		w.buffer = nil
	}
	if w.size >= segmentBytes {
		s.endSegment()
	}
	return nil
}

func refusal(what string, err error) error { return fmt.Errorf("%w: %s: %w", ErrFull, what, err) }

func (s *Spool) beginSegment() error {
	w := &s.writer
	if w.file != nil {
		return nil
	}
	w.number++
	name := segmentName(w.number)
	f, err := s.disk.create(name)
	if err != nil {
		return err
	}
	w.name, w.file, w.size, w.records = name, f, 0, 0
	_, _ = rand.Read(w.mark[:]) // does not fail
	return nil
}

// syncSegment makes durable what was written, and of a new segment the name: a file
// without a name is lost with all that is in it.
func (s *Spool) syncSegment() error {
	if err := s.writer.file.Sync(); err != nil {
		return err
	}
	if s.writer.size == 0 {
		return s.disk.sync()
	}
	return nil
}

func (s *Spool) grow(bytes, records int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += bytes
	s.records += records
	s.active += records
}

// endSegment gives the segment that is written over to be drained.
func (s *Spool) endSegment() {
	w := &s.writer
	if w.file == nil {
		return
	}
	end := appendEnd(nil, w.mark[:], w.records)
	if w.records > 0 {
		// It only spares the next process the counting.
		if _, err := w.file.Write(end); err == nil {
			w.size += int64(len(end))
			s.grow(int64(len(end)), 0)
		}
	}
	s.abandonSegment()
}

// abandonSegment closes the segment that is written as it is.
func (s *Spool) abandonSegment() {
	w := &s.writer
	_ = w.file.Close() // what was acknowledged is durable
	w.file = nil
	if w.records == 0 && s.disk.remove(w.name) == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = append(s.sealed, &segment{name: w.name, size: w.size, records: w.records})
	s.active, s.seal = 0, false
}

func (s *Spool) isRefused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused != nil
}

// probe tries a disk that refused: those who would ask may have gone elsewhere, and a disk
// on which small records find room and large ones do not is full.
func (s *Spool) probe() {
	if try(s.disk) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(nil)
}

// try makes something durable, and removes it.
func try(d disk) error {
	_ = d.remove(probeName) // of a process that was killed while it tried
	f, err := d.create(probeName)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeBytes))
	if err == nil {
		err = f.Sync()
	}
	_ = f.Close()
	_ = d.remove(probeName)
	return err
}
