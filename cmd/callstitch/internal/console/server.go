package console

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"callstitch/processor/call"
	"callstitch/topology"
)

//go:embed page
var page embed.FS

// listed is how many sessions one answer carries.
const listed = 50

// Handler serves the page, its data, /healthz, /readyz and /metrics. It only
// reads.
func (c *Console) Handler() http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /healthz", c.health)
	mux.HandleFunc("GET /readyz", c.ready)
	mux.HandleFunc("GET /api/v1/status", c.status)
	mux.HandleFunc("GET /api/v1/sessions/{id}", c.session)
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.cfg.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	return secured(mux)
}

// secured keeps other pages from framing the console or loading scripts into it.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// health says that the process serves requests; whether it works is readyz's.
func (c *Console) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

func (c *Console) ready(w http.ResponseWriter, _ *http.Request) {
	s := c.cfg.Status()
	code := http.StatusOK
	if !s.Ready {
		code = http.StatusServiceUnavailable
	}
	answer(w, code, map[string]any{
		"ready": s.Ready, "phase": s.Phase, "reasons": list0(s.Reasons), "clock_held_by": s.HeldBy,
	})
}

func (c *Console) session(w http.ResponseWriter, r *http.Request) {
	id, ok := call.ParseLegID(r.PathValue("id"))
	c.mu.Lock()
	e := c.sessions[id]
	c.mu.Unlock()
	if !ok || e == nil {
		answer(w, http.StatusNotFound, map[string]string{"error": "not among the latest sessions of this instance"})
		return
	}
	answer(w, http.StatusOK, viewDetail(e.Value.(*call.Session)))
}

// statusView is all that the page shows, in one answer.
type statusView struct {
	Application  string        `json:"application"`
	Version      string        `json:"version"`
	Note         string        `json:"note"`
	Now          int64         `json:"now"`
	UpSeconds    int64         `json:"up_seconds"`
	Ready        bool          `json:"ready"`
	Phase        string        `json:"phase"`
	Reasons      []string      `json:"reasons"`
	Sources      []sourceView  `json:"sources"`
	SourceRate   float64       `json:"source_rate"`
	MemoryRate   float64       `json:"memory_rate"`   // events handed over within a worker
	ExchangeRate float64       `json:"exchange_rate"` // events sent through the exchange
	DecodeTasks  int           `json:"decode_tasks"`
	StitchTasks  int           `json:"stitch_tasks"`
	OpenNodes    int64         `json:"open_nodes"`
	Exchange     string        `json:"exchange"`
	Partitions   int32         `json:"exchange_partitions"`
	ExchangeLag  int64         `json:"exchange_lag"`
	Changelog    string        `json:"changelog"`
	Sinks        []sinkView    `json:"sinks"`
	LegClock     call.Arrival  `json:"leg_clock"`
	SessionClock call.Arrival  `json:"session_clock"`
	HeldBy       string        `json:"held_by"`
	Totals       totalsView    `json:"totals"`
	Closed       int64         `json:"sessions_closed"`
	ReadHistory  []int64       `json:"read_history"`
	Sessions     []sessionView `json:"sessions"`
}

type sourceView struct {
	Topic      string `json:"topic"`
	Partitions int    `json:"partitions"`
	Read       int64  `json:"read"`
}

type sinkView struct {
	Name  string  `json:"name"`
	Topic string  `json:"topic"`
	Total int64   `json:"total"`
	Rate  float64 `json:"rate"`
}

type totalsView struct {
	Read        int64 `json:"read"`
	Decoded     int64 `json:"decoded"`
	Ignored     int64 `json:"ignored"`
	Rejected    int64 `json:"rejected"`
	Events      int64 `json:"events"`
	Accepted    int64 `json:"accepted"`
	Duplicate   int64 `json:"duplicate"`
	Conflicting int64 `json:"conflicting"`
	Late        int64 `json:"late"`
}

func (c *Console) status(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, c.view(c.cfg.Status()))
}

func (c *Console) view(s Status) statusView {
	t := &c.cfg.Topology
	v := statusView{
		Application: t.ApplicationID, Version: c.cfg.Version, Note: c.cfg.Note,
		Now: time.Now().UnixMilli(), UpSeconds: int64(time.Since(c.started).Seconds()),
		Ready: s.Ready, Phase: s.Phase, Reasons: list0(s.Reasons), Sources: []sourceView{},
		DecodeTasks: s.DecodeTasks, StitchTasks: s.StitchTasks, OpenNodes: s.OpenNodes,
		Exchange: t.ExchangeTopic(), Partitions: t.ExchangePartitions, ExchangeLag: s.ExchangeLag, Changelog: t.ChangelogTopic(),
		LegClock: s.LegClock, SessionClock: s.SessionClock, HeldBy: s.HeldBy,
		Totals: viewTotals(s.Totals), Sessions: []sessionView{},
	}
	for _, source := range s.Sources {
		v.Sources = append(v.Sources, sourceView(source))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	read := func(n counter) int64 { return n.read }
	v.SourceRate, v.ReadHistory, v.Closed = c.rate(read), c.series(read), c.closed
	v.MemoryRate = c.rate(func(n counter) int64 { return n.ways.Memory })
	v.ExchangeRate = c.rate(func(n counter) int64 { return n.ways.Exchange })
	for _, sink := range drawn(t) {
		v.Sinks = append(v.Sinks, sinkView{
			Name: sink.String(), Topic: t.Topics.Topic(sink), Total: c.outputs[sink],
			Rate: c.rate(func(n counter) int64 { return n.outputs[sink] }),
		})
	}
	for e := c.latest.Front(); e != nil && len(v.Sessions) < listed; e = e.Next() {
		v.Sessions = append(v.Sessions, viewSession(e.Value.(*call.Session)))
	}
	return v
}

// drawn are the outputs in the order in which the page draws them: sessions first.
func drawn(t *topology.Config) []topology.Sink {
	return append([]topology.Sink{topology.Sessions}, slices.DeleteFunc(t.Sinks(), func(s topology.Sink) bool { return s == topology.Sessions })...)
}

func viewTotals(a call.Audit) totalsView {
	return totalsView{a.Read, a.Decoded, a.Ignored, a.Rejected, a.Events, a.Accepted, a.Duplicate, a.Conflicting, a.Late}
}

// list0 is an empty list in JSON, never null.
func list0(words []string) []string {
	if words == nil {
		return []string{}
	}
	return words
}

func answer(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(value) // the reader is gone when this fails
}
