package receive

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"time"
)

// Limits of requests: what each may hold is bounded, and for how long.
const (
	headerLimit = 5 * time.Second  // to send a request's header
	bodyLimit   = 10 * time.Second // to send all of it: an event is small
	idleLimit   = 2 * time.Minute  // between two requests: providers come again within it
	headerBytes = 16 << 10         // of a request's header
	streamsMax  = 100              // requests at a time over a connection of HTTP/2
	// takeMargin is what taking an event may last beyond hold: the time to write it to
	// the spool, and more.
	takeMargin = 5 * time.Second
	// firstRead is what is read of a body before more room is made for it. Most events
	// are smaller. A length that is only claimed takes no memory.
	firstRead = 4 << 10
)

// door takes webhooks.
type door struct {
	cfg         *Config
	take        Take
	log         *slog.Logger
	metrics     *metrics
	bodies      budget // of requests under way
	unproven    budget // of those of them that are being read, and have proven nothing yet
	connections *connections
	leaving     atomic.Bool
	paths       *http.ServeMux
}

// newDoor opens nothing but the endpoints' secrets.
func newDoor(cfg *Config, take Take, m *metrics) (*door, error) {
	d := &door{
		cfg: cfg, take: take, log: cfg.Log, metrics: m,
		bodies:      budget{max: cfg.MaxInFlight},
		unproven:    budget{max: max(cfg.MaxInFlight/2, cfg.MaxBody+1)}, // strangers never have all
		connections: &connections{max: connectionLimit(), requestsMax: requestsMax, metrics: m},
		paths:       http.NewServeMux(),
	}
	d.paths.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { d.refuse(w, r, noEndpoint, notFound, time.Now()) })
	for i := range cfg.Endpoints {
		e, err := newEndpoint(d, &cfg.Endpoints[i])
		if err != nil {
			return nil, err
		}
		d.paths.Handle(e.Path, e) // for all methods: with one, a path and another that says more would conflict
	}
	return d, nil
}

// server serves the door. It is made here so that no limit is forgotten.
func (d *door) server() *http.Server {
	return &http.Server{
		Handler:           d,
		ConnContext:       withConnection,
		ReadHeaderTimeout: headerLimit,
		ReadTimeout:       bodyLimit,
		WriteTimeout:      bodyLimit + d.cfg.Hold + 2*takeMargin, // from the header on: an answer is never cut off by it
		IdleTimeout:       idleLimit,
		MaxHeaderBytes:    headerBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: streamsMax},
		ErrorLog:          slog.NewLogLogger(quiet{d.log.Handler()}, slog.LevelDebug),
	}
}

// ServeHTTP answers one request.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.leaving.Load() {
		w.Header().Set("Connection", "close") // the next request goes to another instance
	}
	if !clean(r.URL.EscapedPath()) {
		// ServeMux would lead to the clean one, uncounted, and who posts need not follow.
		d.refuse(w, r, noEndpoint, notFound, time.Now())
		return
	}
	d.paths.ServeHTTP(w, r)
}

// clean reports whether a path has no empty segment, as where an address that ends with
// a slash was put before it, and none of dots.
func clean(p string) bool { return p == "/" || path.Clean(p) == strings.TrimSuffix(p, "/") }

func (d *door) refuse(w http.ResponseWriter, r *http.Request, endpoint string, f *refusal, begun time.Time) {
	d.metrics.answered(endpoint, f.code(), begun)
	f.write(w, r)
}

// room takes room for so many bytes of a body, and reports whether there was any.
func (d *door) room(n int64, proven bool) bool {
	if !proven && !d.unproven.take(n) {
		return false
	}
	if d.bodies.take(n) {
		return true
	}
	if !proven {
		d.unproven.give(n)
	}
	return false
}

// read reads a body of up to MaxBody, of a request that has proven what it is, or whose
// proof is yet to come. held is what it took of the budget, which is the caller's to give back.
func (d *door) read(w http.ResponseWriter, r *http.Request, proven bool) (body []byte, held int64, f *refusal) {
	if !proven {
		defer func() { d.unproven.give(held) }()
	}
	if r.ContentLength > d.cfg.MaxBody {
		return nil, 0, tooLarge
	}
	src := http.MaxBytesReader(w, r.Body, d.cfg.MaxBody)
	size := int64(firstRead)
	if 0 <= r.ContentLength && r.ContentLength < size {
		size = r.ContentLength + 1 // the last byte is for its end
	}
	for {
		if !d.room(size-held, proven) {
			return nil, held, errNoRoomToRead
		}
		held = size
		body = append(make([]byte, 0, size), body...)
		for len(body) < cap(body) {
			n, err := src.Read(body[len(body):cap(body)])
			body = body[:len(body)+n]
			if err == io.EOF {
				return body, held, nil
			}
			if err != nil {
				return nil, held, refusalOfRead(err)
			}
		}
		size = min(2*size, d.cfg.MaxBody+1)
	}
}

func refusalOfRead(err error) *refusal {
	_, large := errors.AsType[*http.MaxBytesError](err)
	switch {
	case large:
		return tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return tooSlow
	}
	return torn
}

// budget bounds what is in use of something.
type budget struct {
	max  int64
	used atomic.Int64
}

// take takes n, and reports whether there was as much left.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.max {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// quiet passes on what net/http has to say of its handlers, as an error, and takes what
// it says of clients for details: strangers must not fill a log.
type quiet struct{ slog.Handler }

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "panic") {
		r.Level = slog.LevelError
	}
	if !q.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

// Enabled lets all records come to Handle.
func (q quiet) Enabled(context.Context, slog.Level) bool { return true }
