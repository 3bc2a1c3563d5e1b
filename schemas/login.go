package schemas

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// login is how a client proves itself, with what is valid now.
type login struct {
	username        string
	password, token func(context.Context) (string, error)
	refused         func(token string)

	mu   sync.Mutex
	used []string // the last secrets, which some servers repeat in their pages
}

// usedMax is how many secrets are remembered, to be left out of errors: those of now, and
// those that they replaced.
const usedMax = 4

// header is the value of Authorization; empty for none.
func (l *login) header(ctx context.Context) (string, error) {
	switch {
	case l.token != nil:
		token, err := l.token(ctx)
		if err != nil {
			return "", err
		}
		l.remember(token)
		return bearer + token, nil
	case l.username == "":
		return "", nil
	}
	var password string
	if l.password != nil {
		var err error
		if password, err = l.password(ctx); err != nil {
			return "", err
		}
	}
	basic := base64.StdEncoding.EncodeToString([]byte(l.username + ":" + password))
	l.remember(password, basic)
	return "Basic " + basic, nil
}

const bearer = "Bearer "

// wasRefused takes in that the registry does not know who asks, by a header that it got.
func (l *login) wasRefused(header string) {
	if token, ok := strings.CutPrefix(header, bearer); ok && l.refused != nil {
		l.refused(token)
	}
}

func (l *login) remember(secrets ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range secrets {
		if s != "" && !slices.Contains(l.used, s) {
			l.used = append(l.used, s)
		}
	}
	l.used = l.used[max(0, len(l.used)-usedMax):]
}

// secrets are those that were used last.
func (l *login) secrets() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.used)
}

// currentTransport makes connections with the TLS configuration of now. Those of an earlier one
// are given up: who was trusted then need not be now.
type currentTransport struct {
	tls func() *tls.Config

	mu  sync.Mutex
	of  *tls.Config
	now *http.Transport
}

// RoundTrip sends one request.
func (t *currentTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.current().RoundTrip(r)
}

func (t *currentTransport) current() *http.Transport {
	var config *tls.Config
	if t.tls != nil {
		config = t.tls()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now != nil && t.of == config {
		return t.now
	}
	if t.now != nil {
		t.now.CloseIdleConnections()
	}
	t.of, t.now = config, http.DefaultTransport.(*http.Transport).Clone()
	t.now.TLSClientConfig = config.Clone() // net/http adds to it
	t.now.MaxResponseHeaderBytes = headerMax
	t.now.DialContext = (&net.Dialer{Timeout: connectTimeout}).DialContext
	return t.now
}
