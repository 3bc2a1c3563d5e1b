package schemas

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"callstitch/internal/credential"
	"callstitch/internal/credential/credentialtest"
)

// door is a registry behind TLS that wants a client certificate and a bearer token.
type door struct {
	*httptest.Server
	files credential.Files
	token atomic.Value // the one that it takes
	came  atomic.Value // whose certificate came last
}

func newDoor(t *testing.T, a *credentialtest.Authority, refuse func(w http.ResponseWriter, r *http.Request)) *door {
	t.Helper()
	fake := srfake.NewRegistry()
	d := &door{}
	d.token.Store("first-token")
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.came.Store(r.TLS.PeerCertificates[0].Subject.CommonName)
		if r.Header.Get("Authorization") != "Bearer "+d.token.Load().(string) {
			refuse(w, r)
			return
		}
		fake.Handler().ServeHTTP(w, r)
	}))
	d.TLS = a.Server(t, tls.RequireAndVerifyClientCert)
	d.StartTLS()
	t.Cleanup(d.Close)
	dir := t.TempDir()
	d.files = credential.Files{CA: filepath.Join(dir, "ca"), Cert: filepath.Join(dir, "crt"), Key: filepath.Join(dir, "key")}
	credentialtest.Write(t, d.files.CA, a.PEM)
	d.issue(t, a, "one")
	return d
}

func (d *door) issue(t *testing.T, a *credentialtest.Authority, name string) {
	t.Helper()
	cert, key := a.Issue(t, name, time.Now().Add(time.Hour))
	credentialtest.Write(t, d.files.Cert, cert)
	credentialtest.Write(t, d.files.Key, key)
}

// TestLogin goes through a door, with a token and a certificate that are exchanged.
func TestLogin(t *testing.T) {
	a := credentialtest.NewAuthority(t, "registry")
	d := newDoor(t, a, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"message":"who is `+r.Header.Get("Authorization")+`?"}`)
	})
	file := filepath.Join(t.TempDir(), "token")
	credentialtest.Write(t, file, []byte("first-token"))
	token, err := credential.TokenFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	certificates, err := credential.Open(d.files)
	if err != nil {
		t.Fatal(err)
	}
	registry := mustRegistry(t, RegistryConfig{URL: d.URL, Token: token, TLS: certificates.Config})
	if _, err := registry.Register(t.Context(), Events, "call.events"); err != nil || d.came.Load() != "one" {
		t.Fatalf("%v came: %v", d.came.Load(), err)
	}

	d.token.Store("second-token")
	_, err = registry.Register(t.Context(), Audit, "call.audit")
	wantError(t, err, "status 401", "check the credentials")
	if strings.Contains(err.Error(), "first-token") {
		t.Errorf("the error has the token: %v", err)
	}
	credentialtest.Write(t, file, []byte("second-token"))
	d.issue(t, a, "two")
	time.Sleep(1100 * time.Millisecond) // files are looked at once a second
	if _, err := registry.Register(t.Context(), Audit, "call.audit"); err != nil || d.came.Load() != "two" {
		t.Errorf("%v came: %v", d.came.Load(), err)
	}
}

// Whoever gives tokens hears of one that was refused, and of no other.
func TestRefusedToken(t *testing.T) {
	a := credentialtest.NewAuthority(t, "registry")
	d := newDoor(t, a, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	certificates, err := credential.Open(d.files)
	if err != nil {
		t.Fatal(err)
	}
	token, heard := "old-token", []string(nil)
	registry := mustRegistry(t, RegistryConfig{
		URL: d.URL, TLS: certificates.Config,
		Token:   func(context.Context) (string, error) { return token, nil },
		Refused: func(refused string) { heard = append(heard, refused); token = "first-token" },
	})
	if _, err := registry.Register(t.Context(), Events, "call.events"); err == nil {
		t.Error("a token that is refused is taken")
	}
	if _, err := registry.Register(t.Context(), Events, "call.events"); err != nil || !slices.Equal(heard, []string{"old-token"}) {
		t.Errorf("%q were said to be refused: %v", heard, err)
	}
}

func TestRefusedCertificates(t *testing.T) {
	a := credentialtest.NewAuthority(t, "registry")
	d := newDoor(t, a, nil)
	lookup := func(files credential.Files) error {
		certificates, err := credential.Open(files)
		if err != nil {
			t.Fatal(err)
		}
		_, err = mustRegistry(t, RegistryConfig{URL: d.URL, TLS: certificates.Config}).Lookup(t.Context(), Events, "call.events")
		return err
	}
	wantError(t, lookup(credential.Files{CA: d.files.CA}), "schema_registry.cert_file")
	wantError(t, lookup(credential.Files{}), "set schema_registry.ca_file")
	cert, key := a.Issue(t, "old", time.Now().Add(-time.Hour))
	credentialtest.Write(t, d.files.Cert, cert)
	credentialtest.Write(t, d.files.Key, key)
	wantError(t, lookup(d.files), "has ours ended")
}

// What cannot be had to log in with is not the registry's fault.
func TestNoLogin(t *testing.T) {
	fail := func(context.Context) (string, error) { return "", errors.New("no token today") }
	registry := mustRegistry(t, RegistryConfig{URL: "http://127.0.0.1:1", Token: fail})
	_, err := registry.Lookup(t.Context(), Events, "call.events")
	wantError(t, err, "no token today", "it was not asked without a login")
}
