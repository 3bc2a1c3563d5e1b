package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/plugin/kslog"
)

// attemptLimit bounds one try to find out what a cluster holds.
const attemptLimit = 10 * time.Second

const (
	// Decompressed batches and fetches are bounded, or one bad batch could take
	// all memory (K28). A batch of more is read by hand (byhand.go).
	maxDecompressBatch = 16 << 20
	maxFetch           = 16 << 20
	maxPartitionFetch  = 1 << 20
	maxFetches         = 4
	// pollRecords bounds one poll for each thread. What it brings is worked on, decoded
	// to encoded, before the next, and so little stays in the caches of a core; and a
	// transaction's age and size are looked at often enough, for which it has a bound
	// however many threads there are.
	pollRecords        = 700
	pollRecordsMax     = maxTransactionRecords / 4
	maxBufferedProduce = 64 << 20
	// fetchWait is how long a broker may hold a fetch that finds nothing. A
	// partition that is resumed is not fetched before the fetch under way is
	// answered, so this is time in which a restored task stands still.
	fetchWait = 250 * time.Millisecond
	// partitionsAge is how long a worker may not know of partitions that were added
	// to a source. While it does not, nobody reads them, and the clocks do not wait for
	// them (K46). It costs a request of some kilobytes for each worker.
	partitionsAge = 5 * time.Second
)

// clientOptions are the options of every client. There is one place that says
// read_committed, and every consumer goes through it (K14).
func (c *Config) clientOptions(id string) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(id),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),                    // positions count commit markers, so they can reach the end of a partition (K8)
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), // an offset that is gone stops the run; it is never replaced by a guess (K15)
		kgo.MaxDecompressBatchBytes(maxDecompressBatch),
		kgo.FetchMaxBytes(maxFetch),
		kgo.FetchMaxPartitionBytes(maxPartitionFetch),
		kgo.MaxConcurrentFetches(maxFetches),
		kgo.FetchMaxWait(fetchWait),
		kgo.MetadataMinAge(250 * time.Millisecond),
		kgo.WithLogger(quietLogger{kslog.New(c.Log.With("client", id)), c.said}),
	}
	return append(opts, c.Client...)
}

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

// connect makes a client for a look, or a change, from outside.
func connect(ctx context.Context, cfg *Config, as string) (*kgo.Client, error) {
	cl, err := kgo.NewClient(append(cfg.clientOptions(cfg.ApplicationID+"-"+as), kgo.WithContext(ctx))...)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	if err := meet(ctx, cl); err != nil {
		cl.Close()
		return nil, fmt.Errorf("reach brokers %s: %w", strings.Join(cfg.Brokers, ","), err)
	}
	return cl, nil
}

// meet has a client know the brokers that are there: what is asked first would else go to
// one of the seeds, which may be away.
func meet(ctx context.Context, cl *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	return within(ctx, func() error { return cl.Ping(ctx) })
}

// partitioner leaves the partitions of internal topics as their tasks computed
// them, and hashes the keys of the others as every Kafka client does (K26).
type partitioner struct{ internal [2]string }

func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	if topic == p.internal[0] || topic == p.internal[1] {
		return kgo.ManualPartitioner().ForTopic(topic)
	}
	return kgo.StickyKeyPartitioner(nil).ForTopic(topic)
}

// requireTransactionVersion fails on clusters whose transaction protocol can
// tear a transaction: TV1 lets a delayed EndTxn end a later transaction.
func requireTransactionVersion(ctx context.Context, cl *kgo.Client) error {
	const need = 2
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "callstitch", "1"
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("ask the broker for its versions: %w", err)
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "transaction.version" && f.MaxVersionLevel >= need {
			return nil
		}
	}
	return fmt.Errorf("%w: the cluster's transaction.version is below %d: use Apache Kafka 4.0 or later, and upgrade the feature with kafka-features.sh",
		errBroken, need)
}

// fetchError is the first error of a poll that is not just the end of waiting.
func fetchError(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		if err := failure(e); err != nil {
			return err
		}
	}
	return nil
}

func failure(e kgo.FetchError) error {
	if errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("fetch %s-%d: %w", e.Topic, e.Partition, e.Err)
}

// unreadable reports whether a fetch failed for what is in the log, as far as the
// client can tell: no broker has said so.
func unreadable(err error) bool {
	_, code := errors.AsType[*kerr.Error](err)
	_, lost := errors.AsType[*kgo.ErrDataLoss](err)
	return !code && !lost
}

// within waits for something no longer than ctx lasts. What franz-go is asked to do does
// not end with its context while a connection is opened, and that may hang as a whole (K44).
func within(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait waits for a while, or for the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// text is a nullable string of the protocol, empty for null.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
