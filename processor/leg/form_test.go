package leg

import (
	"reflect"
	"testing"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// reload passes a leg through its binary form.
func reload(t interface{ Fatalf(string, ...any) }, l *Leg) *Leg {
	w := codec.NewWriter(nil)
	l.Visit(w)
	r := codec.NewReader(w.Buf)
	read := &Leg{ID: l.ID} // a leg's id is its node's, and kept there
	read.Visit(r)
	if r.Err != nil || len(r.Buf) != 0 {
		t.Fatalf("reading back: %v, %d bytes left", r.Err, len(r.Buf))
	}
	if !reflect.DeepEqual(l, read) {
		t.Fatalf("wrote %+v\nread  %+v", l, read)
	}
	return read
}

func TestACorruptLegIsAnError(t *testing.T) {
	var l Leg
	l.Fold(happened(call.Stringee, "c", call.EventCallRinging, 1, called("1", "2")), 5, false)
	w := codec.NewWriter(nil)
	l.Visit(w)
	for n := range w.Buf {
		r := codec.NewReader(w.Buf[:n])
		new(Leg).Visit(r)
		if r.Err == nil && len(r.Buf) == 0 {
			t.Fatalf("the first %d of %d bytes were read as a whole leg", n, len(w.Buf))
		}
	}
}

func FuzzLegCodec(f *testing.F) {
	var l Leg
	l.Fold(happened(call.Stringee, "c", call.EventCallRinging, 1, called("1", "2")), 5, false)
	w := codec.NewWriter(nil)
	l.Visit(w)
	f.Add(w.Buf)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := codec.NewReader(b)
		read := new(Leg)
		read.Visit(r)
		if r.Err != nil || len(r.Buf) != 0 {
			return
		}
		// What can be read need not be what would be written, but is from then on.
		again := codec.NewWriter(nil)
		read.Visit(again)
		reload(t, reload(t, read))
	})
}

// typicalLeg is a dial as Opentact tells of it, with ids as long as real ones.
func typicalLeg() *Leg {
	l := new(Leg)
	for _, e := range answeredDial()[2:6] {
		e.CallID, e.ParentCallID = "1c7091a5-0000-46a2-bf06-000000000001", "c7aa8c03-0000-403d-8287-000000000002"
		e.Account = "58699aff-0000-46b6-b428-000000000000"
		if e.Type == call.EventCallEnded {
			e.ProviderCause = "NORMAL_CLEARING"
		}
		l.Fold(e, call.Arrival(e.IngestedAt), false)
	}
	return l
}

func TestATypicalLegIsSmall(t *testing.T) {
	const most = 300 // bytes; it travels on the exchange with every change
	w := codec.NewWriter(nil)
	typicalLeg().Visit(w)
	if len(w.Buf) > most {
		t.Errorf("%d bytes, at most %d", len(w.Buf), most)
	}
}

func BenchmarkLegCodec(b *testing.B) {
	l := typicalLeg()
	w := codec.NewWriter(nil)
	l.Visit(w)
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 1024)
		for b.Loop() {
			l.Visit(codec.NewWriter(buf))
		}
		b.ReportMetric(float64(len(w.Buf)), "B/leg")
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			new(Leg).Visit(codec.NewReader(w.Buf))
		}
	})
}
