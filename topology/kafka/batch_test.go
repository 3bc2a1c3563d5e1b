package kafka

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

// reader is a task that only notes what it reads.
type reader struct {
	topology.Task
	at      topology.TopicPartition
	read    *[]string
	pending int
}

func (r *reader) Reads() topology.TopicPartition { return r.at }

func (r *reader) Process(rec topology.Record, _ *topology.Effects) error {
	*r.read = append(*r.read, rec.Topic+" "+string(rec.Value))
	return nil
}

func (r *reader) Pending() int { return r.pending }

// reading is a session without a broker, whose tasks only note what they read.
func reading(pending int, topics ...string) (s *session, read *[]string) {
	cfg := Config{Config: topology.Config{ApplicationID: "app", ExchangePartitions: 1}}.withDefaults()
	s = &session{worker: &worker{cfg: &cfg}, parts: make(map[topology.TopicPartition]*partition), tasks: topology.NewWorker(&cfg.Config, topology.InOrder)}
	read = new([]string)
	for _, topic := range topics {
		tp := topology.TopicPartition{Topic: topic, Partition: 0}
		s.parts[tp] = &partition{TopicPartition: tp, active: true, source: topic == "call.raw"}
		s.tasks.Add(&reader{at: topology.TopicPartition{Topic: topic}, read: read, pending: pending}, 0)
	}
	return s, read
}

func fetchOf(topic string, values ...string) kgo.FetchTopic {
	p := kgo.FetchPartition{}
	for i, v := range values {
		p.Records = append(p.Records, &kgo.Record{Topic: topic, Offset: int64(i), Value: []byte(v)})
	}
	return kgo.FetchTopic{Topic: topic, Partitions: []kgo.FetchPartition{p}}
}

// What was read ahead of a partition that was lost since belongs to its new owner.
func TestLostPartitionIsNotProcessed(t *testing.T) {
	s, read := reading(0, "call.raw")
	all, err := s.byPartition(kgo.Fetches{{Topics: []kgo.FetchTopic{fetchOf("call.raw", "a")}}})
	if err != nil {
		t.Fatal(err)
	}
	tp := topology.TopicPartition{Topic: "call.raw"}
	s.parts[tp] = &partition{TopicPartition: tp, active: true, source: true} // lost and assigned again
	if err := errors.Join(s.process(&transaction{}, all), s.work()); err != nil {
		t.Fatal(err)
	}
	if len(*read) > 0 {
		t.Errorf("read %q", *read)
	}
}

// A transaction is full by what it has read, by the state that it has written, by both
// together, or by its age.
func TestFullTransaction(t *testing.T) {
	for name, test := range map[string]struct {
		tx      *transaction
		pending int
		age     time.Duration
		want    bool
	}{
		"little of all":      {&transaction{records: maxTransactionRecords - 1, bytes: 10}, 10, 0, false},
		"many records":       {&transaction{records: maxTransactionRecords}, 0, 0, true},
		"many bytes":         {&transaction{bytes: maxTransactionBytes}, 0, 0, true},
		"much state":         {&transaction{}, maxTransactionBytes, 0, true},
		"bytes and state":    {&transaction{bytes: maxTransactionBytes / 2}, maxTransactionBytes / 2, 0, true},
		"one byte from full": {&transaction{bytes: maxTransactionBytes / 2}, maxTransactionBytes/2 - 1, 0, false},
		"old":                {&transaction{}, 0, defaultTransactionTimeout / 2, true},
	} {
		s, _ := reading(test.pending, "call.raw")
		if err := s.tasks.Pass(topology.TopicPartition{Topic: "call.raw"}, 0); err != nil { // so that its state counts
			t.Fatal(err)
		}
		test.tx.begun = time.Now().Add(-test.age)
		if got := s.full(test.tx); got != test.want {
			t.Errorf("%s: full is %t, want %t", name, got, test.want)
		}
	}
}

// A member without tasks has nothing to tell: it writes no ticks.
func TestNoTickWithoutTasks(t *testing.T) {
	if s, _ := reading(0); s.tickDue() {
		t.Error("a tick is due of no task")
	}
	if s, _ := reading(0, "call.raw"); !s.tickDue() {
		t.Error("no tick is due, though none was sent yet")
	}
}
