package monitoring

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"callstitch/deploy/localkafka"
)

const (
	sourceTopic = "call.raw"
	patience    = 90 * time.Second
)

// TestPrometheusSeesARun has Prometheus scrape a processor and a front door under traffic:
// every panel has data, every rule is evaluated, and an alert fires when its cause is made,
// and not before.
func TestPrometheusSeesARun(t *testing.T) {
	p := begin(t)
	p.run(t, "simulate", "--calls=400", "--start=2026-11-01T08:00:00Z", "--providers=opentact,stringee,sonetel", "--garbage=0", "--to=http://"+p.door)
	p.post(t, "/stringee/acme", "null") // no call event: left aside

	panels := expressions(t)
	eventually(t, func() error {
		for _, where := range slices.Sorted(maps.Keys(panels)) {
			if !strings.Contains(where, ",") {
				continue // an alert
			}
			samples, err := p.query(panels[where])
			if err != nil {
				return fmt.Errorf("%s: %w", where, err)
			}
			if len(samples) == 0 || slices.ContainsFunc(samples, func(s sample) bool { return s.Value[1] == "NaN" }) {
				return fmt.Errorf("%s: %s gives %v", where, panels[where], samples)
			}
		}
		return nil
	})
	causes := map[string]func(){
		"CallstitchCallControl": func() { p.post(t, "/bandwidth/acme", `{"eventType":"initiate","callId":"c-1"}`) },
		"CallstitchRejects":     func() { p.post(t, "/bandwidth/acme", `{"eventType":`) },
	}
	time.Sleep(3 * time.Second) // and as many evaluations
	fired, err := p.query(`count by (alertname) (count_over_time(ALERTS{alertstate="firing", alertname!="CallstitchFeedDown"}[1h]))`)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fired {
		t.Errorf("%s fired without a cause", f.Metric["alertname"])
	}
	for name, cause := range causes {
		cause()
		eventually(t, func() error {
			states, err := p.alerts()
			if err == nil && states[name] != "firing" {
				err = fmt.Errorf("%s is %s after its cause was made", name, states[name])
			}
			return err
		})
	}
}

// lookAtSources is for go test, which runs a test again only if a file changed that the
// test itself opened, and knows nothing of what its child processes open.
func lookAtSources(t *testing.T) {
	t.Helper()
	for _, dir := range []string{".", "../../cmd", "../../internal", "../../processor", "../../schemas", "../../topology"} {
		if err := filepath.WalkDir(dir, func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
}

// programs are callstitch, its processor and its front door running on a broker, and a
// Prometheus that scrapes both.
type programs struct {
	path, config     string
	env              []string
	door, prometheus string
}

func begin(t *testing.T) *programs {
	t.Helper()
	lookAtSources(t)
	cluster := localkafka.Shared(t)
	registry := localkafka.SharedRegistry(t)
	if err := cluster.CreateTopic(t.Context(), sourceTopic, 4); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config, err := filepath.Abs("../callstitch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	write(t, secret, "secret\n")
	free := localkafka.FreeAddresses(t, 4)
	p := &programs{path: filepath.Join(dir, "callstitch"), config: config, door: free[0], prometheus: free[1]}
	console, metrics := free[2], free[3]
	p.env = append(os.Environ(),
		"CALLSTITCH_KAFKA_BROKERS="+strings.Join(cluster.Brokers(), ","), "CALLSTITCH_SCHEMA_REGISTRY_URL="+registry,
		"CALLSTITCH_HTTP_LISTEN="+console, "CALLSTITCH_GRACE=1s", "CALLSTITCH_INSTANCE_ID=a", "CALLSTITCH_RECEIVE_LISTEN="+p.door,
		"CALLSTITCH_RECEIVE_HTTP_LISTEN="+metrics, "CALLSTITCH_RECEIVE_SPOOL_DIR="+filepath.Join(dir, "spool"),
		// A feed that nobody answers.
		"CALLSTITCH_RECEIVE_FEEDS=[{name: pbx1, provider: sonetel, tenant: acme, server: 'http://127.0.0.1:1', pbx_tenant: master, username: callstitch, password_file: "+secret+"}]",
		"GOMEMLIMIT=1GiB",
	)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", p.path, "callstitch/cmd/callstitch").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.start(t, p.path, "run", "-c", config)
	p.start(t, p.path, "receive", "-c", config)
	for _, ready := range []string{console, metrics} {
		eventually(t, func() error {
			r, err := http.Get("http://" + ready + "/readyz")
			if err != nil {
				return err
			}
			defer r.Body.Close()
			if r.StatusCode != http.StatusOK {
				return fmt.Errorf("%s is not ready: %s", ready, r.Status)
			}
			return nil
		})
	}

	text, err := os.ReadFile("prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]string{
		{"scrape_interval: 15s, evaluation_interval: 15s", "scrape_interval: 1s, evaluation_interval: 1s"},
		{"/etc/prometheus/alerts.yaml", rules},
		{"callstitch:8080", console},
		{"receiver:8086", metrics},
	} {
		if !bytes.Contains(text, []byte(r[0])) {
			t.Fatalf("prometheus.yml has no %q", r[0])
		}
		text = bytes.ReplaceAll(text, []byte(r[0]), []byte(r[1]))
	}
	file := filepath.Join(dir, "prometheus.yml")
	write(t, file, string(text))
	p.start(t, tool(t, "prometheus"), "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.prometheus, "--log.level=warn")
	eventually(t, func() error {
		up, err := p.query("count(up == 1)")
		if err == nil && (len(up) == 0 || up[0].Value[1] != "2") {
			err = fmt.Errorf("of two programs are scraped: %v", up)
		}
		return err
	})
	return p
}

// start runs a program until the test ends; what it says is shown if the test fails.
func (p *programs) start(t *testing.T, path string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = p.env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 15 * time.Second
	log := new(logBuffer)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was told to end
		if t.Failed() {
			t.Logf("%s %s:\n%s", filepath.Base(path), args[0], log)
		}
	})
}

// logBuffer keeps what a program says.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (p *programs) run(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.path, append(args, "-c", p.config)...)
	cmd.Env = p.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", args[0], err, out)
	}
}

func (p *programs) post(t *testing.T, path, body string) {
	t.Helper()
	r, err := http.Post("http://"+p.door+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode >= 300 {
		t.Fatalf("%s: %s", path, r.Status)
	}
}

// ask is an answer of Prometheus's API.
func (p *programs) ask(path string, data any) error {
	r, err := http.Get("http://" + p.prometheus + path)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status != "success" {
		return fmt.Errorf("%s: %s %s", path, r.Status, body)
	}
	return json.Unmarshal(answer.Data, data)
}

// sample is a value that an expression has, and its labels.
type sample struct {
	Metric map[string]string
	Value  [2]any // when, and what
}

func (p *programs) query(expr string) ([]sample, error) {
	var data struct{ Result []sample }
	err := p.ask("/api/v1/query?query="+url.QueryEscape(expr), &data)
	return data.Result, err
}

// alerts are the states of all alerts: inactive, pending or firing. One whose rule cannot
// be evaluated is an error.
func (p *programs) alerts() (map[string]string, error) {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, State, Health, LastError string }
		}
	}
	if err := p.ask("/api/v1/rules?type=alert", &data); err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if r.Health != "ok" {
				return nil, fmt.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
			}
			states[r.Name] = r.State
		}
	}
	return states, nil
}

// eventually asks again until there is no error.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		if err = ask(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
