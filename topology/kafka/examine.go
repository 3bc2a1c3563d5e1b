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

// Finding is one condition of a start, and why it does not hold, if it does not.
type Finding struct {
	What string // empty: there is only advice
	Err  error
	// Advice is what would be better, where the condition holds; mostly empty.
	Advice string
}

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

// loadingPause is between two questions to a coordinator that is still loading.
const loadingPause = 250 * time.Millisecond

// whenLoaded asks a group's coordinator until it is there, for attemptLimit: brokers that
// have just started are still making, or reading, the topic of the offsets. The client
// asks no second time when it is told so while it looks for the coordinator.
func whenLoaded[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	for begun := time.Now(); ; wait(ctx, loadingPause) {
		answer, err := ask()
		if !loading(err) || ctx.Err() != nil || time.Since(begun) > attemptLimit {
			return answer, err
		}
	}
}

func loading(err error) bool {
	return errors.Is(err, kerr.CoordinatorNotAvailable) || errors.Is(err, kerr.CoordinatorLoadInProgress) || errors.Is(err, kerr.NotCoordinator)
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
	case err == nil && len(committed) == 0:
		what = "group " + cfg.ApplicationID + " has no offsets yet; a run begins where start says: " + cfg.Start
	case err == nil && !untouched(cfg, committed):
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
