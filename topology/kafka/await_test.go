package kafka

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

func TestSessionClockFromTicks(t *testing.T) {
	const now = call.Arrival(1_000_000)
	at := time.UnixMilli(int64(now))
	told := func(times ...call.Arrival) clocksTold {
		c := clocksTold{latest: map[int32]toldClock{}, newest: now, seen: at}
		for task, when := range times {
			c.latest[int32(task)] = toldClock{topology.Clock{Task: int32(task), Time: when}, now}
		}
		return c
	}
	gone := told(now-100, now-200)
	gone.latest[1] = toldClock{topology.Clock{Task: 1, Time: now - 200}, now - 5001}
	old := told(now-100, now-200)
	old.seen = time.Time{}
	quiet := told(now-100, now-200)
	quiet.seen = at.Add(-6 * time.Second)
	tests := map[string]struct {
		told  clocksTold
		clock call.Arrival
		late  time.Duration
		lacks string // empty: nothing
	}{
		"the slowest task's":                {told(now-100, now-2000), now - 2000, 2 * time.Second, ""},
		"one that is too far behind":        {told(now-100, now-5001), now - 5001, 5001 * time.Millisecond, "the session clock is 5s behind, at 1970-01-01T00:16:34Z"},
		"one that is ahead":                 {told(now+100, now+300), now + 100, 0, ""},
		"a task of which nothing was heard": {told(now - 100), call.Unheard, 0, "the stitch tasks 1 have come"},
		"a task that nobody tells of now":   {gone, call.Unheard, 0, "the stitch tasks 1 have come"},
		"no partition was heard of":         {told(now-100, call.Unheard), call.Unheard, 0, "not all source partitions were heard of yet"},
		"ticks of instances that are gone":  {old, call.Unheard, 0, "no instance has told yet how far it is"},
		"no tick for longer than may be":    {quiet, now - 200, 6200 * time.Millisecond, "the session clock is 6.2s behind"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := Standing{Instances: 1, SessionClock: call.Unheard}
			tt.told.settle(&s, 2, 5*time.Second, at)
			if s.SessionClock != tt.clock || s.Late != tt.late {
				t.Errorf("the clock is at %v, %v late, must be at %v, %v late", s.SessionClock, s.Late, tt.clock, tt.late)
			}
			if lacking := strings.Join(s.Lacking, "; "); !strings.Contains(lacking, tt.lacks) || (tt.lacks == "") != (lacking == "") {
				t.Errorf("it lacks %q, must lack %q", lacking, tt.lacks)
			}
		})
	}
}

// TestTicksOfBefore: what stood in the exchange when the looking began tells clocks, and not
// that anybody runs.
func TestTicksOfBefore(t *testing.T) {
	tick := topology.Tick{Clocks: []topology.Clock{{Task: 0, Time: 900}}}
	value := tick.EnvelopeFor(&topology.Config{ExchangePartitions: 1}, 0).Value
	told := clocksTold{since: 7, latest: map[int32]toldClock{}, newest: call.Unheard}
	for _, step := range []struct {
		offset int64
		value  []byte
		runs   bool
	}{{5, value, false}, {6, value, false}, {7, nil, false}, {8, value, true}} {
		if err := told.take(&kgo.Record{Offset: step.offset, Value: step.value, Timestamp: time.UnixMilli(1000 + step.offset)}); err != nil {
			t.Fatal(err)
		}
		if runs := !told.seen.IsZero(); runs != step.runs || told.latest[0].Time != 900 || told.next != step.offset+1 || told.newest != call.Arrival(1000+step.offset) {
			t.Errorf("after offset %d: somebody runs %v, %+v", step.offset, runs, told)
		}
	}
}

// TestEndsOfAWhileAgo: a partition is behind where less was read than it had a while ago,
// however much has come since.
func TestEndsOfAWhileAgo(t *testing.T) {
	w := &awaiter{within: 5 * time.Second, ends: map[topology.TopicPartition][]endAt{}}
	tp := topology.TopicPartition{Topic: "call.raw"}
	begun := time.Now()
	for _, step := range []struct {
		after time.Duration
		end   int64
		must  int64 // be read by then
	}{
		{0, 100, 100},
		{time.Second, 200, 100},
		{5 * time.Second, 600, 100},
		{5500 * time.Millisecond, 650, 200},
		{20 * time.Second, 900, 900},
		{21 * time.Second, 10, 10}, // made anew
	} {
		w.note(tp, begun.Add(step.after), step.end)
		if got := w.ends[tp][0].end; got != step.must {
			t.Errorf("after %v of it %d must be read, and it says %d", step.after, step.must, got)
		}
	}
}

// TestAwait waits for an application that has not begun, runs, lags, and has ended.
func TestAwait(t *testing.T) {
	cfg := apache(t, 4)
	lacks := func(what string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		found := false
		s, err := Await(ctx, cfg, 5*time.Second, func(s Standing) {
			if slices.ContainsFunc(s.Lacking, func(l string) bool { return strings.Contains(l, what) }) {
				found = true
				cancel()
			}
		})
		if !found || !errors.Is(err, context.Canceled) || len(s.Lacking) == 0 {
			t.Errorf("error %v, %+v: it must lack %q", err, s, what)
		}
	}
	caughtUp := func(records int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		looks := 0
		s, err := Await(ctx, cfg, 5*time.Second, func(Standing) { looks++ })
		if err != nil || len(s.Lacking) > 0 || s.Instances != 1 || s.Records != 0 || s.SessionClock < 0 || s.Late > 5*time.Second || looks == 0 {
			t.Errorf("after %d looks: error %v, %+v", looks, err, s)
		}
		awaitBooks(t, cfg, records, 5*time.Second)
	}
	lacks("no instance has started yet")

	records := onTopic(cfg, topologytest.Calls(1, 60, 10*time.Second).Shuffle(1, 4, time.Second, 0.1))
	first, rest := records[:len(records)/2], records[len(records)/2:]
	feed(t, cfg, first)
	r := startRun(t, cfg)
	caughtUp(len(first))
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	// What its ticks told is there yet, and all records were read.
	lacks("no instance is in group " + cfg.ApplicationID)

	feed(t, cfg, rest)
	lacks(" records behind, at 20") // the time of the records that it stands at
	startRun(t, cfg)
	caughtUp(len(records))
}

// TestAwaitDoesNotWaitForARight ends at once where waiting brings nothing, and asks for
// rights where those are lacking.
func TestAwaitDoesNotWaitForARight(t *testing.T) {
	for _, tt := range []struct {
		refusal *kerr.Error
		rights  bool
	}{{kerr.GroupAuthorizationFailed, true}, {kerr.SaslAuthenticationFailed, false}} {
		err := refusedAwait(t, tt.refusal.Code)
		if !errors.Is(err, tt.refusal) || strings.Contains(err.Error(), "DESCRIBE on the sources and on group app") != tt.rights {
			t.Errorf("the error is %v", err)
		}
	}
}

// refusedAwait is what an await says where the group is refused to it.
func refusedAwait(t *testing.T, code int16) error {
	t.Helper()
	cluster := fakeKafka(t, kfake.SeedTopics(4, testApp+"-exchange-repartition"))
	cfg := testConfig(t, cluster.ListenAddrs())
	cluster.ControlKey(int16(kmsg.DescribeGroups), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
		g := kmsg.NewDescribeGroupsResponseGroup()
		g.Group, g.ErrorCode = cfg.ApplicationID, code
		resp.Groups = append(resp.Groups, g)
		return resp, nil, true
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := Await(ctx, cfg, time.Second, func(Standing) {})
	return err
}
