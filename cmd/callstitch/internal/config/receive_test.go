package config

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/internal/receive"
	"callstitch/processor/call"
)

const receiveConfig = `
kafka: {brokers: ["127.0.0.1:9092"]}
receive:
  listen: ":8085"
  hold: 2s
  max_body: 2MiB
  spool: {dir: spool, max: 1GiB}
  trusted_proxies: [10.0.0.1, 10.1.2.3/8]
  endpoints:
    - {path: /bw/acme, provider: bandwidth, tenant: acme, scope: eu, auth: {basic: {username: bw, password_file: password}}}
    - {path: "/st/{tenant}", provider: stringee, auth: {stringee: {secret_file: password}, source_ips: ["::1"]}}
    - {path: "/pbx/{tenant}", provider: xelion, auth: {none: true}}
  feeds:
    - {name: pbx1, provider: xelion, tenant: acme, server: pbx.example, pbx_tenant: master, username: u, password_file: password, events: [a, b], heartbeat: 5s}
instance_id: one
`

// prepare has the file with secrets that the configurations of these tests name.
func prepare(t *testing.T, yaml string) *loader {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"f.yaml": yaml, "password": "new\nold\n", "empty": "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := newLoader()
	if err := l.readFile("f.yaml"); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestReceiver(t *testing.T) {
	cfg, err := prepare(t, receiveConfig).finish(ToDoAll)
	if err != nil {
		t.Fatal(err)
	}
	got, err := cfg.Receiver()
	if err != nil {
		t.Fatal(err)
	}
	prefix := netip.MustParsePrefix
	want := receive.Config{
		Brokers: []string{"127.0.0.1:9092"}, Topic: "call.raw", Listen: ":8085", Hold: 2 * time.Second, MaxBody: 2 << 20, MaxInFlight: 64 << 20,
		Spool:          receive.Spool{Dir: "spool", Max: 1 << 30},
		TrustedProxies: []netip.Prefix{prefix("10.0.0.1/32"), prefix("10.0.0.0/8")},
		HTTPListen:     "127.0.0.1:8086", ProbePeriod: 5 * time.Second, InstanceID: "one",
		Endpoints: []receive.Endpoint{
			{Path: "/bw/acme", Provider: call.Bandwidth, Tenant: "acme", Scope: "eu", Auth: receive.Auth{Username: "bw", PasswordFile: "password"}},
			{Path: "/st/{tenant}", Provider: call.Stringee, Auth: receive.Auth{SignatureFile: "password", SourceIPs: []netip.Prefix{prefix("::1/128")}}},
			{Path: "/pbx/{tenant}", Provider: call.Sonetel, Auth: receive.Auth{None: true}},
		},
		Feeds: []receive.Feed{{
			Name: "pbx1", Provider: call.Sonetel, Tenant: "acme", Server: "pbx.example", PBXTenant: "master", Username: "u", PasswordFile: "password",
			Events: []string{"a", "b"}, Heartbeat: 5 * time.Second,
		}},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What is wrong with a front door is told with its place, too.
func TestReceiveProblems(t *testing.T) {
	_, err := prepare(t, `receive:
  listen: "8085"
  hold: 5m
  max_body: 1MB
  trusted_proxies: [proxy]
  topic: call.events
  endpoints:
    - {path: bw, provider: bandwidth, auth: {tokn_file: t}}
    - {path: /st, provider: acme, auth: {none: true}}
    - {path: /st, provider: stringee, auth: {stringee: {secret_file: absent}}}
    - {path: /x, provider: xelion, auth: {token_file: empty, source_ips: [10.0.0.300]}}
  feeds:
    - {name: pbx, provider: acme}
`).finish(ToReceive)
	if err == nil {
		t.Fatal("no problem found")
	}
	text := err.Error()
	for _, want := range []string{
		`f.yaml:2:11: receive.listen must be host:port`,
		`f.yaml:3:9: receive.hold must be from 0s to 1m`,
		`f.yaml:4:13: receive.max_body must be a size with its unit, such as 64KiB, 1MiB or 10GiB, not "1MB"`,
		`f.yaml:5:21: receive.trusted_proxies[0] "proxy" must be an address or a network`,
		`topics.events.name "call.events" is what receive writes to already`,
		`f.yaml:8:14: receive.endpoints[0].path must be`,
		`f.yaml:8:46: unknown key "receive.endpoints[0].auth.tokn_file"; the nearest known one is "receive.endpoints[0].auth.token_file"`,
		`receive.endpoints[0].auth is required`,
		`f.yaml:9:29: receive.endpoints[1].provider is required`,
		`f.yaml:10:14: receive.endpoints[2].path matches what the path of another endpoint does`,
		`receive.endpoints[2].auth.stringee.secret_file cannot be used`,
		`receive.endpoints[3].auth.token_file cannot be used`,
		`receive.endpoints[3].auth.source_ips[0] "10.0.0.300" must be an address or a network`,
		`f.yaml:13:29: receive.feeds[0].provider must be`,
		`kafka.brokers is required`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("not told: %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// The processor runs where the secrets of the front door are not.
func TestRunNeedsNoSecrets(t *testing.T) {
	l := prepare(t, strings.ReplaceAll(receiveConfig, ": password", ": absent")+"sources: [{topic: call.raw}]\n")
	if _, err := l.finish(ToRun); err != nil {
		t.Error(err)
	}
	if _, err := l.finish(ToDoAll); err == nil {
		t.Error("a check needs none either")
	}
}

// A variable such as CALLSTITCH_RECEIVE_LISTEN may be set for all processes of a machine,
// of which only the front door, and a check, miss the endpoints.
func TestListenAlone(t *testing.T) {
	l := prepare(t, "receive: {listen: ':8085'}\nkafka: {brokers: ['127.0.0.1:9092']}\nsources: [{topic: call.raw}]\n")
	for _, needs := range []Needs{0, ToRun} {
		if _, err := l.finish(needs); err != nil {
			t.Error(err)
		}
	}
	for _, needs := range []Needs{ToReceive, ToDoAll} {
		l.lines = nil
		if _, err := l.finish(needs); err == nil || !strings.Contains(err.Error(), "receive.endpoints are needed with listen") {
			t.Errorf("not told: %v", err)
		}
	}
}

func TestNeeds(t *testing.T) {
	for yaml, want := range map[string]string{
		"":                                   "sources is required",
		"receive: {hold: 1s}":                "sources is required",
		"receive: {listen: ':1'}":            "receive.endpoints",
		"sources: [{topic: call.raw}]":       "kafka.brokers is required",
		"receive: {feeds: [{name: a}]}":      "receive.feeds[0]",
		"receive: {endpoints: [{path: /a}]}": "listen",
	} {
		_, err := prepare(t, yaml).finish(ToDoAll)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: not told: %s: %v", yaml, want, err)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"0B": 0, "1B": 1, "1536B": 1536, "64KiB": 64 << 10, "1MiB": 1 << 20, "10GiB": 10 << 30} {
		got, err := parseSize(text)
		if err != nil || got != want {
			t.Errorf("%s is %d, %v", text, got, err)
		}
		if got.String() != text {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
	for _, text := range []string{"", "1", "MiB", "-1MiB", "1.5MiB", "1MB", "99999999999GiB", "1mib"} {
		if n, err := parseSize(text); err == nil {
			t.Errorf("%q is %d", text, n)
		}
	}
}

// A secret is the first line of its file, for those who post.
func TestDoor(t *testing.T) {
	cfg, err := prepare(t, receiveConfig).finish(ToReceive)
	if err != nil {
		t.Fatal(err)
	}
	door, err := cfg.Receive.Door("http://127.0.0.1:8085")
	if err != nil {
		t.Fatal(err)
	}
	e, exact, ok := door.For("bandwidth", "acme")
	if !exact || !ok || e.URL != "http://127.0.0.1:8085/bw/acme" || e.Username != "bw" || e.Password != "new" {
		t.Errorf("events of acme go to %+v", e)
	}
	if e, _, _ := door.For("stringee", "t1"); e.URL != "http://127.0.0.1:8085/st/t1" || e.Secret != "new" {
		t.Errorf("events of t1 go to %+v", e)
	}
}

// A feed without events does what its provider needs; one with an empty list subscribes
// to nothing.
func TestNoEvents(t *testing.T) {
	l := prepare(t, "receive: {feeds: [{name: a, url: 'wss://a/b'}, {name: b, url: 'wss://a/b', events: []}]}")
	cfg, err := l.finish(0)
	if err != nil {
		t.Fatal(err)
	}
	feeds := cfg.receiver().Feeds
	if feeds[0].Events != nil || feeds[1].Events == nil {
		t.Errorf("events are %#v and %#v", feeds[0].Events, feeds[1].Events)
	}
}
