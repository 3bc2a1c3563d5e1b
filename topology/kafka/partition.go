package kafka

import (
	"fmt"
	"strconv"
	"strings"

	"callstitch/topology"
)

// partition is a partition that this session was assigned, with its task.
type partition struct {
	topology.TopicPartition
	generation int32 // of the group, when it was assigned
	source     bool  // of a raw topic, else of the exchange
	epoch      int32
	stable     stable // what the group has committed
	confirmed  bool   // franz-go has taken it in too: from now on its absence means that it is lost
	active     bool   // its task is the worker's, and records may be processed

	task          topology.Task // nil until it is restored
	restore       *restore      // under way
	changelogNext int64         // end of the task's changelog partition, as far as it matters

	end    int64 // high watermark, as last observed
	newest int64 // timestamp of the newest record processed, epoch ms; -1 before the first

	records int64 // of the open transaction

	hand  *byHand // set while the client cannot read it
	still still   // since when it does not move

	// What metrics have counted already.
	duplicates int64
	ignored    map[string]int64
}

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

// metadata is what is committed beside the partition's offset, with its task's.
func (p *partition) metadata(owner, task string) metadata {
	return metadata{owner: owner, changelog: p.changelogNext, task: task}
}

// metadata is what a worker commits beside an offset: who owned the partition,
// so that a successor can end its transaction; where the changelog ended, so
// that a restore that sees less knows it (K10); and the state of a decode task.
type metadata struct {
	owner     string // transactional id
	changelog int64  // end offset of the task's changelog partition; 0 for a source partition
	task      string
}

const metadataForm = "1"

func (m metadata) String() string {
	return metadataForm + " " + m.owner + " " + strconv.FormatInt(m.changelog, 10) + " " + m.task
}

func parseMetadata(s string) (m metadata, err error) {
	if s == "" {
		return m, nil // seeded, nobody has owned it yet
	}
	form, rest, _ := strings.Cut(s, " ")
	if form != metadataForm {
		return m, fmt.Errorf("read offset metadata of form %q: %w", form, ErrNewerState)
	}
	var changelog string
	m.owner, rest, _ = strings.Cut(rest, " ")
	changelog, m.task, _ = strings.Cut(rest, " ")
	m.changelog, err = strconv.ParseInt(changelog, 10, 64)
	if err != nil {
		return m, fmt.Errorf("%w: read offset metadata %q: the offset was committed by another program; reset the application", errBroken, s)
	}
	return m, nil
}
