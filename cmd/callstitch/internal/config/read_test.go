package config

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func load(t *testing.T, yaml string, environ ...string) (*Config, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("f.yaml", []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLoader()
	if err := l.readFile("f.yaml"); err != nil {
		t.Fatal(err)
	}
	l.readEnvironment(environ)
	return l.finish(0)
}

func TestEmptyFileIsDefault(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "kafka:\nsources:\n"} {
		got, err := load(t, text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if diff := cmp.Diff(Default(), *got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestLoad(t *testing.T) {
	got, err := load(t, `
kafka:
  brokers: &b ["127.0.0.1:9092", "127.0.0.2:9092"]
sources:
  - topic: call.raw
  - {topic: bw, provider: bandwidth, tenant: acme, scope: eu, link_by_tag: true}
topics:
  prefix: test.
  sessions: {name: s, partitions: 3, retention: 2d}
retention: 1h30m
emit: {legs: true}
`, "CALLSTITCH_GRACE=2s", "CALLSTITCH_KAFKA_BROKERS=a:1,b:2", "CALLSTITCH_TOPICS_EVENTS_RETENTION=1h", "PATH=/bin")
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Kafka.Brokers = []string{"a:1", "b:2"}
	want.Sources = []Source{{Topic: "call.raw"}, {"bw", "bandwidth", "acme", "eu", true}}
	want.Topics.Prefix = "test."
	want.Topics.Sessions = Topic{Name: "s", Partitions: 3, Retention: 48 * time.Hour}
	want.Topics.Events.Retention = time.Hour
	want.Retention = 90 * time.Minute
	want.Grace = 2 * time.Second
	want.Emit.Legs = true
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A session settles no sooner than it closes, and no later than it is forgotten.
func TestSettledAfter(t *testing.T) {
	const needed = "kafka: {brokers: [\"127.0.0.1:9092\"]}\nsources: [{topic: call.raw}]\ngrace: 1m\nanswered_timeout: 2h\nretention: 3h\n"
	for emit, want := range map[string]string{
		"{settled: true}":                      "",
		"{settled: true, settled_after: 1m}":   "",
		"{settled: true, settled_after: 5h}":   "",
		"{settled: true, settled_after: 59s}":  "emit.settled_after must be from 1m, the grace, to 5h",
		"{settled: true, settled_after: 301m}": "emit.settled_after must be from 1m, the grace, to 5h",
		"{settled: true, settled_after: -1s}":  "emit.settled_after must be from 1m, the grace, to 5h",
		"{settled_after: 1h}":                  "emit.settled_after needs emit.settled: true",
	} {
		_, err := load(t, needed+"emit: "+emit)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", emit, err, want)
		}
	}
}

func TestSourcesFromEnvironment(t *testing.T) {
	got, err := load(t, "", "CALLSTITCH_SOURCES=[{topic: a, provider: stringee}]")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Source{{Topic: "a", Provider: "stringee"}}, got.Sources); diff != "" {
		t.Error(diff)
	}
}

// Every problem is told at once, each with its place.
func TestProblems(t *testing.T) {
	_, err := load(t, `grcae: 10s
listen: "127.0.0.1:80"
kafka:
  brokers: 127.0.0.1:9092
  sasl: {mechanism: plain}
workers: many
retention: 24
store: disk
sources:
  - topic: call.raw
  - topic: call.raw
    provider: acme
  - topic: call.events
http: {listen: 8080}
`, "CALLSTITCH_COMMIT_INTERVAL=never", "CALLSTITCH_LOG_LEVEL=loud")
	if err == nil {
		t.Fatal("no problem found")
	}
	want := []string{
		`f.yaml:1:1: unknown key "grcae"; the nearest known one is "grace"`,
		`f.yaml:2:1: unknown key "listen"; the nearest known one is "http.listen"`,
		`f.yaml:4:12: kafka.brokers must be a list`,
		`f.yaml:6:10: workers must be a whole number of at most 64 bits, not "many"`,
		`f.yaml:7:12: retention must be a time with its unit, such as 100ms, 30s, 5m, 24h or 7d, not "24"`,
		`CALLSTITCH_COMMIT_INTERVAL: commit_interval must be a time with its unit`,
		`f.yaml:5:9: kafka.sasl.username is required with a mechanism`,
		`f.yaml:5:9: kafka.sasl.password_file is required with a mechanism`,
		`f.yaml:11:12: sources[1].topic "call.raw" is a source already`,
		`f.yaml:12:15: sources[1].provider must be opentact, stringee, sonetel (or xelion) or bandwidth, or absent`,
		`topics.events.name "call.events" is a source already`,
		`f.yaml:8:8: store disk is not available in this version: memory is the only store today`,
		`f.yaml:14:16: http.listen must be host:port, such as 127.0.0.1:8080`,
		`CALLSTITCH_LOG_LEVEL: log.level must be one of debug, info, warn, error`,
	}
	text := err.Error()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("not told: %s", w)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestSyntaxErrorHasItsPlace(t *testing.T) {
	_, err := load(t, "grace: 1s\nkafka: {brokers: [\n")
	if err == nil || !strings.Contains(err.Error(), "f.yaml:2:") {
		t.Errorf("got %v", err)
	}
}

// The keys and the defaults that users rely on, as the design lists them.
func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	documented := `
application_id: callstitch
schema_registry: {url: "http://127.0.0.1:8081", auto_register: true}
topics: {prefix: "", partitions: 8, replication_factor: -1, create: true}
start: earliest
workers: 0
exchange_partitions: 8
generation: 0
commit_interval: 100ms
grace: 30s
unanswered_timeout: 5m
answered_timeout: 4h
retention: 24h
stub_retention: 72h
store: memory
state_dir: ""
instance_id: ""
startup_timeout: 5m
emit: {partial: true, legs: false, settled: false, settled_after: 0s}
http: {listen: "127.0.0.1:8080"}
log: {level: info, format: text}
`
	got, err := load(t, documented)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), *got); diff != "" {
		t.Errorf("(-documented +default):\n%s", diff)
	}
}

// A mistyped variable is told, but not those that Kubernetes sets for a service
// of our name.
func TestUnknownVariables(t *testing.T) {
	l := newLoader()
	l.readEnvironment([]string{
		"CALLSTITCH_GRAECE=1s", "CALLSTITCH_GRACE=1s", "CALLSTITCH_SERVICE_HOST=10.0.0.1",
		"CALLSTITCH_SERVICE_PORT_HTTP=80", "CALLSTITCH_PORT=tcp://10.0.0.1:80", "CALLSTITCH_PORT_80_TCP_ADDR=10.0.0.1",
	})
	if diff := cmp.Diff([]string{"CALLSTITCH_GRAECE"}, l.unknown); diff != "" {
		t.Error(diff)
	}
}

func TestFlagWinsOverFileAndEnvironment(t *testing.T) {
	l := newLoader()
	l.readEnvironment([]string{"CALLSTITCH_GRACE=1s"})
	l.readFlag("grace", "3s", "--grace")
	got, err := l.finish(0)
	if err != nil || got.Grace != 3*time.Second {
		t.Errorf("grace %v, %v", got, err)
	}
}
