package kafka

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestPulse(t *testing.T) {
	later := func(s time.Duration) time.Time { return time.Now().Add(s) }
	expect := func(p *pulse, at time.Time, words ...string) {
		t.Helper()
		found, ok := p.feel(at)
		if ok != (len(words) > 0) {
			t.Errorf("stands still: %v %q", ok, found.why)
		}
		for _, w := range words {
			if !strings.Contains(found.why, w) {
				t.Errorf("%q does not say %q", found.why, w)
			}
		}
	}

	p := newPulse()
	expect(p, later(stallLimit-time.Second))
	waits := &awaited{cfg: &Config{Config: testTopology(4)}}
	waits.left[toChangelog].Store(3)
	waits.left[toOutputs+1].Store(1)
	p.flushes(waits)
	expect(p, later(stallLimit), "acknowledgements from app-stitch-changelog, call.sessions")
	p.failed(errors.New("it broke"))
	expect(p, time.Now(), "its next session", "it broke") // until it commits
	p.beat()
	expect(p, time.Now())

	p.given()
	p.beat() // others of its tasks commit
	expect(p, later(stallLimit), "offsets of its partitions")
	p.taken()
	p.beat()
	p.goesTo(atRestore)
	expect(p, later(time.Hour)) // a restore may take its time

	p.restores(true, 7)
	expect(p, later(stallLimit), "its tasks to be restored")
	p.restores(false, 0)
	expect(p, later(time.Hour))

	p = newPulse()
	p.hears(time.Now().Add(-time.Minute), []string{"call.raw-1"})
	expect(p, time.Now(), "call.raw-1")
	p.hears(time.Time{}, nil)
	expect(p, time.Now())
}

func TestWhatIsAway(t *testing.T) {
	partitions := func(all ...kadm.PartitionDetail) kadm.PartitionDetails {
		d := kadm.PartitionDetails{}
		for i, p := range all {
			p.Partition = int32(i)
			d[p.Partition] = p
		}
		return d
	}
	well := kadm.PartitionDetail{Leader: 1, Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2}}
	thin := kadm.PartitionDetail{Leader: 1, Replicas: []int32{1, 2, 3}, ISR: []int32{1}}
	lone := kadm.PartitionDetail{Leader: 1, Replicas: []int32{1}, ISR: []int32{1}}
	none := kadm.PartitionDetail{Leader: -1, Replicas: []int32{1}}
	for want, d := range map[string]kadm.TopicDetail{
		"":                       {Topic: "t", Partitions: partitions(well, lone)},
		"topic t does not exist": {Topic: "t", Err: kerr.UnknownTopicOrPartition},
		"topic t: TOPIC_AUTHORIZATION_FAILED: Not authorized to access topics: [Topic authorization failed.]": {Topic: "t", Err: kerr.TopicAuthorizationFailed},
		"t-0, t-2, t-3 and 1 more without a leader":                                                           {Topic: "t", Partitions: partitions(none, well, none, none, none)},
		"t-1 with fewer in-sync replicas than the 2 of min.insync.replicas":                                   {Topic: "t", Partitions: partitions(well, thin)},
	} {
		if got := strings.Join(whatIsAway(d, 2), "; "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// heard counts the lines that come through.
type heardLines struct{ lines [][]any }

func (*heardLines) Level() kgo.LogLevel { return kgo.LogLevelWarn }
func (h *heardLines) Log(_ kgo.LogLevel, message string, keyvals ...any) {
	h.lines = append(h.lines, append([]any{message}, keyvals...))
}

func TestClientLinesAreThinned(t *testing.T) {
	s, now := new(said), time.Now()
	topic := lineOf("load error", []any{"topic", "call.events", "partition", 3, "err", kerr.LeaderNotAvailable})
	for i, c := range []struct {
		after  time.Duration
		line   line
		before int
		ok     bool
	}{
		{0, topic, 0, true},
		{time.Second, lineOf("load error", []any{"topic", "call.events", "partition", 4, "err", kerr.LeaderNotAvailable}), 0, false},
		{time.Second, lineOf("load error", []any{"topic", "call.events", "partition", 4, "err", kerr.UnknownTopicOrPartition}), 0, true},
		{2 * time.Second, lineOf("load error", []any{"topic", "call.legs", "partition", 4, "err", kerr.LeaderNotAvailable}), 0, true},
		{3 * time.Second, topic, 0, false},
		{time.Minute, topic, 2, true},
		{2 * time.Minute, topic, 0, true},
	} {
		if before, ok := s.again(now.Add(c.after), c.line); before != c.before || ok != c.ok {
			t.Errorf("line %d: said %v after %d", i, ok, before)
		}
	}
	h := new(heardLines)
	l := quietLogger{h, new(said)}
	for range 5 {
		l.Log(kgo.LogLevelWarn, "unable to open connection to broker", "broker", "1", "err", errors.New("dial tcp 127.0.0.1:50000"))
	}
	if len(h.lines) != 1 {
		t.Errorf("said %v", h.lines)
	}
}
