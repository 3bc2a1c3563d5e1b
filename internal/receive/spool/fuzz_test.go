package spool

import (
	"bytes"
	"testing"
	"time"
)

// segmentOf is a segment that was closed in order.
func segmentOf(mark string, records ...Record) []byte {
	b := append([]byte(form), mark...)
	for _, r := range records {
		b = appendRecord(b, []byte(mark), r)
	}
	return appendEnd(b, []byte(mark), int64(len(records)))
}

// FuzzReader: whatever is on disk, reading it ends, and what is read was written: its
// frame is in the file, whole. What is cut after that changes nothing.
func FuzzReader(f *testing.F) {
	mark := "\x01marked\xff"
	whole := segmentOf(mark, record("{}"), record(""), Record{Time: time.UnixMilli(5), Body: []byte(mark)}, record("the last"))
	f.Add(whole)
	f.Add(whole[:len(whole)-endBytes-3])
	f.Add(whole[:headBytes])
	f.Add(append(bytes.Clone(whole), make([]byte, 40)...))
	f.Add(append(bytes.Clone(whole[:headBytes+30]), whole[headBytes:]...))
	f.Add(append(bytes.Clone(whole), mark+"\xff\xff\xff\xff0000r"...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, ok := newReader(data)
		if !ok {
			return
		}
		total := 0
		for record, ok := r.next(); ok; record, ok = r.next() {
			total++
			frame := appendRecord(nil, r.mark, record)
			if !bytes.Contains(data, frame) && !bytes.Contains(data, record.Body) {
				t.Fatalf("record %d was never written", total)
			}
		}
		if r.end > len(data) || r.damaged < 0 || headBytes+r.damaged > r.end {
			t.Fatalf("of %d bytes it ends at %d, %d are damaged", len(data), r.end, r.damaged)
		}
		cut, ok := newReader(data[:r.end])
		if !ok || len(all(cut)) != total || cut.end != r.end {
			t.Fatalf("cut at %d it has not %d records", r.end, total)
		}
		// A segment that goes on after what is torn is read on.
		more := appendRecord(bytes.Clone(data), r.mark, Record{Body: []byte("more")})
		again, _ := newReader(more)
		if records := all(again); len(records) != total+1 {
			t.Fatalf("with one more it has %d records instead of %d", len(records), total+1)
		}
	})
}

// FuzzFrame: a record is read as it was written.
func FuzzFrame(f *testing.F) {
	f.Add("key", "value", []byte("{}"), int64(1_700_000_000_000))
	f.Fuzz(func(t *testing.T, key, value string, body []byte, ms int64) {
		want := Record{Time: time.UnixMilli(ms), Headers: []Header{{key, value}, {value, key}}, Body: body}
		r, _ := newReader(segmentOf("12345678", want, want))
		for range 2 {
			got, ok := r.next()
			if !ok || !got.Time.Equal(want.Time) || len(got.Headers) != 2 || got.Headers[0] != want.Headers[0] ||
				got.Headers[1] != want.Headers[1] || !bytes.Equal(got.Body, body) {
				t.Fatalf("%+v is read as %+v", want, got)
			}
		}
		if _, ok := r.next(); ok || r.end != len(r.data) || r.damaged != 0 {
			t.Fatal("there is something left")
		}
	})
}
