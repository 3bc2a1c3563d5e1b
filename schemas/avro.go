package schemas

import (
	"encoding/binary"
	"encoding/hex"
	"sync"

	"callstitch/processor/call"
)

// AppendAvro appends the value in Avro binary, without framing, under the
// schema of its subject. The only error is a value that has no subject.
func AppendAvro(dst []byte, value call.Output) ([]byte, error) {
	w := avroWriters.Get().(*avroWriter)
	w.buf = dst
	err := describe(w, value)
	dst = w.buf
	w.buf = nil
	avroWriters.Put(w)
	return dst, err
}

// avroWriters spares the allocation that a writer behind an interface costs.
var avroWriters = sync.Pool{New: func() any { return new(avroWriter) }}

// avroWriter appends Avro binary: integers as zigzag varints, strings behind
// their length, a union behind the index of its branch, arrays and maps as one
// block that a zero ends.
type avroWriter struct{ buf []byte }

// The branches of every union are null and then the type.
const (
	nullBranch  = 0
	valueBranch = 2 // the varint of 1
)

func (w *avroWriter) string(v string) {
	v = validText(v)
	w.length(len(v))
	w.buf = append(w.buf, v...)
}

func (w *avroWriter) length(n int) {
	if n < 1<<6 {
		w.buf = append(w.buf, byte(n<<1))
		return
	}
	w.buf = binary.AppendVarint(w.buf, int64(n))
}

func (w *avroWriter) text(_, v string) { w.string(v) }

func (w *avroWriter) optText(_, v string) {
	if v == "" {
		w.buf = append(w.buf, nullBranch)
		return
	}
	w.buf = append(w.buf, valueBranch)
	w.string(v)
}

func (w *avroWriter) hex(_ string, v []byte) { w.hexElement(v) }

func (w *avroWriter) optHex(_ string, v []byte) {
	if len(v) == 0 {
		w.buf = append(w.buf, nullBranch)
		return
	}
	w.buf = append(w.buf, valueBranch)
	w.hexElement(v)
}

func (w *avroWriter) boolean(_ string, v bool) {
	var b byte
	if v {
		b = 1
	}
	w.buf = append(w.buf, b)
}

func (w *avroWriter) integer(_ string, _ integerType, v int64) {
	w.buf = binary.AppendVarint(w.buf, v)
}

func (w *avroWriter) optInteger(_ string, _ integerType, v int64, known bool) {
	if !known {
		w.buf = append(w.buf, nullBranch)
		return
	}
	w.buf = binary.AppendVarint(append(w.buf, valueBranch), v)
}

func (w *avroWriter) array(_ string, n int) {
	if n > 0 {
		w.length(n)
	}
}

func (w *avroWriter) element(v string) { w.string(v) }

func (w *avroWriter) hexElement(v []byte) {
	w.length(hex.EncodedLen(len(v)))
	w.buf = hex.AppendEncode(w.buf, v)
}

func (w *avroWriter) pairElement(kind, v string) {
	v = validText(v)
	w.length(len(kind) + len(":") + len(v))
	w.buf = append(w.buf, kind...)
	w.buf = append(w.buf, ':')
	w.buf = append(w.buf, v...)
}

func (w *avroWriter) record()    {}
func (w *avroWriter) endRecord() {}
func (w *avroWriter) endArray()  { w.buf = append(w.buf, 0) }

func (w *avroWriter) dictionary(_ string, v []call.Attribute) {
	w.array("", len(v))
	for i := range v {
		w.string(v[i].Key)
		w.string(v[i].Value)
	}
	w.endArray()
}
