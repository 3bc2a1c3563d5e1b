package credentialtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Issuer signs tokens (RS256), and serves what a broker and a client ask of an
// authorization server: its keys at /jwks, and tokens at /token.
type Issuer struct {
	t   testing.TB
	key *rsa.PrivateKey
	// InBody is an issuer that takes secrets in the body of a request only.
	InBody bool

	mu       sync.Mutex
	clients  map[string]string // secrets by client id
	life     time.Duration
	answered int
	away     bool
}

// Claims are fixed in every token: who issues it, and for whom.
const (
	IssuerName = "https://issuer.example"
	Audience   = "kafka"
	keyID      = "one"
)

// NewIssuer makes an issuer whose tokens live for so long. Those that it gives to clients
// it says to live half of that: brokers take no login on a connection within a second after
// the last, and the rest of a short life would be less.
func NewIssuer(t testing.TB, life time.Duration) *Issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &Issuer{t: t, key: key, clients: map[string]string{}, life: life}
}

// Know sets the secret of a client; with an empty one it is unknown.
func (i *Issuer) Know(id, secret string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.clients[id] = secret
}

// Away has it answer, or not, that it cannot give tokens now.
func (i *Issuer) Away(is bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.away = is
}

// Answered is how many tokens were given.
func (i *Issuer) Answered() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.answered
}

// Token is a new token of a subject.
func (i *Issuer) Token(subject string) string {
	i.t.Helper()
	now := time.Now()
	signed := encode(i.t, map[string]any{"alg": "RS256", "typ": "JWT", "kid": keyID}) + "." + encode(i.t, map[string]any{
		"iss": IssuerName, "aud": Audience, "sub": subject, "scope": "calls", "iat": now.Unix(),
		"exp": now.Add(i.life).Unix(), "jti": now.String(),
	})
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		i.t.Error(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// ServeHTTP answers.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/jwks" {
		number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "kid": keyID, "alg": "RS256", "use": "sig", "n": number(i.key.N), "e": number(big.NewInt(int64(i.key.E))),
		}}})
		return
	}
	id, secret := i.client(r)
	i.mu.Lock()
	known, away := secret != "" && i.clients[id] == secret, i.away
	if known && !away {
		i.answered++
	}
	i.mu.Unlock()
	if away {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.Method != http.MethodPost || r.FormValue("grant_type") != "client_credentials" || !known {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": "invalid_client", "error_description": "there is no client " + id + " with the secret " + secret})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": i.Token(id), "token_type": "Bearer", "expires_in": i.life.Seconds() / 2})
}

// client is who asks (RFC 6749 §2.3.1).
func (i *Issuer) client(r *http.Request) (id, secret string) {
	if i.InBody {
		return r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	id, secret, _ = r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	return id, secret
}

func encode(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}
