package kafka

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/topology"
)

// hangUp is all that comes of a call: its end, dated by the clock of its producer.
func hangUp(cfg Config, partition int32, id string, ahead time.Duration) *kgo.Record {
	return &kgo.Record{
		Topic: cfg.Sources[0].Topic, Partition: partition, Timestamp: time.Now().Add(ahead),
		Headers: []kgo.RecordHeader{{Key: "provider", Value: []byte("bandwidth")}},
		Value: fmt.Appendf(nil, `{"eventType":"disconnect","callId":%q,"direction":"outbound","from":"+15550100101","to":"+15550100102",`+
			`"startTime":"2024-02-20T10:00:00.000Z","endTime":"2024-02-20T10:00:30.000Z","cause":"hangup"}`, id),
	}
}

// state is that of the call's session, as far as the collector was told.
func (c *collector) state(id string) call.RecordState {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sessions[call.NewLegID("default", call.Bandwidth, "", id)]; s != nil {
		return s.State
	}
	return 0
}

// awaitFinal waits for the ends of calls.
func (c *collector) awaitFinal(t *testing.T, within time.Duration, ids ...string) {
	t.Helper()
	deadline := time.Now().Add(within)
	for _, id := range ids {
		for c.state(id) != call.StateFinal {
			if time.Now().After(deadline) {
				t.Fatalf("after %v call %s is %v", within, id, c.state(id))
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// metric is the value of one that has these labels, in their order.
func metric(t *testing.T, r prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() { // sorted by name
				values = append(values, l.GetValue())
			}
			if f.GetName() == name && fmt.Sprint(values) == fmt.Sprint(labels) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

const (
	aheadLine = "the clock of a source partition is ahead of the brokers'"
	datedLine = "records of a source partition are dated ahead of the brokers' clock"
)

// One record that is dated ahead, or a producer that is ahead among others, holds back
// no call but its own; and it is told.
func TestRecordsDatedAheadHoldNobody(t *testing.T) {
	cfg := apache(t, 2)
	log, registry, got := new(warnings), prometheus.NewPedanticRegistry(), newCollector()
	cfg.Log, cfg.Registerer, cfg.OnCommit = slog.New(slog.NewTextHandler(log, nil)), registry, got.take
	r := startRun(t, cfg)
	produce(t, cfg, []*kgo.Record{hangUp(cfg, 0, "before", 0)})
	got.awaitFinal(t, 20*time.Second, "before") // by now the brokers' clock was heard

	const ahead = 59 * time.Minute
	var wrong, right []string
	put := func(partition int32, id string, by time.Duration) {
		produce(t, cfg, []*kgo.Record{hangUp(cfg, partition, id, by)})
		if by > 0 {
			wrong = append(wrong, id)
		} else {
			right = append(right, id)
		}
	}
	put(0, "one ahead", ahead) // among right ones
	put(0, "behind it", 0)
	put(1, "lone", ahead) // in a quiet partition, whose first it is
	got.awaitFinal(t, 10*time.Second, right...)
	put(1, "behind the lone one", 0)
	for i := range 8 { // a producer that is ahead, and one that is not
		put(0, fmt.Sprint("ahead ", i), ahead)
		put(0, fmt.Sprint("right ", i), 0)
	}
	got.awaitFinal(t, 10*time.Second, right...)
	for _, id := range wrong {
		if got.state(id) != call.StatePartial {
			t.Errorf("call %q, which is dated ahead, is %v", id, got.state(id))
		}
	}
	topic := cfg.Sources[0].Topic
	for partition, want := range map[string]float64{"0": 9, "1": 1} {
		if n := metric(t, registry, "callstitch_source_records_ahead_total", partition, topic); n != want {
			t.Errorf("partition %s has %v records ahead, want %v", partition, n, want)
		}
		if n := metric(t, registry, "callstitch_source_clock_lead_seconds", partition, topic); n > 5 {
			t.Errorf("the clock of partition %s is %v s ahead", partition, n)
		}
	}
	if text := log.text(); strings.Count(text, datedLine) != 2 || strings.Contains(text, aheadLine) {
		t.Errorf("the log says %s", text)
	}
	s := r.status.Snapshot()
	if !s.Ready() {
		t.Errorf("not ready: %+v", s)
	}
	for _, task := range s.Tasks {
		if task.Topic == topic && (task.RecordLead < ahead-time.Minute || task.RecordLead > ahead+time.Minute) {
			t.Errorf("records of partition %d are told to be %v ahead", task.Partition, task.RecordLead)
		}
	}
}

// Records in a row whose producer is an hour ahead take the clock of their partition with
// them. That is told, and the instance is ready.
func TestClockAheadIsTold(t *testing.T) {
	cfg := apache(t, 2)
	log, registry := new(warnings), prometheus.NewPedanticRegistry()
	cfg.Log, cfg.Registerer = slog.New(slog.NewTextHandler(log, nil)), registry
	r := startRun(t, cfg)
	produce(t, cfg, []*kgo.Record{hangUp(cfg, 0, "c-1", 0), hangUp(cfg, 1, "c-2", 59*time.Minute), hangUp(cfg, 1, "c-3", 59*time.Minute)})
	lead := func(partition string) float64 {
		return metric(t, registry, "callstitch_source_clock_lead_seconds", partition, cfg.Sources[0].Topic)
	}
	for deadline := time.Now().Add(20 * time.Second); lead("1") < 58*60; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the lead is %v", lead("1"))
		}
	}
	if n := lead("1"); n > 60*60 || lead("0") > 5 {
		t.Errorf("the leads are %v and %v", lead("0"), n)
	}
	time.Sleep(3 * tickInterval)
	if text := log.text(); strings.Count(text, aheadLine) != 1 || !strings.Contains(text, "partition=1 lead=5") {
		t.Errorf("the log says %s", text)
	}
	if s := r.status.Snapshot(); !s.Ready() {
		t.Errorf("not ready: %+v", s)
	}
}

// What is told of a lead that grows and ends.
func TestLeadIsToldOnce(t *testing.T) {
	log := new(warnings)
	tp := topology.TopicPartition{Topic: "call.raw", Partition: 3}
	cfg := testTopology(1)
	task := topology.NewDecodeTask(&cfg, cfg.Sources[0], tp.Partition)
	p := &partition{TopicPartition: tp, source: true, active: true, task: task}
	s := &session{worker: &worker{log: slog.New(slog.NewTextHandler(log, nil))}, parts: map[topology.TopicPartition]*partition{tp: p}}
	const start = call.Arrival(1_772_442_000_000)
	var fx topology.Effects
	for offset := range int64(3) {
		if err := task.Process(topology.Record{Topic: tp.Topic, Partition: tp.Partition, Offset: offset, Timestamp: int64(start)}, &fx); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		lead        time.Duration
		ahead, over int // lines so far
	}{
		{-time.Hour, 0, 0},
		{time.Minute - time.Second, 0, 0},
		{59 * time.Minute, 1, 0},
		{58 * time.Minute, 1, 0},
		{50 * time.Second, 1, 0},
		{61 * time.Second, 1, 0},
		{29 * time.Second, 1, 1},
		{59 * time.Second, 1, 1},
		{61 * time.Second, 2, 1},
		{-time.Second, 2, 2},
	} {
		s.measure(&observation{heard: start.Add(-step.lead), at: time.Now()})
		if d := max(step.lead, 0) - p.lead.clock; d < 0 || d > time.Second {
			t.Errorf("a lead of %v is measured as %v", step.lead, p.lead.clock)
		}
		text := log.text()
		if n, m := strings.Count(text, aheadLine), strings.Count(text, "no longer ahead"); n != step.ahead || m != step.over {
			t.Errorf("at %v the log has %d and %d lines:\n%s", step.lead, n, m, text)
		}
	}
	s.measure(&observation{heard: call.Unheard})
	if p.lead.clock != 0 {
		t.Errorf("the lead over no clock is %v", p.lead.clock)
	}
}

// Check advises a bound for the dates of sources, and takes what a start takes.
func TestCheckAdvisesABound(t *testing.T) {
	cfg := apache(t, 1)
	cl := client(t, cfg)
	defer cl.Close()
	topic := cfg.Sources[0].Topic
	for _, c := range []struct {
		key, value string
		advised    bool
	}{
		{"", "", true},
		{"message.timestamp.after.max.ms", "60001", true},
		{"message.timestamp.after.max.ms", "60000", false},
		{"message.timestamp.after.max.ms", "3600000", true},
		{"message.timestamp.type", "LogAppendTime", false},
	} {
		if c.key != "" {
			resp, err := kadm.NewClient(cl).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: c.key, Value: &c.value}}, topic)
			if err == nil {
				err = resp[0].Err
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var advice string
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) { // brokers take a moment
			advice = ""
			for _, f := range Examine(t.Context(), cfg) {
				if f.Err != nil {
					t.Errorf("%s: %v", f.What, f.Err)
				}
				advice += f.Advice
			}
			if (advice != "") == c.advised || time.Now().After(deadline) {
				break
			}
		}
		if (advice != "") != c.advised || c.advised && !strings.Contains(advice, topic) {
			t.Errorf("%s=%s: the advice is %q", c.key, c.value, advice)
		}
	}
}
