package kafka

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// withSource is a configuration with one more source, which it makes.
func withSource(t *testing.T, cfg Config, topic string, partitions int32) Config {
	t.Helper()
	cfg.Sources = append(slices.Clone(cfg.Sources), topology.Source{Topic: topic, Tenant: "second"})
	cl := client(t, cfg)
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), partitions, 1, map[string]*string{"retention.ms": kadm.StringPtr("-1")}, topic); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestRollingChangeAddsASource has an instance that knows a new source join one that
// does not yet: the new source's records are read at once, and as what they are.
func TestRollingChangeAddsASource(t *testing.T) {
	old := apache(t, 2)
	calls := onTopic(old, topologytest.Calls(31, 40, 10*time.Second).Shuffle(31, 2, time.Second, 0))
	feed(t, old, calls)
	one := startRun(t, old)
	awaitBalance(t, old, len(calls), 20*time.Second)

	cfg := withSource(t, old, old.Sources[0].Topic+".second", 4)
	more := topologytest.Calls(32, 40, 10*time.Second).Shuffle(32, 4, time.Second, 0)
	for i := range more {
		more[i].Topic = cfg.Sources[1].Topic
	}
	feed(t, cfg, more)
	second := cfg
	second.InstanceID = "two"
	startRun(t, second)
	awaitBalance(t, cfg, len(calls)+len(more), 20*time.Second) // while both run
	for _, task := range one.status.Snapshot().Tasks {
		if task.Topic == cfg.Sources[1].Topic {
			t.Errorf("%s-%d is with an instance that does not know it", task.Topic, task.Partition)
		}
	}
	if err := one.stop(t); err != nil {
		t.Fatal(err)
	}
	startRun(t, cfg)
	feed(t, cfg, more[:10])
	awaitBooks(t, cfg, len(calls)+len(more)+10, 20*time.Second)
}

// TestTwoConfigurations starts a second configuration under the id of the first.
func TestTwoConfigurations(t *testing.T) {
	cfg := apache(t, 2)
	calls := onTopic(cfg, topologytest.Calls(31, 20, 10*time.Second).Shuffle(31, 2, time.Second, 0))
	feed(t, cfg, calls)
	r := startRun(t, cfg)
	awaitBalance(t, cfg, len(calls), 20*time.Second)

	other := cfg
	other.InstanceID = "other"
	outputs := other
	outputs.Topics.Sessions = "staging.sessions"
	regenerated := outputs
	regenerated.Stitch.Generation = 1
	both := withSource(t, other, cfg.Sources[0].Topic+".second", 2)
	disjoint := both
	disjoint.Sources = both.Sources[1:]

	for name, c := range map[string]Config{"other outputs": outputs, "another generation": regenerated, "other sources": disjoint} {
		t.Run("beside it, "+name, func(t *testing.T) { refused(t, c, ErrTopicMismatch, cfg.ApplicationID) })
	}
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{"other outputs": outputs, "other sources": disjoint} {
		t.Run("after it, "+name, func(t *testing.T) { refused(t, c, ErrTopicMismatch, cfg.ApplicationID) })
	}
	feed(t, cfg, calls[:10])
	startRun(t, regenerated) // outputs change with the generation
	awaitBalance(t, cfg, len(calls)+10, 20*time.Second)
	refused(t, cfg, ErrTopicMismatch, cfg.ApplicationID)
}

// TestCheckBeside has two instances of different configurations look at each other: each
// before it starts, whatever their names are, and one of the two while both run.
func TestCheckBeside(t *testing.T) {
	for _, names := range [][2]string{{"a", "b"}, {"host", "host-2"}, {"host", "host-0"}, {"host-1", "host-10"}} {
		var cfgs [2]Config
		var members []groupMember
		for i, name := range names {
			cfgs[i] = Config{Config: testTopology(4), self: testApp + "-" + name + "-"}
			cfgs[i].Numbers = tokens(t, name[len(name)-1:])
			members = append(members, groupMember{instance: cfgs[i].self + "0", outputs: cfgs[i].outputs().hash, numbers: cfgs[i].Numbers.String()})
		}
		ended := 0
		for i := range cfgs {
			if err := checkBeside(&cfgs[i], members); !errors.Is(err, ErrTopicMismatch) || !strings.Contains(err.Error(), "-"+names[1-i]+"-0") {
				t.Errorf("%s starts beside %s: %v", names[i], names[1-i], err)
			}
			if err := checkBeside(&cfgs[i], members[i:i+1]); err != nil {
				t.Errorf("%s starts beside an earlier life of it: %v", names[i], err)
			}
			if checkBefore(&cfgs[i], members) != nil {
				ended++
			}
		}
		if ended != 1 {
			t.Errorf("of %v, which run, %d end", names, ended)
		}
	}
}
