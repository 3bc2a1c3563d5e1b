package rawlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology"
)

// answer is what a broker has of a partition from an offset on.
type answer struct {
	bytes   []byte
	aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction
	stable  int64 // the last stable offset, to which readers get
	code    error // that of the broker, of this partition
	most    int   // bytes that were asked for
}

const (
	// fetchBytes is asked for at first. A batch that is larger comes whole all the same.
	fetchBytes = 256 << 10
	// fetchMost is the largest answer that franz-go takes.
	fetchMost = 100 << 20
)

// Reader reads logs as they are, past what a client makes of them.
type Reader struct {
	Client *kgo.Client
	// IDs are those that topics must have. One that was made anew is another topic, and its
	// records have nothing to do with the offsets that are asked for (K27). Nil: any will do.
	IDs map[string]kadm.TopicID
}

// fetch asks a broker for the log of a partition from an offset on, as consumers do, but
// leaves the batches as they are.
func (l Reader) fetch(ctx context.Context, at replicas, tp topology.TopicPartition, offset int64, broker int32, most int) (*answer, error) {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = tp.Partition, offset, int32(most)
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID, topic.Partitions = tp.Topic, at.id, []kmsg.FetchRequestTopicPartition{p}
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxBytes = -1, int32(most) // what is not there yet is not waited for
	req.SessionEpoch = -1                         // of no session
	req.IsolationLevel = 1                        // read committed (K14)
	req.Topics = append(req.Topics, topic)
	got, err := l.Client.Broker(int(broker)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := got.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			return &answer{p.RecordBatches, p.AbortedTransactions, p.LastStableOffset, kerr.ErrorForCode(p.ErrorCode), most}, nil
		}
	}
	return nil, errEmptyAnswer
}

// end is the offset behind the last of a partition, as its leader says.
func (l Reader) end(ctx context.Context, at replicas, tp topology.TopicPartition) (int64, error) {
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = tp.Partition, -1 // the high watermark
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic, topic.Partitions = tp.Topic, []kmsg.ListOffsetsRequestTopicPartition{p}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.Topics = -1, []kmsg.ListOffsetsRequestTopic{topic}
	got, err := l.Client.Broker(int(at.leader)).RetriableRequest(ctx, req)
	if err != nil {
		return 0, err
	}
	for _, t := range got.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			return p.Offset, kerr.ErrorForCode(p.ErrorCode)
		}
	}
	return 0, errEmptyAnswer
}

// replicas are where a partition is.
type replicas struct {
	id     kadm.TopicID // of its topic
	leader int32
	inSync []int32 // the leader among them
}

func (l Reader) replicas(ctx context.Context, tp topology.TopicPartition) (at replicas, err error) {
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(tp.Topic)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, l.Client)
	if err != nil {
		return at, err
	}
	for _, t := range resp.Topics {
		if id, ok := l.IDs[tp.Topic]; ok && t.ErrorCode == 0 && id != t.TopicID {
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

var errEmptyAnswer = errors.New("the broker's answer holds no partition")

// ErrUnbounded is a batch of which nothing tells where it ends.
var ErrUnbounded = errors.New("nothing tells where the batch ends")

// Batch is the batch that holds an offset, or the first behind it, with what is wrong
// with it; nil where there is none that readers may have yet. One that the leader has
// damaged is taken from another replica, where one has it whole.
func (l Reader) Batch(ctx context.Context, tp topology.TopicPartition, offset int64) (*Batch, error) {
	at, err := l.replicas(ctx, tp)
	if err != nil {
		return nil, fmt.Errorf("find the leader of %s: %w", tp, err)
	}
	b, err := l.copyAt(ctx, at, tp, offset, at.leader)
	unreadable := errors.Is(err, ErrUnbounded) || errors.Is(err, kerr.CorruptMessage)
	if unreadable || b != nil && b.Damage != "" {
		for _, broker := range at.inSync {
			if broker == at.leader {
				continue
			}
			if other, err := l.copyAt(ctx, at, tp, offset, broker); err == nil && other != nil && other.Damage == "" {
				other.Elsewhere = true
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
func (l Reader) copyAt(ctx context.Context, at replicas, tp topology.TopicPartition, offset int64, broker int32) (*Batch, error) {
	for most := fetchBytes; ; {
		f, err := l.fetch(ctx, at, tp, offset, broker, most)
		switch {
		case err != nil:
			return nil, err
		case f.code != nil:
			return nil, f.code
		case len(f.bytes) == 0 && f.stable > offset:
			return nil, ErrUnbounded
		case len(f.bytes) == 0:
			return nil, nil
		}
		b, need := parse(tp, offset, f)
		switch {
		case b != nil:
			b.verify()
			return b, nil
		case need <= most || need > fetchMost: // a length that is no length
			return nil, ErrUnbounded
		}
		most = need
	}
}

// probe finds the first batch behind an offset that the broker can read, where it cannot
// read the one at the offset: its length is damaged, or its base. A broker looks a
// batch up in an index, by its last offset, and walks on from there, so what it cannot
// reach from one entry it reaches from the next: from some offset on it answers. The
// result is a batch without bytes that ends where the batch of that offset begins.
func (l Reader) probe(ctx context.Context, at replicas, tp topology.TopicPartition, offset int64) (*Batch, error) {
	end, err := l.end(ctx, at, tp)
	if err != nil {
		return nil, err
	}
	readable := func(from int64) (*Batch, error) {
		f, err := l.fetch(ctx, at, tp, from, at.leader, fetchBytes)
		if err != nil || f.code != nil || len(f.bytes) == 0 {
			return nil, err
		}
		b, _ := parse(tp, from, f)
		if b != nil && (b.Damage != "" || b.Base <= offset || b.Base > from) {
			b = nil
		}
		return b, nil
	}
	unreadable, found, step, reach := offset, (*Batch)(nil), int64(1), int64(0)
	for found == nil {
		from := min(offset+step, end-1)
		b, err := readable(from)
		switch {
		case err != nil:
			return nil, err
		case b != nil:
			found, reach = b, from
		case from >= end-1:
			return nil, ErrUnbounded
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
	return &Batch{TopicPartition: tp, Base: offset, Next: found.Base, Reach: reach, Damage: "the broker cannot read it"}, nil
}
