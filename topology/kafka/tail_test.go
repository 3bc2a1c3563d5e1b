package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestRecordAt asks for what is there, and for each kind of offset at which there is
// nothing that readers may have.
func TestRecordAt(t *testing.T) {
	cfg := apache(t, 2)
	topic := cfg.Sources[0].Topic
	cl := client(t, cfg, kgo.TransactionalID(t.Name()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	for _, tx := range []struct {
		value string
		end   kgo.TransactionEndTry
	}{{"gone", kgo.TryCommit}, {"kept", kgo.TryCommit}, {"aborted", kgo.TryAbort}, {"last", kgo.TryCommit}} { // each with its marker
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: 1, Value: []byte(tx.value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(t.Context(), tx.end); err != nil {
			t.Fatal(err)
		}
	}
	first := make(kadm.Offsets)
	first.AddOffset(topic, 1, 2, -1)
	if gone, err := kadm.NewClient(cl).DeleteRecords(t.Context(), first); err != nil || gone.Error() != nil {
		t.Fatal(err, gone.Error())
	}
	tail := TailConfig{Brokers: cfg.Brokers, Client: cfg.Client, Topic: topic}
	for offset, want := range map[int64]string{0: "", 2: "kept", 3: "", 4: "", 5: "", 6: "last", 7: "", 8: "", 99: ""} {
		r, found, err := RecordAt(t.Context(), tail, 1, offset)
		if err != nil || found != (want != "") || found && string(r.Value) != want {
			t.Errorf("at %d: %q, found %t, %v; want %q", offset, r.Value, found, err, want)
		}
	}
	for _, partition := range []int32{0, 7} { // an empty one, and none
		if _, found, err := RecordAt(t.Context(), tail, partition, 0); found || err != nil {
			t.Errorf("partition %d: found %t, %v", partition, found, err)
		}
	}
	tail.Topic = "no.such.topic"
	if _, _, err := RecordAt(t.Context(), tail, 0, 0); !errors.Is(err, errNoTopic) {
		t.Errorf("no topic: %v", err)
	}

	// What is still open is not there yet, and nothing is waited for.
	tail.Topic = topic
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: 1, Value: []byte("open")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, found, err := RecordAt(ctx, tail, 1, 8); found || err != nil {
		t.Errorf("of an open transaction: found %t, %v", found, err)
	}
	if err := cl.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
}
