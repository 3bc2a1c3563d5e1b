package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// requestLimit bounds one request to a provider, and the handshake of a socket.
	requestLimit = 10 * time.Second
	// answerBytes bounds what is read of an answer: tokens and an address.
	answerBytes = 64 << 10
)

// A refusal is a provider's answer that says no.
type refusal struct {
	status int
	code   int           // the provider's own; 0: none
	reason string        // what to do about it; empty: nothing is known but the numbers
	wait   time.Duration // trying sooner would not help; 0: it might
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("refused with status %d", r.status)
	if r.code != 0 {
		text += fmt.Sprintf(", code %d", r.code)
	}
	if r.reason != "" {
		text += ": " + r.reason
	}
	return text
}

// client asks with limits, and follows nobody elsewhere: credentials go where the
// configuration says.
func (c *Config) client() *http.Client {
	if c.Client != nil {
		return c.Client
	}
	return ours
}

var ours = &http.Client{
	Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: requestLimit}).DialContext,
		TLSHandshakeTimeout:    requestLimit,
		MaxResponseHeaderBytes: answerBytes,
		DisableKeepAlives:      true, // requests are minutes apart
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// post sends JSON and reads JSON. Errors hold neither: there are tokens in both.
func post(ctx context.Context, client *http.Client, address string, header http.Header, ask, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	var body []byte
	if ask != nil {
		var err error
		if body, err = json.Marshal(ask); err != nil {
			return fmt.Errorf("encode a request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytes))
	if err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return refused(resp.StatusCode, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return errors.New("the answer is not the JSON that was expected")
	}
	return nil
}

// refused reads what an answer says besides its status.
func refused(status int, text []byte) error {
	var said struct {
		ErrorCode int `json:"errorCode"`
	}
	_ = json.Unmarshal(text, &said) // not every refusal is JSON
	r := &refusal{status: status, code: said.ErrorCode}
	if status == http.StatusTooManyRequests {
		r.wait = retryMax
	}
	return r
}

// withoutURL is the error without the address, which may hold a token.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
