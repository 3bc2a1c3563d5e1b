package webhook

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// answers is a door that gives one answer after the other, and remembers what came.
type answers struct {
	give []func(http.ResponseWriter)
	got  []*http.Request
	body []string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	a.got, a.body = append(a.got, r), append(a.body, string(body))
	w := httptest.NewRecorder()
	if len(a.give) == 0 {
		return nil, errors.New("connection reset")
	}
	a.give[0](w)
	a.give = a.give[1:]
	return w.Result(), nil
}

func status(code int, headers ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

func clientOf(a *answers) *Client { return &Client{http.Client{Transport: a}} }

// A name and a password are given when they are asked for, and not before.
func TestChallenge(t *testing.T) {
	a := &answers{give: []func(http.ResponseWriter){status(401, "WWW-Authenticate", `Basic realm="r"`), status(204)}}
	to := Endpoint{URL: "http://door/bw", Username: "bw", Password: "s3cret"}
	if _, err := clientOf(a).Post(t.Context(), to, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, _, early := a.got[0].BasicAuth(); early {
		t.Error("the password came unasked")
	}
	user, password, ok := a.got[1].BasicAuth()
	if !ok || user != "bw" || password != "s3cret" || a.body[1] != "{}" {
		t.Errorf("the answer to the challenge has %q, %q, and the body %q", user, password, a.body[1])
	}
}

// A 401 that is no challenge is the end: that provider does not try again.
func TestNoChallenge(t *testing.T) {
	a := &answers{give: []func(http.ResponseWriter){status(401), status(204)}}
	to := Endpoint{URL: "http://door/bw?token=s3cret", Username: "bw", Password: "s3cret"}
	err := clientOf(a).Deliver(t.Context(), to, []byte("{}"))
	if _, refused := errors.AsType[*Refused](err); !refused || len(a.got) != 1 {
		t.Errorf("%d posts, %v", len(a.got), err)
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a secret is told: %v", err)
	}
}

// The signature is what openssl dgst -sha1 -hmac makes of the same key and body.
func TestSignature(t *testing.T) {
	a := &answers{give: []func(http.ResponseWriter){status(200)}}
	to := Endpoint{URL: "http://door/st", Secret: "key", Token: "t0ken"}
	if _, err := clientOf(a).Post(t.Context(), to, []byte("The quick brown fox jumps over the lazy dog")); err != nil {
		t.Fatal(err)
	}
	if got, want := a.got[0].Header.Get("X-STRINGEE-SIGNATURE"), "3nybhbi3iqa8ino29wqQcBydtNk="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	if got := a.got[0].Header.Get("Authorization"); got != "Bearer t0ken" {
		t.Errorf("the token is in %q", got)
	}
}

// What is not taken is sent again: after a while, or when the door says.
func TestDeliverAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		a := &answers{give: []func(http.ResponseWriter){status(503, "Retry-After", "3"), status(502), status(204)}}
		if err := clientOf(a).Deliver(t.Context(), Endpoint{URL: "http://door/x"}, nil); err != nil || len(a.got) != 3 {
			t.Errorf("%d posts, %v", len(a.got), err)
		}
		if took := time.Since(begun); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestDeliverGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		a := &answers{}
		err := clientOf(a).Deliver(t.Context(), Endpoint{URL: "http://door/x"}, nil)
		if err == nil || !strings.Contains(err.Error(), "connection reset") || !strings.Contains(err.Error(), "not taken for 2m0s") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begun); took != patience {
			t.Errorf("it took %v, not %v", took, patience)
		}
	})
}
