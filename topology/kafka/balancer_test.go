package kafka

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"callstitch/topology"
)

const testExchange = "app-exchange-repartition"

// group is a consumer group without a broker: each round joins all members with
// what they own, lets the leader balance, and hands the assignment out.
type group struct {
	members    map[string]map[string][]int32
	knows      map[string][]string // topics of members that do not know all
	generation int32
}

func (g *group) rebalance(t interface{ Fatal(...any) }, counts map[string]int32) (moved int) {
	b := balancer{exchange: testExchange}
	var topics []string
	for topic := range counts {
		topics = append(topics, topic)
	}
	slices.Sort(topics)
	var members []kmsg.JoinGroupResponseMember
	for id, owned := range g.members {
		known, some := g.knows[id]
		if !some {
			known = topics
		}
		members = append(members, kmsg.JoinGroupResponseMember{
			MemberID: id, ProtocolMetadata: b.JoinGroupMetadata(known, owned, g.generation),
		})
	}
	slices.SortFunc(members, func(a, b kmsg.JoinGroupResponseMember) int { return cmpString(a.MemberID, b.MemberID) })
	mb, _, err := b.MemberBalancer(members)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := mb.(kgo.GroupMemberBalancerOrError).BalanceOrError(counts)
	if err != nil {
		t.Fatal(err)
	}
	g.generation++
	for _, a := range plan.IntoSyncAssignment() {
		assigned, err := b.ParseSyncAssignment(a.MemberAssignment)
		if err != nil {
			t.Fatal(err)
		}
		for topic, partitions := range g.members[a.MemberID] {
			for _, p := range partitions {
				if !slices.Contains(assigned[topic], p) {
					moved++
				}
			}
		}
		g.members[a.MemberID] = assigned
	}
	return moved
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// settle rebalances until nothing is revoked, as members that revoke rejoin.
func (g *group) settle(t interface{ Fatal(...any) }, counts map[string]int32) (rounds, moved int) {
	for rounds = 1; ; rounds++ {
		m := g.rebalance(t, counts)
		moved += m
		if m == 0 {
			return rounds, moved
		}
		if rounds > 3 {
			t.Fatal("the group does not settle")
		}
	}
}

func (g *group) count(id string, kind func(string) bool) (n int) {
	for topic, partitions := range g.members[id] {
		if kind(topic) {
			n += len(partitions)
		}
	}
	return n
}

func isExchange(topic string) bool { return topic == testExchange }
func isRaw(topic string) bool      { return topic != testExchange }

func TestEachKindIsSpreadEvenly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := map[string]int32{
			testExchange: rapid.Int32Range(1, 40).Draw(t, "exchange"),
			"call.raw":   rapid.Int32Range(0, 40).Draw(t, "raw"),
			"call.more":  rapid.Int32Range(0, 10).Draw(t, "more"),
		}
		g := group{members: map[string]map[string][]int32{}}
		for step := range rapid.IntRange(1, 6).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "join") || len(g.members) < 2 {
				g.members[fmt.Sprintf("member-%d", step)] = nil
			} else {
				delete(g.members, rapid.SampledFrom(sortedKeys(g.members)).Draw(t, "leaver"))
			}
			g.settle(t, counts)
			checkEven(t, &g, counts, isExchange)
			checkEven(t, &g, counts, isRaw)
			checkComplete(t, &g, counts)
		}
	})
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func checkEven(t *rapid.T, g *group, counts map[string]int32, kind func(string) bool) {
	total := 0
	for topic, n := range counts {
		if kind(topic) {
			total += int(n)
		}
	}
	floor := total / len(g.members)
	for id := range g.members {
		if n := g.count(id, kind); n != floor && (n != floor+1 || total%len(g.members) == 0) {
			t.Fatalf("member %s has %d of %d partitions over %d members", id, n, total, len(g.members))
		}
	}
}

func checkComplete(t *rapid.T, g *group, counts map[string]int32) {
	got := map[string]int32{}
	seen := map[topology.TopicPartition]bool{}
	for _, topics := range g.members {
		for topic, partitions := range topics {
			for _, p := range partitions {
				if seen[topology.TopicPartition{Topic: topic, Partition: p}] {
					t.Fatalf("%s-%d has two owners", topic, p)
				}
				seen[topology.TopicPartition{Topic: topic, Partition: p}] = true
				got[topic]++
			}
		}
	}
	for topic, n := range counts {
		if got[topic] != n {
			t.Fatalf("%d of %d partitions of %s are assigned", got[topic], n, topic)
		}
	}
}

func TestOnlyWhatMustMoveMoves(t *testing.T) {
	counts := map[string]int32{testExchange: 8, "call.raw": 8}
	g := group{members: map[string]map[string][]int32{"a": nil, "b": nil, "c": nil, "d": nil}}
	g.settle(t, counts)
	if rounds, moved := g.settle(t, counts); rounds != 1 || moved != 0 {
		t.Errorf("a rebalance without a reason took %d rounds and moved %d", rounds, moved)
	}
	delete(g.members, "d") // its 4 are free, the others keep theirs
	if _, moved := g.settle(t, counts); moved != 0 {
		t.Errorf("after a leave, %d partitions of remaining members moved", moved)
	}
	g.members["e"] = nil // 2 of each kind move to it
	if _, moved := g.settle(t, counts); moved != 4 {
		t.Errorf("a join moved %d partitions, want 4", moved)
	}
}

// TestNobodyGetsWhatItDoesNotKnow has a change that adds a source go from member to
// member: each partition is with one that knows its topic, the exchange stays even.
func TestNobodyGetsWhatItDoesNotKnow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := map[string]int32{
			testExchange: rapid.Int32Range(1, 40).Draw(t, "exchange"),
			"call.raw":   rapid.Int32Range(1, 40).Draw(t, "raw"),
			"call.more":  rapid.Int32Range(1, 10).Draw(t, "more"),
		}
		before := []string{testExchange, "call.raw"}
		g := group{members: map[string]map[string][]int32{}, knows: map[string][]string{}}
		for i := range rapid.IntRange(2, 5).Draw(t, "members") {
			id := fmt.Sprintf("member-%d", i)
			g.members[id], g.knows[id] = nil, before
		}
		for _, id := range sortedKeys(g.members) {
			delete(g.knows, id) // it was restarted, and knows all
			g.settle(t, counts)
			checkComplete(t, &g, counts)
			checkEven(t, &g, counts, isExchange)
			for id := range g.knows {
				if n := len(g.members[id]["call.more"]); n > 0 {
					t.Fatalf("%s has %d partitions of a topic that it does not know", id, n)
				}
			}
		}
		checkEven(t, &g, counts, isRaw)
	})
}

func TestAMoveTakesTwoPhases(t *testing.T) {
	counts := map[string]int32{testExchange: 4, "call.raw": 4}
	g := group{members: map[string]map[string][]int32{"a": nil}}
	g.settle(t, counts)
	g.members["b"] = nil
	g.rebalance(t, counts)
	if n := g.count("b", isExchange) + g.count("b", isRaw); n != 0 {
		t.Errorf("the new member got %d partitions before their owner had revoked them", n)
	}
	if n := g.count("a", isExchange); n != 2 {
		t.Errorf("the old owner kept %d exchange partitions in the first phase, want 2", n)
	}
	g.rebalance(t, counts)
	if n := g.count("b", isExchange); n != 2 {
		t.Errorf("the new member has %d exchange partitions after the second phase, want 2", n)
	}
}

func TestANewerClaimWins(t *testing.T) {
	tp := topology.TopicPartition{Topic: "call.raw", Partition: 0}
	members := []*member{
		{owned: map[topology.TopicPartition]bool{tp: true}, generation: 3},
		{owned: map[topology.TopicPartition]bool{tp: true}, generation: 4},
	}
	spread(members, []topology.TopicPartition{tp})
	if diff := cmp.Diff([][]topology.TopicPartition{nil, {tp}}, [][]topology.TopicPartition{members[0].planned, members[1].planned}); diff != "" {
		t.Error(diff)
	}
}

func TestBalancerIsCooperative(t *testing.T) {
	b := balancer{}
	if !b.IsCooperative() || b.ProtocolName() != "callstitch-cooperative" {
		t.Error("the balancer must be cooperative under its own protocol name")
	}
}
