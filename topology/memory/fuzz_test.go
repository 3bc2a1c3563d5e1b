package memory_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/memory"
)

// FuzzProcess feeds lines of anything to the whole topology. Whatever they are,
// every one is decoded, ignored, or rejected with its bytes; every session is
// FINAL at the end; the books balance; and every record is valid JSON.
func FuzzProcess(f *testing.F) {
	samples, _ := filepath.Glob("../../processor/decode/testdata/*/*.json")
	if len(samples) == 0 {
		f.Fatal("no samples of the decoders to begin with")
	}
	for i, name := range samples {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		line := bytes.ReplaceAll(raw, []byte("\n"), []byte(" "))
		f.Add(append(append(line, '\n'), line...), int64(i%3)*1_700_000_000_000)
	}
	f.Fuzz(func(t *testing.T, input []byte, timestamp int64) {
		var lines, rejected int
		open := map[call.LegID]bool{}
		r := memory.New(fuzzConfig(), func(o topology.Output) {
			switch v := o.Value.(type) {
			case *call.Session:
				open[v.ID] = v.State == call.StatePartial
			case *call.Reject:
				rejected++
				if v.Reason != call.RejectIDConflict && !bytes.Contains(input, v.Value) {
					t.Errorf("a reject has other bytes than the input: %q", v.Value)
				}
				return
			}
			if line := schemas.AppendJSON(nil, o.Value); !json.Valid(line) {
				t.Errorf("not JSON: %s", line)
			}
		})
		for _, line := range bytes.Split(input, []byte("\n")) {
			rec := topology.Record{Topic: "call.raw", Offset: int64(lines), Timestamp: max(timestamp, 0) % 4_000_000_000_000, Value: line}
			if err := r.Process(rec); err != nil {
				t.Fatal(err)
			}
			lines++
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		book := r.Totals()
		if !book.Balanced() || book.Read != int64(lines) || book.Rejected+book.Conflicting != int64(rejected) {
			t.Errorf("%d lines and %d rejects do not fit the book %+v", lines, rejected, book)
		}
		for id, still := range open { // order: each is looked at for itself
			if still {
				t.Errorf("session %s is not FINAL at the end", id)
			}
		}
	})
}

func fuzzConfig() memory.Config {
	return memory.Config{
		Config: topology.Config{
			ApplicationID: "fuzz", Sources: []topology.Source{{Topic: "call.raw", LinkByTag: true}}, ExchangePartitions: 3,
			Stitch: stitch.Config{
				Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
				Retention: 24 * time.Hour, StubRetention: 72 * time.Hour, Partial: true, Legs: true,
			},
		},
		BatchRecords: 2,
	}
}
