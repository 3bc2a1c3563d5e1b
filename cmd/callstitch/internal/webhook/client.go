package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// answerLimit is how long one post waits: longer than a door may hold an event, as
	// the most patient of the providers does.
	answerLimit = 25 * time.Second
	// patience is how long an event is sent again that is not taken, as by a restart of
	// the door, or an outage of Kafka behind it.
	patience = 2 * time.Minute
	// pause and maxPause are between two tries, where the answer does not say how long.
	pause, maxPause = 100 * time.Millisecond, 5 * time.Second
	// maxAnswer is how much of an answer is read: enough for a connection to be used again.
	maxAnswer = 64 << 10
	// connections are those that are kept open: as many as there are posts at once.
	connections = 64
)

// Client posts events. It may be used from any goroutine.
type Client struct{ http http.Client }

// NewClient has connections of its own; config may be nil.
func NewClient(config *tls.Config) *Client {
	return &Client{http.Client{
		Timeout: answerLimit,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: connections, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Refused is an answer that another try does not change.
type Refused struct {
	URL    string
	Status int
}

func (e *Refused) Error() string {
	what := map[int]string{
		http.StatusUnauthorized:          "the credentials are not those of the endpoint",
		http.StatusForbidden:             "it does not take events from this address, or without a client certificate",
		http.StatusNotFound:              "there is no endpoint at this path",
		http.StatusMethodNotAllowed:      "it takes no POST at this path",
		http.StatusRequestEntityTooLarge: "the event is larger than max_body",
	}[e.Status]
	if what == "" {
		what = "this is not an answer of callstitch receive"
	}
	return fmt.Sprintf("post to %s: status %d: %s", e.URL, e.Status, what)
}

// Deliver posts an event until it is taken, and no longer than patience.
func (c *Client) Deliver(ctx context.Context, to Endpoint, body []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it was not taken for %v", patience))
	defer cancel()
	for next := pause; ; next = min(2*next, maxPause) {
		wait, err := c.Post(ctx, to, body)
		if _, refused := errors.AsType[*Refused](err); err == nil || refused {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: the last try: %w", context.Cause(ctx), err)
		case <-time.After(max(wait, next)):
		}
	}
}

// Post posts an event once: with a challenge that is answered, where there is one. The
// error is a *Refused, or says why another try may help, after wait.
func (c *Client) Post(ctx context.Context, to Endpoint, body []byte) (wait time.Duration, err error) {
	answer, err := c.send(ctx, to, body, false)
	if err == nil && answer.StatusCode == http.StatusUnauthorized && to.Username != "" && challenged(answer) {
		answer, err = c.send(ctx, to, body, true)
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("post an event: %w", err)
	case answer.StatusCode/100 == 2:
		return 0, nil
	case answer.StatusCode >= 500, answer.StatusCode == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		return min(time.Duration(seconds)*time.Second, maxPause), fmt.Errorf("post to %s: status %d", to.Shown(), answer.StatusCode)
	}
	return 0, &Refused{to.Shown(), answer.StatusCode}
}

// challenged reports whether an answer asks for a name and a password.
func challenged(answer *http.Response) bool {
	scheme, _, _ := strings.Cut(answer.Header.Get("WWW-Authenticate"), " ")
	return strings.EqualFold(scheme, "Basic")
}

// send sends a request, and reads its answer to the end.
func (c *Client) send(ctx context.Context, to Endpoint, body []byte, password bool) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	to.prove(request, body, password)
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	return answer, err
}
