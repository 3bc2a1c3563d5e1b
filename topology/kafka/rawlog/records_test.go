package rawlog

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"runtime"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

// zeros is a stream of zero bytes.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// recordOf is a record whose value is zeros, as a stream.
func recordOf(offset, size int64) io.Reader {
	body := append([]byte{0}, 0)                        // attributes, timestamp
	body = binary.AppendVarint(body, offset)            //
	body = binary.AppendVarint(body, 1)                 // key
	body = binary.AppendVarint(append(body, 'k'), size) // value
	head := binary.AppendVarint(nil, int64(len(body))+size+1)
	return io.MultiReader(bytes.NewReader(append(head, body...)), io.LimitReader(zeros{}, size), bytes.NewReader([]byte{0})) // no headers
}

// batchOf is a batch of compressed records.
func batchOf(t testing.TB, codec kgo.CompressionCodecType, count int32, records ...io.Reader) *Batch {
	t.Helper()
	packed := new(bytes.Buffer)
	var to io.WriteCloser
	switch codec {
	case kgo.CodecGzip:
		to, _ = gzip.NewWriterLevel(packed, gzip.BestSpeed)
	case kgo.CodecZstd:
		to, _ = zstd.NewWriter(packed)
	case kgo.CodecLz4:
		to = lz4.NewWriter(packed)
	case kgo.CodecSnappy:
		to = &snappyFrames{to: packed}
	default:
		to = uncompressed{packed}
	}
	if _, err := io.Copy(struct{ io.Writer }{to}, io.MultiReader(records...)); err != nil {
		t.Fatal(err)
	}
	to.Close()
	b := make([]byte, batchHeader, batchHeader+packed.Len())
	b = append(b, packed.Bytes()...)
	binary.BigEndian.PutUint64(b, 100)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-batchPrefix))
	b[16], b[22] = batchMagic, byte(codec)
	binary.BigEndian.PutUint32(b[23:], uint32(count-1))
	binary.BigEndian.PutUint64(b[27:], 1_000)
	binary.BigEndian.PutUint64(b[35:], 2_000)
	binary.BigEndian.PutUint32(b[57:], uint32(count))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[batchUnsigned:], castagnoli))
	return readHeader(topology.TopicPartition{Topic: "raw"}, b)
}

type uncompressed struct{ io.Writer }

func (uncompressed) Close() error { return nil }

// snappyFrames writes blocks as the Java client does.
type snappyFrames struct {
	to    io.Writer
	begun bool
}

func (w *snappyFrames) Write(b []byte) (int, error) {
	if !w.begun {
		w.begun = true
		w.to.Write(append(bytes.Clone(snappyFrame), 0, 0, 0, 1, 0, 0, 0, 1))
	}
	block := s2.EncodeSnappy(nil, b)
	w.to.Write(binary.BigEndian.AppendUint32(nil, uint32(len(block))))
	_, err := w.to.Write(block)
	return len(b), err
}

func (w *snappyFrames) Close() error { return nil }

var codecs = map[string]kgo.CompressionCodecType{
	"none": kgo.CodecNone, "gzip": kgo.CodecGzip, "snappy": kgo.CodecSnappy, "lz4": kgo.CodecLz4, "zstd": kgo.CodecZstd,
}

// A record that is too large to be held costs no more memory than a small one: of 200
// MiB in between, two small ones and the beginning come out.
func TestUnpackingTakesLittleMemory(t *testing.T) {
	const large = 200 << 20
	for name, codec := range codecs {
		if codec == kgo.CodecNone {
			continue // nothing is unpacked
		}
		t.Run(name, func(t *testing.T) {
			b := batchOf(t, codec, 3, recordOf(0, 5), recordOf(1, large), recordOf(2, 6))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := b.check(); err != nil {
				t.Fatal(err)
			}
			var got []topology.Record
			r, err := b.Open()
			if err != nil {
				t.Fatal(err)
			}
			for {
				rec, err := r.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, rec)
			}
			r.Close()
			runtime.ReadMemStats(&after)
			if len(got) != 3 || len(got[0].Value) != 5 || len(got[2].Value) != 6 || got[0].Refused != nil || got[2].Refused != nil || got[2].Offset != 102 || got[2].Timestamp != 1_000 {
				t.Fatalf("unpacked %d records", len(got))
			}
			if r := got[1].Refused; r == nil || r.Cut.Length != large || len(got[1].Value) != Kept || string(got[1].Key) != "k" {
				t.Errorf("of the large record came %d bytes, %+v", len(got[1].Value), r)
			}
			if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 32 && codec != kgo.CodecSnappy { // whose blocks are garbage one by one
				t.Errorf("%d MiB were allocated", n)
			}
		})
	}
}

// What is no batch of records is told apart from one, whatever compresses it.
func TestBatchesAreVerified(t *testing.T) {
	for name, codec := range codecs {
		for what, c := range map[string]struct {
			count   int32
			records []io.Reader
			want    error
		}{
			"right":               {2, []io.Reader{recordOf(0, 5), recordOf(1, 6)}, nil},
			"a record less":       {3, []io.Reader{recordOf(0, 5), recordOf(1, 6)}, errBadRecord},
			"a record more":       {1, []io.Reader{recordOf(0, 5), recordOf(1, 6)}, errRecordsLeft},
			"an offset twice":     {2, []io.Reader{recordOf(0, 5), recordOf(0, 6)}, errBadRecord},
			"an offset behind it": {2, []io.Reader{recordOf(0, 5), recordOf(2, 6)}, errBadRecord},
			"half a record":       {2, []io.Reader{recordOf(0, 5), io.LimitReader(recordOf(1, 60), 30)}, errBadRecord},
			"no records":          {1, []io.Reader{bytes.NewReader([]byte{0, 0, 0})}, errBadRecord},
			"a length of null":    {1, []io.Reader{bytes.NewReader([]byte{1})}, errBadRecord},
		} {
			if err := batchOf(t, codec, c.count, c.records...).check(); !errors.Is(err, c.want) {
				t.Errorf("%s, %s: %v, want %v", name, what, err, c.want)
			}
		}
	}
}

// A batch that unpacks to more than anybody wants to wait for is rejected whole.
func TestBombsAreBounded(t *testing.T) {
	for name, codec := range codecs {
		if codec == kgo.CodecNone {
			continue
		}
		for size, want := range map[int64]error{unpackedMost - 100: nil, unpackedMost: errUnpacksTooLarge} {
			if err := batchOf(t, codec, 1, recordOf(0, size)).check(); !errors.Is(err, want) {
				t.Errorf("%s of %d bytes: %v, want %v", name, size, err, want)
			}
		}
	}
}

// Whatever a batch holds, reading it ends, and takes no more memory than it may.
func FuzzUnpack(f *testing.F) {
	for _, codec := range codecs {
		f.Add(uint8(codec), int32(2), batchOf(f, codec, 2, recordOf(0, 5), recordOf(1, 6)).records)
	}
	f.Fuzz(func(t *testing.T, codec uint8, count int32, packed []byte) {
		b := batchOf(t, kgo.CodecNone, max(count, 1), bytes.NewReader(packed))
		b.codec = kgo.CompressionCodecType(codec & 7)
		if b.check() != nil {
			return
		}
		r, err := b.Open()
		if err != nil {
			t.Fatal("what was verified cannot be opened: ", err)
		}
		defer r.Close()
		for n := int32(0); ; n++ {
			if _, err := r.Next(); err == io.EOF && n == b.count {
				return
			} else if err != nil || n > b.count {
				t.Fatalf("what was verified cannot be read, %d of %d records: %v", n, b.count, err)
			}
		}
	})
}
