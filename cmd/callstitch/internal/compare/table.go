package compare

import (
	"encoding/binary"
	"math"

	"callstitch/processor/call"
)

// sessionsMax bounds the sessions of one side that are kept at a time: with both sides
// 434 MB by BenchmarkTable, 0.9 GB with what is not collected yet. Of more, a part of the
// ids is kept, and the records are read again for each further part, of most of them the
// keys alone.
const sessionsMax = 3_500_000

// part is a range of ids. They are hashes, so that a part of the range has that part of
// the sessions.
type part struct{ first, last uint64 }

var everything = part{0, math.MaxUint64}

func (p part) has(id call.LegID) bool {
	at := binary.BigEndian.Uint64(id[:8])
	return at >= p.first && at <= p.last
}

// rest is the next part, if there is one: twice as wide as this one, which was as wide as
// its sessions let it.
func (p part) rest() (rest part, some bool) {
	width := p.last - p.first
	rest = part{p.last + 1, math.MaxUint64}
	if width < (math.MaxUint64-p.last)/2 {
		rest.last = p.last + 1 + 2*width
	}
	return rest, p.last < math.MaxUint64
}

// table is the sessions of one side whose ids are in a part.
type table struct {
	part
	max  int
	rows map[call.LegID]row
}

func newTable(of part, most int) *table {
	return &table{part: of, max: most, rows: map[call.LegID]row{}}
}

// put takes in a record, in whatever order the versions of a session come.
func (t *table) put(id call.LegID, r row) {
	if !t.has(id) {
		return
	}
	if old, ok := t.rows[id]; ok && old.version > r.version {
		return
	}
	t.rows[id] = r
	for len(t.rows) > t.max && t.last > t.first {
		t.last = t.first + (t.last-t.first)/4*3
		t.cut()
	}
}

// remove forgets a session: its key was deleted from the topic.
func (t *table) remove(id call.LegID) { delete(t.rows, id) }

// narrow leaves a smaller part.
func (t *table) narrow(last uint64) {
	if last < t.last {
		t.last = last
		t.cut()
	}
}

func (t *table) cut() {
	for id := range t.rows {
		if !t.has(id) {
			delete(t.rows, id)
		}
	}
}
