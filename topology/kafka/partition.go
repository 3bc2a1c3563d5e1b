package kafka

import (
	"time"

	"callstitch/topology"
)

// partition is a partition that this session was assigned, with its task.
type partition struct {
	topology.TopicPartition
	generation int32 // of the group, when it was assigned
	source     bool  // of a raw topic, else of the exchange
	epoch      int32
	stable     stable  // what the group has committed
	confirmed  bool    // franz-go has taken it in too: from now on its absence means that it is lost
	active     bool    // its task is the worker's, and records may be processed
	fetched    bool    // the client fetches it
	held       bool    // it waits until its events can be handed over
	readAhead  bool    // some of it is for the next transaction
	exchange   []int64 // high watermarks of the exchange after stable was read, of a source

	task          topology.Task // nil until it is restored
	restore       *restore      // under way
	changelogNext int64         // end of the task's changelog partition, as far as it matters

	end    int64 // high watermark, as last observed
	newest int64 // timestamp of the newest record processed, epoch ms, of one that was sent in again when it was read; -1 before the first

	lead lead // over the brokers' clock, of a source partition

	records int64 // of the open transaction

	unheard time.Time // since when brokers do not say where it ends; else zero

	hand  *byHand // set while the client cannot read it
	still still   // since when it does not move

	// What metrics have counted already.
	duplicates int64
	ignored    map[string]int64
}

// dropped reports whether a source partition was dropped from the clock.
func (p *partition) dropped() bool { return p.task != nil && p.task.Report().Dropped != 0 }

// takeRecords is the number of records of the transaction, once.
func (p *partition) takeRecords() int64 {
	n := p.records
	p.records = 0
	return n
}

// lost reports whether a partition that franz-go does not hold is gone, or only not
// taken in yet: what was assigned in one generation is taken in before the next.
func (p *partition) lost(generation int32) bool {
	return p.confirmed || p.generation != generation
}
