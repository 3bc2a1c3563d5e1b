package kafka

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/deploy/localkafka"
	"callstitch/processor/call"
	"callstitch/schemas"
	"callstitch/topology/topologytest"
)

// childVariable makes the test binary an instance that runs until it is killed,
// or kills itself: its value is a childConfig as JSON.
const childVariable = "CALLSTITCH_TEST_CHILD"

type childConfig struct {
	Brokers  []string
	Name     string // of the test: topics and group
	Instance string
	Workers  int
	Replicas int16 // 0: 1
	Crash    crashPoint
}

// crashPoint is a step of the protocol, seen from the wire: the N-th time that
// a request of a kind was written, or its answer read but not acted upon yet.
// Kill -9 there, whatever else is under way.
type crashPoint struct {
	Read bool
	Key  int16
	N    int64
}

func (c crashPoint) String() string {
	if c.N == 0 {
		return "none"
	}
	verb := "sent"
	if c.Read {
		verb = "answered"
	}
	return fmt.Sprintf("%s %d %s", requestNames[c.Key], c.N, verb)
}

var requestNames = map[int16]string{
	0: "Produce", 1: "Fetch", 9: "OffsetFetch", 11: "JoinGroup", 14: "SyncGroup", 22: "InitProducerID", 26: "EndTxn", 28: "TxnOffsetCommit",
}

// dying kills the process at its crash point.
type dying struct {
	at    crashPoint
	count atomic.Int64
}

func (d *dying) step(read bool, key int16) {
	if d.at.N > 0 && read == d.at.Read && key == d.at.Key && d.count.Add(1) == d.at.N {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (d *dying) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err == nil {
		d.step(false, key)
	}
}

func (d *dying) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err == nil {
		d.step(true, key)
	}
}

func TestMain(m *testing.M) {
	if spec := os.Getenv(childVariable); spec != "" {
		os.Exit(child(spec))
	}
	os.Exit(m.Run())
}

func child(spec string) int {
	var c childConfig
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	cfg := Config{
		Config: named(testTopology(4), c.Name), Brokers: c.Brokers, Workers: c.Workers,
		Client: []kgo.Opt{kgo.WithHooks(&dying{at: c.Crash})}, SessionTimeout: 6 * time.Second, InstanceID: c.Instance,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), schemas: schemaIDs{},
	}
	cfg.Output.ReplicationFactor = c.Replicas
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := Run(ctx, cfg, nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// instance is a child process.
type instance struct {
	cmd  *exec.Cmd
	log  *strings.Builder
	done chan error
}

func startChild(t *testing.T, c childConfig) *instance {
	t.Helper()
	spec, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	in := &instance{cmd: exec.Command(os.Args[0]), log: new(strings.Builder), done: make(chan error, 1)}
	in.cmd.Env = append(os.Environ(), childVariable+"="+string(spec))
	in.cmd.Stderr = in.log
	if err := in.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { in.done <- in.cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			in.cmd.Process.Signal(syscall.SIGQUIT) // has it print its goroutines
			in.ends(2 * time.Second)
		}
		in.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("%s of %s:\n%s", c.Instance, c.Crash, in.log)
		}
	})
	return in
}

// ends waits for the process; it says whether it killed itself.
func (in *instance) ends(within time.Duration) bool {
	select {
	case err := <-in.done:
		in.done <- err
		return err != nil && in.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	case <-time.After(within):
		return false
	}
}

// decoded are the values of a topic, in the order of each partition.
func decoded(t *testing.T, cfg Config, topic string, subject schemas.Subject) (values []map[string]any) {
	t.Helper()
	reader, err := schemas.NewReader(subject.Schema())
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range readRecords(t, cfg, topic) {
		_, avro, err := schemas.ParseFrame(rec.Value)
		if err != nil {
			t.Fatal(err)
		}
		text, err := reader.AppendJSON(nil, avro)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, parseSession(t, text))
	}
	return values
}

// published are the last session records of the topic, as any consumer reads
// them: it fails the test where a revision is there twice or out of order.
func published(t *testing.T, cfg Config) map[string]map[string]any {
	t.Helper()
	last := map[string]map[string]any{}
	for _, s := range decoded(t, cfg, cfg.Topics.Sessions, schemas.Sessions) {
		id := s["session_id"].(string)
		revision, before := s["revision"].(float64), 0.0
		if old := last[id]; old != nil {
			before = old["revision"].(float64)
		}
		if revision != before+1 {
			t.Errorf("session %s: revision %v follows %v", id, revision, before)
		}
		last[id] = s
	}
	return last
}

// awaitBooks waits until the books cover the whole input, and compares them with
// the events that were published.
func awaitBooks(t *testing.T, cfg Config, records int, within time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		books := map[string]map[string]any{}
		for _, b := range decoded(t, cfg, cfg.Topics.Audit, schemas.Audit) {
			books[fmt.Sprint(b["topic"], b["partition"])] = b
		}
		sum := func(fields ...string) (n float64) {
			for _, b := range books {
				for _, f := range fields {
					n += b[f].(float64)
				}
			}
			return n
		}
		switch {
		case sum("read") == float64(records):
			if sum("events") != sum("accepted", "duplicate", "conflicting", "late") {
				t.Errorf("the books are out of balance: %v", books)
			}
			if n := len(readRecords(t, cfg, cfg.Topics.Events)); float64(n) != sum("accepted", "late") {
				t.Errorf("%d events were published, the books hold %v", n, sum("accepted", "late"))
			}
			return
		case time.Now().After(deadline):
			t.Fatalf("after %v the books cover %v of %d records", within, sum("read"), records)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

func parseSession(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var s map[string]any
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// canonicalOf are the canonical sessions, as topologytest.Canonical has them.
func canonicalOf(sessions map[string]map[string]any) []string {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(sessions)) {
		if s := sessions[id]; s["record_state"] != call.Superseded.String() {
			all = append(all, topologytest.CanonicalFields(s))
		}
	}
	return all
}

// reference is what must be published in the end.
func reference(t *testing.T, records []topologytest.Raw) []string {
	t.Helper()
	return inMemory(t, records).Canonical()
}

// awaitPublished polls the topic until it holds the reference.
func awaitPublished(t *testing.T, cfg Config, want []string, within time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		got := canonicalOf(published(t, cfg))
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %s", within, difference(got, want))
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// crashPoints are the steps of start, transaction and commit.
var crashPoints = []crashPoint{
	{false, 22, 1}, {true, 22, 2}, // fencing the own id
	{true, 11, 1}, {true, 14, 1}, {true, 9, 3}, // joining, and the stable offsets
	{true, 1, 5},                              // fetching, some of it the changelog
	{false, 0, 1}, {true, 0, 1}, {true, 0, 8}, // records of an open transaction
	{false, 28, 1}, {true, 28, 3}, // offsets pending
	{false, 26, 1}, {false, 26, 4}, // the end is under way
	{true, 26, 1}, {true, 26, 6}, // ended, but not applied
}

// TestKillNine kills an instance at every step of the protocol, and starts it
// again under the same name, while records come in.
func TestKillNine(t *testing.T) {
	cfg := apache(t, 4)
	records := onTopic(cfg, topologytest.Calls(3, 150, 30*time.Second).Shuffle(3, 4, 2*time.Second, 0.2))
	want := reference(t, records)
	c := childConfig{Brokers: localkafka.Shared(t).Brokers(), Name: t.Name(), Instance: "one", Workers: 2}
	share := len(records)/len(crashPoints) + 1
	for i, at := range crashPoints {
		feed(t, cfg, records[min(i*share, len(records)):min((i+1)*share, len(records))])
		c.Crash = at
		if in := startChild(t, c); !in.ends(30 * time.Second) {
			t.Fatalf("the child did not die at %s:\n%s", at, in.log)
		}
	}
	c.Crash = crashPoint{}
	begun := time.Now()
	startChild(t, c)
	awaitPublished(t, cfg, want, 60*time.Second)
	t.Logf("all sessions are there %v after the last start", time.Since(begun).Round(time.Millisecond))
	awaitBooks(t, cfg, len(records), 20*time.Second)
}

// TestTakeOver kills instances that never come back, one after the other, while
// records come in: the others take over, behind transactions that were left open.
func TestTakeOver(t *testing.T) {
	cfg := apache(t, 4)
	records := onTopic(cfg, topologytest.Calls(4, 120, 30*time.Second).Shuffle(4, 4, 2*time.Second, 0.2))
	want := reference(t, records)
	c := childConfig{Brokers: localkafka.Shared(t).Brokers(), Name: t.Name(), Workers: 1}
	crashes := []crashPoint{{true, 0, 30}, {true, 28, 12}, {false, 26, 14}, {true, 26, 16}}
	c.Instance = "survivor"
	startChild(t, c)
	share := len(records)/len(crashes) + 1
	for i, at := range crashes {
		c.Instance, c.Crash = fmt.Sprint("victim-", i), at
		in := startChild(t, c)
		part := records[min(i*share, len(records)):min((i+1)*share, len(records))]
		feed(t, cfg, part[:len(part)/2])
		if !in.ends(30 * time.Second) {
			t.Fatalf("the child did not die at %s:\n%s", at, in.log)
		}
		feed(t, cfg, part[len(part)/2:])
	}
	begun := time.Now()
	awaitPublished(t, cfg, want, 60*time.Second)
	t.Logf("all sessions are there %v after the last kill", time.Since(begun).Round(time.Millisecond))
	awaitBooks(t, cfg, len(records), 20*time.Second)
}

// TestZombie stops an instance until the group has given it up, and lets it go
// on: what it still does must not count, and it comes back by itself.
func TestZombie(t *testing.T) {
	cfg := apache(t, 4)
	records := onTopic(cfg, topologytest.Calls(5, 80, 30*time.Second).Shuffle(5, 4, 2*time.Second, 0.2))
	want := reference(t, records)
	c := childConfig{Brokers: localkafka.Shared(t).Brokers(), Name: t.Name(), Workers: 1}
	c.Instance = "zombie"
	zombie := startChild(t, c)
	c.Instance = "other"
	startChild(t, c)
	quarter := len(records) / 4
	feed(t, cfg, records[:quarter])
	time.Sleep(3 * time.Second) // both have their share
	feed(t, cfg, records[quarter:2*quarter])
	time.Sleep(100 * time.Millisecond)
	signalTo(t, zombie, syscall.SIGSTOP)
	feed(t, cfg, records[2*quarter:3*quarter])
	time.Sleep(12 * time.Second) // past session and transaction time-outs
	signalTo(t, zombie, syscall.SIGCONT)
	feed(t, cfg, records[3*quarter:])
	awaitPublished(t, cfg, want, 60*time.Second)
	awaitBooks(t, cfg, len(records), 20*time.Second)
	if zombie.ends(0) {
		t.Errorf("the zombie did not come back:\n%s", zombie.log)
	}
}

func signalTo(t *testing.T, in *instance, s syscall.Signal) {
	t.Helper()
	if err := in.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// TestBrokersRestart kills brokers of three under load, one after the other, with
// every topic replicated: the others take over what they led, coordinators too.
//
// It is not done to a lone broker. Apache Kafka up to 4.3 drops the markers of a
// decided transaction whose partitions have no leader when their coordinator comes
// back (KAFKA-20734): what was committed is then never readable, and nothing that
// a client does can mend it.
func TestBrokersRestart(t *testing.T) {
	o := newTrial(t, localkafka.Options{Brokers: 3}, 3)
	for i := range 2 {
		o.feedThird()
		o.awaitWork()
		if err := o.cluster.Kill(i); err != nil {
			t.Fatal(err)
		}
		o.feedSome() // meanwhile two brokers go on
		if err := o.cluster.Restart(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	o.end()
}

// TestBrokerIsAway stops the only broker for longer than any time-out: the instance
// waits, says so, and goes on.
func TestBrokerIsAway(t *testing.T) {
	o := newTrial(t, localkafka.Options{}, 1)
	o.feedThird()
	o.awaitWork()
	if err := o.cluster.Shutdown(0); err != nil {
		t.Fatal(err)
	}
	time.Sleep(12 * time.Second)
	if err := o.cluster.Restart(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	o.end()
	if log := o.in.log.String(); !strings.Contains(log, "connection refused") {
		t.Errorf("nothing was said of the outage:\n%s", log)
	}
}

// trial is an instance on a cluster of its own, and traffic for it.
type trial struct {
	t       *testing.T
	cluster *localkafka.Cluster
	cfg     Config
	in      *instance
	records []topologytest.Raw
	fed     int
	want    []string
}

func newTrial(t *testing.T, options localkafka.Options, replicas int16) *trial {
	t.Helper()
	o := &trial{t: t, cluster: localkafka.ForTest(t, options)}
	o.cfg = testConfig(t, o.cluster.Brokers())
	o.cfg.Config, o.cfg.Output.ReplicationFactor = named(o.cfg.Config, t.Name()), replicas
	createSource(t, o.cfg, 4)
	o.records = onTopic(o.cfg, topologytest.Calls(6, 80, 30*time.Second).Shuffle(6, 4, 2*time.Second, 0.2))
	o.want = reference(t, o.records)
	o.in = startChild(t, childConfig{Brokers: o.cfg.Brokers, Name: t.Name(), Instance: "one", Workers: 2, Replicas: replicas})
	return o
}

func (o *trial) feed(n int) {
	n = min(n, len(o.records)-o.fed)
	feed(o.t, o.cfg, o.records[o.fed:o.fed+n])
	o.fed += n
}

// awaitWork waits for the first output.
func (o *trial) awaitWork() {
	o.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); len(readRecords(o.t, o.cfg, o.cfg.Topics.Events)) == 0; {
		if time.Now().After(deadline) {
			o.t.Fatal("no event came out in 30 s")
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (o *trial) feedThird() { o.feed(len(o.records) / 3) }
func (o *trial) feedSome()  { o.feed(len(o.records) / 20) }

// end feeds the rest, and expects the truth and an instance that still runs and
// stops in order.
func (o *trial) end() {
	o.t.Helper()
	o.feed(len(o.records))
	awaitPublished(o.t, o.cfg, o.want, 90*time.Second)
	awaitBooks(o.t, o.cfg, len(o.records), 30*time.Second)
	signalTo(o.t, o.in, syscall.SIGTERM)
	select {
	case err := <-o.in.done:
		o.in.done <- err
		if err != nil {
			o.t.Errorf("stopped with %v:\n%s", err, o.in.log)
		}
	case <-time.After(10 * time.Second):
		o.t.Errorf("not stopped after 10 s")
	}
}

// TestElderExits starts a second process under the name of the first.
func TestElderExits(t *testing.T) {
	cfg := apache(t, 4)
	records := onTopic(cfg, topologytest.Calls(7, 40, 30*time.Second).Shuffle(7, 4, 2*time.Second, 0.2))
	want := reference(t, records)
	c := childConfig{Brokers: localkafka.Shared(t).Brokers(), Name: t.Name(), Instance: "one", Workers: 2}
	elder := startChild(t, c)
	feed(t, cfg, records[:len(records)/2])
	time.Sleep(3 * time.Second)
	startChild(t, c)
	elder.ends(20 * time.Second)
	if log := elder.log.String(); !strings.Contains(log, ErrFenced.Error()) {
		t.Errorf("the elder did not end as fenced:\n%s", log)
	}
	feed(t, cfg, records[len(records)/2:])
	awaitPublished(t, cfg, want, 60*time.Second)
}

var (
	chaosSeed = flag.Uint64("chaos.seed", 1, "seed of TestChaos")
	chaosTime = flag.Duration("chaos.time", 30*time.Second, "how long TestChaos goes on")
)

// TestChaos has three instances killed, stopped in order, frozen and started
// again at random, while records come in; then it lets them work in peace, and
// expects the truth and no transaction left open. A failure is repeated with
// -chaos.seed, and searched for with -chaos.time.
func TestChaos(t *testing.T) {
	cfg := apache(t, 4)
	rng := rand.New(rand.NewPCG(*chaosSeed, 1))
	records := onTopic(cfg, topologytest.Calls(*chaosSeed, 200, 60*time.Second).Shuffle(*chaosSeed, 4, 2*time.Second, 0.2))
	want := reference(t, records)
	c := childConfig{Brokers: localkafka.Shared(t).Brokers(), Name: t.Name(), Workers: 2}
	instances := map[string]*instance{"a": nil, "b": nil, "c": nil}
	begun, fed, kills := time.Now(), 0, 0
	for time.Since(begun) < *chaosTime {
		due := int(float64(len(records)) * min(time.Since(begun).Seconds()/chaosTime.Seconds(), 1))
		feed(t, cfg, records[fed:due])
		fed = due
		name := slices.Sorted(maps.Keys(instances))[rng.IntN(3)]
		c.Instance = name
		switch in := instances[name]; {
		case in == nil:
			instances[name] = startChild(t, c)
		case rng.IntN(3) == 0:
			signalTo(t, in, syscall.SIGSTOP)
			time.Sleep(time.Duration(rng.IntN(8000)) * time.Millisecond)
			signalTo(t, in, syscall.SIGCONT)
		case rng.IntN(3) == 0:
			signalTo(t, in, syscall.SIGTERM)
			in.ends(15 * time.Second)
			instances[name] = nil
		default:
			signalTo(t, in, syscall.SIGKILL)
			in.ends(5 * time.Second)
			instances[name] = nil
			kills++
		}
		time.Sleep(time.Duration(rng.IntN(2500)) * time.Millisecond)
	}
	feed(t, cfg, records[fed:])
	for name, in := range instances {
		if in == nil {
			c.Instance = name
			instances[name] = startChild(t, c)
		}
	}
	begun = time.Now()
	awaitPublished(t, cfg, want, 60*time.Second)
	t.Logf("after %d kills all sessions are there %v later", kills, time.Since(begun).Round(time.Millisecond))
	awaitBooks(t, cfg, len(records), 30*time.Second)
	for _, in := range instances {
		signalTo(t, in, syscall.SIGTERM)
	}
	for name, in := range instances {
		if in.ends(15*time.Second) || !in.cmd.ProcessState.Success() {
			t.Errorf("instance %s did not stop in order:\n%s", name, in.log)
		}
	}
	noOpenTransactions(t, cfg)
}

// noOpenTransactions expects every transaction of the application to be over.
func noOpenTransactions(t *testing.T, cfg Config) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	listed, err := kadm.NewClient(cl).ListTransactions(t.Context(), nil, []string{"Ongoing", "PrepareCommit", "PrepareAbort"})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range listed.TransactionalIDs() {
		if strings.HasPrefix(id, cfg.ApplicationID+"-") {
			t.Errorf("the transaction of %s is still open", id)
		}
	}
}
