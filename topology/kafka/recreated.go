package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// goneLooks is how many looks in a row must not find a source. A broker that has just
// come up may not know it yet; one that was deleted does not come back.
const goneLooks = 3

// sameTopics watches that the topics of a run stay those that it began with.
type sameTopics struct {
	cfg  *Config
	ids  topicIDs
	gone map[string]int // looks in a row that did not find a source

	partitions map[string]int32 // of what the group shares out, as of the last look
}

// look is one look. Missing names a source that is not there, and may still be a broker's
// ignorance; only what ends the run is an error.
func (s *sameTopics) look(ctx context.Context, adm *kadm.Client) (missing string, err error) {
	details, err := adm.ListTopics(ctx, append(s.cfg.rawTopics(), s.cfg.ExchangeTopic(), s.cfg.ChangelogTopic())...)
	if err != nil {
		return "", nil
	}
	if err := checkIDs(s.cfg, s.ids, idsOf(details)); err != nil {
		return "", err
	}
	s.partitions = make(map[string]int32)
	for _, topic := range append(s.cfg.rawTopics(), s.cfg.ExchangeTopic()) {
		if d, ok := details[topic]; ok && d.Err == nil {
			s.partitions[topic] = int32(len(d.Partitions))
		}
	}
	for _, topic := range s.cfg.rawTopics() {
		if d, ok := details[topic]; !ok || !errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
			delete(s.gone, topic)
			continue
		}
		missing = topic
		if s.gone[topic]++; s.gone[topic] >= goneLooks {
			return "", mismatch(topic, "does not exist any more: it was deleted, and what had not been read of it is gone: take it out of the sources; or make it anew, and say with 'callstitch seek' for each of its partitions where to go on")
		}
	}
	return missing, nil
}

// checkAssigned compares topics of which partitions were assigned with those that the
// run began with, before anything of them is read. The client has the ids of before that,
// and does not read under another one.
func (s *session) checkAssigned(ctx context.Context, names []string) error {
	if slices.Contains(names, s.cfg.ExchangeTopic()) {
		names = append(names, s.cfg.ChangelogTopic())
	}
	details, err := kadm.NewClient(s.cl).ListTopics(ctx, names...)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	return checkIDs(s.cfg, s.topics.ids, idsOf(details))
}

// recreated tells what it is that the client reads or writes under an id which no broker
// knows: a topic that was made anew ends the run, and any other is waited for.
func (s *session) recreated(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptLimit)
	defer cancel()
	var names []string
	for name := range s.topics.ids {
		names = append(names, name)
	}
	details, err := kadm.NewClient(s.cl).ListTopics(ctx, names...)
	if err != nil {
		return cause
	}
	have := idsOf(details)
	if err := checkIDs(s.cfg, s.topics.ids, have); err != nil {
		return err
	}
	for name, id := range have { // only outputs are left: that is the operator's act, and the next session goes on in the new one
		if id != s.topics.ids[name] {
			s.log.Warn("an output topic was deleted and made anew; what it held is gone", "topic", name)
		}
	}
	return cause
}
