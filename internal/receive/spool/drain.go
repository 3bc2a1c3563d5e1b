package spool

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// ErrRefused is in the error of a record that its destination will never take.
var ErrRefused = errors.New("refused for good")

// Send takes records elsewhere, and returns when none of them is under way any more: with
// an error for each, nil if it is safe there.
type Send func(ctx context.Context, records []Record) []error

const (
	// sendBytes and sendRecords bound what is under way at a time.
	sendBytes   = 2 << 20
	sendRecords = 2000
	// drainEvery is how often it is looked for records, and how long it is waited after
	// a failure; longer each time, up to drainPauseMax.
	drainEvery    = time.Second
	drainPauseMax = 30 * time.Second
)

// Drain has all records taken elsewhere, until ctx ends, and deletes segments of which
// all are. Only one may be under way.
func (s *Spool) Drain(ctx context.Context, send Send) {
	for ctx.Err() == nil {
		if seg := s.oldest(); seg == nil {
			wait(ctx, drainEvery)
		} else {
			s.drain(ctx, seg, send)
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// oldest is the segment that is drained next. If there is none the one that is being
// written will be, a little later: no more than one a second is made for that.
func (s *Spool) oldest() *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sealed) > 0 {
		return s.sealed[0]
	}
	s.sealActive()
	return nil
}

// sealActive has the writer end the segment that is being written, so that it is drained.
// The caller holds mu.
func (s *Spool) sealActive() {
	if s.active > 0 {
		s.seal = true
		s.stir()
	}
}

func (s *Spool) drain(ctx context.Context, seg *segment, send Send) {
	data, err := s.disk.read(seg.name)
	if err != nil {
		s.cfg.Log.Error("a spool segment cannot be read: it is tried again after the others", "segment", seg.name, "err", err)
		s.mu.Lock()
		s.sealed = append(s.sealed[1:], seg)
		s.sealActive() // it may be the only one
		s.mu.Unlock()
		wait(ctx, drainPauseMax)
		return
	}
	r, ok := newReader(data)
	if !ok { // it had one when it was adopted or written
		r = &reader{damaged: len(data)}
	}
	var refused error
	for {
		records := r.some()
		if len(records) == 0 {
			break
		}
		err := s.sendAll(ctx, seg, records, send)
		if ctx.Err() != nil {
			return
		}
		refused = cmp.Or(refused, err)
	}
	s.discard(seg, r.damaged, refused)
}

// some are the next records, as many as may be under way.
func (r *reader) some() (records []Record) {
	for bytes := int64(0); bytes < sendBytes && len(records) < sendRecords; {
		record, ok := r.next()
		if !ok {
			break
		}
		bytes += sizeOf(record)
		records = append(records, record)
	}
	return records
}

// sendAll has each of the records taken, or refused for good; or ctx ends.
func (s *Spool) sendAll(ctx context.Context, seg *segment, records []Record, send Send) (refused error) {
	for pause := drainEvery; ; pause = min(2*pause, drainPauseMax) {
		errs := send(ctx, records)
		taken, failed := int64(0), []Record(nil)
		var failure error
		for i, err := range errs {
			switch {
			case err == nil:
				taken++
			case errors.Is(err, ErrRefused):
				refused = err
			default:
				failed, failure = append(failed, records[i]), err
			}
		}
		s.took(seg, taken)
		if len(failed) == 0 || ctx.Err() != nil {
			return refused
		}
		s.cfg.Log.Warn("spooled records were not taken: they are tried again", "records", len(failed), "err", failure)
		records = failed
		wait(ctx, pause)
	}
}

func (s *Spool) took(seg *segment, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.records -= n
	s.records -= n
}

// discard deletes a segment whose records are all taken. One that holds what could not be
// read, or what is refused for good, is not drained again, and kept: it was acknowledged.
func (s *Spool) discard(seg *segment, damaged int, refused error) {
	s.mu.Lock()
	s.sealed = slices.DeleteFunc(s.sealed, func(other *segment) bool { return other == seg })
	s.mu.Unlock()
	var err error
	switch {
	case refused != nil:
		s.cfg.Log.Error("spooled records were refused for good: their segment is kept, and is tried again at the next start",
			"segment", seg.name, "records", seg.records, "err", refused)
		return
	case damaged > 0:
		s.cfg.Log.Error("a spool segment is damaged: the disk has lost records of it",
			"segment", seg.name+damagedSuffix, "bytes", damaged, "records", seg.records)
		err = s.disk.rename(seg.name, seg.name+damagedSuffix)
	default:
		err = s.disk.remove(seg.name)
	}
	if err != nil {
		s.cfg.Log.Error("a drained spool segment cannot be put away: the next start sends it again", "segment", seg.name, "err", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= seg.size
	s.records -= seg.records // of which the count was wrong
}
