package decode

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
)

var update = flag.Bool("update", false, "rewrite the .golden files; commit the change only if you understand what caused it")

// kafkaTimestamp is the arrival of every fixture.
const kafkaTimestamp = 1_750_000_000_000

// TestGolden decodes every event of testdata, whole and as providers write it,
// and compares all that it became. Sonetel's are synthetic: no frame of its
// socket is public.
func TestGolden(t *testing.T) {
	for _, file := range fixtures(t, "*") {
		t.Run(strings.TrimSuffix(filepath.ToSlash(file), ".json"), func(t *testing.T) {
			raw := fixture(t, file)
			got := describeResult(New(Settings{}).Decode(Input{Value: raw, Timestamp: kafkaTimestamp}))
			golden := strings.TrimSuffix(filepath.Join("testdata", file), ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// fixtures lists the events of a provider, as paths below testdata.
func fixtures(t testing.TB, provider string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", provider, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures of %s: %v", provider, err)
	}
	for i := range files {
		files[i], _ = filepath.Rel("testdata", files[i])
	}
	return files
}

func fixture(t testing.TB, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func describeResult(r Result) string {
	var b strings.Builder
	if r.Ignored != "" {
		fmt.Fprintf(&b, "ignored: %s\n", r.Ignored)
	}
	if r.Reject != nil {
		fmt.Fprintf(&b, "rejected: %v: %s\n", r.Reject.Reason, r.Reject.Detail)
	}
	for i, e := range r.Events {
		if i > 0 {
			b.WriteString("---\n")
		}
		describe(&b, "", reflect.ValueOf(*e))
	}
	return b.String()
}

// describe lists all fields that are set, one a line, in the words of records.
func describe(b *strings.Builder, prefix string, v reflect.Value) {
	for i := range v.NumField() {
		name, field := prefix+v.Type().Field(i).Name, v.Field(i)
		if field.IsZero() {
			continue
		}
		switch x := field.Interface().(type) {
		case call.Instant:
			fmt.Fprintf(b, "%s: %s %s ±%d\n", name, clockText(int64(x.At)), x.Src, x.Precision)
		case call.Code:
			fmt.Fprintf(b, "%s: %d %s\n", name, x.N, x.Src)
		case call.Int:
			fmt.Fprintf(b, "%s: %d\n", name, x.N)
		case call.Party:
			fmt.Fprintf(b, "%s: %s %q e164 %q\n", name, x.Kind, x.Raw, x.E164)
		case call.Flags:
			fmt.Fprintf(b, "%s: %s\n", name, strings.Join(x.Words(), " "))
		case *call.LegSnapshot:
			describe(b, name+".", field.Elem())
		case call.RecordingFact:
			describe(b, name+".", field)
		case call.Ending:
			describe(b, prefix, field)
		case uint64:
			fmt.Fprintf(b, "%s: %016x\n", name, x)
		case call.Time:
			fmt.Fprintf(b, "%s: %s\n", name, clockText(int64(x)))
		case int64:
			fmt.Fprintf(b, "%s: %s\n", name, clockText(x))
		case [32]byte:
			fmt.Fprintf(b, "%s: %x\n", name, x)
		default:
			fmt.Fprintf(b, "%s: %v\n", name, x)
		}
	}
}

func clockText(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}
