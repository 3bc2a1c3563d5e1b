package config

import (
	"strings"
	"testing"
	"time"

	"callstitch/internal/credential/credentialtest"
)

// written is a file with a text, in the working directory.
func written(t *testing.T, name, content string) string {
	t.Helper()
	credentialtest.Write(t, name, []byte(content))
	return name
}

// Secrets are in files, and never in what is shown.
func TestSecrets(t *testing.T) {
	t.Chdir(t.TempDir())
	password := written(t, "password", "s3cret\n")
	cfg := Default()
	cfg.Kafka.SASL = SASL{Mechanism: "scram-sha-256", Username: "reader", PasswordFile: password}
	cfg.Registry.URL = "https://user:s3cret@one:8081, http://two:8081"
	cfg.Registry.Username, cfg.Registry.PasswordFile = "reader", password
	if problems := cfg.validate(0); problems != nil {
		t.Fatal(problems)
	}
	runtime, err := cfg.Runtime()
	if err != nil {
		t.Fatal(err)
	}
	security, err := cfg.Kafka.security()
	if err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]string{"": "s3cret", "new\n": "new", "newer\nold\n": "newer"} {
		if content != "" {
			written(t, password, content)
			time.Sleep(1100 * time.Millisecond) // files are looked at once a second
		}
		one, err := security.Password(t.Context())
		two, again := runtime.Registry.Password(t.Context())
		if err != nil || again != nil || one != want && content != "" || one != two {
			t.Errorf("the passwords are not read: %v, %v", err, again)
		}
	}
	if got, want := cfg.Registry.Shown(), "https://one:8081,http://two:8081"; got != want {
		t.Errorf("shown %s, want %s", got, want)
	}
	cfg.Registry.CAFile = password
	if _, err := cfg.Runtime(); err == nil || strings.Contains(err.Error(), "new") {
		t.Errorf("a password is taken for a certificate: %v", err)
	}
	cfg.Registry.CAFile, cfg.Kafka.SASL.Mechanism = "", "plain"
	wantProblems(t, cfg.validate(0), "kafka.sasl.mechanism plain sends the password as it is: it needs kafka.tls")
}

// wantProblems holds problems, each as the key and the beginning of its text, against those wanted.
func wantProblems(t *testing.T, got []problem, want ...string) {
	t.Helper()
	for i, p := range got {
		text := p.Key + " " + p.Text
		if strings.Contains(text, "hush") {
			t.Errorf("%s holds a secret", text)
		}
		if i >= len(want) || !strings.HasPrefix(text, want[i]) {
			t.Errorf("unexpected: %s", text)
		}
	}
	if len(got) < len(want) {
		t.Errorf("%d problems, want %q", len(got), want)
	}
}

// TestConnections has each way to connect, and what is not one.
func TestConnections(t *testing.T) {
	t.Chdir(t.TempDir())
	a := credentialtest.NewAuthority(t, "one")
	cert, key := a.Issue(t, "app", time.Now().Add(time.Hour))
	_, other := a.Issue(t, "app", time.Now().Add(time.Hour))
	for name, content := range map[string]string{
		"ca.pem": string(a.PEM), "tls.crt": string(cert), "tls.key": string(key), "other.key": string(other),
		"token": "a.b.c", "secret": "hush", "empty": "\n", "answer.json": `{"access_token":"hush"}`,
	} {
		written(t, name, content)
	}
	grant := OAuth{TokenURL: "https://login.example/token", ClientID: "app", ClientSecretFile: "secret", Scope: "calls", CAFile: "ca.pem"}
	on := TLS{CAFile: "ca.pem", CertFile: "tls.crt", KeyFile: "tls.key"}
	for name, test := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"certificates": {func(c *Config) { c.Kafka.TLS = on }, nil},
		"token file": {func(c *Config) {
			c.Kafka.TLS, c.Kafka.SASL = TLS{Enabled: true}, SASL{Mechanism: "oauthbearer", OAuth: OAuth{TokenFile: "token"}}
		}, nil},
		"client credentials": {func(c *Config) { c.Kafka.TLS, c.Kafka.SASL = on, SASL{Mechanism: "oauthbearer", OAuth: grant} }, nil},
		"registry": {func(c *Config) {
			c.Registry.URL, c.Registry.OAuth = "https://registry", grant
			c.Registry.CAFile, c.Registry.CertFile, c.Registry.KeyFile = "ca.pem", "tls.crt", "tls.key"
		}, nil},
		"registry on this machine": {func(c *Config) { c.Registry.OAuth.TokenFile = "token" }, nil},
		"token without TLS": {func(c *Config) { c.Kafka.SASL = SASL{Mechanism: "oauthbearer", OAuth: grant} }, []string{
			"kafka.sasl.mechanism oauthbearer sends the token as it is: it needs kafka.tls",
		}},
		"no token": {func(c *Config) { c.Kafka.TLS, c.Kafka.SASL.Mechanism = on, "oauthbearer" }, []string{"kafka.sasl.oauth needs token_file, or token_url"}},
		"two ways": {func(c *Config) {
			c.Kafka.TLS, c.Kafka.SASL = on, SASL{Mechanism: "oauthbearer", Username: "app", OAuth: grant}
			c.Kafka.SASL.OAuth.TokenFile = "token"
		}, []string{
			"kafka.sasl.mechanism oauthbearer takes kafka.sasl.oauth, and no username", "kafka.sasl.oauth.token_file and token_url are two ways",
		}},
		"tokens with a password": {func(c *Config) {
			c.Kafka.SASL = SASL{Mechanism: "scram-sha-512", Username: "app", PasswordFile: "secret", OAuth: grant}
		}, []string{"kafka.sasl.mechanism must be oauthbearer with kafka.sasl.oauth"}},
		"half a grant": {func(c *Config) {
			c.Kafka.TLS, c.Kafka.SASL = on, SASL{Mechanism: "oauthbearer", OAuth: OAuth{TokenURL: "http://login.example/token"}}
		}, []string{
			"kafka.sasl.oauth.token_url must be an address such as https://", "kafka.sasl.oauth.client_id is required", "kafka.sasl.oauth.client_secret_file is required",
		}},
		"a grant without an address": {func(c *Config) {
			c.Kafka.TLS, c.Kafka.SASL = on, SASL{Mechanism: "oauthbearer", OAuth: OAuth{TokenFile: "token", ClientID: "app"}}
		}, []string{"kafka.sasl.oauth.token_url is required with client_id"}},
		"no token in a file": {func(c *Config) {
			c.Kafka.TLS, c.Kafka.SASL = on, SASL{Mechanism: "oauthbearer", OAuth: OAuth{TokenFile: "empty"}}
			c.Registry.OAuth.TokenFile = "answer.json"
		}, []string{
			"kafka.sasl.oauth.token_file cannot be used: empty holds no secret", "schema_registry.oauth.token_file cannot be used: answer.json holds no bearer token",
		}},
		"another key": {func(c *Config) { c.Kafka.TLS.CertFile, c.Kafka.TLS.KeyFile = "tls.crt", "other.key" }, []string{
			"kafka.tls.cert_file cannot be used: other.key holds no PEM key of the certificate in tls.crt",
		}},
		"half a pair": {func(c *Config) { c.Kafka.TLS.KeyFile, c.Registry.CertFile = "tls.key", "tls.crt" }, []string{
			"kafka.tls.cert_file is required with a key_file", "schema_registry.key_file is required with a cert_file",
		}},
		"files that are none": {func(c *Config) { c.Kafka.TLS.CAFile, c.Registry.CAFile = "secret", "not-there" }, []string{
			"kafka.tls.ca_file cannot be used: secret holds no PEM certificate", "schema_registry.ca_file cannot be used: open not-there",
		}},
		"a token for a registry far away": {func(c *Config) { c.Registry.URL, c.Registry.OAuth.TokenFile = "http://registry:8081", "token" }, []string{
			"schema_registry.url must begin with https:// with schema_registry.oauth",
		}},
		"two logins": {func(c *Config) {
			c.Registry.Username, c.Registry.PasswordFile, c.Registry.OAuth.TokenFile = "app", "secret", "token"
		}, []string{
			"schema_registry.oauth and a username are two logins",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Default()
			test.change(&cfg)
			problems := cfg.validate(0)
			wantProblems(t, problems, test.want...)
			if len(problems) > 0 {
				return
			}
			if _, err := cfg.Runtime(); err != nil {
				t.Error(err)
			}
			if _, err := cfg.Registry.Open(); err != nil {
				t.Error(err)
			}
			if _, err := cfg.Receiver(); err != nil {
				t.Error(err)
			}
		})
	}
}
