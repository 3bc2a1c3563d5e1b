package receive

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// endpoint is a path that a provider posts to, and what is done with what comes.
type endpoint struct {
	Endpoint
	answer answer
	door   *door
	guard  *guard
	log    *slog.Logger

	control, refusing rarely
}

func newEndpoint(d *door, e *Endpoint) (*endpoint, error) {
	out := &endpoint{Endpoint: *e, answer: answerTo(e.Provider), door: d, log: d.log.With("endpoint", e.Path)}
	var err error
	out.guard, err = newGuard(e.Auth, out.answer.signature, d.cfg.TrustedProxies, out.log)
	d.metrics.begin(e.Path, &out.answer)
	return out, err
}

// ServeHTTP answers a post. It says that an event was taken only when it was.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	if f := e.receive(w, r); f != nil {
		e.door.refuse(w, r, e.Path, f, begun)
		return
	}
	e.door.metrics.taken(e.Path)
	e.door.metrics.answered(e.Path, codeOf(e.answer.success), begun)
	w.WriteHeader(e.answer.success)
}

// receive takes the event of a request, or says why not. Whatever its body is, it is an
// event: what is wrong with it is told in the rejects, and a refusal would lose it.
func (e *endpoint) receive(w http.ResponseWriter, r *http.Request) *refusal {
	if r.Method != http.MethodPost {
		return notPost
	}
	connection, whole := connectionOf(r.Context()), false
	if !connection.begin() {
		return e.refuse(ErrNoRoom, e.answer.unread)
	}
	defer func() { connection.end(whole) }()
	event, ok := e.event(r)
	if !ok {
		return notFound
	}
	if f := e.guard.admit(r); f != nil {
		return f
	}
	if c := r.Header.Get("Content-Encoding"); c != "" && !strings.EqualFold(c, "identity") {
		return encoded
	}
	body, held, f := e.door.read(w, r, e.guard.admits())
	defer e.door.bodies.give(held)
	if f == errNoRoomToRead {
		return e.refuse(ErrNoRoom, e.answer.unread)
	}
	if f != nil {
		return f
	}
	connection.hold()
	whole = true
	if f := e.guard.verify(r, body); f != nil {
		return f
	}
	name, wants := e.answer.event(body)
	if wants.kind == control {
		e.warn(name, wants)
	}
	event.Received, event.Body = time.Now(), body
	// Who posted may have gone by now: the event is taken for all that.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), e.door.cfg.Hold+takeMargin)
	defer cancel()
	if err := e.door.take(ctx, event); err != nil {
		return e.refuse(err, wants.kind)
	}
	return nil
}

// errNoRoomToRead is a refusal in the place of which the provider's own is given.
var errNoRoomToRead = &refusal{}

// namePattern is what a segment of a path may say: no more than goes into a record's
// header, and into a URL as it is.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// event is what a request's line and header tell of its event, and whether they can be.
func (e *endpoint) event(r *http.Request) (Event, bool) {
	out := Event{Provider: e.Provider.String(), Tenant: e.Tenant, Scope: e.Scope, Traceparent: traceparent(r)}
	for _, s := range []struct {
		segment string
		value   *string
	}{{tenantSegment, &out.Tenant}, {scopeSegment, &out.Scope}} {
		if !hasSegment(e.Path, s.segment) {
			continue
		}
		*s.value = r.PathValue(strings.Trim(s.segment, "{}"))
		if !namePattern.MatchString(*s.value) {
			return Event{}, false
		}
	}
	return out, true
}

// traceparentPattern is the form of W3C Trace Context; later versions may append.
var traceparentPattern = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{0,128})?$`)

// traceparent is the trace that a request is part of; empty where it says none.
func traceparent(r *http.Request) string {
	if t := r.Header.Get("Traceparent"); traceparentPattern.MatchString(t) {
		return t
	}
	return ""
}

// warn tells, and tells loudly, of an event that wanted instructions: the empty answer
// that it gets ends somebody's call.
func (e *endpoint) warn(name string, w wants) {
	e.door.metrics.control.WithLabelValues(e.Path, name).Inc()
	if e.control.now() {
		e.log.Warn("an event that must be answered by your call-control application came here: the empty answer it gets ends the call; have that URL point to your application",
			"event", name, "setting", w.setting)
	}
}

// refuse is how an event is refused that was not taken.
func (e *endpoint) refuse(err error, k kind) *refusal {
	if e.refusing.now() {
		level := slog.LevelError
		if errors.Is(err, ErrNoRoom) || errors.Is(err, ErrNotInTime) {
			level = slog.LevelWarn
		}
		e.log.Log(context.Background(), level, "events are refused", "error", err)
	}
	if k == notification {
		return dropped
	}
	return unavailable
}
