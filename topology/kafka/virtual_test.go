package kafka

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

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

func TestVirtualTime(t *testing.T) {
	virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		cfg.Workers = 2
		records := topologytest.Calls(5, 40, 20*time.Second).Shuffle(5, 4, 2*time.Second, 0.2)
		want := topologytest.Memory(t, 4, testStitch, records).Sessions.Canonical()
		feed(t, cfg, records)
		got := newCollector()
		cfg.OnCommit = got.take
		r := startRun(t, cfg)
		got.await(t, want, time.Minute)
		if err := r.stop(t); err != nil {
			t.Fatal(err)
		}
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
	cfg.Workers = 2
	records := topologytest.Calls(6, 60, 20*time.Second).Shuffle(6, 4, 2*time.Second, 0.2)
	want := topologytest.Memory(t, 4, testStitch, records).Sessions.Canonical()
	got := newCollector()
	cfg.OnCommit = got.take
	r := startRun(t, cfg)
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
		default:
		}
	}
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
		if fmt.Sprint(now) == fmt.Sprint(canonicalTexts(t, want)) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %s", within, difference(now, canonicalTexts(t, want)))
		}
		time.Sleep(time.Second)
	}
}

func canonicalTexts(t *testing.T, sessions []string) []string {
	all := make([]string, len(sessions))
	for i, s := range sessions {
		all[i] = canonicalFields(parseSession(t, []byte(s)))
	}
	return all
}
