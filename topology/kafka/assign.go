package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology"
)

// assigned is a partition that the group gave to a worker, with what the last
// owner committed.
type assigned struct {
	topology.TopicPartition
	stable
	last       metadata // the parsed form of stable.metadata
	generation int32    // of the group
	exchange   []int64  // high watermarks of the exchange, where it is a source partition
}

// mailbox carries assignments from franz-go's callbacks to the worker. The
// callbacks hold a lock that ending a transaction takes, so they must not wait for
// the worker (K2): the box has no bound, and a worker has few partitions.
type mailbox struct {
	mu       sync.Mutex
	assigned []assigned
	failed   error
}

func (m *mailbox) put(a ...assigned) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.assigned = append(m.assigned, a...)
}

func (m *mailbox) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed == nil {
		m.failed = err
	}
}

func (m *mailbox) take() ([]assigned, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.assigned
	m.assigned = nil
	return a, m.failed
}

// onAssigned runs before the offsets of new partitions are fetched. They stay
// paused until their task is restored, and whoever owned them last is fenced: an
// open transaction of a dead owner would hold back the stable offset fetch that
// comes next, and every reader of what it touched, until it times out.
func (s *session) onAssigned(ctx context.Context, cl *kgo.Client, added map[string][]int32) {
	s.told.Store(true)
	if len(added) == 0 {
		return
	}
	s.pulse.given()
	cl.PauseFetchPartitions(added)
	if err := s.fenceOwners(ctx, cl, added); err != nil && ctx.Err() == nil {
		// Only time is lost: the stable fetch waits for the open transaction.
		s.log.Warn("could not end the last owners' transactions, waiting for their time-out", "error", err)
	}
}

// onFetched gets the stable committed offsets. From here on no transaction that
// touched these partitions can commit but this worker's: a transaction commits
// the offset of every partition it touched, the fetch waited for those that were
// pending, and the group refuses those of an older generation.
func (s *session) onFetched(_ context.Context, _ *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	s.fetched = make(map[topology.TopicPartition]assigned)
	for tp, p := range partitionsIn(resp) {
		var m metadata
		if p.Offset >= 0 {
			var err error
			if m, err = parseCommitted(p.Offset, text(p.Metadata)); err != nil {
				s.mailbox.fail(committedBy(err, s.cfg.ApplicationID, tp, p.Offset))
			} else if err = s.cfg.checkMark(m.outputs); err != nil {
				s.mailbox.fail(err)
			} else if err = checkIDs(s.cfg, m.needs(s.cfg, tp.Topic), s.topics.ids); err != nil {
				s.mailbox.fail(err)
			}
		}
		s.fetched[tp] = assigned{TopicPartition: tp, stable: stable{p.Offset, text(p.Metadata)}, last: m}
	}
	return nil
}

// onOffsets follows onFetched, in the same goroutine. A partition without an
// offset was added to its topic after the start and is read from its beginning.
func (s *session) onOffsets(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	if err := s.checkAssigned(ctx, slices.Collect(maps.Keys(offsets))); final(err) {
		s.mailbox.fail(err)
	} else if err != nil {
		return nil, err
	}
	var all []assigned
	var added []topology.TopicPartition
	for topic, partitions := range offsets {
		for p, o := range partitions {
			tp := topology.TopicPartition{Topic: topic, Partition: p}
			if o.EpochOffset().Offset >= 0 {
				all = append(all, s.fetched[tp])
			} else {
				added = append(added, tp)
			}
		}
	}
	ends, err := s.exchangeEnds(ctx, offsets)
	if err != nil {
		return nil, err
	}
	if len(added) > 0 {
		starts, err := listOffsets(ctx, s.cl, added, startOffset)
		if err != nil || len(starts) < len(added) {
			return nil, fmt.Errorf("list the first offsets of new partitions %v: %w", added, errors.Join(err, kerr.LeaderNotAvailable))
		}
		for _, tp := range added {
			at := starts[tp].Offset
			offsets[tp.Topic][tp.Partition] = kgo.NewOffset().At(at)
			all = append(all, assigned{TopicPartition: tp, stable: stable{offset: at}})
		}
	}
	_, generation := s.cl.GroupMetadata()
	for i := range all {
		all[i].generation, all[i].exchange = generation, ends
	}
	s.mailbox.put(all...)
	s.pulse.taken()
	return offsets, nil
}

// exchangeEnds are the high watermarks of the exchange, where source partitions were
// assigned: what their last owners have sent lies below, since the fetch of their stable
// offsets waited for pending transactions.
func (s *session) exchangeEnds(ctx context.Context, offsets map[string]map[int32]kgo.Offset) ([]int64, error) {
	if _, also := offsets[s.cfg.ExchangeTopic()]; len(offsets) == 0 || len(offsets) == 1 && also {
		return nil, nil
	}
	return exchangeEnds(ctx, s.cl, s.cfg)
}

// receive takes in what the group assigned. A partition that is here already was
// lost and assigned again unnoticed: its state may be old, so it starts over (K1).
func (s *session) receive(ctx context.Context) error {
	all, err := s.mailbox.take()
	if err != nil {
		return err
	}
	if len(all) > 0 {
		s.assigned = time.Now()
	}
	for _, a := range all {
		if a.Topic == s.cfg.ExchangeTopic() && a.Partition >= s.cfg.ExchangePartitions { // somebody added it (K50)
			return mismatch(a.Topic, "has got more than the %d partitions of exchange_partitions: reset the application with 'callstitch reset', and have nobody change its internal topics", s.cfg.ExchangePartitions)
		}
		if old := s.parts[a.TopicPartition]; old != nil {
			s.drop(old)
		}
		p := &partition{
			TopicPartition: a.TopicPartition, generation: a.generation, epoch: -1,
			source: a.Topic != s.cfg.ExchangeTopic(), stable: a.stable, exchange: a.exchange, changelogNext: a.last.changelog, newest: -1,
		}
		s.parts[a.TopicPartition] = p
		if !p.source {
			p.restore = startRestore(ctx, &restore{cfg: s.cfg, slots: s.slots, raw: s.topics.raw, of: a, log: s.log.With("partition", a.Partition)})
			continue
		}
		task := topology.NewDecodeTask(&s.cfg.Config, s.cfg.SourceOf(a.Topic), a.Partition)
		if err := task.Restore(a.last.task); err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		p.task = task
	}
	return nil
}

// reconcile drops what the group took away. franz-go passes on only
// the first revocation between two transactions, so the callbacks cannot be
// trusted with it; the offsets that it keeps for its partitions can (K1). The group
// would let a member commit for what it has just lost, so none of it may stay (K6).
func (s *session) reconcile() {
	if len(s.parts) == 0 {
		return
	}
	owned := s.cl.CommittedOffsets()
	_, generation := s.cl.GroupMetadata()
	for tp, p := range s.parts {
		_, ok := owned[tp.Topic][tp.Partition]
		switch {
		case ok && !p.confirmed:
			p.confirmed = true
			if p.task != nil {
				s.activate(p)
			}
		case !ok && p.lost(generation):
			s.log.Info("partition revoked", "topic", tp.Topic, "partition", tp.Partition)
			s.drop(p)
		}
	}
}

// finishRestores takes up the tasks whose restore is done.
func (s *session) finishRestores() error {
	for _, p := range s.parts {
		if p.restore == nil || !p.confirmed {
			continue
		}
		select {
		case r := <-p.restore.result:
			p.restore = nil // it gives one result, and close waits for those that are out
			if r.err != nil {
				return fmt.Errorf("restore %s-%d: %w", p.Topic, p.Partition, r.err)
			}
			p.task, p.changelogNext = r.task, r.changelog
			p.duplicates = r.task.Counts().Duplicate
			s.metrics.restored.Add(float64(r.records))
			s.log.Info("task restored", "partition", p.Partition, "records", r.records, "took", r.took.Round(time.Millisecond))
			s.activate(p)
		default:
		}
	}
	return nil
}

func (s *session) drop(p *partition) {
	if p.restore != nil {
		p.restore.cancel()
	}
	p.hand.close()
	s.tasks.Remove(p.TopicPartition)
	delete(s.parts, p.TopicPartition)
}

// activate makes the worker the owner of a partition's task, which is fetched from now
// on.
func (s *session) activate(p *partition) {
	s.tasks.Add(p.task, p.stable.offset)
	if p.source {
		s.tasks.Route(p.TopicPartition, p.exchange)
	}
	p.active = true
	s.holdAnew(time.Now())
}
