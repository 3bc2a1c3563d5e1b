package webhook

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"net/url"
)

// Endpoint is where a provider posts its events, and what it proves itself with.
type Endpoint struct {
	URL                string
	Username, Password string // given when they are asked for, as Bandwidth does
	Secret             string // signs the body, as Stringee does
	Token              string
}

// signature is the header of Stringee's signatures.
const signature = "X-STRINGEE-SIGNATURE"

// prove adds to a request what is known without a challenge; with one also the password.
func (e *Endpoint) prove(request *http.Request, body []byte, password bool) {
	if e.Secret != "" {
		sum := hmac.New(sha1.New, []byte(e.Secret))
		sum.Write(body)
		request.Header.Set(signature, base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	}
	if e.Token != "" {
		request.Header.Set("Authorization", "Bearer "+e.Token)
	}
	if password {
		request.SetBasicAuth(e.Username, e.Password)
	}
}

// Shown is the address without anything secret in it.
func (e *Endpoint) Shown() string {
	u, err := url.Parse(e.URL)
	if err != nil {
		return "an address that cannot be read"
	}
	return u.Scheme + "://" + u.Host + u.Path
}
