package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// A segment is a file. It begins with 16 bytes, form and mark, and then has frames:
//
//	mark    8 bytes   the segment's own, drawn at random
//	length  4 bytes   of what follows the checksum; little endian, as all numbers here
//	crc     4 bytes   CRC-32C of length and what follows
//	kind    1 byte    record or end
//
// and then, in a record,
//
//	time    8 bytes   milliseconds since 1970
//	headers           their number, and of each key and value with its length; varints
//	body              the rest
//
// or in an end, which a segment that was closed in order has, the number of its records
// in 8 bytes. After a crash a segment has no end, and perhaps part of a frame.
//
// Damage in the middle is passed over: the next frame begins with the mark. Nobody else
// knows it, so that no body can pretend to hold a frame.
const (
	form       = "cspool1\n"
	formPrefix = "cspool" // of forms that a newer program may have

	markBytes  = 8
	headBytes  = len(form) + markBytes
	frameBytes = markBytes + 4 + 4
	endBytes   = frameBytes + 1 + 8

	kindRecord = 'r'
	kindEnd    = 'e'
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errForm = errors.New("this is no record")

// appendRecord appends a record's frame.
func appendRecord(b, mark []byte, r Record) []byte {
	b, at := beginFrame(b, mark, kindRecord)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Time.UnixMilli()))
	b = binary.AppendUvarint(b, uint64(len(r.Headers)))
	for _, h := range r.Headers {
		b = appendText(b, h.Key)
		b = appendText(b, h.Value)
	}
	b = append(b, r.Body...)
	endFrame(b[at:])
	return b
}

// appendEnd appends the frame that ends a segment of so many records.
func appendEnd(b, mark []byte, records int64) []byte {
	b, at := beginFrame(b, mark, kindEnd)
	b = binary.LittleEndian.AppendUint64(b, uint64(records))
	endFrame(b[at:])
	return b
}

func beginFrame(b, mark []byte, kind byte) (_ []byte, at int) {
	at = len(b)
	b = append(b, mark...)
	b = append(b, make([]byte, frameBytes-markBytes)...)
	return append(b, kind), at
}

func endFrame(frame []byte) {
	binary.LittleEndian.PutUint32(frame[markBytes:], uint32(len(frame)-frameBytes))
	binary.LittleEndian.PutUint32(frame[markBytes+4:], checksum(frame))
}

// checksum is of a frame's length and payload.
func checksum(frame []byte) uint32 {
	crc := crc32.Checksum(frame[markBytes:markBytes+4], castagnoli)
	return crc32.Update(crc, castagnoli, frame[frameBytes:])
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// sizeOf is at least the length of a record's frame.
func sizeOf(r Record) int64 {
	n := frameBytes + 1 + 8 + binary.MaxVarintLen64 + len(r.Body)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value) + 2*binary.MaxVarintLen64
	}
	return int64(n)
}

// frameAt is the whole frame with which data begins; nil if it begins with none.
func frameAt(data, mark []byte) []byte {
	if len(data) < frameBytes+1 || !bytes.Equal(data[:markBytes], mark) {
		return nil
	}
	length := int64(binary.LittleEndian.Uint32(data[markBytes:]))
	if length == 0 || length > int64(len(data)-frameBytes) {
		return nil
	}
	frame := data[:frameBytes+int(length)]
	if binary.LittleEndian.Uint32(frame[markBytes+4:]) != checksum(frame) {
		return nil
	}
	return frame
}

// reader reads what a segment holds.
type reader struct {
	data, mark []byte
	at         int // where the next frame is looked for
	end        int // where the last whole frame ends: what follows in the end is torn
	damaged    int // bytes before end that are in no frame
}

// newReader reads a segment; not ok if its head is not whole.
func newReader(data []byte) (r *reader, ok bool) {
	if len(data) < headBytes || string(data[:len(form)]) != form {
		return nil, false
	}
	return &reader{data: data, mark: data[len(form):headBytes], at: headBytes, end: headBytes}, true
}

// next is the next record, which shares its body with the segment's bytes.
func (r *reader) next() (Record, bool) {
	for r.at < len(r.data) {
		frame := frameAt(r.data[r.at:], r.mark)
		if frame == nil {
			r.seek()
			continue
		}
		record, err := parse(frame[frameBytes:])
		ended := frame[frameBytes] == kindEnd
		if err == nil || ended {
			r.damaged += r.at - r.end
			r.at += len(frame)
			r.end = r.at
		} else {
			r.seek() // a kind that is unknown here
		}
		if err == nil {
			return record, true
		}
	}
	return Record{}, false
}

// seek goes to the next place where a frame may begin.
func (r *reader) seek() {
	if i := bytes.Index(r.data[r.at+1:], r.mark); i >= 0 {
		r.at += 1 + i
	} else {
		r.at = len(r.data)
	}
}

// parse reads a frame's payload.
func parse(b []byte) (Record, error) {
	if len(b) < 1+8 || b[0] != kindRecord {
		return Record{}, errForm
	}
	r := Record{Time: time.UnixMilli(int64(binary.LittleEndian.Uint64(b[1:])))}
	b = b[1+8:]
	headers, n := binary.Uvarint(b)
	if n <= 0 || headers > uint64(len(b)) {
		return Record{}, errForm
	}
	b = b[n:]
	for range headers {
		var h Header
		var ok1, ok2 bool
		h.Key, b, ok1 = cutText(b)
		h.Value, b, ok2 = cutText(b)
		if !ok1 || !ok2 {
			return Record{}, errForm
		}
		r.Headers = append(r.Headers, h)
	}
	r.Body = b
	return r, nil
}

func cutText(b []byte) (s string, rest []byte, ok bool) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return "", b, false
	}
	b = b[n:]
	return string(b[:length]), b[length:], true
}

// recordsOf is the number of records that the end of a segment tells; not ok if there is none.
func recordsOf(head, tail []byte) (records int64, ok bool) {
	if len(head) < headBytes || len(tail) < endBytes || string(head[:len(form)]) != form {
		return 0, false
	}
	frame := frameAt(tail[len(tail)-endBytes:], head[len(form):headBytes])
	if len(frame) != endBytes || frame[frameBytes] != kindEnd {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(frame[frameBytes+1:])), true
}
