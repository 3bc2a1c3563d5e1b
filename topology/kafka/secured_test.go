package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/deploy/localkafka"
	"callstitch/internal/credential"
	"callstitch/internal/credential/credentialtest"
	"callstitch/topology/topologytest"
)

// reauthentication is after how long the broker wants a new login on a connection.
const reauthentication = 3 * time.Second

// fileInterval is after how long a client has seen that a file changed.
const fileInterval = 1200 * time.Millisecond

// tokenLife is how long a token is valid: less than a test lasts.
const tokenLife = 8 * time.Second

// securedKafka is a broker with a listener for each way to prove oneself. Whichever it
// is, who comes is the user app, who has the rights of docs/operations.md and no others.
type securedKafka struct {
	*localkafka.Cluster
	authority *credentialtest.Authority
	issuer    *credentialtest.Issuer
	tokens    *httptest.Server // with TLS
	dir       string           // of the broker's own files
	admin     Config
}

func newSecuredKafka(t *testing.T) *securedKafka {
	t.Helper()
	s := &securedKafka{dir: t.TempDir(), authority: credentialtest.NewAuthority(t, "one"), issuer: credentialtest.NewIssuer(t, tokenLife)}
	keys := httptest.NewServer(s.issuer) // of public keys, so without TLS
	t.Cleanup(keys.Close)
	s.tokens = httptest.NewUnstartedServer(s.issuer)
	s.tokens.TLS = s.authority.Server(t, tls.NoClientCert)
	s.tokens.StartTLS()
	t.Cleanup(s.tokens.Close)

	const module = "org.apache.kafka.common.security."
	props := map[string]string{
		"authorizer.class.name":                                               "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                                                         "User:ANONYMOUS", // on the listener without a login
		"broker.session.timeout.ms":                                           "60000",
		"listener.name.passwords.sasl.enabled.mechanisms":                     "SCRAM-SHA-512",
		"listener.name.passwords.scram-sha-512.sasl.jaas.config":              module + "scram.ScramLoginModule required;",
		"listener.name.passwords.connections.max.reauth.ms":                   millis(reauthentication),
		"listener.name.tokens.sasl.enabled.mechanisms":                        "OAUTHBEARER",
		"listener.name.tokens.oauthbearer.sasl.jaas.config":                   module + "oauthbearer.OAuthBearerLoginModule required;",
		"listener.name.tokens.oauthbearer.sasl.server.callback.handler.class": module + "oauthbearer.OAuthBearerValidatorCallbackHandler",
		"listener.name.tokens.oauthbearer.connections.max.reauth.ms":          millis(reauthentication),
		"listener.name.tokens.sasl.oauthbearer.jwks.endpoint.url":             keys.URL + "/jwks",
		"listener.name.tokens.sasl.oauthbearer.expected.audience":             credentialtest.Audience,
		"listener.name.tokens.sasl.oauthbearer.expected.issuer":               credentialtest.IssuerName,
		"listener.name.certificates.ssl.client.auth":                          "required",
		"listener.name.certificates.ssl.principal.mapping.rules":              "RULE:^CN=([a-z]+)$/$1/",
	}
	for _, listener := range []string{"passwords", "tokens", "certificates"} {
		s.install(t, listener, s.authority.PEM)
		maps.Copy(props, s.stores(listener))
	}
	s.Cluster = localkafka.ForTest(t, localkafka.Options{
		Props: props,
		JVM:   []string{"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=" + keys.URL + "/jwks"},
		Listeners: []localkafka.Listener{
			{Name: "passwords", Protocol: "SASL_SSL"}, {Name: "tokens", Protocol: "SASL_SSL"}, {Name: "certificates", Protocol: "SSL"},
		},
	})
	s.admin = testConfig(t, s.Brokers())
	return s
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// stores are the properties of a listener's certificates.
func (s *securedKafka) stores(listener string) map[string]string {
	prefix := "listener.name." + listener + ".ssl."
	return map[string]string{
		prefix + "keystore.type": "PEM", prefix + "keystore.location": filepath.Join(s.dir, listener+".pem"),
		prefix + "truststore.type": "PEM", prefix + "truststore.location": filepath.Join(s.dir, listener+".ca.pem"),
	}
}

// install writes a listener's own certificate, and whom it trusts.
func (s *securedKafka) install(t *testing.T, listener string, trusted []byte) {
	t.Helper()
	cert, key := s.authority.Issue(t, "broker", time.Now().Add(time.Hour))
	credentialtest.Write(t, filepath.Join(s.dir, listener+".pem"), slices.Concat(key, cert))
	credentialtest.Write(t, filepath.Join(s.dir, listener+".ca.pem"), trusted)
}

// reload has the broker read a listener's files again.
func (s *securedKafka) reload(t *testing.T, listener string) {
	t.Helper()
	var changes []kadm.AlterConfig
	for name, value := range s.stores(listener) {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: kadm.StringPtr(value)})
	}
	s.administer(t, func(adm *kadm.Client) error {
		resp, err := adm.AlterBrokerConfigs(t.Context(), changes, 1)
		if err != nil {
			return err
		}
		_, err = resp.On("1", func(r *kadm.AlterConfigsResponse) error { return r.Err })
		return err
	})
}

// setPassword makes the user app, or gives him another password.
func (s *securedKafka) setPassword(t *testing.T, password string) {
	t.Helper()
	s.administer(t, func(adm *kadm.Client) error {
		resp, err := adm.AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{User: "app", Mechanism: kadm.ScramSha512, Iterations: 4096, Password: password}})
		if err != nil {
			return err
		}
		return resp["app"].Err
	})
}

func (s *securedKafka) administer(t *testing.T, do func(*kadm.Client) error) {
	t.Helper()
	cl := client(t, s.admin)
	defer cl.Close()
	if err := do(kadm.NewClient(cl)); err != nil {
		t.Fatal(err)
	}
}

// files are those of a client, with a certificate of the broker's authority.
func (s *securedKafka) files(t *testing.T, dir, name string, ends time.Time) credential.Files {
	t.Helper()
	files := credential.Files{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	cert, key := s.authority.Issue(t, name, ends)
	credentialtest.Write(t, files.CA, s.authority.PEM)
	credentialtest.Write(t, files.Cert, cert)
	credentialtest.Write(t, files.Key, key)
	return files
}

// trusting is the TLS of a client that shows no certificate.
func (s *securedKafka) trusting(t *testing.T) func() *tls.Config {
	t.Helper()
	return opened(t, credential.Files{CA: s.files(t, t.TempDir(), "nobody", time.Now().Add(time.Hour)).CA})
}

func opened(t *testing.T, files credential.Files) func() *tls.Config {
	t.Helper()
	certificates, err := credential.Open(files)
	if err != nil {
		t.Fatal(err)
	}
	return certificates.Config
}

// file is a file of one secret, and what reads it.
func file(t *testing.T, content string) (path string, source credential.Source) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "secret")
	credentialtest.Write(t, path, []byte(content))
	source, err := credential.FromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, source
}

// cutter makes a client's connections, and cuts them.
type cutter struct {
	Security
	mu    sync.Mutex
	conns []net.Conn
}

// options are those of the security, with the cutter in between.
func (c *cutter) options(t *testing.T) []kgo.Opt {
	t.Helper()
	opts, err := c.Options()
	if err != nil {
		t.Fatal(err)
	}
	return append(opts, kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := c.dial(ctx, network, address)
		if err == nil {
			c.mu.Lock()
			c.conns = append(c.conns, conn)
			c.mu.Unlock()
		}
		return conn, err
	}))
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

// TestSecured runs an instance at each listener while what it proves itself with is
// exchanged, and its connections are cut: nothing is lost or done twice.
func TestSecured(t *testing.T) {
	s := newSecuredKafka(t)
	s.setPassword(t, "first-password")
	s.issuer.Know("app", "first-secret")
	t.Run("refused", s.refusals)
	for _, way := range []struct {
		name, listener string
		seamless       bool // no login fails, so that nothing may begin anew
		prepare        func(*testing.T) (security Security, exchange func())
	}{
		{"password", "passwords", false, s.withPassword},
		{"token file", "tokens", true, s.withTokenFile},
		{"client credentials", "tokens", false, s.withGrant},
		{"certificate", "certificates", true, s.withCertificate},
	} {
		security, exchange := way.prepare(t)
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			text := s.exchanged(t, way.listener, security, exchange)
			if strings.Contains(text, "starting over") && way.seamless {
				t.Errorf("the worker began anew:\n%s", text)
			}
		})
	}
}

// exchanged runs an instance while exchange happens, and returns what it warns of.
func (s *securedKafka) exchanged(t *testing.T, listener string, security Security, exchange func()) (logged string) {
	admin := s.admin
	admin.Config = named(admin.Config, strings.ReplaceAll(t.Name(), "_", "-"))
	createSource(t, admin, 4)
	s.allow(t, admin.ApplicationID)
	records := onTopic(admin, topologytest.Calls(7, 30, 20*time.Second).Shuffle(7, 4, time.Second, 0.2))
	part := func(i int) []topologytest.Raw { return records[i*len(records)/3 : (i+1)*len(records)/3] }

	cut, log := &cutter{Security: security}, new(warnings)
	cfg := admin
	cfg.Brokers, cfg.Client = s.Addresses(listener), cut.options(t)
	cfg.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	feed(t, admin, part(0))
	begun, r := time.Now(), startRun(t, cfg)
	awaitBalance(t, admin, len(part(0)), 30*time.Second)
	exchange()
	time.Sleep(fileInterval)
	cut.cut()
	feed(t, admin, part(1))
	awaitBalance(t, admin, len(part(0))+len(part(1)), 30*time.Second)
	if wait := time.Until(begun.Add(tokenLife)); security.Token != nil && wait > 0 {
		time.Sleep(wait) // what the first logins were made with has ended
	}
	feed(t, admin, part(2))
	awaitPublished(t, admin, reference(t, records), 30*time.Second)
	awaitBooks(t, admin, len(records), 20*time.Second)
	if err := r.stop(t); err != nil {
		t.Error(err)
	}
	return log.text()
}

// allow lets the user app do everything with what begins with a name, and nothing else.
func (s *securedKafka) allow(t *testing.T, name string) {
	t.Helper()
	s.administer(t, func(adm *kadm.Client) error {
		acl := kadm.NewACLs().Allow("User:app").AllowHosts().Topics(name).Groups(name).TransactionalIDs(name).
			ResourcePatternType(kadm.ACLPatternPrefixed).Operations(kadm.OpAll)
		created, err := adm.CreateACLs(t.Context(), acl)
		for _, c := range created {
			err = errors.Join(err, c.Err)
		}
		return err
	})
}

// withPassword has the broker take the new password a moment before the file has it. A login in
// between fails, and is tried again.
func (s *securedKafka) withPassword(t *testing.T) (Security, func()) {
	path, password := file(t, "first-password\n")
	return Security{Mechanism: "scram-sha-512", Username: "app", Password: password, TLS: s.trusting(t)}, func() {
		s.setPassword(t, "second-password")
		credentialtest.Write(t, path, []byte("second-password\n"))
	}
}

// withTokenFile has somebody who puts a new token into a file before the old one ends.
func (s *securedKafka) withTokenFile(t *testing.T) (Security, func()) {
	path, token := file(t, s.issuer.Token("app"))
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(tokenLife / 5):
				credentialtest.Write(t, path, []byte(s.issuer.Token("app")))
			}
		}
	}()
	return Security{Mechanism: "oauthbearer", Token: token, TLS: s.trusting(t)}, func() {}
}

// withGrant has another secret of the client, while its issuer is away for longer than a
// token lasts.
func (s *securedKafka) withGrant(t *testing.T) (Security, func()) {
	path, _ := file(t, "first-secret")
	g := credential.Grant{URL: s.tokens.URL + "/token", ClientID: "app", SecretFile: path, CAFile: s.files(t, t.TempDir(), "nobody", time.Now()).CA}
	token, refused, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	return Security{Mechanism: "oauthbearer", Token: token, Refused: refused, TLS: s.trusting(t)}, func() {
		s.issuer.Away(true)
		time.Sleep(tokenLife)
		s.issuer.Know("app", "second-secret")
		credentialtest.Write(t, path, []byte("second-secret"))
		time.Sleep(fileInterval)
		s.issuer.Away(false)
	}
}

// withCertificate goes over to another authority as one does: both sides trust both, then
// both show what the new one signed, then the old one does not count any more.
func (s *securedKafka) withCertificate(t *testing.T) (Security, func()) {
	const listener = "certificates"
	dir := t.TempDir()
	files := s.files(t, dir, "app", time.Now().Add(time.Hour))
	return Security{TLS: opened(t, files)}, func() {
		first := s.authority
		second := credentialtest.NewAuthority(t, "two")
		both := slices.Concat(first.PEM, second.PEM)
		s.install(t, listener, both)
		s.reload(t, listener)
		credentialtest.Write(t, files.CA, both)
		time.Sleep(fileInterval)
		s.authority = second
		s.install(t, listener, both)
		s.reload(t, listener)
		s.files(t, dir, "app", time.Now().Add(time.Hour))
		time.Sleep(fileInterval)
		s.install(t, listener, second.PEM)
		s.reload(t, listener)
	}
}

// refusals are logins that are not taken: what is said of each says what to do, and no
// secret.
func (s *securedKafka) refusals(t *testing.T) {
	dir := t.TempDir()
	good := opened(t, s.files(t, dir, "app", time.Now().Add(time.Hour)))
	say := func(text string) credential.Source { return func(context.Context) (string, error) { return text, nil } }
	ended := opened(t, s.files(t, t.TempDir(), "app", time.Now().Add(-time.Hour)))
	refused := make(chan string, 100)
	t.Cleanup(func() { // when all below have ended
		if len(refused) == 0 || <-refused != "a.hush.c" {
			t.Error("nobody was told of the token that was refused")
		}
	})
	for name, test := range map[string]struct {
		listener string
		Security
		says string
	}{
		"wrong password":      {"passwords", Security{Mechanism: "SCRAM-SHA-512", Username: "app", Password: say("hush"), TLS: s.trusting(t)}, "does the broker know kafka.sasl.username"},
		"another mechanism":   {"passwords", Security{Mechanism: "SCRAM-SHA-256", Username: "app", Password: say("hush"), TLS: s.trusting(t)}, "another mechanism"},
		"no login":            {"passwords", Security{TLS: s.trusting(t)}, "want a login"},
		"no TLS":              {"passwords", Security{}, "tls endpoint"},
		"TLS where is none":   {"", Security{TLS: good}, "does it speak TLS"},
		"wrong token":         {"tokens", Security{Mechanism: "OAUTHBEARER", Token: say("a.hush.c"), Refused: func(token string) { refused <- token }, TLS: s.trusting(t)}, "does not take the token: invalid_token: has it ended"},
		"unknown authority":   {"tokens", Security{Mechanism: "OAUTHBEARER", Token: say("hush"), TLS: func() *tls.Config { return new(tls.Config) }}, "set kafka.tls.ca_file"},
		"no certificate":      {"certificates", Security{TLS: s.trusting(t)}, "kafka.tls.cert_file"},
		"ended certificate":   {"certificates", Security{TLS: ended}, "has it ended"},
		"another's authority": {"certificates", Security{TLS: s.stranger(t)}, "trust who signed it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t, s.Addresses(test.listener))
			if test.listener == "" {
				cfg.Brokers = s.Brokers()
			}
			var err error
			if cfg.Client, err = test.Options(); err != nil {
				t.Fatal(err)
			}
			begun, found := time.Now(), Examine(t.Context(), cfg)
			t.Logf("after %v: %v", time.Since(begun).Round(time.Millisecond), found[0].Err)
			if len(found) != 1 || found[0].Err == nil || !strings.Contains(found[0].Err.Error(), test.says) || strings.Contains(found[0].Err.Error(), "hush") {
				t.Errorf("got %v", found)
			}
		})
	}
}

// stranger has a certificate of an authority that the broker does not trust.
func (s *securedKafka) stranger(t *testing.T) func() *tls.Config {
	files := s.files(t, t.TempDir(), "app", time.Now())
	cert, key := credentialtest.NewAuthority(t, "another").Issue(t, "app", time.Now().Add(time.Hour))
	credentialtest.Write(t, files.Cert, cert)
	credentialtest.Write(t, files.Key, key)
	return opened(t, files)
}

// What would send a secret as it is needs TLS.
func TestSecretsNeedTLS(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "OAUTHBEARER"} {
		if _, err := (Security{Mechanism: mechanism}).Options(); err == nil || !strings.Contains(err.Error(), "needs TLS") {
			t.Errorf("%s: %v", mechanism, err)
		}
	}
	if _, err := (Security{Mechanism: "GSSAPI"}).Options(); err == nil {
		t.Error("an unknown mechanism is taken")
	}
}
