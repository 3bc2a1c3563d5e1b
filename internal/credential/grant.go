package credential

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"callstitch/internal/quote"
	"callstitch/internal/secret"
)

const (
	// fetchTimeout bounds the fetch of a token: whoever logs in waits for it.
	fetchTimeout = 8 * time.Second
	// connectTimeout bounds the way to an endpoint at which nobody answers.
	connectTimeout = 4 * time.Second
	// failureKept is for how long a fetch that failed is not repeated. Connections to
	// many brokers are made anew at once, and each asks.
	failureKept = time.Second
	// renewAfter is the part of its life, in percent, after which a token is replaced: a
	// login lasts no longer than the token that it was made with.
	renewAfter = 80
	// refusedAfter is how old a token is that is replaced since it was refused. That of an
	// endpoint whose tokens no broker takes must not be asked for one at each login.
	refusedAfter = 10 * time.Second
	// unknownLife is how long a token is used of which the answer does not say when it ends.
	unknownLife = time.Minute
	// headerMax bounds the header of an answer. The client of OAuth bounds the body to 1 MiB.
	headerMax = 64 << 10
	// saidMax bounds what an error repeats of an answer, in bytes.
	saidMax = 200
)

// Grant is how tokens are fetched: a client proves itself to a token endpoint with an id
// and a secret, which is the client credentials grant (RFC 6749 §4.4).
type Grant struct {
	URL        string
	ClientID   string
	SecretFile string
	Scope      string // empty asks for what the endpoint gives by default
	CAFile     string // whom to trust; empty trusts the system's authorities
}

// Open is the source of the tokens. It fetches one when it is first asked, and the next
// one before that ends; while this fails, the one that there is goes on for as long as it
// lasts. The secret is read again when it changes.
//
// Whoever was given a token that is not taken says so to refused: an issuer may have new
// keys, or have taken the token back, long before it ends. The next one is then fetched
// when it is asked for, unless the one that was refused is some seconds old.
func (g Grant) Open() (get Source, refused func(token string), err error) {
	f, err := g.open()
	if err != nil {
		return nil, nil, err
	}
	return f.get, f.refused, nil
}

func (g Grant) open() (*fetched, error) {
	file, err := secret.Open(g.SecretFile)
	if err != nil {
		return nil, err
	}
	trust, err := Open(Files{CA: g.CAFile})
	return &fetched{grant: g, secret: file, trust: trust, turn: make(chan struct{}, 1)}, err
}

// fetched is the token that was fetched last. Whoever has the turn fetches the next, and
// the others wait for that.
type fetched struct {
	grant  Grant
	secret *secret.File
	trust  *Certificates
	spoilt atomic.Value  // the token that was refused last
	turn   chan struct{} // taken by a value in it; guards what follows

	asks        *clientcredentials.Config // remembers how this endpoint wants the secret
	token       string
	begun       time.Time // when it was asked for
	renew, ends time.Time
	failure     error // of the last fetch
	again       time.Time
}

func (f *fetched) get(ctx context.Context) (string, error) {
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-f.turn }()
	now := time.Now()
	due := f.renew
	if soon := f.begun.Add(refusedAfter); f.spoilt.Load() == f.token && soon.Before(due) {
		due = soon
	}
	if now.After(due) && now.After(f.again) {
		f.failure = f.fetch(ctx)
		if f.again = time.Now(); f.failure != nil {
			f.again = f.again.Add(failureKept)
		}
	}
	if time.Now().After(f.ends) {
		return "", cmp.Or(f.failure, errEnded)
	}
	return f.token, nil
}

// refused takes in that somebody does not take a token.
func (f *fetched) refused(token string) { f.spoilt.Store(token) }

// errEnded is a token that ended on its way.
var errEnded error = &passing{"the token endpoint gives tokens that have ended"}

func (f *fetched) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	password := f.secret.Values()[0]
	if f.asks == nil || f.asks.ClientSecret != password {
		f.asks = &clientcredentials.Config{
			ClientID: f.grant.ClientID, ClientSecret: password, TokenURL: f.grant.URL, Scopes: strings.Fields(f.grant.Scope),
		}
	}
	begun := time.Now()
	got, err := f.asks.Token(context.WithValue(ctx, oauth2.HTTPClient, f.client()))
	if err == nil && checkToken(got.AccessToken) != nil {
		err = errors.New("the token is none")
	}
	if err != nil {
		return f.explain(err)
	}
	life := unknownLife
	if !got.Expiry.IsZero() {
		life = got.Expiry.Sub(begun)
	}
	f.token, f.begun = got.AccessToken, begun
	f.renew, f.ends = begun.Add(life*renewAfter/100), begun.Add(life)
	return nil
}

// client asks once, and keeps nothing: the next token is far away. What it sends holds a
// secret, so it follows nowhere.
func (f *fetched) client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSClientConfig:        f.trust.Config().Clone(), // net/http adds to it
			ForceAttemptHTTP2:      true,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: headerMax,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// passing is a failure that may be over a moment later. Clients of Kafka take it as they
// take a broker that does not answer, and ask again.
type passing struct{ text string }

func (p *passing) Error() string { return p.text }

// Temporary reports that it may be over a moment later.
func (p *passing) Temporary() bool { return true }

// explain says why there is no token, and what to do. Errors of the client of OAuth have
// the whole answer in them, so none is passed on.
func (f *fetched) explain(err error) error {
	at := quote.Address(f.grant.URL)
	refused, answered := errors.AsType[*oauth2.RetrieveError](err)
	if !answered {
		if broken, ok := errors.AsType[*url.Error](err); ok {
			why := broken.Err.Error()
			if errors.Is(err, context.DeadlineExceeded) {
				why = fmt.Sprintf("no answer within %v", fetchTimeout)
			}
			return &passing{fmt.Sprintf("fetch a token from %s: %s", at, why)}
		}
		return fmt.Errorf("fetch a token from %s: the answer is not that of a token endpoint: does a web page answer there?", at)
	}
	status := refused.Response.StatusCode
	text := fmt.Sprintf("fetch a token from %s: status %d", at, status)
	if said := f.said(refused); said != "" {
		text += ": " + said
	}
	switch {
	case status == http.StatusTooManyRequests || status >= http.StatusInternalServerError:
		return &passing{text + ": is it overloaded, or down behind a proxy?"}
	case status/100 == 3:
		return errors.New(text + ": it leads elsewhere; is token_url right?")
	case refused.ErrorCode == "invalid_scope":
		return errors.New(text + ": is scope right?")
	case status == http.StatusBadRequest, status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusOK:
		return errors.New(text + ": are client_id and the secret in client_secret_file right?")
	}
	return errors.New(text + ": is token_url right?")
}

// said is what the endpoint says of a refusal, fit for a log and without our secret.
func (f *fetched) said(refused *oauth2.RetrieveError) string {
	password := f.asks.ClientSecret
	escaped := url.QueryEscape(password)
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(f.asks.ClientID) + ":" + escaped))
	return quote.Line(refused.ErrorCode+" "+refused.ErrorDescription, saidMax, basic, escaped, password)
}
