package schemas

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/avro"
)

var update = flag.Bool("update", false, "write testdata anew; never for a version that was released")

// testdata/v1 holds, for each record, the schema of a released version, a value
// as that version wrote it, and what it says as JSON. Topics keep such values
// for as long as their owners like, so that every version must remain readable.
func golden(t *testing.T, s Subject, extension string) string {
	t.Helper()
	name := strings.ToLower(strings.TrimPrefix(s.String(), "Call"))
	return filepath.Join("testdata", "v1", "call_"+name+extension)
}

func TestGoldenIsReadable(t *testing.T) {
	eachSubject(t, func(t *testing.T, s Subject) {
		if *update {
			writeGolden(t, s)
		}
		schema := string(read(t, golden(t, s, ".avsc")))
		got, err := mustReader(t, schema).AppendJSON(nil, read(t, golden(t, s, ".avro")))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(read(t, golden(t, s, ".json"))), string(got)+"\n"); diff != "" {
			t.Fatalf("-golden +read\n%s", diff)
		}
	})
}

// A consumer with today's schema reads yesterday's value.
func TestGoldenResolves(t *testing.T) {
	eachSubject(t, func(t *testing.T, s Subject) {
		old := string(read(t, golden(t, s, ".avsc")))
		resolved, err := avro.Resolve(avro.MustParse(old), avro.MustParse(s.Schema()))
		if err != nil {
			t.Fatal(err)
		}
		var value map[string]any
		rest, err := resolved.Decode(read(t, golden(t, s, ".avro")), &value)
		if err != nil || len(rest) != 0 {
			t.Fatalf("decode: %v, %d bytes remain", err, len(rest))
		}
		for _, p := range CheckEvolution(old, s.Schema()) {
			t.Error(p)
		}
	})
}

// The sample still gives the bytes of v1. Once the schema has grown, the golden
// value is only read, and this test belongs to the next version.
func TestGoldenIsWritten(t *testing.T) {
	eachSubject(t, func(t *testing.T, s Subject) {
		got, err := AppendAvro(nil, s.sample())
		if err != nil {
			t.Fatal(err)
		}
		if want := read(t, golden(t, s, ".avro")); !bytes.Equal(got, want) {
			t.Fatalf("byte %d of %d differs", difference(got, want), len(want))
		}
	})
}

func writeGolden(t *testing.T, s Subject) {
	t.Helper()
	written, err := AppendAvro(nil, s.sample())
	if err != nil {
		t.Fatal(err)
	}
	for extension, b := range map[string][]byte{
		".avsc": []byte(s.Schema()), ".avro": written, ".json": append(AppendJSON(nil, s.sample()), '\n'),
	} {
		if err := os.WriteFile(golden(t, s, extension), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
