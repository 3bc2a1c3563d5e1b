package schemas

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"callstitch/internal/quote"
)

const (
	// requestTimeout bounds one request, with all of its answer. A registry answers
	// in milliseconds. One that was just started, or is behind a slow line, needs
	// seconds, and an answer that is given up only has to be made again.
	requestTimeout = 15 * time.Second
	// connectTimeout bounds the way to an address at which nobody answers: with
	// several addresses it is what each dead one costs.
	connectTimeout = 5 * time.Second
	// answerMax and headerMax bound what is read of an answer, unpacked. The
	// largest that we ask for is a schema, and ours take 20 kB.
	answerMax = 4 << 20
	headerMax = 64 << 10
	// redirectsMax is how often an answer may send us elsewhere.
	redirectsMax = 3
	// triesMax is how often one thing is asked where the registry says that it
	// cannot answer now, or its answer is cut. All that we ask may be asked twice.
	triesMax = 3
	// firstPause is before the second try, twice as much before the third;
	// pauseMax bounds what a Retry-After may ask for.
	firstPause = 500 * time.Millisecond
	pauseMax   = 10 * time.Second
	// quoteMax bounds what an error quotes of an answer.
	quoteMax = 300
)

// client asks a registry over HTTP. Whatever is at the other end, a request ends
// in time, takes little memory, and fails with an error that holds no secret (K45).
type client struct {
	http      *http.Client
	addresses []*url.URL
	login     *login
	pause     time.Duration

	answered atomic.Int64 // which address answered last: it is asked first
}

func newClient(addresses []*url.URL, cfg RegistryConfig) *client {
	return &client{
		http:      &http.Client{Transport: &currentTransport{tls: cfg.TLS}, CheckRedirect: checkRedirect},
		addresses: addresses, login: &login{username: cfg.Username, password: cfg.Password, token: cfg.Token, refused: cfg.Refused}, pause: firstPause,
	}
}

// checkRedirect follows an answer elsewhere only where the request stays what it is:
// one that would write becomes one that reads at most redirects. What is not
// followed is the answer.
func checkRedirect(req *http.Request, via []*http.Request) error {
	last := via[len(via)-1]
	if len(via) > redirectsMax || req.Method != via[0].Method || last.URL.Scheme == "https" && req.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	return nil
}

// ask sends one request and reads its answer into a pointer to what its JSON has.
func (c *client) ask(ctx context.Context, method, path string, body, into any) error {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return err
		}
	}
	for try := 1; ; try++ {
		answer, err := c.askAddresses(ctx, method, path, sent)
		if err == nil {
			return c.decode(answer, into)
		}
		if try == triesMax || !mayPass(err) {
			return err
		}
		pause := c.pause << (try - 1)
		if refused, ok := errors.AsType[*refusal](err); ok {
			pause = min(cmp.Or(refused.after, pause), pauseMax)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// askAddresses asks one address after the other until one gives an answer that
// another would give, too.
func (c *client) askAddresses(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	begin := int(c.answered.Load())
	var first error
	for i := range c.addresses {
		at := (begin + i) % len(c.addresses)
		answer, err := c.askOne(ctx, method, c.addresses[at].JoinPath(path), body)
		refused, ok := errors.AsType[*refusal](err)
		if err == nil || ok && !refused.passing() {
			c.answered.Store(int64(at))
			return answer, err
		}
		first = cmp.Or(first, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// askOne is one request and its answer, both within requestTimeout.
func (c *client) askOne(ctx context.Context, method string, at *url.URL, body []byte) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address is not valid")
	}
	const mediaType = "application/vnd.schemaregistry.v1+json"
	req.Header.Set("Accept", mediaType+", application/json")
	req.Header.Set("User-Agent", "callstitch")
	if body != nil {
		req.Header.Set("Content-Type", mediaType)
	}
	proof, err := c.login.header(limited)
	if err != nil {
		return nil, &unproven{err}
	}
	if proof != "" {
		req.Header.Set("Authorization", proof)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, noAnswer(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, answerMax+1))
	if err != nil {
		return nil, noAnswer(ctx, err)
	}
	if len(answer) > answerMax {
		return nil, fmt.Errorf("the answer is larger than %d MiB, which no schema is", answerMax>>20)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		c.login.wasRefused(proof)
	}
	if resp.StatusCode/100 != 2 {
		return nil, c.refusal(resp, answer)
	}
	return answer, nil
}

// noAnswer is why there is none, without the URL that Go puts before it: its query
// may hold a key.
func noAnswer(ctx context.Context, err error) error {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %v", requestTimeout)
	}
	return err
}

// mayPass reports whether a failure may be gone a moment later: the registry says so,
// or the connection broke while it answered. Nobody there, or no answer in
// time, is the caller's to wait for.
func mayPass(err error) bool {
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.passing()
	}
	if broken, ok := errors.AsType[*net.OpError](err); ok && !broken.Timeout() {
		return broken.Op != "dial" && broken.Op != "proxyconnect"
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// unproven is why the registry was not even asked.
type unproven struct{ error }

func (e *unproven) Unwrap() error { return e.error }

// refusal is an answer other than the one that was asked for.
type refusal struct {
	status int
	code   int           // the registry's own; 0 where the answer is none of a registry
	said   string        // what it says, fit for a log
	after  time.Duration // when to ask again; 0: it does not say
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.said) }

// passing reports whether the same question may be answered later.
func (r *refusal) passing() bool {
	return r.status == http.StatusTooManyRequests || r.status >= http.StatusInternalServerError && r.status != http.StatusNotImplemented
}

func (c *client) refusal(resp *http.Response, answer []byte) *refusal {
	r := &refusal{status: resp.StatusCode, after: retryAfter(resp.Header.Get("Retry-After"))}
	var told struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(answer, &told) // what is no JSON is quoted as it is
	r.code = told.Code
	r.said = cmp.Or(c.quote([]byte(told.Message)), c.quote(answer), "nothing more")
	if to, err := resp.Location(); err == nil {
		r.said = "it leads to " + quote.Address(to.String())
	}
	return r
}

// retryAfter reads a number of seconds or a date.
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(max(seconds, 0), 3600)) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(time.Until(at), 0)
}

// decode reads an answer that says that it is right. Where it is no JSON, somebody
// else gave it.
func (c *client) decode(answer []byte, into any) error {
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%w: %s", errNotRegistry, cmp.Or(c.quote(answer), "nothing"))
	}
	return nil
}

// errNotRegistry is an answer that no registry gives.
var errNotRegistry = errors.New("the answer is not that of a schema registry")

// quote is what an answer says, fit for a log and without our own secrets.
func (c *client) quote(text []byte) string {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("<")) {
		return "a web page"
	}
	return quote.Line(string(text), quoteMax, c.login.secrets()...)
}

// advice says what to do about a failure.
func advice(err error) string {
	refused, ok := errors.AsType[*refusal](err)
	_, distrusted := errors.AsType[*tls.CertificateVerificationError](err)
	remote, _ := errors.AsType[*net.OpError](err)
	_, before := errors.AsType[*unproven](err)
	switch {
	case before:
		return "it was not asked without a login"
	case remote != nil && (remote.Op == "remote error" || remote.Op == "write"), errors.Is(err, net.ErrClosed):
		// The other side's TLS said that it hangs up, which mostly is lost in Go's client: a
		// certificate is refused after the handshake, when the request is on its way.
		return "the registry hangs up: does it ask for a certificate (schema_registry.cert_file), has ours ended, and does it trust who signed it?"
	case errors.Is(err, errNotRegistry):
		return "set schema_registry.url to the registry itself: a proxy or a login page answers there"
	case distrusted:
		return "set schema_registry.ca_file to the authority that signed the registry's certificate"
	case !ok:
		return "is schema_registry.url right and the registry running?"
	}
	switch refused.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "check the credentials and rights of the user in schema_registry"
	case http.StatusProxyAuthRequired:
		return "a proxy wants credentials: give them in HTTPS_PROXY, or name the registry in NO_PROXY"
	case http.StatusNotFound:
		return "is schema_registry.url the address of a schema registry?"
	case http.StatusConflict:
		return "the subject was changed by somebody else just now, or has other rules: 'callstitch schemas check' shows the difference to what is registered"
	case http.StatusUnprocessableEntity:
		return "the registry does not take the schema or the setting"
	case http.StatusTooManyRequests:
		return "the registry takes fewer requests than it gets: try again later, or raise its limit"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "is the registry running behind the proxy that answers? It was asked several times"
	}
	if refused.status < http.StatusBadRequest {
		return "set schema_registry.url to the registry itself: a proxy or a login page answers there, or the registry has moved"
	}
	return "see the registry's log"
}
