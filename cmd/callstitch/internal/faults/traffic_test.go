package faults

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

const (
	rawPartitions = 4

	// age of the traffic: calls that are never heard to end are given up after
	// answered_timeout (4h), and late records are still taken within retention (24h).
	age = 6 * time.Hour

	// sending is how long a part of the traffic is on its way, so that what happens
	// meanwhile happens in the middle of work. All at once, it would be done before.
	sending = time.Second
)

// traffic is simulated calls, as records of a raw topic, and the truth about them.
// It is sent by the simulator's package instead of `callstitch simulate`, which
// sends traffic of the past as fast as it goes.
type traffic struct {
	program *program
	topic   string
	records []simulator.Record
	truth   []simulator.Truth
	counts  simulator.Counts
	part    int // how many records are sent at a time
	sent    int
}

func newTraffic(t *testing.T, p *program, f fault) *traffic {
	t.Helper()
	sim := simulator.New(simulator.Config{
		Seed: *seed, Calls: *calls, Rate: 20, Tenants: f.tenants, Start: time.Now().Add(-age).Truncate(time.Second),
		Duplicates: 0.1, Disorder: 0.2, Garbage: 0.03, Transfers: 0.2,
	})
	tr := &traffic{program: p, topic: "raw." + filepath.Base(t.Name())}
	for r, ok := sim.Next(); ok; r, ok = sim.Next() {
		tr.records = append(tr.records, r)
	}
	tr.truth, tr.counts = sim.Truth(), sim.Counts()
	tr.part = (len(tr.records) + f.parts - 1) / f.parts
	if err := p.cluster.CreateTopic(t.Context(), tr.topic, rawPartitions); err != nil {
		t.Fatal(err)
	}
	return tr
}

// send sends the next part, evenly over the time of sending.
func (tr *traffic) send(ctx context.Context) error {
	producer, err := kafka.NewProducer(ctx, tr.program.cluster.Brokers(), nil)
	if err != nil {
		return err
	}
	part := tr.records[tr.sent:min(tr.sent+tr.part, len(tr.records))]
	begun := time.Now()
	for i, r := range part {
		time.Sleep(time.Until(begun.Add(sending * time.Duration(i) / time.Duration(len(part)))))
		// The first failure is told by Close.
		_ = producer.Produce(ctx, tr.record(r))
	}
	tr.sent += len(part)
	return producer.Close()
}

func (tr *traffic) record(r simulator.Record) topology.Record {
	record := topology.Record{Topic: tr.topic, Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		record.Headers = append(record.Headers, call.Header{Key: h.Key, Value: h.Value})
	}
	return record
}

// dump writes the raw records as the topic has them to a file, as kcat prints them.
func (tr *traffic) dump(t *testing.T) (file string) {
	t.Helper()
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		t.Fatal("kcat is not installed; type: sudo apt-get update && sudo apt-get install -y kcat")
	}
	file = filepath.Join(t.TempDir(), "raw.ndjson")
	text := output(t, exec.CommandContext(t.Context(), kcat, "-C", "-e", "-q", "-J", "-b", tr.program.cluster.Brokers()[0], "-t", tr.topic))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
