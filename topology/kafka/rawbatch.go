package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

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

// rawBatch is one record batch as the broker has it.
type rawBatch struct {
	topology.TopicPartition
	bytes []byte // whole, as in the log; nil where the broker itself cannot read it
	base  int64  // first offset
	next  int64  // first offset behind it
	// reach is where the broker reads again, of what it cannot read; else 0.
	reach     int64
	elsewhere bool // another replica has it, where the leader's is damaged
	// damage says why nobody can read it; empty: its checksum is right.
	damage string

	// What follows is right only where there is no damage.
	epoch      int32
	codec      kgo.CompressionCodecType
	control    bool
	aborted    bool // of a transaction that was aborted: nobody may read it
	appendTime bool // records have the time of the batch
	first, max int64
	count      int32
	records    []byte // compressed
}

// offsets names the batch in rejects.
func (b *rawBatch) offsets() string { return fmt.Sprintf("%d-%d", b.base, b.next-1) }

// rawFetch is what a broker has of a partition from an offset on.
type rawFetch struct {
	bytes   []byte
	aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction
	stable  int64 // the last stable offset, to which readers get
	code    error // that of the broker, of this partition
	most    int   // bytes that were asked for
}

const (
	// rawFetchBytes is asked for at first. A batch that is larger comes whole all the same.
	rawFetchBytes = 256 << 10
	// rawFetchMost is the largest answer that franz-go takes.
	rawFetchMost = 100 << 20
)

// logReader reads logs as they are, past what a client makes of them.
type logReader struct {
	cl *kgo.Client
	// ids are those of the topics at the start. One that was made anew since is another:
	// its records have nothing to do with our offsets (K27). Nil: it does not matter.
	ids map[string]kadm.TopicID
}

// fetch asks a broker for the log of a partition from an offset on, as consumers do, but
// leaves the batches as they are.
func (l logReader) fetch(ctx context.Context, at replicas, tp topology.TopicPartition, offset int64, broker int32, most int) (*rawFetch, error) {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = tp.Partition, offset, int32(most)
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID, topic.Partitions = tp.Topic, at.id, []kmsg.FetchRequestTopicPartition{p}
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxBytes = -1, int32(most) // what is not there yet is not waited for
	req.SessionEpoch = -1                         // of no session
	req.IsolationLevel = 1                        // read committed (K14)
	req.Topics = append(req.Topics, topic)
	answer, err := l.cl.Broker(int(broker)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			return &rawFetch{p.RecordBatches, p.AbortedTransactions, p.LastStableOffset, kerr.ErrorForCode(p.ErrorCode), most}, nil
		}
	}
	return nil, errors.New("the broker's answer holds no partition")
}

// replicas are where a partition is.
type replicas struct {
	id     kadm.TopicID // of its topic
	leader int32
	inSync []int32 // the leader among them
}

func (l logReader) replicas(ctx context.Context, tp topology.TopicPartition) (at replicas, err error) {
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(tp.Topic)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, l.cl)
	if err != nil {
		return at, err
	}
	for _, t := range resp.Topics {
		if id, ok := l.ids[tp.Topic]; ok && t.ErrorCode == 0 && id != t.TopicID {
			return at, kerr.UnknownTopicID
		}
		for _, p := range t.Partitions {
			if p.Partition == tp.Partition {
				return replicas{t.TopicID, p.Leader, p.ISR}, kerr.ErrorForCode(p.ErrorCode)
			}
		}
	}
	return at, kerr.LeaderNotAvailable
}

// errUnbounded is a batch of which nothing tells where it ends.
var errUnbounded = errors.New("nothing tells where the batch ends")

// batch is the batch that holds an offset, or the first behind it, with what is wrong
// with it; nil where there is none that readers may have yet. One that the leader has
// damaged is taken from another replica, where one has it whole.
func (l logReader) batch(ctx context.Context, tp topology.TopicPartition, offset int64) (*rawBatch, error) {
	at, err := l.replicas(ctx, tp)
	if err != nil {
		return nil, fmt.Errorf("find the leader of %s: %w", tp, err)
	}
	b, err := l.copyAt(ctx, at, tp, offset, at.leader)
	unreadable := errors.Is(err, errUnbounded) || errors.Is(err, kerr.CorruptMessage)
	if unreadable || b != nil && b.damage != "" {
		for _, broker := range at.inSync {
			if broker == at.leader {
				continue
			}
			if other, err := l.copyAt(ctx, at, tp, offset, broker); err == nil && other != nil && other.damage == "" {
				other.elsewhere = true
				return other, nil
			}
		}
	}
	if unreadable {
		b, err = l.probe(ctx, at, tp, offset)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s at %d by hand: %w", tp, offset, err)
	}
	return b, nil
}

// copyAt is the batch as one broker has it.
func (l logReader) copyAt(ctx context.Context, at replicas, tp topology.TopicPartition, offset int64, broker int32) (*rawBatch, error) {
	for most := rawFetchBytes; ; {
		f, err := l.fetch(ctx, at, tp, offset, broker, most)
		switch {
		case err != nil:
			return nil, err
		case f.code != nil:
			return nil, f.code
		case len(f.bytes) == 0 && f.stable > offset:
			return nil, errUnbounded
		case len(f.bytes) == 0:
			return nil, nil
		}
		b, need := parseRaw(tp, offset, f)
		switch {
		case b != nil:
			b.verify()
			return b, nil
		case need <= most || need > rawFetchMost: // a length that is no length
			return nil, errUnbounded
		}
		most = need
	}
}

// parseRaw takes the batch at an offset out of an answer. Where the answer is too short
// to tell where the batch ends, need is how long one must be that tells.
func parseRaw(tp topology.TopicPartition, offset int64, f *rawFetch) (b *rawBatch, need int) {
	log := f.bytes
	for len(log) >= batchPrefix {
		size := batchPrefix + int(int32(binary.BigEndian.Uint32(log[8:])))
		if size < batchHeader {
			return nil, rawFetchMost + 1
		}
		if size > len(log) {
			return nil, size + batchHeader
		}
		b, rest := readHeader(tp, log[:size]), log[size:]
		if b.damage != "" { // the header may be what is damaged, so others must say where it ends
			enough := len(f.bytes) - len(rest) + batchHeader
			switch {
			case len(rest) >= batchHeader && rest[16] == batchMagic:
				b.next = int64(binary.BigEndian.Uint64(rest))
			case f.most < enough:
				return nil, enough
			case b.next != b.base+int64(b.count):
				// It is the last of its segment. Offsets are dense where nothing was
				// compacted, so that two fields of a header can bear each other out.
				return nil, rawFetchMost + 1
			}
			if b.next > f.stable {
				return nil, rawFetchMost + 1
			}
		}
		if b.next <= b.base {
			return nil, rawFetchMost + 1
		}
		if b.next > offset {
			b.aborted = b.damage == "" && f.abortedAt(b)
			return b, 0
		}
		log = rest // a broker may begin with what is before the offset
	}
	return nil, rawFetchMost + 1
}

// abortedAt reports whether the first batch of an answer is of an aborted transaction.
// The broker names those whose span meets what was asked for, so one of the same
// producer that began before the batch is the batch's.
func (f *rawFetch) abortedAt(b *rawBatch) bool {
	const transactional = 1 << 4
	if binary.BigEndian.Uint16(b.bytes[21:])&transactional == 0 || b.control {
		return false
	}
	producer := int64(binary.BigEndian.Uint64(b.bytes[43:]))
	for _, a := range f.aborted {
		if a.ProducerID == producer && a.FirstOffset <= b.base {
			return true
		}
	}
	return false
}

func readHeader(tp topology.TopicPartition, batch []byte) *rawBatch {
	attributes := binary.BigEndian.Uint16(batch[21:])
	b := &rawBatch{
		TopicPartition: tp, bytes: batch,
		base:       int64(binary.BigEndian.Uint64(batch)),
		epoch:      int32(binary.BigEndian.Uint32(batch[12:])),
		codec:      kgo.CompressionCodecType(attributes & 7),
		appendTime: attributes&(1<<3) != 0,
		control:    attributes&(1<<5) != 0,
		first:      int64(binary.BigEndian.Uint64(batch[27:])),
		max:        int64(binary.BigEndian.Uint64(batch[35:])),
		count:      int32(binary.BigEndian.Uint32(batch[57:])),
		records:    batch[batchHeader:],
	}
	b.next = b.base + int64(int32(binary.BigEndian.Uint32(batch[23:]))) + 1
	switch {
	case batch[16] != batchMagic:
		b.damage = fmt.Sprintf("its format %d is unknown", batch[16])
	case crc32.Checksum(batch[batchUnsigned:], castagnoli) != binary.BigEndian.Uint32(batch[17:]):
		b.damage = "its checksum is wrong"
	case b.next <= b.base:
		b.damage = "its offsets go back"
	}
	return b
}

// probe finds the first batch behind an offset that the broker can read, where it cannot
// read the one at the offset: its length is damaged, or its base. A broker looks a
// batch up in an index, by its last offset, and walks on from there, so what it cannot
// reach from one entry it reaches from the next: from some offset on it answers. The
// result is a batch without bytes that ends where the batch of that offset begins.
func (l logReader) probe(ctx context.Context, at replicas, tp topology.TopicPartition, offset int64) (*rawBatch, error) {
	ends, err := listOffsets(ctx, l.cl, []topology.TopicPartition{tp}, endOffset)
	if err != nil {
		return nil, err
	}
	end := ends[tp].Offset
	readable := func(from int64) (*rawBatch, error) {
		f, err := l.fetch(ctx, at, tp, from, at.leader, rawFetchBytes)
		if err != nil || f.code != nil || len(f.bytes) == 0 {
			return nil, err
		}
		b, _ := parseRaw(tp, from, f)
		if b != nil && (b.damage != "" || b.base <= offset || b.base > from) {
			b = nil
		}
		return b, nil
	}
	unreadable, found, step, reach := offset, (*rawBatch)(nil), int64(1), int64(0)
	for found == nil {
		from := min(offset+step, end-1)
		b, err := readable(from)
		switch {
		case err != nil:
			return nil, err
		case b != nil:
			found, reach = b, from
		case from >= end-1:
			return nil, errUnbounded
		default:
			unreadable, step = from, 2*step
		}
	}
	for unreadable+1 < reach {
		from := unreadable + (reach-unreadable)/2
		b, err := readable(from)
		switch {
		case err != nil:
			return nil, err
		case b != nil:
			found, reach = b, from
		default:
			unreadable = from
		}
	}
	return &rawBatch{TopicPartition: tp, base: offset, next: found.base, reach: reach, damage: "the broker cannot read it"}, nil
}
