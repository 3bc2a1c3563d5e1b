package schemas

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/avro"
)

// blockMax bounds the elements that a value may declare for one block of an
// array or map: goavro makes room for them before it has read one, so that six
// damaged bytes could ask for gigabytes. Our longest array has about a thousand.
const blockMax = 1 << 16

func init() { goavro.MaxBlockCount = blockMax }

// Reader reads values that were written with one schema, which need not be one
// of ours: an older or newer version of the program may have written them. It
// is safe for concurrent use.
type Reader struct {
	codec *goavro.Codec
	root  *avro.SchemaNode            // the order of fields, which goavro's maps lose
	named map[string]*avro.SchemaNode // definitions by full and by short name
}

// NewReader reads values of the given writer schema.
func NewReader(schema string) (*Reader, error) {
	codec, err := goavro.NewCodec(schema)
	if err != nil {
		return nil, fmt.Errorf("read a writer schema: %w", err)
	}
	parsed, err := avro.Parse(schema)
	if err != nil {
		return nil, fmt.Errorf("read a writer schema: %w", err)
	}
	r := &Reader{codec: codec, root: parsed.Root(), named: map[string]*avro.SchemaNode{}}
	r.collect(r.root)
	return r, nil
}

// Native decodes one value into goavro's native form. All of b must be used.
func (r *Reader) Native(b []byte) (any, error) {
	v, rest, err := r.codec.NativeFromBinary(b)
	if err != nil {
		return nil, fmt.Errorf("decode %d bytes as %s: %w", len(b), r.root.Name, err)
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("decode %d bytes as %s: %d bytes remain; was the value written with another schema?", len(b), r.root.Name, len(rest))
	}
	return v, nil
}

// AppendJSON decodes one value and appends it as JSON in the form of the
// package's AppendJSON: fields in the order of the schema, instants as epoch
// milliseconds, unions as their bare value.
func (r *Reader) AppendJSON(dst, b []byte) ([]byte, error) {
	v, err := r.Native(b)
	if err != nil {
		return dst, err
	}
	w := &jsonWriter{buf: dst}
	r.value(w, r.root, v)
	return w.buf, nil
}

// collect remembers named types, to which a schema may refer by name.
func (r *Reader) collect(n *avro.SchemaNode) {
	if n.Name != "" {
		r.named[fullName(n)] = n
		r.named[n.Name] = n
	}
	for i := range n.Fields {
		r.collect(&n.Fields[i].Type)
	}
	for i := range n.Branches {
		r.collect(&n.Branches[i])
	}
	if n.Items != nil {
		r.collect(n.Items)
	}
	if n.Values != nil {
		r.collect(n.Values)
	}
}

// resolve gives the definition of a type that is only named.
func (r *Reader) resolve(n *avro.SchemaNode) *avro.SchemaNode {
	if definition, ok := r.named[n.Type]; ok {
		return definition
	}
	return n
}

func fullName(n *avro.SchemaNode) string {
	if n.Namespace == "" {
		return n.Name
	}
	return n.Namespace + "." + n.Name
}

func (r *Reader) value(w *jsonWriter, n *avro.SchemaNode, v any) {
	n = r.resolve(n)
	switch n.Type {
	case "record", "error":
		r.fields(w, n, v.(map[string]any))
	case "array":
		w.buf = append(w.buf, '[')
		for _, item := range v.([]any) {
			w.separate()
			r.value(w, n.Items, item)
		}
		w.buf = append(w.buf, ']')
	case "map":
		r.entries(w, n, v.(map[string]any))
	case "union":
		r.branch(w, n, v)
	default:
		w.primitive(v)
	}
}

func (r *Reader) fields(w *jsonWriter, n *avro.SchemaNode, v map[string]any) {
	w.buf = append(w.buf, '{')
	for i := range n.Fields {
		f := &n.Fields[i]
		w.name(f.Name)
		r.value(w, &f.Type, v[f.Name])
	}
	w.buf = append(w.buf, '}')
}

func (r *Reader) entries(w *jsonWriter, n *avro.SchemaNode, v map[string]any) {
	w.buf = append(w.buf, '{')
	for _, key := range slices.Sorted(maps.Keys(v)) {
		w.separate()
		w.string(key)
		w.buf = append(w.buf, ':')
		r.value(w, n.Values, v[key])
	}
	w.buf = append(w.buf, '}')
}

// branch unwraps a union, which goavro gives as a map from the name of the
// branch to its value.
func (r *Reader) branch(w *jsonWriter, n *avro.SchemaNode, v any) {
	wrapped, ok := v.(map[string]any)
	if !ok {
		w.null()
		return
	}
	for name, inner := range wrapped {
		r.value(w, r.branchNamed(n, name), inner)
	}
}

func (r *Reader) branchNamed(n *avro.SchemaNode, name string) *avro.SchemaNode {
	for i := range n.Branches {
		b := r.resolve(&n.Branches[i])
		switch name {
		case b.Type, fullName(b), b.Type + "." + b.LogicalType:
			return b
		}
	}
	return &avro.SchemaNode{}
}

func (w *jsonWriter) primitive(v any) {
	switch v := v.(type) {
	case bool:
		w.buf = strconv.AppendBool(w.buf, v)
	case int32:
		w.buf = strconv.AppendInt(w.buf, int64(v), 10)
	case int64:
		w.buf = strconv.AppendInt(w.buf, v, 10)
	case time.Time:
		w.buf = strconv.AppendInt(w.buf, v.UnixMilli(), 10)
	case time.Duration:
		w.buf = strconv.AppendInt(w.buf, v.Milliseconds(), 10)
	case float32:
		w.float(float64(v), 32)
	case float64:
		w.float(v, 64)
	case string:
		w.string(v)
	case []byte:
		w.string(base64.StdEncoding.EncodeToString(v))
	case *big.Rat:
		w.string(v.RatString())
	default:
		w.null()
	}
}

func (w *jsonWriter) float(v float64, bits int) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		w.null()
		return
	}
	w.buf = strconv.AppendFloat(w.buf, v, 'g', -1, bits)
}
