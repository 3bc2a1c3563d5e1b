package feed

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultHeartbeat is how often a connection is asked whether it is alive.
const DefaultHeartbeat = 30 * time.Second

// Config is one feed, resolved. Secrets are functions, asked each time that they
// are needed, so that a file may change while the feed runs.
type Config struct {
	Name     string // in logs, metrics, and the name of what is kept in StateDir
	Provider string // whose dialect is spoken; any other name is a WebSocket that pushes JSON

	// Of a feed with a login.
	Server    string // host, with a port where it has one; with http:// before it, without TLS
	PBXTenant string // of the server's tenants, the one to log in to
	Username  string
	Password  func() (string, error)
	Instance  string // names this instance's session; no two that run may share it
	StateDir  string // keeps the session's token, which a restart needs to end it; empty: nowhere

	// Of a feed with an address.
	URL          string                 // wss://, or ws:// without TLS
	Send         []string               // frames that are sent once connected; {{token}} in them is filled in
	Token        func() (string, error) // nil: none
	SubscribeURL string                 // where Events are subscribed to; empty: the provider's own

	Events    []string      // what to subscribe to; nil: all that tell of calls; empty: nothing
	Drop      []string      // kinds of frames that are not taken, besides those of the dialect
	Heartbeat time.Duration // 0: DefaultHeartbeat

	Log      *slog.Logger
	Counters *Counters
	Client   *http.Client // of requests and of the socket; nil: one with limits, for tests to replace
}

// Validate reports what is missing or cannot be, all of it.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Name == "" {
		wrong("name is missing")
	}
	if c.Heartbeat < 0 {
		wrong("heartbeat is negative")
	}
	return errors.Join(append(errs, c.dialect().validate(c))...)
}

// validateAddress is for feeds that have an address.
func (c *Config) validateAddress() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return errors.New("url: want wss://host/path") // without the text, which may hold a token
	}
	for _, frame := range c.Send {
		if strings.Contains(frame, tokenMark) && c.Token == nil {
			return fmt.Errorf("send has %s: want token_file", tokenMark)
		}
	}
	return nil
}

// events are those to subscribe to, of a dialect that has these.
func (c *Config) events(all []string) []string {
	if c.Events == nil {
		return all
	}
	return c.Events
}

func (c *Config) heartbeat() time.Duration {
	if c.Heartbeat == 0 {
		return DefaultHeartbeat
	}
	return c.Heartbeat
}
