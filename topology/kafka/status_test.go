package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

func TestStatusOfOneInstance(t *testing.T) {
	s := new(Status)
	if s.Snapshot().State != Created || s.Snapshot().Ready() {
		t.Error("a run that has not begun is ready")
	}
	s.wait("a broker")
	if s.Snapshot().Waiting != "a broker" {
		t.Error("what is waited for is not told")
	}
	s.set(Running, "one")
	s.leave()
	if got := s.Snapshot(); got.State != Rebalancing || got.Ready() {
		t.Errorf("without partitions: %v %q", got.State, got.Waiting)
	}
	s.update(work{joined: true, tasks: []Task{
		{Report: topology.Report{Node: topology.StitchNode}, Topic: "x", Restoring: true, Remaining: 7},
		{Topic: "x", Partition: 1, Report: topology.Report{Node: topology.StitchNode, LegClock: 50, SessionClock: 40, HeldBy: topology.TopicPartition{Topic: "call.raw", Partition: 2}}},
		{Topic: "x", Partition: 2, Report: topology.Report{Node: topology.StitchNode, LegClock: 60, SessionClock: 30, HeldBy: topology.TopicPartition{Topic: "call.raw", Partition: 3}}},
	}})
	got := s.Snapshot()
	if got.State != Rebalancing || !strings.Contains(got.Waiting, "7 changelog records") {
		t.Errorf("while restoring: %v %q", got.State, got.Waiting)
	}
	if got.LegClock != 50 || got.SessionClock != 30 || got.HeldBy.Partition != 2 {
		t.Errorf("clocks %d %d held by %v", got.LegClock, got.SessionClock, got.HeldBy)
	}
	s.update(work{joined: true, tasks: got.Tasks[1:]})
	if !s.Snapshot().Ready() {
		t.Errorf("not ready: %+v", s.Snapshot())
	}
	s.setOutage("waits for brokers")
	if s.Snapshot().Ready() {
		t.Error("ready without a broker")
	}
}

func TestLag(t *testing.T) {
	now := time.UnixMilli(10_000)
	task := Task{Position: 5, End: 8, Newest: 4_000}
	if task.Lag() != 3 || task.LagTime(now) != 6*time.Second {
		t.Errorf("lag %d, %v", task.Lag(), task.LagTime(now))
	}
	task.Position = 8
	if task.Lag() != 0 || task.LagTime(now) != 0 {
		t.Errorf("nothing left, lag %d, %v", task.Lag(), task.LagTime(now))
	}
}

// TestAgeOfWhatIsSentInAgain: a reject that is sent in again has an old date, and has not
// waited since then, however many more of them there are.
func TestAgeOfWhatIsSentInAgain(t *testing.T) {
	cfg := testConfig(t, fakeKafka(t).ListenAddrs())
	first := time.Now().Add(-48 * time.Hour).Truncate(time.Millisecond)
	reject := call.Reject{Source: call.Source{Topic: topologytest.Topic}, Timestamp: first.UnixMilli(), Value: []byte("{")}
	again := topology.Again(&reject, 0, call.Source{Topic: "call.rejects"})
	again.Partition = 1
	begun := time.Now()
	produce(t, cfg, []*kgo.Record{{Topic: topologytest.Topic, Timestamp: first, Value: []byte("{")}, toKafka(again)})
	r := startRun(t, cfg)
	read := map[int32]Task{}
	for deadline := time.Now().Add(20 * time.Second); read[0].Position == 0 || read[1].Position == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not read: %+v", read)
		}
		for _, task := range r.status.Snapshot().Tasks {
			if task.Topic == topologytest.Topic {
				read[task.Partition] = task
			}
		}
	}
	if at := time.UnixMilli(read[0].Newest); !at.Equal(first) {
		t.Errorf("the newest record of the first partition is of %v, want %v", at, first)
	}
	if at := time.UnixMilli(read[1].Newest); at.Before(begun.Add(-time.Second)) {
		t.Errorf("what was sent in again just now is of %v", at)
	}
}

// TestMetrics runs an instance and holds its counters against its input.
func TestMetrics(t *testing.T) {
	cluster := fakeKafka(t)
	cfg := testConfig(t, cluster.ListenAddrs())
	registry := prometheus.NewPedanticRegistry()
	cfg.Registerer = registry
	records := topologytest.Calls(20, 20, 20*time.Second).Noise(20, 8).Shuffle(20, 4, time.Second, 0.2)
	want := inMemory(t, records).Canonical()
	feed(t, cfg, records)
	got := newCollector()
	cfg.OnCommit = got.take
	r := startRun(t, cfg)
	got.await(t, want, 30*time.Second)

	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				if l.GetName() != "client_id" && l.GetName() != "node_id" {
					key += " " + l.GetValue()
				}
			}
			values[key] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"callstitch_process_records_total decode": float64(len(records)),
		"callstitch_output_records_total events":  float64(got.events),
		"callstitch_output_records_total rejects": float64(got.rejects),
		"callstitch_state RUNNING":                1,
		"callstitch_tasks decode running":         4,
		"callstitch_tasks stitch running":         4,
		"callstitch_commits_total aborted":        0,
		"callstitch_events_total exchange":        0, // all tasks are this worker's
	} {
		if values[name] != want {
			t.Errorf("%s is %v, want %v", name, values[name], want)
		}
	}
	if values["callstitch_events_total memory"] == 0 || values["callstitch_commits_total committed"] == 0 || values["callstitch_sessions_closed_total NORMAL"] == 0 {
		t.Error("commits or sessions are not counted")
	}
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	if left, err := registry.Gather(); err != nil || len(left) != 0 {
		t.Errorf("%d metrics are left after the run, %v", len(left), err)
	}
}

func TestLostPartitions(t *testing.T) {
	for name, c := range map[string]struct {
		p    partition
		want bool
	}{
		"not taken in yet":           {partition{generation: 3}, false},
		"never taken in":             {partition{generation: 2}, true},
		"taken in, and taken away":   {partition{generation: 3, confirmed: true}, true},
		"taken in long ago, revoked": {partition{generation: 1, confirmed: true}, true},
	} {
		if got := c.p.lost(3); got != c.want {
			t.Errorf("%s: lost is %v", name, got)
		}
	}
}
