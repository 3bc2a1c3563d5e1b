package topologytest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/topology"
	"callstitch/topology/memory"
)

// Memory plays records through the runtime of package memory, in the order in
// which they are given. It errs as Play does.
func Memory(partitions int32, cfg stitch.Config, records []Raw) (*Result, error) {
	res := newResult()
	var broken error
	r := memory.New(memory.Config{Config: topology.Config{ExchangePartitions: partitions, Stitch: cfg}, BatchRecords: 50},
		func(o topology.Output) { broken = errors.Join(broken, res.take(o)) })
	offsets := map[int32]int64{}
	for _, rec := range records {
		rec.Offset = offsets[rec.Partition]
		offsets[rec.Partition]++
		if err := r.Process(rec.Record); err != nil {
			return nil, err
		}
	}
	return res, errors.Join(broken, r.Close())
}

// Check holds the sessions of a result against the calls that were drawn: for
// each call one session, with its legs and no others.
func (c *Corpus) Check(of *Result) error {
	want := map[string]int{}
	for i, call := range c.Calls {
		want[legsKey(call.Legs)] = i
	}
	for id, s := range of.Sessions {
		if s.State == call.StateSuperseded {
			continue
		}
		if s.State != call.StateFinal {
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
	return of.chains()
}

// chains follows every SUPERSEDED session to its survivor. Some session on the
// way must have listed it.
func (res *Result) chains() error {
	for id, s := range res.Sessions {
		listed := s.State != call.StateSuperseded
		for steps := 0; s.State == call.StateSuperseded; steps++ {
			next := res.Sessions[*s.SupersededBy]
			if next == nil || steps > len(res.Sessions) {
				return fmt.Errorf("session %s is superseded by %s, and no survivor follows", id, *s.SupersededBy)
			}
			s = next
			listed = listed || res.merged[merge{id, s.ID}]
		}
		if !listed {
			return fmt.Errorf("session %s was absorbed, and no survivor lists it", id)
		}
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

// Account holds the books of a result, and what was published, against a count
// of the raw records by partition, and of what they tell by kind.
func Account(records []Raw, of *Result) error {
	type count [kinds]int64
	by, read := map[topology.TopicPartition]*count{}, map[topology.TopicPartition]int64{}
	var all, distinct count
	seen := map[string]bool{}
	for _, r := range records {
		at := topology.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		if by[at] == nil {
			by[at] = new(count)
		}
		told := int64(1 + r.More)
		read[at]++
		by[at][r.Kind] += told
		all[r.Kind] += told
		if !seen[string(r.Value)] {
			seen[string(r.Value)] = true
			distinct[r.Kind] += told
		}
	}
	var sum call.Audit
	for at, n := range by {
		b := of.Books[at]
		if b == nil {
			return fmt.Errorf("there is no book of %s", at)
		}
		events := -n[Rejected] - n[Ignored]
		for _, k := range n {
			events += k
		}
		if b.Read != read[at] || b.Rejected != n[Rejected] || b.Ignored != n[Ignored] || b.Events != events {
			return fmt.Errorf("the book of %s is %+v, where the partition holds %d records, by kind %v", at, *b, read[at], *n)
		}
		sum.Accepted += b.Accepted
		sum.Duplicate += b.Duplicate
		sum.Conflicting += b.Conflicting
		sum.Late += b.Late
	}
	accepted := distinct[NewEvent] + distinct[Conflicted]
	if sum.Accepted != accepted || sum.Conflicting != all[Conflict] || sum.Late != all[LateEvent] {
		return fmt.Errorf("accepted %d, conflicting %d, late %d; want %d, %d, %d",
			sum.Accepted, sum.Conflicting, sum.Late, accepted, all[Conflict], all[LateEvent])
	}
	return of.hold(sum, all)
}

// hold reports whether the topics hold what the books say.
func (of *Result) hold(sum call.Audit, all [kinds]int64) error {
	if n := int64(len(of.Events)); n != sum.Accepted+sum.Late {
		return fmt.Errorf("%d events were published of %d accepted and %d late", n, sum.Accepted, sum.Late)
	}
	if n := int64(len(of.Rejects)); n != all[Rejected]+sum.Conflicting {
		return fmt.Errorf("%d rejects of %d rejected and %d conflicting", n, all[Rejected], sum.Conflicting)
	}
	accepted := map[call.EventID]bool{}
	for _, e := range of.Events {
		if e.Remarks.Has(call.FlagLateAfterRetention) {
			continue
		}
		if accepted[e.ID] {
			return fmt.Errorf("event %s was accepted twice", e.ID)
		}
		accepted[e.ID] = true
	}
	return nil
}
