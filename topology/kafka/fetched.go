package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

// fetched is what the client has brought of one partition.
type fetched struct {
	of      *partition
	records []*kgo.Record
	ready   []topology.Record // the same for its task; without a value where it is a marker
}

// next is what was read ahead, or what is there now, waiting at most so long for a first
// record.
func (s *session) next(ctx context.Context, wait time.Duration) ([]fetched, error) {
	if ahead, err := s.takeAhead(); len(ahead) > 0 || err != nil {
		return ahead, err
	}
	return s.poll(ctx, wait)
}

// poll fetches what is there, waiting at most so long for a first record.
func (s *session) poll(ctx context.Context, wait time.Duration) ([]fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, max(wait, time.Millisecond))
	defer cancel()
	fetches := s.cl.PollRecords(ctx, min(pollRecords*len(s.encoders), pollRecordsMax))
	if fetches.IsClientClosed() {
		return nil, errors.New("the client was closed")
	}
	for _, e := range fetches.Errors() {
		if p := s.parts[topology.TopicPartition{Topic: e.Topic, Partition: e.Partition}]; p != nil && p.active && unreadable(e.Err) {
			s.takeInHand(p, e.Err)
			continue
		}
		if err := failure(e); err != nil {
			return nil, err
		}
	}
	return s.byPartition(fetches)
}

// byPartition is what was fetched, put together by partition.
func (s *session) byPartition(fetches kgo.Fetches) (all []fetched, err error) {
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if len(f.Records) == 0 || err != nil {
			return
		}
		p := s.parts[topology.TopicPartition{Topic: f.Topic, Partition: f.Partition}]
		if p == nil || !p.active {
			err = fmt.Errorf("fetched %s-%d at %d, for which there is no task here", f.Topic, f.Partition, f.Records[0].Offset)
			return
		}
		i := slices.IndexFunc(all, func(o fetched) bool { return o.of == p })
		if i < 0 {
			i = len(all)
			all = append(all, fetched{of: p})
		}
		all[i].records = append(all[i].records, f.Records...)
	})
	for i := range all {
		ready := slices.Grow(s.takeSpare(), len(all[i].records))
		for _, rec := range all[i].records {
			r := fromKafka(rec)
			if rec.Attrs.IsControl() {
				r.Value = nil
			}
			ready = append(ready, r)
		}
		all[i].ready = ready
	}
	return all, err
}

// Reading ahead ends at these bounds, and where brokers have nothing more: a transaction
// may take long to be written, and all of what is read ahead is held and goes into the next
// one at once.
const (
	aheadRecords = 10_000
	aheadBytes   = maxTransactionBytes / 4
)

// lookAhead keeps the cores at work while a transaction is being written: it reads on, and
// decodes what it reads. The records belong to the next transaction; a crash or the end of
// the session just forgets them. Nothing is read while the transaction is ended: if it
// aborts, the client goes back meanwhile.
func (s *session) lookAhead(ctx context.Context, done <-chan struct{}) {
	for records, bytes := 0, 0; records < aheadRecords && bytes < aheadBytes; {
		select {
		case <-done:
			return
		default:
		}
		more, err := s.poll(ctx, 0)
		if err != nil || len(more) == 0 {
			s.readAheadErr = err
			return
		}
		ready := make([][]topology.Record, len(more))
		for i, f := range more {
			ready[i] = f.ready
			f.of.readAhead = true
			records += len(f.ready)
			bytes += f.bytes()
		}
		s.tasks.Prepare(ready)
		s.readAhead = append(s.readAhead, more...)
	}
}

// bytes is what the records weigh.
func (f fetched) bytes() (n int) {
	for _, rec := range f.ready {
		n += len(rec.Key) + len(rec.Value)
	}
	return n
}

// takeAhead is what was read ahead, once.
func (s *session) takeAhead() ([]fetched, error) {
	ahead, err := s.readAhead, s.readAheadErr
	for _, f := range ahead {
		f.of.readAhead = false
	}
	s.readAhead, s.readAheadErr = nil, nil
	return ahead, err
}

// dropAhead drops what was read ahead, and has the client bring it again. It must be told:
// where it has committed, it takes all that it had brought for committed (K54).
func (s *session) dropAhead() {
	_, _ = s.takeAhead() // an error comes again
	offsets := make(map[string]map[int32]kgo.EpochOffset)
	for tp := range s.parts {
		if position, ok := s.tasks.Position(tp); ok {
			if offsets[tp.Topic] == nil {
				offsets[tp.Topic] = make(map[int32]kgo.EpochOffset)
			}
			offsets[tp.Topic][tp.Partition] = kgo.EpochOffset{Epoch: -1, Offset: position}
		}
	}
	s.cl.SetOffsets(offsets)
}

// Slices of records are used again: so many, of so many records each at most, some 27 MB
// in all. A poll of two threads brings 2*pollRecords at most, which append rounds up.
const (
	sparesMax = 64
	spareMax  = 3 * pollRecords
)

func (s *session) takeSpare() []topology.Record {
	n := len(s.spares)
	if n == 0 {
		return nil
	}
	spare := s.spares[n-1]
	s.spares = s.spares[:n-1]
	return spare
}

// process hands what was fetched to the tasks. What was read ahead of a partition that has
// been lost since is its new owner's.
func (s *session) process(tx *transaction, all []fetched) error {
	for _, f := range all {
		if s.parts[f.of.TopicPartition] != f.of {
			continue
		}
		if err := s.processPartition(tx, f); err != nil {
			return err
		}
		if clear(f.ready); len(s.spares) < sparesMax && cap(f.ready) <= spareMax { // the tasks have copies
			s.spares = append(s.spares, f.ready[:0])
		}
	}
	return nil
}

func (s *session) processPartition(tx *transaction, f fetched) error {
	p := f.of
	position, ok := s.tasks.Position(p.TopicPartition)
	if !ok || f.records[0].Offset < position {
		return fmt.Errorf("fetched %s at %d, where its task is at %d", p.TopicPartition, f.records[0].Offset, position)
	}
	for i, rec := range f.records {
		if rec.Offset > position && s.dense(p) { // franz-go goes over records that it cannot parse (K37)
			s.takeInHand(p, errGap)
			return nil
		}
		position = rec.Offset + 1
		p.epoch = rec.LeaderEpoch
		var err error
		if rec.Attrs.IsControl() { // positions count them, so they can reach the end of a partition (K8)
			err = s.pass(tx, p, rec.Offset)
		} else {
			err = s.take(tx, p, f.ready[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// take hands a record to its task.
func (s *session) take(tx *transaction, p *partition, rec topology.Record) error {
	tx.records++
	tx.bytes += len(rec.Key) + len(rec.Value)
	p.newest = rec.Timestamp
	p.records++
	if p.source {
		s.backlog.read++
		if topology.Replays(rec.Headers) > 0 { // its date is that of the first time; it has not waited since then
			p.newest = time.Now().UnixMilli()
		}
		if rec.Timestamp > tx.ahead {
			p.lead.datedAhead(rec.Timestamp)
		}
	}
	if err := s.tasks.Process(rec); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return nil
}

// pass goes over an offset at which there is no record for a task.
func (s *session) pass(tx *transaction, p *partition, offset int64) error {
	tx.records++
	if err := s.tasks.Pass(p.TopicPartition, offset); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return nil
}

// work has the tasks take what was handed to them.
func (s *session) work() error {
	if err := s.tasks.Work(); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return nil
}
