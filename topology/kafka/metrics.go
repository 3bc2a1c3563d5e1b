package kafka

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"

	"callstitch/processor/call"
	"callstitch/topology"
)

// metrics are those of a process. Labels come from closed sets, topics,
// partitions and worker names: never from records.
type metrics struct {
	registerer prometheus.Registerer

	commits       *prometheus.CounterVec // outcome
	commitLatency prometheus.Histogram
	restarts      prometheus.Counter
	stalls        prometheus.Counter
	restored      prometheus.Counter
	processed     *prometheus.CounterVec // node
	handed        *prometheus.CounterVec // way
	outputs       *prometheus.CounterVec // sink
	duplicates    prometheus.Counter
	dropped       *prometheus.CounterVec // node, reason
	rejects       *prometheus.CounterVec // reason
	closed        *prometheus.CounterVec // how
	ahead         *prometheus.CounterVec // topic, partition
	endToEnd      prometheus.Histogram
}

// newMetrics registers the metrics of a process; the status gives the gauges.
func newMetrics(r prometheus.Registerer, status *Status) *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "callstitch", Name: name, Help: help}
	}
	m := &metrics{
		registerer: r,
		commits:    prometheus.NewCounterVec(counter("commits_total", "Transactions, by outcome."), []string{"outcome"}),
		commitLatency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "callstitch", Name: "commit_latency_seconds", Help: "Time from the last record of a transaction to its end.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		restarts:   prometheus.NewCounter(counter("restarts_total", "Sessions of workers that failed and began anew from the changelog.")),
		stalls:     prometheus.NewCounter(counter("stalls_total", "Times that workers stood still for 5 s.")),
		restored:   prometheus.NewCounter(counter("store_restored_records_total", "Changelog records read in restores.")),
		processed:  prometheus.NewCounterVec(counter("process_records_total", "Records processed in committed transactions."), []string{"node"}),
		handed:     prometheus.NewCounterVec(counter("events_total", "Events sent from decode to stitch tasks in committed transactions, by their way."), []string{"way"}),
		outputs:    prometheus.NewCounterVec(counter("output_records_total", "Records written to output topics in committed transactions."), []string{"sink"}),
		duplicates: prometheus.NewCounter(counter("duplicates_total", "Events that repeat an accepted one.")),
		dropped:    prometheus.NewCounterVec(counter("dropped_records_total", "Records that have no output on purpose, by kind."), []string{"node", "reason"}),
		rejects:    prometheus.NewCounterVec(counter("rejects_total", "Records and events written to the rejects topic."), []string{"reason"}),
		closed:     prometheus.NewCounterVec(counter("sessions_closed_total", "Sessions that became final, by close reason; amendments are not counted."), []string{"how"}),
		ahead:      prometheus.NewCounterVec(counter("source_records_ahead_total", "Records dated more than a minute ahead of the brokers' clock."), []string{"topic", "partition"}),
		endToEnd: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "callstitch", Name: "e2e_latency_seconds", Help: "Time from a raw record's Kafka timestamp to the commit of its event.",
			Buckets: prometheus.ExponentialBuckets(0.05, 2, 16),
		}),
	}
	// What is there before anything is counted: of a counter that begins with one, rate
	// and increase do not see that one.
	for _, o := range outcomeNames {
		m.commits.WithLabelValues(o)
	}
	for _, reason := range call.Vocabulary()["reject_reason"] {
		m.rejects.WithLabelValues(reason)
	}
	for _, how := range []call.CloseReason{call.ClosedNormal, call.ClosedTimeout} {
		m.closed.WithLabelValues(how.String())
	}
	if r != nil {
		r.MustRegister(m.commits, m.commitLatency, m.restarts, m.stalls, m.restored, m.processed, m.handed, m.outputs,
			m.duplicates, m.dropped, m.rejects, m.closed, m.ahead, m.endToEnd, gauges{status})
	}
	return m
}

// unregister takes the metrics back, so that a process may run more than once.
func (m *metrics) unregister(status *Status) {
	if m.registerer == nil {
		return
	}
	for _, c := range []prometheus.Collector{
		m.commits, m.commitLatency, m.restarts, m.stalls, m.restored, m.processed, m.handed, m.outputs,
		m.duplicates, m.dropped, m.rejects, m.closed, m.ahead, m.endToEnd,
		gauges{status},
	} {
		m.registerer.Unregister(c)
	}
}

// hooks are the metrics of one client, under callstitch_kafka_.
func (m *metrics) hooks() []kgo.Hook {
	if m.registerer == nil {
		return nil
	}
	return []kgo.Hook{kprom.NewMetrics("callstitch", kprom.Subsystem("kafka"), kprom.Registerer(m.registerer), kprom.WithClientLabel())}
}

// committed counts a transaction that committed, by the partitions that it touched; its
// outputs are counted by written, and nothing else is.
func (m *metrics) committed(touched []*partition, ways topology.Ways) {
	for _, p := range touched {
		r := p.task.Report()
		m.processed.WithLabelValues(r.Node).Add(float64(p.takeRecords()))
		if n := p.lead.takeRecords(); r.Node == topology.DecodeNode {
			m.ahead.WithLabelValues(p.Topic, itoa(p.Partition)).Add(float64(n))
		}
		p.ignored = countKinds(m.dropped, r.Ignored, p.ignored)
		m.duplicates.Add(float64(max(r.Counts.Duplicate-p.duplicates, 0)))
		p.duplicates = r.Counts.Duplicate
	}
	m.handed.WithLabelValues("memory").Add(float64(ways.Memory))
	m.handed.WithLabelValues("exchange").Add(float64(ways.Exchange))
}

// written counts the outputs of a transaction that committed.
func (m *metrics) written(outputs []topology.Output) {
	now := time.Now().UnixMilli()
	var written [topology.SinkCount]int
	for _, o := range outputs {
		written[o.Sink()]++
		switch v := o.Value.(type) {
		case *call.EventRecord:
			if v.IngestedAt > 0 {
				m.endToEnd.Observe(float64(now-v.IngestedAt) / 1000)
			}
		case *call.Reject:
			m.rejects.WithLabelValues(v.Reason.String()).Inc()
		case *call.Session:
			if v.State == call.StateFinal && !v.Amended {
				m.closed.WithLabelValues(v.CloseReason.String()).Inc()
			}
		}
	}
	for sink, n := range written {
		if n > 0 {
			m.outputs.WithLabelValues(topology.Sink(sink).String()).Add(float64(n))
		}
	}
}

// countKinds adds what the counts by kind have grown by.
func countKinds(v *prometheus.CounterVec, now, before map[string]int64) map[string]int64 {
	if before == nil {
		before = make(map[string]int64)
	}
	for kind, n := range now {
		if d := n - before[kind]; d > 0 {
			v.WithLabelValues(topology.DecodeNode, kind).Add(float64(d))
			before[kind] = n
		}
	}
	return before
}

// gauges reads the status when it is asked, so no gauge of a partition that has
// moved away is left behind.
type gauges struct{ status *Status }

var (
	descState     = gauge("state", "1 for the state the instance is in.", "state")
	descTasks     = gauge("tasks", "Tasks of this instance, by state.", "node", "state")
	descLag       = gauge("consumer_lag_records", "Records of a partition that are not committed yet.", "topic", "partition")
	descLagTime   = gauge("consumer_lag_seconds", "Age of the newest record processed where there are more; 0 where there are none.", "topic", "partition")
	descRemaining = gauge("store_restore_remaining_records", "Changelog offsets that a restore has still to read.", "partition")
	descEntries   = gauge("store_entries", "Keys that a task keeps.", "partition")
	descBytes     = gauge("store_bytes", "Bytes of keys and values that a task keeps.", "partition")
	descOpen      = gauge("open_nodes", "Legs and links that a task keeps.", "partition")
	descLegClock  = gauge("leg_clock_seconds", "Arrival time that all source partitions have passed.", "partition")
	descSession   = gauge("session_clock_seconds", "Arrival time before which no message is in flight.", "partition")
	descHeldBy    = gauge("clock_held_by", "1 for the source partition that holds the leg clock.", "topic", "partition")
	descHeld      = gauge("clock_held_seconds", "How long the leg or the session clock has not moved; 0 where that is less than 5 s.")
	descOpenTx    = gauge("open_transaction_seconds", "Age of a transaction behind which readers of a partition wait, while a clock stands.", "topic", "partition")
	descLead      = gauge("source_clock_lead_seconds", "How far the clock of a source partition is ahead of the brokers'; 0 where it is not.", "topic", "partition")
	descStalled   = gauge("stalled_seconds", "How long a worker stands still; 0 where that is less than 5 s.")
	descInterval  = gauge("commit_interval_seconds", "How long transactions last that have work: commit_interval, or longer while sources are behind.")
	descThrottled = gauge("source_throttled", "1 while sources wait for the exchange to be worked off.")
)

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("callstitch_"+name, help, labels, nil)
}

// Describe lists the gauges.
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descState, descTasks, descLag, descLagTime, descRemaining, descEntries, descBytes, descOpen,
		descLegClock, descSession, descHeldBy, descHeld, descOpenTx, descLead, descThrottled, descStalled, descInterval,
	} {
		ch <- d
	}
}

// Collect reads the status.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	s := g.status.Snapshot()
	set := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, state := range stateNames {
		set(descState, truth(state == s.State.String()), state)
	}
	for _, node := range []string{topology.DecodeNode, topology.StitchNode} {
		for _, restoring := range []bool{false, true} {
			set(descTasks, float64(s.count(node, restoring)), node, taskState(restoring))
		}
	}
	throttled := false
	for _, t := range s.Tasks {
		throttled = throttled || t.Throttled
		g.task(set, t)
	}
	set(descThrottled, truth(throttled))
	set(descStalled, s.Stalled.Seconds())
	set(descInterval, s.Interval.Seconds())
	if s.HeldBy != (topology.TopicPartition{}) {
		set(descHeldBy, 1, s.HeldBy.Topic, itoa(s.HeldBy.Partition))
	}
	set(descHeld, s.Held.Seconds())
	for _, o := range s.Open {
		set(descOpenTx, time.Since(o.Since).Seconds(), o.Topic, itoa(o.Partition))
	}
}

func (g gauges) task(set func(*prometheus.Desc, float64, ...string), t Task) {
	p := itoa(t.Partition)
	set(descLag, float64(t.Lag()), t.Topic, p)
	set(descLagTime, t.LagTime(time.Now()).Seconds(), t.Topic, p)
	if t.Node != topology.StitchNode {
		set(descLead, t.Lead.Seconds(), t.Topic, p)
		return
	}
	set(descRemaining, float64(t.Remaining), p)
	if t.Restoring {
		return
	}
	set(descEntries, float64(t.Keys), p)
	set(descBytes, float64(t.Bytes), p)
	set(descOpen, float64(t.Nodes), p)
	if t.LegClock > 0 {
		set(descLegClock, float64(t.LegClock)/1000, p)
	}
	if t.SessionClock > 0 {
		set(descSession, float64(t.SessionClock)/1000, p)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
