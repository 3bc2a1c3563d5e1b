package topologytest

import (
	"slices"

	"callstitch/processor/call"
	"callstitch/topology"
)

// broker is a model of Kafka as far as the protocol depends on it: append-only
// partitions, transactions over them, readers that see committed records only
// and nothing beyond the first open transaction, and committed positions.
type broker struct {
	now       int64 // epoch ms
	raw       []*partition
	exchange  []*partition
	changelog []*partition
	committed map[*partition]position
	open      []*transaction
	flight    map[sentMessage]call.Arrival // messages of stitch tasks that no commit has passed: trig
}

type partition struct {
	topic  string
	number int32
	log    []entry
	stable int // below this no transaction is open
}

type entry struct {
	record topology.Record
	in     *transaction // nil: written outside of any
	marker bool
}

type position struct {
	offset   int64
	metadata string
}

type sentMessage struct {
	to     *partition
	offset int64
}

type transaction struct {
	began   int64
	state   transactionState
	touched []*partition
	offsets map[*partition]position
	outputs []topology.Output
}

type transactionState uint8

const (
	open transactionState = iota
	committed
	aborted
)

func (p *partition) name() topology.TopicPartition {
	return topology.TopicPartition{Topic: p.topic, Partition: p.number}
}

// end is the high watermark.
func (p *partition) end() int64 { return int64(len(p.log)) }

// lastStable is the offset up to which readers of committed records may read.
func (p *partition) lastStable() int64 {
	for p.stable < len(p.log) {
		if in := p.log[p.stable].in; in != nil && in.state == open {
			break
		}
		p.stable++
	}
	return int64(p.stable)
}

// fetch reads at most limit committed records, and says where to read on.
func (p *partition) fetch(from int64, limit int) (records []topology.Record, next int64) {
	for next = from; next < p.lastStable() && len(records) < limit; next++ {
		e := &p.log[next]
		if !e.marker && (e.in == nil || e.in.state == committed) {
			records = append(records, e.record)
		}
	}
	return records, next
}

// partition finds a partition by its name.
func (b *broker) partition(name topology.TopicPartition) *partition {
	for _, p := range slices.Concat(b.raw, b.exchange) {
		if p.name() == name {
			return p
		}
	}
	return nil
}

func (b *broker) begin() *transaction {
	tx := &transaction{began: b.now, offsets: map[*partition]position{}}
	b.open = append(b.open, tx)
	return tx
}

// append writes a record; its offset is the result.
func (b *broker) append(p *partition, r topology.Record, in *transaction) int64 {
	r.Topic, r.Partition, r.Offset = p.topic, p.number, p.end()
	if r.Timestamp == 0 {
		r.Timestamp = b.now
	}
	p.log = append(p.log, entry{record: r, in: in})
	if in != nil {
		in.touch(p)
	}
	return r.Offset
}

func (tx *transaction) touch(p *partition) {
	for _, q := range tx.touched {
		if p == q {
			return
		}
	}
	tx.touched = append(tx.touched, p)
}

// finish ends a transaction with a marker in every partition that it touched.
func (b *broker) finish(tx *transaction, as transactionState) {
	tx.state = as
	for _, p := range tx.touched {
		p.log = append(p.log, entry{in: tx, marker: true})
	}
	if as == committed {
		for p, at := range tx.offsets {
			b.committed[p] = at
		}
	}
	for i, other := range b.open {
		if other == tx {
			b.open = append(b.open[:i], b.open[i+1:]...)
			break
		}
	}
	b.land()
}

// land forgets the messages in flight that were aborted, or that the committed
// position of their partition has passed.
func (b *broker) land() {
	for m := range b.flight {
		in := m.to.log[m.offset].in
		if in.state == aborted || b.committed[m.to].offset > m.offset {
			delete(b.flight, m)
		}
	}
}

// earliest is the smallest trig in flight.
func (b *broker) earliest() (trig call.Arrival, any bool) {
	for _, t := range b.flight {
		if !any || t < trig {
			trig, any = t, true
		}
	}
	return trig, any
}

// hides reports whether a message of the transaction lies behind another open one.
func (b *broker) hides(tx *transaction) bool {
	for m := range b.flight {
		if m.to.log[m.offset].in == tx && m.to.log[m.to.lastStable()].in != tx {
			return true
		}
	}
	return false
}

// expire aborts a transaction that has been open for too long.
func (b *broker) expire(after int64) {
	for _, tx := range b.open {
		if b.now-tx.began > after {
			b.finish(tx, aborted)
			return
		}
	}
}
