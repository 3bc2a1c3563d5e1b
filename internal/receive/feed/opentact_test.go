package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newAnswer(text string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(text)), Header: http.Header{}}
}

// account is Opentact's API and socket, for one account.
type account struct {
	mu         sync.Mutex
	token      string
	status     int // of subscriptions; 0: they succeed
	until      map[string]time.Time
	subscribed []time.Time
	sockets    map[*websocket.Conn]bool
	mute       bool // nothing answers a ping
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ws" {
		a.socket(w, r)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var ask struct {
		Active  bool      `json:"is_active"`
		Until   time.Time `json:"expired_on"`
		Channel string    `json:"channel"`
		Type    string    `json:"type"`
	}
	err := json.NewDecoder(r.Body).Decode(&ask)
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/rest/event/subscription" || err != nil || !ask.Active || ask.Channel != "wss":
		w.WriteHeader(http.StatusBadRequest)
	case a.status != 0:
		w.WriteHeader(a.status)
	case r.Header.Get("X-Auth-Token") != a.token:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		a.until[ask.Type] = ask.Until
		a.subscribed = append(a.subscribed, time.Now())
		fmt.Fprint(w, `{"success":true,"payload":{"user":{"phone_number":"+15550100001"}}}`)
	}
}

func (a *account) socket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OnPingReceived: func(context.Context, []byte) bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return !a.mute
	}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	_, hello, err := conn.Read(context.Background())
	a.mu.Lock()
	want := `{"auth":"` + a.token + `"}`
	a.mu.Unlock()
	if err != nil || string(hello) != want {
		return
	}
	conn.Write(context.Background(), websocket.MessageText, []byte(`{"uuid":"u","type":"auth","message":"success auth x@example.org","payload":{"phone":"+15550100001"}}`))
	a.mu.Lock()
	a.sockets[conn] = true
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.sockets, conn)
	}()
	conn.Read(context.Background()) // answers pings
}

// push sends a frame of a kind to everybody, while it is subscribed to.
func (a *account) push(kind, frame string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.until[kind].After(time.Now()) {
		return
	}
	for conn := range a.sockets {
		conn.Write(context.Background(), websocket.MessageText, []byte(frame))
	}
}

func (a *account) set(what func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	what()
}

func atOpentact(t *testing.T, test func(t *testing.T, a *account, cfg Config)) {
	synctest.Test(t, func(t *testing.T) {
		a := &account{token: "token-1", until: map[string]time.Time{}, sockets: map[*websocket.Conn]bool{}}
		n := newNetwork(t, a)
		test(t, a, Config{
			Name: "ot", Provider: "opentact", URL: "ws://ot.example/ws", Send: []string{`{"auth":"{{token}}"}`},
			SubscribeURL: "http://ot.example/rest/event/subscription", Token: func() (string, error) {
				a.mu.Lock()
				defer a.mu.Unlock()
				return a.token, nil
			},
			Client: n.client(),
		})
	})
}

// TestOpentact receives for a week, through subscriptions that lapse after a day.
func TestOpentact(t *testing.T) {
	atOpentact(t, func(t *testing.T, a *account, cfg Config) {
		l := run(t, cfg)
		var want []string
		for i := range 7 * 24 {
			frame := fmt.Sprintf(`{"uuid":"%03d","type":"call_state","call":{"from":"+15550100001"}}`, i)
			a.push("call_state", frame)
			want = append(want, frame)
			a.set(func() { a.token = fmt.Sprint("token-", i) }) // tokens change, too
			rest(time.Hour)
		}
		equal(t, "taken", l.taker.taken(), want)
		equal(t, "reconnects", l.counters.Reconnects(), int64(0))
		equal(t, "dropped", l.counters.Frames(Dropped), int64(1)) // the answer to the authentication
		if n := len(a.subscribed); n != 3*14 && n != 3*15 {
			t.Errorf("%d subscriptions in a week", n)
		}
		equal(t, "subscribed kinds", len(a.until), 3)
		l.stop(t)
		quiet(t, l)
		equal(t, "no address in the log", l.journal.has("example.org"), false)
	})
}

// TestOpentactSubscriptionFails has an API that is away when a subscription is to
// be renewed: what is connected stays so.
func TestOpentactSubscriptionFails(t *testing.T) {
	atOpentact(t, func(t *testing.T, a *account, cfg Config) {
		l := run(t, cfg)
		for _, status := range []int{503, 401, 200} {
			if status == 200 {
				a.set(func() { a.status = 0 })
			} else {
				a.set(func() { a.status = status })
			}
			rest(8 * time.Hour)
		}
		a.push("call_state", `{"type":"call_state"}`)
		equal(t, "taken", l.taker.taken(), []string{`{"type":"call_state"}`})
		equal(t, "reconnects", l.counters.Reconnects(), int64(0))
		equal(t, "says so", l.journal.has("subscribe to call_state: refused with status 401"), true)
		l.stop(t)
		quiet(t, l)
	})
}

// TestOpentactDoesNotAnswer has a server that answers no ping.
func TestOpentactDoesNotAnswer(t *testing.T) {
	atOpentact(t, func(t *testing.T, a *account, cfg Config) {
		a.mute = true
		l := run(t, cfg)
		equal(t, "up", l.counters.Up(), true)
		took := within(t, time.Minute, "it is noticed", func() bool { return !l.counters.Up() })
		if took < 39*time.Second || took > 41*time.Second {
			t.Errorf("noticed after %v", took)
		}
		a.set(func() { a.mute = false })
		within(t, 61*time.Second, "it is up again", l.counters.Up)
		rest(time.Hour)
		equal(t, "up", l.counters.Up(), true)
		equal(t, "reconnects", l.counters.Reconnects(), int64(1))
		l.stop(t)
	})
}

// TestOpentactReconnects while its API is away, with a subscription that has not
// lapsed, and with one that has.
func TestOpentactReconnects(t *testing.T) {
	atOpentact(t, func(t *testing.T, a *account, cfg Config) {
		l := run(t, cfg)
		broken := func() {
			t.Helper()
			a.set(func() {
				a.status = 500
				for conn := range a.sockets {
					conn.CloseNow()
				}
			})
			rest(2 * time.Minute)
		}
		for i := range 3 {
			broken()
			a.push("call_state", fmt.Sprintf(`{"type":"call_state","uuid":"%d"}`, i))
			equal(t, "taken", len(l.taker.taken()), i+1)
		}
		rest(24 * time.Hour)
		broken()
		equal(t, "up without a subscription", l.counters.Up(), false)
		a.set(func() { a.status = 0 })
		within(t, time.Minute, "it is up again", l.counters.Up)
		l.stop(t)
		quiet(t, l)
	})
}

func TestOpentactRefusesByItsAnswer(t *testing.T) {
	cfg := Config{
		Provider: "opentact", URL: "wss://ot.example/ws", Events: []string{"call_state"}, Token: func() (string, error) { return "t", nil },
		Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if got := r.URL.String(); got != opentactSubscriptions {
				t.Errorf("asked %s", got)
			}
			return newAnswer(`{"success":false,"payload":{}}`), nil
		})},
	}
	if _, _, err := cfg.dialect().open(t.Context()); err == nil || !strings.Contains(err.Error(), "call_state") {
		t.Errorf("%v", err)
	}
	cfg.Events = []string{} // subscribed to elsewhere
	address, hello, err := cfg.dialect().open(t.Context())
	if err != nil || address != cfg.URL || !slices.Equal(hello, nil) {
		t.Errorf("%s, %q, %v", address, hello, err)
	}
}
