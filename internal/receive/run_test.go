package receive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callstitch/internal/receive/feed"
)

// testRun is a receiver that runs in virtual time, and is told to end by end.
type testRun struct {
	testDoor
	health *http.Client
	end    context.CancelFunc
	ended  <-chan error
}

// runVirtually runs a receiver until the test ends it, or has ended it.
func runVirtually(t *testing.T, k *taker, change func(*Config), test func(r testRun)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg, log := testConfig(t).withDefaults(), new(bytes.Buffer)
		cfg.Listen, cfg.ProbePeriod = "", 5*time.Second
		cfg.Log = slog.New(slog.NewTextHandler(log, nil))
		if change != nil {
			change(&cfg)
		}
		r, err := open(&cfg, k)
		if err != nil {
			t.Fatal(err)
		}
		door, health := newPipes(), newPipes()
		r.doorListener, r.healthListener = door, health
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.run(ctx) }()
		defer func() {
			end()
			time.Sleep(time.Minute)
		}()
		client := func(p *pipes) *http.Client {
			return &http.Client{Transport: &http.Transport{DialContext: p.dial, DisableKeepAlives: true}}
		}
		test(testRun{testDoor{t, r.door, door, client(door), log}, client(health), end, ended})
	})
}

// ready is what /readyz says.
func (r testRun) ready() (status int, answer struct {
	Ready   bool
	Phase   string
	Reasons []string
},
) {
	r.Helper()
	resp, err := r.health.Get("http://health/readyz")
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		r.Error(err)
	}
	return resp.StatusCode, answer
}

// TestLeaving: an instance that is told to end says so for a probe period, in which it
// takes what comes; answers what is in flight then; and takes nothing after that.
func TestLeaving(t *testing.T) {
	k := new(taker)
	runVirtually(t, k, nil, func(r testRun) {
		k.take = func(_ context.Context, e Event) error {
			if string(e.Body) == "late" {
				time.Sleep(9 * time.Second)
			}
			return nil
		}
		if status, got := r.ready(); status != http.StatusOK || !got.Ready || len(got.Reasons) > 0 {
			t.Errorf("answered %d, %+v", status, got)
		}
		begun := time.Now()
		r.end()
		synctest.Wait()
		if status, got := r.ready(); status != http.StatusServiceUnavailable || got.Ready || got.Phase != "leaving" || len(got.Reasons) != 1 {
			t.Errorf("answered %d, %+v", status, got)
		}
		time.Sleep(r.cfg.ProbePeriod - time.Second)
		keeping, reader := r.raw("POST /open/a/b HTTP/1.1\r\nHost: door\r\nContent-Length: 4\r\n\r\nsoon")
		defer keeping.Close()
		if resp, err := http.ReadResponse(reader, nil); err != nil || resp.StatusCode != http.StatusOK || !resp.Close {
			t.Errorf("a client that keeps its connection is answered %+v, %v: it should hear that the connection ends", resp, err)
		}
		var posts sync.WaitGroup
		posts.Go(func() {
			r.want(r.post("/open/a/b", "late"), http.StatusOK)
		})
		time.Sleep(2 * time.Second)
		if _, err := r.try(http.MethodPost, "/open/a/b", strings.NewReader("too late")); err == nil {
			t.Error("an instance that had left answered")
		}
		if status, got := r.ready(); status != http.StatusServiceUnavailable || got.Phase != "leaving" {
			t.Errorf("answered %d, %+v while requests are in flight", status, got)
		}
		posts.Wait()
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took < r.cfg.ProbePeriod+8*time.Second || took > r.cfg.ProbePeriod+9*time.Second {
			t.Errorf("it took %s", took)
		}
		if got := k.bodies(); !slices.Equal(got, []string{"soon", "late"}) {
			t.Errorf("took %q", got)
		}
	})
}

// TestWhatIsNotAnsweredInTimeIsCutOff: an end that never comes is no end. What was not
// taken is not answered, and nothing is taken after Run has returned.
func TestWhatIsNotAnsweredInTimeIsCutOff(t *testing.T) {
	k := new(taker)
	runVirtually(t, k, nil, func(r testRun) {
		k.take = func(ctx context.Context, _ Event) error {
			<-ctx.Done()
			return nil
		}
		r.end()
		time.Sleep(r.cfg.ProbePeriod - time.Second)
		slow, reader := r.raw("POST /open/a/b HTTP/1.1\r\nHost: door\r\nContent-Length: 2\r\n\r\n1")
		time.Sleep(9 * time.Second)
		go func() { _, _ = io.WriteString(slow, "2") }() // whole now, and 15 s to be taken
		if status, _ := r.answer(reader); status != 0 {
			t.Errorf("answered %d", status)
		}
		before := len(k.bodies())
		err := <-r.ended
		if after := len(k.bodies()); err != nil || before != 0 || after != 1 {
			t.Errorf("took %d events before, %d when it ended, %v", before, after, err)
		}
		if err := r.take(t.Context(), Event{}); !errors.Is(err, errClosed) {
			t.Errorf("an event after the end: %v", err)
		}
		if !strings.Contains(r.log.String(), "cut off") {
			t.Errorf("nothing is said:\n%s", r.log)
		}
	})
}

func TestNotReady(t *testing.T) {
	k := &taker{notYet: errors.New("Kafka does not answer")}
	runVirtually(t, k, nil, func(r testRun) {
		status, got := r.ready()
		if status != http.StatusServiceUnavailable || got.Ready || !slices.Equal(got.Reasons, []string{"Kafka does not answer"}) {
			t.Errorf("answered %d, %+v", status, got)
		}
		for path, want := range map[string]int{"/healthz": http.StatusOK, "/metrics": http.StatusOK, "/": http.StatusNotFound, "/open/a/b": http.StatusNotFound} {
			resp, err := r.health.Get("http://health" + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s: answered %s", path, resp.Status)
			}
		}
		resp, err := r.try(http.MethodGet, "/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.want(resp, http.StatusNotFound) // not the providers' business
	})
}

func TestMetricsOfIntakeAndFeeds(t *testing.T) {
	change := func(c *Config) {
		c.Feeds = []Feed{{Name: "pbx", URL: "ws://127.0.0.1:1/"}}
		c.Spool = Spool{Dir: "of the intake", Max: 5 << 30}
	}
	runVirtually(t, new(taker), change, func(r testRun) {
		begun := r.metric(`last_event_time_seconds{endpoint="pbx"}`)
		if begun == "" || r.metric(`last_event_time_seconds{endpoint="/open/{tenant}/{scope}"}`) != begun {
			t.Errorf("before the first event the last one was at %q, want the beginning", begun)
		}
		time.Sleep(time.Minute)
		r.want(r.post("/open/a/b", "x"), http.StatusOK)
		for name, want := range map[string]string{
			"in_flight_bytes":      "1",
			"spooled_events_total": "2",
			"spool_records":        "3",
			"spool_bytes":          "4",
			"spool_max_bytes":      "5.36870912e+09",
			`feed_up{feed="pbx"}`:  "0",
			`feed_frames_total{feed="pbx",what="taken"}`:                   "0",
			`requests_total{code="200",endpoint="/open/a/b"}`:              "", // the label is the path as configured
			`request_seconds_count`:                                        "1",
			`requests_total{code="200",endpoint="/open/{tenant}/{scope}"}`: "1",
			`requests_total{code="503",endpoint="/open/{tenant}/{scope}"}`: "0",
		} {
			if got := r.metric(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if got := r.metric(`last_event_time_seconds{endpoint="/open/{tenant}/{scope}"}`); got == begun {
			t.Errorf("the last event was at %q, the beginning", got)
		}
	})
}

// TestFeedsLeaveBeforeTheEnd: what a feed has in hand when it is told to leave is still
// taken, and the run ends when the feed has logged out.
func TestFeedsLeaveBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := new(taker)
		cfg := Config{Hold: time.Second, MaxInFlight: 1 << 20, Feeds: []Feed{{Name: "pbx", URL: "ws://127.0.0.1:1/", Tenant: "acme"}}}.withDefaults()
		r, err := open(&cfg, k)
		if err != nil {
			t.Fatal(err)
		}
		left := false
		r.feeds[0].receive = func(ctx context.Context, _ feed.Config, take feed.Take) error {
			<-ctx.Done()
			time.Sleep(9 * time.Second)
			left = true
			return take(context.WithoutCancel(ctx), time.Now(), []byte("in hand"))
		}
		ctx, end := context.WithCancel(t.Context())
		end()
		if err := r.run(ctx); err != nil || !left || !slices.Equal(k.bodies(), []string{"in hand"}) {
			t.Errorf("took %q, left %t: %v", k.bodies(), left, err)
		}
	})
}

// TestAFeedThatCannotBeEndsTheRun, with what is wrong.
func TestAFeedThatCannotBeEndsTheRun(t *testing.T) {
	feeds := func(c *Config) { c.Feeds = []Feed{{Name: "pbx"}} }
	runVirtually(t, new(taker), feeds, func(r testRun) {
		if err := <-r.ended; err == nil || !strings.Contains(err.Error(), "pbx") {
			t.Errorf("ended with %v", err)
		}
	})
}

// TestAnAddressThatIsTaken: a run that cannot begin says which key to change, and keeps
// nothing open.
func TestAnAddressThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	for key, change := range map[string]func(*Config){
		"receive.listen":      func(c *Config) { c.Listen = l.Addr().String() },
		"receive.http.listen": func(c *Config) { c.Listen, c.HTTPListen = free.Addr().String(), l.Addr().String() },
	} {
		cfg := testConfig(t).withDefaults()
		change(&cfg)
		if _, err := open(&cfg, new(taker)); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("got %v, want %s", err, key)
		}
	}
	again, err := net.Listen("tcp", free.Addr().String())
	if err != nil {
		t.Errorf("the door was left open: %v", err)
	} else {
		_ = again.Close()
	}
}

// TestSecretsAreReadAtTheStart: a file that is not there stops a run before it listens.
func TestSecretsAreReadAtTheStart(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"an endpoint's":     func(c *Config) { c.Endpoints[0].Auth.PasswordFile = "nowhere" },
		"a feed's password": func(c *Config) { c.Feeds = []Feed{{Name: "a", PasswordFile: "nowhere"}} },
		"a feed's token":    func(c *Config) { c.Feeds = []Feed{{Name: "a", TokenFile: "nowhere"}} },
		"a certificate":     func(c *Config) { c.TLS = TLS{CertFile: "nowhere", KeyFile: "nowhere"} },
	} {
		cfg := testConfig(t).withDefaults()
		change(&cfg)
		if _, err := open(&cfg, new(taker)); err == nil || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
