package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Examine looks at everything that a run needs of the brokers, in the order in
// which a run would meet it, and changes nothing. It goes on after a finding
// that fails as far as that makes sense.
func Examine(ctx context.Context, cfg Config) []Finding {
	cfg = cfg.withDefaults()
	cl, reached := reach(ctx, &cfg)
	if cl == nil {
		return []Finding{reached}
	}
	defer cl.Close()
	found := []Finding{
		reached,
		{What: "brokers run Apache Kafka 4.0 or later with transaction.version 2", Err: requireTransactionVersion(ctx, cl)},
	}
	found = append(found, examineTopics(ctx, &cfg, kadm.NewClient(cl))...)
	found = append(found, examineReplicas(ctx, &cfg, kadm.NewClient(cl))...)
	group := examineGroup(ctx, &cfg, cl)
	found = append(found, group...)
	if slices.ContainsFunc(group, func(f Finding) bool { return loading(f.Err) }) {
		return append(found, examineTopicRights(ctx, &cfg, cl)...) // the rest would wait as long for the coordinator, each
	}
	found = append(found, examineClocks(ctx, &cfg, cl)...)
	found = append(found, examineTopicRights(ctx, &cfg, cl)...)
	return append(found, examineGroupRights(ctx, &cfg, cl)...)
}

// reach finds whether brokers answer, and has a client of them for the caller to close;
// nil where they do not.
func reach(ctx context.Context, cfg *Config) (*kgo.Client, Finding) {
	cl, err := kgo.NewClient(cfg.clientOptions(cfg.ApplicationID + "-check")...)
	if err != nil {
		return nil, Finding{What: "client options are valid", Err: err}
	}
	f := Finding{What: "brokers " + strings.Join(cfg.Brokers, ", ") + " answer"}
	if f.Err = explained(meet(ctx, cl)); f.Err != nil {
		cl.Close()
		return nil, f
	}
	return cl, f
}

// examineGroup looks for somebody else in the group, and at its offsets.
func examineGroup(ctx context.Context, cfg *Config, cl *kgo.Client) []Finding {
	members, err := whenLoaded(ctx, func() ([]groupMember, error) { return groupMembers(ctx, cl, cfg.ApplicationID) })
	if errors.Is(err, kerr.GroupAuthorizationFailed) {
		return nil // examineRights says so
	}
	found := []Finding{{What: "group " + cfg.ApplicationID + " has no members but callstitch's", Err: cmp.Or(err, checkMembers(cfg, members))}}
	if loading(err) {
		return found
	}
	adm := kadm.NewClient(cl)
	committed, err := whenLoaded(ctx, func() (kadm.OffsetResponses, error) { return committedOffsets(ctx, cfg, adm) })
	what := "the offsets of group " + cfg.ApplicationID + " are callstitch's, and within their topics"
	agree := Finding{What: "no other configuration has application_id " + cfg.ApplicationID, Err: checkBeside(cfg, members)}
	if agree.Err == nil && err == nil {
		agree.Err = checkWorkedWith(cfg, committed)
	}
	found = append(found, agree)
	switch {
	case err == nil && untouched(cfg, committed):
		what = "group " + cfg.ApplicationID + " has no offsets yet; a run begins where start says: " + cfg.Start
	case err == nil:
		err = looked(ctx, cfg, checkCommitted(cfg, committed))
		err = errors.Join(err, examineOffsets(ctx, cfg, cl, committed))
	}
	return append(found, Finding{What: what, Err: err})
}

// examineOffsets compares the offsets of the group with the topics.
func examineOffsets(ctx context.Context, cfg *Config, cl *kgo.Client, committed kadm.OffsetResponses) error {
	adm := kadm.NewClient(cl)
	details, err := listVisible(ctx, adm, append(cfg.rawTopics(), cfg.ExchangeTopic(), cfg.ChangelogTopic())...)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	now := topics{raw: make(map[string]int32), ids: idsOf(details)}
	for _, topic := range cfg.rawTopics() {
		now.raw[topic] = int32(len(details[topic].Partitions))
	}
	if err := checkMade(cfg, now, committed); err != nil {
		return err
	}
	return errors.Join(checkOffsets(ctx, cfg, adm, committed), checkGone(ctx, cfg, cl, now))
}

// examineTopics compares each topic with what the topology needs. A missing one
// that a run would make is no fault.
func examineTopics(ctx context.Context, cfg *Config, adm *kadm.Client) (found []Finding) {
	specs := cfg.topicSpecs()
	var names []string
	for _, s := range specs {
		names = append(names, s.name)
	}
	names = append(names, cfg.rawTopics()...)
	details, err := listVisible(ctx, adm, names...)
	if err != nil {
		return []Finding{{What: "topics can be listed", Err: err}}
	}
	configs, err := topicConfigs(ctx, adm, names)
	if err != nil {
		return []Finding{{What: "topics can be described", Err: err}}
	}
	for _, topic := range cfg.rawTopics() {
		d := details[topic]
		if hidden(d) {
			continue // examineRights says so
		}
		f := Finding{What: fmt.Sprintf("source topic %s has %d partitions", topic, len(d.Partitions)), Err: errors.Join(checkSource(d, configs[topic])...)}
		if f.Err == nil {
			f.Advice = adviseSource(topic, configs[topic])
		}
		found = append(found, f)
	}
	for _, s := range specs {
		d := details[s.name]
		if hidden(d) {
			continue
		}
		if missing(s.name, d) != nil && len(d.Partitions) == 0 && !cfg.Output.NoCreate {
			_, err := tryCreateTopic(ctx, adm, s)
			found = append(found, Finding{What: "topic " + s.name + " is not there yet; a run makes it", Err: err})
			continue
		}
		found = append(found, Finding{What: "topic " + s.name + " is as the topology needs it", Err: errors.Join(s.compare(d, configs[s.name])...)})
	}
	return found
}

// examineClocks looks for what keeps source partitions from being read, and for
// transactions that readers wait behind.
func examineClocks(ctx context.Context, cfg *Config, cl *kgo.Client) []Finding {
	f := Finding{What: "every source partition can be read, and no open transaction holds up a reader"}
	clocks, err := readClocks(ctx, cfg, cl)
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed):
		return nil // the lines of the rights say so
	case err != nil:
		f.Err = err
		return []Finding{f}
	}
	var problems []error
	var dropped []string
	for _, s := range clocks.Sources {
		switch s.State {
		case SourceLeaderless, SourceSilent:
			problems = append(problems, fmt.Errorf("%s: %s, and it holds the clock of all: %s", s.TopicPartition, s.Why(), s.Remedy()))
		case SourceDropped:
			dropped = append(dropped, s.TopicPartition.String())
		}
	}
	for _, o := range clocks.Open {
		if !o.Hangs() && time.Now().Before(o.Ends) {
			continue // it ends by itself
		}
		problems = append(problems, fmt.Errorf("%s is read no further than %s: %s", o.TopicPartition, &o, o.Remedy()))
	}
	if c := clocks.Unknown; c != nil {
		problems = append(problems, fmt.Errorf("open transactions are not known: %w", c))
	}
	f.Err = errors.Join(problems...)
	if slices.Sort(dropped); len(dropped) > 0 {
		f.Advice = some(dropped) + " are dropped from the clock until they are read again; see callstitch clock"
	}
	return []Finding{f}
}
