// Package config is the one configuration of callstitch: what its keys mean, how
// they are read from a file, the environment and flags with every problem and its
// place, and what they make of the topology and of the clients of brokers and
// registry. It reads the files that a configuration names, and connects to nothing.
package config

import (
	"log/slog"
	"time"

	"callstitch/processor/number"
	"callstitch/topology/kafka"
)

// Config is the one configuration of callstitch. Each field's tag is its key in
// the YAML file; its name in the environment is CALLSTITCH_ and the key's path
// in upper case, with underscores for dots.
type Config struct {
	// ApplicationID names the consumer group, and begins the names of internal
	// topics and transactional ids. Another id is another application, with a
	// state of its own.
	ApplicationID string `yaml:"application_id"`

	Kafka    Kafka    `yaml:"kafka"`
	Registry Registry `yaml:"schema_registry"`
	Sources  []Source `yaml:"sources"`
	Topics   Topics   `yaml:"topics"`

	// Start is where a source is read from when the group has neither offsets
	// nor state: earliest, latest, or an RFC 3339 instant.
	Start string `yaml:"start"`
	// Workers is the number of threads that tasks are worked on with; 0 is one a core.
	Workers int `yaml:"workers"`
	// ExchangePartitions is the number of stitch tasks, and so the most that
	// stitching can be spread. Fixed once the internal topics exist.
	ExchangePartitions int32 `yaml:"exchange_partitions"`
	// Generation is raised to reprocess: it is the high half of record_version,
	// so that records of a reprocess replace the earlier ones.
	Generation int32 `yaml:"generation"`
	// CommitInterval bounds how long a record waits for its transaction. Longer
	// means fewer, larger transactions.
	CommitInterval time.Duration `yaml:"commit_interval"`

	// The session times are those of stitch.Config.
	Grace             time.Duration `yaml:"grace"`
	UnansweredTimeout time.Duration `yaml:"unanswered_timeout"`
	AnsweredTimeout   time.Duration `yaml:"answered_timeout"`
	Retention         time.Duration `yaml:"retention"`
	StubRetention     time.Duration `yaml:"stub_retention"`

	// Store is where tasks keep their state between changelog restores.
	Store string `yaml:"store"`
	// StateDir keeps the instance's identity over restarts; empty keeps none.
	StateDir string `yaml:"state_dir"`
	// InstanceID is the stable name of this instance, such as a pod's. Empty:
	// the one kept in StateDir, else a new one at each start.
	InstanceID string `yaml:"instance_id"`
	// StartupTimeout is how long a start waits for brokers and registry.
	StartupTimeout time.Duration `yaml:"startup_timeout"`

	Emit    Emit    `yaml:"emit"`
	HTTP    HTTP    `yaml:"http"`
	Receive Receive `yaml:"receive"`
	Log     Log     `yaml:"log"`
}

// Kafka is the brokers, and how to get in.
type Kafka struct {
	Brokers []string `yaml:"brokers"`
	SASL    SASL     `yaml:"sasl"`
	TLS     TLS      `yaml:"tls"`
}

// SASL logs in at the brokers. Passwords and tokens are read from files, so that
// neither the configuration nor the environment holds a secret.
type SASL struct {
	Mechanism    string `yaml:"mechanism"` // plain, scram-sha-256, scram-sha-512, oauthbearer; empty is no login
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	OAuth        OAuth  `yaml:"oauth"`
}

// OAuth is where bearer tokens come from: a file that somebody else keeps fresh, or an
// endpoint that gives them to a client with an id and a secret.
type OAuth struct {
	TokenFile        string `yaml:"token_file"`
	TokenURL         string `yaml:"token_url"`
	ClientID         string `yaml:"client_id"`
	ClientSecretFile string `yaml:"client_secret_file"`
	Scope            string `yaml:"scope"`
	CAFile           string `yaml:"ca_file"` // of the endpoint
}

// TLS encrypts connections to the brokers. All files are PEM.
type TLS struct {
	Enabled  bool   `yaml:"enabled"`   // naming a file enables it too
	CAFile   string `yaml:"ca_file"`   // empty trusts the system's authorities
	CertFile string `yaml:"cert_file"` // what we show of ourselves
	KeyFile  string `yaml:"key_file"`
}

// Registry is the schema registry, which may ask for a login too. Without
// a CA file the system's authorities are trusted.
type Registry struct {
	URL          string `yaml:"url"`           // several, with commas between, are tried in turn
	AutoRegister bool   `yaml:"auto_register"` // false: schemas are only looked up
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	OAuth        OAuth  `yaml:"oauth"`
	CAFile       string `yaml:"ca_file"`
	CertFile     string `yaml:"cert_file"`
	KeyFile      string `yaml:"key_file"`
}

// Source is a topic of raw events.
type Source struct {
	Topic     string `yaml:"topic"`
	Provider  string `yaml:"provider"` // empty: headers, else the shape of the record
	Tenant    string `yaml:"tenant"`   // empty: headers, else "default"
	Scope     string `yaml:"scope"`    // tells apart servers whose call ids may collide
	LinkByTag bool   `yaml:"link_by_tag"`
}

// Topics says how the output topics are named and created. A topic's own
// settings win over the common ones.
type Topics struct {
	Prefix            string `yaml:"prefix"` // put before every output topic's name
	Partitions        int32  `yaml:"partitions"`
	ReplicationFactor int16  `yaml:"replication_factor"` // -1 is the brokers' own
	MinISR            int    `yaml:"min_isr"`            // 0 is the brokers' default
	Create            bool   `yaml:"create"`             // false: a missing topic is a mismatch

	Events   Topic `yaml:"events"`
	Sessions Topic `yaml:"sessions"`
	Legs     Topic `yaml:"legs"`
	Settled  Topic `yaml:"settled"`
	Rejects  Topic `yaml:"rejects"`
	Audit    Topic `yaml:"audit"`
}

// Topic is one output topic; zero values are the common settings.
type Topic struct {
	Name              string        `yaml:"name"`
	Partitions        int32         `yaml:"partitions"`
	ReplicationFactor int16         `yaml:"replication_factor"`
	MinISR            int           `yaml:"min_isr"`
	Retention         time.Duration `yaml:"retention"`
}

// Emit says which records are published besides the FINAL ones, and how they show numbers.
type Emit struct {
	Partial bool `yaml:"partial"` // PARTIAL revisions of open sessions
	Legs    bool `yaml:"legs"`    // a row for each leg
	Settled bool `yaml:"settled"` // each session once, when it changes no more
	// SettledAfter is how long after its closing time that is; 0: when it is forgotten.
	SettledAfter time.Duration `yaml:"settled_after"`
	// Numbers is how numbers are shown: full, masked, or hmac, which needs the file.
	Numbers        string `yaml:"numbers"`
	NumbersKeyFile string `yaml:"numbers_key_file"`
}

// HTTP is where the console, health and metrics are served.
type HTTP struct {
	Listen string `yaml:"listen"` // host:port; empty serves nothing
}

// Log says which messages are written, and how.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text or json
}

// Default is the configuration of an empty file.
func Default() Config {
	return Config{
		ApplicationID: "callstitch",
		Registry:      Registry{URL: "http://127.0.0.1:8081", AutoRegister: true},
		Topics: Topics{
			Partitions: 8, ReplicationFactor: kafka.BrokersReplicas, Create: true,
			Events:   Topic{Name: "call.events"},
			Sessions: Topic{Name: "call.sessions", Retention: 7 * 24 * time.Hour},
			Legs:     Topic{Name: "call.legs", Retention: 7 * 24 * time.Hour},
			Settled:  Topic{Name: "call.settled", Retention: 30 * 24 * time.Hour},
			Rejects:  Topic{Name: "call.rejects"},
			Audit:    Topic{Name: "call.audit"},
		},
		Start:              "earliest",
		ExchangePartitions: 8,
		CommitInterval:     100 * time.Millisecond,
		Grace:              30 * time.Second,
		UnansweredTimeout:  5 * time.Minute,
		AnsweredTimeout:    4 * time.Hour,
		Retention:          24 * time.Hour,
		StubRetention:      72 * time.Hour,
		Store:              "memory",
		StartupTimeout:     5 * time.Minute,
		Emit:               Emit{Partial: true, Numbers: number.Full.String()},
		HTTP:               HTTP{Listen: "127.0.0.1:8080"},
		Receive:            defaultReceive(),
		Log:                Log{Level: "info", Format: "text"},
	}
}

// namedTopic is an output topic under its key.
type namedTopic struct {
	key string
	*Topic
}

// each lists the output topics in the order of topology.Sink.
func (t *Topics) each() []namedTopic {
	return []namedTopic{
		{"events", &t.Events},
		{"sessions", &t.Sessions},
		{"legs", &t.Legs},
		{"settled", &t.Settled},
		{"rejects", &t.Rejects},
		{"audit", &t.Audit},
	}
}

// SlogLevel is the least level that is logged.
func (l Log) SlogLevel() (level slog.Level) {
	_ = level.UnmarshalText([]byte(l.Level)) // validate has seen it
	return level
}
