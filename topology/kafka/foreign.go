package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology"
)

// A group is a name, and anybody may use it: a consumer that was given ours takes
// partitions, and what it commits is where the next owner goes on (K31). Two rules
// keep that from losing records without a word:
//
//   - an offset that callstitch did not commit is never taken up, wherever it is met:
//     at the start, at an assignment, and every few seconds while running;
//   - a group with a member that is not callstitch's is not joined, and is left.

// foreignOffsets is the failure that somebody else committed offsets of our group.
type foreignOffsets struct {
	group string
	at    map[topology.TopicPartition]int64
	// read is how far callstitch had come, as far as its state tells; nil before that
	// was looked up.
	read *topology.History
}

// committedBy is the failure to read the metadata of a committed offset.
func committedBy(err error, group string, tp topology.TopicPartition, offset int64) error {
	if errors.Is(err, errForeign) {
		return &foreignOffsets{group: group, at: map[topology.TopicPartition]int64{tp: offset}}
	}
	return fmt.Errorf("%s: %w", tp, err)
}

func (f *foreignOffsets) Unwrap() []error { return []error{ErrLostOffsets, errForeign} }

func (f *foreignOffsets) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: callstitch did not commit all offsets of group %s:", ErrLostOffsets, f.group)
	for i, tp := range slices.SortedFunc(maps.Keys(f.at), topology.TopicPartition.Compare) {
		if i > 0 {
			b.WriteString(";")
		}
		fmt.Fprintf(&b, " %s stands at %d", tp, f.at[tp])
		if f.read == nil {
			continue
		}
		if read, ok := f.read.Of(tp); ok {
			b.WriteString(", " + between(read.Offset, f.at[tp]))
		}
	}
	b.WriteString(": a consumer with this group.id, or a tool, did; give each consumer a group of its own, then reset the application with 'callstitch reset', or say with 'callstitch seek' where to go on")
	return b.String()
}

// between says what is probably between where callstitch was and where it would go on.
func between(read, at int64) string {
	switch {
	case at > read:
		return fmt.Sprintf("and callstitch had read to %d or further: the records in between, up to %d, would never come", read, at-read)
	case at < read:
		return fmt.Sprintf("and callstitch had read to %d: %d records would come again", read, read-at)
	}
	return fmt.Sprintf("and callstitch had read to %d or further", read)
}

// looked adds to an error about foreign offsets how far callstitch itself had come.
func looked(ctx context.Context, cfg *Config, err error) error {
	var foreign *foreignOffsets
	if !errors.As(err, &foreign) || foreign.read != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptLimit)
	defer cancel()
	if read, failed := history(ctx, cfg, onlyState); failed == nil {
		foreign.read = read
	}
	return err
}

// onlyState has history leave the exchange out: it is then behind by what was not
// processed yet.
const onlyState = true

// history is how far each source partition was read.
func history(ctx context.Context, cfg *Config, onlyState bool) (*topology.History, error) {
	h := topology.NewHistory()
	read := func(topic string, take func(topology.Record)) error {
		all := TailConfig{Brokers: cfg.Brokers, Client: cfg.Client, Topic: topic, From: "earliest"}
		err := Tail(ctx, all, func(r topology.Record) error { take(r); return nil })
		return cmp.Or(err, ctx.Err())
	}
	if err := read(cfg.ChangelogTopic(), h.Changelog); err != nil || onlyState {
		return h, err
	}
	return h, read(cfg.ExchangeTopic(), h.Exchange)
}

// checkCommitted compares the committed offsets of our topics with who committed them.
func checkCommitted(cfg *Config, committed kadm.OffsetResponses) error {
	foreign := &foreignOffsets{group: cfg.ApplicationID, at: make(map[topology.TopicPartition]int64)}
	var others []error
	for _, topic := range append(cfg.rawTopics(), cfg.ExchangeTopic()) {
		for p, o := range committed[topic] {
			tp := topology.TopicPartition{Topic: topic, Partition: p}
			switch _, err := parseCommitted(o.At, o.Metadata); {
			case o.Err != nil, err == nil:
			case errors.Is(err, errForeign):
				foreign.at[tp] = o.At
			default:
				others = append(others, committedBy(err, cfg.ApplicationID, tp, o.At))
			}
		}
	}
	if len(foreign.at) > 0 {
		others = append(others, foreign)
	}
	return errors.Join(others...)
}

// checkGroup looks for somebody else in the group, and for what he left. It returns who
// is in it.
func checkGroup(ctx context.Context, cfg *Config, cl *kgo.Client) ([]groupMember, error) {
	members, err := groupMembers(ctx, cl, cfg.ApplicationID)
	if err != nil {
		return nil, err
	}
	if err := checkMembers(cfg, members); err != nil {
		return nil, err
	}
	committed, err := committedOffsets(ctx, cfg, kadm.NewClient(cl))
	if err != nil {
		return nil, err
	}
	return members, checkCommitted(cfg, committed)
}

// checkMembers holds that every member is an instance of callstitch.
func checkMembers(cfg *Config, members []groupMember) error {
	var strangers []string
	for _, m := range members {
		if !m.ours(cfg.ApplicationID) {
			strangers = append(strangers, fmt.Sprintf("%s at %s", cmp.Or(m.client, m.id), m.host))
		}
	}
	if len(strangers) == 0 {
		return nil
	}
	slices.Sort(strangers)
	return fmt.Errorf("%w: group %s has members that are not callstitch's: %s: they would take records away; stop them, or give them a group of their own",
		ErrLostOffsets, cfg.ApplicationID, strings.Join(strangers, ", "))
}

// groupMember is a member of a group, as the brokers describe it.
type groupMember struct {
	id, instance, client, host string
	topics                     []string           // that it reads; nil where the brokers did not say
	owns                       map[string][]int32 // what the group gave it, where the brokers say
	outputs                    string             // hash of the topics that it publishes to; empty where it did not say
	numbers                    string             // how it shows numbers, as a number.Form is written; empty where it did not say
}

// ours reports whether a member is an instance of callstitch: the name of a worker is
// its client id too, in every version.
func (m groupMember) ours(application string) bool {
	return m.instance != "" && m.instance == m.client && strings.HasPrefix(m.client, application+"-")
}

// groupMembers are the members of a group of either protocol; none where there is no
// such group. One of the new protocol (KIP-848) is none to the request of the old.
func groupMembers(ctx context.Context, cl *kgo.Client, group string) ([]groupMember, error) {
	members, err := classicMembers(ctx, cl, group)
	if errors.Is(err, kerr.GroupIDNotFound) || err == nil && len(members) == 0 {
		members, err = consumerMembers(ctx, cl, group)
	}
	if err != nil {
		return nil, fmt.Errorf("describe group %s: %w", group, err)
	}
	return members, nil
}

func classicMembers(ctx context.Context, cl *kgo.Client, group string) (members []groupMember, err error) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{group}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			return nil, err
		}
		for _, m := range g.Members {
			member := groupMember{id: m.MemberID, instance: text(m.InstanceID), client: m.ClientID, host: m.ClientHost}
			var meta kmsg.ConsumerMemberMetadata
			if len(m.ProtocolMetadata) > 0 && meta.ReadFrom(m.ProtocolMetadata) == nil {
				member.topics = meta.Topics
				member.outputs, member.numbers = heard(meta.UserData)
			}
			if owns, err := kgo.ParseConsumerSyncAssignment(m.MemberAssignment); err == nil {
				member.owns = owns
			}
			members = append(members, member)
		}
	}
	return members, nil
}

func consumerMembers(ctx context.Context, cl *kgo.Client, group string) (members []groupMember, err error) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{group}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	for _, g := range resp.Groups {
		switch err := kerr.ErrorForCode(g.ErrorCode); {
		case errors.Is(err, kerr.GroupIDNotFound), errors.Is(err, kerr.UnsupportedVersion): // the new protocol may be switched off
		case errors.Is(err, kerr.TopicAuthorizationFailed): // none of our topics
			members = append(members, groupMember{client: "a consumer of topics that this user may not see"})
		case err != nil:
			return nil, err
		}
		for _, m := range g.Members {
			members = append(members, groupMember{
				id: m.MemberID, instance: text(m.InstanceID), client: m.ClientID, host: m.ClientHost, topics: m.SubscribedTopics,
			})
		}
	}
	return members, nil
}
