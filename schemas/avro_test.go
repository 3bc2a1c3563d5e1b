package schemas

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"
	"github.com/twmb/avro"
	"pgregory.net/rapid"

	"callstitch/processor/call"
)

// batch is how many records each of rapid's checks draws: thousands in all.
const batch = 10

// The append encoder and goavro agree on every byte. goavro orders a map at
// random, so here records have at most one attribute.
func TestAppendAvroEqualsGoavro(t *testing.T) {
	eachSubject(t, func(t *testing.T, s Subject) {
		codec, err := goavro.NewCodec(s.Schema())
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			for range batch {
				if err := compare(codec, random(t, s, 1)); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
}

// Another library reads what we write and writes the same bytes.
func TestAppendAvroReadByOthers(t *testing.T) {
	eachSubject(t, func(t *testing.T, s Subject) {
		schema := avro.MustParse(s.Schema())
		rapid.Check(t, func(t *rapid.T) {
			written, err := AppendAvro(nil, random(t, s, 1))
			if err != nil {
				t.Fatal(err)
			}
			var value any
			rest, err := schema.Decode(written, &value)
			if err != nil || len(rest) != 0 {
				t.Fatalf("decode: %v, %d bytes remain", err, len(rest))
			}
			again, err := schema.Encode(value)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again, written) {
				t.Fatalf("encoded again:\n%x\nwant\n%x", again, written)
			}
		})
	})
}

// What goavro reads back says the same as the value itself.
func TestReaderGivesAppendJSON(t *testing.T) {
	eachSubject(t, func(t *testing.T, s Subject) {
		reader := mustReader(t, s.Schema())
		rapid.Check(t, func(t *rapid.T) {
			value := random(t, s, 5)
			written, err := AppendAvro(nil, value)
			if err != nil {
				t.Fatal(err)
			}
			got, err := reader.AppendJSON(nil, written)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(AppendJSON(nil, value)), string(got)); diff != "" {
				t.Fatalf("-value +read back\n%s", diff)
			}
		})
	})
}

func TestAppendAvroAppends(t *testing.T) {
	alone, err := AppendAvro(nil, sampleLeg())
	if err != nil {
		t.Fatal(err)
	}
	behind, err := AppendAvro([]byte("head"), sampleLeg())
	if err != nil {
		t.Fatal(err)
	}
	if want := append([]byte("head"), alone...); !bytes.Equal(behind, want) {
		t.Fatalf("got %x, want %x", behind, want)
	}
}

func TestAppendAvroExtremes(t *testing.T) {
	codec, err := goavro.NewCodec(Audit.Schema())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{math.MinInt64, -1 << 53, -65, -64, -1, 0, 1, 63, 64, 1 << 53, math.MaxInt64} {
		a := &call.Audit{Partition: int32(n >> 32), NextOffset: n, Read: n, Late: n}
		if err := compare(codec, a); err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
}

// A number of channels that no int holds is no number of channels.
func TestIntOutOfRangeIsNull(t *testing.T) {
	s := &call.Session{Recordings: []call.Recording{{Channels: call.Some(1 << 40)}}}
	if got := string(AppendJSON(nil, s)); !bytes.Contains([]byte(got), []byte(`"channels":null`)) {
		t.Fatal(got)
	}
}

func TestAppendAvroRefusesOthers(t *testing.T) {
	for _, value := range []call.Output{nil, &call.Reject{}} {
		if got, err := AppendAvro([]byte("head"), value); err == nil || string(got) != "head" {
			t.Errorf("%T: got %q, %v", value, got, err)
		}
		if _, ok := Of(value); ok {
			t.Errorf("%T has a subject", value)
		}
	}
}

func TestAppendAvroAllocatesNothing(t *testing.T) {
	eachSubject(t, func(t *testing.T, s Subject) {
		value, buf := withoutFlags(s), make([]byte, 0, 4096)
		allocs := testing.AllocsPerRun(100, func() { buf, _ = AppendAvro(buf[:0], value) })
		if allocs > 0 {
			t.Fatalf("%v allocations", allocs)
		}
	})
}

// withoutFlags is the sample with no remark, as most records are.
func withoutFlags(s Subject) call.Output {
	value := s.sample()
	switch v := value.(type) {
	case *call.EventRecord:
		v.Flags = 0
	case *call.Session:
		v.Flags = 0
	case *call.Leg:
		v.Flags = 0
	}
	return value
}

func BenchmarkEncode(b *testing.B) {
	for _, s := range Subjects() {
		value := withoutFlags(s)
		b.Run("record="+s.String()+"/encoder=append", func(b *testing.B) {
			buf := make([]byte, 0, 4096)
			for b.Loop() {
				buf, _ = AppendAvro(buf[:0], value)
			}
			b.ReportMetric(float64(len(buf)), "bytes")
		})
		b.Run("record="+s.String()+"/encoder=goavro", func(b *testing.B) {
			codec, err := goavro.NewCodec(s.Schema())
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 0, 4096)
			for b.Loop() {
				fields, _ := native(value)
				buf, _ = codec.BinaryFromNative(buf[:0], fields)
			}
			b.ReportMetric(float64(len(buf)), "bytes")
		})
		b.Run("record="+s.String()+"/encoder=json", func(b *testing.B) {
			buf := make([]byte, 0, 4096)
			for b.Loop() {
				buf = AppendJSON(buf[:0], value)
			}
			b.ReportMetric(float64(len(buf)), "bytes")
		})
	}
}
