package topologytest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/topology"
	"callstitch/topology/memory"
)

// Memory plays records through the runtime of package memory, in the order in
// which they are given.
func Memory(t testing.TB, partitions int32, cfg stitch.Config, records []Raw) *Result {
	t.Helper()
	res := &Result{Sessions: Last{}, Books: map[topology.SourcePartition]*call.Audit{}}
	r := memory.New(memory.Config{Config: topology.Config{ExchangePartitions: partitions, Stitch: cfg}, BatchRecords: 50},
		func(o topology.Output) {
			switch v := o.Value.(type) {
			case *call.Session:
				res.Stats.SessionRecords++
				if last := res.Sessions[v.ID]; last != nil && v.Revision != last.Revision+1 || last == nil && v.Revision != 1 {
					t.Errorf("session %s: revision %d does not follow %s", v.ID, v.Revision, told(last))
				}
				res.Sessions.Put(v)
			case *call.Event:
				res.Events = append(res.Events, v)
			case *call.Reject:
				res.Rejects = append(res.Rejects, v)
			case *call.Audit:
				res.Books[topology.SourcePartition{Topic: v.Topic, Partition: v.Partition}] = v
			}
		})
	offsets := map[int32]int64{}
	for _, rec := range records {
		rec.Offset = offsets[rec.Partition]
		offsets[rec.Partition]++
		if err := r.Process(rec.Record); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return res
}

// Check holds the sessions of a result against the calls that were drawn: for
// each call one session, with its legs and no others.
func (c *Corpus) Check(of *Result) error {
	want := map[string]int{}
	for i, call := range c.Calls {
		want[legsKey(call.Legs)] = i
	}
	for id, s := range of.Sessions {
		if s.State == call.Superseded {
			continue
		}
		if s.State != call.Final {
			return fmt.Errorf("session %s is %s at the end", id, s.State)
		}
		legs := make([]call.LegID, 0, len(s.Legs))
		for _, l := range s.Legs {
			legs = append(legs, l.ID)
		}
		slices.SortFunc(legs, func(a, b call.LegID) int { return bytes.Compare(a[:], b[:]) })
		if _, ok := want[legsKey(legs)]; !ok {
			return fmt.Errorf("session %s has the legs %v, which are no call", id, legs)
		}
		delete(want, legsKey(legs))
	}
	for _, i := range want {
		return fmt.Errorf("no session has the legs %v", c.Calls[i].Legs)
	}
	return nil
}

func legsKey(legs []call.LegID) string {
	var b []byte
	for _, l := range legs {
		b = append(b, l[:]...)
	}
	return string(b)
}
