package kafka

import (
	"testing"

	"callstitch/topology"
)

// TestRollback expects an abort to bring a partition back to what is committed,
// as franz-go's own position is: what the aborted transaction had read is read
// again.
func TestRollback(t *testing.T) {
	const committed = 5
	p := &partition{
		topicPartition: topicPartition{"call.raw", 0}, stable: stable{offset: committed},
		decode: topology.NewDecodeTask(&topology.Config{ExchangePartitions: 1}, topology.Source{Topic: "call.raw"}, 0),
	}
	s, tx := new(session), new(transaction)
	tx.touch(p)
	p.position, p.records = 9, 4
	s.rollback(tx)
	if p.position != committed || p.touched || p.takeRecords() != 0 {
		t.Errorf("after an abort the partition is at %d, in a transaction: %t; want %d, false", p.position, p.touched, committed)
	}
	if !s.more {
		t.Error("timers that were due before an abort are not due again")
	}
}
