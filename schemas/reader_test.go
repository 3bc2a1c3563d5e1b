package schemas

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"
)

func mustReader(t testing.TB, schema string) *Reader {
	t.Helper()
	r, err := NewReader(schema)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Schemas of others hold types that ours never use.
func TestReaderForeignSchema(t *testing.T) {
	const schema = `{"type":"record","name":"Foreign","namespace":"x","fields":[
		{"name":"z_first","type":{"type":"enum","name":"Color","symbols":["RED","BLUE"]}},
		{"name":"again","type":"Color"},
		{"name":"raw","type":"bytes"},
		{"name":"ratio","type":"double"},
		{"name":"nan","type":"float"},
		{"name":"either","type":["null","string",{"type":"record","name":"Inner","fields":[{"name":"b","type":"int"},{"name":"a","type":"Color"}]}]},
		{"name":"id","type":{"type":"fixed","name":"Two","size":2}},
		{"name":"micros","type":["null",{"type":"long","logicalType":"timestamp-micros"}]},
		{"name":"sums","type":{"type":"map","values":{"type":"array","items":"long"}}}]}`
	codec, err := goavro.NewCodec(schema)
	if err != nil {
		t.Fatal(err)
	}
	written, err := codec.BinaryFromNative(nil, map[string]any{
		"z_first": "BLUE", "again": "RED", "raw": []byte{0, 255}, "ratio": 0.5, "nan": math.NaN(),
		"either": goavro.Union("x.Inner", map[string]any{"a": "RED", "b": 7}), "id": []byte("hi"),
		"micros": goavro.Union("long.timestamp-micros", 1_767_225_600_000_000), "sums": map[string]any{"b": []any{1}, "a": []any{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := mustReader(t, schema).AppendJSON([]byte("> "), written)
	if err != nil {
		t.Fatal(err)
	}
	const want = `> {"z_first":"BLUE","again":"RED","raw":"AP8=","ratio":0.5,"nan":null,"either":{"b":7,"a":"RED"},` +
		`"id":"aGk=","micros":1767225600000,"sums":{"a":[],"b":[1]}}`
	if string(got) != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReaderRecursiveSchema(t *testing.T) {
	const schema = `{"type":"record","name":"Step","namespace":"x","fields":[
		{"name":"next","type":["null","Step"],"default":null},{"name":"at","type":"int"}]}`
	got, err := mustReader(t, schema).AppendJSON(nil, []byte{2, 2, 0, 6, 4, 2})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"next":{"next":{"next":null,"at":3},"at":2},"at":1}`; string(got) != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestReaderRefuses(t *testing.T) {
	written, err := AppendAvro(nil, sampleAudit())
	if err != nil {
		t.Fatal(err)
	}
	r := mustReader(t, Audit.Schema())
	for n := range written {
		if _, err := r.AppendJSON(nil, written[:n]); err == nil {
			t.Fatalf("took %d of %d bytes", n, len(written))
		}
	}
	if _, err := r.Native(append(written, 0)); err == nil || !strings.Contains(err.Error(), "1 bytes remain") {
		t.Fatalf("got %v", err)
	}
	if _, err := NewReader(`{"type":"record"}`); err == nil {
		t.Fatal("took a schema without a name")
	}
}

// A few damaged bytes must not take the memory of the machine.
func TestReaderRefusesHugeBlocks(t *testing.T) {
	r := mustReader(t, `{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":"string"}}]}`)
	_, err := r.Native(binary.AppendVarint(nil, blockMax+1))
	wantError(t, err, "exceeds MaxBlockCount")
}

func FuzzReader(f *testing.F) {
	var readers []*Reader
	for _, s := range Subjects() {
		readers = append(readers, mustReader(f, s.Schema()))
		written, err := AppendAvro(nil, s.sample())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(written)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, r := range readers {
			_, _ = r.AppendJSON(nil, b)
		}
	})
}
