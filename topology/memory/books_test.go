package memory

import (
	"testing"

	"callstitch/topology"
)

// The end of the input is an error where a book is missing, was closed before the
// last record, or does not balance: the outputs cannot be trusted then.
func TestBooksAreChecked(t *testing.T) {
	at := topology.TopicPartition{Topic: "call.raw", Partition: 2}
	for name, spoil := range map[string]func(r *Runtime){
		"missing":          func(r *Runtime) { delete(r.books, at) },
		"closed too early": func(r *Runtime) { r.books[at].NextOffset-- },
		"out of balance":   func(r *Runtime) { r.books[at].Accepted++ },
	} {
		r := New(Config{Config: topology.Config{ExchangePartitions: 2}}, func(topology.Output) {})
		if err := r.Process(topology.Record{Topic: at.Topic, Partition: at.Partition, Offset: 7, Timestamp: 5, Value: []byte("{")}); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if b := r.books[at]; b == nil || b.NextOffset != 8 {
			t.Fatalf("the book is %+v", b)
		}
		spoil(r)
		if err := r.check(); err == nil {
			t.Errorf("a book that is %s was taken", name)
		}
	}
}
