package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/plugin/kslog"

	"callstitch/processor/codec"
	"callstitch/topology"
)

// The failures that end a run with an exit code of their own. Everything else
// that happens once it is running is an outage, and is waited out.
var (
	// ErrFenced: another process runs under this instance's name.
	ErrFenced = errors.New("fenced by another process with the same instance id")
	// ErrTopicMismatch: a topic is not what the topology needs.
	ErrTopicMismatch = errors.New("topic mismatch")
	// ErrLostOffsets: the group's offsets, the state and the topics do not
	// belong together, so going on would lose or repeat records.
	ErrLostOffsets = errors.New("lost offsets")
	// ErrNewerState: the state was written by a newer program.
	ErrNewerState = codec.ErrNewerState
)

// Config is a topology and where and how to run it. Brokers and the topology
// must be given; zero values of the rest mean the defaults said there.
type Config struct {
	topology.Config

	Brokers []string  // seeds, host:port
	Client  []kgo.Opt // TLS, SASL, dialer; added to every client

	Registry RegistryConfig
	Output   TopicSettings

	// Start is where the sources are read from when the group has neither
	// offsets nor state: "earliest" (default), "latest", or an RFC 3339 instant.
	Start string
	// Workers is the number of group members in this process; 0 is one for each
	// core.
	Workers int

	CommitInterval     time.Duration // longest age of a transaction that has work; 100 ms
	StartupTimeout     time.Duration // how long a missing broker, registry or topic is waited for; 5 min
	TransactionTimeout time.Duration // when the broker ends a transaction that a kill left open; 10 s
	SessionTimeout     time.Duration // when the group gives up a silent member; 15 s

	// InstanceID names this instance for as long as it lives, over restarts.
	// Empty: the name kept in StateDir; without that, a random one.
	InstanceID string
	StateDir   string

	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nowhere
	// OnCommit gets the outputs of each transaction that committed, from any
	// worker's goroutine. It must not block. Nil: nobody listens.
	OnCommit func([]topology.Output)

	schemas schemaRegistry // nil is the one at Registry.URL; tests bring their own
}

// RegistryConfig says where schemas are kept.
type RegistryConfig struct {
	URL string
	// AutoRegister registers schemas that are not there. Without it they must be.
	AutoRegister bool

	Username, Password string      // basic authentication
	TLS                *tls.Config // nil: the system's roots
}

// TopicSettings are the settings of output topics, and of internal ones as far
// as they apply.
type TopicSettings struct {
	// NoCreate leaves missing topics missing; the start then fails and names them.
	NoCreate          bool
	Partitions        int32         // of output topics; 8
	ReplicationFactor int16         // 1
	MinISR            int           // 0 is the broker's default
	Retention         time.Duration // 0 is the topic's default: see topics.go
	// PerTopic overrides Partitions, ReplicationFactor, MinISR and Retention for
	// a topic, by its full name.
	PerTopic map[string]TopicSettings
}

const (
	defaultCommitInterval     = 100 * time.Millisecond // that of Kafka Streams with exactly-once
	defaultStartupTimeout     = 5 * time.Minute
	defaultTransactionTimeout = 10 * time.Second // that of Kafka Streams (P25)
	defaultSessionTimeout     = 15 * time.Second
	defaultPartitions         = 8
)

// withDefaults fills in what was left zero.
func (c Config) withDefaults() Config {
	setDefault(&c.Start, "earliest")
	setDefault(&c.Workers, runtime.GOMAXPROCS(0))
	setDefault(&c.CommitInterval, defaultCommitInterval)
	setDefault(&c.StartupTimeout, defaultStartupTimeout)
	setDefault(&c.TransactionTimeout, defaultTransactionTimeout)
	setDefault(&c.SessionTimeout, defaultSessionTimeout)
	setDefault(&c.Output.Partitions, defaultPartitions)
	setDefault(&c.Output.ReplicationFactor, 1)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

func (c *Config) validate() error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	check(len(c.Brokers) > 0, "no brokers are configured")
	check(c.ApplicationID != "", "application_id is empty")
	check(len(c.Sources) > 0, "no sources are configured")
	check(c.ExchangePartitions > 0, "exchange_partitions is %d, it must be at least 1", c.ExchangePartitions)
	check(!strings.ContainsFunc(c.ApplicationID+c.InstanceID, unicode.IsSpace), "application_id and instance_id must not contain spaces")
	check(c.Workers > 0, "workers is %d, it must not be negative", c.Workers)
	check(c.CommitInterval*2 <= c.TransactionTimeout,
		"commit_interval %v is more than half of the transaction time-out %v", c.CommitInterval, c.TransactionTimeout)
	_, err := c.startTime()
	check(err == nil, "start is %q: it must be earliest, latest or an RFC 3339 instant", c.Start)
	return errors.Join(problems...)
}

// startTime is the instant to start from, where Start is one.
func (c *Config) startTime() (time.Time, error) {
	if c.Start == "earliest" || c.Start == "latest" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, c.Start)
}

// rawTopics lists the source topics.
func (c *Config) rawTopics() []string {
	topics := make([]string, len(c.Sources))
	for i, s := range c.Sources {
		topics[i] = s.Topic
	}
	return topics
}

// sinkTopics lists the output topics that are written.
func (c *Config) sinkTopics() []string {
	topics := []string{c.Topics.Events, c.Topics.Sessions, c.Topics.Rejects, c.Topics.Audit}
	if c.Stitch.Legs {
		topics = append(topics, c.Topics.Legs)
	}
	return topics
}

// sinkTopic is the topic of a sink.
func (c *Config) sinkTopic(s topology.Sink) string {
	return [...]string{
		topology.Events: c.Topics.Events, topology.Sessions: c.Topics.Sessions, topology.Legs: c.Topics.Legs,
		topology.Rejects: c.Topics.Rejects, topology.Audit: c.Topics.Audit,
	}[s]
}

const (
	// Decompressed batches and fetches are bounded, or one bad batch could take
	// all memory (P28).
	maxDecompressBatch = 64 << 20
	maxFetch           = 16 << 20
	maxPartitionFetch  = 1 << 20
	maxFetches         = 4
	maxBufferedProduce = 64 << 20
	// fetchWait is how long a broker may hold a fetch that finds nothing. A
	// partition that is resumed is not fetched before the fetch under way is
	// answered, so this is time in which a restored task stands still.
	fetchWait = 250 * time.Millisecond
)

// clientOptions are the options of every client. There is one place that says
// read_committed, and every consumer goes through it (P14).
func (c *Config) clientOptions(id string) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(id),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),                    // positions count commit markers, so they can reach the end of a partition (P8)
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), // an offset that is gone stops the run; it is never replaced by a guess (P15)
		kgo.MaxDecompressBatchBytes(maxDecompressBatch),
		kgo.FetchMaxBytes(maxFetch),
		kgo.FetchMaxPartitionBytes(maxPartitionFetch),
		kgo.MaxConcurrentFetches(maxFetches),
		kgo.FetchMaxWait(fetchWait),
		kgo.MetadataMinAge(250 * time.Millisecond),
		kgo.WithLogger(quietLogger{kslog.New(c.Log.With("client", id))}),
	}
	return append(opts, c.Client...)
}

// quietLogger passes on only what an operator can act on: franz-go reports each
// transaction at level info.
type quietLogger struct{ kgo.Logger }

func (l quietLogger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// workerOptions are the options of a worker's client: a group member and a
// transactional producer under one name. The name is stable over restarts, so a
// restart ends at once the transaction that a kill left open, and gets its tasks
// back without a rebalance (P12, P24).
func (c *Config) workerOptions(id string, batchBytes func(topic string) int32) []kgo.Opt {
	return append(c.clientOptions(id),
		kgo.ConsumerGroup(c.ApplicationID),
		kgo.InstanceID(id),
		kgo.Balancers(balancer{exchange: c.ExchangeTopic()}),
		kgo.SessionTimeout(c.SessionTimeout),
		kgo.HeartbeatInterval(c.SessionTimeout/5),
		kgo.RebalanceTimeout(2*c.SessionTimeout),
		kgo.ConsumeTopics(append(c.rawTopics(), c.ExchangeTopic())...),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), // of a source partition that was added later: all of it
		kgo.DisableAutoCommit(),
		kgo.TransactionalID(id),
		kgo.TransactionTimeout(c.TransactionTimeout),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(partitioner{internal: [2]string{c.ExchangeTopic(), c.ChangelogTopic()}}),
		kgo.UnknownTopicRetries(-1), // topics were checked at the start: one that is missing now is an outage (P30)
		kgo.MaxBufferedBytes(maxBufferedProduce),
		kgo.ProducerLinger(c.CommitInterval), // nobody sees a record before the flush of its transaction, so batches may fill until then
		kgo.MaxBufferedRecords(maxTransactionRecords*4),
		kgo.ProducerBatchMaxBytesFn(batchBytes),
	)
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
