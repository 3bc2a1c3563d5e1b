package topologytest

import (
	"bytes"
	"slices"

	"callstitch/processor/call"
	"callstitch/schemas"
)

// Canonical is a session's record as JSON, without the fields that tell how the
// record came to be: two runs over the same events agree on the rest, whatever
// the order, the repetitions, the partitions and the faults.
func Canonical(s *call.Session) string {
	c := *s
	c.Revision, c.Generation, c.ChangeReason, c.Amended = 0, 0, 0, false
	c.MergedSessionIDs = nil
	c.DuplicateCount, c.LateEventCount, c.OutOfOrderCount = 0, 0, 0
	c.FirstSource, c.LastSource = nil, nil
	c.EmittedAt = 0
	c.Flags &^= call.LateEvents | call.OutOfOrder
	return string(schemas.AppendJSON(nil, &c))
}

// Last keeps the last record of every session.
type Last map[call.LegID]*call.Session

// Put takes in a record.
func (l Last) Put(s *call.Session) {
	if old := l[s.ID]; old == nil || s.Revision > old.Revision {
		l[s.ID] = s
	}
}

// Canonical lists the canonical records of the sessions that are not
// SUPERSEDED, by id.
func (l Last) Canonical() (records []string) {
	ids := make([]call.LegID, 0, len(l))
	for id, s := range l {
		if s.State != call.Superseded {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b call.LegID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range ids {
		records = append(records, Canonical(l[id]))
	}
	return records
}
