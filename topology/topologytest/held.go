package topologytest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"iter"
	"slices"
	"time"

	"callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/topology"
)

// Held is what a stitch task holds of a simulator's calls after all of them were
// closed: as many legs as asked for, for benchmarks.
type Held struct {
	Until time.Time // when the last of them was closed

	keys, values [][]byte
}

// heldCalls is how many different calls there are; all others are copies of them.
const heldCalls = 5_000

// NewHeld plays the calls. The configuration is that of who will hold them.
func NewHeld(cfg topology.Config) (*Held, error) {
	cfg.ExchangePartitions = 1
	sim := simulator.New(simulator.Config{Seed: 1, Calls: heldCalls, Rate: 10, Duplicates: 0.12, Disorder: 0.05, Transfers: 0.1, Tenants: 3, DiscardTruth: true})
	p := newHolding(&cfg)
	for r, ok := sim.Next(); ok; r, ok = sim.Next() {
		if err := p.take(r); err != nil {
			return nil, err
		}
	}
	// All time-outs are over, those of transfers too, and no retention is.
	until := p.last.Add(2 * max(cfg.Stitch.Grace, cfg.Stitch.UnansweredTimeout, cfg.Stitch.AnsweredTimeout))
	for range 3 { // time, what the task makes of it, and what of that it tells itself
		if err := p.transact(func(topology.TopicPartition) (bool, call.Arrival) { return true, until }); err != nil {
			return nil, err
		}
	}
	h := &Held{Until: time.UnixMilli(int64(until))}
	for key, value := range p.state { // order: sorted below
		if value != nil && key[0] >= 'a' { // the others are the task's own
			h.keys = append(h.keys, []byte(key))
		}
	}
	slices.SortFunc(h.keys, func(a, b []byte) int { // by the id of the node, which comes behind its parts
		return cmp.Or(bytes.Compare(a[2:18], b[2:18]), cmp.Compare(a[0], b[0]), bytes.Compare(a, b))
	})
	for _, key := range h.keys {
		h.values = append(h.values, p.state[string(key)])
	}
	return h, nil
}

// Each gives keys and values until there are so many legs among them. Copies have ids of
// their own. What is given is overwritten by the next.
func (h *Held) Each(legs int) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		var buf []byte
		for number := uint64(0); ; number++ {
			for i, key := range h.keys {
				if legs == 0 {
					return
				}
				if key[0] == 'n' && key[1] == 0 {
					legs--
				}
				buf = append(buf[:0], key...)
				id := buf[10:18] // the last bytes of a node's id
				binary.BigEndian.PutUint64(id, binary.BigEndian.Uint64(id)^number)
				if !yield(buf, h.values[i]) {
					return
				}
			}
		}
	}
}

// holding is one worker with one partition of everything.
type holding struct {
	cfg     *topology.Config
	worker  *topology.Worker
	offset  int64 // in the source
	next    int64 // in the exchange
	last    call.Arrival
	state   map[string][]byte
	waiting []topology.Record // in the exchange
}

func newHolding(cfg *topology.Config) *holding {
	topic := cfg.Sources[0].Topic
	p := &holding{cfg: cfg, worker: topology.NewWorker(cfg, topology.InOrder), state: map[string][]byte{}}
	p.worker.Add(topology.NewStitchTask(cfg, 0, map[string]int32{topic: 1}), 0)
	p.worker.Add(topology.NewDecodeTask(cfg, cfg.SourceOf(topic), 0), 0)
	return p
}

func (p *holding) take(r simulator.Record) error {
	rec := topology.Record{Topic: p.cfg.Sources[0].Topic, Offset: p.offset, Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		rec.Headers = append(rec.Headers, call.Header{Key: h.Key, Value: h.Value})
	}
	p.offset++
	p.last = max(p.last, call.Arrival(r.Timestamp))
	if err := p.worker.Process(rec); err != nil {
		return err
	}
	if p.offset%1_000 != 0 {
		return nil
	}
	return p.transact(func(topology.TopicPartition) (bool, call.Arrival) { return false, call.Unheard })
}

// transact ends a transaction, and goes on until the exchange is read and no timer is due.
func (p *holding) transact(seen topology.Seen) error {
	for {
		if err := p.worker.Finish(seen); err != nil {
			return err
		}
		seen = nil
		fx := p.worker.Effects()
		for _, c := range fx.Changelog {
			p.state[string(c.Key)] = bytes.Clone(c.Value)
		}
		sent := p.next
		for _, e := range fx.Exchange {
			p.waiting = append(p.waiting, topology.Record{Topic: p.cfg.ExchangeTopic(), Offset: p.next, Key: slices.Clone(e.Key), Value: slices.Clone(e.Value)})
			p.next++
		}
		p.worker.Commit(func(i int) int64 { return sent + int64(i) })
		if len(p.waiting) == 0 && !p.worker.More() {
			return nil
		}
		for _, r := range p.waiting {
			if err := p.worker.Process(r); err != nil {
				return err
			}
		}
		p.waiting = p.waiting[:0]
	}
}
