package topology

import "callstitch/processor/call"

// Resume takes up what a stitch task knows of the partition, where the metadata that
// the task itself had committed is gone. The answer's arrival is the last record's, so
// the next one must bear it out.
func (t *DecodeTask) Resume(a Answer) {
	t.now = decodeState{position: a.Offset, clock: call.Unheard, dated: a.Arrival, totals: a.Totals}
	t.committed = t.now
}

// Move goes on at another offset than the one that was read up to. Records that are
// passed over are in the book as read, and as nothing else: it does not balance from
// then on, by as many as are missing. Records that come again are counted again.
func (t *DecodeTask) Move(from, to int64) {
	t.now.position = to
	t.now.totals.Read += max(to-from, 0)
	t.committed = t.now
}
