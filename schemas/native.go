package schemas

import (
	"encoding/hex"
	"time"

	"github.com/linkedin/goavro/v2"

	"callstitch/processor/call"
)

// native is the value as goavro encodes it: a map by field name.
func native(value call.Output) (map[string]any, error) {
	w := &nativeWriter{fields: map[string]any{}}
	err := describe(w, value)
	return w.fields, err
}

// nativeWriter builds goavro's native form. Arrays hold records and records in
// arrays hold no arrays, so one array is open at a time.
type nativeWriter struct {
	fields map[string]any // of the record at hand
	outer  map[string]any // of the record around the open array
	name   string         // of the open array
	items  []any
}

// goavroName is goavro's name of the branch in a union.
func (t integerType) goavroName() string {
	return [...]string{"int", "long", "long.timestamp-millis"}[t]
}

func (t integerType) native(v int64) any {
	switch t {
	case intType:
		return int32(v)
	case timeType:
		return time.UnixMilli(v).UTC()
	default:
		return v
	}
}

func (w *nativeWriter) text(name, v string) { w.fields[name] = validText(v) }

func (w *nativeWriter) optText(name, v string) {
	w.fields[name] = nil
	if v != "" {
		w.fields[name] = goavro.Union("string", validText(v))
	}
}

func (w *nativeWriter) hex(name string, v []byte) { w.fields[name] = hex.EncodeToString(v) }

func (w *nativeWriter) optHex(name string, v []byte) { w.optText(name, hex.EncodeToString(v)) }

func (w *nativeWriter) boolean(name string, v bool) { w.fields[name] = v }

func (w *nativeWriter) integer(name string, t integerType, v int64) {
	w.fields[name] = t.native(v)
}

func (w *nativeWriter) optInteger(name string, t integerType, v int64, known bool) {
	w.fields[name] = nil
	if known {
		w.fields[name] = goavro.Union(t.goavroName(), t.native(v))
	}
}

func (w *nativeWriter) array(name string, _ int) {
	w.name = name
	w.items = []any{}
}

func (w *nativeWriter) element(v string)           { w.items = append(w.items, validText(v)) }
func (w *nativeWriter) hexElement(v []byte)        { w.element(hex.EncodeToString(v)) }
func (w *nativeWriter) pairElement(kind, v string) { w.element(kind + ":" + v) }

func (w *nativeWriter) record() {
	w.outer, w.fields = w.fields, map[string]any{}
}

func (w *nativeWriter) endRecord() {
	w.items = append(w.items, w.fields)
	w.fields = w.outer
}

func (w *nativeWriter) endArray() { w.fields[w.name] = w.items }

func (w *nativeWriter) dictionary(name string, v []call.Attribute) {
	m := make(map[string]any, len(v))
	for _, a := range v {
		m[validText(a.Key)] = validText(a.Value)
	}
	w.fields[name] = m
}
