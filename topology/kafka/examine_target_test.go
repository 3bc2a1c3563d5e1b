package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

func TestTargetLimit(t *testing.T) {
	for _, c := range []struct {
		takes         string
		fails, advice bool
	}{
		{takes: "1048588"},
		{takes: "1048576"},
		{takes: "1048575", fails: true},
		{takes: "", advice: true}, // without the right to know
	} {
		f := targetLimit("call.raw", map[string]string{"max.message.bytes": c.takes}, 1<<20)
		if (f.Err != nil) != c.fails || (f.Advice != "") != c.advice {
			t.Errorf("max.message.bytes of %q: %+v", c.takes, f)
		}
	}
}

func TestTargetPolicy(t *testing.T) {
	for policy, fails := range map[string]bool{"delete": false, "": false, "compact": true, "compact,delete": true} {
		if f := targetPolicy("call.raw", map[string]string{"cleanup.policy": policy}); (f.Err != nil) != fails {
			t.Errorf("cleanup.policy of %q: %+v", policy, f)
		}
	}
}

func TestAdviceInSync(t *testing.T) {
	for _, c := range []struct {
		replicas int
		least    string
		advice   bool
	}{{1, "1", false}, {3, "1", true}, {3, "2", false}} {
		d := kadm.TopicDetail{Partitions: kadm.PartitionDetails{0: {Replicas: make([]int32, c.replicas)}}}
		if got := adviseInSync("call.raw", d, map[string]string{"min.insync.replicas": c.least}); (got != "") != c.advice {
			t.Errorf("%d replicas, at least %s in sync: %q", c.replicas, c.least, got)
		}
	}
}
