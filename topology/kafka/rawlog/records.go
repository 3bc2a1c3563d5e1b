package rawlog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/topology"
)

const (
	// unpackedMost is what a batch may unpack to at most, streamed: it bounds the time
	// that one batch takes.
	unpackedMost = 256 << 20
	// windowMost is the memory that unpacking may take at most. No decoder of zstd takes
	// a larger window unless it is told to.
	windowMost = 128 << 20
	// Whole is the largest record that is held whole, and what a client may unpack a batch
	// to: no record that it reads is larger, so what becomes of one does not depend on who
	// read it. A larger one fits no topic of rejects, so that its beginning is enough.
	Whole = 16 << 20
	// Kept is what is kept at most of the value of a record that is not held whole.
	Kept = 64 << 10
	// keptHeaders bounds the headers, and the key, of a record that is not held whole.
	keptHeaders = 64 << 10
)

var (
	errUnpacksTooLarge = fmt.Errorf("it unpacks to more than %d bytes", unpackedMost)
	errBadRecord       = errors.New("a record in it has no valid form")
	errRecordsLeft     = errors.New("it holds more than its records")
)

// Records streams the records of a batch, in memory that does not depend on what it
// unpacks to.
type Records struct {
	batch *Batch
	in    *bufio.Reader
	done  func()
	left  int32 // records to come
	next  int64 // the least offset of the next record
}

// At is the least offset that the next record can have.
func (r *Records) At() int64 { return r.next }

// Close frees what unpacking took.
func (r *Records) Close() { r.done() }

// Next is the next record, io.EOF behind the last. One that is too large to be held comes
// cut, and refused.
func (r *Records) Next() (topology.Record, error) { return r.record(true) }

// Open begins at a batch's first record.
func (b *Batch) Open() (*Records, error) {
	in, done, err := unpacking(b.records, b.codec)
	if err != nil {
		return nil, err
	}
	bounded := &boundedReader{in: in, left: unpackedMost}
	return &Records{batch: b, in: bufio.NewReaderSize(bounded, 64<<10), done: done, left: b.count, next: b.Base}, nil
}

// verify reads a batch to its end, and notes as damage why it cannot be read, to the end
// that it is taken or rejected as a whole, wherever a transaction ends in it.
func (b *Batch) verify() {
	if b.Damage != "" || b.Hidden() {
		return
	}
	if err := b.check(); err != nil {
		b.Damage = err.Error()
	}
}

func (b *Batch) check() error {
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		_, err := r.record(false)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// unpacking is a stream of what is compressed.
func unpacking(src []byte, codec kgo.CompressionCodecType) (io.Reader, func(), error) {
	none := func() {}
	switch codec {
	case kgo.CodecNone:
		return bytes.NewReader(src), none, nil
	case kgo.CodecGzip:
		r, err := gzip.NewReader(bytes.NewReader(src))
		return r, none, err
	case kgo.CodecSnappy:
		return &snappyReader{src: src}, none, nil
	case kgo.CodecLz4:
		return lz4.NewReader(bytes.NewReader(src)), none, nil
	case kgo.CodecZstd:
		r, err := zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(windowMost))
		if err != nil {
			return nil, none, err
		}
		return r, r.Close, nil
	}
	return nil, none, fmt.Errorf("its codec %d is unknown", codec)
}

// boundedReader fails where a stream goes on behind its bound.
type boundedReader struct {
	in   io.Reader
	left int
}

func (r *boundedReader) Read(b []byte) (int, error) {
	n, err := r.in.Read(b)
	if r.left -= n; r.left < 0 {
		return 0, errUnpacksTooLarge
	}
	return n, err
}

// snappyReader reads one block of snappy, or blocks as the Java client frames them. A
// block unpacks to at most some twenty times its size, so each is held whole.
type snappyReader struct {
	src    []byte
	framed bool
	begun  bool
	out    []byte
}

// snappyFrame begins what the Java client writes; versions follow it.
var snappyFrame = []byte{130, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const snappyFrameHeader = 16

func (r *snappyReader) Read(b []byte) (int, error) {
	for len(r.out) == 0 {
		if err := r.block(); err != nil {
			return 0, err
		}
	}
	n := copy(b, r.out)
	r.out = r.out[n:]
	return n, nil
}

func (r *snappyReader) block() error {
	if !r.begun {
		r.begun = true
		if r.framed = len(r.src) >= snappyFrameHeader && bytes.HasPrefix(r.src, snappyFrame); r.framed {
			r.src = r.src[snappyFrameHeader:]
		}
	}
	if len(r.src) == 0 {
		return io.EOF
	}
	block := r.src
	if r.framed {
		if len(block) < 4 {
			return io.ErrUnexpectedEOF
		}
		size := int64(binary.BigEndian.Uint32(block))
		if block = block[4:]; size > int64(len(block)) {
			return io.ErrUnexpectedEOF
		}
		block = block[:size]
		r.src = r.src[4:]
	}
	r.src = r.src[len(block):]
	n, err := s2.DecodedLen(block)
	if err != nil {
		return err
	}
	if n > windowMost {
		return errUnpacksTooLarge
	}
	r.out, err = s2.Decode(nil, block)
	return err
}

// record is the next record, io.EOF behind the last. Where it is not wanted, only its
// form is looked at.
func (r *Records) record(wanted bool) (topology.Record, error) {
	if r.left <= 0 {
		if _, err := r.in.ReadByte(); err == nil {
			return topology.Record{}, errRecordsLeft
		} else if err != io.EOF {
			return topology.Record{}, err
		}
		return topology.Record{}, io.EOF
	}
	size, err := binary.ReadVarint(r.in)
	if err != nil {
		return topology.Record{}, broken(err)
	}
	p := &recordParser{in: r.in, left: size}
	rec := topology.Record{Topic: r.batch.Topic, Partition: r.batch.Partition}
	p.byte() // attributes, of which there are none
	rec.Timestamp = r.batch.first + p.varint()
	if r.batch.appendTime {
		rec.Timestamp = r.batch.max
	}
	rec.Offset = r.batch.Base + p.varint()
	switch {
	case !wanted:
		p.form()
	case size > Whole:
		p.cut(&rec, size)
	default:
		p.whole(&rec)
	}
	switch {
	case p.err != nil:
		return topology.Record{}, broken(p.err)
	case p.left != 0, rec.Offset < r.next, rec.Offset >= r.batch.Next:
		return topology.Record{}, errBadRecord
	}
	r.left--
	r.next = rec.Offset + 1
	return rec, nil
}

// broken is the error of a stream that ends within a record, or of another kind.
func broken(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errBadRecord
	}
	return err
}

// recordParser reads the fields of one record; its first error is kept.
type recordParser struct {
	in   *bufio.Reader
	left int64 // bytes of the record
	err  error
	cuts int // fields that were larger than wanted
}

func (p *recordParser) ReadByte() (byte, error) {
	if p.err != nil || p.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	b, err := p.in.ReadByte()
	p.left--
	return b, err
}

func (p *recordParser) byte() {
	if _, err := p.ReadByte(); err != nil {
		p.fail(err)
	}
}

func (p *recordParser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *recordParser) varint() int64 {
	n, err := binary.ReadVarint(p)
	if err != nil {
		p.fail(err)
		return 0
	}
	return n
}

// length is that of a field, -1 for null.
func (p *recordParser) length() int64 {
	n := p.varint()
	if n < -1 || n > p.left {
		p.fail(errBadRecord)
		return -1
	}
	return n
}

// field is a field held whole, nil for null.
func (p *recordParser) field() []byte {
	n := p.length()
	if n < 0 {
		return nil
	}
	b := make([]byte, n)
	p.read(b)
	return b
}

// atMost is a field of at most so many bytes; a larger one is cut away, and counted.
func (p *recordParser) atMost(most int) []byte {
	n := p.length()
	if n > int64(most) {
		p.skip(n, nil)
		p.cuts++
		return nil
	}
	if n < 0 {
		return nil
	}
	b := make([]byte, n)
	p.read(b)
	return b
}

func (p *recordParser) read(b []byte) {
	if p.err != nil {
		return
	}
	if _, err := io.ReadFull(p.in, b); err != nil {
		p.fail(err)
	}
	p.left -= int64(len(b))
}

// skip goes over bytes, which sum sees.
func (p *recordParser) skip(n int64, sum hash.Hash) {
	for n > 0 && p.err == nil {
		size := int(min(n, int64(p.in.Size())))
		if sum != nil {
			b, err := p.in.Peek(size)
			if err != nil {
				p.fail(err)
				return
			}
			sum.Write(b)
		}
		done, err := p.in.Discard(size)
		if err != nil {
			p.fail(err)
		}
		n -= int64(done)
		p.left -= int64(done)
	}
}

// form goes over the fields.
func (p *recordParser) form() {
	p.skip(p.length(), nil)
	p.skip(p.length(), nil)
	for n := p.varint(); n > 0 && p.err == nil; n-- {
		p.skip(p.length(), nil)
		p.skip(p.length(), nil)
	}
}

func (p *recordParser) whole(rec *topology.Record) {
	rec.Key, rec.Value = p.field(), p.field()
	for n := p.varint(); n > 0 && p.err == nil; n-- {
		rec.Headers = append(rec.Headers, call.Header{Key: string(p.field()), Value: p.field()})
	}
}

// cut reads a record that is too large to be held, and keeps its beginnings.
func (p *recordParser) cut(rec *topology.Record, size int64) {
	cut := new(call.Cut)
	if rec.Key = p.atMost(keptHeaders); p.cuts > 0 {
		cut.Dropped = append(cut.Dropped, "key")
		p.cuts = 0
	}
	if n := p.length(); n >= 0 {
		sum := sha256.New()
		rec.Value = make([]byte, min(n, Kept))
		p.read(rec.Value)
		sum.Write(rec.Value)
		p.skip(n-int64(len(rec.Value)), sum)
		cut.Length = n
		sum.Sum(cut.SHA256[:0])
	}
	kept := 0
	for n := p.varint(); n > 0 && p.err == nil; n-- {
		name, value := p.atMost(keptHeaders-kept), p.atMost(keptHeaders-kept)
		if kept += len(name) + len(value) + 1; kept <= keptHeaders {
			rec.Headers = append(rec.Headers, call.Header{Key: string(name), Value: value})
		}
	}
	if kept > keptHeaders || p.cuts > 0 {
		rec.Headers = nil
		cut.Dropped = append(cut.Dropped, "headers")
	}
	rec.Refused = &topology.Refusal{
		Reason: call.RejectTooLarge, Cut: cut,
		Detail: fmt.Sprintf("a record of %d bytes, too large to be held", size),
	}
}
