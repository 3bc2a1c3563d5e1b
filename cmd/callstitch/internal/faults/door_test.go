package faults

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"callstitch/deploy/localkafka"
	"callstitch/internal/simulator"
)

var (
	doorCalls = flag.Int("door-calls", 500, "calls that go through the front door")
	outage    = flag.Duration("outage", 5*time.Second, "how long Kafka answers nothing meanwhile")
)

// doorConfiguration is what the front door adds. A call that is never heard to end is
// given up early, since all of them are over within seconds and an outage here.
const doorConfiguration = `
unanswered_timeout: %[5]s
answered_timeout: %[5]s
grace: 5s
receive:
  listen: "%[1]s"
  topic: %[2]s
  hold: 1s
  spool: {dir: "%[3]s/spool"}
  http: {listen: "%[4]s"}
  probe_period: 0s
  endpoints:
    - {path: "/bandwidth/{tenant}", provider: bandwidth, auth: {basic: {username: bw, password_file: "%[3]s/password"}}}
    - {path: "/stringee/{tenant}", provider: stringee, auth: {stringee: {secret_file: "%[3]s/signing"}}}
    - {path: "/opentact/{tenant}", provider: opentact, auth: {token_file: "%[3]s/token", source_ips: ["127.0.0.1"]}}
`

// doorParts are parts of the traffic: before the outage, in it, in the restart that
// follows while the spool drains, and after all of it.
const doorParts = 4

// TestFrontDoor: simulated calls, posted to `callstitch receive` with each provider's
// authentication, come out once and right, whatever befalls Kafka and the receiver.
// Sonetel's do not come by webhook, and have no times but those of their arrival.
func TestFrontDoor(t *testing.T) {
	t.Parallel()
	cluster := localkafka.ForTest(t, localkafka.Options{Registry: true, Props: map[string]string{
		"broker.session.timeout.ms": "120000", // it is frozen, and comes back as what it was
	}})
	p := &program{path: build(t), cluster: cluster, broker: newBroker(t, cluster.Brokers()), registry: cluster.RegistryURL()}
	d := newDoorTest(t, p)
	d.start()
	d.app.begin(1)

	d.post(0)
	if err := cluster.Pause(0); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	frozen := d.posting(1)
	frozen()
	spooled := d.metric("callstitch_receive_spool_records")
	time.Sleep(time.Until(begun.Add(*outage)))
	if err := cluster.Continue(0); err != nil {
		t.Fatal(err)
	}
	if spooled == 0 {
		t.Error("Kafka was away, and nothing was spooled: nothing was tried")
	}
	restarted := d.posting(2)
	d.restart()
	restarted()
	d.post(3)
	d.end()
	t.Logf("%d calls, %.0f records spooled in an outage of %v", len(d.truth), spooled, *outage)
}

// doorTest is a front door before an application.
type doorTest struct {
	t     *testing.T
	app   *application
	url   string
	http  string
	cmd   *exec.Cmd
	ended chan error
	from  time.Time // when the first call began
	truth []simulator.Truth
	runs  int
}

func newDoorTest(t *testing.T, p *program) *doorTest {
	t.Helper()
	topic := "raw.door"
	if err := p.cluster.CreateTopic(t.Context(), topic, rawPartitions); err != nil {
		t.Fatal(err)
	}
	secrets := t.TempDir()
	for name, secret := range map[string]string{"password": "new\nold\n", "signing": "signing key\n", "token": "t0ken"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	free := localkafka.FreeAddresses(t, 2)
	listen, http := free[0], free[1]
	d := &doorTest{t: t, url: "http://" + listen, http: "http://" + http, from: time.Now().Add(-age).Truncate(time.Second)}
	d.app = newApplication(t, p, &traffic{program: p, topic: topic}, "door", fmt.Sprintf(doorConfiguration, listen, topic, secrets, http, 2**outage+20*time.Second))
	return d
}

// start starts a receiver and waits until it is ready.
func (d *doorTest) start() {
	d.t.Helper()
	d.runs++
	file := filepath.Join(d.app.dir, fmt.Sprintf("receive.%d.log", d.runs))
	log, err := os.Create(file)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	cmd, ended := d.app.command("receive"), make(chan error, 1)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.cmd, d.ended = cmd, ended
	done := make(chan struct{})
	go func() {
		ended <- cmd.Wait()
		close(done)
	}()
	d.t.Cleanup(func() {
		<-done // the test's context kills it
		if d.t.Failed() {
			d.t.Logf("%s:\n%s", filepath.Base(file), tailOf(file))
		}
	})
	for deadline := time.Now().Add(patience); !isOK(d.http + "/readyz"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("the receiver is not ready after %v", patience)
		}
	}
}

func isOK(url string) bool {
	client := http.Client{Timeout: time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// restart stops the receiver in order, in the middle of posts, and starts it again.
func (d *doorTest) restart() {
	d.t.Helper()
	d.stop()
	d.start()
}

func (d *doorTest) stop() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	select {
	case err := <-d.ended:
		if err != nil {
			d.t.Errorf("the receiver stopped with %v", err)
		}
	case <-time.After(patience):
		d.t.Fatalf("the receiver is not stopped after %v", patience)
	}
}

// posting begins to post a part of the traffic; what it returns waits for the end.
func (d *doorTest) posting(part int) (wait func()) {
	d.t.Helper()
	traffic := simulator.Config{
		Seed: *seed + uint64(part), Calls: *doorCalls / doorParts, Rate: 20, Tenants: 3, Start: d.from,
		Duplicates: 0.1, Disorder: 0.2, Garbage: 0.03, Transfers: 0.2, Providers: []string{"opentact", "stringee", "bandwidth"},
	}
	sim := simulator.New(traffic)
	for _, ok := sim.Next(); ok; _, ok = sim.Next() { // the truth is whole at the end
	}
	d.truth = append(d.truth, sim.Truth()...)
	cmd := d.app.command("simulate", "--to", d.url, "--seed", fmt.Sprint(traffic.Seed), "--calls", fmt.Sprint(traffic.Calls), "--rate", "20",
		"--tenants", "3", "--start", d.from.Format(time.RFC3339), "--duplicates", "0.1", "--disorder", "0.2", "--garbage", "0.03", "--transfers", "0.2")
	var said strings.Builder
	cmd.Stderr = &said
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	return func() {
		d.t.Helper()
		if err := cmd.Wait(); err != nil {
			d.t.Fatalf("%s: %v\n%s", cmd, err, said.String())
		}
		d.t.Logf("part %d: %s, in %v", part, strings.TrimSpace(said.String()), time.Since(begun).Round(time.Millisecond))
	}
}

func (d *doorTest) post(part int) {
	d.t.Helper()
	d.posting(part)()
}

// metric is the value of a metric without labels.
func (d *doorTest) metric(name string) (value float64) {
	d.t.Helper()
	answer, err := http.Get(d.http + "/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, line := range lines(string(text)) {
		if rest, is := strings.CutPrefix(line, name+" "); is {
			if _, err := fmt.Sscan(rest, &value); err != nil {
				d.t.Fatal(err)
			}
			return value
		}
	}
	d.t.Fatalf("there is no metric %s", name)
	return 0
}

// end waits until everything is in Kafka and in sessions that are closed, and compares
// these with the truth.
func (d *doorTest) end() {
	d.t.Helper()
	a := d.app
	a.await("the spool to drain", func() bool { return d.metric("callstitch_receive_spool_records") == 0 })
	d.stop()
	a.traffic.sent = a.broker.records(d.t, a.traffic.topic) // repetitions among them
	a.await("every event to be in a session that is closed", a.isClosed)
	a.stop(a.instances)
	o := &outcome{truth: d.truth, sessions: lines(output(d.t, a.command("tail", a.topic("call.sessions"))))}
	for _, wrong := range o.untrue() {
		d.t.Error(wrong)
	}
}
