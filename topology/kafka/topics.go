package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"callstitch/topology"
)

const (
	// rejectsMaxBytes is what the rejects topic takes: a raw record of a source
	// with raised limits, its headers and ours.
	rejectsMaxBytes = 8 << 20
	// recordMaxBytes is what topics of state and sessions take. A session of a
	// thousand legs with the longest of ids passes the broker's default of 1 MiB,
	// and a record that cannot be written would be tried for ever (K20).
	recordMaxBytes = 4 << 20
	// defaultMaxBytes is the broker's default.
	defaultMaxBytes = 1_000_012
	// keptRevisions is how long the older revisions of a session or leg, and
	// sessions themselves, are kept in compacted topics by default.
	keptRevisions = 7 * 24 * time.Hour
	// keptSettled is how long settled sessions are kept by default: once each, for
	// readers who come once a month.
	keptSettled = 30 * 24 * time.Hour
	// internalSegment keeps segments of internal topics small: only closed ones
	// are purged or compacted, so a restore would otherwise read a day of them.
	internalSegment = 50 << 20
	// maxFuture is how far ahead of the broker's clock a source may date its
	// records. Arrival time is the maximum of these dates: one record from the
	// year 2099 would close every session.
	maxFuture = time.Hour
)

// topics is what was found at the start.
type topics struct {
	raw      map[string]int32 // partitions of each source topic
	maxBytes map[string]int32 // largest batch that a topic takes, where it is known
	// compacted are the sources whose offsets may have holes.
	compacted map[string]bool
	rejects   dates // that the topic of rejects takes and keeps
	ids       topicIDs
	made      map[string]string // ids beside the offsets of each source, and of the exchange
}

// topicSpec is what a topic must be, and how it is made when it is missing.
type topicSpec struct {
	name       string
	partitions int32
	replicas   int16
	create     map[string]string
	require    map[string]string // config values without which the answers would be wrong
	fixed      bool              // the partition count must be exactly that
	least      int32             // max.message.bytes that the largest record needs
}

// topicSpecs lists the topics that callstitch makes, internal ones first.
func (c *Config) topicSpecs() []topicSpec {
	unlimited := map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
	// The exchange keeps what was not consumed, however long that takes, and is
	// purged behind the committed offsets (K19). LogAppendTime makes its
	// timestamps the broker's, which is the only clock of idle partitions.
	exchange := with(unlimited, "message.timestamp.type", "LogAppendTime")
	changelog := map[string]string{"cleanup.policy": "compact"}
	internal := func(m map[string]string) map[string]string {
		return with(with(m, "segment.bytes", strconv.Itoa(internalSegment)), "max.message.bytes", strconv.Itoa(recordMaxBytes))
	}
	published := with(compactedFor(keptRevisions), "max.message.bytes", strconv.Itoa(recordMaxBytes))
	specs := []topicSpec{
		{
			name: c.ExchangeTopic(), partitions: c.ExchangePartitions, fixed: true,
			create: internal(exchange), require: exchange, least: leastExchange,
		},
		{
			name: c.ChangelogTopic(), partitions: c.ExchangePartitions, fixed: true,
			create: internal(changelog), require: changelog, least: leastChangelog,
		},
		{name: c.Topics.Events, least: leastRows},
		{name: c.Topics.Sessions, create: published, least: leastSessions},
		{name: c.Topics.Audit, create: map[string]string{"cleanup.policy": "compact"}, least: leastAudit},
		{name: c.Topics.Rejects, create: map[string]string{"max.message.bytes": strconv.Itoa(rejectsMaxBytes)}, least: rejectLeast},
	}
	if c.Stitch.Settled {
		settled := map[string]string{
			"cleanup.policy": "delete", "retention.ms": strconv.FormatInt(keptSettled.Milliseconds(), 10),
			"max.message.bytes": strconv.Itoa(recordMaxBytes),
		}
		specs = append(specs, topicSpec{name: c.Topics.Settled, create: settled, least: leastSessions})
	}
	if c.Stitch.Legs {
		specs = append(specs, topicSpec{name: c.Topics.Legs, create: published, least: leastRows})
	}
	for i := range specs {
		c.Output.apply(&specs[i])
	}
	return specs
}

// OutputTopic is the topic of a sink, as a start makes it where it is missing. One that
// somebody else made may differ.
type OutputTopic struct {
	Sink       topology.Sink
	Name       string
	Partitions int32
	Replicas   int16             // BrokersReplicas: as many as the brokers give it
	Settings   map[string]string // those that are not left to the brokers, by their names in Kafka
}

// OutputTopics are the topics of the sinks that are written, in the order of the sinks.
func (c *Config) OutputTopics() (topics []OutputTopic) {
	specs, full := map[string]topicSpec{}, c.withDefaults()
	for _, s := range full.topicSpecs() {
		specs[s.name] = s
	}
	for _, sink := range c.Sinks() {
		s := specs[c.Topics.Topic(sink)]
		topics = append(topics, OutputTopic{sink, s.name, s.partitions, s.replicas, s.create})
	}
	return topics
}

func compactedFor(d time.Duration) map[string]string {
	return map[string]string{"cleanup.policy": "compact,delete", "retention.ms": strconv.FormatInt(d.Milliseconds(), 10)}
}

func with(m map[string]string, key, value string) map[string]string {
	out := map[string]string{key: value}
	for k, v := range m {
		if k != key {
			out[k] = v
		}
	}
	return out
}

// apply puts the settings into the spec of a topic.
func (s TopicSettings) apply(spec *topicSpec) {
	own := s.PerTopic[spec.name]
	setDefault(&own.Partitions, s.Partitions)
	setDefault(&own.ReplicationFactor, s.ReplicationFactor)
	setDefault(&own.MinISR, s.MinISR)
	setDefault(&own.Retention, s.Retention)
	spec.replicas = own.ReplicationFactor
	if own.MinISR > 0 {
		spec.create = with(spec.create, "min.insync.replicas", strconv.Itoa(own.MinISR))
	}
	if spec.fixed {
		return // partitions and retention of internal topics are not a matter of taste
	}
	spec.partitions = own.Partitions
	if own.Retention > 0 && spec.create["cleanup.policy"] != "compact" {
		spec.create = with(spec.create, "retention.ms", strconv.FormatInt(own.Retention.Milliseconds(), 10))
	}
}

// prepareTopics makes what is missing and checks what is there.
func prepareTopics(ctx context.Context, cfg *Config, adm *kadm.Client) (topics, error) {
	if !cfg.Output.NoCreate {
		if err := createTopics(ctx, adm, cfg.topicSpecs()); err != nil {
			return topics{}, err
		}
	}
	return checkTopics(ctx, cfg, adm)
}

func createTopics(ctx context.Context, adm *kadm.Client, specs []topicSpec) error {
	absent, err := absentTopics(ctx, adm, specs)
	if err != nil || len(absent) == 0 {
		return err
	}
	for _, s := range absent {
		if err := createTopic(ctx, adm, s); err != nil {
			return err
		}
	}
	for len(absent) > 0 { // brokers learn of a new topic a moment after its creation
		wait(ctx, 50*time.Millisecond)
		if absent, err = absentTopics(ctx, adm, absent); err != nil {
			return err
		}
	}
	return nil
}

func absentTopics(ctx context.Context, adm *kadm.Client, specs []topicSpec) (absent []topicSpec, err error) {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.name
	}
	found, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	for _, s := range specs {
		if d := found[s.name]; d.Err != nil || len(d.Partitions) == 0 {
			absent = append(absent, s)
		}
	}
	return absent, nil
}

func createTopic(ctx context.Context, adm *kadm.Client, s topicSpec) error {
	_, err := requestTopic(ctx, adm.CreateTopics, s)
	return err
}

// tryCreateTopic has the brokers say what would come of createTopic, and how many replicas
// the topic would have; less than one where they do not say.
func tryCreateTopic(ctx context.Context, adm *kadm.Client, s topicSpec) (replicas int16, err error) {
	made, err := requestTopic(ctx, adm.ValidateCreateTopics, s)
	return made.ReplicationFactor, err
}

type topicRequest func(ctx context.Context, partitions int32, replicas int16, configs map[string]*string, topics ...string) (kadm.CreateTopicResponses, error)

func requestTopic(ctx context.Context, send topicRequest, s topicSpec) (kadm.CreateTopicResponse, error) {
	configs := make(map[string]*string, len(s.create))
	for k, v := range s.create {
		configs[k] = &v
	}
	answers, err := send(ctx, s.partitions, s.replicas, configs, s.name)
	made := answers[s.name]
	if err == nil {
		err = made.Err
	}
	switch {
	case err == nil, errors.Is(err, kerr.TopicAlreadyExists): // another instance was faster
		return made, nil
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return made, fmt.Errorf("%w: topic %s is missing and this user lacks CREATE on it, and on the cluster: grant it, or create it with %d partitions and %v",
			ErrTopicMismatch, s.name, s.partitions, s.create)
	case errors.Is(err, kerr.InvalidReplicationFactor):
		return made, fmt.Errorf("%w: create topic %s with %s: %w: set topics.replication_factor to at most the number of brokers",
			ErrTopicMismatch, s.name, s.shownReplicas(), err)
	default:
		return made, fmt.Errorf("create topic %s: %w %s", s.name, err, made.ErrMessage)
	}
}

// shownReplicas says how many replicas a topic is to be made with.
func (s topicSpec) shownReplicas() string {
	if s.replicas == BrokersReplicas {
		return "the brokers' default.replication.factor"
	}
	return fmt.Sprintf("replication factor %d", s.replicas)
}

// checkTopics compares the topics with what the topology needs. The error wraps
// ErrTopicMismatch and names every difference.
func checkTopics(ctx context.Context, cfg *Config, adm *kadm.Client) (topics, error) {
	specs := cfg.topicSpecs()
	var names []string
	for _, s := range specs {
		names = append(names, s.name)
	}
	names = append(names, cfg.rawTopics()...)
	details, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return topics{}, fmt.Errorf("list topics: %w", err)
	}
	configs, err := topicConfigs(ctx, adm, names)
	if err != nil {
		return topics{}, err
	}
	found := topics{
		raw: make(map[string]int32), maxBytes: make(map[string]int32), compacted: make(map[string]bool),
		rejects: datesOf(configs[cfg.Topics.Rejects]), ids: idsOf(details), made: make(map[string]string),
	}
	for _, topic := range append(cfg.rawTopics(), cfg.ExchangeTopic()) {
		found.made[topic] = found.ids.made(cfg, topic)
	}
	var problems []error
	for _, s := range specs {
		problems = append(problems, s.compare(details[s.name], configs[s.name])...)
		if n, err := strconv.ParseInt(configs[s.name]["max.message.bytes"], 10, 32); err == nil {
			found.maxBytes[s.name] = int32(n)
		}
	}
	for _, topic := range cfg.rawTopics() {
		problems = append(problems, checkSource(details[topic], configs[topic])...)
		found.raw[topic] = int32(len(details[topic].Partitions))
		found.compacted[topic] = strings.Contains(configs[topic]["cleanup.policy"], "compact")
	}
	return found, errors.Join(problems...)
}

// topicConfigs reads the configs of those topics that are there and that this
// user may describe; others have none.
func topicConfigs(ctx context.Context, adm *kadm.Client, names []string) (map[string]map[string]string, error) {
	described, err := adm.DescribeTopicConfigs(ctx, names...)
	if errors.Is(err, kerr.TopicAuthorizationFailed) { // one that is refused hides the others from kadm
		described, err = describeEach(ctx, adm, names)
	}
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	configs := make(map[string]map[string]string)
	for _, r := range described {
		if r.Err != nil {
			continue
		}
		configs[r.Name] = make(map[string]string)
		for _, c := range r.Configs {
			configs[r.Name][c.Key] = c.MaybeValue()
		}
	}
	return configs, nil
}

// describeEach asks for the configs of each topic, and passes over those that this user
// may not describe.
func describeEach(ctx context.Context, adm *kadm.Client, names []string) (all kadm.ResourceConfigs, err error) {
	for _, name := range names {
		described, err := adm.DescribeTopicConfigs(ctx, name)
		if err != nil && !errors.Is(err, kerr.TopicAuthorizationFailed) {
			return nil, err
		}
		all = append(all, described...)
	}
	return all, nil
}

func (s topicSpec) compare(d kadm.TopicDetail, config map[string]string) (problems []error) {
	if err := missing(s.name, d); err != nil {
		return []error{err}
	}
	// The partition of a key decides which task owns its state (K26).
	if n := int32(len(d.Partitions)); s.fixed && n != s.partitions {
		problems = append(problems, mismatch(s.name,
			"has %d partitions where exchange_partitions is %d: set exchange_partitions to %d, or reset the application with 'callstitch reset'", n, s.partitions, n))
	}
	for key, want := range s.require {
		if got, ok := config[key]; ok && !sameConfig(got, want) {
			problems = append(problems, mismatch(s.name, "has %s=%s, it must be %s", key, got, want))
		}
	}
	if n, err := strconv.ParseInt(config["max.message.bytes"], 10, 32); err == nil && int32(n) < s.least {
		problems = append(problems, s.tooSmall(int32(n)))
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems
}

// tooSmall is the mismatch of a topic that takes less than what is written to it: the
// record would be tried for ever (K20).
func (s topicSpec) tooSmall(n int32) error {
	return mismatch(s.name, "takes at most %d bytes a record: set its max.message.bytes to at least %d", n, s.least)
}

// adviseSource says what would be better for a source that a run takes; empty where
// nothing is.
func adviseSource(topic string, config map[string]string) string {
	bound, err := strconv.ParseInt(config["message.timestamp.after.max.ms"], 10, 64)
	if err != nil || bound <= LeadMax.Milliseconds() || config["message.timestamp.type"] == "LogAppendTime" {
		return ""
	}
	return fmt.Sprintf("%s takes records dated %v ahead of the brokers' clock, which can hold sessions back for as long: set its message.timestamp.type to LogAppendTime, or message.timestamp.after.max.ms to %d",
		topic, time.Duration(bound)*time.Millisecond, LeadMax.Milliseconds())
}

func checkSource(d kadm.TopicDetail, config map[string]string) []error {
	if err := missing(d.Topic, d); err != nil {
		return []error{err}
	}
	if config["message.timestamp.type"] == "LogAppendTime" {
		return nil
	}
	bound, ok := config["message.timestamp.after.max.ms"]
	if !ok {
		return nil // not shown to this user, or a broker of one build only, such as kfake
	}
	if ms, err := strconv.ParseInt(bound, 10, 64); err != nil || ms > maxFuture.Milliseconds() {
		return []error{mismatch(d.Topic,
			"takes timestamps %s ms ahead of the broker's clock: set message.timestamp.after.max.ms to at most %d, or message.timestamp.type to LogAppendTime", bound, maxFuture.Milliseconds())}
	}
	return nil
}

func missing(topic string, d kadm.TopicDetail) error {
	switch {
	case errors.Is(d.Err, kerr.UnknownTopicOrPartition), d.Err == nil && len(d.Partitions) == 0:
		return fmt.Errorf("%w: topic %s does not exist: create it, or correct its name in the configuration", errMissing, topic)
	case d.Err != nil:
		return fmt.Errorf("look up topic %s: %w", topic, d.Err)
	}
	return nil
}

func mismatch(topic, format string, args ...any) error {
	return fmt.Errorf("%w: topic %s %s", ErrTopicMismatch, topic, fmt.Sprintf(format, args...))
}

// sameConfig compares config values as sets: brokers list policies in any order.
func sameConfig(a, b string) bool {
	x, y := strings.Split(a, ","), strings.Split(b, ",")
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
