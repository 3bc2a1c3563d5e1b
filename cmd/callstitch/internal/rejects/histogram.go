package rejects

import (
	"cmp"
	"slices"
	"strings"

	"callstitch/processor/call"
)

// rowsMax bounds the rows of a histogram: tenants are whatever headers say, and memory
// must not grow with them. What comes beyond is counted in a row for all other tenants.
const rowsMax = 10_000

// wordMax is how much of a tenant, or of a topic's name, tells it from others: tenants of
// more are no tenants, and topics have no longer names.
const wordMax = 255

func word(text string) string {
	if len(text) <= wordMax {
		return text
	}
	return strings.Clone(text[:wordMax]) + "…" // the whole is not kept for its beginning
}

// Kind is what a histogram counts together.
type Kind struct {
	Reason call.RejectReason
	Topic  string
	Tenant string
	Others bool // all tenants that have no row of their own
}

// Row is what there is of one kind.
type Row struct {
	Kind
	Count, Replayed int64 // how many, and how many of them had been sent in again before
	First, Last     int64 // instants of raw records, epoch ms
	Example         Place // the reject of the last of them
}

// Histogram counts rejects by kind. The zero value is empty.
type Histogram struct {
	rows map[Kind]*Row
}

// Add counts an entry.
func (h *Histogram) Add(e *Entry) {
	kind := Kind{Reason: e.Reject.Reason, Topic: word(e.Reject.Source.Topic), Tenant: word(e.Tenant)}
	if h.rows == nil {
		h.rows = map[Kind]*Row{}
	}
	row := h.rows[kind]
	if row == nil && len(h.rows) >= rowsMax {
		kind.Tenant, kind.Others = "", true
		row = h.rows[kind]
	}
	if row == nil {
		row = &Row{Kind: kind, First: e.Reject.Timestamp, Last: e.Reject.Timestamp, Example: e.Place}
		h.rows[kind] = row
	}
	row.Count++
	if e.Replays > 0 {
		row.Replayed++
	}
	row.First = min(row.First, e.Reject.Timestamp)
	if e.Reject.Timestamp >= row.Last {
		row.Last, row.Example = e.Reject.Timestamp, e.Place
	}
}

// Rows are what was counted, the most first.
func (h *Histogram) Rows() []Row {
	rows := make([]Row, 0, len(h.rows))
	for _, r := range h.rows {
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Tenant, b.Tenant))
	})
	return rows
}
