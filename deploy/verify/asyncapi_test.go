package verify

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAsyncAPI has AsyncAPI's own reader read what `callstitch topology` writes for
// configurations of several kinds, Avro schemas included.
func TestAsyncAPI(t *testing.T) {
	program := filepath.Join(t.TempDir(), "callstitch")
	run(t, nil, "go", "build", "-o", program, "./cmd/callstitch")
	for name, test := range map[string]struct {
		config string
		topics []string // beside those that there always are
	}{
		"defaults": {"", []string{"call.raw"}},
		"a cluster that asks for a password": {
			`application_id: acme-calls
kafka:
  brokers: [k1.example:9093, k2.example:9093]
  tls: {enabled: true}
  sasl: {mechanism: scram-sha-512, username: u, password_file: SECRET}
schema_registry: {url: "https://r1.example,https://r2.example"}
sources: [{topic: a.raw, provider: sonetel, tenant: acme, scope: b}, {topic: b-raw_2}]
topics: {replication_factor: 3, min_isr: 2, legs: {retention: 720h}}
emit: {legs: true, settled: true}
`, []string{"a.raw", "b-raw_2", "call.legs", "call.settled"},
		},
		"a cluster that asks for a token": {
			`kafka:
  brokers: [k1.example:9093]
  tls: {enabled: true}
  sasl: {mechanism: oauthbearer, oauth: {token_url: "https://login.example/token", client_id: c, client_secret_file: SECRET, scope: a b}}
sources: [{topic: call.raw}]
`, []string{"call.raw"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file, secret := filepath.Join(dir, "callstitch.yaml"), filepath.Join(dir, "secret")
			for name, content := range map[string]string{file: strings.ReplaceAll(test.config, "SECRET", secret), secret: "s"} {
				if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			said := javascript(t, "read.js", run(t, nil, program, "topology", "-o", "asyncapi", "-c", file))
			var topics []string
			for line := range strings.Lines(said) {
				word := strings.Fields(line)
				switch {
				case word[0] == "0" || word[0] == "1":
					t.Error(line)
				case word[0] == "message":
					topics = append(topics, word[1])
				}
			}
			want := append(test.topics, "call.audit", "call.events", "call.rejects", "call.sessions")
			slices.Sort(want)
			if slices.Sort(topics); !slices.Equal(topics, want) {
				t.Errorf("messages in %v, want %v\n%s", topics, want, said)
			}
		})
	}
}
