package receive

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"

	"callstitch/internal/receive/auth"
	"callstitch/internal/secret"
)

// guard holds an endpoint's requests against what they must prove.
type guard struct {
	auth      Auth
	proxies   []netip.Prefix
	signature *auth.Signature
	password  *secret.File // nil: not asked for; so are the next two
	signing   *secret.File
	token     *secret.File
	challenge string // what a request without credentials is told to bring

	log  *slog.Logger
	told rarely // of a file that cannot be read
}

// newGuard reads the secrets that an endpoint's requests are held against.
func newGuard(a Auth, signature *auth.Signature, proxies []netip.Prefix, log *slog.Logger) (*guard, error) {
	g := &guard{auth: a, proxies: proxies, signature: signature, log: log}
	for _, f := range []struct {
		path      string
		file      **secret.File
		challenge string
	}{
		// The first one that is asked for is the challenge. One that no client can meet
		// by itself is a challenge too: a 401 has one (RFC 9110, 15.5.2).
		{a.PasswordFile, &g.password, `Basic realm="callstitch"`},
		{a.TokenFile, &g.token, `Bearer realm="callstitch"`},
		{a.SignatureFile, &g.signing, `Signature realm="callstitch"`},
	} {
		if f.path == "" {
			continue
		}
		var err error
		if *f.file, err = secret.Open(f.path); err != nil {
			return nil, fmt.Errorf("read a secret: %w", err)
		}
		if g.challenge == "" {
			g.challenge = f.challenge
		}
	}
	if !a.None && g.challenge == "" && len(a.SourceIPs) == 0 && !a.ClientCert {
		return nil, errOpen // Validate has said so; it is never served
	}
	return g, nil
}

// admit refuses a request that does not prove what can be seen before its body is read.
func (g *guard) admit(r *http.Request) *refusal {
	if len(g.auth.SourceIPs) > 0 && !auth.Source(g.origin(r), g.auth.SourceIPs) {
		return forbidden
	}
	if g.auth.ClientCert && !auth.Named(certificateNames(r), g.auth.ClientNames) {
		return forbidden
	}
	header := r.Header.Get("Authorization")
	if g.password != nil && !auth.Basic(header, g.auth.Username, g.values(g.password)) {
		return g.unauthorized()
	}
	if g.token != nil {
		tokens := g.values(g.token)
		if !auth.Bearer(header, tokens) && !auth.Token(r.URL.Query().Get("token"), tokens) {
			return g.unauthorized()
		}
	}
	return nil
}

// admits reports whether admit asks for anything: else whoever sends a body is a stranger.
func (g *guard) admits() bool {
	return g.password != nil || g.token != nil || len(g.auth.SourceIPs) > 0 || g.auth.ClientCert
}

// verify refuses a request whose body is not signed as it must be.
func (g *guard) verify(r *http.Request, body []byte) *refusal {
	if g.signing != nil && !g.signature.Verify(r.Header.Get(g.signature.Header), body, g.values(g.signing)) {
		return g.unauthorized()
	}
	return nil
}

// origin is the address that a request comes from; not valid where nobody can tell.
func (g *guard) origin(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return auth.Origin(peer.Addr(), r.Header.Values("X-Forwarded-For"), g.proxies)
}

// values are a file's secrets. A file that cannot be read is told: the ones it held go
// on being taken.
func (g *guard) values(f *secret.File) []string {
	if err := f.Problem(); err != nil && g.told.now() {
		g.log.Warn("a secret is not read again; those read before go on", "error", err)
	}
	return f.Values()
}

func (g *guard) unauthorized() *refusal {
	return &refusal{status: http.StatusUnauthorized, header: "WWW-Authenticate", value: g.challenge, text: "no or wrong credentials"}
}

// certificateNames are the names of the client's certificate, which the server has
// verified: the first is its subject's, which may be empty; nil: there is none.
func certificateNames(r *http.Request) []string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	leaf := r.TLS.VerifiedChains[0][0]
	return append([]string{leaf.Subject.CommonName}, leaf.DNSNames...)
}
