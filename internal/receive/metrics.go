package receive

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callstitch/internal/receive/feed"
)

const (
	// codeDropped is in the place of a status where the connection was ended instead.
	codeDropped = "dropped"
	// noEndpoint is in the place of a path that is no endpoint's: what strangers ask
	// for is no label.
	noEndpoint = "none"
)

// metrics are those of a receiver. Labels are endpoints and feeds of the
// configuration, events that have a row, and statuses: never from a request.
type metrics struct {
	requests    *prometheus.CounterVec // endpoint, code
	seconds     prometheus.Histogram
	last        *prometheus.GaugeVec   // endpoint
	control     *prometheus.CounterVec // endpoint, event
	connections prometheus.Gauge
	ended       prometheus.Counter
}

// newMetrics registers the metrics of the door.
func newMetrics(r prometheus.Registerer) *metrics {
	name := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "callstitch", Subsystem: "receive", Name: name, Help: help}
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts(name("requests_total",
			"Requests answered, by endpoint and status; dropped: by ending the connection.")), []string{"endpoint", "code"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "callstitch", Subsystem: "receive", Name: "request_seconds",
			Help:    "Time from a request's header to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15), // to 16 s: providers wait 15
		}),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts(name("last_event_time_seconds",
			"When an endpoint's or a feed's last event was taken; before its first one, when the process began.")), []string{"endpoint"}),
		control: prometheus.NewCounterVec(prometheus.CounterOpts(name("call_control_total",
			"Events that the provider wanted call-control instructions for, and got none.")), []string{"endpoint", "event"}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts(name("connections", "Clients that are connected."))),
		ended: prometheus.NewCounter(prometheus.CounterOpts(name("connections_ended_total",
			"Connections ended for want of room, those that had been waited for the longest first."))),
	}
	r.MustRegister(m.requests, m.seconds, m.last, m.control, m.connections, m.ended)
	return m
}

// begin has an endpoint's counters that are worth an alert there before anything is
// counted: of a counter that begins with one, rate and increase do not see that one.
func (m *metrics) begin(endpoint string, a *answer) {
	for _, code := range []string{codeOf(a.success), codeOf(http.StatusUnauthorized), codeOf(http.StatusServiceUnavailable), codeDropped} {
		m.requests.WithLabelValues(endpoint, code)
	}
	for event, wants := range a.wants {
		if wants.kind == control {
			m.control.WithLabelValues(endpoint, event)
		}
	}
	m.taken(endpoint) // its silence begins now: else nobody sees that nothing comes since a restart
}

// answered counts an answer.
func (m *metrics) answered(endpoint, code string, begun time.Time) {
	m.requests.WithLabelValues(endpoint, code).Inc()
	m.seconds.Observe(time.Since(begun).Seconds())
}

// taken notes when an event was taken.
func (m *metrics) taken(endpoint string) {
	m.last.WithLabelValues(endpoint).SetToCurrentTime()
}

// gauges ask intake and feeds for their numbers when they are asked for them.
type gauges struct {
	intake interface{ Stats() Stats }
	spool  Spool
	feeds  []*runningFeed
}

var (
	descInFlight     = desc("in_flight_bytes", "Bytes of events that Kafka has not acknowledged yet.")
	descSpooled      = desc("spooled_events_total", "Events that were given to the spool.")
	descSpoolRecords = desc("spool_records", "Events that wait in the spool.")
	descSpoolBytes   = desc("spool_bytes", "Bytes of the spool's files.")
	descSpoolMax     = desc("spool_max_bytes", "Bytes that the spool may take.")
	descFeedUp       = desc("feed_up", "1 while a feed is connected, and what it sends is taken.", "feed")
	descReconnects   = desc("feed_reconnects_total", "Times that a feed was connected anew, or tried to be.", "feed")
	descFrames       = desc("feed_frames_total", "Frames of a feed, by what became of them.", "feed", "what")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("callstitch_receive_"+name, help, labels, nil)
}

// Describe lists the gauges.
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descInFlight, descSpooled, descSpoolRecords, descSpoolBytes, descSpoolMax, descFeedUp, descReconnects, descFrames,
	} {
		ch <- d
	}
}

// Collect reads the numbers.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	tell := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	s := g.intake.Stats()
	tell(descInFlight, prometheus.GaugeValue, float64(s.InFlightBytes))
	tell(descSpooled, prometheus.CounterValue, float64(s.Spooled))
	tell(descSpoolRecords, prometheus.GaugeValue, float64(s.SpoolRecords))
	tell(descSpoolBytes, prometheus.GaugeValue, float64(s.SpoolBytes))
	if g.spool.Dir != "" {
		tell(descSpoolMax, prometheus.GaugeValue, float64(g.spool.Max))
	}
	for _, f := range g.feeds {
		up := 0.0
		if f.counters.Up() {
			up = 1
		}
		tell(descFeedUp, prometheus.GaugeValue, up, f.cfg.Name)
		tell(descReconnects, prometheus.CounterValue, float64(f.counters.Reconnects()), f.cfg.Name)
		for _, what := range feed.Whats() {
			tell(descFrames, prometheus.CounterValue, float64(f.counters.Frames(what)), f.cfg.Name, string(what))
		}
	}
}

func codeOf(status int) string { return strconv.Itoa(status) }
