package schemas

import (
	"encoding/hex"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"callstitch/processor/call"
)

// AppendJSON appends the value as one JSON object with the field names of its
// schema, in that order: instants as epoch milliseconds, null for null. A value
// that has no subject is an error of the caller and becomes null.
func AppendJSON(dst []byte, value call.Output) []byte {
	if _, ok := Of(value); !ok {
		return append(dst, "null"...)
	}
	w := &jsonWriter{buf: dst}
	w.buf = append(w.buf, '{')
	// Of has just said that the value can be described.
	_ = describe(w, value)
	return append(w.buf, '}')
}

// jsonWriter appends JSON without white space.
type jsonWriter struct{ buf []byte }

// separate puts a comma before all but the first of a sequence.
func (w *jsonWriter) separate() {
	switch w.buf[len(w.buf)-1] {
	case '{', '[':
	default:
		w.buf = append(w.buf, ',')
	}
}

// name begins a field. Field names need no escape.
func (w *jsonWriter) name(name string) {
	w.separate()
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '"', ':')
}

func (w *jsonWriter) null() { w.buf = append(w.buf, "null"...) }

func (w *jsonWriter) string(v string) {
	// The error says that v is not UTF-8, which it is now.
	w.buf, _ = jsontext.AppendQuote(w.buf, validText(v))
}

func (w *jsonWriter) quotedHex(v []byte) {
	w.buf = append(w.buf, '"')
	w.buf = hex.AppendEncode(w.buf, v)
	w.buf = append(w.buf, '"')
}

func (w *jsonWriter) text(name, v string) {
	w.name(name)
	w.string(v)
}

func (w *jsonWriter) optText(name, v string) {
	w.name(name)
	if v == "" {
		w.null()
		return
	}
	w.string(v)
}

func (w *jsonWriter) hex(name string, v []byte) {
	w.name(name)
	w.quotedHex(v)
}

func (w *jsonWriter) optHex(name string, v []byte) {
	w.name(name)
	if len(v) == 0 {
		w.null()
		return
	}
	w.quotedHex(v)
}

func (w *jsonWriter) boolean(name string, v bool) {
	w.name(name)
	w.buf = strconv.AppendBool(w.buf, v)
}

func (w *jsonWriter) integer(name string, _ integerType, v int64) {
	w.name(name)
	w.buf = strconv.AppendInt(w.buf, v, 10)
}

func (w *jsonWriter) optInteger(name string, _ integerType, v int64, known bool) {
	w.name(name)
	if !known {
		w.null()
		return
	}
	w.buf = strconv.AppendInt(w.buf, v, 10)
}

func (w *jsonWriter) array(name string, _ int) {
	w.name(name)
	w.buf = append(w.buf, '[')
}

func (w *jsonWriter) element(v string) {
	w.separate()
	w.string(v)
}

func (w *jsonWriter) hexElement(v []byte) {
	w.separate()
	w.quotedHex(v)
}

func (w *jsonWriter) pairElement(kind, v string) { w.element(kind + ":" + v) }

func (w *jsonWriter) record() {
	w.separate()
	w.buf = append(w.buf, '{')
}

func (w *jsonWriter) endRecord() { w.buf = append(w.buf, '}') }
func (w *jsonWriter) endArray()  { w.buf = append(w.buf, ']') }

func (w *jsonWriter) dictionary(name string, v []call.Attribute) {
	w.name(name)
	w.buf = append(w.buf, '{')
	for i := range v {
		w.separate()
		w.string(v[i].Key)
		w.buf = append(w.buf, ':')
		w.string(v[i].Value)
	}
	w.buf = append(w.buf, '}')
}
