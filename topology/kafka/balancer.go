package kafka

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology"
)

// balancerName is the protocol that all members of a group must share (K23).
// It changes whenever the plan of equal members would.
const balancerName = "callstitch-cooperative"

// balancer spreads each kind of task evenly over the members: cooperative-sticky
// balances only the sum, and one member could hold every stitch task. It moves
// as few partitions as evenness allows, and moves them in the two phases of
// cooperative rebalancing, so that nothing that stays put ever stops.
type balancer struct {
	exchange string // the topic whose partitions are a kind of their own
	says     []byte // what this member tells of its configuration when it joins
}

var (
	_ kgo.GroupBalancer           = balancer{}
	_ kgo.ConsumerBalancerBalance = balancer{}
)

func (balancer) ProtocolName() string { return balancerName }

func (balancer) IsCooperative() bool { return true }

// JoinGroupMetadata tells the leader what this member owns and since when.
func (b balancer) JoinGroupMetadata(topics []string, owned map[string][]int32, generation int32) []byte {
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version = 3
	meta.Topics = topics
	meta.UserData = b.says
	meta.Generation = generation
	for topic, partitions := range owned {
		o := kmsg.NewConsumerMemberMetadataOwnedPartition()
		o.Topic, o.Partitions = topic, partitions
		meta.OwnedPartitions = append(meta.OwnedPartitions, o)
	}
	slices.SortFunc(meta.OwnedPartitions, func(a, b kmsg.ConsumerMemberMetadataOwnedPartition) int {
		return cmp.Compare(a.Topic, b.Topic)
	})
	return meta.AppendTo(nil)
}

func (balancer) ParseSyncAssignment(assignment []byte) (map[string][]int32, error) {
	return kgo.ParseConsumerSyncAssignment(assignment)
}

func (b balancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	cb, err := kgo.NewConsumerBalancer(b, members)
	return cb, cb.MemberTopics(), err
}

// Balance plans for the group and takes back, for this round, what another
// member still holds: that member revokes it, rejoins, and the next round hands
// it over.
func (b balancer) Balance(cb *kgo.ConsumerBalancer, counts map[string]int32) kgo.IntoSyncAssignment {
	members := make([]*member, 0, len(cb.Members()))
	cb.EachMember(func(m *kmsg.JoinGroupResponseMember, meta *kmsg.ConsumerMemberMetadata) {
		members = append(members, &member{topics: meta.Topics, owned: ownedBy(meta), generation: meta.Generation})
	})
	var sources []string
	for topic := range counts {
		if topic != b.exchange {
			sources = append(sources, topic)
		}
	}
	for _, k := range append(alike(members, sources), alike(members, []string{b.exchange})...) {
		spread(k.members, partitionsOf(counts, k.topics))
	}

	plan := cb.NewPlan()
	for i, m := range members {
		to, _ := cb.MemberAt(i)
		for _, tp := range m.planned {
			plan.AddPartition(to, tp.Topic, tp.Partition)
		}
	}
	plan.AdjustCooperative(cb)
	return plan
}

// member is a group member while the leader plans.
type member struct {
	topics     []string // that it knows
	owned      map[topology.TopicPartition]bool
	generation int32 // in which it came to own them; a lower one is out of date
	planned    []topology.TopicPartition
}

func ownedBy(meta *kmsg.ConsumerMemberMetadata) map[topology.TopicPartition]bool {
	owned := make(map[topology.TopicPartition]bool)
	for _, t := range meta.OwnedPartitions {
		for _, p := range t.Partitions {
			owned[topology.TopicPartition{Topic: t.Topic, Partition: p}] = true
		}
	}
	return owned
}

// kind is topics that the same members know.
type kind struct {
	topics  []string
	members []*member
}

// alike groups topics by who knows them, those that few know first: while a change of
// the sources goes from instance to instance, some know what others do not, and nobody
// can be given a partition of a topic that it does not know (K33). Where all members are
// equal, that is one kind.
func alike(members []*member, topics []string) (kinds []kind) {
	slices.Sort(topics)
	for _, topic := range topics {
		var who []*member
		for _, m := range members {
			if slices.Contains(m.topics, topic) {
				who = append(who, m)
			}
		}
		i := slices.IndexFunc(kinds, func(k kind) bool { return slices.Equal(k.members, who) })
		if i < 0 {
			i, kinds = len(kinds), append(kinds, kind{members: who})
		}
		kinds[i].topics = append(kinds[i].topics, topic)
	}
	slices.SortStableFunc(kinds, func(a, b kind) int { return cmp.Compare(len(a.members), len(b.members)) })
	return kinds
}

// partitionsOf lists the partitions of some topics, sorted.
func partitionsOf(counts map[string]int32, topics []string) []topology.TopicPartition {
	var all []topology.TopicPartition
	for _, topic := range topics {
		for p := range counts[topic] {
			all = append(all, topology.TopicPartition{Topic: topic, Partition: p})
		}
	}
	slices.SortFunc(all, topology.TopicPartition.Compare)
	return all
}

// spread plans the partitions of one kind: each member gets ⌊n/m⌋ or one more,
// keeps what it owns up to that, and the ones with one more are those that own
// most, then those with the least planned of other kinds. Calling it for one kind
// after the other keeps the sum even too.
func spread(members []*member, partitions []topology.TopicPartition) {
	if len(members) == 0 {
		return
	}
	held := make([][]topology.TopicPartition, len(members))
	var free []topology.TopicPartition
	for _, tp := range partitions {
		if i, ok := ownerOf(members, tp); ok {
			held[i] = append(held[i], tp)
		} else {
			free = append(free, tp)
		}
	}
	quota := quotas(members, held, len(partitions))
	for i := range members {
		keep := min(len(held[i]), quota[i])
		members[i].planned = append(members[i].planned, held[i][:keep]...)
		free = append(free, held[i][keep:]...)
		quota[i] -= keep
	}
	slices.SortFunc(free, topology.TopicPartition.Compare)
	for i := range members {
		members[i].planned = append(members[i].planned, free[:quota[i]]...)
		free = free[quota[i]:]
	}
}

// ownerOf is the member with the newest claim to a partition.
func ownerOf(members []*member, tp topology.TopicPartition) (int, bool) {
	owner, ok := 0, false
	for i, m := range members {
		if m.owned[tp] && (!ok || m.generation > members[owner].generation) {
			owner, ok = i, true
		}
	}
	return owner, ok
}

func quotas(members []*member, held [][]topology.TopicPartition, n int) []int {
	order := make([]int, len(members))
	quota := make([]int, len(members))
	for i := range members {
		order[i] = i
		quota[i] = n / len(members)
	}
	floor := n / len(members)
	slices.SortStableFunc(order, func(a, b int) int {
		// A member that owns more than the floor keeps one more without a move.
		extra := func(i int) int { return min(len(held[i]), floor+1) }
		return cmp.Or(
			cmp.Compare(extra(b), extra(a)),
			cmp.Compare(len(members[a].planned), len(members[b].planned)),
		)
	})
	for _, i := range order[:n%len(members)] {
		quota[i]++
	}
	return quota
}
