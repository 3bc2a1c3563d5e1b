package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/topology"
)

// config is the one configuration of callstitch. Each field's tag is its key in
// the YAML file; its name in the environment is CALLSTITCH_ and the key's path
// in upper case, with underscores for dots.
type config struct {
	// ApplicationID names the consumer group, and begins the names of internal
	// topics and transactional ids. Another id is another application, with a
	// state of its own.
	ApplicationID string `yaml:"application_id"`

	Kafka    kafkaConfig    `yaml:"kafka"`
	Registry registryConfig `yaml:"schema_registry"`
	Sources  []sourceConfig `yaml:"sources"`
	Topics   topicsConfig   `yaml:"topics"`

	// Start is where a source is read from when the group has neither offsets
	// nor state: earliest, latest, or an RFC 3339 instant.
	Start string `yaml:"start"`
	// Workers is the number of group members in this process; 0 is one a core.
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

	Emit emitConfig `yaml:"emit"`
	HTTP httpConfig `yaml:"http"`
	Log  logConfig  `yaml:"log"`
}

type kafkaConfig struct {
	Brokers []string   `yaml:"brokers"`
	SASL    saslConfig `yaml:"sasl"`
	TLS     tlsConfig  `yaml:"tls"`
}

// saslConfig logs in at the brokers. The password is read from a file, so that
// neither the configuration nor the environment holds a secret.
type saslConfig struct {
	Mechanism    string `yaml:"mechanism"` // plain, scram-sha-256, scram-sha-512; empty is no login
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
}

// tlsConfig encrypts connections to the brokers.
type tlsConfig struct {
	Enabled bool   `yaml:"enabled"` // naming a file enables it too
	CAFile  string `yaml:"ca_file"` // PEM; empty trusts the system's authorities
}

// registryConfig is the schema registry, which may ask for a login too. Without
// a CA file the system's authorities are trusted.
type registryConfig struct {
	URL          string `yaml:"url"`           // several, with commas between, are tried in turn
	AutoRegister bool   `yaml:"auto_register"` // false: schemas are only looked up
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	CAFile       string `yaml:"ca_file"`
}

type sourceConfig struct {
	Topic     string `yaml:"topic"`
	Provider  string `yaml:"provider"` // empty: headers, else the shape of the record
	Tenant    string `yaml:"tenant"`   // empty: headers, else "default"
	Scope     string `yaml:"scope"`    // tells apart servers whose call ids may collide
	LinkByTag bool   `yaml:"link_by_tag"`
}

// topicsConfig says how the output topics are named and created. A topic's own
// settings win over the common ones.
type topicsConfig struct {
	Prefix            string `yaml:"prefix"` // put before every output topic's name
	Partitions        int32  `yaml:"partitions"`
	ReplicationFactor int16  `yaml:"replication_factor"`
	MinISR            int    `yaml:"min_isr"` // 0 is the brokers' default
	Create            bool   `yaml:"create"`  // false: a missing topic is a mismatch

	Events   topicConfig `yaml:"events"`
	Sessions topicConfig `yaml:"sessions"`
	Legs     topicConfig `yaml:"legs"`
	Rejects  topicConfig `yaml:"rejects"`
	Audit    topicConfig `yaml:"audit"`
}

// topicConfig is one output topic; zero values are the common settings.
type topicConfig struct {
	Name              string        `yaml:"name"`
	Partitions        int32         `yaml:"partitions"`
	ReplicationFactor int16         `yaml:"replication_factor"`
	MinISR            int           `yaml:"min_isr"`
	Retention         time.Duration `yaml:"retention"`
}

type emitConfig struct {
	Partial bool `yaml:"partial"` // PARTIAL revisions of open sessions
	Legs    bool `yaml:"legs"`    // a row for each leg
}

type httpConfig struct {
	Listen string `yaml:"listen"` // host:port; empty serves nothing
}

type logConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text or json
}

// defaultConfig is the configuration of an empty file.
func defaultConfig() config {
	return config{
		ApplicationID: "callstitch",
		Registry:      registryConfig{URL: "http://127.0.0.1:8081", AutoRegister: true},
		Topics: topicsConfig{
			Partitions: 8, ReplicationFactor: 1, Create: true,
			Events:   topicConfig{Name: "call.events"},
			Sessions: topicConfig{Name: "call.sessions", Retention: 7 * 24 * time.Hour},
			Legs:     topicConfig{Name: "call.legs", Retention: 7 * 24 * time.Hour},
			Rejects:  topicConfig{Name: "call.rejects"},
			Audit:    topicConfig{Name: "call.audit"},
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
		Emit:               emitConfig{Partial: true},
		HTTP:               httpConfig{Listen: "127.0.0.1:8080"},
		Log:                logConfig{Level: "info", Format: "text"},
	}
}

// Topology is the part of the configuration that shapes the answers.
func (c *config) Topology() topology.Config {
	t := topology.Config{
		ApplicationID:      c.ApplicationID,
		Topics:             c.Topics.names(),
		ExchangePartitions: c.ExchangePartitions,
		Stitch: stitch.Config{
			Grace:             c.Grace,
			UnansweredTimeout: c.UnansweredTimeout,
			AnsweredTimeout:   c.AnsweredTimeout,
			Retention:         c.Retention,
			StubRetention:     c.StubRetention,
			Generation:        c.Generation,
			Partial:           c.Emit.Partial,
			Legs:              c.Emit.Legs,
		},
	}
	for _, s := range c.Sources {
		source := topology.Source{Topic: s.Topic, Tenant: s.Tenant, Scope: s.Scope, LinkByTag: s.LinkByTag}
		if p, named := call.ParseProvider(s.Provider); named {
			source.Provider = p
		}
		t.Sources = append(t.Sources, source)
	}
	return t
}

// names are the full names of the output topics.
func (t *topicsConfig) names() topology.Topics {
	return topology.Topics{
		Events:   t.Prefix + t.Events.Name,
		Sessions: t.Prefix + t.Sessions.Name,
		Legs:     t.Prefix + t.Legs.Name,
		Rejects:  t.Prefix + t.Rejects.Name,
		Audit:    t.Prefix + t.Audit.Name,
	}
}

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Key  string // path of the key, such as kafka.brokers
	Text string // what is wrong and what to write instead
}

// Limits of a configuration, each a guard against a slip of the hand.
const (
	maxWorkers            = 256             // each is a group member with a producer of its own
	maxPartitions         = 10_000          // of one topic; a broker carries about 4,000 in all
	maxReplicas           = 100             // more than any cluster keeps of one partition
	maxExchangePartitions = 1_024           // every tick is written to each of them
	maxApplicationID      = 150             // Kafka allows 249 in a topic's name; ours add a suffix
	maxCommitInterval     = 5 * time.Second // half of the transaction time-out of 10 s
	maxSessionTime        = 10 * 365 * 24 * time.Hour
)

var (
	kafkaName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

	saslMechanisms = []string{"plain", "scram-sha-256", "scram-sha-512"}
	logLevels      = []string{"debug", "info", "warn", "error"}
	logFormats     = []string{"text", "json"}
)

// Validate lists everything that is wrong with the values, not only the first.
func (c *config) Validate() []Problem {
	v := &validation{}
	v.check(kafkaName.MatchString(c.ApplicationID) && len(c.ApplicationID) <= maxApplicationID, "application_id",
		"must be 1 to %d of the characters a-z A-Z 0-9 . _ -", maxApplicationID)
	c.Kafka.validate(v)
	c.Registry.validate(v)
	c.validateSources(v)
	c.validateTopics(v)
	v.check(validStart(c.Start), "start", "must be earliest, latest or an RFC 3339 instant such as 2026-01-31T00:00:00Z")
	v.within(int64(c.Workers), 0, maxWorkers, "workers")
	v.within(int64(c.ExchangePartitions), 1, maxExchangePartitions, "exchange_partitions")
	v.check(c.Generation >= 0, "generation", "must not be negative")
	v.between(c.CommitInterval, time.Millisecond, maxCommitInterval, "commit_interval")
	v.between(c.Grace, 0, maxSessionTime, "grace")
	v.between(c.UnansweredTimeout, time.Millisecond, maxSessionTime, "unanswered_timeout")
	v.between(c.AnsweredTimeout, time.Millisecond, maxSessionTime, "answered_timeout")
	v.between(c.Retention, 0, maxSessionTime, "retention")
	v.between(c.StubRetention, 0, maxSessionTime, "stub_retention")
	v.check(c.Store != "disk", "store", "disk is not available in this version: memory is the only store today")
	v.check(c.Store == "memory" || c.Store == "disk", "store", "must be memory")
	v.check(c.InstanceID == "" || kafkaName.MatchString(c.InstanceID), "instance_id",
		"must be of the characters a-z A-Z 0-9 . _ -")
	v.between(c.StartupTimeout, time.Second, 24*time.Hour, "startup_timeout")
	v.check(c.HTTP.Listen == "" || hostPort(c.HTTP.Listen), "http.listen", "must be host:port, such as 127.0.0.1:8080")
	v.oneOf(c.Log.Level, logLevels, "log.level")
	v.oneOf(c.Log.Format, logFormats, "log.format")
	return v.problems
}

// Missing lists the keys without a default that a command which meets a broker
// needs.
func (c *config) Missing() []Problem {
	v := &validation{}
	v.check(len(c.Kafka.Brokers) > 0, "kafka.brokers", `is required, such as ["127.0.0.1:9092"]`)
	v.check(len(c.Sources) > 0, "sources", "is required, such as [{topic: call.raw}]")
	return v.problems
}

func (k *kafkaConfig) validate(v *validation) {
	for _, b := range k.Brokers {
		v.check(hostPort(b), "kafka.brokers", "%q must be host:port, such as 127.0.0.1:9092", b)
	}
	s := k.SASL
	if s.Mechanism != "" {
		v.oneOf(s.Mechanism, saslMechanisms, "kafka.sasl.mechanism")
	}
	on := s.Mechanism != ""
	v.check(on || s.Username == "" && s.PasswordFile == "", "kafka.sasl.mechanism",
		"is required with a username or password_file: %s", strings.Join(saslMechanisms, ", "))
	v.check(!on || s.Username != "", "kafka.sasl.username", "is required with a mechanism")
	v.check(!on || s.PasswordFile != "", "kafka.sasl.password_file", "is required with a mechanism")
	v.check(s.Mechanism != "plain" || k.TLS.Enabled || k.TLS.CAFile != "", "kafka.sasl.mechanism",
		"plain sends the password as it is: it needs kafka.tls")
	v.readable(s.PasswordFile, "kafka.sasl.password_file")
	v.readable(k.TLS.CAFile, "kafka.tls.ca_file")
}

func (r *registryConfig) validate(v *validation) {
	for address := range strings.SplitSeq(r.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		v.check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "",
			"schema_registry.url", "must be an address such as http://127.0.0.1:8081")
	}
	v.check(r.PasswordFile == "" || r.Username != "", "schema_registry.username", "is required with a password_file")
	v.readable(r.PasswordFile, "schema_registry.password_file")
	v.readable(r.CAFile, "schema_registry.ca_file")
}

func (c *config) validateSources(v *validation) {
	seen := map[string]bool{}
	for i, s := range c.Sources {
		key := fmt.Sprintf("sources[%d]", i)
		v.check(kafkaName.MatchString(s.Topic), key+".topic", "is required, and of the characters a-z A-Z 0-9 . _ -")
		v.check(!seen[s.Topic], key+".topic", "%q is a source already", s.Topic)
		seen[s.Topic] = true
		_, known := call.ParseProvider(s.Provider)
		v.check(known || s.Provider == "", key+".provider",
			"must be opentact, stringee, sonetel (or xelion) or bandwidth, or absent")
	}
}

func (c *config) validateTopics(v *validation) {
	t := &c.Topics
	v.within(int64(t.Partitions), 1, maxPartitions, "topics.partitions")
	v.within(int64(t.ReplicationFactor), 1, maxReplicas, "topics.replication_factor")
	v.within(int64(t.MinISR), 0, maxReplicas, "topics.min_isr")
	v.check(t.Prefix == "" || kafkaName.MatchString(t.Prefix), "topics.prefix", "must be of the characters a-z A-Z 0-9 . _ -")
	used := map[string]string{}
	for _, s := range c.Sources {
		used[s.Topic] = "a source"
	}
	for _, o := range t.each() {
		key := "topics." + o.key
		v.check(kafkaName.MatchString(o.Name), key+".name", "must be of the characters a-z A-Z 0-9 . _ -")
		full := t.Prefix + o.Name
		v.check(used[full] == "", key+".name", "%q is %s already", full, used[full])
		used[full] = "topics." + o.key
		v.within(int64(o.Partitions), 0, maxPartitions, key+".partitions")
		v.within(int64(o.ReplicationFactor), 0, maxReplicas, key+".replication_factor")
		v.within(int64(o.MinISR), 0, maxReplicas, key+".min_isr")
		v.between(o.Retention, 0, maxSessionTime, key+".retention")
	}
}

type namedTopic struct {
	key string
	*topicConfig
}

// each lists the output topics in the order of topology.Sink.
func (t *topicsConfig) each() []namedTopic {
	return []namedTopic{
		{"events", &t.Events},
		{"sessions", &t.Sessions},
		{"legs", &t.Legs},
		{"rejects", &t.Rejects},
		{"audit", &t.Audit},
	}
}

// level is the log level; Validate has seen its name.
func (l logConfig) level() (level slog.Level) {
	_ = level.UnmarshalText([]byte(l.Level))
	return level
}

func validStart(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return s == "earliest" || s == "latest" || err == nil
}

func hostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}

// validation collects problems.
type validation struct{ problems []Problem }

func (v *validation) check(ok bool, key, format string, args ...any) {
	if !ok {
		v.problems = append(v.problems, Problem{key, fmt.Sprintf(format, args...)})
	}
}

func (v *validation) within(n, low, high int64, key string) {
	v.check(low <= n && n <= high, key, "must be from %d to %d", low, high)
}

func (v *validation) between(d, low, high time.Duration, key string) {
	v.check(low <= d && d <= high, key, "must be from %s to %s", short(low), short(high))
}

func (v *validation) oneOf(s string, words []string, key string) {
	for _, w := range words {
		if s == w {
			return
		}
	}
	v.check(false, key, "must be one of %s", strings.Join(words, ", "))
}

func (v *validation) readable(path, key string) {
	if path == "" {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		v.check(false, key, "cannot be read: %v", err)
		return
	}
	_ = f.Close()
}

// short prints a duration without its zero parts: 5s, 1m, 87600h.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
