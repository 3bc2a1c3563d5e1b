//go:build synctests

// These tests run in virtual time. franz-go's locks count as waiting in a
// synctest bubble only with its build tag synctests: go test -tags synctests.

package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/processor/call"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// virtually runs a test against kfake in virtual time, a minute after the first
// call of every corpus: time-outs and intervals cost nothing.
func virtually(t *testing.T, test func(t *testing.T, cluster *kfake.Cluster, cfg Config)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.UnixMilli(topologytest.Start).Add(time.Minute)))
		var network kfake.VirtualNetwork
		cluster := fakeKafka(t, kfake.ListenFn(network.Listen), kfake.Ports(9092))
		test(t, cluster, testConfig(t, []string{"localhost:9092"}, kgo.Dialer(network.DialContext)))
	})
}

// faults are what brokers may answer to each kind of request that a running
// instance sends.
var faults = map[kmsg.Key][]*kerr.Error{
	kmsg.Produce:         {kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.KafkaStorageError, kerr.UnknownServerError, kerr.InvalidProducerEpoch, kerr.ProducerFenced, kerr.TransactionAbortable, kerr.OutOfOrderSequenceNumber, kerr.MessageTooLarge},
	kmsg.Fetch:           {kerr.NotLeaderForPartition, kerr.UnknownServerError, kerr.KafkaStorageError, kerr.FencedLeaderEpoch},
	kmsg.ListOffsets:     {kerr.NotLeaderForPartition, kerr.UnknownServerError, kerr.LeaderNotAvailable},
	kmsg.OffsetFetch:     {kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.UnstableOffsetCommit},
	kmsg.JoinGroup:       {kerr.NotCoordinator, kerr.UnknownMemberID, kerr.UnknownServerError},
	kmsg.SyncGroup:       {kerr.NotCoordinator, kerr.RebalanceInProgress, kerr.UnknownMemberID},
	kmsg.Heartbeat:       {kerr.NotCoordinator, kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.UnknownServerError},
	kmsg.InitProducerID:  {kerr.NotCoordinator, kerr.ConcurrentTransactions, kerr.CoordinatorLoadInProgress},
	kmsg.TxnOffsetCommit: {kerr.NotCoordinator, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.RebalanceInProgress, kerr.RequestTimedOut, kerr.UnknownServerError, kerr.InvalidProducerEpoch, kerr.TransactionAbortable, kerr.OffsetMetadataTooLarge},
	kmsg.EndTxn:          {kerr.NotCoordinator, kerr.ConcurrentTransactions, kerr.RequestTimedOut, kerr.UnknownServerError, kerr.InvalidProducerEpoch, kerr.ProducerFenced, kerr.TransactionAbortable, kerr.InvalidTxnState},
}

// TestBrokerErrors has brokers answer every request that matters with every
// error, while records come in: the instance must go on, and the answers stay
// right.
func TestBrokerErrors(t *testing.T) {
	for key, errs := range faults {
		t.Run(kmsg.NameForKey(int16(key)), func(t *testing.T) {
			virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
				brokerErrors(t, cluster, cfg, key, errs)
			})
		})
	}
}

func brokerErrors(t *testing.T, cluster *kfake.Cluster, cfg Config, key kmsg.Key, errs []*kerr.Error) {
	records := topologytest.Calls(6, 60, 20*time.Second).Shuffle(6, 4, 2*time.Second, 0.2)
	want := inMemory(t, records).Canonical()
	got := newCollector()
	cfg.OnCommit = got.take
	r := startRun(t, cfg)
	other := cfg
	other.InstanceID, other.Workers = "two", 2
	s := startRun(t, other)
	share := len(records)/(2*len(errs)) + 1
	for i := range 2 * len(errs) {
		feed(t, cfg, records[min(i*share, len(records)):min((i+1)*share, len(records))])
		topLevel := key == kmsg.JoinGroup || key == kmsg.SyncGroup || key == kmsg.Heartbeat || key == kmsg.InitProducerID || key == kmsg.EndTxn
		cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: errs[i/2], Count: 1 + i%2, TopLevel: topLevel})
		time.Sleep(5 * time.Second)
		select {
		case err := <-r.done:
			r.done <- err
			t.Fatalf("the run ended after %s: %v", errs[i/2].Message, err)
		case err := <-s.done:
			s.done <- err
			t.Fatalf("the second run ended after %s: %v", errs[i/2].Message, err)
		default:
		}
	}
	awaitBooks(t, cfg, len(records), 2*time.Minute)
	got.awaitCommitted(t, cfg, want, 2*time.Minute)
}

// awaitCommitted waits for the sessions, and compares what was reported with
// what readers see.
func (c *collector) awaitCommitted(t *testing.T, cfg Config, want []string, within time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		// What was committed without this process knowing is only in the topic.
		now := canonicalOf(published(t, cfg))
		if slices.Equal(now, want) {
			c.reportedOnlyWhatIsThere(t, cfg)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %s", within, difference(now, want))
		}
		time.Sleep(time.Second)
	}
}

// reportedOnlyWhatIsThere holds what OnCommit got against the topic.
func (c *collector) reportedOnlyWhatIsThere(t *testing.T, cfg Config) {
	t.Helper()
	there := map[string]bool{}
	for _, s := range decoded(t, cfg, cfg.Topics.Sessions, schemas.Sessions) {
		there[fmt.Sprintf("%s/%v", s["session_id"], s["revision"])] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for revision := range c.revision {
		if !there[revision] {
			t.Errorf("revision %s was reported as committed, and is not in the topic", revision)
		}
	}
	for _, p := range c.problems {
		t.Error(p)
	}
}

// instanceOf is the configuration of one of several instances.
func instanceOf(cfg Config, name string) Config {
	cfg.InstanceID = name
	return cfg
}

// TestRebalances starts and stops instances while records come in.
func TestRebalances(t *testing.T) {
	virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		records := topologytest.Calls(7, 80, 20*time.Second).Shuffle(7, 4, 2*time.Second, 0.2)
		want := inMemory(t, records).Canonical()
		steps := []string{"+a", "+b", "+c", "-a", "+d", "-b", "+a", "-c", "-d", "+b", "+c", "+d", "-a", "-b"}
		running := map[string]*run{}
		share := len(records)/len(steps) + 1
		for i, step := range steps {
			feed(t, cfg, records[min(i*share, len(records)):min((i+1)*share, len(records))])
			name := step[1:]
			if step[0] == '+' {
				running[name] = startRun(t, instanceOf(cfg, name))
			} else if err := running[name].stop(t); err != nil {
				t.Errorf("%s: %v", step, err)
			}
			time.Sleep(time.Duration(i%3) * 700 * time.Millisecond)
		}
		newCollector().awaitCommitted(t, cfg, want, time.Minute)
		awaitBooks(t, cfg, len(records), time.Minute)
	})
}

// TestElderIsFenced starts a second process under the name of the first: the
// elder ends with ErrFenced, and the younger goes on. So it does where the elder
// hears of it from a commit: its transaction was aborted for the younger.
func TestElderIsFenced(t *testing.T) {
	for name, happens := range map[string]func(*kfake.Cluster){
		"epoch": func(*kfake.Cluster) {},
		"state": func(cluster *kfake.Cluster) {
			var once atomic.Bool
			cluster.ControlKey(kmsg.EndTxn.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
				if once.Swap(true) {
					return nil, nil, false
				}
				cluster.SleepControl(func() { time.Sleep(2 * tickInterval) }) // the younger begins and joins meanwhile
				resp := req.ResponseKind().(*kmsg.EndTxnResponse)
				resp.ErrorCode = kerr.InvalidTxnState.Code
				return resp, nil, true
			})
			time.Sleep(tickInterval) // the elder is about to commit
		},
	} {
		t.Run(name, func(t *testing.T) { elderIsFenced(t, happens) })
	}
}

func elderIsFenced(t *testing.T, happens func(*kfake.Cluster)) {
	virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
		records := topologytest.Calls(8, 20, 20*time.Second).Shuffle(8, 4, 2*time.Second, 0.2)
		want := inMemory(t, records).Canonical()
		elder := startRun(t, cfg)
		time.Sleep(3 * time.Second)
		feed(t, cfg, records[:len(records)/2])
		happens(cluster)
		younger := startRun(t, cfg)
		select {
		case err := <-elder.done:
			elder.done <- err
			if !errors.Is(err, ErrFenced) {
				t.Fatalf("the elder ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the elder goes on")
		}
		feed(t, cfg, records[len(records)/2:])
		newCollector().awaitCommitted(t, cfg, want, time.Minute)
		if err := younger.stop(t); err != nil {
			t.Error(err)
		}
	})
}

// TestGivenUpIsNoNamesake has the group give a worker up and a successor fence it
// while a broker holds what it produces: it joins again under a new member id,
// which is no reason to think of another process.
func TestGivenUpIsNoNamesake(t *testing.T) {
	virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
		records := topologytest.Calls(9, 40, 20*time.Second).Shuffle(9, 4, 2*time.Second, 0.2)
		want := inMemory(t, records).Canonical()
		one, two := startRun(t, cfg), startRun(t, instanceOf(cfg, "two"))
		cl := client(t, cfg)
		defer cl.Close()
		id := testApp + "-" + cfg.InstanceID + "-0"
		var held atomic.Pointer[chan struct{}]
		cluster.ControlKey(kmsg.Produce.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			if wait := held.Load(); wait != nil && text(req.(*kmsg.ProduceRequest).TransactionID) == id {
				cluster.SleepControl(func() { <-*wait })
			}
			return nil, nil, false
		})
		const times = 12
		for i := range times {
			time.Sleep(5 * time.Second)
			wait := make(chan struct{})
			held.Store(&wait)
			feed(t, cfg, records[i*len(records)/times:(i+1)*len(records)/times])
			time.Sleep(time.Second)
			if err := leaveGroup(t.Context(), cl, cfg.ApplicationID, id); err != nil {
				t.Fatal(err)
			}
			if err := fence(t.Context(), cl, id, time.Minute); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(i) * 250 * time.Millisecond) // between leaving and being back
			held.Store(nil)
			close(wait)
		}
		time.Sleep(5 * time.Second)
		newCollector().awaitCommitted(t, cfg, want, time.Minute)
		for _, r := range []*run{one, two} {
			if err := r.stop(t); err != nil {
				t.Error(err)
			}
		}
	})
}

// endsWith waits for a run that must end with an error that says what to do.
func endsWith(t *testing.T, cfg Config, want error, words ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := Run(ctx, cfg, nil)
	if !errors.Is(err, want) {
		t.Fatalf("ended with %v, want %v", err, want)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestTopicMismatch(t *testing.T) {
	for name, c := range map[string]struct {
		topic      string
		partitions int32
		configs    map[string]string
		words      []string
	}{
		"partitions":    {testApp + "-exchange-repartition", 5, map[string]string{"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"}, []string{"has 5 partitions", "set exchange_partitions to 5"}},
		"timestamps":    {testApp + "-exchange-repartition", 4, map[string]string{"retention.ms": "-1"}, []string{"message.timestamp.type=CreateTime, it must be LogAppendTime"}},
		"retention":     {testApp + "-exchange-repartition", 4, map[string]string{"message.timestamp.type": "LogAppendTime"}, []string{"retention.ms=604800000, it must be -1"}},
		"not compacted": {testApp + "-stitch-changelog", 4, nil, []string{"cleanup.policy=delete, it must be compact"}},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
				if err := cluster.CreateTopic(c.topic, c.partitions, c.configs); err != nil {
					t.Fatal(err)
				}
				endsWith(t, cfg, ErrTopicMismatch, append(c.words, c.topic)...)
			})
		})
	}
}

func TestMissingSource(t *testing.T) {
	virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		cfg.Sources[0].Topic = "call.absent"
		begun := time.Now()
		endsWith(t, cfg, ErrTopicMismatch, "call.absent", "does not exist")
		if waited := time.Since(begun); waited < cfg.StartupTimeout {
			t.Errorf("gave up after %v", waited)
		}
	})
}

func TestLostOffsets(t *testing.T) {
	virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
		runOver(t, cfg, topologytest.Calls(9, 10, 20*time.Second).Shuffle(9, 4, time.Second, 0))
		feed(t, cfg, topologytest.Calls(10, 10, 20*time.Second).Shuffle(9, 4, time.Second, 0))

		cluster.DeleteRecords(topologytest.Topic, 1, cluster.PartitionInfo(topologytest.Topic, 1).HighWatermark)
		endsWith(t, cfg, ErrLostOffsets, topologytest.Topic+"-1 was read to offset", "records are gone")

		cl := client(t, cfg)
		defer cl.Close()
		if _, err := kadm.NewClient(cl).DeleteGroup(t.Context(), testApp); err != nil {
			t.Fatal(err)
		}
		endsWith(t, cfg, ErrLostOffsets, "has no offsets", "holds state")
	})
}

// TestTruncatedChangelog has the changelog lose its end after a run: the committed
// metadata tells where it ended, so a restore that finds less of it ends the run.
func TestTruncatedChangelog(t *testing.T) {
	virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		runOver(t, cfg, topologytest.Calls(9, 10, 20*time.Second).Shuffle(9, 4, time.Second, 0))
		ends := map[int32]int64{}
		for _, rec := range readRecords(t, cfg, cfg.ChangelogTopic()) {
			ends[rec.Partition] = max(ends[rec.Partition], rec.Offset+1)
		}
		for tp, m := range committedMetadata(t, cfg) {
			if tp.Topic == cfg.ExchangeTopic() && m.changelog != ends[tp.Partition] {
				t.Errorf("the metadata of %s-%d says that its changelog ends at %d, and it ends at %d",
					tp.Topic, tp.Partition, m.changelog, ends[tp.Partition])
			}
		}
		of := topology.TopicPartition{Topic: cfg.ExchangeTopic(), Partition: 2}
		const cut = 10 // beside what is there: this broker cannot cut it
		rewrite(t, cfg, of, func(m *metadata) { m.changelog += cut })
		endsWith(t, cfg, ErrLostOffsets, cfg.ChangelogTopic(), fmt.Sprintf("but state up to %d", ends[2]+cut))
	})
}

// rewrite changes what is committed beside an offset.
func rewrite(t *testing.T, cfg Config, tp topology.TopicPartition, change func(*metadata)) {
	t.Helper()
	o := committedFor(t, cfg, tp)
	m, err := parseMetadata(o.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	change(&m)
	o.Metadata = m.String()
	offsets := make(kadm.Offsets)
	offsets.Add(o.Offset)
	cl := client(t, cfg)
	defer cl.Close()
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), cfg.ApplicationID, offsets); err != nil {
		t.Fatal(err)
	}
}

// TestStateWithoutOwner has the offset of one exchange partition say that nobody has
// owned it: its state is there, and nothing tells up to where it is.
func TestStateWithoutOwner(t *testing.T) {
	virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		runOver(t, cfg, topologytest.Calls(9, 10, 20*time.Second).Shuffle(9, 4, time.Second, 0))
		of := topology.TopicPartition{Topic: cfg.ExchangeTopic(), Partition: 2}
		rewrite(t, cfg, of, func(m *metadata) { m.owner, m.changelog = "", 0 })
		endsWith(t, cfg, ErrLostOffsets, cfg.ChangelogTopic()+"-2 holds state", "the offset of "+cfg.ExchangeTopic()+"-2 was not committed with it")
	})
}

// TestTakeOverWaitsForEveryHighWatermark restores a task while a transaction is
// open in the exchange. What the last owner sent may lie behind it, so the clock
// stays where it was until every task is past what was there, committed or not.
func TestTakeOverWaitsForEveryHighWatermark(t *testing.T) {
	virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
		runOver(t, cfg, topologytest.Calls(9, 10, 20*time.Second).Shuffle(9, 4, time.Second, 0))
		other := client(t, cfg, kgo.TransactionalID("other"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		defer other.Close()
		if err := other.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for p := range cfg.ExchangePartitions {
			if err := other.ProduceSync(t.Context(), &kgo.Record{Topic: cfg.ExchangeTopic(), Partition: p}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}

		of := assigned{TopicPartition: topology.TopicPartition{Topic: cfg.ExchangeTopic(), Partition: 1}}
		of.last = committedMetadata(t, cfg)[of.TopicPartition]
		raw := map[string]int32{topologytest.Topic: 4}
		res := (&restore{cfg: &cfg, raw: raw, of: of, log: cfg.Log}).attempt(t.Context())
		if res.err != nil {
			t.Fatal(res.err)
		}
		task := res.task
		held := task.Clock().Time
		later := held.Add(time.Minute)
		hear := func(behind int32) call.Arrival {
			t.Helper()
			var k topology.Tick
			for p := range raw[topologytest.Topic] {
				k.Progress = append(k.Progress, topology.Progress{Source: topology.TopicPartition{Topic: topologytest.Topic, Partition: p}, Time: later})
			}
			for p := range cfg.ExchangePartitions {
				c := topology.Clock{Task: p, Time: later, Position: cluster.PartitionInfo(cfg.ExchangeTopic(), p).HighWatermark}
				if p == behind {
					c.Position--
				}
				k.Clocks = append(k.Clocks, c)
			}
			var fx topology.Effects
			tick := topology.Record{Offset: task.Position(), Value: k.EnvelopeFor(&cfg.Config, of.Partition).Value}
			if err := task.Process(tick, &fx); err != nil {
				t.Fatal(err)
			}
			task.Finish(&fx)
			task.Commit(task.Position())
			return task.Clock().Time
		}
		for p := range cfg.ExchangePartitions {
			if got := hear(p); got != held {
				t.Errorf("with task %d one record before the high watermark the clock moved by %d ms", p, got-held)
			}
		}
		if got := hear(-1); got != later {
			t.Errorf("with all tasks at the high watermarks the clock moved by %d ms, want %d", got-held, later-held)
		}
	})
}

// TestMetadataOfANewerProgram begins where a program of another version has
// committed.
func TestMetadataOfANewerProgram(t *testing.T) {
	for name, tp := range map[string]topology.TopicPartition{
		"source":   {Topic: topologytest.Topic, Partition: 3},
		"exchange": {Topic: testApp + "-exchange-repartition", Partition: 1},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
				runOver(t, cfg, topologytest.Calls(9, 10, 20*time.Second).Shuffle(9, 4, time.Second, 0))
				cl := client(t, cfg)
				defer cl.Close()
				adm := kadm.NewClient(cl)
				all, err := adm.FetchOffsets(t.Context(), testApp)
				if err != nil {
					t.Fatal(err)
				}
				o, _ := all.Lookup(tp.Topic, tp.Partition)
				newer := kadm.Offsets{}
				newer.Add(kadm.Offset{Topic: tp.Topic, Partition: tp.Partition, At: o.At, LeaderEpoch: -1, Metadata: "2 x 0 "})
				if err := adm.CommitAllOffsets(t.Context(), testApp, newer); err != nil {
					t.Fatal(err)
				}
				endsWith(t, cfg, ErrNewerState, fmt.Sprintf("%s-%d: ", tp.Topic, tp.Partition), `of form "2"`)
			})
		})
	}
}

// runOver runs an instance over records, and stops it.
func runOver(t *testing.T, cfg Config, records []topologytest.Raw) {
	t.Helper()
	feed(t, cfg, records)
	r := startRun(t, cfg)
	time.Sleep(5 * time.Second)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
}

// TestOutcomeIsLookedUp asks for the outcome of a transaction while the broker is
// about to end it: the answer waits for that, and knows a commit by its metadata
// where it moved no offset.
func TestOutcomeIsLookedUp(t *testing.T) {
	const end = time.Second // is how long the broker takes to end it
	for name, c := range map[string]struct {
		position, changelog int64
		try                 kgo.TransactionEndTry
		want                outcome
		after               time.Duration
	}{
		"an offset moved":     {1, 7, kgo.TryCommit, unknown, end},
		"only metadata moved": {0, 9, kgo.TryCommit, unknown, end},
		"aborted":             {1, 9, kgo.TryAbort, aborted, 0},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
				s, p := memberWith(t, cfg, metadata{owner: "one", changelog: 7})
				p.changelogNext = c.changelog
				if err := s.tasks.Pass(p.task.Reads(), c.position-1); err != nil {
					t.Fatal(err)
				}
				busy := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.ConcurrentTransactions, Count: -1, TopLevel: true})
				time.AfterFunc(end, busy.Remove)
				ended := make(chan error, 1)
				go func() {
					_, err := s.member.End(kgo.PreTxnCommitFnContext(t.Context(), s.offsets), c.try)
					ended <- err
				}()
				time.Sleep(end / 2)
				begun := time.Now()
				got, err := s.verify(t.Context())
				if got != c.want || (err == nil) != (c.want == aborted) {
					t.Errorf("%s, %v; want %s", got, err, c.want)
				}
				if waited := time.Since(begun); waited < c.after/2 {
					t.Errorf("decided after %v, before the end of the transaction", waited)
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// memberWith is a session in an open transaction, with a partition that was
// committed at 0 with the given metadata and of which it has read a record.
func memberWith(t *testing.T, cfg Config, committed metadata) (*session, *partition) {
	t.Helper()
	feed(t, cfg, topologytest.Calls(9, 1, time.Second).Shuffle(9, 1, 0, 0))
	adm := client(t, cfg)
	defer adm.Close()
	seed := kadm.Offsets{}
	seed.Add(kadm.Offset{Topic: topologytest.Topic, LeaderEpoch: -1, Metadata: committed.String()})
	if err := kadm.NewClient(adm).CommitAllOffsets(t.Context(), testApp, seed); err != nil {
		t.Fatal(err)
	}
	member, err := kgo.NewGroupTransactSession(append(cfg.Client,
		kgo.SeedBrokers(cfg.Brokers...), kgo.TransactionalID(committed.owner),
		kgo.ConsumerGroup(testApp), kgo.ConsumeTopics(topologytest.Topic))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(member.Close)
	if err := member.Begin(); err != nil {
		t.Fatal(err)
	}
	if fetches := member.PollFetches(t.Context()); fetches.Err() != nil || fetches.Empty() {
		t.Fatalf("nothing was read: %v", fetches.Err())
	}
	s := &session{
		worker: &worker{cfg: &cfg, id: committed.owner}, member: member, cl: member.Client(),
		tasks: topology.NewWorker(&cfg.Config, topology.InOrder), parts: map[topology.TopicPartition]*partition{},
	}
	p := &partition{
		TopicPartition: topology.TopicPartition{Topic: topologytest.Topic, Partition: 0}, epoch: -1, stable: stable{0, committed.String()},
		task: wordless{topology.NewStitchTask(&cfg.Config, 0, nil)},
	}
	s.parts[p.TopicPartition] = p
	s.activate(p)
	return s, p
}

// wordless is a task of a source partition that has nothing to say in metadata.
type wordless struct{ *topology.StitchTask }

func (wordless) Reads() topology.TopicPartition {
	return topology.TopicPartition{Topic: topologytest.Topic}
}

// TestRetentionOvertakes deletes records that a running instance has not read.
func TestRetentionOvertakes(t *testing.T) {
	virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
		r := startRun(t, cfg)
		time.Sleep(3 * time.Second)
		block := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topologytest.Topic, Err: kerr.NotLeaderForPartition, Count: -1})
		feed(t, cfg, topologytest.Calls(11, 10, 20*time.Second).Shuffle(9, 4, time.Second, 0))
		cluster.DeleteRecords(topologytest.Topic, 2, cluster.PartitionInfo(topologytest.Topic, 2).HighWatermark)
		block.Remove()
		select {
		case err := <-r.done:
			r.done <- err
			if !errors.Is(err, ErrLostOffsets) {
				t.Fatalf("ended with %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("went on over a gap")
		}
	})
}

// TestAddedPartition grows a source topic while an instance runs: the new
// partition is read from its beginning.
func TestAddedPartition(t *testing.T) {
	virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		records := topologytest.Calls(12, 30, 20*time.Second).Shuffle(12, 5, 2*time.Second, 0)
		want := inMemory(t, records).Canonical()
		startRun(t, cfg)
		time.Sleep(3 * time.Second)
		cl := client(t, cfg)
		defer cl.Close()
		if _, err := kadm.NewClient(cl).UpdatePartitions(t.Context(), 5, topologytest.Topic); err != nil {
			t.Fatal(err)
		}
		feed(t, cfg, records)
		newCollector().awaitCommitted(t, cfg, want, 3*time.Minute)
	})
}

func TestStartLatest(t *testing.T) {
	virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		cfg.Start = "latest"
		feed(t, cfg, topologytest.Calls(13, 10, 20*time.Second).Shuffle(13, 4, time.Second, 0))
		r := startRun(t, cfg)
		time.Sleep(3 * time.Second)
		if err := r.stop(t); err != nil {
			t.Fatal(err)
		}
		records := topologytest.Calls(14, 10, 20*time.Second).Shuffle(14, 4, time.Second, 0)
		want := inMemory(t, records).Canonical()
		feed(t, cfg, records) // while nobody runs: still to be read
		startRun(t, cfg)
		newCollector().awaitCommitted(t, cfg, want, time.Minute)
	})
}

// TestOutage cuts all brokers off for longer than any time-out.
func TestOutage(t *testing.T) {
	virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		var down atomic.Bool
		dial := dialOf(t, cfg)
		m := &meddler{dial: dial, plan: func(kmsg.Key, bool) meddling {
			if down.Load() {
				return cut
			}
			return pass
		}}
		own := cfg
		own.Client = []kgo.Opt{kgo.Dialer(m.DialContext)}
		records := topologytest.Calls(16, 40, 20*time.Second).Shuffle(16, 4, 2*time.Second, 0.2)
		want := inMemory(t, records).Canonical()
		r := startRun(t, own)
		time.Sleep(3 * time.Second)
		feed(t, cfg, records[:len(records)/2])
		down.Store(true)
		time.Sleep(10 * time.Minute)
		if s := r.status.Snapshot(); s.Ready() || !strings.Contains(s.Waiting, cfg.Brokers[0]) {
			t.Errorf("in an outage the status is %v %q", s.State, s.Waiting)
		}
		down.Store(false)
		feed(t, cfg, records[len(records)/2:])
		newCollector().awaitCommitted(t, cfg, want, 2*time.Minute)
		if !r.status.Snapshot().Ready() {
			t.Errorf("after an outage the status is %+v", r.status.Snapshot())
		}

		down.Store(true) // and stop in the middle of one
		time.Sleep(time.Second)
		r.stop(t)
	})
}

// TestStandstills has brokers refuse what a transaction needs, over and over: the instance
// says so, goes on when they do not, and stops in order while they do.
func TestStandstills(t *testing.T) {
	for name, fault := range map[string]kfake.Fault{
		"Produce":         {Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas},
		"TxnOffsetCommit": {Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.CoordinatorNotAvailable},
		"EndTxn":          {Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.CoordinatorNotAvailable, TopLevel: true},
		"Heartbeat":       {Keys: []kmsg.Key{kmsg.Heartbeat, kmsg.JoinGroup}, Err: kerr.CoordinatorNotAvailable, TopLevel: true},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
				cfg.Workers = 2
				records := topologytest.Calls(17, 40, 20*time.Second).Shuffle(17, 4, 2*time.Second, 0.2)
				want := inMemory(t, records).Canonical()
				r := startRun(t, cfg)
				time.Sleep(3 * time.Second)
				feed(t, cfg, records[:len(records)/2])
				fault.Count = -1
				away := cluster.Fault(fault)
				time.Sleep(40 * time.Second)
				if s := r.status.Snapshot(); s.Ready() || s.Stalled == 0 && s.State == Running {
					t.Errorf("the status is %v, for %v %q", s.State, s.Stalled, s.Waiting)
				}
				away.Remove()
				feed(t, cfg, records[len(records)/2:])
				newCollector().awaitCommitted(t, cfg, want, 2*time.Minute)
				awaitBooks(t, cfg, len(records), time.Minute)
				time.Sleep(15 * time.Second) // the longest pause between two sessions
				if s := r.status.Snapshot(); !s.Ready() {
					t.Errorf("after that the status is %v, for %v %q", s.State, s.Stalled, s.Waiting)
				}
				cluster.Fault(fault)
				time.Sleep(8 * time.Second)
				if err := r.stop(t); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestSourceWithoutAnswer has no broker say how far a source partition reaches, as where it
// has no leader: all else goes on, and still nothing becomes FINAL.
func TestSourceWithoutAnswer(t *testing.T) {
	virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
		r := startRun(t, cfg)
		time.Sleep(3 * time.Second)
		away := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: topologytest.Topic, Partitions: []int32{2}, Err: kerr.LeaderNotAvailable, Count: -1})
		time.Sleep(time.Minute)
		if s := r.status.Snapshot(); s.Ready() || s.Stalled < 50*time.Second || !strings.Contains(s.Waiting, topologytest.Topic+"-2") {
			t.Errorf("the status is %v, for %v %q", s.State, s.Stalled, s.Waiting)
		}
		away.Remove()
		time.Sleep(3 * time.Second)
		if s := r.status.Snapshot(); !s.Ready() || s.Stalled != 0 {
			t.Errorf("after that the status is %v, for %v %q", s.State, s.Stalled, s.Waiting)
		}
	})
}

func TestNoBroker(t *testing.T) {
	virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
		cfg.Brokers = []string{"localhost:9999"}
		begun := time.Now()
		err := Run(t.Context(), cfg, nil)
		if err == nil || !strings.Contains(err.Error(), "localhost:9999") {
			t.Errorf("ended with %v", err)
		}
		if waited := time.Since(begun); waited < cfg.StartupTimeout || waited > cfg.StartupTimeout+20*time.Second {
			t.Errorf("gave up after %v", waited)
		}
	})
}

// TestPurge expects the exchange to lose what all have consumed.
func TestPurge(t *testing.T) {
	virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
		startRun(t, cfg)
		time.Sleep(3 * purgeInterval)
		for p := range cfg.ExchangePartitions {
			i := cluster.PartitionInfo(cfg.ExchangeTopic(), p)
			if i.LogStartOffset == 0 || i.HighWatermark-i.LogStartOffset > 500 {
				t.Errorf("partition %d holds offsets from %d to %d", p, i.LogStartOffset, i.HighWatermark)
			}
		}
	})
}

// TestBacklogInLargeTransactions has an instance find many records, which a slow broker
// hands out: it works them off in few transactions, and what comes later in many.
func TestBacklogInLargeTransactions(t *testing.T) {
	virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
		cfg.CommitInterval = 50 * time.Millisecond
		var records []*kgo.Record
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range 8 * backlogLeast {
			value := make([]byte, 450) // that are not JSON; some 2,300 fill a fetch of a partition
			for j := range value {
				value[j] = byte(rng.Uint32())
			}
			records = append(records, &kgo.Record{Topic: cfg.Sources[0].Topic, Partition: int32(i % 4), Value: value})
		}
		produce(t, cfg, records)
		cluster.ControlKey(kmsg.Fetch.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			cluster.SleepControl(func() { time.Sleep(300 * time.Millisecond) })
			return nil, nil, false
		})
		r := startRun(t, cfg)
		awaitInterval := func(want time.Duration) Snapshot {
			t.Helper()
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
				s := r.status.Snapshot()
				if s.Interval == want {
					return s
				}
				if time.Now().After(deadline) {
					t.Fatalf("transactions never last %v, but %v", want, s.Interval)
				}
			}
		}
		awaitInterval(backlogInterval)
		began, first := time.Now(), r.status.Snapshot().Commits
		last := awaitInterval(cfg.CommitInterval)
		took, n := time.Since(began), last.Commits-first
		if most := int64(took/backlogInterval) + 2; took < time.Second || n > most {
			t.Errorf("%d transactions in %v of backlog, at most %d are due", n, took, most)
		}
	})
}

// TestReadAhead has an instance read ahead while brokers are slow to take what it writes,
// and then abort every third transaction, and share its partitions with another instance:
// what was read ahead is neither lost nor taken twice.
func TestReadAhead(t *testing.T) {
	virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
		rng := rand.New(rand.NewPCG(3, 4))
		records := topologytest.Calls(23, 150, 20*time.Second).Shuffle(23, 4, 2*time.Second, 0.2)
		for i := range records { // some fifty fill a fetch of a partition
			pad := make([]byte, 10<<10)
			for j := range pad {
				pad[j] = byte(rng.Uint32())
			}
			records[i].Value = fmt.Appendf(nil, `{"pad":"%x",%s`, pad, records[i].Value[1:])
		}
		want := inMemory(t, records).Canonical()
		feed(t, cfg, records)
		cluster.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			cluster.SleepControl(func() { time.Sleep(200 * time.Millisecond) })
			return nil, nil, false
		})
		commits, last := 0, kmsg.Request(nil)
		cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.RebalanceInProgress, Count: -1, When: func(req kmsg.Request) bool {
			if req != last { // it is asked for each partition
				commits, last = commits+1, req
			}
			return commits%3 == 0
		}})
		startRun(t, cfg)
		time.Sleep(3 * time.Second)
		startRun(t, instanceOf(cfg, "two"))
		newCollector().awaitCommitted(t, cfg, want, 3*time.Minute)
		awaitBooks(t, cfg, len(records), time.Minute)
	})
}

// TestSourcesWaitForTheExchange holds the exchange back until its lag is large:
// the sources pause, and go on when it was worked off.
func TestSourcesWaitForTheExchange(t *testing.T) {
	s := &session{worker: &worker{cfg: &Config{}}, parts: map[topology.TopicPartition]*partition{}, tasks: topology.NewWorker(&topology.Config{}, topology.InOrder)}
	cl, err := kgo.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	s.cl = cl
	tp := topology.TopicPartition{Topic: "call.raw", Partition: 1}
	s.parts[tp] = &partition{TopicPartition: tp, source: true, active: true}
	paused := func() bool { return len(cl.PauseFetchPartitions(nil)["call.raw"]) == 1 }
	for _, step := range []struct {
		lag  int64
		want bool
	}{{exchangeLagMax, false}, {exchangeLagMax + 1, true}, {exchangeLagLow, true}, {exchangeLagLow - 1, false}} {
		s.lag = step.lag
		s.balanceInput()
		if paused() != step.want {
			t.Errorf("at a lag of %d paused is %v", step.lag, paused())
		}
	}
}

// TestTickCommitsEveryOffset expects partitions without any record to be
// committed by this member all the same: a tick speaks for them, so a member
// that lost one must not get it through.
func TestTickCommitsEveryOffset(t *testing.T) {
	virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		startRun(t, cfg)
		time.Sleep(3 * time.Second)
		for tp, m := range committedMetadata(t, cfg) {
			if m.owner != "app-one-0" {
				t.Errorf("%s-%d was last committed by %q", tp.Topic, tp.Partition, m.owner)
			}
		}
	})
}

func committedMetadata(t *testing.T, cfg Config) map[topology.TopicPartition]metadata {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	offsets, err := kadm.NewClient(cl).FetchOffsets(t.Context(), cfg.ApplicationID)
	if err != nil {
		t.Fatal(err)
	}
	all := map[topology.TopicPartition]metadata{}
	offsets.Each(func(o kadm.OffsetResponse) {
		m, err := parseMetadata(o.Metadata)
		if err != nil {
			t.Error(err)
		}
		all[topology.TopicPartition{Topic: o.Topic, Partition: o.Partition}] = m
	})
	if want := int(cfg.ExchangePartitions) + 4; len(all) != want {
		t.Errorf("%d partitions have offsets, want %d", len(all), want)
	}
	return all
}

// TestLastOwnerIsFenced leaves a transaction of a dead owner open, which would
// hold every reader of the exchange back for ten minutes.
func TestLastOwnerIsFenced(t *testing.T) {
	virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		r := startRun(t, instanceOf(cfg, "dead"))
		time.Sleep(3 * time.Second)
		if err := r.stop(t); err != nil {
			t.Fatal(err)
		}
		dead := client(t, cfg, kgo.TransactionalID(testApp+"-dead-0"), kgo.TransactionTimeout(10*time.Minute),
			kgo.RecordPartitioner(kgo.ManualPartitioner()))
		defer dead.Close()
		if err := dead.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		sent := dead.ProduceSync(t.Context(), &kgo.Record{Topic: cfg.ExchangeTopic(), Value: []byte("never to be seen")})
		if err := sent.FirstErr(); err != nil {
			t.Fatal(err)
		}
		r = startRun(t, cfg)
		time.Sleep(10 * time.Second)
		for _, k := range r.status.Snapshot().Tasks {
			if k.Topic == cfg.ExchangeTopic() && k.Partition == 0 && k.Position <= sent[0].Record.Offset {
				t.Errorf("the task stands at %d behind the dead owner's record at %d", k.Position, sent[0].Record.Offset)
			}
		}
	})
}

// TestCheckWaitsForTheCoordinator has check ask brokers that have just started: where the
// coordinator of the group is loading for some seconds it is waited for, and where it
// does not come that is told.
func TestCheckWaitsForTheCoordinator(t *testing.T) {
	for name, lasts := range map[string]time.Duration{"seconds": 5 * time.Second, "for ever": time.Hour} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T, cluster *kfake.Cluster, cfg Config) {
				begun := time.Now()
				cluster.Fault(kfake.Fault{
					Keys: []kmsg.Key{kmsg.FindCoordinator}, Err: kerr.CoordinatorNotAvailable, Count: -1,
					When: func(kmsg.Request) bool { return time.Since(begun) < lasts },
				})
				var crosses int
				for _, f := range Examine(t.Context(), cfg) {
					if errors.Is(f.Err, kerr.CoordinatorNotAvailable) {
						crosses++
					}
				}
				if waited := lasts < attemptLimit; waited == (crosses > 0) {
					t.Errorf("%d conditions do not hold for the coordinator", crosses)
				}
				if took := time.Since(begun); took > 3*attemptLimit {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// TestRejectOfAnOldRecord has a reject of a record that is older than what its topic keeps.
func TestRejectOfAnOldRecord(t *testing.T) {
	virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		produce(t, cfg, []*kgo.Record{{Topic: topologytest.Topic, Value: []byte("{"), Timestamp: time.UnixMilli(1)}})
		runOver(t, cfg, nil)
		rejects := readRecords(t, cfg, cfg.Topics.Rejects)
		if len(rejects) != 1 || time.Since(rejects[0].Timestamp) > time.Minute || headersOf(rejects[0])["callstitch.timestamp"] != "1" {
			t.Errorf("rejects are %+v", rejects)
		}
	})
}
