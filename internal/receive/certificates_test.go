package receive

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callstitch/processor/call"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{key: newKey(t)}
	a.cert, a.pem = certify(t, "authority", a.key, nil)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certify makes a certificate, signed by itself where there is no authority.
func certify(t *testing.T, name string, key *ecdsa.PrivateKey, by *authority) (*x509.Certificate, []byte) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true, IsCA: by == nil,
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// pair is a certificate with its key, in PEM.
func (a *authority) pair(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	k := newKey(t)
	_, cert = certify(t, name, k, a)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTLS: a door with certificates, which are exchanged while it is open, and clients
// with certificates of theirs.
func TestTLS(t *testing.T) {
	ours, theirs, strangers := newAuthority(t), newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	files := TLS{CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key"), ClientCAFile: filepath.Join(dir, "ca")}
	cert, key := ours.pair(t, "first.example")
	write(t, files.CertFile, cert)
	write(t, files.KeyFile, key)
	write(t, files.ClientCAFile, theirs.pem)

	cfg := testConfig(t).withDefaults()
	cfg.TLS = files
	cfg.Endpoints = []Endpoint{
		{Path: "/any", Provider: call.Opentact, Auth: Auth{ClientCert: true}},
		{Path: "/named", Provider: call.Opentact, Auth: Auth{ClientCert: true, ClientNames: []string{"known.example"}}},
		{Path: "/open", Provider: call.Opentact, Auth: Auth{None: true}},
	}
	if problems := cfg.Validate(); len(problems) > 0 {
		t.Fatal(problems)
	}
	r, err := open(&cfg, new(taker))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = r.serveDoor() }()
	t.Cleanup(func() { _ = r.doorServer.Close() })

	// client has a certificate, unless it is of nobody.
	client := func(of *authority, name string) *http.Client {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ours.pem)
		c := &tls.Config{RootCAs: pool}
		if of != nil {
			pair, err := tls.X509KeyPair(of.pair(t, name))
			if err != nil {
				t.Fatal(err)
			}
			// Sent whatever authorities the server names: a stranger would.
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		return &http.Client{Transport: &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
	}
	url := "https://" + r.doorListener.Addr().String()
	post := func(c *http.Client, path string) (status int, resp *http.Response) {
		resp, err := c.Post(url+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			return 0, nil
		}
		_ = resp.Body.Close()
		return resp.StatusCode, resp
	}
	served := func(c *http.Client) string {
		_, resp := post(c, "/open")
		if resp == nil {
			t.Fatal("no answer")
		}
		if resp.ProtoMajor != 2 {
			t.Errorf("answered over %s", resp.Proto)
		}
		return resp.TLS.PeerCertificates[0].Subject.CommonName
	}

	nobody, known, other, stranger := client(nil, ""), client(&theirs, "known.example"), client(&theirs, "other.example"), client(&strangers, "known.example")
	for _, test := range []struct {
		name   string
		client *http.Client
		path   string
		want   int // 0: no connection
	}{
		{"nobody", nobody, "/open", http.StatusOK},
		{"nobody", nobody, "/any", http.StatusForbidden},
		{"nobody", nobody, "/named", http.StatusForbidden},
		{"known", known, "/any", http.StatusOK},
		{"known", known, "/named", http.StatusOK},
		{"other", other, "/any", http.StatusOK},
		{"other", other, "/named", http.StatusForbidden},
		{"stranger", stranger, "/any", 0},
		{"stranger", stranger, "/named", 0},
	} {
		if got, _ := post(test.client, test.path); got != test.want {
			t.Errorf("%s at %s: answered %d, want %d", test.name, test.path, got, test.want)
		}
	}

	if got := served(nobody); got != "first.example" {
		t.Errorf("serves %s", got)
	}
	second, secondKey := ours.pair(t, "second.example")
	write(t, files.CertFile, second) // and its key not yet
	time.Sleep(1100 * time.Millisecond)
	if got := served(nobody); got != "first.example" {
		t.Errorf("serves %s while only one file has changed", got)
	}
	write(t, files.KeyFile, secondKey)
	write(t, files.ClientCAFile, strangers.pem)
	time.Sleep(1100 * time.Millisecond)
	if got := served(nobody); got != "second.example" {
		t.Errorf("serves %s after both files have changed", got)
	}
	for c, want := range map[*http.Client]int{known: 0, stranger: http.StatusOK} {
		if got, _ := post(c, "/named"); got != want {
			t.Errorf("after the authorities changed: answered %d, want %d", got, want)
		}
	}
}

func TestCertificatesThatCannotBe(t *testing.T) {
	ours, dir := newAuthority(t), t.TempDir()
	cert, key := ours.pair(t, "a.example")
	_, otherKey := ours.pair(t, "a.example")
	path := func(name string, content []byte) string {
		p := filepath.Join(dir, name)
		write(t, p, content)
		return p
	}
	for name, files := range map[string]TLS{
		"no certificate": {CertFile: path("empty", nil), KeyFile: path("key", key)},
		"another's key":  {CertFile: path("cert", cert), KeyFile: path("other", otherKey)},
		"no authority":   {CertFile: path("cert", cert), KeyFile: path("key", key), ClientCAFile: path("empty", nil)},
	} {
		if _, err := openCertificates(files, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
