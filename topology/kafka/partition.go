package kafka

import (
	"fmt"
	"strconv"
	"strings"
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

// metadata is what a worker commits beside an offset: who owned the partition,
// so that a successor can end its transaction; where the changelog ended, so
// that a restore that sees less knows it (K10); the state of a decode task; the
// offset once more, so that one which somebody else moved is known (K31); and the ids of
// the topics, so that one which was made anew is known (K42).
type metadata struct {
	owner     string // transactional id; empty where the offset was seeded and nobody has owned it yet
	changelog int64  // end offset of the task's changelog partition; 0 for a source partition
	task      string
	at        int64       // the offset that it was committed with; -1: an earlier version did not say
	outputs   outputsMark // where the task publishes; of an exchange partition, else zero
	made      string      // the topics that the offset belongs to, as topicIDs.made has them
}

const (
	metadataForm = "1"
	// atMark begins the offset. It and whatever follows it are words that a version
	// which does not know them passes over, so instances of both work side by side.
	atMark = " @"
)

func (m metadata) String() string {
	s := metadataForm + " " + m.owner + " " + strconv.FormatInt(m.changelog, 10) + " " + m.task
	if m.at >= 0 {
		s += atMark + strconv.FormatInt(m.at, 10)
		if m.outputs.hash != "" {
			s += " " + m.outputs.String()
		}
		if m.made != "" {
			s += " " + m.made
		}
	}
	return s
}

// parseMetadata reads what String wrote. What is not of that form was not committed
// by callstitch: errForeign.
func parseMetadata(s string) (m metadata, err error) {
	form, rest, _ := strings.Cut(s, " ")
	if form != metadataForm {
		if _, err := strconv.ParseUint(form, 10, 8); err == nil {
			return m, fmt.Errorf("read offset metadata of form %q: %w", form, ErrNewerState)
		}
		return m, errForeign
	}
	m.at = -1
	if i := strings.LastIndex(rest, atMark); i >= 0 {
		at, words, _ := strings.Cut(rest[i+len(atMark):], " ")
		var made []string
		for word := range strings.FieldsSeq(words) {
			if mark, ok := parseOutputsMark(word); ok {
				m.outputs = mark
			} else if _, _, ok := parseMadeWord(word); ok {
				made = append(made, word)
			}
		}
		m.made = strings.Join(made, " ")
		if m.at, err = strconv.ParseInt(at, 10, 64); err != nil {
			return m, errForeign
		}
		rest = rest[:i]
	}
	var changelog string
	m.owner, rest, _ = strings.Cut(rest, " ")
	changelog, m.task, _ = strings.Cut(rest, " ")
	if m.changelog, err = strconv.ParseInt(changelog, 10, 64); err != nil {
		return m, errForeign
	}
	return m, nil
}

// parseCommitted reads the metadata of an offset that the group holds. Whatever
// callstitch commits says that it did, the first offsets too; so one that says
// nothing, something else, or another offset was committed by somebody else.
func parseCommitted(offset int64, text string) (metadata, error) {
	m, err := parseMetadata(text)
	if err == nil && m.at >= 0 && m.at != offset {
		err = errForeign
	}
	return m, err
}
