package receive

import (
	"slices"
	"strings"
	"testing"
	"time"

	"callstitch/internal/receive/spool"
	"callstitch/processor/call"
)

// TestValidate breaks a configuration that is right, in one way at a time.
func TestValidate(t *testing.T) {
	for _, test := range []struct {
		key    string // of the only problem; empty: there is none
		change func(c *Config)
	}{
		{"", func(*Config) {}},
		{"", func(c *Config) { c.Hold = 0 }},
		{"", func(c *Config) { c.Feeds = []Feed{{Name: "any", URL: "wss://pbx.example/"}} }},
		{"", func(c *Config) {
			c.Listen, c.Endpoints, c.Feeds = "", nil, []Feed{{Name: "any", URL: "wss://pbx.example/"}}
		}},
		{"topic", func(c *Config) { c.Topic = "" }},
		{"hold", func(c *Config) { c.Hold = -1 }},
		{"hold", func(c *Config) { c.Hold = 61 * time.Second }},
		{"probe_period", func(c *Config) { c.ProbePeriod = 61 * time.Second }},
		{"max_body", func(c *Config) { c.MaxBody = 1023 }},
		{"max_body", func(c *Config) { c.MaxBody = 16<<20 + 1 }},
		{"max_body", func(c *Config) { c.MaxBody, c.Feeds = 1<<20-1, []Feed{{Name: "any", URL: "wss://pbx.example/"}} }},
		{"max_in_flight", func(c *Config) { c.MaxInFlight = 2<<20 - 1 }},
		{"spool.max", func(c *Config) { c.Spool = Spool{Dir: "/spool", Max: spool.MaxLeast - 1} }},
		{"max_body", func(c *Config) { c.Spool, c.MaxBody = Spool{Dir: "/spool", Max: 1 << 30}, mostSpooled+1 }},
		{"listen", func(c *Config) { c.Listen = "8085" }},
		{"http.listen", func(c *Config) { c.HTTPListen = "localhost" }},
		{"endpoints", func(c *Config) { c.Endpoints = nil }},
		{"endpoints", func(c *Config) { c.Listen, c.Feeds = "", []Feed{{Name: "any", URL: "wss://pbx.example/"}} }},
		{"tls", func(c *Config) { c.TLS.CertFile = "cert.pem" }},
		{"tls", func(c *Config) { c.TLS.KeyFile = "key.pem" }},
		{"tls.cert_file", func(c *Config) { c.TLS.ClientCAFile = "ca.pem" }},
		{"endpoints[0].path", func(c *Config) { c.Endpoints[0].Path = "" }},
		{"endpoints[0].path", func(c *Config) { c.Endpoints[0].Path = "/" }},
		{"endpoints[0].path", func(c *Config) { c.Endpoints[0].Path = "a/b" }},
		{"endpoints[0].path", func(c *Config) { c.Endpoints[0].Path = "/a/" }},
		{"endpoints[0].path", func(c *Config) { c.Endpoints[0].Path = "/a//b" }},
		{"endpoints[0].path", func(c *Config) { c.Endpoints[0].Path = "/a/../b" }},
		{"endpoints[0].path", func(c *Config) { c.Endpoints[0].Path = "/a/{other}" }},
		{"endpoints[0].path", func(c *Config) { c.Endpoints[0].Path = "/a/{tenant...}" }},
		{"endpoints[0].path", func(c *Config) { c.Endpoints[0].Path = "/a/x{tenant}" }},
		{"endpoints[0].path", func(c *Config) { c.Endpoints[0].Path = "POST /a" }},
		{"endpoints[0].path", func(c *Config) { c.Endpoints[0].Path = "host.example/a" }},
		{"endpoints[0].tenant", func(c *Config) { c.Endpoints[0].Path = "/a/{tenant}" }},
		{"endpoints[1].scope", func(c *Config) { c.Endpoints[1].Path = "/a/{scope}" }},
		{"endpoints[1].path", func(c *Config) { c.Endpoints[1].Path = c.Endpoints[0].Path }},
		{"endpoints[4].path", func(c *Config) { c.Endpoints[4].Path = "/{tenant}/acme" }}, // and /bandwidth/acme says more, but not more than /opentact/{tenant}
		{"endpoints[0].provider", func(c *Config) { c.Endpoints[0].Provider = call.NoProvider }},
		{"endpoints[0].tenant", func(c *Config) { c.Endpoints[0].Tenant = "a\nb" }},
		{"endpoints[0].tenant", func(c *Config) { c.Endpoints[0].Tenant = strings.Repeat("a", 129) }},
		{"endpoints[0].scope", func(c *Config) { c.Endpoints[0].Scope = "a\xff" }},
		{"endpoints[0].auth", func(c *Config) { c.Endpoints[0].Auth = Auth{} }},
		{"endpoints[0].auth.none", func(c *Config) { c.Endpoints[0].Auth.None = true }},
		{"endpoints[0].auth.basic", func(c *Config) { c.Endpoints[0].Auth.Username = "" }},
		{"endpoints[2].auth.basic", func(c *Config) { c.Endpoints[2].Auth.Username = "a" }},
		{"endpoints[0].auth.basic.username", func(c *Config) { c.Endpoints[0].Auth.Username = "a:b" }},
		{"endpoints[0].auth.token_file", func(c *Config) { c.Endpoints[0].Auth.TokenFile = "token" }},
		{"endpoints[0].auth", func(c *Config) { c.Endpoints[0].Auth.SignatureFile = "key" }},
		{"endpoints[0].auth.client_names", func(c *Config) { c.Endpoints[0].Auth.ClientNames = []string{"a"} }},
		{"endpoints[0].auth.client_cert", func(c *Config) { c.Endpoints[0].Auth.ClientCert = true }},
		{"feeds[0].name", func(c *Config) { c.Feeds = []Feed{{URL: "wss://pbx.example/"}} }},
		{"feeds[1].name", func(c *Config) {
			c.Feeds = []Feed{{Name: "a", URL: "wss://pbx.example/"}, {Name: "a", URL: "wss://pbx.example/"}}
		}},
		{"feeds[0]", func(c *Config) { c.Feeds = []Feed{{Name: "a"}} }},
		{"feeds[0].tenant", func(c *Config) { c.Feeds = []Feed{{Name: "a", URL: "wss://pbx.example/", Tenant: "\x00"}} }},
	} {
		c := testConfig(t)
		test.change(&c)
		var keys []string
		for _, p := range c.Validate() {
			keys = append(keys, p.Key)
			if p.Text == "" || strings.Contains(p.Text, "%!") {
				t.Errorf("%s: says %q", p.Key, p.Text)
			}
		}
		if test.key == "" && len(keys) > 0 || test.key != "" && !slices.Equal(keys, []string{test.key}) {
			t.Errorf("problems of %q, want one of %q", keys, test.key)
		}
	}
}

// TestAllProblemsAreToldAtOnce: a Run says them all, each with its key.
func TestAllProblemsAreToldAtOnce(t *testing.T) {
	c := testConfig(t)
	c.Topic, c.Hold, c.Endpoints[0].Auth = "", -1, Auth{}
	err := Run(t.Context(), c)
	for _, want := range []string{"receive.topic", "receive.hold", "receive.endpoints[0].auth"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
