package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// pollRecords bounds one poll for each thread. What it brings is worked on, decoded
	// to encoded, before the next, and so little stays in the caches of a core; and a
	// transaction's age and size are looked at often enough, for which it has a bound
	// however many threads there are.
	pollRecords        = 700
	pollRecordsMax     = maxTransactionRecords / 4
	maxBufferedProduce = 64 << 20
	// partitionsAge is how long a worker may not know of partitions that were added
	// to a source. While it does not, nobody reads them, and the clocks do not wait for
	// them (K46). It costs a request of some kilobytes for each worker.
	partitionsAge = 5 * time.Second
)

// workerOptions are the options of a worker's client: a group member and a
// transactional producer under one name. The name is stable over restarts, so a
// restart ends at once the transaction that a kill left open, and gets its tasks
// back without a rebalance (K12, K24).
func (c *Config) workerOptions(id string, batchBytes func(topic string) int32) []kgo.Opt {
	return append(c.clientOptions(id),
		kgo.ConsumerGroup(c.ApplicationID),
		kgo.InstanceID(id),
		kgo.Balancers(balancer{exchange: c.ExchangeTopic(), says: c.says()}),
		kgo.SessionTimeout(c.SessionTimeout),
		kgo.HeartbeatInterval(c.SessionTimeout/5),
		kgo.RebalanceTimeout(c.rebalanceTimeout()),
		kgo.ConsumeTopics(append(c.rawTopics(), c.ExchangeTopic())...),
		kgo.MetadataMaxAge(partitionsAge),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), // of a source partition that was added later: all of it
		kgo.DisableAutoCommit(),
		kgo.TransactionalID(id),
		kgo.TransactionTimeout(c.TransactionTimeout),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(partitioner{internal: [2]string{c.ExchangeTopic(), c.ChangelogTopic()}}),
		kgo.UnknownTopicRetries(-1), // topics were checked at the start: one that is missing now is an outage (K30)
		kgo.MaxBufferedBytes(maxBufferedProduce),
		kgo.ProducerLinger(c.CommitInterval), // nobody sees a record before the flush of its transaction, so batches may fill until then
		kgo.MaxBufferedRecords(maxTransactionRecords*4),
		kgo.ProducerBatchMaxBytesFn(batchBytes),
	)
}

// rebalanceTimeout is how long the group waits for a member to join in a rebalance.
func (c *Config) rebalanceTimeout() time.Duration { return 2 * c.SessionTimeout }

// partitioner leaves the partitions of internal topics as their tasks computed
// them, and hashes the keys of the others as every Kafka client does (K26).
type partitioner struct{ internal [2]string }

func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	if topic == p.internal[0] || topic == p.internal[1] {
		return kgo.ManualPartitioner().ForTopic(topic)
	}
	return kgo.StickyKeyPartitioner(nil).ForTopic(topic)
}
