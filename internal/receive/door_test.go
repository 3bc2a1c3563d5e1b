package receive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"callstitch/internal/receive/auth"
	"callstitch/processor/call"
)

// taker is where a test's events go.
type taker struct {
	mu     sync.Mutex
	events []Event
	take   func(ctx context.Context, e Event) error // nil takes all
	notYet error                                    // what Ready says
}

func (k *taker) Take(ctx context.Context, e Event) error {
	if k.take != nil {
		if err := k.take(ctx, e); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, e)
	return nil
}

func (k *taker) Ready() error { return k.notYet }

func (k *taker) Stats() Stats {
	return Stats{InFlightBytes: 1, Spooled: 2, SpoolRecords: 3, SpoolBytes: 4}
}

func (k *taker) bodies() (all []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.events {
		all = append(all, string(e.Body))
	}
	return all
}

// secretFile has secrets in it.
func secretFile(t *testing.T, secrets ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(strings.Join(secrets, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// testConfig has an endpoint of each kind.
func testConfig(t *testing.T) Config {
	return Config{
		Topic: "call.raw", Hold: 10 * time.Second, MaxBody: 1 << 20, MaxInFlight: 64 << 20, Listen: "127.0.0.1:0",
		Endpoints: []Endpoint{
			{Path: "/bandwidth/acme", Provider: call.Bandwidth, Tenant: "acme", Auth: Auth{Username: "bw", PasswordFile: secretFile(t, "old", "new")}},
			{Path: "/stringee/acme", Provider: call.Stringee, Tenant: "acme", Scope: "pcc", Auth: Auth{SignatureFile: secretFile(t, "old", "new")}},
			{Path: "/opentact/{tenant}", Provider: call.Opentact, Auth: Auth{TokenFile: secretFile(t, "old", "new")}},
			{Path: "/open/bandwidth", Provider: call.Bandwidth, Auth: Auth{None: true}},
			{Path: "/open/{tenant}/{scope}", Provider: call.Opentact, Auth: Auth{None: true}},
		},
		Metrics: prometheus.NewRegistry(),
	}
}

// pipes is a network in memory, which virtual time does not wait for.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{accept: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8085} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.accept <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// testDoor is a door in virtual time, with a client that keeps no connection.
type testDoor struct {
	*testing.T
	*door
	pipes  *pipes
	client *http.Client
	log    *bytes.Buffer
}

// virtually opens a door in virtual time.
func virtually(t *testing.T, change func(*Config), k *taker, test func(d testDoor)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg, log := testConfig(t), new(bytes.Buffer)
		cfg.Log = slog.New(slog.NewTextHandler(log, nil))
		if change != nil {
			change(&cfg)
		}
		if problems := cfg.Validate(); len(problems) > 0 {
			t.Fatal(problems)
		}
		d, err := newDoor(&cfg, k.Take, newMetrics(cfg.Metrics))
		if err != nil {
			t.Fatal(err)
		}
		server, p := d.server(), newPipes()
		done := make(chan error, 1)
		go func() { done <- server.Serve(listener{p, d.connections}) }()
		defer func() {
			_ = server.Close()
			<-done
			time.Sleep(time.Second) // in which net/http lets go of connections
			if n := d.connections.open; n != 0 {
				t.Errorf("%d connections are counted after all are closed", n)
			}
			if n := d.connections.requests; n != 0 {
				t.Errorf("%d requests are counted after all are answered", n)
			}
			if n := d.bodies.used.Load(); n != 0 {
				t.Errorf("%d bytes are counted after all are answered", n)
			}
		}()
		test(testDoor{t, d, p, &http.Client{Transport: &http.Transport{DialContext: p.dial, DisableKeepAlives: true}}, log})
	})
}

// post posts, and returns the answer without a body.
func (d testDoor) post(path, body string, header ...string) *http.Response {
	d.Helper()
	resp, err := d.try(http.MethodPost, path, strings.NewReader(body), header...)
	if err != nil {
		d.Fatalf("%s: %v", path, err)
	}
	return resp
}

func (d testDoor) try(method, path string, body io.Reader, header ...string) (*http.Response, error) {
	d.Helper()
	r, err := http.NewRequest(method, "http://door"+path, body)
	if err != nil {
		d.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := d.client.Do(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	return resp, err
}

func (d testDoor) want(resp *http.Response, status int) {
	d.Helper()
	if resp.StatusCode != status {
		d.Errorf("answered %s, want %d", resp.Status, status)
	}
}

// metric is a metric's value as /metrics has it; empty: there is none.
func (d testDoor) metric(name string) string {
	d.Helper()
	return metric(d.cfg.Metrics, name)
}

func metric(r prometheus.Gatherer, name string) string {
	page := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	_, rest, found := strings.Cut(page.Body.String(), "\ncallstitch_receive_"+name+" ")
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

func basic(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

// TestChallenge is what Bandwidth does: a request without credentials, and a second one
// with them, if the answer to the first asks for them.
func TestChallenge(t *testing.T) {
	k := new(taker)
	virtually(t, nil, k, func(d testDoor) {
		const body = `{"eventType":"disconnect","callId":"c-1"}`
		first := d.post("/bandwidth/acme", body)
		d.want(first, http.StatusUnauthorized)
		if got := first.Header.Get("WWW-Authenticate"); got != `Basic realm="callstitch"` {
			t.Errorf("the challenge is %q", got)
		}
		if len(k.bodies()) > 0 {
			t.Error("an event was taken without credentials")
		}
		second := d.post("/bandwidth/acme", body, "Authorization", basic("bw:old"))
		d.want(second, http.StatusNoContent)
		d.want(d.post("/bandwidth/acme", "2", "Authorization", basic("bw:new")), http.StatusNoContent) // at once
		wrong := d.post("/bandwidth/acme", body, "Authorization", basic("bw:newer"))
		d.want(wrong, http.StatusUnauthorized)
		if wrong.Header.Get("WWW-Authenticate") == "" {
			t.Error("wrong credentials are not asked for again")
		}
		if got := k.bodies(); !slices.Equal(got, []string{body, "2"}) {
			t.Errorf("took %q", got)
		}
	})
}

func TestSignedBody(t *testing.T) {
	k := new(taker)
	virtually(t, nil, k, func(d testDoor) {
		const body = "\xff{\"call_id\":\"\xc3\x28\"}\x00"
		for _, key := range []string{"old", "new"} {
			d.want(d.post("/stringee/acme", body, "X-STRINGEE-SIGNATURE", auth.Stringee.Sign(key, []byte(body))), http.StatusOK)
		}
		for _, signature := range []string{"", "x", auth.Stringee.Sign("newer", []byte(body)), auth.Stringee.Sign("new", []byte(body+" "))} {
			refused := d.post("/stringee/acme", body, "X-STRINGEE-SIGNATURE", signature)
			d.want(refused, http.StatusUnauthorized)
			if refused.Header.Get("WWW-Authenticate") == "" {
				t.Error("401 without a challenge")
			}
		}
		if got := k.bodies(); !slices.Equal(got, []string{body, body}) {
			t.Errorf("took %q", got)
		}
		if e := k.events[0]; e.Provider != "stringee" || e.Tenant != "acme" || e.Scope != "pcc" {
			t.Errorf("took %+v", e)
		}
	})
}

func TestToken(t *testing.T) {
	k := new(taker)
	virtually(t, nil, k, func(d testDoor) {
		d.want(d.post("/opentact/acme", "1", "Authorization", "Bearer old"), http.StatusOK)
		d.want(d.post("/opentact/acme?token=new", "2"), http.StatusOK)
		for _, refused := range []*http.Response{
			d.post("/opentact/acme", "3"),
			d.post("/opentact/acme", "3", "Authorization", "Bearer newer"),
			d.post("/opentact/acme?token=", "3"),
			d.post("/opentact/acme?token=newer", "3"),
		} {
			d.want(refused, http.StatusUnauthorized)
			if got := refused.Header.Get("WWW-Authenticate"); got != `Bearer realm="callstitch"` {
				t.Errorf("the challenge is %q", got)
			}
		}
		if got := k.bodies(); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("took %q", got)
		}
		if strings.Contains(d.log.String(), "newer") {
			t.Error("a token is in the log")
		}
	})
}

func TestWhatAnEventBringsAlong(t *testing.T) {
	k := new(taker)
	virtually(t, nil, k, func(d testDoor) {
		time.Sleep(time.Hour)
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		d.want(d.post("/open/acme.eu/pbx-1", `[]`, "Traceparent", trace), http.StatusOK)
		d.want(d.post("/open/acme/pbx-1", ``, "Traceparent", "00-0AF7"), http.StatusOK)
		want := Event{Provider: "opentact", Tenant: "acme.eu", Scope: "pbx-1", Traceparent: trace, Received: time.Now(), Body: []byte("[]")}
		if got := k.events[0]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("took %+v, want %+v", got, want)
		}
		if got := k.events[1]; got.Traceparent != "" || got.Body == nil {
			t.Errorf("took %+v", got)
		}
	})
}

// TestWhateverTheBodyIsItIsTaken: what is no event is told in the rejects; a 400 would
// lose it.
func TestWhateverTheBodyIsItIsTaken(t *testing.T) {
	k := new(taker)
	virtually(t, nil, k, func(d testDoor) {
		bodies := []string{"", "{", "\x00\xff", "a=b&c=d", strings.Repeat("[", 1000), strings.Repeat("x", 1<<20), strings.Repeat("y", firstRead), strings.Repeat("z", firstRead+1)}
		for _, body := range bodies {
			d.want(d.post("/open/bandwidth", body), http.StatusNoContent)
			d.want(d.post("/open/a/b", body, "Content-Type", "text/plain"), http.StatusOK)
			resp, err := d.try(http.MethodPost, "/open/a/b", io.MultiReader(strings.NewReader(body))) // in chunks, no length
			if err != nil {
				t.Fatal(err)
			}
			d.want(resp, http.StatusOK)
		}
		for i, got := range k.bodies() {
			if got != bodies[i/3] {
				t.Errorf("took %.20q… of %d bytes, want %d", got, len(got), len(bodies[i/3]))
			}
		}
	})
}

func TestOtherRequests(t *testing.T) {
	k := new(taker)
	virtually(t, nil, k, func(d testDoor) {
		for _, test := range []struct {
			method, path string
			status       int
		}{
			{http.MethodPost, "/", http.StatusNotFound},
			{http.MethodPost, "/open", http.StatusNotFound},
			{http.MethodPost, "/open/bandwidth/", http.StatusNotFound},
			{http.MethodPost, "/open/a/b/c", http.StatusNotFound},
			{http.MethodPost, "/open/a%20b/c", http.StatusNotFound},
			{http.MethodPost, "/open/a%0Ab/c", http.StatusNotFound},
			{http.MethodPost, "/open/a%2Fb/c", http.StatusNotFound},
			{http.MethodPost, "/open/a/-c", http.StatusNotFound},
			{http.MethodPost, "/open/a/" + strings.Repeat("c", 129), http.StatusNotFound},
			{http.MethodPost, "//open/bandwidth", http.StatusNotFound}, // and not led to the right one
			{http.MethodPost, "/open//bandwidth", http.StatusNotFound},
			{http.MethodPost, "/open/./bandwidth", http.StatusNotFound},
			{http.MethodGet, "/nowhere", http.StatusNotFound},
			{http.MethodGet, "/open/bandwidth", http.StatusMethodNotAllowed},
			{http.MethodHead, "/open/bandwidth", http.StatusMethodNotAllowed},
			{http.MethodPut, "/bandwidth/acme", http.StatusMethodNotAllowed},
			{http.MethodDelete, "/open/a/b", http.StatusMethodNotAllowed},
		} {
			resp, err := d.try(test.method, test.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.status {
				t.Errorf("%s %s: answered %s, want %d", test.method, test.path, resp.Status, test.status)
			}
			if allow := resp.Header.Get("Allow"); (allow == "POST") != (test.status == http.StatusMethodNotAllowed) {
				t.Errorf("%s %s: Allow is %q", test.method, test.path, allow)
			}
		}
		for _, encoding := range []string{"gzip", "identity, gzip", "br"} {
			d.want(d.post("/open/bandwidth", "x", "Content-Encoding", encoding), http.StatusUnsupportedMediaType)
		}
		d.want(d.post("/open/bandwidth", "taken", "Content-Encoding", "identity"), http.StatusNoContent)
		if got := k.bodies(); !slices.Equal(got, []string{"taken"}) {
			t.Errorf("took %q", got)
		}
		if n := d.metric(`requests_total{code="404",endpoint="none"}`); n != "8" {
			t.Errorf("%s requests for no endpoint are counted, want 8", n)
		}
	})
}

// TestAPathThatSaysMore: an endpoint for one tenant, beside that of all others, takes
// what is posted to it.
func TestAPathThatSaysMore(t *testing.T) {
	k := new(taker)
	change := func(c *Config) {
		c.Endpoints = append(c.Endpoints, Endpoint{Path: "/open/acme/pcc", Provider: call.Bandwidth, Tenant: "one", Auth: Auth{None: true}})
	}
	virtually(t, change, k, func(d testDoor) {
		d.want(d.post("/open/acme/pcc", "{}"), http.StatusNoContent)
		d.want(d.post("/open/acme/icc", "{}"), http.StatusOK)
		if len(k.events) != 2 || k.events[0].Tenant != "one" || k.events[1].Tenant != "acme" {
			t.Errorf("took %+v", k.events)
		}
	})
}

// TestRefusals: what was not taken is refused in the way in which its sender tries again.
func TestRefusals(t *testing.T) {
	for name, err := range map[string]error{"no room": ErrNoRoom, "not in time": fmt.Errorf("after a while: %w", ErrNotInTime), "a fault": errors.New("a fault")} {
		k := &taker{take: func(context.Context, Event) error { return err }}
		t.Run(name, func(t *testing.T) {
			virtually(t, nil, k, func(d testDoor) {
				for _, body := range []string{`{"eventType":"disconnect"}`, `{"eventType":"transferDisconnect"}`, `{"event_type":"recordingAvailable"}`} {
					if resp, err := d.try(http.MethodPost, "/open/bandwidth", strings.NewReader(body)); !errors.Is(err, io.EOF) {
						t.Errorf("%s: answered %v, %v; want the end of the connection", body, resp, err)
					}
				}
				for _, resp := range []*http.Response{
					d.post("/open/bandwidth", `{"eventType":"initiate"}`),
					d.post("/open/bandwidth", `{"eventType":"conferenceCreated"}`),
					d.post("/open/bandwidth", `{"eventType":"novelty"}`),
					d.post("/open/bandwidth", ``),
					d.post("/open/a/b", `{"eventType":"disconnect"}`),
					d.post("/stringee/acme", ``, "X-Stringee-Signature", auth.Stringee.Sign("new", nil)),
				} {
					d.want(resp, http.StatusServiceUnavailable)
					if got := resp.Header.Get("Retry-After"); got != "5" {
						t.Errorf("Retry-After is %q", got)
					}
				}
				if n := d.metric(`requests_total{code="dropped",endpoint="/open/bandwidth"}`); n != "3" {
					t.Errorf("%s dropped connections are counted, want 3", n)
				}
				if n := strings.Count(d.log.String(), "events are refused"); n != 3 {
					t.Errorf("refusals are told %d times in a minute, want once for each endpoint:\n%s", n, d.log)
				}
				if told := strings.Contains(d.log.String(), "ERROR"); told != (name == "a fault") {
					t.Errorf("told as an error: %t", told)
				}
			})
		})
	}
}

// TestCallControl: an event that wants instructions is taken, counted, and told once a
// minute with the setting to change.
func TestCallControl(t *testing.T) {
	k := new(taker)
	virtually(t, nil, k, func(d testDoor) {
		const said, setting = "answered by your call-control application", `event=initiate setting="the application's CallInitiatedCallbackUrl"`
		initiate := `{"eventType":"initiate","from":"+15555550100"}`
		for range 10 {
			d.want(d.post("/open/bandwidth", initiate), http.StatusNoContent)
		}
		d.want(d.post("/open/bandwidth", `{"eventType":"answer"}`), http.StatusNoContent)
		d.want(d.post("/open/bandwidth", `{"eventType":"disconnect"}`), http.StatusNoContent)
		if n := strings.Count(d.log.String(), said); n != 1 || !strings.Contains(d.log.String(), setting) {
			t.Errorf("told %d times in a minute:\n%s", n, d.log)
		}
		time.Sleep(rarelyInterval)
		d.want(d.post("/open/bandwidth", initiate), http.StatusNoContent)
		if n := strings.Count(d.log.String(), said); n != 2 {
			t.Errorf("told %d times in two minutes", n)
		}
		if len(k.bodies()) != 13 {
			t.Errorf("took %d events, want 13", len(k.bodies()))
		}
		for event, want := range map[string]string{"initiate": "11", "answer": "1", "disconnect": ""} {
			if n := d.metric(`call_control_total{endpoint="/open/bandwidth",event="` + event + `"}`); n != want {
				t.Errorf("%s of %s are counted, want %s", n, event, want)
			}
		}
		if strings.Contains(d.log.String(), "555") {
			t.Error("a number is in the log")
		}
	})
}

// TestAnEventIsTakenThoughItsSenderHasGone: it is whole, and may never come again.
func TestAnEventIsTakenThoughItsSenderHasGone(t *testing.T) {
	k := new(taker)
	k.take = func(ctx context.Context, _ Event) error {
		select {
		case <-time.After(9 * time.Second):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	virtually(t, nil, k, func(d testDoor) {
		d.client.Timeout = time.Second
		if _, err := d.try(http.MethodPost, "/open/bandwidth", strings.NewReader("x")); err == nil {
			t.Error("answered within a second")
		}
		time.Sleep(time.Minute)
		if got := k.bodies(); !slices.Equal(got, []string{"x"}) {
			t.Errorf("took %q", got)
		}
	})
}

// TestTakingEndsSomeTime: what takes events may hang, and the door must not.
func TestTakingEndsSomeTime(t *testing.T) {
	k := new(taker)
	k.take = func(ctx context.Context, _ Event) error {
		<-ctx.Done()
		return ctx.Err()
	}
	virtually(t, nil, k, func(d testDoor) {
		begun := time.Now()
		d.want(d.post("/open/a/b", "x"), http.StatusServiceUnavailable)
		if took := time.Since(begun); took != d.cfg.Hold+takeMargin {
			t.Errorf("it took %s", took)
		}
	})
}

// raw is a connection on which a test writes what no client would.
func (d testDoor) raw(request string) (net.Conn, *bufio.Reader) {
	d.Helper()
	c, err := d.pipes.dial(d.Context(), "", "")
	if err != nil {
		d.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, request) }()
	return c, bufio.NewReader(c)
}

// answer reads an answer; 0 is the end of the connection, with how long it took.
func (d testDoor) answer(r *bufio.Reader) (status int, after time.Duration) {
	begun := time.Now()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, time.Since(begun)
	}
	return resp.StatusCode, time.Since(begun)
}

func TestSlowAndTornRequests(t *testing.T) {
	const line = "POST /open/a/b HTTP/1.1\r\nHost: door\r\n"
	for _, test := range []struct {
		name, request string
		status        int
		after         time.Duration
	}{
		{"nothing", "", 0, headerLimit},
		{"half a line", "POST /open/a/b HT", http.StatusBadRequest, headerLimit},
		{"a header without an end", line, 0, headerLimit},
		{"a body that does not come", line + "Content-Length: 5\r\n\r\n", http.StatusRequestTimeout, bodyLimit},
		{"half a body", line + "Content-Length: 5\r\n\r\n12", http.StatusRequestTimeout, bodyLimit},
		{"a chunk that does not come", line + "Transfer-Encoding: chunked\r\n\r\n5\r\n12", http.StatusRequestTimeout, bodyLimit},
		{"chunks without an end", line + "Transfer-Encoding: chunked\r\n\r\n2\r\n12\r\n", http.StatusRequestTimeout, bodyLimit},
		{"a chunk that is none", line + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", http.StatusBadRequest, 0},
		{"two lengths", line + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456", http.StatusBadRequest, 0},
		{"a length of nothing", line + "Content-Length: -1\r\n\r\n", http.StatusBadRequest, 0},
		{"a length too large", line + "Content-Length: 1048577\r\n\r\n", http.StatusRequestEntityTooLarge, 0},
		{"a length beyond all", line + "Content-Length: 9223372036854775807\r\n\r\n", http.StatusRequestEntityTooLarge, 0},
		{"a compressed transfer", line + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", http.StatusNotImplemented, 0},
		{"a header too large", line + "X: " + strings.Repeat("x", 2*headerBytes) + "\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := new(taker)
			virtually(t, nil, k, func(d testDoor) {
				c, r := d.raw(test.request)
				defer c.Close()
				status, after := d.answer(r)
				if status != test.status || after != test.after {
					t.Errorf("answered %d after %s, want %d after %s", status, after, test.status, test.after)
				}
				if test.status != 0 {
					if _, err := io.Copy(io.Discard, r); err != nil {
						t.Errorf("the connection goes on: %v", err)
					}
				}
				if len(k.bodies()) > 0 {
					t.Error("half an event was taken")
				}
			})
		})
	}
}

// TestALengthThatLies: what is beyond a length is no part of the event, and is no
// request; an event of which some is missing is not taken.
func TestALengthThatLies(t *testing.T) {
	k := new(taker)
	virtually(t, nil, k, func(d testDoor) {
		c, r := d.raw("POST /open/a/b HTTP/1.1\r\nHost: door\r\nContent-Length: 2\r\n\r\n123456\r\n\r\n")
		for _, want := range []int{http.StatusOK, http.StatusBadRequest} {
			if got, _ := d.answer(r); got != want {
				t.Errorf("answered %d, want %d", got, want)
			}
		}
		_ = c.Close()
		c, _ = d.raw("POST /open/a/b HTTP/1.1\r\nHost: door\r\nContent-Length: 6\r\n\r\n123")
		time.Sleep(time.Second)
		_ = c.Close()
		synctest.Wait()
		if got := k.bodies(); !slices.Equal(got, []string{"12"}) {
			t.Errorf("took %q", got)
		}
	})
}

// TestBodiesAreBounded: what requests hold has a bound; the next is refused, and is
// taken when there is room again. A length that is claimed, and not sent, holds little.
func TestBodiesAreBounded(t *testing.T) {
	k := new(taker)
	const claimed, size = 100, 128 << 10
	const fit = 6 // large bodies beside the claims
	limits := func(c *Config) { c.MaxBody, c.MaxInFlight = size, 2*(claimed*firstRead+size+size/2) }
	virtually(t, limits, k, func(d testDoor) {
		// A client that keeps its connections is listened to until it has sent all: a pipe
		// cannot be closed by half, as a socket is for others.
		keeping := &http.Transport{DialContext: d.pipes.dial}
		defer keeping.CloseIdleConnections()
		d.client = &http.Client{Transport: keeping}
		free := make(chan struct{})
		k.take = func(context.Context, Event) error {
			<-free
			return nil
		}
		var claims []net.Conn
		for range claimed {
			c, _ := d.raw("POST /open/a/b HTTP/1.1\r\nHost: door\r\nContent-Length: 131072\r\n\r\n{")
			claims = append(claims, c)
		}
		synctest.Wait()
		if held := d.bodies.used.Load(); held != claimed*firstRead {
			t.Errorf("claims hold %d bytes", held)
		}
		large := strings.Repeat("x", size)
		var posts sync.WaitGroup
		for range fit {
			posts.Go(func() { d.want(d.post("/open/a/b", large), http.StatusOK) })
			synctest.Wait()
		}
		refused := d.post("/open/a/b", large)
		d.want(refused, http.StatusServiceUnavailable)
		if got := refused.Header.Get("Retry-After"); got != "5" {
			t.Errorf("Retry-After is %q", got)
		}
		if _, err := d.try(http.MethodPost, "/open/bandwidth", strings.NewReader(large)); err == nil {
			t.Error("a provider that repeats only what broke is given an answer")
		}
		posts.Go(func() { d.want(d.post("/open/a/b", "small"), http.StatusOK) })
		synctest.Wait()
		close(free)
		posts.Wait()
		for _, c := range claims {
			_ = c.Close()
		}
		d.want(d.post("/open/a/b", large), http.StatusOK)
	})
}

// TestStrangersHaveHalf: who sends bodies slowly, and has proven nothing, keeps none from
// being heard who proves what he is first.
func TestStrangersHaveHalf(t *testing.T) {
	const strangers = 100 // who would take all
	limits := func(c *Config) { c.MaxBody, c.MaxInFlight = 4<<10, strangers*firstRead }
	virtually(t, limits, new(taker), func(d testDoor) {
		var slow []net.Conn
		for range strangers {
			c, _ := d.raw("POST /stringee/acme HTTP/1.1\r\nHost: door\r\nContent-Length: 4096\r\n\r\n{")
			slow = append(slow, c)
		}
		synctest.Wait()
		d.want(d.post("/stringee/acme", "{}"), http.StatusServiceUnavailable)
		d.want(d.post("/opentact/acme", "{}", "Authorization", "Bearer new"), http.StatusOK)
		time.Sleep(bodyLimit + time.Second)
		d.want(d.post("/stringee/acme", "{}"), http.StatusUnauthorized)
		if held := d.unproven.used.Load() + d.bodies.used.Load(); held != 0 {
			t.Errorf("%d bytes are held by nobody", held)
		}
		for _, c := range slow {
			_ = c.Close()
		}
	})
}

func TestSources(t *testing.T) {
	cfg := testConfig(t)
	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	g, err := newGuard(Auth{SourceIPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.35/32")}}, nil, cfg.TrustedProxies, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		peer, forwarded string
		want            bool
	}{
		{"192.0.2.35:1", "", true},
		{"[::ffff:192.0.2.35]:1", "", true},
		{"192.0.2.36:1", "", false},
		{"192.0.2.36:1", "192.0.2.35", false}, // a stranger is not believed
		{"10.0.0.1:1", "192.0.2.35", true},
		{"10.0.0.1:1", "192.0.2.35, 192.0.2.36", false},
		{"10.0.0.1:1", "", false},
		{"pipe", "", false},
	} {
		r, _ := http.NewRequest(http.MethodPost, "/", nil)
		r.RemoteAddr = test.peer
		if test.forwarded != "" {
			r.Header.Set("X-Forwarded-For", test.forwarded)
		}
		f := g.admit(r)
		if (f == nil) != test.want || f != nil && f.status != http.StatusForbidden {
			t.Errorf("%s for %s: %+v", test.peer, test.forwarded, f)
		}
	}
}

// TestAllThatIsAskedForMustHold: a token from the wrong address is no token.
func TestAllThatIsAskedForMustHold(t *testing.T) {
	g, err := newGuard(Auth{TokenFile: secretFile(t, "token"), SourceIPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.35/32")}}, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		peer, token string
		want        int
	}{
		{"192.0.2.35:1", "token", 0},
		{"192.0.2.35:1", "", http.StatusUnauthorized},
		{"192.0.2.36:1", "token", http.StatusForbidden},
	} {
		r, _ := http.NewRequest(http.MethodPost, "/?token="+test.token, nil)
		r.RemoteAddr = test.peer
		status := 0
		if f := g.admit(r); f != nil {
			status = f.status
		}
		if status != test.want {
			t.Errorf("%q from %s: %d, want %d", test.token, test.peer, status, test.want)
		}
	}
}

// TestNoGuardIsNoDoor: an endpoint that asks for nothing, and does not say so, is not
// served, whoever forgot it.
func TestNoGuardIsNoDoor(t *testing.T) {
	for _, a := range []Auth{{}, {Username: "bw"}, {ClientNames: []string{"a"}}} {
		if _, err := newGuard(a, nil, nil, slog.New(slog.DiscardHandler)); !errors.Is(err, errOpen) {
			t.Errorf("%+v: %v", a, err)
		}
	}
	for _, a := range []Auth{{PasswordFile: "nowhere"}, {TokenFile: secretFile(t)}, {SignatureFile: "nowhere"}} {
		if _, err := newGuard(a, nil, nil, slog.New(slog.DiscardHandler)); err == nil || errors.Is(err, errOpen) {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

// TestRotationOfASecret changes a file under a door that is open.
func TestRotationOfASecret(t *testing.T) {
	k := new(taker)
	virtually(t, nil, k, func(d testDoor) {
		path := d.cfg.Endpoints[0].Auth.PasswordFile
		for _, step := range []struct {
			content   string
			old, anew int
		}{
			{"old\nanew", http.StatusNoContent, http.StatusNoContent},
			{"anew", http.StatusUnauthorized, http.StatusNoContent},
			{"", http.StatusUnauthorized, http.StatusNoContent}, // half of a change
		} {
			if err := os.WriteFile(path, []byte(step.content), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			d.want(d.post("/bandwidth/acme", "", "Authorization", basic("bw:old")), step.old)
			d.want(d.post("/bandwidth/acme", "", "Authorization", basic("bw:anew")), step.anew)
		}
		if n := strings.Count(d.log.String(), "a secret is not read again"); n != 1 {
			t.Errorf("told %d times:\n%s", n, d.log)
		}
	})
}

// TestCountersBeginAtZero says that the first call that ends by a wrong URL, and the first
// event that is refused, are an increase to whoever watches.
func TestCountersBeginAtZero(t *testing.T) {
	virtually(t, nil, new(taker), func(d testDoor) {
		for _, counter := range []string{
			`call_control_total{endpoint="/open/bandwidth",event="initiate"}`,
			`requests_total{code="503",endpoint="/open/bandwidth"}`,
			`requests_total{code="dropped",endpoint="/open/bandwidth"}`,
			`requests_total{code="401",endpoint="/open/bandwidth"}`,
			`requests_total{code="204",endpoint="/open/bandwidth"}`,
		} {
			if n := d.metric(counter); n != "0" {
				t.Errorf("%s is %q before anything came", counter, n)
			}
		}
	})
}
