package asyncapi

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/memory"
)

var update = flag.Bool("update", false, "rewrite the golden file; read the diff before you commit it")

// cluster is a configuration that says something of everything that is in a document.
func cluster() *config.Config {
	cfg := config.Default()
	cfg.ApplicationID = "acme"
	cfg.Kafka = config.Kafka{
		Brokers: []string{"k1.example:9093", "k2.example:9093"},
		SASL:    config.SASL{Mechanism: "scram-sha-512", Username: "stitcher", PasswordFile: "/run/secrets/password"},
		TLS:     config.TLS{Enabled: true},
	}
	cfg.Registry.URL = "https://reader:hidden@registry.example, https://other.example"
	cfg.Sources = []config.Source{{Topic: "pbx.raw", Provider: "sonetel", Tenant: "acme", Scope: "b"}, {Topic: "call.raw"}}
	cfg.Topics.Prefix = "acme."
	cfg.Topics.ReplicationFactor = 3
	cfg.Topics.Audit.Partitions = 1
	cfg.Emit.Legs, cfg.Emit.Settled = true, true
	return &cfg
}

// parsed is a document as its readers see it.
func parsed(t *testing.T, cfg *config.Config) (d struct {
	Servers  map[string]any
	Channels map[string]struct {
		Address  string
		Messages map[string]struct {
			Payload struct {
				Ref string `json:"$ref"`
			}
			Headers struct {
				Required   []string
				Properties map[string]struct{ Description string }
			}
		}
		Bindings struct {
			Kafka struct {
				Partitions int32
				Settings   map[string]any `json:"topicConfiguration"`
			}
		}
	}
	Operations map[string]struct {
		Action  string
		Channel struct {
			Ref string `json:"$ref"`
		}
	}
	Components struct {
		Schemas map[string]struct {
			SchemaFormat string
			Schema       json.RawMessage
		}
		SecuritySchemes map[string]map[string]any
	}
},
) {
	t.Helper()
	b, err := Document(cfg, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestGolden holds a document as it is. The schemas are only named: they are those
// of the package that has them, which TestSchemas says.
func TestGolden(t *testing.T) {
	b, err := Document(cluster(), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range schemas.Subjects() {
		var d struct {
			Components struct {
				Schemas map[string]struct{ Schema json.RawMessage }
			}
		}
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatal(err)
		}
		b = []byte(strings.Replace(string(b), string(d.Components.Schemas[s.String()].Schema), `"that of `+s.String()+`"`, 1))
	}
	file := filepath.Join("testdata", "cluster.json")
	if *update {
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(b)); diff != "" {
		t.Errorf("%s (-was +is), see: go test ./cmd/callstitch/internal/asyncapi -update\n%s", file, diff)
	}
	if text := string(b); strings.Contains(text, "hidden") || strings.Contains(text, "/run/secrets") || strings.Contains(text, "stitcher") {
		t.Error("the document tells how callstitch logs in")
	}
}

// TestChannels holds the channels against the picture of the topology, which is held
// against what the runtimes write: all of its topics but those that are internal.
func TestChannels(t *testing.T) {
	for _, legs := range []bool{false, true} {
		cfg := cluster()
		cfg.Emit.Legs, cfg.Emit.Settled = legs, legs
		topo := cfg.Topology()
		want := map[string]string{}
		for _, nodes := range topology.Describe(&topo) {
			for _, n := range nodes {
				for _, topic := range n.Topics {
					switch {
					case topic == topo.ExchangeTopic():
					case n.Kind == topology.SourceNode:
						want[topic] = "receive"
					default:
						want[topic] = "send"
					}
				}
			}
		}
		got, d := map[string]string{}, parsed(t, cfg)
		for _, o := range d.Operations {
			got[d.Channels[strings.TrimPrefix(o.Channel.Ref, "#/channels/")].Address] = o.Action
		}
		if diff := cmp.Diff(want, got); diff != "" || len(d.Channels) != len(want) {
			t.Errorf("%d channels; legs %v (-topology +document):\n%s", len(d.Channels), legs, diff)
		}
	}
}

// TestSchemas holds each message's payload against the schema of its sink.
func TestSchemas(t *testing.T) {
	cfg := cluster()
	topo, d, used := cfg.Topology(), parsed(t, cfg), map[string]bool{}
	for _, sink := range topo.Sinks() {
		subject, avro := sink.Subject()
		if !avro {
			continue
		}
		m := d.Channels[topo.Topics.Topic(sink)].Messages[sink.String()]
		name := strings.TrimPrefix(m.Payload.Ref, "#/components/schemas/")
		used[name] = true
		var want, got any
		if err := json.Unmarshal([]byte(subject.Schema()), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(d.Components.Schemas[name].Schema, &got); err != nil {
			t.Fatalf("%s: %v", sink, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-schema +document):\n%s", sink, diff)
		}
	}
	if len(used) != len(d.Components.Schemas) {
		t.Errorf("of the schemas %v only %v are used", slices.Collect(maps.Keys(d.Components.Schemas)), used)
	}
}

// TestEachSinkIsDescribed: what is said by hand is said of every sink, and of every header.
func TestEachSinkIsDescribed(t *testing.T) {
	for _, sink := range topology.Sinks() {
		if about := described[sink]; about.title == "" || about.is == "" || about.key.Description == "" {
			t.Errorf("%s is not described", sink)
		}
	}
	said := map[string]bool{}
	for _, c := range parsed(t, cluster()).Channels {
		for _, m := range c.Messages {
			for name, h := range m.Headers.Properties {
				said[name] = true
				if h.Description == "" {
					t.Errorf("the header %s is not described", name)
				}
			}
		}
	}
	for name := range headers {
		if !said[name] {
			t.Errorf("the header %s is described, and no message has it", name)
		}
	}
}

// TestKeys holds the keys that are described against those of records.
func TestKeys(t *testing.T) {
	sources := []topology.Source{{Topic: "call.raw", Provider: call.Bandwidth}}
	cfg := memory.Config{Config: topology.Config{Sources: sources, ExchangePartitions: 1, Stitch: stitch.Config{
		Grace: time.Second, UnansweredTimeout: time.Minute, AnsweredTimeout: time.Hour, Retention: time.Hour, StubRetention: time.Hour, Legs: true, Settled: true,
	}}}
	seen := map[topology.Sink]bool{}
	r := memory.New(cfg, func(o topology.Output) {
		subject, avro := o.Sink().Subject()
		if !avro {
			return
		}
		seen[o.Sink()] = true
		var fields map[string]any
		if err := json.Unmarshal(schemas.AppendJSON(nil, o.Value), &fields); err != nil {
			t.Fatal(err)
		}
		if key := fields[described[o.Sink()].key.Description]; o.Sink() != topology.Audit && key != string(o.Key) {
			t.Errorf("a %s has the key %q and %v", subject, o.Key, key)
		}
		if o.Sink() == topology.Audit && string(o.Key) != "call.raw-0" {
			t.Errorf("a %s has the key %q", subject, o.Key)
		}
	})
	err := r.Process(topology.Record{Topic: "call.raw", Timestamp: 1708423240000, Value: []byte(
		`{"eventType":"disconnect","callId":"c-1","direction":"outbound","from":"+15550100101","to":"+15550100102","startTime":"2024-02-20T10:00:10Z","endTime":"2024-02-20T10:00:40Z","cause":"hangup"}`,
	)})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if len(seen) != len(cfg.Sinks())-1 { // all but the rejects
		t.Errorf("only %v were written", seen)
	}
}

// TestHowToGetIn: a document says which way, and nothing of the secret.
func TestHowToGetIn(t *testing.T) {
	for name, test := range map[string]struct {
		kafka config.Kafka
		want  map[string]map[string]any
	}{
		"openly":                {config.Kafka{}, nil},
		"by password":           {config.Kafka{SASL: config.SASL{Mechanism: "plain"}}, map[string]map[string]any{"sasl": {"type": "plain"}}},
		"by challenge":          {config.Kafka{SASL: config.SASL{Mechanism: "scram-sha-256"}}, map[string]map[string]any{"sasl": {"type": "scramSha256"}}},
		"by a certificate":      {config.Kafka{TLS: config.TLS{CertFile: "c"}}, map[string]map[string]any{"certificate": {"type": "X509"}}},
		"by somebody's token":   {config.Kafka{SASL: config.SASL{Mechanism: "oauthbearer", OAuth: config.OAuth{TokenFile: "t"}}}, map[string]map[string]any{"sasl": {"type": "http", "scheme": "bearer"}}},
		"by a token of its own": {config.Kafka{SASL: config.SASL{Mechanism: "oauthbearer", OAuth: config.OAuth{TokenURL: "https://login.example/token", Scope: "a b"}}}, map[string]map[string]any{"sasl": {"type": "oauth2", "flows": map[string]any{"clientCredentials": map[string]any{"tokenUrl": "https://login.example/token", "availableScopes": map[string]any{"a": "", "b": ""}}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Kafka = test.kafka
			cfg.Kafka.Brokers = []string{"k.example:9092"}
			if diff := cmp.Diff(test.want, parsed(t, &cfg).Components.SecuritySchemes); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestWithoutBrokers: a configuration that names none is described, too.
func TestWithoutBrokers(t *testing.T) {
	cfg := config.Default()
	if d := parsed(t, &cfg); len(d.Servers) != 0 || len(d.Channels) == 0 {
		t.Errorf("servers %v, channels %d", d.Servers, len(d.Channels))
	}
}
