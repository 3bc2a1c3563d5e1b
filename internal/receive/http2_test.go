package receive

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callstitch/processor/call"
)

// TestHTTP2: over one connection, a body that does not come is answered, a notification
// that is not taken ends its stream without an answer, and others are served meanwhile.
func TestHTTP2(t *testing.T) {
	ours, dir := newAuthority(t), t.TempDir()
	cfg := testConfig(t).withDefaults()
	cfg.TLS = TLS{CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")}
	cert, key := ours.pair(t, "door.example")
	write(t, cfg.TLS.CertFile, cert)
	write(t, cfg.TLS.KeyFile, key)
	cfg.Endpoints = []Endpoint{{Path: "/open", Provider: call.Bandwidth, Auth: Auth{None: true}}}
	k := &taker{take: func(_ context.Context, e Event) error {
		if bytes.Contains(e.Body, []byte("refused")) {
			return ErrNoRoom
		}
		return nil
	}}
	r, err := open(&cfg, k)
	if err != nil {
		t.Fatal(err)
	}
	r.doorServer.ReadTimeout = time.Second // of a test that must wait for it
	go func() { _ = r.serveDoor() }()
	t.Cleanup(func() { _ = r.doorServer.Close() })
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ours.pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	post := func(body io.Reader) int {
		resp, err := client.Post("https://"+r.doorListener.Addr().String()+"/open", "application/json", body)
		if err != nil {
			return 0
		}
		_ = resp.Body.Close()
		if resp.ProtoMajor != 2 {
			t.Errorf("answered over %s", resp.Proto)
		}
		return resp.StatusCode
	}
	if got := post(strings.NewReader("{}")); got != http.StatusNoContent {
		t.Errorf("answered %d", got)
	}
	slow, writer := io.Pipe()
	defer writer.Close()
	answered := make(chan int)
	go func() { answered <- post(slow) }()
	_, _ = io.WriteString(writer, "{") // it is on its way
	for body, want := range map[string]int{
		`{"eventType":"disconnect","tag":"refused"}`: 0,
		`{"eventType":"initiate","tag":"refused"}`:   http.StatusServiceUnavailable,
		`{"eventType":"disconnect"}`:                 http.StatusNoContent,
		strings.Repeat("x", 1<<20+1):                 http.StatusRequestEntityTooLarge,
	} {
		if got := post(strings.NewReader(body)); got != want {
			t.Errorf("%.40s: answered %d, want %d", body, got, want)
		}
	}
	if n := r.door.connections.count(); n != 1 {
		t.Errorf("%d connections, want one: a request's fault is not its neighbours'", n)
	}
	if got := <-answered; got != http.StatusRequestTimeout {
		t.Errorf("a slow body: answered %d", got)
	}
}

// TestStrangersDoNotFillTheLog: what net/http says of clients is a detail, and of
// handlers an error.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	for _, test := range []struct{ said, want string }{
		{"http: TLS handshake error from 192.0.2.1:1: EOF", ""},
		{"http: panic serving 192.0.2.1:1: oh", "level=ERROR"},
	} {
		var log bytes.Buffer
		slog.NewLogLogger(quiet{slog.NewTextHandler(&log, nil)}, slog.LevelDebug).Print(test.said)
		if got := log.String(); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: logged %q", test.said, got)
		}
	}
}

// BenchmarkDoor is what a post costs the door itself: nothing is done with events.
func BenchmarkDoor(b *testing.B) {
	cfg := Config{Hold: time.Second, MaxBody: 1 << 20, MaxInFlight: 64 << 20, Endpoints: []Endpoint{{Path: "/open", Provider: call.Bandwidth, Auth: Auth{None: true}}}}.withDefaults()
	d, err := newDoor(&cfg, func(context.Context, Event) error { return nil }, newMetrics(cfg.Metrics))
	if err != nil {
		b.Fatal(err)
	}
	e, err := newEndpoint(d, &cfg.Endpoints[0])
	if err != nil {
		b.Fatal(err)
	}
	body := `{"accountId":"9900000","callId":"c-1","from":"+15555550100","to":"+15555550101","direction":"inbound","tag":"` + strings.Repeat("x", 600) + `","eventType":"disconnect"}`
	discarded, _ := net.Pipe()
	c := d.connections.add(discarded)
	ctx := context.WithValue(b.Context(), connectionKey{}, c)
	b.ReportAllocs()
	for b.Loop() {
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, "/open", strings.NewReader(body))
		e.ServeHTTP(nowhere{}, r)
	}
}

// nowhere is where an answer goes that nobody reads.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}
