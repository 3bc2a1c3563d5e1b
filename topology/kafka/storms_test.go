//go:build storms

// These tests take brokers of their own, and minutes: make storms.

package kafka

import (
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/deploy/localkafka"
	"callstitch/schemas"
	"callstitch/topology/topologytest"
)

// hasty are the properties of a broker that forgets within seconds what others forget
// within a week, cuts connections that are idle for two seconds, and compacts at once.
var hasty = map[string]string{
	"transactional.id.expiration.ms":                             "2000",
	"transaction.remove.expired.transaction.cleanup.interval.ms": "500",
	"producer.id.expiration.ms":                                  "2000",
	"producer.id.expiration.check.interval.ms":                   "500",
	"connections.max.idle.ms":                                    "2500",
	"offsets.retention.minutes":                                  "1", // the least
	"offsets.retention.check.interval.ms":                        "1000",
	"log.retention.check.interval.ms":                            "300",
	"log.initial.task.delay.ms":                                  "500",
	"log.cleaner.backoff.ms":                                     "300",
	"broker.session.timeout.ms":                                  "60000",
}

// TestHastyBroker has a broker forget what instances count on.
func TestHastyBroker(t *testing.T) {
	cluster := localkafka.ForTest(t, localkafka.Options{Props: hasty})
	t.Run("at once", func(t *testing.T) {
		for name, happens := range map[string]func(*testing.T, *calls){
			"producers are forgotten while an instance is frozen":  forgottenFrozen(4 * time.Second),
			"producers and members are forgotten":                  forgottenFrozen(10 * time.Second),
			"producers are forgotten while an instance is stopped": forgottenStopped,
			"offsets are forgotten":                                forgottenOffsets,
			"the exchange is deleted before it is read":            exchangeIsDeleted,
			"the changelog is compacted":                           changelogIsCompacted,
			"a source is compacted before it is read":              sourceIsCompacted,
		} {
			t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
				c := callsAt(t, cluster, 61, 60)
				t.Parallel()
				happens(t, c)
			})
		}
	})
	t.Run("pauses", func(t *testing.T) { brokerPauses(t, cluster, callsAt(t, cluster, 62, 60)) })
}

// callsAt are calls on a cluster of the test.
func callsAt(t *testing.T, cluster *localkafka.Cluster, seed uint64, n int) *calls {
	t.Helper()
	cfg := testConfig(t, cluster.Brokers())
	cfg.Config = named(cfg.Config, t.Name())
	createSource(t, cfg, 4)
	return callsOn(t, cfg, topologytest.Calls(seed, n, 20*time.Second).Shuffle(seed, 4, 2*time.Second, 0.2))
}

// forgottenFrozen freezes an instance in its work, until the brokers have forgotten its
// transactional ids, and more.
func forgottenFrozen(for_ time.Duration) func(*testing.T, *calls) {
	return func(t *testing.T, c *calls) {
		in := startChild(t, c.child("one"))
		c.feed(3)
		c.awaitWork()
		signalTo(t, in, syscall.SIGSTOP)
		c.feed(3)
		time.Sleep(for_)
		signalTo(t, in, syscall.SIGCONT)
		c.end()
		stopsInOrder(t, in)
	}
}

// forgottenStopped kills an instance, and starts it when nothing is known of its producers.
func forgottenStopped(t *testing.T, c *calls) {
	for range 2 {
		in := startChild(t, c.child("one"))
		c.feed(3)
		c.awaitWork()
		signalTo(t, in, syscall.SIGKILL)
		in.ends(time.Second)
		time.Sleep(5 * time.Second)
	}
	startChild(t, c.child("one"))
	c.end()
}

// forgottenOffsets stops everything for longer than the brokers keep offsets.
func forgottenOffsets(t *testing.T, c *calls) {
	r := startRun(t, c.cfg)
	c.end()
	orderly(t, r)
	cl := client(t, c.cfg)
	defer cl.Close()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		committed, err := kadm.NewClient(cl).FetchOffsets(t.Context(), c.cfg.ApplicationID)
		if err != nil {
			t.Fatal(err)
		}
		if len(committed) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the broker still knows the offsets")
		}
	}
	refused(t, c.cfg, ErrLostOffsets, "has no offsets", "holds state")
}

// exchangeIsDeleted gives the exchange a retention, and freezes one of two instances
// until what the other has sent it is gone. It must not go on over that.
func exchangeIsDeleted(t *testing.T, c *calls) {
	frozen := startChild(t, c.child("frozen"))
	c.feed(4)
	c.awaitWork()
	startChild(t, c.child("other"))
	time.Sleep(3 * time.Second) // both have their share
	signalTo(t, frozen, syscall.SIGSTOP)
	alter(t, c.cfg, c.cfg.ExchangeTopic(), map[string]string{"retention.ms": "1", "segment.ms": "100", "file.delete.delay.ms": "0"})
	c.trickle(2, 4*time.Second)
	signalTo(t, frozen, syscall.SIGCONT)
	select {
	case err := <-frozen.done:
		frozen.done <- err
	case <-time.After(30 * time.Second):
	}
	if log := frozen.log.String(); !strings.Contains(log, ErrLostOffsets.Error()) {
		t.Errorf("it went on:\n%s", log)
	}
}

// changelogIsCompacted has the changelog compacted as it is written, without any delay for
// tombstones, and the instance killed and started on it.
func changelogIsCompacted(t *testing.T, c *calls) {
	in := startChild(t, c.child("one"))
	c.feed(6)
	c.awaitWork()
	alter(t, c.cfg, c.cfg.ChangelogTopic(), compacting)
	for range 3 {
		c.trickle(5, 2*time.Second)
		signalTo(t, in, syscall.SIGKILL)
		in.ends(time.Second)
		time.Sleep(time.Second)
		in = startChild(t, c.child("one"))
	}
	c.end()
	stopsInOrder(t, in)
}

// compacting has a topic compacted as it is written, without any delay for tombstones.
var compacting = map[string]string{
	"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.0", "delete.retention.ms": "0", "min.compaction.lag.ms": "0",
}

// sourceIsCompacted freezes an instance that has found a source of dense offsets, and has
// the source compacted. What was compacted away is nobody's to have: the rest is taken,
// nothing of it is rejected, and the books tell how much was read.
func sourceIsCompacted(t *testing.T, c *calls) {
	for i := range c.records {
		c.records[i].Key = []byte{byte(i % 20)}
	}
	in := startChild(t, c.child("one"))
	c.feed(4)
	c.awaitWork()
	awaitBalance(t, c.cfg, c.fed, 20*time.Second)
	before := c.fed
	signalTo(t, in, syscall.SIGSTOP)
	alter(t, c.cfg, c.cfg.Sources[0].Topic, compacting)
	c.trickle(2, 3*time.Second) // a segment is closed when the next record comes
	time.Sleep(2 * time.Second)
	signalTo(t, in, syscall.SIGCONT)
	feed(t, c.cfg, c.records[c.fed:])
	time.Sleep(5 * time.Second)
	read := 0.0
	books := map[any]map[string]any{}
	for _, b := range decoded(t, c.cfg, c.cfg.Topics.Audit, schemas.Audit) {
		books[b["partition"]] = b
	}
	for _, b := range books {
		read += b["read"].(float64)
		if b["read"] != b["decoded"] || b["events"].(float64) != b["accepted"].(float64)+b["duplicate"].(float64)+b["late"].(float64) {
			t.Errorf("a book does not balance: %v", b)
		}
	}
	if read <= float64(before) || read >= float64(len(c.records)) {
		t.Errorf("%v of %d records were read, %d before the compaction", read, len(c.records), before)
	}
	published(t, c.cfg) // in revisions that follow each other
	stopsInOrder(t, in)
}

// brokerPauses stops the broker for seconds, again and again, as a collector of garbage or
// a move of its machine does. Its connections stay.
func brokerPauses(t *testing.T, cluster *localkafka.Cluster, c *calls) {
	r := startRun(t, c.cfg)
	c.feed(6)
	c.awaitWork()
	for _, pause := range []time.Duration{time.Second, 4 * time.Second, 8 * time.Second} {
		c.trickle(10, time.Second)
		if err := cluster.Pause(0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(pause)
		if err := cluster.Continue(0); err != nil {
			t.Fatal(err)
		}
	}
	c.end()
	orderly(t, r)
}

// TestRightsTakenAway takes each of five rights away from a running instance, and gives it
// back after a while. Meanwhile nothing is lost, and it does not end.
func TestRightsTakenAway(t *testing.T) {
	cluster := localkafka.ForTest(t, localkafka.Options{Props: guarded})
	admin := testConfig(t, cluster.Brokers(), as("admin"))
	createSource(t, admin, 4)
	grant(t, admin, documentedRights(t, &admin))
	c := callsOn(t, admin, topologytest.Calls(63, 120, 20*time.Second).Shuffle(63, 4, 2*time.Second, 0.2))
	cfg := admin
	cfg.Client = []kgo.Opt{as("app")}
	r := startRun(t, cfg)
	c.feed(8)
	c.awaitWork()
	cl := client(t, admin)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for _, right := range []*kadm.ACLBuilder{
		kadm.NewACLs().Topics(cfg.Sources[0].Topic).Operations(kadm.OpRead),
		kadm.NewACLs().Topics(cfg.ExchangeTopic()).Operations(kadm.OpWrite),
		kadm.NewACLs().Topics(cfg.ChangelogTopic()).Operations(kadm.OpWrite),
		kadm.NewACLs().Groups(cfg.ApplicationID).Operations(kadm.OpRead),
		kadm.NewACLs().TransactionalIDs(cfg.ApplicationID + "-").ResourcePatternType(kadm.ACLPatternPrefixed).Operations(kadm.OpWrite),
	} {
		right.Deny("User:app").DenyHosts()
		if denied, err := adm.CreateACLs(t.Context(), right); err != nil || denied[0].Err != nil {
			t.Fatal(err, denied)
		}
		c.trickle(8, 3*time.Second)
		if allowed, err := adm.DeleteACLs(t.Context(), right); err != nil || len(allowed[0].Deleted) != 1 {
			t.Fatal(err, allowed)
		}
		c.trickle(16, time.Second)
	}
	c.end()
	orderly(t, r)
}

// TestThreeBrokers has a cluster do what its operators do to it.
func TestThreeBrokers(t *testing.T) {
	cluster := localkafka.ForTest(t, localkafka.Options{Brokers: 3})
	cfg := testConfig(t, cluster.Brokers())
	cfg.Config, cfg.Output.ReplicationFactor, cfg.Output.MinISR = named(cfg.Config, t.Name()), 3, 2
	createSource(t, cfg, 4)
	c := callsOn(t, cfg, topologytest.Calls(64, 240, 20*time.Second).Shuffle(64, 4, 2*time.Second, 0.2))
	r := startRun(t, cfg)
	c.feed(20)
	c.awaitWork()
	pause := watchPauses(t, c)

	cl := client(t, cfg)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for i := range 4 { // leaders and coordinators, in the midst of transactions
		moveLeaders(t, adm, i)
		c.trickle(20, 2*time.Second)
	}
	t.Logf("leaders moved: the longest pause was %v", pause())

	for i := range 3 {
		if err := cluster.Shutdown(i); err != nil {
			t.Fatal(err)
		}
		c.trickle(20, time.Second)
		if err := cluster.Restart(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		c.trickle(20, 3*time.Second)
	}
	t.Logf("rolling restart: the longest pause was %v", pause())

	for i := range 2 { // fewer than min.insync.replicas
		if err := cluster.Kill(i); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(12 * time.Second)
	for i := range 2 {
		if err := cluster.Restart(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	c.end()
	t.Logf("two of three killed for 12 s: the longest pause was %v", pause())
	orderly(t, r)
}

// watchPauses reads what comes out. What it returns is the longest pause since it was asked last.
func watchPauses(t *testing.T, c *calls) func() time.Duration {
	cl := client(t, c.cfg, kgo.ConsumeTopics(c.cfg.Topics.Events), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	t.Cleanup(cl.Close)
	var mu sync.Mutex
	last, longest := time.Now(), time.Duration(0)
	go func() {
		for t.Context().Err() == nil {
			if cl.PollFetches(t.Context()).NumRecords() == 0 {
				continue
			}
			mu.Lock()
			longest, last = max(longest, time.Since(last)), time.Now()
			mu.Unlock()
		}
	}()
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		was := longest
		longest = 0
		return was.Round(time.Millisecond)
	}
}

// moveLeaders has every partition led by the next broker, coordinators too.
func moveLeaders(t *testing.T, adm *kadm.Client, by int) {
	t.Helper()
	topics, err := adm.ListTopicsWithInternal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var req kadm.AlterPartitionAssignmentsReq
	for _, topic := range topics {
		for _, p := range topic.Partitions {
			var order []int32
			for i := range 3 {
				order = append(order, int32((int(p.Partition)+by+i)%3)+1)
			}
			req.Assign(topic.Topic, p.Partition, order)
		}
	}
	if _, err := adm.AlterPartitionAssignments(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.ElectLeaders(t.Context(), kadm.ElectPreferredReplica, nil); err != nil {
		t.Fatal(err)
	}
}

// TestStartBehindSlowBrokers starts where each answer takes a second.
func TestStartBehindSlowBrokers(t *testing.T) {
	cfg := apache(t, 2)
	awaitTopic(t, cfg, cfg.Sources[0].Topic)
	cfg.StartupTimeout = 2 * time.Minute
	slow := &meddler{dial: new(net.Dialer).DialContext, plan: func(_ kmsg.Key, answer bool) meddling {
		if answer {
			time.Sleep(time.Second)
		}
		return pass
	}}
	cfg.Client = append(cfg.Client, kgo.Dialer(slow.DialContext))
	r := startRun(t, cfg)
	begun := time.Now()
	for !r.status.Snapshot().Ready() {
		if time.Since(begun) > cfg.StartupTimeout {
			t.Fatalf("not ready after %v", cfg.StartupTimeout)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("ready after %v", time.Since(begun).Round(time.Second))
}

// A batch that only the leader has damaged is read from another replica, whatever is
// wrong with it: nothing is rejected.
func TestDamagedLeader(t *testing.T) {
	cluster := localkafka.ForTest(t, localkafka.Options{Brokers: 3})
	cfg := testConfig(t, cluster.Brokers())
	cfg.Output.ReplicationFactor = 3
	createSource(t, cfg, 2)
	records := topologytest.Calls(35, 60, 20*time.Second).Shuffle(35, 2, 2*time.Second, 0.2)
	for part := range slices.Chunk(records, 20) {
		feed(t, cfg, part)
	}
	cl := client(t, cfg)
	defer cl.Close()
	sources, err := kadm.NewClient(cl).ListTopics(t.Context(), topologytest.Topic)
	if err != nil {
		t.Fatal(err)
	}
	for p, change := range []func([]byte){
		func(b []byte) { b[len(b)-3] ^= 4 },
		func(b []byte) { b[8] = 0x40 }, // the broker itself cannot get past it
	} {
		at := sources[topologytest.Topic].Partitions[int32(p)]
		if len(at.ISR) != 3 {
			t.Fatalf("replicas %+v", at)
		}
		damageAt(t, cluster, at.Leader, topologytest.Topic, int32(p), 60, func(b []byte) bool { change(b); return false })
	}
	r := startRun(t, cfg)
	awaitPublished(t, cfg, inMemory(t, records).Canonical(), 40*time.Second)
	awaitBooks(t, cfg, len(records), 20*time.Second)
	if rejects := readRecords(t, cfg, cfg.Topics.Rejects); len(rejects) > 0 {
		t.Errorf("%d records were rejected", len(rejects))
	}
	if err := r.stop(t); err != nil {
		t.Error(err)
	}
}

// TestBrokerGoesAway kills one of three brokers where not all topics survive that: some
// partitions have no leader, others too few replicas in sync.
func TestBrokerGoesAway(t *testing.T) {
	cluster := localkafka.ForTest(t, localkafka.Options{Brokers: 3})
	cfg := testConfig(t, cluster.Brokers())
	cfg.Output.ReplicationFactor = 3
	cfg.Output.PerTopic = map[string]TopicSettings{
		cfg.Topics.Events: {ReplicationFactor: 1},
		cfg.Topics.Audit:  {ReplicationFactor: 2, MinISR: 2},
	}
	createSource(t, cfg, 2)
	cfg.Output.ReplicationFactor = 0 // the brokers' own, which is 3
	lone := func() (advice string) {
		for _, f := range Examine(t.Context(), cfg) {
			if strings.HasPrefix(f.Advice, "of 3 brokers") {
				advice += f.Advice
			}
		}
		return advice
	}
	if got := lone(); !strings.HasPrefix(got, "of 3 brokers, one alone has "+cfg.Topics.Events+" (once it is made): ") {
		t.Errorf("before a start, check advises %q", got)
	}
	s := stand(t, cfg)
	s.works()
	if got := lone(); !strings.HasPrefix(got, "of 3 brokers, one alone has "+cfg.Topics.Events+": ") {
		t.Errorf("check advises %q", got)
	}
	if err := cluster.Kill(2); err != nil {
		t.Fatal(err)
	}
	s.begins()
	s.stalls("acknowledgements from", cfg.Topics.Events+"-", " without a leader", cfg.Topics.Audit+"-", "fewer in-sync replicas than the 2 of min.insync.replicas")
	s.lags()
	if err := cluster.Restart(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	s.done()
}
