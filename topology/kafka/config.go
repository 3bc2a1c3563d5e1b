package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/schemas"
	"callstitch/topology"
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
	// Workers is the number of threads that tasks are worked on with; 0 is one for
	// each core.
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
	// OnCommit gets the outputs of each transaction that committed, from the
	// worker's goroutine. It must neither block nor keep the slice. Nil: nobody
	// listens.
	OnCommit func([]topology.Output)

	self    string         // how the names of this instance in the group begin, once it is known
	said    *said          // lines of the clients of this process
	schemas schemaRegistry // nil is the one at Registry.URL; tests bring their own
}

// RegistryConfig says where schemas are kept.
type RegistryConfig struct {
	schemas.RegistryConfig
	// AutoRegister registers schemas that are not there. Without it they must be.
	AutoRegister bool
}

// TopicSettings are the settings of output topics, and of internal ones as far
// as they apply.
type TopicSettings struct {
	// NoCreate leaves missing topics missing; the start then fails and names them.
	NoCreate          bool
	Partitions        int32         // of output topics; 8
	ReplicationFactor int16         // -1, the brokers' own
	MinISR            int           // 0 is the broker's default
	Retention         time.Duration // 0 is the topic's default: see topics.go
	// PerTopic overrides Partitions, ReplicationFactor, MinISR and Retention for
	// a topic, by its full name.
	PerTopic map[string]TopicSettings
}

const (
	defaultCommitInterval     = 100 * time.Millisecond // that of Kafka Streams with exactly-once
	defaultStartupTimeout     = 5 * time.Minute
	defaultTransactionTimeout = 10 * time.Second // that of Kafka Streams (K25)
	defaultSessionTimeout     = 15 * time.Second
	defaultPartitions         = 8
	// BrokersReplicas leaves the number of replicas to default.replication.factor (KIP-464).
	// Only who runs the brokers knows how many they are, and what may be lost with one.
	BrokersReplicas = -1
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
	setDefault(&c.Output.ReplicationFactor, BrokersReplicas)
	if c.said == nil {
		c.said = new(said)
	}
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
