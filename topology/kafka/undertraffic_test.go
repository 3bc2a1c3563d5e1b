package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology/topologytest"
)

// TestUnderTraffic does to instances, and to what they read and write, what production
// does, while calls come in. Whatever it is, a reader of the topics finds each call once
// and right, in revisions that follow each other, and books that balance.
func TestUnderTraffic(t *testing.T) {
	for name, happens := range map[string]func(*testing.T){
		"answers are lost":                   answersAreLost,
		"answers are late":                   answersAreLate,
		"connections go silent":              connectionsGoSilent,
		"instances are stopped all the time": stoppedAllTheTime,
		"killed in a backlog":                killedInABacklog,
		"two hundred source partitions":      manySourcePartitions,
		"the exchange gets a retention":      exchangeGetsRetention,
		"topics are changed":                 topicsAreChanged,
		"clients are throttled":              clientsAreThrottled,
		"a source of transactions":           sourceOfTransactions,
		"a source of odd records":            sourceOfOddRecords,
		"the group is deleted":               groupIsDeleted,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel() // most of the time they wait
			happens(t)
		})
	}
}

// calls are what comes in while something happens.
type calls struct {
	t       *testing.T
	cfg     Config
	records []topologytest.Raw
	want    []string
	fed     int
}

func callsFor(t *testing.T, sources int32, seed uint64, n int) *calls {
	t.Helper()
	cfg := apache(t, sources)
	return callsOn(t, cfg, topologytest.Calls(seed, n, 20*time.Second).Shuffle(seed, sources, 2*time.Second, 0.2))
}

func callsOn(t *testing.T, cfg Config, records []topologytest.Raw) *calls {
	t.Helper()
	awaitTopic(t, cfg, cfg.Sources[0].Topic)
	records = onTopic(cfg, records)
	return &calls{t: t, cfg: cfg, records: records, want: reference(t, records)}
}

// awaitTopic waits until brokers know a topic that was just made: a busy one takes a while.
func awaitTopic(t *testing.T, cfg Config, topic string) {
	t.Helper()
	cl := client(t, cfg, kgo.MetadataMinAge(10*time.Millisecond))
	defer cl.Close()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), topic)
		if err == nil && ends.Error() == nil && len(ends[topic]) > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("topic %s is not there: %v", topic, errors.Join(err, ends.Error()))
		}
	}
}

// feed sends an n-th of all.
func (c *calls) feed(n int) {
	c.t.Helper()
	to := min(c.fed+len(c.records)/n+1, len(c.records))
	feed(c.t, c.cfg, c.records[c.fed:to])
	c.fed = to
}

// trickle sends an n-th of all, some at a time.
func (c *calls) trickle(n int, during time.Duration) {
	c.t.Helper()
	const pieces = 10
	for range pieces {
		c.feed(n * pieces)
		time.Sleep(during / pieces)
	}
}

// awaitWork waits for the first output.
func (c *calls) awaitWork() {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); len(readRecords(c.t, c.cfg, c.cfg.Topics.Events)) == 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatal("no event came out in 30 s")
		}
	}
}

// child is how a process is started on them.
func (c *calls) child(instance string) childConfig {
	return childConfig{Brokers: c.cfg.Brokers, Name: c.t.Name(), Instance: instance, Workers: 2}
}

// end sends the rest, and expects the truth.
func (c *calls) end() {
	c.t.Helper()
	feed(c.t, c.cfg, c.records[c.fed:])
	c.fed = len(c.records)
	begun := time.Now()
	awaitPublished(c.t, c.cfg, c.want, 60*time.Second)
	awaitBooks(c.t, c.cfg, len(c.records), 30*time.Second)
	c.t.Logf("all is there %v after the last record", time.Since(begun).Round(time.Millisecond))
}

// meddled runs an instance between which and the broker something stands.
func (c *calls) meddled(plan func(kmsg.Key, bool) meddling) *run {
	c.t.Helper()
	own := c.cfg
	own.Client = append(own.Client, kgo.Dialer((&meddler{dial: new(net.Dialer).DialContext, plan: plan}).DialContext))
	return startRun(c.t, own)
}

// orderly stops an instance, which must do so in order.
func orderly(t *testing.T, r *run) {
	t.Helper()
	if err := r.stop(t); err != nil {
		t.Error(err)
	}
}

// answersAreLost breaks one in forty connections instead of an answer, of any kind: what
// the broker did is then unknown.
func answersAreLost(t *testing.T) {
	c := callsFor(t, 4, 41, 80)
	rng := rand.New(rand.NewPCG(41, 1))
	var on atomic.Bool
	var lost atomic.Int64
	draw := make(chan bool)
	go func() {
		for {
			select {
			case draw <- rng.IntN(40) == 0:
			case <-t.Context().Done():
				return
			}
		}
	}()
	r := c.meddled(func(_ kmsg.Key, answer bool) meddling {
		if answer && on.Load() && <-draw {
			lost.Add(1)
			return cut
		}
		return pass
	})
	c.feed(4)
	c.awaitWork()
	on.Store(true)
	c.trickle(2, 5*time.Second)
	on.Store(false)
	c.end()
	orderly(t, r)
	t.Logf("%d answers were lost", lost.Load())
}

// answersAreLate makes each answer wait.
func answersAreLate(t *testing.T) {
	c := callsFor(t, 4, 42, 80)
	c.cfg.StartupTimeout = time.Minute
	r := c.meddled(func(_ kmsg.Key, answer bool) meddling {
		if answer {
			return delay
		}
		return pass
	})
	c.trickle(2, 3*time.Second)
	c.end()
	orderly(t, r)
}

// connectionsGoSilent is what a firewall does that forgets them: they stay open, and
// nothing comes any more. New ones work.
func connectionsGoSilent(t *testing.T) {
	c := callsFor(t, 4, 43, 80)
	var silent atomic.Bool
	r := c.meddled(func(kmsg.Key, bool) meddling {
		if silent.Load() {
			return silence
		}
		return pass
	})
	c.feed(4)
	c.awaitWork()
	silent.Store(true)
	c.trickle(2, 2*time.Second)
	silent.Store(false)
	c.end()
	orderly(t, r)
}

// stoppedAllTheTime stops one of two instances in order again and again, also while it
// starts. Each must end in order.
func stoppedAllTheTime(t *testing.T) {
	c := callsFor(t, 4, 44, 80)
	rng := rand.New(rand.NewPCG(44, 1))
	stays := startChild(t, c.child("stays"))
	for i := range 8 {
		in := startChild(t, c.child(fmt.Sprint("goes-", i%2)))
		c.feed(12)
		time.Sleep(300*time.Millisecond + time.Duration(rng.IntN(1500))*time.Millisecond)
		stopsInOrder(t, in)
	}
	c.end()
	stopsInOrder(t, stays)
	noOpenTransactions(t, c.cfg)
}

func stopsInOrder(t *testing.T, in *instance) {
	t.Helper()
	signalTo(t, in, syscall.SIGTERM)
	if in.ends(10*time.Second) || in.cmd.ProcessState == nil || !in.cmd.ProcessState.Success() {
		t.Errorf("not stopped in order:\n%s", in.log)
	}
}

// killedInABacklog kills an instance in the large transactions with which it works off
// what has come while nobody ran.
func killedInABacklog(t *testing.T) {
	c := callsFor(t, 4, 45, 600)
	feed(t, c.cfg, c.records)
	c.fed = len(c.records)
	for _, at := range []crashPoint{{true, 0, 2}, {false, 26, 1}, {true, 26, 2}, {true, 28, 3}} {
		child := c.child("one")
		child.Crash = at
		if in := startChild(t, child); !in.ends(30 * time.Second) {
			t.Fatalf("the child did not die at %s:\n%s", at, in.log)
		}
	}
	startChild(t, c.child("one"))
	c.end()
}

// manySourcePartitions is a source of two hundred.
func manySourcePartitions(t *testing.T) {
	c := callsFor(t, 200, 46, 120)
	r := startRun(t, c.cfg)
	c.trickle(2, time.Second)
	c.end()
	orderly(t, r)
}

// exchangeGetsRetention is a person who tidies up. What was not consumed is not there
// for long enough to be deleted, and the next start refuses the topic.
func exchangeGetsRetention(t *testing.T) {
	c := callsFor(t, 4, 47, 60)
	r := startRun(t, c.cfg)
	c.feed(4)
	c.awaitWork()
	alter(t, c.cfg, c.cfg.ExchangeTopic(), map[string]string{"retention.ms": "1000", "retention.bytes": "1", "segment.ms": "100"})
	c.trickle(4, time.Second)
	orderly(t, r)
	refused(t, c.cfg, ErrTopicMismatch, "has retention.ms=1000, it must be -1", "has retention.bytes=1, it must be -1")
	alter(t, c.cfg, c.cfg.ExchangeTopic(), map[string]string{"retention.ms": "-1", "retention.bytes": "-1"})
	startRun(t, c.cfg)
	c.end()
}

// topicsAreChanged has somebody change what may be changed, of every topic.
func topicsAreChanged(t *testing.T) {
	c := callsFor(t, 4, 48, 60)
	r := startRun(t, c.cfg)
	c.feed(4)
	c.awaitWork()
	topics := append(sinkTopics(&c.cfg), c.cfg.Sources[0].Topic, c.cfg.ExchangeTopic(), c.cfg.ChangelogTopic())
	for _, change := range []map[string]string{
		{"compression.type": "zstd"},
		{"compression.type": "gzip", "segment.bytes": "1048576"},
		{"compression.type": "uncompressed", "flush.messages": "1"},
		{"compression.type": "lz4"},
	} {
		for _, topic := range topics {
			alter(t, c.cfg, topic, change)
		}
		c.trickle(6, time.Second)
	}
	orderly(t, r)
	startRun(t, c.cfg)
	c.end()
}

// alter sets configs of a topic, as kafka-configs.sh does.
func alter(t *testing.T, cfg Config, topic string, values map[string]string) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	var configs []kadm.AlterConfig
	for name, value := range values {
		configs = append(configs, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
	}
	altered, err := kadm.NewClient(cl).AlterTopicConfigs(t.Context(), configs, topic)
	if err == nil {
		for _, a := range altered {
			err = errors.Join(err, a.Err)
		}
	}
	if err != nil {
		t.Fatalf("alter %s: %v", topic, err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) { // brokers hear of it a moment later
		all, err := topicConfigs(t.Context(), kadm.NewClient(cl), []string{topic})
		if err != nil {
			t.Fatal(err)
		}
		now := maps.Clone(all[topic])
		maps.DeleteFunc(now, func(name, got string) bool { want, ok := values[name]; return !ok || got != want })
		if len(now) == len(values) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("alter %s to %v: it still has %v", topic, values, all[topic])
		}
	}
}

// clientsAreThrottled gives the worker quotas that it exceeds. The broker then does not
// answer for up to a second, and mutes the connection.
func clientsAreThrottled(t *testing.T) {
	c := callsFor(t, 4, 49, 60)
	quota := func(remove bool) {
		cl := client(t, c.cfg)
		defer cl.Close()
		worker := identity{instance: c.cfg.InstanceID}.worker(c.cfg.ApplicationID)
		_, err := kadm.NewClient(cl).AlterClientQuotas(t.Context(), []kadm.AlterClientQuotaEntry{{
			Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &worker}},
			Ops: []kadm.AlterClientQuotaOp{
				{Key: "producer_byte_rate", Value: 20_000, Remove: remove},
				{Key: "consumer_byte_rate", Value: 20_000, Remove: remove},
			},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	r := startRun(t, c.cfg)
	c.feed(4)
	c.awaitWork()
	quota(false)
	c.trickle(2, 4*time.Second)
	quota(true)
	c.end()
	orderly(t, r)
}

// sourceOfTransactions is a producer that writes transactions, some of which it aborts,
// and one of which it leaves open for a while: what is behind it has to wait.
func sourceOfTransactions(t *testing.T) {
	c := callsFor(t, 2, 50, 60)
	startRun(t, c.cfg)
	producer := func(id string) *kgo.Client {
		cl := client(t, c.cfg, kgo.TransactionalID(c.cfg.ApplicationID+id), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		t.Cleanup(cl.Close)
		return cl
	}
	send := func(cl *kgo.Client, records []topologytest.Raw, end kgo.TransactionEndTry) {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if err := cl.ProduceSync(t.Context(), toKafka(r.Record)).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := cl.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	fed, sender := 0, producer("-sender")
	left := producer("-forgetful")
	if err := left.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := left.ProduceSync(t.Context(), &kgo.Record{Topic: c.cfg.Sources[0].Topic, Value: []byte("never to be seen")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for i := 0; fed < len(c.records); i++ {
		to := min(fed+len(c.records)/12, len(c.records))
		if i%3 == 2 {
			send(sender, c.records[fed:min(fed+5, to)], kgo.TryAbort)
		}
		send(sender, c.records[fed:to], kgo.TryCommit)
		fed = to
	}
	time.Sleep(standstillLimit + time.Second) // a partition that stands still is looked at
	if err := left.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	awaitPublished(t, c.cfg, c.want, 30*time.Second)
	if n := len(readRecords(t, c.cfg, c.cfg.Topics.Rejects)); n > 0 {
		t.Errorf("%d records were rejected", n)
	}
}

// sourceOfOddRecords has every compression, keys of a hundred kilobytes, headers without
// names, without values and twice, tombstones, and times from 1970 on.
func sourceOfOddRecords(t *testing.T) {
	c := callsFor(t, 4, 51, 60)
	r := startRun(t, c.cfg)
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	odd := 0
	for i, codec := range codecs {
		cl := client(t, c.cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codec))
		var records []*kgo.Record
		for j, raw := range c.records[i*len(c.records)/len(codecs) : (i+1)*len(c.records)/len(codecs)] {
			rec := toKafka(raw.Record)
			rec.Headers = append(rec.Headers, kgo.RecordHeader{}, kgo.RecordHeader{Key: "x"}, kgo.RecordHeader{Key: "x", Value: []byte{0xff}}, kgo.RecordHeader{Key: strings.Repeat("x", 5_000)})
			if j%20 == 0 {
				rec.Key = []byte(strings.Repeat("k", 100_000))
			}
			records = append(records, rec)
			if j%20 == 1 {
				records = append(records, &kgo.Record{Topic: rec.Topic, Partition: rec.Partition, Timestamp: rec.Timestamp, Key: []byte("k")})
				records = append(records, &kgo.Record{Topic: rec.Topic, Partition: rec.Partition, Timestamp: time.UnixMilli(0), Value: []byte("\x00")})
				odd += 2
			}
		}
		if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		cl.Close()
	}
	awaitPublished(t, c.cfg, c.want, 60*time.Second)
	awaitBooks(t, c.cfg, len(c.records)+odd, 20*time.Second)
	if n := len(readRecords(t, c.cfg, c.cfg.Topics.Rejects)); n != odd/2 {
		t.Errorf("%d records were rejected, want %d", n, odd/2)
	}
	orderly(t, r)
}

// groupIsDeleted is a person who tidies up while nothing runs: there is no telling where
// to go on.
func groupIsDeleted(t *testing.T) {
	c := callsFor(t, 2, 52, 20)
	feed(t, c.cfg, c.records)
	r := startRun(t, c.cfg)
	awaitBooks(t, c.cfg, len(c.records), 20*time.Second)
	orderly(t, r)
	cl := client(t, c.cfg)
	defer cl.Close()
	if _, err := kadm.NewClient(cl).DeleteGroup(context.Background(), c.cfg.ApplicationID); err != nil {
		t.Fatal(err)
	}
	refused(t, c.cfg, ErrLostOffsets, "has no offsets", "holds state")
}
