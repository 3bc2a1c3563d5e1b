package faults

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"callstitch/deploy/localkafka"
	"callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

// TestNothingSecretIsWritten has calls with many numbers, signatures and tokens go through
// door and processor, with passwords that are right and wrong, and every command fail in
// as many ways. Whatever any of them writes, but for the records that they are asked for,
// holds none of it.
func TestNothingSecretIsWritten(t *testing.T) {
	t.Parallel()
	s := newSecretive(t)
	s.commandsThatFail()
	stop := s.traffic()
	s.commandsThatWork()
	stop()

	if n := len(s.numbers) + len(s.words); n < 1000 {
		t.Errorf("only %d secrets were tried", n)
	}
	size := 0
	for _, w := range s.said {
		size += len(w.text)
		for _, found := range s.search(w.text, w.records) {
			t.Errorf("%s: %s", w.by, found)
		}
	}
	t.Logf("%d numbers and %d words, none of them in %d bytes from %d places", len(s.numbers), len(s.words), size, len(s.said))
	s.requireAll(map[string]string{ // or nothing was tried
		"a password in the file":       "kafka.sasl.password",
		"a variable that sets nothing": "CALLSTITCH_KAFKA_SASL_PASSWORD",
		"run":                          "task restored",
		"run, wrong password":          "reach brokers",
		"run, wrong registry":          "status 401",
		"receive":                      "feed is not connected",
		"console /api/v1/status":       "•••",
		"console /metrics":             `callstitch_rejects_total{reason="BAD_HEADER"}`,
		"console of a session":         "•••",
		"door /metrics":                "callstitch_receive_requests_total",
		"a post":                       "204 ",
		"a post, wrong password":       "401 ",
		"a post, wrong token":          "401 ",
		"check":                        "√ this user has READ on group",
		"check --probe":                "√ an event through",
		"rejects list":                 "BAD_HEADER",
		"rejects show":                 "•••",
		"rejects replay":               "nothing was changed",
		"clock":                        "secret.raw",
		"reset":                        "generation",
		"explain":                      "•••",
		"rejects' headers":             "MALFORMED_JSON",
		"simulate, wrong password":     "status 401",
		"tail, no such topic":          "find offsets of topic nowhere",
		"tail, wrong registry":         "status 401",
	})
	// The search finds what it is to find: a whole number, part of a word, a header.
	for _, planted := range []string{
		"to=+1" + s.numbers[7], "error=\"" + s.words[3][4:13] + "…\"", base64.StdEncoding.EncodeToString([]byte("bw:" + s.words[0])),
		url.QueryEscape("+" + s.numbers[0]), "(" + s.numbers[1][:3] + ") " + s.numbers[1][3:6] + "-" + s.numbers[1][6:],
	} {
		if len(s.search("level=INFO "+planted+" x", false)) == 0 {
			t.Errorf("%s is not found", planted)
		}
	}
}

// saying is what something wrote.
type saying struct {
	by, text string
	records  bool // it was asked for records, which have numbers
}

// secretive is a door and a processor whose surroundings are full of secrets.
type secretive struct {
	t        *testing.T
	dir      string
	program  string
	broker   *kfake.Cluster
	registry *httptest.Server
	door     string // its address, and that of its metrics
	doorHTTP string
	console  string
	rng      *rand.Rand
	numbers  []string        // ten digits
	words    []string        // passwords, tokens, signatures
	parts    map[string]bool // of words; whether records have it

	mu   sync.Mutex
	said []saying
}

// partOf is how much of a word is too much.
const partOf = 8

func newSecretive(t *testing.T) *secretive {
	t.Helper()
	s := &secretive{t: t, dir: t.TempDir(), program: build(t), rng: rand.New(rand.NewPCG(*seed, 7)), parts: map[string]bool{}}
	password := s.word()
	var err error
	s.broker, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "secret.raw"), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "app", password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.broker.Close)
	fake := srfake.New()
	t.Cleanup(fake.Close)
	behind, err := url.Parse(fake.URL())
	if err != nil {
		t.Fatal(err)
	}
	login := s.word()
	proxy := httputil.NewSingleHostReverseProxy(behind)
	s.registry = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, given, _ := r.BasicAuth(); given != login {
			http.Error(w, `{"error_code":401,"message":"Unauthorized"}`, http.StatusUnauthorized)
			return
		}
		r.Header.Del("Authorization")
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.registry.Close)
	free := localkafka.FreeAddresses(t, 3)
	s.door, s.doorHTTP, s.console = free[0], free[1], free[2]
	for name, secret := range map[string]string{
		"kafka": password, "wrong": s.word(), "registry": login, "basic": s.word() + "\n" + s.word(), "token": s.word(), "signing": s.word(), "pbx": s.word(), "feed": s.word(),
	} {
		s.file(name, secret)
	}
	s.file("right.yaml", s.configuration("kafka", "registry", strings.Replace(s.registry.URL, "://", "://reg:"+s.word()+"@", 1)))
	s.file("wrong-password.yaml", s.configuration("wrong", "registry", s.registry.URL))
	s.file("wrong-registry.yaml", s.configuration("kafka", "wrong", s.registry.URL))
	return s
}

// word is another secret.
func (s *secretive) word() string {
	const letters = "bcdfghjkmnpqrstvwxz"
	b := []byte("Zq")
	for range 14 {
		b = append(b, letters[s.rng.IntN(len(letters))])
	}
	s.words = append(s.words, string(b))
	for i := range len(b) - partOf + 1 {
		s.parts[string(b[i:i+partOf])] = false
	}
	return string(b)
}

func (s *secretive) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *secretive) configuration(kafka, registry, url string) string {
	return fmt.Sprintf(`
application_id: secretive
kafka: {brokers: ["%[1]s"], sasl: {mechanism: scram-sha-256, username: app, password_file: "%[2]s/%[3]s"}}
schema_registry: {url: "%[4]s", username: reg, password_file: "%[2]s/%[5]s"}
sources: [{topic: secret.raw}]
exchange_partitions: 2
grace: 1s
unanswered_timeout: 3s
answered_timeout: 3s
startup_timeout: 4s
http: {listen: "%[6]s"}
log: {level: debug, format: json}
receive:
  listen: "%[7]s"
  topic: secret.raw
  hold: 1s
  spool: {dir: "%[2]s/spool"}
  http: {listen: "%[8]s"}
  probe_period: 0s
  endpoints:
    - {path: "/bandwidth/{tenant}", provider: bandwidth, auth: {basic: {username: bw, password_file: "%[2]s/basic"}}}
    - {path: "/stringee/{tenant}", provider: stringee, auth: {stringee: {secret_file: "%[2]s/signing"}}}
    - {path: "/opentact/{tenant}", provider: opentact, auth: {token_file: "%[2]s/token"}}
  feeds:
    - {name: pbx, provider: xelion, tenant: acme, server: "127.0.0.1:1", pbx_tenant: master, username: callstitch, password_file: "%[2]s/pbx"}
    - {name: ot, provider: opentact, tenant: acme, url: "wss://127.0.0.1:1/?key=%[9]s", send: ['{"token":"{{token}}"}'], token_file: "%[2]s/feed", subscribe_url: "https://127.0.0.1:1/sub?key=%[9]s"}
`, s.broker.ListenAddrs()[0], s.dir, kafka, url, registry, s.console, s.door, s.doorHTTP, s.word())
}

// keep takes in what something wrote.
func (s *secretive) keep(by, text string, records bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, saying{by, text, records})
}

// run runs a command line to its end, which is bound to come.
func (s *secretive) run(by string, records bool, env []string, args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.program, args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		s.t.Errorf("%s: %v", by, err)
	}
	s.keep(by, errs.String(), false)
	s.keep(by, out.String(), records)
}

// start starts a command that runs until what is returned is called.
func (s *secretive) start(by string, args ...string) (stop func()) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.program, args...)
	cmd.Dir = s.dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if s.t.Failed() {
			_ = cmd.Wait() // the test's context kills it, where it was not stopped
			s.t.Logf("%s ends: %s", by, out.Bytes()[max(0, out.Len()-4<<10):])
		}
	})
	return func() {
		s.t.Helper()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			s.t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			s.t.Errorf("%s: %v\n%s", by, err, out.String())
		}
		s.keep(by, out.String(), false)
	}
}

// commandsThatFail are wrong in their secrets, or have them where they do not belong.
func (s *secretive) commandsThatFail() {
	inFile := s.file("inline.yaml", fmt.Sprintf("kafka: {brokers: [\"127.0.0.1:1\"], sasl: {mechanism: plain, username: app, password: %s}}\nsources: [{topic: a}]\nreceive: {listen: \":1\", endpoints: [{path: /a, provider: opentact, auth: {token: %s}}]}", s.word(), s.word()))
	broken := s.file("broken.yaml", fmt.Sprintf("kafka:\n  sasl: {password_file: [%s]\n  brokers: %s: {", s.word(), s.word()))
	short := []string{"CALLSTITCH_STARTUP_TIMEOUT=1s", "CALLSTITCH_LOG_FORMAT=text"}
	var at sync.WaitGroup
	for _, c := range []struct {
		by   string
		env  []string
		args []string
	}{
		{"a password in the file", nil, []string{"check", "-c", inFile}},
		{"a file that is no YAML", nil, []string{"check", "-c", broken}},
		{"a variable that sets nothing", []string{"CALLSTITCH_KAFKA_SASL_PASSWORD=" + s.word()}, []string{"check", "-c", "right.yaml"}},
		{"a registry that is none", nil, []string{"check", "-c", "right.yaml", "--registry", "htp://reg:" + s.word() + "@registry.example"}},
		{"a registry that is away", short, []string{"check", "-c", "right.yaml", "--registry", "http://reg:" + s.word() + "@127.0.0.1:1/?token=" + s.word()}},
		{"check, wrong password", nil, []string{"check", "-c", "wrong-password.yaml"}},
		{"check, wrong registry", nil, []string{"check", "-c", "wrong-registry.yaml"}},
		{"run, wrong password", short, []string{"run", "-c", "wrong-password.yaml", "--listen="}},
		{"run, wrong registry", short, []string{"run", "-c", "wrong-registry.yaml", "--listen="}},
		{"tail, wrong password", nil, []string{"tail", "secret.raw", "-c", "wrong-password.yaml"}},
		{"tail, no such topic", nil, []string{"tail", "nowhere", "-c", "right.yaml"}},
		{"seek, wrong password", nil, []string{"seek", "secret.raw", "0", "0", "-c", "wrong-password.yaml"}},
		{"rejects, wrong password", nil, []string{"rejects", "list", "-c", "wrong-password.yaml"}},
		{"replay, wrong password", nil, []string{"rejects", "replay", "-c", "wrong-password.yaml"}},
		{"reset, wrong password", nil, []string{"reset", "-c", "wrong-password.yaml"}},
		{"clock, wrong password", nil, []string{"clock", "-c", "wrong-password.yaml"}},
		{"await, wrong password", nil, []string{"await", "--timeout", "1s", "-c", "wrong-password.yaml"}},
		{"compare, wrong password", nil, []string{"compare", "call.sessions", "call.sessions.old", "-c", "wrong-password.yaml"}},
		{"explain, wrong password", nil, []string{"explain", "c-1", "-c", "wrong-password.yaml"}},
		{"schemas, wrong registry", nil, []string{"schemas", "check", "-c", "wrong-registry.yaml"}},
	} {
		at.Go(func() { s.run(c.by, false, c.env, c.args...) })
	}
	at.Wait()
}

// number is where simulated records have a telephone number.
var number = regexp.MustCompile(`[2-9]\d{2}55501\d{2}`)

// address is where they have one that could be signed.
var address = regexp.MustCompile(`"https://[^"?]*"`)

// traffic has door and processor take calls, and what is no call, until what is returned
// ends them.
func (s *secretive) traffic() (stop func()) {
	door := s.start("receive", "receive", "-c", "right.yaml")
	run := s.start("run", "run", "-c", "right.yaml")
	s.await("the door to open", func() bool { return isOK("http://" + s.doorHTTP + "/healthz") })
	sim := simulator.New(simulator.Config{
		Seed: *seed, Calls: 300, Rate: 50, Tenants: 2, Start: time.Now().Add(-time.Hour).Truncate(time.Second), Duplicates: 0.05, Disorder: 0.1, Garbage: 0.05, Transfers: 0.2,
	})
	s.send(func(put func(topology.Record)) {
		for r, ok := sim.Next(); ok; r, ok = sim.Next() {
			s.numbers = append(s.numbers, number.FindAllString(string(r.Value), -1)...)
			r.Value = address.ReplaceAllFunc(r.Value, func(url []byte) []byte {
				return append(url[:len(url)-1:len(url)-1], "?X-Amz-Signature="+s.inRecords()+"\""...)
			})
			switch {
			case r.Provider == "bandwidth" && s.rng.IntN(3) == 0:
				s.post("a post", "/bandwidth/"+r.Tenant, r.Value, "bw", s.secret("basic"))
			case r.Provider == "opentact" && s.rng.IntN(3) == 0:
				s.post("a post", "/opentact/"+r.Tenant+"?token="+s.secret("token"), r.Value, "", "")
			default:
				record := topology.Record{Topic: "secret.raw", Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
				for _, h := range r.Headers {
					record.Headers = append(record.Headers, call.Header{Key: h.Key, Value: h.Value})
				}
				put(record)
			}
		}
		slices.Sort(s.numbers)
		s.numbers = slices.Compact(s.numbers)
		for _, record := range s.noCalls() {
			put(record)
		}
	})
	s.refused()
	status := "http://" + s.console + "/api/v1/status"
	s.await("sessions", func() bool { return strings.Contains(s.get("", status), `"state":"FINAL"`) })
	s.await("rejects", func() bool {
		return strings.Contains(s.get("", "http://"+s.console+"/metrics"), `callstitch_rejects_total{reason="BAD_HEADER"}`)
	})
	return func() { door(); run() }
}

// send writes records to Kafka.
func (s *secretive) send(all func(put func(topology.Record))) {
	s.t.Helper()
	options, err := kafka.Security{Mechanism: "SCRAM-SHA-256", Username: "app", Password: func(context.Context) (string, error) { return s.secret("kafka"), nil }}.Options()
	if err != nil {
		s.t.Fatal(err)
	}
	producer, err := kafka.NewProducer(s.t.Context(), s.broker.ListenAddrs(), options)
	if err != nil {
		s.t.Fatal(err)
	}
	all(func(r topology.Record) { _ = producer.Produce(s.t.Context(), r) }) // Close tells the first failure
	if err := producer.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// secret is the first line of a file.
func (s *secretive) secret(name string) string {
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return first
}

// inRecords is a word that records have.
func (s *secretive) inRecords() string {
	w := s.word()
	for i := range len(w) - partOf + 1 {
		s.parts[w[i:i+partOf]] = true
	}
	return w
}

// noCalls are records that are rejected, for each reason that a record can have, and all
// that is in them is secret.
func (s *secretive) noCalls() (records []topology.Record) {
	n := func() string { return "+1" + s.numbers[s.rng.IntN(len(s.numbers))] }
	for _, value := range []string{
		`{"from":"` + n() + `" "token":"` + s.inRecords() + `"`,
		n() + "&token=" + s.inRecords(),
		`{"eventType":"initiate","callId":"` + strings.Repeat(n(), 30) + `"}`,
		`{"eventType":"initiate","callId":{"` + n() + `":"` + s.inRecords() + `"}}`,
		`{"eventType":"initiate","from":"` + n() + `"}`,
		`{"eventType":"` + s.inRecords() + `","callId":"` + n() + `","eventTime":"1970-` + n() + `"}`,
		`{"eventType":"initiate","callId":"c-1","eventTime":"1970-01-01T00:00:00Z","from":"` + n() + `"}`,
		`{"` + n() + `":1,"` + n() + `":2}`,
		strings.Repeat(`{"`+n()+`":`, 70) + "1" + strings.Repeat("}", 70),
		`{"from":"` + n() + `","pad":"` + strings.Repeat(n(), 5_000) + `"}`,
		`{"` + s.inRecords() + `":"` + n() + `\xff"}`,
	} {
		for _, provider := range []string{"bandwidth", "opentact", "stringee", "sonetel", "", n()} {
			r := topology.Record{Topic: "secret.raw", Timestamp: time.Now().UnixMilli(), Key: []byte(n()), Value: []byte(value)}
			if provider != "" {
				r.Headers = append(r.Headers, call.Header{Key: "provider", Value: []byte(provider)})
			}
			records = append(records, r)
		}
	}
	for _, header := range []string{"tenant", "scope"} {
		records = append(records, topology.Record{Topic: "secret.raw", Timestamp: time.Now().UnixMilli(), Value: []byte(`{"eventType":"initiate","callId":"c-1"}`), Headers: []call.Header{
			{Key: "provider", Value: []byte("bandwidth")}, {Key: header, Value: []byte(n() + "\x01" + s.inRecords())},
		}})
	}
	for _, to := range []string{n(), n()} { // one event, two contents
		records = append(records, topology.Record{Topic: "secret.raw", Timestamp: time.Now().UnixMilli(), Value: []byte(`{"uuid":"e-1","created_on":"2026-02-20T10:00:00.200Z","type":"call_state","payload":{"state":"init"},"call":{"uuid":"leg-1","direction":"out","from":"15550100101","to":"` + to + `"}}`), Headers: []call.Header{
			{Key: "provider", Value: []byte("opentact")},
		}})
	}
	return records
}

// refused are posts that prove nothing, or not what they should.
func (s *secretive) refused() {
	n := func() string { return s.numbers[s.rng.IntN(len(s.numbers))] }
	body := []byte(`{"eventType":"initiate","from":"+1` + n() + `","callId":"c-2"}`)
	s.post("a post, wrong password", "/bandwidth/acme", body, "bw", s.word())
	s.post("a post, wrong user", "/bandwidth/acme", body, n(), s.word())
	s.post("a post, wrong token", "/opentact/acme?token="+s.word(), body, "", "")
	s.post("a post, no signature", "/stringee/acme?from="+n(), body, "", "")
	s.post("a post, no endpoint", "/twilio/"+n()+"?token="+s.word(), body, "", "")
	s.post("a post, odd tenant", "/bandwidth/"+n()+"%01", body, "bw", s.secret("basic"))
	s.post("a post, large", "/bandwidth/acme", bytes.Repeat(body, 50_000), "bw", s.secret("basic"))
	for _, raw := range []string{
		"POST /bandwidth/" + n() + " HTTP/9\r\n\r\n", "GARBAGE " + s.word() + "\r\n\r\n",
		"POST /bandwidth/acme HTTP/1.1\r\nHost: a\r\nAuthorization: Basic " + s.word() + "\r\nX-Forwarded-For: " + n() + "\r\nContent-Length: -1\r\n\r\n",
		"POST /bandwidth/acme HTTP/1.1\r\nHost: a\r\nAuthorization: Digest " + s.word() + "\r\nX-STRINGEE-SIGNATURE: " + s.word() + "\r\nContent-Length: 100\r\n\r\n" + n(),
	} {
		connection, err := net.Dial("tcp", s.door)
		if err != nil {
			s.t.Fatal(err)
		}
		_ = connection.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(connection, raw)
		answer, _ := io.ReadAll(connection)
		_ = connection.Close()
		s.keep("an answer to garbage", string(answer), false)
	}
}

// post posts to the door, and keeps all of the answer.
func (s *secretive) post(by, path string, body []byte, user, password string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.door+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := httputil.DumpResponse(answer, true)
	if err != nil {
		s.t.Fatal(err)
	}
	s.keep(by, string(text), false)
}

// get is what is served there, which is kept where it has a name.
func (s *secretive) get(by, url string) string {
	s.t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, err := httputil.DumpResponse(answer, true)
	if err != nil {
		s.t.Fatal(err)
	}
	if by != "" {
		s.keep(by, string(text), false)
	}
	return string(text)
}

func (s *secretive) await(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience / 4); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited %v for %s", patience/4, what)
		}
	}
}

// commandsThatWork look at what was done, while door and processor run.
func (s *secretive) commandsThatWork() {
	for _, path := range []string{"/", "/console.js", "/healthz", "/readyz", "/metrics", "/api/v1/status"} {
		s.get("console "+path, "http://"+s.console+path)
		s.get("door "+path, "http://"+s.doorHTTP+path)
	}
	ids := regexp.MustCompile(`"id":"([0-9a-f]{32})"`).FindAllStringSubmatch(s.get("", "http://"+s.console+"/api/v1/status"), 20)
	for _, id := range ids {
		s.get("console of a session", "http://"+s.console+"/api/v1/sessions/"+id[1])
	}
	if len(ids) == 0 {
		s.t.Fatal("the console shows no session")
	}
	right := []string{"-c", "right.yaml"}
	s.run("check", false, nil, append([]string{"check"}, right...)...)
	s.run("check --probe", false, nil, append([]string{"check", "--probe"}, right...)...)
	s.run("explain", false, nil, append([]string{"explain", ids[0][1]}, right...)...)
	s.run("explain a reject", false, nil, append([]string{"explain", "secret.raw", "0", "3"}, right...)...)
	s.run("topology", false, nil, append([]string{"topology"}, right...)...)
	s.run("schemas check", false, nil, append([]string{"schemas", "check"}, right...)...)
	s.run("seek", false, nil, append([]string{"seek", "secret.raw", "0", "0"}, right...)...)
	s.run("rejects list", false, nil, append([]string{"rejects", "list"}, right...)...)
	s.run("rejects list --each", false, nil, append([]string{"rejects", "list", "--each"}, right...)...)
	s.run("rejects show", true, nil, append([]string{"rejects", "show", "-n", "10"}, right...)...)
	s.run("rejects show -o json", true, nil, append([]string{"rejects", "show", "-n", "10", "-o", "json"}, right...)...)
	s.run("rejects replay", false, nil, append([]string{"rejects", "replay", "--edit", "sed s/x/y/", "--set", "tenant=" + s.word()}, right...)...)
	s.run("clock", false, nil, append([]string{"clock"}, right...)...)
	s.run("clock drop", false, nil, append([]string{"clock", "drop", "secret.raw", "0"}, right...)...)
	s.run("abort", false, nil, append([]string{"abort", "secret.raw", "0"}, right...)...)
	s.run("reset", false, nil, append([]string{"reset"}, right...)...)
	s.run("await", false, nil, append([]string{"await", "--timeout", "1s", "-o", "json"}, right...)...)
	s.run("compare", false, nil, append([]string{"compare", "call.sessions", "call.events"}, right...)...)
	s.run("tail", true, nil, append([]string{"tail", "call.sessions"}, right...)...)
	s.run("tail rejects", true, nil, append([]string{"tail", "call.rejects"}, right...)...)
	s.run("tail, wrong registry", true, nil, "tail", "call.sessions", "-c", "wrong-registry.yaml")
	s.run("simulate, wrong password", false, nil, "simulate", "--to", "http://bw:"+s.word()+"@"+s.door+"/bandwidth/acme?token="+s.word(), "--providers", "bandwidth", "--calls", "1")
	var reasons []string
	for _, w := range s.said {
		if w.by == "tail rejects" {
			reasons = append(reasons, regexp.MustCompile(`"(callstitch\.reason|__streams\.errors\.\w+)":"[^"]*"`).FindAllString(w.text, -1)...)
		}
	}
	s.keep("rejects' headers", strings.Join(reasons, "\n"), false)
	raw := s.file("raw.json", strings.Join([]string{`{"from":"+1` + s.numbers[0] + `" `, s.numbers[1], `{"` + s.numbers[2] + `":1,"` + s.numbers[2] + `":1}`}, "\n"))
	s.run("process", true, nil, "process", raw)
	s.run("process what is not kcat's", true, nil, "process", "--format", "kcat", raw)
}

// search finds secrets in a text: whole numbers however they are written, and parts of
// words, also in base64. Records that were asked for have those that came in them.
func (s *secretive) search(text string, records bool) (found []string) {
	line := func(at int) string {
		begin, end := strings.LastIndexByte(text[:at], '\n')+1, strings.IndexByte(text[at:], '\n')
		if end < 0 {
			end = len(text) - at
		}
		return text[max(begin, at-200):min(at+end, at+60)]
	}
	for at := range len(text) - partOf + 1 {
		if own, secret := s.parts[text[at:at+partOf]]; secret && (!own || !records) {
			found = append(found, "part of a secret: "+line(at))
		}
	}
	for _, w := range s.words {
		for _, pair := range []string{"bw:" + w, "reg:" + w} {
			if at := strings.Index(text, base64.StdEncoding.EncodeToString([]byte(pair))); at >= 0 {
				found = append(found, "a login: "+line(at))
			}
		}
	}
	found = slices.Compact(found)
	if records {
		return found
	}
	plain := strings.NewReplacer(" ", "", "(", "", ")", "", "-", "").Replace(text)
	for _, digits := range regexp.MustCompile(`\d{10,}`).FindAllString(plain, -1) {
		for at := range len(digits) - 9 {
			if _, secret := slices.BinarySearch(s.numbers, digits[at:at+10]); secret {
				where := strings.Index(text, digits)
				found = append(found, "a number: "+digits+" "+line(max(where, 0)))
			}
		}
	}
	return found
}

// requireAll holds what was written against what shows that something was tried.
func (s *secretive) requireAll(want map[string]string) {
	s.t.Helper()
	for by, text := range want {
		if !slices.ContainsFunc(s.said, func(w saying) bool { return w.by == by && strings.Contains(w.text, text) }) {
			var all []string
			for _, w := range s.said {
				if w.by == by {
					all = append(all, w.text[:min(len(w.text), 3000)])
				}
			}
			s.t.Errorf("%s does not say %q but %q", by, text, all)
		}
	}
}
