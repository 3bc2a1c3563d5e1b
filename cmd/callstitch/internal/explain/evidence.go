package explain

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"callstitch/cmd/callstitch/internal/rawfile"
	"callstitch/processor/call"
	"callstitch/processor/decode"
	"callstitch/topology"
	"callstitch/topology/memory"
)

// Evidence is what an explanation is made from.
type Evidence struct {
	cfg   memory.Config
	pile  pile
	where string // what was read, for people
	// through is how far time is known to have come in arrival time;
	// 0 where the end of the records is the end of every call.
	through call.Arrival
	remarks []string
	stored  []storedSession // as the output topic has them
}

// ReadFile reads a file of raw records: kcat's lines, or raw events, a line each.
// "-" is standard input. Its end is the end of every call.
func ReadFile(stdin io.Reader, file string, kcat bool, cfg memory.Config) (Evidence, error) {
	e := Evidence{cfg: cfg}
	in := rawfile.Reader{Kcat: kcat, Topic: cfg.Sources[0].Topic, Process: e.pile.add}
	err := in.ReadAll(stdin, []string{file})
	if file == "-" {
		file = "standard input"
	}
	e.where = fmt.Sprintf("%d raw records of %s", len(e.pile.records), file)
	return e, err
}

// Limits of the raw records that are held in memory: a minute's work.
const (
	pileRecords = 1_000_000
	pileBytes   = 1 << 30 // of values
)

// pile is raw records in the order in which a processor takes them.
type pile struct {
	records []arrived
	bytes   int
}

type arrived struct {
	topology.Record
	at call.Arrival // in each partition it never goes back; 0 before merge
}

// add keeps a copy: a line's memory is used again.
func (p *pile) add(r topology.Record) error {
	p.bytes += len(r.Value)
	if len(p.records) == pileRecords || p.bytes > pileBytes {
		return fmt.Errorf("there are more than %d raw records, or %d MiB of them: lower --window, or give a part of the file",
			pileRecords, pileBytes>>20)
	}
	r.Value = slices.Clone(r.Value)
	p.records = append(p.records, arrived{Record: r})
	return nil
}

// merge puts the records of several partitions in the order of their arrival. One whose
// date the next of its partition does not bear out came with that one.
func (p *pile) merge() {
	next, latest := map[topology.TopicPartition]call.Arrival{}, map[topology.TopicPartition]call.Arrival{}
	for i := len(p.records) - 1; i >= 0; i-- {
		r, from := &p.records[i], p.records[i].from()
		r.at = call.Arrival(r.Timestamp)
		if after, ok := next[from]; ok && after < r.at.Add(-topology.Leeway) {
			r.at = after
		}
		next[from] = call.Arrival(r.Timestamp)
	}
	for i := range p.records {
		r, from := &p.records[i], p.records[i].from()
		r.at = max(latest[from], r.at)
		latest[from] = r.at
	}
	slices.SortStableFunc(p.records, func(a, b arrived) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}

func (r *arrived) from() topology.TopicPartition {
	return topology.TopicPartition{Topic: r.Topic, Partition: r.Partition}
}

func sourceOf(r *topology.Record) call.Source {
	return call.Source{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
}

func newDecoder(s topology.Source) *decode.Decoder {
	return decode.New(decode.Settings{Provider: s.Provider, Tenant: s.Tenant, Scope: s.Scope, LinkByTag: s.LinkByTag})
}

func decodeRecord(d *decode.Decoder, r *topology.Record) decode.Result {
	return d.Decode(decode.Input{Value: r.Value, Headers: r.Headers, Timestamp: max(topology.Original(r), 0), Source: sourceOf(r)})
}
