package kafka

import (
	"context"
	"fmt"
	"slices"
	"time"

	"callstitch/topology"
)

// partition is a partition that this worker was assigned, with its task.
type partition struct {
	topicPartition
	generation int32 // of the group, when it was assigned
	epoch      int32
	position   int64  // next offset, as of what was processed; control records count
	stable     stable // what the group has committed
	confirmed  bool   // franz-go has taken it in too: from now on its absence means that it is lost
	touched    bool   // by the open transaction

	decode        *topology.DecodeTask // one of the two is set once it is active
	stitch        *topology.StitchTask
	restore       *restore // under way
	changelogNext int64    // end of the task's changelog partition, as far as it matters

	end    int64 // high watermark, as last observed
	newest int64 // timestamp of the newest record processed, epoch ms; -1 before the first

	// What metrics have counted already.
	records    int64
	duplicates int64
	ignored    map[string]int64
}

// takeRecords is the number of records of the transaction, once.
func (p *partition) takeRecords() int64 {
	n := p.records
	p.records = 0
	return n
}

func (p *partition) active() bool { return p.confirmed && (p.decode != nil || p.stitch != nil) }

// metadata is what is committed beside the partition's offset.
func (p *partition) metadata(owner string) metadata {
	m := metadata{owner: owner, changelog: p.changelogNext}
	if p.decode != nil {
		m.task = p.decode.Metadata()
	}
	return m
}

// receive takes in what the group assigned. A partition that is here already was
// lost and assigned again unnoticed: its state may be old, so it starts over (P1).
func (w *worker) receive(ctx context.Context) error {
	all, err := w.mailbox.take()
	if err != nil {
		return err
	}
	for _, a := range all {
		if old := w.parts[a.topicPartition]; old != nil {
			w.drop(old)
		}
		p := &partition{
			topicPartition: a.topicPartition, generation: a.generation, epoch: -1,
			position: a.offset, stable: a.stable, changelogNext: a.last.changelog, newest: -1,
		}
		w.parts[a.topicPartition] = p
		if a.topic == w.cfg.ExchangeTopic() {
			p.restore = startRestore(ctx, &restore{cfg: w.cfg, slots: w.slots, raw: w.topics.raw, of: a, log: w.log.With("partition", a.partition)})
			continue
		}
		task := topology.NewDecodeTask(&w.cfg.Config, w.cfg.SourceOf(a.topic), a.partition)
		if err := task.Restore(a.last.task); err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		p.decode = task
	}
	return nil
}

// reconcile drops what the group took away. franz-go's session passes on only
// the first revocation between two transactions, so the callbacks cannot be
// trusted with it; the offsets that it keeps for its partitions can (P1).
func (w *worker) reconcile() {
	if len(w.parts) == 0 {
		return
	}
	owned := w.cl.CommittedOffsets()
	_, generation := w.cl.GroupMetadata()
	for tp, p := range w.parts {
		_, ok := owned[tp.topic][tp.partition]
		switch {
		case ok && !p.confirmed:
			p.confirmed = true
			if p.decode != nil {
				w.resume(p)
			}
		case !ok && p.lost(generation):
			w.log.Info("partition revoked", "topic", tp.topic, "partition", tp.partition)
			w.drop(p)
		}
	}
}

// lost says whether a partition that franz-go does not hold is gone, or only not
// taken in yet: what was assigned in one generation is taken in before the next.
func (p *partition) lost(generation int32) bool {
	return p.confirmed || p.generation != generation
}

func (w *worker) drop(p *partition) {
	if p.restore != nil {
		p.restore.cancel()
	}
	delete(w.parts, p.topicPartition)
}

func (w *worker) resume(p *partition) {
	if p.decode != nil && w.throttle {
		return
	}
	w.cl.ResumeFetchPartitions(map[string][]int32{p.topic: {p.partition}})
}

// finishRestores takes up the tasks whose restore is done.
func (w *worker) finishRestores() error {
	for _, p := range w.parts {
		if p.restore == nil || !p.confirmed {
			continue
		}
		select {
		case r := <-p.restore.result:
			p.restore = nil // it gives one result, and close waits for those that are out
			if r.err != nil {
				return fmt.Errorf("restore %s-%d: %w", p.topic, p.partition, r.err)
			}
			p.stitch, p.changelogNext = r.task, r.changelog
			p.duplicates = r.task.Counts().Duplicate
			w.metrics.restored.Add(float64(r.records))
			w.log.Info("task restored", "partition", p.partition, "records", r.records, "took", r.took.Round(time.Millisecond))
			w.resume(p)
		default:
		}
	}
	return nil
}

const (
	// exchangeLagMax is where raw records wait until the exchange was worked off.
	// Messages between stitch tasks never wait, so nothing can deadlock.
	exchangeLagMax = 50_000
	exchangeLagLow = exchangeLagMax / 2
)

// balanceInput pauses the sources while any exchange partition lags too much.
func (w *worker) balanceInput() {
	switch {
	case !w.throttle && w.lag > exchangeLagMax:
		w.throttle = true
		w.cl.PauseFetchPartitions(w.sourcePartitions())
	case w.throttle && w.lag < exchangeLagLow:
		w.throttle = false
		w.cl.ResumeFetchPartitions(w.sourcePartitions())
	}
}

func (w *worker) sourcePartitions() map[string][]int32 {
	m := make(map[string][]int32)
	for tp, p := range w.parts {
		if p.decode != nil && p.active() {
			m[tp.topic] = append(m[tp.topic], tp.partition)
		}
	}
	return m
}

// sorted lists the partitions in a fixed order, so that equal runs are equal.
func (w *worker) sorted() []*partition {
	all := make([]*partition, 0, len(w.parts))
	for _, p := range w.parts {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *partition) int { return compareTP(a.topicPartition, b.topicPartition) })
	return all
}
