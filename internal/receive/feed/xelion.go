package feed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// xelionRenewal is how often a session is renewed whose end is told without a
	// zone, which is how the documentation shows it.
	xelionRenewal = 10 * time.Minute
	// xelionSoonest bounds renewals from below: too many requests can get a client blocked.
	xelionSoonest = 30 * time.Second
	// xelionLasting is the wait after a refusal that only a person can change. Accounts
	// are locked after a number of failed logins.
	xelionLasting = 5 * time.Minute
	// xelionSpaceMax bounds the name of a user space, in characters.
	xelionSpaceMax = 200
)

// xelionEvents are all that tell of calls.
var xelionEvents = []string{
	"newCallEvent", "callConnectedEvent", "channelHungUpEvent", "callHungUpEvent", "missedCallEvent", "callTransferredEvent",
}

// xelionRefusals say what a code means and what to do. A login is refused with them.
var xelionRefusals = map[int]struct {
	reason string
	wait   time.Duration
}{
	10004: {"wrong user name, password or tenant", xelionLasting},
	10005: {"somebody is logged in in this user space: another process has the same instance_id, or the token of an earlier session is lost (state_dir); the server ends that session in time, or give this process another instance_id", 0},
	10006: {"the account is disabled", xelionLasting},
	10007: {"the password has expired", xelionLasting},
	10012: {"the account asks for a second factor, which no service can give: use one without", xelionLasting},
	10013: {"the account asks for a second factor, which no service can give: use one without", xelionLasting},
}

// xelion gives a connection to who is logged in. A user is logged in once in a
// user space, until logout, and a second login is refused, so each instance has a
// space of its own. A login with the token of the session before ends that session
// first: so every connection begins with a login, whatever became of the last one.
type xelion struct {
	cfg     *Config
	kept    keptToken
	session xelionSession // the zero one: none
}

// xelionSession is what a login or a renewal answers.
type xelionSession struct {
	Authentication string `json:"authentication"`
	RenewalToken   string `json:"renewalToken"`
	ValidUntil     string `json:"validUntil"`
}

func newXelion(c *Config) *xelion {
	x := &xelion{cfg: c}
	x.kept = keepToken(c.StateDir, c.Name, strings.Join([]string{x.base(), c.Username, x.space()}, " "))
	return x
}

func (x *xelion) validate(c *Config) error {
	var errs []error
	for _, need := range []struct{ key, value string }{
		{"server", c.Server}, {"pbx_tenant", c.PBXTenant}, {"username", c.Username}, {"instance_id", c.Instance},
	} {
		if need.value == "" {
			errs = append(errs, fmt.Errorf("%s is missing", need.key))
		}
	}
	if c.Password == nil {
		errs = append(errs, errors.New("password_file is missing"))
	}
	if u, err := url.Parse(x.base()); err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		errs = append(errs, errors.New("server: want a host, such as pbx.example"))
	}
	if len(x.space()) > xelionSpaceMax {
		errs = append(errs, fmt.Errorf("instance_id is too long: %s may have %d characters", x.space(), xelionSpaceMax))
	}
	return errors.Join(errs...)
}

// manner drops the echoes of the heartbeat.
func (x *xelion) manner() manner {
	return manner{
		kindIn: []string{"messageType", "notificationType"},
		drop:   []string{"test"},
		beat:   `{"messageType":"test"}`,
	}
}

func (x *xelion) base() string {
	if strings.Contains(x.cfg.Server, "://") {
		return strings.TrimSuffix(x.cfg.Server, "/")
	}
	return "https://" + x.cfg.Server
}

func (x *xelion) me(what string) string {
	return x.base() + "/api/v1/" + url.PathEscape(x.cfg.PBXTenant) + "/me/" + what
}

func (x *xelion) space() string { return "callstitch-" + x.cfg.Instance }

func (x *xelion) open(ctx context.Context) (string, []string, error) {
	if err := x.login(ctx); err != nil {
		return "", nil, fmt.Errorf("log in: %w", err)
	}
	var answer struct {
		Object string `json:"object"`
	}
	if err := x.ask(ctx, "websocket", nil, &answer); err != nil {
		return "", nil, fmt.Errorf("ask for a WebSocket: %w", err)
	}
	u, err := url.Parse(answer.Object)
	plainText := strings.HasPrefix(x.base(), "http://")
	if err != nil || u.Host == "" || u.Scheme != "wss" && (u.Scheme != "ws" || !plainText) {
		return "", nil, errors.New("ask for a WebSocket: the answer has no wss:// address")
	}
	return answer.Object, x.subscriptions(), nil
}

func (x *xelion) subscriptions() []string {
	var frames []string
	for _, event := range x.cfg.events(xelionEvents) {
		frames = append(frames, `{"messageType":"notificationRequest","notificationType":"`+inString(event)+`","toggle":true}`)
	}
	return frames
}

// login begins a session, and ends the one before. The answer is waited for even when
// ctx ends: who misses the token is locked out of what it is for.
func (x *xelion) login(ctx context.Context) error {
	whole := context.WithoutCancel(ctx)
	password, err := x.cfg.Password()
	if err != nil {
		return fmt.Errorf("read the password: %w", err)
	}
	if x.session.Authentication == "" {
		if x.session.Authentication, err = x.kept.read(); err != nil {
			x.cfg.Log.Warn("the session of an earlier life cannot be ended", "err", err)
		}
	}
	credentials := map[string]string{"userName": x.cfg.Username, "password": password, "userSpace": x.space()}
	var session xelionSession
	err = x.ask(whole, "login", credentials, &session)
	if x.session.Authentication != "" && forgotten(err) && ctx.Err() == nil {
		// The server does not know the session before any more.
		x.session = xelionSession{}
		if err := x.kept.forget(); err != nil {
			x.cfg.Log.Warn("the session of an earlier life is kept on", "err", err)
		}
		err = x.ask(whole, "login", credentials, &session)
	}
	if err != nil {
		return err
	}
	return x.begin(session)
}

// forgotten reports whether a refusal is of the token that came with a request,
// rather than of the request.
func forgotten(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && (r.code == 10000 || r.code >= 10020 && r.code <= 10029)
}

// begin takes up a session, and keeps its token before it is used: who dies now
// can end it in the next life.
func (x *xelion) begin(session xelionSession) error {
	if session.Authentication == "" {
		return errors.New("the answer has no session token")
	}
	x.session = session
	if err := x.kept.write(session.Authentication); err != nil {
		x.cfg.Log.Warn("a restart will not be able to end this session", "err", err)
	}
	return nil
}

// lease is half of what is left of the session, where its end can be trusted.
func (x *xelion) lease() time.Duration {
	if until, err := time.Parse(time.RFC3339, x.session.ValidUntil); err == nil {
		return max(time.Until(until)/2, xelionSoonest)
	}
	// Without a zone it may be hours off, either way. It can only make us hurry.
	until, err := time.Parse(time.DateTime, x.session.ValidUntil)
	if left := time.Until(until) / 2; err == nil && left > 0 {
		return min(max(left, xelionSoonest), xelionRenewal)
	}
	return xelionRenewal
}

// renew waits for its answer as login does.
func (x *xelion) renew(ctx context.Context) error {
	var session xelionSession
	err := x.ask(context.WithoutCancel(ctx), "renew", x.session.RenewalToken, &session)
	if r, ok := errors.AsType[*refusal](err); ok && r.status == http.StatusUnauthorized {
		return fmt.Errorf("renew the session: %w: %w", errOver, err)
	}
	if err != nil {
		return fmt.Errorf("renew the session: %w", err)
	}
	return x.begin(session)
}

func (x *xelion) leave(ctx context.Context) error {
	if x.session.Authentication == "" {
		return nil
	}
	if err := x.ask(ctx, "logout", nil, nil); err != nil && !forgotten(err) {
		return fmt.Errorf("log out: %w", err)
	}
	x.session = xelionSession{}
	return x.kept.forget()
}

func (x *xelion) ask(ctx context.Context, what string, payload, answer any) error {
	header := http.Header{}
	if token := x.session.Authentication; token != "" {
		header.Set("Authorization", "xelion "+token)
	}
	err := post(ctx, x.cfg.client(), x.me(what), header, payload, answer)
	if r, ok := errors.AsType[*refusal](err); ok {
		if known, ok := xelionRefusals[r.code]; ok {
			r.reason, r.wait = known.reason, known.wait
		}
	}
	return err
}
