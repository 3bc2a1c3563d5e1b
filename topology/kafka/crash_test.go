package kafka

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"callstitch/deploy/localkafka"
	"callstitch/topology/topologytest"
)

// crashPoints are the steps of start, transaction and commit.
var crashPoints = []crashPoint{
	{false, 22, 1}, {true, 22, 1}, // fencing the own id
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
	c := childConfig{Brokers: localkafka.Shared(t).Brokers(), Name: t.Name(), Instance: "one", Workers: 2, Settled: cfg.Stitch.Grace}
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
	awaitSettled(t, cfg, 30*time.Second)
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

// TestBrokersRestart kills brokers of three under load, one after the other, with
// every topic replicated: the others take over what they led, coordinators too.
//
// It is not done to a lone broker: see freeze.
func TestBrokersRestart(t *testing.T) {
	t.Parallel() // most of it is waiting, with brokers of its own
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
	t.Parallel() // most of it is waiting, with a broker of its own
	o := newTrial(t, localkafka.Options{}, 1)
	o.feedThird()
	o.awaitWork()
	o.freeze()
	if err := o.cluster.Shutdown(0); err != nil {
		t.Fatal(err)
	}
	signalTo(t, o.in, syscall.SIGCONT)
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

// freeze stops the instance in the midst of its work, and waits until the transactions
// that it has ended are over; others stay open.
//
// A lone broker must not go away while one of them ends, killed or in order. Apache
// Kafka up to 4.3 drops the markers of a decided transaction whose partitions have no
// leader just then (KAFKA-20734): its records can never be read, its offsets stay
// pending for ever, and nothing that a client does can mend it.
func (o *trial) freeze() {
	o.t.Helper()
	signalTo(o.t, o.in, syscall.SIGSTOP)
	time.Sleep(500 * time.Millisecond) // what it sent last arrives
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		ending := transactions(o.t, o.cfg, "PrepareCommit", "PrepareAbort")
		if len(ending) == 0 {
			return
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("the transactions of %v do not end", ending)
		}
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
	awaitGroup(t, cfg, func(members []groupMember) bool { return len(members) == 1 && atRest(members) }) // or nobody can tell which is the elder
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
	for _, id := range transactions(t, cfg, "Ongoing", "PrepareCommit", "PrepareAbort") {
		t.Errorf("the transaction of %s is still open", id)
	}
}

// transactions are the ids of the application's transactions in one of the states.
func transactions(t *testing.T, cfg Config, states ...string) (ids []string) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	listed, err := kadm.NewClient(cl).ListTransactions(t.Context(), nil, states)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range listed.TransactionalIDs() {
		if strings.HasPrefix(id, cfg.ApplicationID+"-") {
			ids = append(ids, id)
		}
	}
	return ids
}
