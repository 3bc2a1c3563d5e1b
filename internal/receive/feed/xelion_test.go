package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// atPBX runs a test beside a fake server, in virtual time. Whatever happens, no
// log holds a secret or a number.
func atPBX(t *testing.T, test func(t *testing.T, p *pbx, n *network, cfg Config)) {
	synctest.Test(t, func(t *testing.T) {
		p := newPBX()
		n := newNetwork(t, p)
		cfg := Config{
			Name: "pbx1", Provider: "xelion", Server: "http://pbx.example", PBXTenant: "master", Username: "callstitch",
			Password: func() (string, error) { return "s3cret", nil }, Instance: "a", StateDir: t.TempDir(), Client: n.client(),
		}
		test(t, p, n, cfg)
	})
}

func quiet(t *testing.T, lives ...*life) {
	t.Helper()
	for _, l := range lives {
		for _, secret := range secrets {
			if l.journal.has(secret) {
				t.Errorf("the log has %q:\n%s", secret, l.journal.String())
			}
		}
	}
}

func connected(t *testing.T, p *pbx, most time.Duration) time.Duration {
	t.Helper()
	return within(t, most, "a subscribed socket", func() bool { return len(p.open()) == 1 })
}

func TestXelion(t *testing.T) {
	atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
		l := run(t, cfg)
		connected(t, p, time.Second)
		equal(t, "subscribed", p.open()[0].toggled, xelionEvents)
		equal(t, "user space", p.open()[0].space, "callstitch-a")
		began := time.Now()
		p.push(hangUp(1))
		rest(time.Hour) // of silence, but for heartbeats
		equal(t, "taken", l.taker.taken(), []string{hangUp(1)})
		equal(t, "received", l.taker.at[0], began)
		equal(t, "up", l.counters.Up(), true)
		equal(t, "reconnects", l.counters.Reconnects(), int64(0))
		equal(t, "echoes", l.counters.Frames(Dropped), int64(120))
		info, err := os.Stat(filepath.Join(cfg.StateDir, "feed-pbx1.json"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("kept token: %v, %v", info.Mode(), err)
		}

		l.stop(t)
		equal(t, "sessions after logout", len(p.sessions), 0)
		equal(t, "last request", p.asked[len(p.asked)-1], "logout")
		equal(t, "up", l.counters.Up(), false)
		if kept, _ := os.ReadDir(cfg.StateDir); len(kept) > 0 {
			t.Errorf("kept after logout: %v", kept)
		}
		quiet(t, l)
	})
}

// TestXelionRenewal has sessions that end unless they are renewed.
func TestXelionRenewal(t *testing.T) {
	for _, test := range []struct {
		name  string
		zone  string
		life  time.Duration
		every time.Duration
	}{
		{"the end has a zone", time.RFC3339, 4 * time.Hour, 2 * time.Hour},
		{"the end has none, and is hours off", time.DateTime, 20*time.Minute + time.Second, 10 * time.Minute},
		{"the end is no time", "soon", time.Hour, 10 * time.Minute},
		{"the end is near", time.RFC3339, 40 * time.Second, 30 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
				p.zone, p.life = test.zone, test.life
				l := run(t, cfg)
				connected(t, p, time.Second)
				for range 6 * 60 {
					rest(time.Minute)
					p.expire()
				}
				synctest.Wait()
				equal(t, "logins", len(p.logins), 1)
				equal(t, "up", l.counters.Up(), true)
				renewed := p.sessions["callstitch-a"].renewed
				equal(t, "between renewals", renewed[1].Sub(renewed[0]), test.every)
				l.stop(t)
				equal(t, "sessions after logout", len(p.sessions), 0)
				quiet(t, l)
			})
		})
	}
}

// TestXelionRenewalFails has a server that cannot renew for a while, which is no
// reason to leave, and one that will not, which is.
func TestXelionRenewalFails(t *testing.T) {
	atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
		l := run(t, cfg)
		connected(t, p, time.Second)
		p.set(func() { p.refuse["renew"] = pbxRefusal{500, 11000} })
		rest(20 * time.Minute)
		p.set(func() { delete(p.refuse, "renew") })
		rest(10 * time.Minute)
		equal(t, "logins", len(p.logins), 1)
		equal(t, "renewed", len(p.sessions["callstitch-a"].renewed) > 0, true)

		p.set(func() { p.refuse["renew"] = pbxRefusal{401, 10024} })
		within(t, 15*time.Minute, "a new login", func() bool { return p.is(func() bool { return len(p.logins) == 2 }) })
		connected(t, p, time.Second)
		p.push(hangUp(1))
		equal(t, "taken", l.taker.taken(), []string{hangUp(1)})
		l.stop(t)
		quiet(t, l)
	})
}

// TestXelionAnswerIsWaitedFor ends feeds while a new token is on its way: who does
// not wait for it can end the session no more.
func TestXelionAnswerIsWaitedFor(t *testing.T) {
	const slow = 5 * time.Second
	for _, test := range []struct {
		at    time.Duration
		asked []string
	}{
		{slow / 2, []string{"login", "logout"}},
		{slow + xelionRenewal + slow/2, []string{"login", "websocket", "renew", "logout"}},
	} {
		atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
			p.slow = slow
			l := run(t, cfg)
			rest(test.at)
			l.stop(t)
			equal(t, "asked", p.asked, test.asked)
			equal(t, "sessions", len(p.sessions), 0)
			quiet(t, l)
		})
	}
}

// TestXelionRestart kills a feed, which leaves its session behind.
func TestXelionRestart(t *testing.T) {
	killed := func(t *testing.T, p *pbx, n *network, cfg Config) {
		t.Helper()
		l := run(t, cfg)
		connected(t, p, time.Second)
		n.down.Store(true) // so that it cannot log out
		l.stop(t)
		n.down.Store(false)
		equal(t, "sessions left behind", len(p.sessions), 1)
		equal(t, "says so", l.journal.has("without a farewell"), true)
	}
	t.Run("and is started", func(t *testing.T) {
		atPBX(t, func(t *testing.T, p *pbx, n *network, cfg Config) {
			killed(t, p, n, cfg)
			l := run(t, cfg)
			connected(t, p, time.Second)
			equal(t, "reconnects", l.counters.Reconnects(), int64(0))
			l.stop(t)
			quiet(t, l)
		})
	})
	t.Run("and what it kept is lost", func(t *testing.T) {
		atPBX(t, func(t *testing.T, p *pbx, n *network, cfg Config) {
			p.life = 30 * time.Minute
			killed(t, p, n, cfg)
			os.Remove(filepath.Join(cfg.StateDir, "feed-pbx1.json"))
			l := run(t, cfg)
			took := connected(t, p, time.Hour)
			if took < 29*time.Minute {
				t.Errorf("connected after %v, while the old session lived", took)
			}
			equal(t, "says why", l.journal.has("code 10005: somebody is logged in in this user space"), true)
			if tries := len(p.logins); tries < 30 || tries > 120 {
				t.Errorf("%d logins in half an hour", tries)
			}
			l.stop(t)
			quiet(t, l)
		})
	})
	t.Run("and its session has ended", func(t *testing.T) {
		atPBX(t, func(t *testing.T, p *pbx, n *network, cfg Config) {
			p.strict = true // the server refuses tokens that it has forgotten
			killed(t, p, n, cfg)
			rest(2 * time.Hour)
			p.expire()
			p.asked = nil
			l := run(t, cfg)
			connected(t, p, time.Second)
			equal(t, "asked", p.asked, []string{"login", "login", "websocket"})
			l.stop(t)
			quiet(t, l)
		})
	})
	t.Run("and its session has ended, and somebody took its place", func(t *testing.T) {
		atPBX(t, func(t *testing.T, p *pbx, n *network, cfg Config) {
			p.strict = true
			killed(t, p, n, cfg)
			p.set(func() { p.sessions["callstitch-a"].token = "token-of-another" })
			p.asked = nil
			l := run(t, cfg)
			rest(50 * time.Minute)
			if tries := len(p.asked); tries > 180 { // about two a minute: a dead token is shown once
				t.Errorf("%d requests", tries)
			}
			_, err := os.Stat(filepath.Join(cfg.StateDir, "feed-pbx1.json"))
			equal(t, "the dead token is forgotten", errors.Is(err, fs.ErrNotExist), true)
			l.stop(t)
			quiet(t, l)
		})
	})
	t.Run("and another account is configured", func(t *testing.T) {
		atPBX(t, func(t *testing.T, p *pbx, n *network, cfg Config) {
			killed(t, p, n, cfg)
			cfg.Instance = "b"
			l := run(t, cfg)
			connected := within(t, time.Second, "a second socket", func() bool {
				return slices.ContainsFunc(p.open(), func(s *pbxSocket) bool { return s.space == "callstitch-b" })
			})
			equal(t, "sessions", len(p.sessions), 2) // the token of the other ended nothing
			_ = connected
			l.stop(t)
			quiet(t, l)
		})
	})
}

// TestXelionSecondInstance has two feeds of one account, which is how a pair is run.
func TestXelionSecondInstance(t *testing.T) {
	atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
		other := cfg
		other.Instance, other.StateDir = "b", t.TempDir()
		one, two := run(t, cfg), run(t, other)
		within(t, time.Second, "both", func() bool { return len(p.open()) == 2 })
		p.push(hangUp(1))
		equal(t, "taken by one", one.taker.taken(), []string{hangUp(1)})
		equal(t, "taken by the other", two.taker.taken(), []string{hangUp(1)})
		// A third with the name of the first is refused, and does no harm.
		third := run(t, Config{
			Name: "pbx1", Provider: "xelion", Server: cfg.Server, PBXTenant: "master", Username: "callstitch",
			Password: cfg.Password, Instance: "a", Client: cfg.Client,
		})
		rest(time.Hour)
		equal(t, "third is up", third.counters.Up(), false)
		equal(t, "third says why", third.journal.has("code 10005"), true)
		equal(t, "first is up", one.counters.Up(), true)
		one.stop(t)
		within(t, 61*time.Second, "the third takes over", third.counters.Up)
		two.stop(t)
		third.stop(t)
		quiet(t, one, two, third)
	})
}

// TestXelionRefusals are told in words, and not tried so often that an account is locked.
func TestXelionRefusals(t *testing.T) {
	for code, words := range map[int]string{
		10004: "wrong user name", 10006: "disabled", 10007: "expired", 10012: "second factor", 10013: "second factor",
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
				p.refuse["login"] = pbxRefusal{401, code}
				l := run(t, cfg)
				rest(time.Hour)
				equal(t, "says why", l.journal.has(fmt.Sprintf("log in: refused with status 401, code %d: ", code)) && l.journal.has(words), true)
				if tries := len(p.asked); tries < 10 || tries > 13 {
					t.Errorf("%d logins in an hour", tries)
				}
				p.set(func() { delete(p.refuse, "login") })
				connected(t, p, xelionLasting)
				l.stop(t)
				quiet(t, l)
			})
		})
	}
	t.Run("too many requests", func(t *testing.T) {
		atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
			p.refuse["login"] = pbxRefusal{429, 10400}
			l := run(t, cfg)
			rest(time.Hour - time.Second)
			equal(t, "logins in an hour", len(p.asked), 60)
			l.stop(t)
		})
	})
}

// TestXelionPassword is read at each login.
func TestXelionPassword(t *testing.T) {
	atPBX(t, func(t *testing.T, p *pbx, _ *network, cfg Config) {
		p.password = "s3cret2"
		password, fault := "s3cret", error(nil)
		cfg.Password = func() (string, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			return password, fault
		}
		l := run(t, cfg)
		equal(t, "up", l.counters.Up(), false)
		p.set(func() { fault = errors.New("no such file") })
		rest(xelionLasting + time.Minute)
		equal(t, "says why", l.journal.has("read the password: no such file"), true)
		p.set(func() { password, fault = "s3cret2", nil })
		connected(t, p, xelionLasting)
		l.stop(t)
		quiet(t, l)
	})
}

func TestXelionWithoutTLS(t *testing.T) {
	answers := map[string]string{
		"login":     `{"authentication":"token-1","renewalToken":"renewal-1","validUntil":null}`,
		"websocket": `{"object":"ws://pbx.example/socket"}`,
	}
	var asked []string
	cfg := Config{
		Name: "pbx1", Provider: "xelion", Server: "pbx.example", PBXTenant: "a/b", Username: "u", Instance: "i",
		Password: func() (string, error) { return "p", nil },
		Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.String())
			w := newAnswer(answers[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]])
			return w, nil
		})},
	}
	_, _, err := cfg.dialect().open(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no wss:// address") {
		t.Errorf("a socket without TLS at a server with it: %v", err)
	}
	equal(t, "asked", asked, []string{"https://pbx.example/api/v1/a%2Fb/me/login", "https://pbx.example/api/v1/a%2Fb/me/websocket"})
}

func TestXelionTokenIsTorn(t *testing.T) {
	kept := keepToken(t.TempDir(), "a/b", "account")
	for _, text := range []string{"", "{", `{"of":"other","token":"t"}`} {
		if err := os.WriteFile(kept.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if token, err := kept.read(); token != "" || err != nil {
			t.Errorf("of %q: %q, %v", text, token, err)
		}
	}
	if err := kept.write("t"); err != nil {
		t.Fatal(err)
	}
	if token, err := kept.read(); token != "t" || err != nil {
		t.Errorf("%q, %v", token, err)
	}
}

func TestXelionSubscribesToWhatIsAskedFor(t *testing.T) {
	x := newXelion(&Config{Events: []string{"missedCallEvent", `a"b`}})
	for i, frame := range x.subscriptions() {
		var request map[string]any
		if err := json.Unmarshal([]byte(frame), &request); err != nil || request["notificationType"] != x.cfg.Events[i] {
			t.Errorf("%s: %v", frame, err)
		}
	}
}
