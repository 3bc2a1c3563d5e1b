package feed

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestSocketCloses has a server that closes sockets: each time there is a new one,
// in a session of its own, and the gap is told.
func TestSocketCloses(t *testing.T) {
	atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
		l := run(t, cfg)
		var want []string
		for i := range 5 {
			connected(t, p, 61*time.Second)
			p.push(hangUp(i))
			want = append(want, hangUp(i))
			rest(2 * time.Minute)
			for _, s := range p.open() {
				if i%2 == 0 {
					s.conn.CloseNow()
				} else {
					s.conn.Close(websocket.StatusGoingAway, "call of +15550100001")
				}
			}
			within(t, time.Second, "it is down", func() bool { return !l.counters.Up() })
		}
		connected(t, p, 61*time.Second)
		equal(t, "taken", l.taker.taken(), want)
		equal(t, "reconnects", l.counters.Reconnects(), int64(5))
		equal(t, "sessions", len(p.sessions), 1)
		equal(t, "gap is told", strings.Count(l.journal.String(), "connected again"), 5)
		equal(t, "its length is told", strings.Count(l.journal.String(), " gap="), 5)
		equal(t, "why is told", strings.Count(l.journal.String(), "closed the connection with status 1001"), 2)
		l.stop(t)
		quiet(t, l)
	})
}

// TestHalfOpen has the other side fall silent without a word.
func TestHalfOpen(t *testing.T) {
	for name, cut := range map[string]func(*pbx){
		"what is sent arrives":  func(p *pbx) { p.mute = true },
		"what is sent does not": func(p *pbx) { p.deaf = true },
	} {
		t.Run(name, func(t *testing.T) {
			atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
				l := run(t, cfg)
				connected(t, p, time.Second)
				rest(time.Hour)
				p.set(func() { cut(p) })
				within(t, 71*time.Second, "it is noticed", func() bool { return !l.counters.Up() })
				p.set(func() { p.mute, p.deaf = false, false })
				within(t, 61*time.Second, "it is up again", l.counters.Up)
				rest(time.Hour)
				equal(t, "reconnects", l.counters.Reconnects(), int64(1))
				equal(t, "says why", l.journal.has(errSilent.Error()), true)
				p.push(hangUp(1))
				equal(t, "taken", l.taker.taken(), []string{hangUp(1)})
				l.stop(t)
				quiet(t, l)
			})
		})
	}
}

// TestFramesKeepAConnection has a server that echoes nothing but sends events: it lives.
func TestFramesKeepAConnection(t *testing.T) {
	atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
		l := run(t, cfg)
		connected(t, p, time.Second)
		p.set(func() { p.mute = true })
		for i := range 100 {
			rest(5 * time.Second)
			p.push(hangUp(i))
		}
		equal(t, "taken", len(l.taker.taken()), 100)
		equal(t, "reconnects", l.counters.Reconnects(), int64(0))
		l.stop(t)
	})
}

func TestLargeFrames(t *testing.T) {
	atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
		l := run(t, cfg)
		connected(t, p, time.Second)
		largest := hangUp(1) + strings.Repeat(" ", FrameMax-len(hangUp(1)))
		p.push(largest)
		equal(t, "1 MiB is taken", slices.Equal(l.taker.taken(), []string{largest}), true)
		equal(t, "up", l.counters.Up(), true)

		p.push(largest + " ")
		within(t, time.Second, "it is counted", func() bool { return l.counters.Frames(TooLarge) == 1 })
		connected(t, p, 61*time.Second)
		p.push(hangUp(2))
		equal(t, "taken", len(l.taker.taken()), 2)
		equal(t, "is named", l.journal.has("a frame has more than 1048576 bytes"), true)
		l.stop(t)
		quiet(t, l)
	})
}

// TestServerIsAway has nobody answer for hours: it is not hurried, and found again
// within a minute.
func TestServerIsAway(t *testing.T) {
	atPBX(t, func(t *testing.T, p *pbx, n *network, cfg Config) {
		n.down.Store(true)
		l := run(t, cfg)
		rest(3 * time.Hour)
		if tries := n.dials.Load(); tries < 3*80 || tries > 3*180 {
			t.Errorf("%d tries in three hours, want about one in half a minute", tries)
		}
		equal(t, "up", l.counters.Up(), false)
		equal(t, "reconnects", l.counters.Reconnects(), n.dials.Load()-1)
		n.down.Store(false)
		connected(t, p, time.Minute)

		// After that has lasted, a connection that ends is made anew at once.
		rest(2 * time.Minute)
		p.open()[0].conn.CloseNow()
		within(t, time.Second, "it is down", func() bool { return !l.counters.Up() })
		connected(t, p, retryMin)
		l.stop(t)
		quiet(t, l)
	})
}

func TestBackOff(t *testing.T) {
	for failures, most := range map[int]time.Duration{0: time.Second, 1: 2 * time.Second, 5: 32 * time.Second, 6: time.Minute, 1000: time.Minute} {
		var longest time.Duration
		for range 1000 {
			longest = max(longest, backOff(failures))
		}
		if longest >= most || longest < most*9/10 {
			t.Errorf("after %d failures: up to %v, want nearly %v", failures, longest, most)
		}
	}
}

// TestNothingIsTaken refuses every frame for hours. What was read stays in hand,
// nothing more is read, and all of it comes in the end, over the same connection.
func TestNothingIsTaken(t *testing.T) {
	atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
		l := run(t, cfg)
		connected(t, p, time.Second)
		l.taker.refuse.Store(true)
		const frames = 3 * inHand
		pushed := 0
		var want []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range frames {
				p.push(hangUp(i))
				p.set(func() { pushed++ })
			}
		}()
		for i := range frames {
			want = append(want, hangUp(i))
		}
		rest(3 * time.Hour)
		p.set(func() {
			if pushed > inHand+1 {
				t.Errorf("%d frames were read, and %d are in hand", pushed, inHand)
			}
		})
		equal(t, "held", l.counters.Frames(Held), int64(inHand))
		equal(t, "up", l.counters.Up(), false)
		equal(t, "says so", strings.Count(l.journal.String(), "frames are not taken"), 1)
		equal(t, "renewed meanwhile", len(p.sessions["callstitch-a"].renewed), 18)

		l.taker.refuse.Store(false)
		<-done
		rest(offerMax)
		equal(t, "taken", l.taker.taken(), slices.Sorted(slices.Values(want)))
		equal(t, "up", l.counters.Up(), true)
		rest(time.Hour)
		equal(t, "reconnects", l.counters.Reconnects(), int64(0))
		l.stop(t)
		quiet(t, l)
	})
}

// TestConnectionEndsWhileNothingIsTaken loses the connection under frames in hand.
// They are not lost with it, and what may be is told.
func TestConnectionEndsWhileNothingIsTaken(t *testing.T) {
	atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
		l := run(t, cfg)
		connected(t, p, time.Second)
		l.taker.refuse.Store(true)
		var want []string
		for i := range inHand {
			p.push(hangUp(i))
			want = append(want, hangUp(i))
		}
		rest(time.Hour)
		p.set(func() {
			for s := range p.sockets {
				s.conn.CloseNow()
			}
		})
		l.taker.refuse.Store(false)
		rest(2 * time.Minute)
		equal(t, "taken", l.taker.taken(), slices.Sorted(slices.Values(want)))
		equal(t, "loss is told", l.journal.has("reading had stood still for 1h0m"), true)
		equal(t, "up", l.counters.Up(), true)
		l.stop(t)
		quiet(t, l)
	})
}

// TestEndWithFramesInHand stops a feed whose frames are refused: they are offered
// once more, and what is refused then is lost, and said to be.
func TestEndWithFramesInHand(t *testing.T) {
	for _, late := range []bool{false, true} {
		atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
			l := run(t, cfg)
			connected(t, p, time.Second)
			l.taker.refuse.Store(true)
			for i := range 3 {
				p.push(hangUp(i))
			}
			rest(time.Minute)
			if !late {
				l.taker.refuse.Store(false)
			}
			began := time.Now()
			l.stop(t)
			if took := time.Since(began); took > time.Second {
				t.Errorf("ended after %v: a last offer is made at once", took)
			}
			lost := int64(0)
			if late {
				lost = 3
			}
			equal(t, "lost", l.counters.Frames(Lost), lost)
			equal(t, "taken", l.counters.Frames(Taken), 3-lost)
			equal(t, "is told", l.journal.has("a frame is lost"), late)
			equal(t, "sessions", len(p.sessions), 0)
			quiet(t, l)
		})
	}
}

// TestEndWaitsForTheTaker has a frame that is being taken at the end: it may be, for
// a farewell.
func TestEndWaitsForTheTaker(t *testing.T) {
	atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
		for _, takes := range []time.Duration{farewell - time.Second, farewell + time.Minute} {
			ctx, cancel := context.WithCancel(t.Context())
			var counters Counters
			cfg.Counters, cfg.Log = &counters, slogDiscard
			ended := make(chan error)
			go func() {
				ended <- Run(ctx, cfg, func(ctx context.Context, _ time.Time, _ []byte) error { return wait(ctx, time.Second+takes) })
			}()
			connected(t, p, time.Second)
			p.push(hangUp(1))
			rest(time.Second) // it is in hand
			cancel()
			began := time.Now()
			<-ended
			want := int64(1)
			if takes > farewell {
				want = 0
			}
			equal(t, "taken", counters.Frames(Taken), want)
			equal(t, "lost", counters.Frames(Lost), 1-want)
			equal(t, "took", time.Since(began), min(takes, farewell))
		}
	})
}

// TestEndWithASlowTaker has a taker that refuses after a long time, whatever the
// context says: it is not asked again when the farewell is over.
func TestEndWithASlowTaker(t *testing.T) {
	atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
		ctx, cancel := context.WithCancel(t.Context())
		var counters Counters
		cfg.Counters, cfg.Log = &counters, slogDiscard
		ended := make(chan error)
		go func() {
			ended <- Run(ctx, cfg, func(context.Context, time.Time, []byte) error {
				time.Sleep(farewell + 2*time.Second)
				return errNoRoom
			})
		}()
		connected(t, p, time.Second)
		p.push(hangUp(1))
		rest(time.Second) // it is in hand
		cancel()
		began := time.Now()
		<-ended
		equal(t, "took", time.Since(began), farewell+time.Second)
		equal(t, "lost", counters.Frames(Lost), int64(1))
	})
}

func TestKindsThatAreDropped(t *testing.T) {
	c := &connection{feed: &feed{manner: manner{kindIn: []string{"messageType", "type"}, drop: []string{"auth", "test"}}}}
	for frame, want := range map[string]bool{
		`{"type":"auth"}`:                   true,
		`{"messageType":"test","type":"x"}`: true,
		`{"messageType":"x","type":"test"}`: true,
		`{"type":"call_state"}`:             false,
		`{"TYPE":"auth"}`:                   false,
		`{"payload":{"type":"auth"}}`:       false,
		`{"type":["auth"]}`:                 false,
		`{"type":null}`:                     false,
		`[{"type":"auth"}]`:                 false,
		`"auth"`:                            false,
		`null`:                              false,
		`{"type":"auth"`:                    false,
		``:                                  false,
		"{\"type\":\"auth\",\"message\":\"\xff\"}": true,
	} {
		equal(t, frame, c.unwanted([]byte(frame)), want)
	}
}

func TestConfigThatCannotBe(t *testing.T) {
	secret := func() (string, error) { return "", nil }
	pbx := Config{Name: "n", Provider: "xelion", Server: "pbx.example", PBXTenant: "t", Username: "u", Password: secret, Instance: "i"}
	ws := Config{Name: "n", URL: "wss://ws.example/", Token: secret}
	for want, cfg := range map[string]Config{
		"":                       pbx,
		"server is missing":      with(pbx, func(c *Config) { c.Server = "" }),
		"pbx_tenant is missing":  with(pbx, func(c *Config) { c.PBXTenant = "" }),
		"username is missing":    with(pbx, func(c *Config) { c.Username = "" }),
		"password_file":          with(pbx, func(c *Config) { c.Password = nil }),
		"instance_id is missing": with(pbx, func(c *Config) { c.Instance = "" }),
		"instance_id is too":     with(pbx, func(c *Config) { c.Instance = strings.Repeat("i", 190) }),
		"server: want":           with(pbx, func(c *Config) { c.Server = "ftp://pbx.example" }),
		"name is missing":        with(pbx, func(c *Config) { c.Name = "" }),
		"heartbeat is negative":  with(pbx, func(c *Config) { c.Heartbeat = -1 }),
		"url: want":              with(ws, func(c *Config) { c.URL = "https://ws.example/?t=s3cret" }),
		"want token_file":        with(ws, func(c *Config) { c.Token, c.Send = nil, []string{"{{token}}"} }),
		"subscribe_url: want":    with(ws, func(c *Config) { c.Provider, c.SubscribeURL = "opentact", "api.example/s3cret" }),
		"with a token":           with(ws, func(c *Config) { c.Provider, c.Token = "opentact", nil }),
	} {
		err := cfg.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v, want %q", err, want)
		}
		if want != "" {
			if err := Run(t.Context(), cfg, nil); err == nil {
				t.Errorf("Run took it: %s", want)
			}
		}
	}
}

func with(c Config, change func(*Config)) Config {
	c.Log = slogDiscard
	change(&c)
	return c
}

// TestRedirect is not followed: credentials go where the configuration says.
func TestRedirect(t *testing.T) {
	var asked []string
	client := &http.Client{
		CheckRedirect: ours.CheckRedirect,
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Host)
			w := newAnswer("{}")
			w.StatusCode = http.StatusTemporaryRedirect
			w.Header.Set("Location", "https://elsewhere.example/")
			return w, nil
		}),
	}
	err := post(t.Context(), client, "https://here.example/", http.Header{"X-Auth-Token": {"s3cret"}}, "payload", nil)
	if err == nil || !slices.Equal(asked, []string{"here.example"}) {
		t.Errorf("asked %q, %v", asked, err)
	}
}

// TestErrorsHoldNoAddress: an address may hold a token.
func TestErrorsHoldNoAddress(t *testing.T) {
	cfg := Config{Client: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errNoRoom })}}
	err := post(t.Context(), cfg.Client, "https://here.example/?s3cret", nil, nil, nil)
	c := &connection{feed: &feed{cfg: cfg}}
	for _, err := range []error{err, c.dial(t.Context(), "wss://here.example/?s3cret")} {
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v", err)
		}
	}
}
