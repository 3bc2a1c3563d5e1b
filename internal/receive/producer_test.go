package receive

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const testTopic = "call.raw"

func newCluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func kafkaConfig(brokers []string) Config {
	return Config{Brokers: brokers, Topic: testTopic, Hold: time.Second, MaxInFlight: 4 << 20, MaxBody: 1 << 20}
}

// startIntake runs an intake until the test ends.
func startIntake(t testing.TB, cfg Config) *Intake {
	t.Helper()
	in, err := NewIntake(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { in.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		closing, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := in.Close(closing); err != nil {
			t.Error(err)
		}
	})
	return in
}

// inTopic waits until the topic has n different bodies, and returns its records.
func inTopic(t testing.TB, cfg Config, n int, within time.Duration) (records []*kgo.Record) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.ConsumeTopics(cfg.Topic), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	bodies := map[string]bool{}
	for len(bodies) < n {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Errorf("after %v the topic has %d records of %d", within, len(bodies), n)
			return records
		}
		fetches.EachRecord(func(r *kgo.Record) {
			bodies[string(r.Value)] = true
			records = append(records, r)
		})
	}
	return records
}

func mustTake(t testing.TB, in *Intake, e Event) {
	t.Helper()
	if err := in.Take(t.Context(), e); err != nil {
		t.Error(err)
	}
}

func TestRecordInKafka(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(2, testTopic))
	cfg := kafkaConfig(cluster.ListenAddrs())
	var acks []int16
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		acks = append(acks, r.(*kmsg.ProduceRequest).Acks)
		return nil, nil, false
	})
	in := startIntake(t, cfg)
	mustTake(t, in, event(`{"a":1}`))
	mustTake(t, in, Event{Received: time.UnixMilli(5)}) // no body, no headers
	mustTake(t, in, event(strings.Repeat("x", 1<<20)))  // the largest
	for _, r := range inTopic(t, cfg, 3, 10*time.Second) {
		var headers []string
		for _, h := range r.Headers {
			headers = append(headers, h.Key+"="+string(h.Value))
		}
		switch {
		case len(r.Value) == 0:
			if r.Value == nil || !r.Timestamp.Equal(time.UnixMilli(5)) || len(headers) > 0 || r.Key != nil {
				t.Errorf("the empty event is %v", r)
			}
		case !slices.Equal(headers, []string{"provider=p", "tenant=acme", "traceparent=00-1-2-03"}) || r.Key != nil || !r.Timestamp.Equal(time.UnixMilli(1_700_000_000_123)):
			t.Errorf("key %q, headers %q, %v", r.Key, headers, r.Timestamp)
		}
	}
	if slices.ContainsFunc(acks, func(a int16) bool { return a != -1 }) {
		t.Errorf("acks are %v", acks)
	}
	if err := in.Ready(); err != nil {
		t.Error(err)
	}
}

// TestKafkaFreezes: the broker keeps its connections and answers nothing, for a while.
func TestKafkaFreezes(t *testing.T) {
	t.Parallel() // it waits
	cluster := newCluster(t, kfake.SeedTopics(2, testTopic))
	cfg := kafkaConfig(cluster.ListenAddrs())
	cfg.Spool = Spool{Dir: t.TempDir(), Max: 64 << 20}
	in := startIntake(t, cfg)
	mustTake(t, in, event("before"))
	thaw := make(chan struct{})
	cluster.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		cluster.SleepControl(func() { <-thaw })
		return nil, nil, false
	})
	begun := time.Now()
	mustTake(t, in, event("first"))
	if took := time.Since(begun); took < cfg.Hold || took > cfg.Hold+2*time.Second {
		t.Errorf("the first event took %v", took)
	}
	time.Sleep(10 * time.Millisecond)
	begun = time.Now()
	for _, body := range []string{"second", "third"} {
		mustTake(t, in, event(body))
	}
	if took := time.Since(begun); took > cfg.Hold/2 {
		t.Errorf("two events took %v while Kafka is known to be away", took)
	}
	if s := in.Stats(); s.SpoolRecords != 3 {
		t.Errorf("%+v", s)
	}
	close(thaw)
	inTopic(t, cfg, 4, 30*time.Second)
	for deadline := time.Now().Add(30 * time.Second); in.Stats().SpoolBytes > 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	begun = time.Now()
	mustTake(t, in, event("after"))
	if s := in.Stats(); s.Spooled != 3 || s.SpoolBytes != 0 || time.Since(begun) > cfg.Hold {
		t.Errorf("%+v after %v", s, time.Since(begun))
	}
}

// TestTopicIsMissing: that is an outage, and ends when there is one.
func TestTopicIsMissing(t *testing.T) {
	t.Parallel() // it waits
	cluster := newCluster(t)
	cfg := kafkaConfig(cluster.ListenAddrs())
	in := startIntake(t, cfg)
	if err := in.Take(t.Context(), event("{}")); !errors.Is(err, ErrNotInTime) {
		t.Errorf("taken: %v", err)
	}
	time.Sleep(4 * time.Second) // by default the client gives up sooner
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = testTopic, 1, 1
	req.Topics = append(req.Topics, topic)
	if _, err := req.RequestWith(t.Context(), cl); err != nil {
		t.Fatal(err)
	}
	inTopic(t, cfg, 1, 30*time.Second) // the event that was refused: nothing else was sent
	mustTake(t, in, event("more"))
}

// TestRightsAreTakenAway: a client that was refused its producer id refuses everything
// from then on. It is replaced.
func TestRightsAreTakenAway(t *testing.T) {
	t.Parallel() // it waits
	cluster := newCluster(t, kfake.SeedTopics(1, testTopic))
	cfg := kafkaConfig(cluster.ListenAddrs())
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.ClusterAuthorizationFailed, TopLevel: true})
	in := startIntake(t, cfg)
	for deadline := time.Now().Add(4 * renewEvery); ; time.Sleep(100 * time.Millisecond) {
		err := in.Take(t.Context(), event("{}"))
		if err == nil {
			break
		}
		if !errors.Is(err, kerr.ClusterAuthorizationFailed) {
			t.Errorf("refused with %v", err)
		}
		if in.Ready() == nil {
			t.Error("ready while Kafka refuses everything")
		}
		if time.Now().After(deadline) {
			t.Fatal("it was never taken")
		}
	}
}

// TestTooLargeForTopic: what the topic does not allow is refused, and others are not.
func TestTooLargeForTopic(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, testTopic))
	cfg := kafkaConfig(cluster.ListenAddrs())
	in := startIntake(t, cfg)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge})
	if err := in.Take(t.Context(), event("large")); !errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, ErrNoRoom) || errors.Is(err, ErrNotInTime) {
		t.Errorf("taken: %v", err)
	}
	if err := in.Ready(); err != nil {
		t.Errorf("one record makes it not ready: %v", err)
	}
	mustTake(t, in, event("small"))
	if records := inTopic(t, cfg, 1, 10*time.Second); !bytes.Equal(records[0].Value, []byte("small")) {
		t.Errorf("the topic has %s", records[0].Value)
	}
}
