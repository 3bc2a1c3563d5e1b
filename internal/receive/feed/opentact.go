package feed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const (
	// opentactSubscriptions is where Opentact is told which events to push.
	opentactSubscriptions = "https://api.opentact.org/rest/event/subscription"
	// opentactTerm is how long a subscription is asked for. It lapses by itself, so
	// one that nobody listens to any more is gone within a day.
	opentactTerm = 24 * time.Hour
)

// opentactEvents are the kinds that tell of calls.
var opentactEvents = []string{"call_state", "call_flow", "call_record"}

// opentact pushes, to whoever has authenticated on the socket, the events that
// were subscribed to by request. A subscription has an end; asking again before it
// keeps it. Whether an account that is asked for twice pushes twice is not
// documented; a repetition would do no harm.
type opentact struct {
	plain
	subscriptions string
	until         time.Time // when what was subscribed to lapses
}

func newOpentact(c *Config) *opentact {
	o := &opentact{plain: plain{c}, subscriptions: opentactSubscriptions}
	if c.SubscribeURL != "" {
		o.subscriptions = c.SubscribeURL
	}
	return o
}

func (o *opentact) validate(c *Config) error {
	errs := []error{c.validateAddress()}
	if len(c.events(opentactEvents)) > 0 && c.Token == nil {
		errs = append(errs, errors.New("events are subscribed to with a token: want token_file"))
	}
	if u, err := url.Parse(o.subscriptions); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		errs = append(errs, errors.New("subscribe_url: want https://host/path")) // without the text, which may hold a token
	}
	return errors.Join(errs...)
}

// manner drops the answer to the authentication, which holds the account's name,
// address, telephone and balance.
func (o *opentact) manner() manner {
	return manner{kindIn: []string{"type"}, drop: []string{"auth"}}
}

func (o *opentact) events() []string { return o.cfg.events(opentactEvents) }

// open subscribes for each connection, or goes on with what has not lapsed yet.
func (o *opentact) open(ctx context.Context) (string, []string, error) {
	if err := o.renew(ctx); err != nil {
		if !o.until.After(time.Now()) {
			return "", nil, err
		}
		o.cfg.Log.Warn("events are not subscribed to anew; what was subscribed to before lapses", "at", o.until.Format(time.RFC3339), "err", err)
	}
	return o.plain.open(ctx)
}

func (o *opentact) lease() time.Duration {
	if len(o.events()) == 0 {
		return 0
	}
	return max(time.Until(o.until.Add(-opentactTerm/2)), retryMin)
}

// renew subscribes to each kind of event until the end of a new term.
func (o *opentact) renew(ctx context.Context) error {
	events := o.events()
	if len(events) == 0 {
		return nil
	}
	token, err := o.token()
	if err != nil {
		return err
	}
	header := http.Header{"X-Auth-Token": {token}}
	until := time.Now().Add(opentactTerm)
	for _, kind := range events {
		var answer struct {
			Success *bool `json:"success"`
		}
		ask := map[string]any{"is_active": true, "expired_on": until.UTC().Format("2006-01-02T15:04:05.000Z"), "channel": "wss", "type": kind}
		if err := post(ctx, o.cfg.client(), o.subscriptions, header, ask, &answer); err != nil {
			return fmt.Errorf("subscribe to %s: %w", kind, err)
		}
		if answer.Success != nil && !*answer.Success {
			return fmt.Errorf("subscribe to %s: the answer says that it failed", kind)
		}
	}
	o.until = until
	return nil
}
