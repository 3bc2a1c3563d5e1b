package receive

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// health tells platforms and operators how the receiver does. It is served apart from
// the door: providers have no business with it.
type health struct {
	ready   func() error // nil while events can be taken
	leaving atomic.Bool
	metrics prometheus.Gatherer
}

func (h *health) server(log *slog.Logger) *http.Server {
	paths := http.NewServeMux()
	paths.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	paths.HandleFunc("GET /readyz", h.readiness)
	paths.Handle("GET /metrics", promhttp.HandlerFor(h.metrics, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	return &http.Server{
		Handler:           paths,
		ReadHeaderTimeout: headerLimit,
		ReadTimeout:       bodyLimit,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       idleLimit,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          slog.NewLogLogger(quiet{log.Handler()}, slog.LevelDebug),
	}
}

// readiness answers 200 while events can be taken and this instance goes on.
func (h *health) readiness(w http.ResponseWriter, _ *http.Request) {
	out := struct {
		Ready   bool     `json:"ready"`
		Phase   string   `json:"phase"`
		Reasons []string `json:"reasons"`
	}{true, "running", []string{}}
	if err := h.ready(); err != nil {
		out.Ready, out.Reasons = false, []string{err.Error()}
	}
	if h.leaving.Load() {
		out.Ready, out.Phase = false, "leaving"
		out.Reasons = append(out.Reasons, "this instance was told to end")
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if !out.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(out) // the reader is gone when this fails
}
