package kafka

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology/topologytest"
)

// forgetful is the balancer of a leader that leaves half of all partitions to nobody, as
// a cooperative rebalance does whose second half does not come.
type forgetful struct {
	balancer
	not *atomic.Bool // or not any more
}

func (f forgetful) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	cb, err := kgo.NewConsumerBalancer(f, members)
	return cb, cb.MemberTopics(), err
}

func (f forgetful) Balance(cb *kgo.ConsumerBalancer, counts map[string]int32) kgo.IntoSyncAssignment {
	for topic := range counts {
		if !f.not.Load() {
			counts[topic] /= 2
		}
	}
	return f.balancer.Balance(cb, counts)
}

// forgotten has members of those instances join the group, whose leader forgets half.
func forgotten(t *testing.T, cfg Config, ids ...identity) (members []*kgo.Client, forgets *atomic.Bool) {
	t.Helper()
	cfg = cfg.withDefaults()
	forgets = new(atomic.Bool)
	for i, id := range ids {
		opts := append(cfg.workerOptions(id.worker(cfg.ApplicationID), func(string) int32 { return 1 << 20 }),
			kgo.Balancers(forgetful{balancer{exchange: cfg.ExchangeTopic(), says: cfg.says()}, forgets}))
		cl, err := kgo.NewClient(opts...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		members = append(members, cl)
		awaitGroup(t, cfg, func(members []groupMember) bool { return len(members) == i+1 && atRest(members) })
	}
	awaitGroup(t, cfg, func(members []groupMember) bool {
		return atRest(members) && owned(members) == (4+int(cfg.ExchangePartitions))/2
	})
	return members, forgets
}

// owned is how many partitions are somebody's.
func owned(members []groupMember) (n int) {
	for _, m := range members {
		for _, partitions := range m.owns {
			n += len(partitions)
		}
	}
	return n
}

func awaitGroup(t *testing.T, cfg Config, is func([]groupMember) bool) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		members, err := groupMembers(t.Context(), cl, cfg.ApplicationID)
		if err == nil && is(members) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after 30 s the group is %+v %v", members, err)
		}
	}
}

// TestNobodysPartitions has a group at rest leave half of all partitions to nobody, in the
// ways in which its members come back to it: as its leader, as leader and follower, and
// where the leader is one that does not look. Nobody comes or goes, and no session times
// out.
func TestNobodysPartitions(t *testing.T) {
	for name, happens := range map[string]func(*testing.T, Config, []topologytest.Raw){
		"leader": func(t *testing.T, cfg Config, records []topologytest.Raw) {
			members, _ := forgotten(t, cfg, identity{instance: "one"})
			members[0].Close()
			comesOut(t, cfg, records, startRun(t, cfg))
		},
		"both": func(t *testing.T, cfg Config, records []topologytest.Raw) {
			members, _ := forgotten(t, cfg, identity{instance: "one"}, identity{instance: "two"})
			members[0].Close()
			members[1].Close()
			two := cfg
			two.InstanceID = "two"
			comesOut(t, cfg, records, startRun(t, cfg), startRun(t, two))
		},
		"follower": func(t *testing.T, cfg Config, _ []topologytest.Raw) {
			members, forgets := forgotten(t, cfg, identity{instance: "old"}, identity{instance: "one"})
			members[1].Close()
			forgets.Store(true)
			startRun(t, cfg)
			awaitGroup(t, cfg, func(members []groupMember) bool { return owned(members) == 4+int(cfg.ExchangePartitions) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := apache(t, 4)
			cfg.SessionTimeout = defaultSessionTimeout // none ends within the test
			t.Parallel()
			records := onTopic(cfg, topologytest.Calls(71, 60, 10*time.Second).Shuffle(71, 4, time.Second, 0.1))
			feed(t, cfg, records[:len(records)/3])
			r := startRun(t, cfg) // it makes topics and offsets
			awaitBalance(t, cfg, len(records)/3, 30*time.Second)
			if err := r.stop(t); err != nil {
				t.Fatal(err)
			}
			happens(t, cfg, records)
		})
	}
}

// comesOut sends instances the rest, and expects them to say what nobody has, and the
// truth to come out.
func comesOut(t *testing.T, cfg Config, records []topologytest.Raw, runs ...*run) {
	t.Helper()
	feed(t, cfg, records[len(records)/3:])
	told := ""
	for deadline := time.Now().Add(20 * time.Second); told == "" && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, r := range runs {
			if snap := r.status.Snapshot(); !snap.Ready() && strings.Contains(snap.Waiting, whatNobodyHas(cfg)) {
				told = snap.Waiting
			}
		}
	}
	if told == "" {
		t.Error("nobody said what nobody has")
	}
	awaitPublished(t, cfg, reference(t, records), 30*time.Second)
	awaitBooks(t, cfg, len(records), 20*time.Second)
	for _, r := range runs {
		if err := r.stop(t); err != nil {
			t.Error(err)
		}
	}
}

// whatNobodyHas is what an instance says of the forgotten half.
func whatNobodyHas(cfg Config) string {
	return "waits for the group to give " + some([]string{
		cfg.ExchangeTopic() + "-2", cfg.ExchangeTopic() + "-3", cfg.Sources[0].Topic + "-2", cfg.Sources[0].Topic + "-3",
	}) + " to somebody"
}

// TestOrphans has a group described at different times.
func TestOrphans(t *testing.T) {
	begun := time.Now()
	var o orphans
	counts := map[string]int32{"raw": 2}
	one := func(partitions ...int32) []groupMember {
		return []groupMember{{topics: []string{"raw"}, owns: map[string][]int32{"raw": partitions}}}
	}
	for i, look := range []struct {
		members []groupMember
		after   time.Duration
		want    []string
	}{
		{one(0), 0, nil},
		{one(0), orphanLimit - 1, nil},
		{one(0), orphanLimit, []string{"raw-1"}},
		{one(1), orphanLimit, nil}, // they have changed places
		{one(1), 2*orphanLimit - 1, nil},
		{[]groupMember{{}}, 2*orphanLimit - 1, nil}, // a rebalance: it will be shared out
		{one(1), 2 * orphanLimit, nil},
		{one(), 3 * orphanLimit, []string{"raw-0"}},
		{one(), 4 * orphanLimit, []string{"raw-0", "raw-1"}},
		{one(0, 1), 4 * orphanLimit, nil},
		{nil, 5 * orphanLimit, nil},
		{one(0, 1), 6 * orphanLimit, nil},
	} {
		o.look(look.members, counts, begun.Add(look.after))
		if got, _ := o.left(); !slices.Equal(got, look.want) {
			t.Errorf("look %d: %v, want %v", i, got, look.want)
		}
	}
}

// TestOrphansAreAskedForSeldom has a group that cannot share out what is nobody's, and
// then can.
func TestOrphansAreAskedForSeldom(t *testing.T) {
	begun := time.Now()
	const again = 6 * orphanLimit
	var o orphans
	counts := map[string]int32{"raw": 1}
	rests := func(partitions ...int32) []groupMember {
		return []groupMember{{topics: []string{"raw"}, owns: map[string][]int32{"raw": partitions}}}
	}
	for i, look := range []struct {
		members []groupMember
		after   time.Duration
		want    bool
	}{
		{rests(), 0, false},
		{rests(), 1, true},
		{[]groupMember{{}}, 2, false},
		{rests(), 3, false},
		{rests(), 4, false},
		{rests(), 7, true},
		{rests(0), 8, false},
		{rests(), 9, false},
		{rests(), 10, true}, // it was somebody's
	} {
		o.look(look.members, counts, begun.Add(look.after*orphanLimit))
		if got := o.asks(again); got != look.want {
			t.Errorf("look %d: %v, want %v", i, got, look.want)
		}
	}
}
