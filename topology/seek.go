package topology

import (
	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// Resume takes up how far the partition was read, where the metadata that the task
// itself had committed is gone. The arrival is the last record's, so the next one must
// bear it out.
func (t *DecodeTask) Resume(p Progress) {
	t.now = decodeState{position: p.Offset, clock: call.Unheard, dated: p.Arrival, vouched: call.Unheard, totals: p.Totals}
	t.committed = t.now
}

// Move goes on at another offset than the one that was read up to. Records that are
// passed over are in the book as read, and as nothing else: it does not balance from
// then on, by as many as are missing. Records that come again are counted again. Where one
// was found to go on, the partition can be read, and is in the clock.
func (t *DecodeTask) Move(from, to int64) {
	t.now.position, t.now.dropped = to, 0
	t.now.totals.Read += max(to-from, 0)
	t.committed = t.now
}

// History is how far the partitions of the sources were read, as the state and the
// exchange tell. First all of the changelog is shown to it, then the exchange.
type History struct {
	positions map[int32]int64 // of the stitch tasks
	read      map[TopicPartition]Progress
	counted   map[TopicPartition]map[int32]int64 // events, by the task that has processed them
	waiting   map[TopicPartition]int64           // events that no task has processed
	heard     map[string]int32                   // partitions of each topic that clocks wait for
}

// NewHistory knows of nothing yet.
func NewHistory() *History {
	return &History{
		positions: map[int32]int64{}, read: map[TopicPartition]Progress{},
		counted: map[TopicPartition]map[int32]int64{}, waiting: map[TopicPartition]int64{}, heard: map[string]int32{},
	}
}

// Changelog takes in a record of the changelog. It passes over what is not about
// sources, and what it cannot read: a restore says what is wrong with that.
func (h *History) Changelog(r Record) {
	if len(r.Key) == 0 || len(r.Value) == 0 {
		return
	}
	switch r.Key[0] {
	case positionKey:
		var position int64
		codec.NewReader(r.Value).Int64(&position)
		h.positions[r.Partition] = position
	case clocksKey:
		var c clocks
		if codec.Read(r.Value, &c) != nil {
			return
		}
		for _, s := range c.sources {
			h.heard[s.source.Topic] = max(h.heard[s.source.Topic], s.source.Partition+1)
		}
	case accountKey:
		source, err := parseSourceKey(r.Key)
		var a account
		if err != nil || codec.Read(r.Value, &a) != nil {
			return
		}
		if h.counted[source] == nil {
			h.counted[source] = map[int32]int64{}
		}
		n := a.counts
		h.counted[source][r.Partition] = n.Accepted + n.Duplicate + n.Conflicting + n.Late
		h.progress(Progress{Source: source, Arrival: a.answer.Arrival, Offset: a.answer.Offset, Totals: a.answer.Totals})
	}
}

// Exchange takes in a record of the exchange. Those that the state has are passed over.
func (h *History) Exchange(r Record) {
	if len(r.Value) == 0 || r.Offset < h.positions[r.Partition] {
		return
	}
	switch r.Value[0] {
	case eventKind:
		if e, _, err := parseEvent(r.Value); err == nil {
			h.waiting[TopicPartition{e.Source.Topic, e.Source.Partition}]++
		}
	case tickKind:
		if k, err := parseTick(r.Value); err == nil {
			for _, p := range k.Progress {
				h.progress(p)
			}
		}
	}
}

func (h *History) progress(p Progress) {
	if p.Totals.Read > h.read[p.Source].Totals.Read {
		h.read[p.Source] = p
	}
}

// Of is how far a partition was read; false where nothing of it is known. Its events
// are exact, so that a book which goes on from there balances. Those since the last
// tick are taken for one record each.
func (h *History) Of(source TopicPartition) (Progress, bool) {
	p := h.read[source]
	p.Source = source
	events := h.waiting[source]
	for _, n := range h.counted[source] { // order: a sum has none
		events += n
	}
	if more := events - p.Totals.Events; more > 0 {
		p.Offset += more
		p.Totals.Read += more
		p.Totals.Decoded += more
		p.Totals.Events += more
	}
	return p, p.Totals.Read > 0
}

// Partitions is how many partitions of a topic the clocks wait for.
func (h *History) Partitions(topic string) int32 { return h.heard[topic] }
