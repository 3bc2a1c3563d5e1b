package topology_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/processor/codec"
	"callstitch/processor/stitch"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// heir is a worker that takes a recording up, with the exchange as queues.
type heir struct {
	cfg    topology.Config
	worker *topology.Worker
	tasks  []*topology.StitchTask
	queues [][]topology.Record
	ends   []int64
	last   topologytest.Last
}

// inherit restores every task as a take-over would: from offsets, metadata and the
// changelog, with the last owner's messages still under way.
func inherit(r *topologytest.Recording) (*heir, error) {
	h := &heir{last: topologytest.Last{}, cfg: topology.Config{
		ApplicationID: "app", ExchangePartitions: int32(len(r.Exchange)), Sources: []topology.Source{{Topic: "call.raw"}},
		Stitch: stitch.Config{
			Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
			Retention: 24 * time.Hour, StubRetention: 72 * time.Hour, Partial: true, Legs: true,
		},
	}}
	h.worker = topology.NewWorker(&h.cfg, topology.InOrder)
	for p, of := range r.Sources {
		task := topology.NewDecodeTask(&h.cfg, h.cfg.Sources[0], int32(p))
		if err := task.Restore(of.Metadata); err != nil {
			return nil, err
		}
		h.worker.Add(task, of.Offset)
	}
	for p, of := range r.Exchange {
		var queue []topology.Record
		for i, kv := range of.Waiting {
			queue = append(queue, h.record(int32(p), of.Position+int64(i), kv.Key, kv.Value))
		}
		h.queues = append(h.queues, queue)
		h.ends = append(h.ends, of.Position+int64(len(queue)))
	}
	for p, of := range r.Exchange {
		task := topology.NewStitchTask(&h.cfg, int32(p), map[string]int32{"call.raw": int32(len(r.Sources))})
		for _, kv := range of.Changelog {
			task.Load(kv.Key, kv.Value)
		}
		if err := task.Restored(slices.Clone(h.ends)); err != nil {
			return nil, err
		}
		h.tasks = append(h.tasks, task)
		h.worker.Add(task, of.Position)
	}
	return h, nil
}

func (h *heir) record(partition int32, offset int64, key, value []byte) topology.Record {
	return topology.Record{Topic: h.cfg.ExchangeTopic(), Partition: partition, Offset: offset, Key: key, Value: value}
}

// goOn is one transaction over what waits in the exchange, and raw records.
func (h *heir) goOn(raw []topology.Record, seen topology.Seen) error {
	for p := range h.queues {
		for _, r := range h.queues[p] {
			if err := h.worker.Process(r); err != nil {
				return err
			}
		}
		h.queues[p] = nil
	}
	for _, r := range raw {
		if err := h.worker.Process(r); err != nil {
			return err
		}
	}
	if err := h.worker.Finish(seen); err != nil {
		return err
	}
	fx := h.worker.Effects()
	var sent []int64
	for _, e := range fx.Exchange {
		at := h.ends[e.Partition]
		h.ends[e.Partition]++
		sent = append(sent, at)
		h.queues[e.Partition] = append(h.queues[e.Partition], h.record(e.Partition, at, e.Key, e.Value))
	}
	for _, o := range fx.Outputs {
		if s, ok := o.Value.(*call.Session); ok {
			h.last.Put(s)
		}
	}
	h.worker.Commit(func(i int) int64 { return sent[i] })
	return nil
}

// toTheEnd plays the rest of the records, and lets time pass until every session is
// closed.
func (h *heir) toTheEnd(r *topologytest.Recording) error {
	var rest []topology.Record
	for _, rec := range r.Records {
		if rec.Offset >= r.Sources[rec.Partition].Offset {
			rest = append(rest, rec)
		}
	}
	for raw := range slices.Chunk(rest, 25) {
		if err := h.goOn(raw, func(topology.TopicPartition) (bool, call.Arrival) { return false, call.Unheard }); err != nil {
			return err
		}
	}
	end := call.Arrival(rest[len(rest)-1].Timestamp).Add(5 * time.Hour)
	for range 50 {
		if err := h.goOn(nil, func(topology.TopicPartition) (bool, call.Arrival) { return true, end }); err != nil {
			return err
		}
	}
	return nil
}

// TestUpgrade holds that what an earlier program stored and sent is taken up: no form
// may change without a byte of its own and a way to read the old one.
func TestUpgrade(t *testing.T) {
	r, err := topologytest.LoadRecording()
	if err != nil {
		t.Fatal(err)
	}
	h, err := inherit(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.toTheEnd(r); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range h.last {
		if s.State == call.StateSuperseded {
			continue
		}
		if s.State != call.StateFinal {
			t.Errorf("session %s is %s at the end", s.ID, s.State)
		}
		got = append(got, topologytest.Canonical(s))
	}
	slices.Sort(got)
	var want []string // of those that the earlier program had closed no record comes
	for _, s := range r.Sessions {
		if slices.Contains(got, s) {
			want = append(want, s)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("sessions differ (-as it would have gone on +as it goes on):\n%s", d)
	}
	if closed := len(r.Sessions) - len(want); closed != r.Closed {
		t.Errorf("of %d sessions no record came, where %d had been closed", closed, r.Closed)
	}
}

// TestDamagedState holds that no bytes of an internal topic make a task panic, and
// that what cannot be read is never passed over in silence as something else: it is
// damaged, or a newer program's.
func TestDamagedState(t *testing.T) {
	good, err := topologytest.LoadRecording()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for seed := range topologytest.Seeds(150) {
		rng := rand.New(rand.NewPCG(seed, 3))
		r := *good
		r.Exchange = nil
		for _, of := range good.Exchange {
			of.Changelog, of.Waiting = slices.Clone(of.Changelog), slices.Clone(of.Waiting)
			damage(rng, of.Changelog)
			damage(rng, of.Waiting)
			r.Exchange = append(r.Exchange, of)
		}
		h, err := inherit(&r)
		if err == nil {
			err = h.toTheEnd(&r)
		}
		switch {
		case errors.Is(err, codec.ErrCorrupt):
			seen["corrupt"]++
		case errors.Is(err, codec.ErrNewerState):
			seen["newer"]++
		case err == nil:
			seen["read all the same"]++
		default:
			seen[fmt.Sprint("else: ", err)]++
		}
	}
	t.Log(seen)
	if seen["corrupt"] == 0 || seen["newer"] == 0 {
		t.Errorf("damage was never told: %v", seen)
	}
}

// damage changes one record: a byte of its key or value, or its length.
func damage(rng *rand.Rand, records []topologytest.RecordedKV) {
	if len(records) == 0 || rng.IntN(2) == 0 {
		return
	}
	kv := &records[rng.IntN(len(records))]
	field := &kv.Value
	if rng.IntN(8) == 0 {
		field = &kv.Key
	}
	if len(*field) == 0 {
		return
	}
	*field = slices.Clone(*field)
	switch at := rng.IntN(len(*field)); rng.IntN(4) {
	case 0:
		*field = (*field)[:at]
	case 1:
		(*field)[0] = byte(rng.IntN(256))
	default:
		(*field)[at] ^= byte(1 << rng.IntN(8))
	}
}
