package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology"
)

// prepareOffsets makes sure that every source and exchange partition has a
// committed offset before the first member joins, and that the committed offsets
// are callstitch's (K31) and belong to what is in the topics. Offsets that are gone
// while state is there would replay or skip records, so they stop the run (K15).
func prepareOffsets(ctx context.Context, cfg *Config, adm *kadm.Client, found topics) error {
	err := takeUpOffsets(ctx, cfg, adm, found)
	if errors.Is(err, errFaster) || errors.Is(err, ErrLostOffsets) {
		// Another instance may have begun, or gone on, between two looks of ours: it joins
		// with the offsets that it seeded. What is lost is so at a second try, too.
		err = takeUpOffsets(ctx, cfg, adm, found)
	}
	return err
}

// errFaster is another instance that began the group meanwhile.
var errFaster = errors.New("another instance has just begun")

func takeUpOffsets(ctx context.Context, cfg *Config, adm *kadm.Client, found topics) error {
	committed, err := committedOffsets(ctx, cfg, adm)
	if err != nil {
		return err
	}
	if err := checkWorkedWith(cfg, committed); err != nil {
		return err
	}
	if untouched(cfg, committed) {
		if err := requireNoState(ctx, cfg, adm); err != nil {
			return err
		}
		return seedOffsets(ctx, cfg, adm, committed, found)
	}
	if err := cmp.Or(checkCommitted(cfg, committed), checkMade(cfg, found, committed)); err != nil {
		return err
	}
	return checkOffsets(ctx, cfg, adm, committed)
}

// committedOffsets are those of the group. Not the stable ones: what a crash left
// pending would be waited for here, before the worker that can end it has begun.
func committedOffsets(ctx context.Context, cfg *Config, adm *kadm.Client) (kadm.OffsetResponses, error) {
	committed, err := adm.FetchOffsets(ctx, cfg.ApplicationID)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("fetch the offsets of group %s: %w", cfg.ApplicationID, err)
	}
	return committed, nil
}

// untouched reports whether a group was never worked with: it has no offsets, or none of a
// source and of the exchange only what a reset has left there, which says from which
// generation on the group is worked with next; or only those that the first version seeded,
// with nothing beside them. That one began with all partitions of the exchange at once, and
// its workers wrote metadata within a second; nobody else commits for the exchange.
func untouched(cfg *Config, committed kadm.OffsetResponses) bool {
	bare := 0
	for _, topic := range append(cfg.rawTopics(), cfg.ExchangeTopic()) {
		for _, o := range committed[topic] {
			switch {
			case topic == cfg.ExchangeTopic() && isMark(o):
			case o.Metadata != "":
				return false
			default:
				bare++
			}
		}
	}
	return bare == 0 || len(committed[cfg.ExchangeTopic()]) == int(cfg.ExchangePartitions)
}

// isMark reports whether an offset of the exchange is one to begin at, which nobody has
// owned yet.
func isMark(o kadm.OffsetResponse) bool {
	m, err := parseCommitted(o.At, o.Metadata)
	return err == nil && m.owner == "" && m.outputs.hash != ""
}

// checkOffsets compares committed offsets with what the partitions still hold.
func checkOffsets(ctx context.Context, cfg *Config, adm *kadm.Client, committed kadm.OffsetResponses) error {
	topics := append(cfg.rawTopics(), cfg.ExchangeTopic())
	starts, err := adm.ListStartOffsets(ctx, topics...)
	if err := unlessSome(err); err != nil {
		return fmt.Errorf("list the first offsets of %v: %w", topics, err)
	}
	ends, err := adm.ListEndOffsets(ctx, topics...)
	if err := unlessSome(err); err != nil {
		return fmt.Errorf("list the end offsets of %v: %w", topics, err)
	}
	var problems []error
	for _, topic := range topics {
		for p, o := range committed[topic] {
			start, ok1 := starts.Lookup(topic, p)
			end, ok2 := ends.Lookup(topic, p)
			switch {
			case !ok1 || !ok2 || o.Err != nil || start.Err != nil || end.Err != nil:
			case o.At < start.Offset:
				problems = append(problems, fmt.Errorf(
					"%w: %s-%d was read to offset %d but now begins at %d: %d records are gone; raise the topic's retention, then reset the application with 'callstitch reset', or move the offset forward with 'callstitch seek', which accepts the gap",
					ErrLostOffsets, topic, p, o.At, start.Offset, start.Offset-o.At))
			case o.At > end.Offset:
				problems = append(problems, fmt.Errorf(
					"%w: %s-%d was read to offset %d but now ends at %d: the topic was truncated or made anew; reset the application with 'callstitch reset'",
					ErrLostOffsets, topic, p, o.At, end.Offset))
			}
		}
	}
	return errors.Join(problems...)
}

// unlessSome is the failure to ask about partitions, unless some were answered: a partition
// without a leader, which may be so for good, must not keep the others from being read.
func unlessSome(err error) error {
	if some, ok := errors.AsType[*kadm.ShardErrors](err); ok && !some.AllFailed {
		return nil
	}
	return err
}

// requireNoState holds that there is nothing which an application without offsets would
// take for its own: state, or events that earlier tasks have sent each other.
func requireNoState(ctx context.Context, cfg *Config, adm *kadm.Client) error {
	internal := []string{cfg.ChangelogTopic(), cfg.ExchangeTopic()}
	starts, err := adm.ListStartOffsets(ctx, internal...)
	if err != nil {
		return fmt.Errorf("list the first offsets of %v: %w", internal, err)
	}
	ends, err := adm.ListEndOffsets(ctx, internal...)
	if err != nil {
		return fmt.Errorf("list the end offsets of %v: %w", internal, err)
	}
	for _, topic := range internal {
		for _, end := range ends[topic] {
			start, _ := starts.Lookup(topic, end.Partition)
			if end.Err == nil && end.Offset > start.Offset {
				return fmt.Errorf("%w: group %s has no offsets, but %s holds state: they expired, or were deleted, or a reset was not finished; reset the application with 'callstitch reset'",
					ErrLostOffsets, cfg.ApplicationID, topic)
			}
		}
	}
	return nil
}

// seedOffsets commits the offsets to begin at. From then on a partition without
// an offset is one that was added later, and is read from its beginning. A crash
// right after it changes nothing: the next start finds the same offsets. Where some
// were seeded before, none of them is passed over.
func seedOffsets(ctx context.Context, cfg *Config, adm *kadm.Client, before kadm.OffsetResponses, found topics) error {
	begin, err := startOffsets(ctx, cfg, adm)
	if err != nil {
		return fmt.Errorf("find where to begin (%s): %w", cfg.Start, err)
	}
	exchange, err := adm.ListStartOffsets(ctx, cfg.ExchangeTopic())
	if err == nil {
		err = exchange.Error()
	}
	if err != nil {
		return fmt.Errorf("list the first offsets of %s: %w", cfg.ExchangeTopic(), err)
	}
	offsets := make(kadm.Offsets)
	seed := func(o kadm.Offset) {
		if old, ok := before.Lookup(o.Topic, o.Partition); ok {
			o.At = min(o.At, old.At)
		}
		m := seeded(cfg, topology.TopicPartition{Topic: o.Topic, Partition: o.Partition}, o.At)
		m.made = found.made[o.Topic]
		o.Metadata = m.String()
		offsets.Add(o)
	}
	begin.Offsets().Each(seed)
	exchange.Offsets().Each(seed)
	err = adm.CommitAllOffsets(ctx, cfg.ApplicationID, offsets)
	if errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.IllegalGeneration) {
		return fmt.Errorf("group %s: %w: %w", cfg.ApplicationID, errFaster, err)
	}
	if err != nil {
		return fmt.Errorf("commit where to begin to group %s: %w", cfg.ApplicationID, err)
	}
	return nil
}

// seeded is what is written beside the first offset of a partition.
func seeded(cfg *Config, tp topology.TopicPartition, at int64) metadata {
	m := metadata{at: at}
	if tp.Topic == cfg.ExchangeTopic() {
		m.outputs = cfg.outputs()
	} else {
		m.task = topology.NewDecodeTask(&cfg.Config, cfg.SourceOf(tp.Topic), tp.Partition).Metadata()
	}
	return m
}

func startOffsets(ctx context.Context, cfg *Config, adm *kadm.Client) (kadm.ListedOffsets, error) {
	begin, err := listStart(ctx, cfg, adm)
	if err != nil {
		return nil, err
	}
	return begin, begin.Error()
}

// listStart are the offsets that Start means, each with its own error.
func listStart(ctx context.Context, cfg *Config, adm *kadm.Client) (kadm.ListedOffsets, error) {
	switch cfg.Start {
	case "earliest":
		return adm.ListStartOffsets(ctx, cfg.rawTopics()...)
	case "latest":
		return adm.ListEndOffsets(ctx, cfg.rawTopics()...)
	}
	at, _ := cfg.startTime() // was parsed by validate
	return adm.ListOffsetsAfterMilli(ctx, at.UnixMilli(), cfg.rawTopics()...)
}

// stable is a committed offset with its metadata. Timers change state without
// moving an offset, but they move the changelog end in the metadata.
type stable struct {
	offset   int64
	metadata string
}

// stableOffsets are the group's committed offsets of some partitions, once no
// transaction on them is pending. Others' transactions are pending all the time.
func stableOffsets(ctx context.Context, cl *kgo.Client, group string, of map[topology.TopicPartition]stable) (map[topology.TopicPartition]stable, error) {
	const again = 100 * time.Millisecond
	for {
		offsets, err := fetchStable(ctx, cl, group, of)
		if !errors.Is(err, kerr.UnstableOffsetCommit) {
			return offsets, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(again): // a transaction ends, or times out
		}
	}
}

func fetchStable(ctx context.Context, cl *kgo.Client, group string, of map[topology.TopicPartition]stable) (map[topology.TopicPartition]stable, error) {
	const onlyStable = true
	resp, err := fetchOffsets(ctx, cl, group, onlyStable)
	if err != nil {
		return nil, fmt.Errorf("fetch stable offsets: %w", err)
	}
	offsets := make(map[topology.TopicPartition]stable)
	for tp, p := range partitionsIn(resp) {
		if _, ok := of[tp]; !ok {
			continue
		}
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			return nil, fmt.Errorf("fetch the stable offset of %s-%d: %w", tp.Topic, tp.Partition, err)
		}
		offsets[tp] = stable{p.Offset, text(p.Metadata)}
	}
	return offsets, nil
}

// fetchOffsets asks for all that the group has committed. What is pending is not
// in the answer; where only stable offsets are wanted, it is an error of its
// partition.
func fetchOffsets(ctx context.Context, cl *kgo.Client, group string, onlyStable bool) (*kmsg.OffsetFetchResponse, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = onlyStable
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	req.Groups = append(req.Groups, g)
	return req.RequestWith(ctx, cl)
}

// partitionsIn goes through an answer to a fetch of offsets.
func partitionsIn(resp *kmsg.OffsetFetchResponse) iter.Seq2[topology.TopicPartition, kmsg.OffsetFetchResponseGroupTopicPartition] {
	return func(yield func(topology.TopicPartition, kmsg.OffsetFetchResponseGroupTopicPartition) bool) {
		for _, g := range resp.Groups {
			for _, t := range g.Topics {
				for _, p := range t.Partitions {
					if !yield(topology.TopicPartition{Topic: t.Topic, Partition: p.Partition}, p) {
						return
					}
				}
			}
		}
	}
}

// offsetsPartition is the partition of the brokers' topic that has the offsets of a group.
func offsetsPartition(ctx context.Context, cl *kgo.Client, group string) (topology.TopicPartition, error) {
	const topic = "__consumer_offsets"
	details, err := kadm.NewClient(cl).ListTopics(ctx, topic)
	if err == nil {
		err = details[topic].Err
	}
	n := int32(len(details[topic].Partitions))
	if err == nil && n == 0 {
		err = kerr.UnknownTopicOrPartition
	}
	if err != nil {
		return topology.TopicPartition{}, fmt.Errorf("list topic %s: %w", topic, err)
	}
	return topology.TopicPartition{Topic: topic, Partition: coordinated(group, n)}, nil
}

// coordinated is the partition that a group's coordinator leads: by the hash that Java has
// of a string.
func coordinated(group string, partitions int32) int32 {
	var hash int32
	for _, unit := range utf16.Encode([]rune(group)) {
		hash = 31*hash + int32(unit)
	}
	if hash == math.MinInt32 {
		return 0
	}
	return max(hash, -hash) % partitions
}

// listOffsets asks for one kind of offset of some partitions: kadm asks for
// whole topics, which is more than a worker owns. Partitions that failed are
// absent: their leader is moving, or away, and the next time will tell. One without a
// leader fails by itself, and what is known of the others is told (K56).
func listOffsets(ctx context.Context, cl *kgo.Client, of []topology.TopicPartition, timestamp int64) (map[topology.TopicPartition]kmsg.ListOffsetsResponseTopicPartition, error) {
	return listOffsetsFor(ctx, cl, of, timestamp, readUncommitted)
}

// The isolation of readers, for whom ends are asked.
const (
	readUncommitted = 0 // the high watermark
	readCommitted   = 1 // the last stable offset
)

func listOffsetsFor(ctx context.Context, cl *kgo.Client, of []topology.TopicPartition, timestamp int64, isolation int8) (map[topology.TopicPartition]kmsg.ListOffsetsResponseTopicPartition, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, isolation
	byTopic := make(map[string]int)
	for _, tp := range of {
		i, ok := byTopic[tp.Topic]
		if !ok {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = tp.Topic
			i = len(req.Topics)
			byTopic[tp.Topic] = i
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = tp.Partition, timestamp
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	found := make(map[topology.TopicPartition]kmsg.ListOffsetsResponseTopicPartition, len(of))
	var failed error
	answered := false
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			failed = cmp.Or(failed, shard.Err)
			continue
		}
		answered = true
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 {
					found[topology.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = p
				}
			}
		}
	}
	if !answered {
		return nil, failed
	}
	return found, nil
}

// The special timestamps of ListOffsets.
const (
	startOffset  = -2
	endOffset    = -1 // the high watermark, as the isolation is read_uncommitted
	maxTimestamp = -3 // the record with the largest timestamp (KIP-734)
)

// exchangeEnds are the high watermarks of all exchange partitions: what the last
// owner sent lies below them, committed or not.
func exchangeEnds(ctx context.Context, cl *kgo.Client, cfg *Config) ([]int64, error) {
	topic := cfg.ExchangeTopic()
	all := make([]topology.TopicPartition, cfg.ExchangePartitions)
	for p := range all {
		all[p] = topology.TopicPartition{Topic: topic, Partition: int32(p)}
	}
	found, err := listOffsets(ctx, cl, all, endOffset)
	if err == nil && len(found) < len(all) {
		err = kerr.LeaderNotAvailable
	}
	if err != nil {
		return nil, fmt.Errorf("list end offsets of %s: %w", topic, err)
	}
	ends := make([]int64, len(all))
	for p, tp := range all {
		ends[p] = found[tp].Offset
	}
	return ends, nil
}
