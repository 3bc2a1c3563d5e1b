package receive

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"callstitch/internal/receive/feed"
	"callstitch/internal/secret"
)

// runningFeed is a feed that can be run, and what it counts.
type runningFeed struct {
	cfg      feed.Config
	take     feed.Take
	counters *feed.Counters
	receive  func(context.Context, feed.Config, feed.Take) error // feed.Run
}

// newFeed reads a feed's secrets.
func newFeed(cfg *Config, f *Feed, take Take, m *metrics) (*runningFeed, error) {
	counters := new(feed.Counters)
	out := &runningFeed{cfg: f.dialled(), counters: counters, receive: feed.Run}
	out.cfg.Instance, out.cfg.StateDir = cfg.InstanceID, cfg.StateDir
	out.cfg.Log, out.cfg.Counters = cfg.Log, counters
	var err error
	if out.cfg.Password, err = secretOf(f.PasswordFile); err != nil {
		return nil, fmt.Errorf("read the password of the feed %s: %w", f.Name, err)
	}
	if out.cfg.Token, err = secretOf(f.TokenFile); err != nil {
		return nil, fmt.Errorf("read the token of the feed %s: %w", f.Name, err)
	}
	m.taken(f.Name) // its silence begins now
	event := Event{Provider: f.Provider.String(), Tenant: f.Tenant, Scope: f.Scope}
	out.take = func(ctx context.Context, received time.Time, body []byte) error {
		e := event
		e.Received, e.Body = received, body
		err := take(ctx, e)
		if err == nil {
			m.taken(f.Name)
		}
		return err
	}
	return out, nil
}

// secretOf is what reads a secret whenever it is needed; nil where no file is named. Of
// two the first is said: an endpoint takes both, who logs in can say one.
func secretOf(path string) (func() (string, error), error) {
	if path == "" {
		return nil, nil
	}
	file, err := secret.Open(path)
	if err != nil {
		return nil, err
	}
	return func() (string, error) { return file.Values()[0], nil }, nil
}

func (f *runningFeed) run(ctx context.Context) error { return f.receive(ctx, f.cfg, f.take) }

// dialled is that much of a feed's configuration that is as it was given.
func (f *Feed) dialled() feed.Config {
	return feed.Config{
		Name: f.Name, Provider: f.Provider.String(),
		Server: f.Server, PBXTenant: f.PBXTenant, Username: f.Username,
		URL: f.URL, Send: f.Send, SubscribeURL: f.SubscribeURL,
		Events: f.Events, Drop: f.Drop, Heartbeat: f.Heartbeat,
	}
}

func (f *Feed) validate(v *validation, key string) {
	v.check(namePattern.MatchString(f.Name), key+".name", "is required, of the characters a-z A-Z 0-9 . _ -")
	v.header(f.Tenant, key+".tenant")
	v.header(f.Scope, key+".scope")
	c := f.dialled()
	c.Instance = "instance"
	unread := func() (string, error) { return "", errors.New("not read yet") }
	if f.PasswordFile != "" {
		c.Password = unread
	}
	if f.TokenFile != "" {
		c.Token = unread
	}
	if err := c.Validate(); err != nil && f.Name != "" {
		v.check(false, key, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}
