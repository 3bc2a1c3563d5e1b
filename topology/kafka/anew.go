package kafka

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

// A topic that is deleted and made anew has its old name, and nothing else. Offsets of
// the old one mean nothing in it (K42), and mostly there are none any more: the brokers
// delete them with the topic, and it looks like one that was just added (K41). Two rules
// keep it from being taken for the old one:
//
//   - Beside each offset stand the ids of the topics that it belongs to. Where one of
//     them has another id now, the run ends; while it goes on, ids are looked at every few
//     seconds, and before anything is read of what was assigned.
//   - A partition without an offset is read from its beginning only where the state knows
//     nothing of it.

// topicIDs are the ids of topics, by name (KIP-516).
type topicIDs map[string]kadm.TopicID

// idText is an id as the tools of Kafka show it.
func idText(id kadm.TopicID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

const (
	madeSign = "="
	// madeMax bounds the ids beside an offset. Brokers take 4,096 bytes of metadata.
	madeMax = 2_000
)

// made are the topics that an offset of a partition belongs to, as the metadata beside
// it has them: NAME=ID. To an exchange partition belongs the changelog; the sources
// stand there too, for as many as there is room, so that an error can name the old id of
// one whose own offsets went with it.
func (ids topicIDs) made(cfg *Config, topic string) string {
	names := []string{topic}
	if topic == cfg.ExchangeTopic() {
		names = append(names, cfg.ChangelogTopic())
		names = append(names, slices.Sorted(slices.Values(cfg.rawTopics()))...)
	}
	var words []string
	room := madeMax
	for _, name := range names {
		id, ok := ids[name]
		word := name + madeSign + idText(id)
		if room -= len(word) + 1; ok && room >= 0 {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// parseMade reads what made wrote, and passes over other words.
func parseMade(words string) topicIDs {
	ids := make(topicIDs)
	for word := range strings.FieldsSeq(words) {
		if name, id, ok := parseMadeWord(word); ok {
			ids[name] = id
		}
	}
	return ids
}

func parseMadeWord(word string) (name string, id kadm.TopicID, ok bool) {
	name, text, found := strings.Cut(word, madeSign)
	b, err := base64.RawURLEncoding.DecodeString(text)
	if !found || name == "" || err != nil || len(b) != len(id) {
		return "", id, false
	}
	return name, kadm.TopicID(b), true
}

// needs are the topics without which the offset of a partition of topic means nothing.
func (m metadata) needs(cfg *Config, topic string) topicIDs {
	ids := parseMade(m.made)
	maps.DeleteFunc(ids, func(name string, _ kadm.TopicID) bool {
		return name != topic && name != cfg.ChangelogTopic()
	})
	return ids
}

// idsOf are the ids that topics have now; those that are not there have none.
func idsOf(details kadm.TopicDetails) topicIDs {
	ids := make(topicIDs)
	for topic, d := range details {
		if d.Err == nil && d.ID != (kadm.TopicID{}) {
			ids[topic] = d.ID
		}
	}
	return ids
}

// checkIDs compares the ids that the sources and the internal topics had with those that
// they have.
func checkIDs(cfg *Config, had, have topicIDs) error {
	var problems []error
	for _, topic := range append(cfg.rawTopics(), cfg.ExchangeTopic(), cfg.ChangelogTopic()) {
		was, ok1 := had[topic]
		is, ok2 := have[topic]
		if !ok1 || !ok2 || was == is {
			continue
		}
		anew := fmt.Sprintf("%v: topic %s is another one than before: its id was %s and is %s: it was deleted and made anew", ErrLostOffsets, topic, idText(was), idText(is))
		if slices.Contains(cfg.rawTopics(), topic) {
			anew += fmt.Sprintf(", and what had not been read of the old one is gone; nothing was read of the new one: stop all instances, and say with 'callstitch seek %s PARTITION OFFSET' for each of its partitions where to go on; or reset the application with 'callstitch reset'", topic)
		} else {
			anew += ", and what it held is gone: reset the application with 'callstitch reset'"
		}
		problems = append(problems, lostOffsets(anew))
	}
	return errors.Join(problems...)
}

// lostOffsets is a failure of that kind which says so already.
type lostOffsets string

func (e lostOffsets) Error() string { return string(e) }
func (lostOffsets) Unwrap() error   { return ErrLostOffsets }

// checkMade compares the topics with those that the committed offsets belong to.
func checkMade(cfg *Config, found topics, committed kadm.OffsetResponses) error {
	had := make(topicIDs)
	for _, topic := range append(cfg.rawTopics(), cfg.ExchangeTopic()) {
		n, source := found.raw[topic]
		for p, o := range committed[topic] {
			m, err := parseMetadata(o.Metadata)
			if err != nil || source && p >= n {
				continue // who looks at the offset says so; or nobody will ever read there
			}
			for name, id := range m.needs(cfg, topic) {
				if id != found.ids[name] {
					had[name] = id
				}
			}
		}
	}
	return checkIDs(cfg, had, found.ids)
}

// sourcesBefore are the ids that the sources had when the state was last committed, as
// far as that is known.
func sourcesBefore(cfg *Config, committed kadm.OffsetResponses) topicIDs {
	had := make(topicIDs)
	for _, o := range committed[cfg.ExchangeTopic()] {
		if m, err := parseMetadata(o.Metadata); err == nil {
			for name, id := range parseMade(m.made) {
				had[name] = id
			}
		}
	}
	return had
}

// checkGone looks for partitions that were read and have no offset any more. It reads all
// of the state where there is one without, so ctx should allow for that.
func checkGone(ctx context.Context, cfg *Config, cl *kgo.Client, found topics) error {
	committed, err := committedOffsets(ctx, cfg, kadm.NewClient(cl))
	if err != nil || untouched(cfg, committed) {
		return err
	}
	for p := range cfg.ExchangePartitions { // all of them had one before the first member joined
		if o, ok := committed.Lookup(cfg.ExchangeTopic(), p); !ok || o.At < 0 {
			return lostOffsets(fmt.Sprintf("%v: group %s has no offset for %s-%d: it was deleted, or its topic was deleted and made anew, and what it held is gone: reset the application with 'callstitch reset'",
				ErrLostOffsets, cfg.ApplicationID, cfg.ExchangeTopic(), p))
		}
	}
	without := make(map[topology.TopicPartition]stable)
	for topic, n := range found.raw {
		for p := range n {
			if o, ok := committed.Lookup(topic, p); !ok || o.At < 0 {
				without[topology.TopicPartition{Topic: topic, Partition: p}] = stable{}
			}
		}
	}
	if len(without) == 0 {
		return nil
	}
	cfg.Log.Info("there are source partitions without an offset; looking in the state for whether they were read", "partitions", len(without))
	h, err := history(ctx, cfg, !onlyState)
	if err != nil {
		return fmt.Errorf("look in %s and %s for source partitions without an offset: %w", cfg.ChangelogTopic(), cfg.ExchangeTopic(), err)
	}
	// Another instance may have begun with them meanwhile.
	begun, err := stableOffsets(ctx, cl, cfg.ApplicationID, without)
	if err != nil {
		return err
	}
	gone := make(map[string][]topology.Progress)
	for tp := range without {
		if o, ok := begun[tp]; ok && o.offset >= 0 {
			continue
		}
		if read, ok := h.Of(tp); ok {
			gone[tp.Topic] = append(gone[tp.Topic], read)
		}
	}
	var smaller error
	for topic, n := range found.raw {
		smaller = errors.Join(smaller, checkPartitions(h, topic, n))
	}
	return errors.Join(offsetsGone(cfg, gone, sourcesBefore(cfg, committed), found.ids), smaller)
}

// checkPartitions holds that a source has all the partitions that it had: clocks would wait
// for ever for one that is not there.
func checkPartitions(h *topology.History, topic string, n int32) error {
	had := h.Partitions(topic)
	if had <= n {
		return nil
	}
	return lostOffsets(fmt.Sprintf("%v: topic %s has %d partitions, and had %d, for which the clocks would wait: it was made anew; give it as many (kafka-topics.sh --alter --partitions %d), or reset the application with 'callstitch reset'",
		ErrLostOffsets, topic, n, had, had))
}

// offsetsGone says of which partitions there are no offsets any more, and why, as far as
// the ids of their topics tell.
func offsetsGone(cfg *Config, gone map[string][]topology.Progress, had, have topicIDs) error {
	var problems []error
	for _, topic := range cfg.rawTopics() {
		if len(gone[topic]) == 0 {
			continue
		}
		slices.SortFunc(gone[topic], func(a, b topology.Progress) int { return a.Source.Compare(b.Source) })
		var parts []string
		for _, p := range gone[topic] {
			parts = append(parts, fmt.Sprintf("%s, which was read to %d", p.Source, p.Offset))
		}
		was, known := had[topic]
		why := "they were deleted, or expired (offsets.retention.minutes), or the topic was deleted and made anew"
		switch is := have[topic]; {
		case known && was != is:
			why = fmt.Sprintf("the topic was deleted and made anew (its id was %s and is %s), and what had not been read of the old one is gone; nothing was read of the new one", idText(was), idText(is))
		case known:
			why = "the topic is the same, so they were deleted, or expired (offsets.retention.minutes)"
		}
		problems = append(problems, lostOffsets(fmt.Sprintf("%v: group %s has no offset any more for %s: %s: say with 'callstitch seek' for each of them where to go on, or reset the application with 'callstitch reset'",
			ErrLostOffsets, cfg.ApplicationID, strings.Join(parts, "; "), why)))
	}
	return errors.Join(problems...)
}
