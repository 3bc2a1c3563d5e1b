package rawlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/topology"
)

// A record batch as it lies in a log (magic 2):
//
//	0 base offset   8 length    12 leader epoch  16 magic         17 checksum
//	21 attributes  23 last offset, from the base 27 first and 35 last timestamp
//	43 producer id 51 its epoch 53 its sequence  57 number of records
//	61 records
//
// The checksum is of all that follows it.
const (
	batchHeader   = 61
	batchPrefix   = 12 // base offset and length, which the length does not count
	batchUnsigned = 21 // where the checksum begins to speak
	batchMagic    = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is one record batch as a broker has it.
type Batch struct {
	topology.TopicPartition
	Bytes []byte // whole, as in the log; nil where the broker itself cannot read it
	Base  int64  // first offset
	Next  int64  // first offset behind it
	// Reach is where the broker reads again, of what it cannot read; else 0.
	Reach     int64
	Elsewhere bool // another replica has it, where the leader's is damaged
	// Damage says why nobody can read it; empty: its checksum is right, and its records
	// have a valid form.
	Damage string

	// What follows is right only where there is no damage.
	Epoch      int32 // of the leader that took it
	codec      kgo.CompressionCodecType
	control    bool
	aborted    bool // of a transaction that was aborted: nobody may read it
	appendTime bool // records have the time of the batch
	first, max int64
	count      int32
	records    []byte // compressed
}

// Offsets names the batch in rejects.
func (b *Batch) Offsets() string { return fmt.Sprintf("%d-%d", b.Base, b.Next-1) }

// Hidden reports whether readers get nothing of the batch: it ends a transaction, or is
// of one that was aborted.
func (b *Batch) Hidden() bool { return b.control || b.aborted }

// parse takes the batch at an offset out of an answer. Where the answer is too short
// to tell where the batch ends, need is how long one must be that tells.
func parse(tp topology.TopicPartition, offset int64, f *answer) (b *Batch, need int) {
	log := f.bytes
	for len(log) >= batchPrefix {
		size := batchPrefix + int(int32(binary.BigEndian.Uint32(log[8:])))
		if size < batchHeader {
			return nil, fetchMost + 1
		}
		if size > len(log) {
			return nil, size + batchHeader
		}
		b, rest := readHeader(tp, log[:size]), log[size:]
		if b.Damage != "" { // the header may be what is damaged, so others must say where it ends
			enough := len(f.bytes) - len(rest) + batchHeader
			switch {
			case len(rest) >= batchHeader && rest[16] == batchMagic:
				b.Next = int64(binary.BigEndian.Uint64(rest))
			case f.most < enough:
				return nil, enough
			case b.Next != b.Base+int64(b.count):
				// It is the last of its segment. Offsets are dense where nothing was
				// compacted, so that two fields of a header can bear each other out.
				return nil, fetchMost + 1
			}
			if b.Next > f.stable {
				return nil, fetchMost + 1
			}
		}
		if b.Next <= b.Base {
			return nil, fetchMost + 1
		}
		if b.Next > offset {
			b.aborted = b.Damage == "" && f.abortedAt(b)
			return b, 0
		}
		log = rest // a broker may begin with what is before the offset
	}
	return nil, fetchMost + 1
}

// abortedAt reports whether the first batch of an answer is of an aborted transaction.
// The broker names those whose span meets what was asked for, so one of the same
// producer that began before the batch is the batch's.
func (f *answer) abortedAt(b *Batch) bool {
	const transactional = 1 << 4
	if binary.BigEndian.Uint16(b.Bytes[21:])&transactional == 0 || b.control {
		return false
	}
	producer := int64(binary.BigEndian.Uint64(b.Bytes[43:]))
	for _, a := range f.aborted {
		if a.ProducerID == producer && a.FirstOffset <= b.Base {
			return true
		}
	}
	return false
}

func readHeader(tp topology.TopicPartition, batch []byte) *Batch {
	attributes := binary.BigEndian.Uint16(batch[21:])
	b := &Batch{
		TopicPartition: tp, Bytes: batch,
		Base:       int64(binary.BigEndian.Uint64(batch)),
		Epoch:      int32(binary.BigEndian.Uint32(batch[12:])),
		codec:      kgo.CompressionCodecType(attributes & 7),
		appendTime: attributes&(1<<3) != 0,
		control:    attributes&(1<<5) != 0,
		first:      int64(binary.BigEndian.Uint64(batch[27:])),
		max:        int64(binary.BigEndian.Uint64(batch[35:])),
		count:      int32(binary.BigEndian.Uint32(batch[57:])),
		records:    batch[batchHeader:],
	}
	b.Next = b.Base + int64(int32(binary.BigEndian.Uint32(batch[23:]))) + 1
	switch {
	case batch[16] != batchMagic:
		b.Damage = fmt.Sprintf("its format %d is unknown", batch[16])
	case crc32.Checksum(batch[batchUnsigned:], castagnoli) != binary.BigEndian.Uint32(batch[17:]):
		b.Damage = "its checksum is wrong"
	case b.Next <= b.Base:
		b.Damage = "its offsets go back"
	}
	return b
}

// Refused is what stands for one record of a batch that nobody can read.
func (b *Batch) Refused(offset int64) topology.Record {
	rec := topology.Record{Topic: b.Topic, Partition: b.Partition, Offset: offset}
	rec.Refused = &topology.Refusal{Reason: call.RejectUnreadable, Detail: "of batch " + b.Offsets() + ": " + b.Damage, Batch: b.Offsets()}
	if offset == b.Base {
		rec.Value = b.Bytes
		rec.Refused.Detail += "; the value is the batch as it is in the log"
	}
	return rec
}

// Each goes through the records of a batch from an offset on, as a run takes them: of one
// that nobody can read, what stands for each.
func (b *Batch) Each(from int64, yield func(topology.Record) error) error {
	switch {
	case b.Damage != "":
		for offset := max(from, b.Base); offset < b.Next; offset++ {
			if err := yield(b.Refused(offset)); err != nil {
				return err
			}
		}
		return nil
	case b.Hidden():
		return nil
	}
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil && rec.Offset >= from {
			err = yield(rec)
		}
		if err != nil {
			return err
		}
	}
}
