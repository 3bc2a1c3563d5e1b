package credential

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callstitch/internal/credential/credentialtest"
)

const hush = "s3cr%t&hush"

// granted is a grant at an endpoint with TLS, whose answers are the test's.
func granted(t *testing.T, answer http.Handler) Grant {
	t.Helper()
	a := credentialtest.NewAuthority(t, "issuer")
	server := httptest.NewUnstartedServer(answer)
	server.TLS = a.Server(t, tls.NoClientCert)
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	g := Grant{
		URL: server.URL + "/token?key=" + hush, ClientID: "app", Scope: "calls",
		SecretFile: filepath.Join(dir, "secret"), CAFile: filepath.Join(dir, "ca.pem"),
	}
	credentialtest.Write(t, g.SecretFile, []byte(hush+"\n"))
	credentialtest.Write(t, g.CAFile, a.PEM)
	return g
}

func open(t *testing.T, g Grant) Source {
	t.Helper()
	get, _, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	return get
}

// TestGrant asks for tokens from many sides at once, beyond the end of the first, while
// the secret is another.
func TestGrant(t *testing.T) {
	issuer := credentialtest.NewIssuer(t, 4*time.Second)
	issuer.Know("app", hush)
	g := granted(t, issuer)
	get := open(t, g)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			token, err := get(t.Context())
			if err != nil {
				t.Error(err)
			}
			if at, says := Ends(token); !says || time.Now().After(at) {
				t.Error("no token, or an old one")
			}
		})
	}
	all.Wait()
	if n := issuer.Answered(); n != 1 {
		t.Errorf("%d tokens were fetched, one is enough", n)
	}
	first, _ := get(t.Context())
	time.Sleep(1700 * time.Millisecond)
	second, err := get(t.Context())
	if err != nil || second == first {
		t.Errorf("no new token while the old one lasts: %v", err)
	}

	issuer.Know("app", "new")
	time.Sleep(1700 * time.Millisecond) // it is time for a new one, which is refused
	if token, err := get(t.Context()); err != nil || token != second {
		t.Errorf("the token that lasts is not used on: %v", err)
	}
	time.Sleep(1400 * time.Millisecond)
	if _, err := get(t.Context()); err == nil {
		t.Error("a token that has ended is given")
	}
	credentialtest.Write(t, g.SecretFile, []byte("new"))
	time.Sleep(1100 * time.Millisecond)
	if token, err := get(t.Context()); err != nil || token == second {
		t.Errorf("the secret is not read again: %v", err)
	}
}

// TestRefusedToken: a token that somebody does not take is replaced long before it ends,
// but none that was just fetched; and while there is no other it goes on.
func TestRefusedToken(t *testing.T) {
	issuer := credentialtest.NewIssuer(t, time.Hour)
	issuer.Know("app", hush)
	f, err := granted(t, issuer).open()
	if err != nil {
		t.Fatal(err)
	}
	get := func() string {
		t.Helper()
		token, err := f.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	passes := func() { f.begun, f.again = f.begun.Add(-refusedAfter), f.again.Add(-refusedAfter) }

	first := get()
	f.refused(first)
	if get() != first {
		t.Error("a token that was just fetched is replaced")
	}
	passes()
	issuer.Away(true)
	if get() != first {
		t.Error("another token while the issuer is away")
	}
	issuer.Away(false)
	passes()
	second := get()
	if second == first {
		t.Fatal("the token that was refused is used on")
	}
	passes()
	f.refused(first) // by a broker that is behind
	if get() != second {
		t.Error("a token that nobody refused is replaced")
	}
	if n := issuer.Answered(); n != 2 {
		t.Errorf("%d tokens were fetched, want 2", n)
	}
}

// Some endpoints want the secret in the body, and nowhere else.
func TestSecretInTheBody(t *testing.T) {
	issuer := credentialtest.NewIssuer(t, time.Minute)
	issuer.InBody = true
	issuer.Know("app", hush)
	if _, err := open(t, granted(t, issuer))(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestRefusedGrant: each error says what to do and what answered, and no secret.
func TestRefusedGrant(t *testing.T) {
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example/?"+hush)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	secretly := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"got\n`+hush+` and `+r.Header.Get("Authorization")+`"}`)
		}
	}
	for name, test := range map[string]struct {
		answer  http.Handler
		says    string
		passing bool
	}{
		"wrong secret":     {credentialtest.NewIssuer(t, time.Minute), "status 401: invalid_client", false},
		"a telling server": {secretly(401), "are client_id and the secret in client_secret_file right?", false},
		"an unorthodox one": {
			status(200, `{"error":"invalid_scope"}`), "is scope right?", false,
		},
		"a web page":        {status(200, "<html>"+hush), "does a web page answer there?", false},
		"an empty answer":   {status(200, `{}`), "not that of a token endpoint", false},
		"no bearer token":   {status(200, `{"access_token":"a b"}`), "not that of a token endpoint", false},
		"not there":         {status(404, hush), "is token_url right?", false},
		"elsewhere":         {status(302, ""), "it leads elsewhere", false},
		"down":              {status(503, hush), "status 503: is it overloaded", true},
		"too many requests": {status(429, ""), "status 429", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, granted(t, test.answer))(t.Context())
			wantRefusal(t, err, test.says, test.passing)
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		g := granted(t, http.NotFoundHandler())
		g.URL = "https://127.0.0.1:1/token"
		_, err := open(t, g)(t.Context())
		wantRefusal(t, err, "connection refused", true)
	})
	t.Run("not trusted", func(t *testing.T) {
		g := granted(t, http.NotFoundHandler())
		credentialtest.Write(t, g.CAFile, credentialtest.NewAuthority(t, "another").PEM)
		_, err := open(t, g)(t.Context())
		wantRefusal(t, err, "certificate signed by unknown authority", true)
	})
}

func wantRefusal(t *testing.T, err error, says string, passing bool) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %v", err)
	}
	temporary, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	if (ok && temporary.Temporary()) != passing {
		t.Errorf("may it pass? want %t: %v", passing, err)
	}
}

// A fetch that fails is not repeated for each who asks at once, and nobody waits for longer than he wants.
func TestFailedGrantsAreFew(t *testing.T) {
	var asked atomic.Int32
	get := open(t, granted(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	})))
	for range 20 {
		if _, err := get(t.Context()); err == nil {
			t.Error("got a token")
		}
	}
	if n := asked.Load(); n > 2 { // with the secret in the header, and in the body
		t.Errorf("asked %d times in a moment", n)
	}

	hangs := make(chan struct{})
	defer close(hangs)
	get = open(t, granted(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		select {
		case <-hangs:
		case <-r.Context().Done():
		}
	})))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := get(ctx); err == nil || time.Since(begun) > time.Second {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
}
