package topologytest

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"callstitch/processor/call"
	"callstitch/topology"
)

// Recording is what the program of November 2026, commit 419d304, had stored when it
// was stopped in the midst of 160 simulated calls of all providers, with everything
// under way: what it had read, its state, and what waited in the exchange. A later
// program takes it up and goes on.
type Recording struct {
	Records  []topology.Record // raw, of two partitions of call.raw, in the order of their timestamps
	Sources  []RecordedSource  // by partition
	Exchange []RecordedTask    // by exchange partition
	Sessions []string          // the canonical records at the end of the story, by that same program; ring_ms by the rule since
	Closed   int               // of Sessions: closed by then, and no record comes of them any more
}

// RecordedSource is what was committed of a source partition.
type RecordedSource struct {
	Offset   int64
	Metadata string // of the decode task
}

// RecordedTask is what there was of a stitch task.
type RecordedTask struct {
	Position  int64        // committed, in its exchange partition
	Waiting   []RecordedKV // behind that position, in its order
	Changelog []RecordedKV // as compaction leaves it
}

// RecordedKV is the key and value of a record.
type RecordedKV struct{ Key, Value []byte }

//go:embed testdata/recording
var recording embed.FS

// LoadRecording reads the recording that is kept with this package.
func LoadRecording() (*Recording, error) {
	r := &Recording{Closed: 6}
	var state struct {
		Raw      []RecordedSource
		Exchange []RecordedTask
	}
	for name, take := range map[string]func([]byte) error{
		"state.json.gz":     func(b []byte) error { return json.Unmarshal(b, &state) },
		"raw.jsonl.gz":      r.takeRecords,
		"sessions.jsonl.gz": r.takeSessions,
	} {
		b, err := unzipped("testdata/recording/" + name)
		if err == nil {
			err = take(b)
		}
		if err != nil {
			return nil, fmt.Errorf("read the recording's %s: %w", name, err)
		}
	}
	r.Sources, r.Exchange = state.Raw, state.Exchange
	return r, nil
}

func unzipped(name string) ([]byte, error) {
	f, err := recording.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// takeRecords reads what kcat -J prints.
func (r *Recording) takeRecords(b []byte) error {
	for line := range bytes.Lines(b) {
		var k struct {
			Topic     string
			Partition int32
			Offset    int64
			TS        int64
			Headers   []string
			Key       *string
			Payload   *string
		}
		if err := json.Unmarshal(line, &k); err != nil {
			return err
		}
		rec := topology.Record{Topic: k.Topic, Partition: k.Partition, Offset: k.Offset, Timestamp: k.TS}
		if k.Key != nil {
			rec.Key = []byte(*k.Key)
		}
		if k.Payload != nil {
			rec.Value = []byte(*k.Payload)
		}
		for h := range slices.Chunk(k.Headers, 2) {
			rec.Headers = append(rec.Headers, call.Header{Key: h[0], Value: []byte(h[1])})
		}
		r.Records = append(r.Records, rec)
	}
	return nil
}

func (r *Recording) takeSessions(b []byte) error {
	for line := range bytes.Lines(b) {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			return err
		}
		r.Sessions = append(r.Sessions, CanonicalFields(fields))
	}
	slices.Sort(r.Sessions)
	return nil
}
