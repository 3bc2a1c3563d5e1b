package topologytest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"callstitch/processor/call"
	"callstitch/schemas"
)

// Canonical is a session's record as JSON, without the fields that tell how the
// record came to be: two runs over the same events agree on the rest, whatever
// the order, the repetitions, the partitions and the faults.
func Canonical(s *call.Session) string {
	var fields map[string]any
	if err := json.Unmarshal(schemas.AppendJSON(nil, s), &fields); err != nil {
		panic(err)
	}
	return CanonicalFields(fields)
}

// CanonicalFields is Canonical for a record that was read as JSON.
func CanonicalFields(record map[string]any) string {
	c := maps.Clone(record)
	maps.DeleteFunc(c, func(name string, _ any) bool { return !schemas.Canonical(name) })
	var flags []any
	for _, f := range c["quality_flags"].([]any) {
		if schemas.CanonicalFlag(f.(string)) {
			flags = append(flags, f)
		}
	}
	c["quality_flags"] = flags
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return string(b)
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
		if s.State != call.StateSuperseded {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b call.LegID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range ids {
		records = append(records, Canonical(l[id]))
	}
	return records
}
