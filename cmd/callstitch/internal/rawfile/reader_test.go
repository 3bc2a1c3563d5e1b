package rawfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"callstitch/topology"
)

// collect gives the records of files and standard input.
func collect(t *testing.T, r Reader, stdin string, files ...string) []topology.Record {
	t.Helper()
	var got []topology.Record
	r.Process = func(rec topology.Record) error {
		rec.Value = []byte(string(rec.Value)) // the line's memory is used again
		got = append(got, rec)
		return nil
	}
	if err := r.ReadAll(strings.NewReader(stdin), files); err != nil {
		t.Fatal(err)
	}
	return got
}

// Offsets go on from file to file, so that no two records have one place.
func TestLinesAreNumberedOverAllFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.ndjson")
	if err := os.WriteFile(file, []byte("one\n\ntwo"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := collect(t, Reader{Topic: "call.raw"}, "three\n", file, "-")
	want := []topology.Record{
		{Topic: "call.raw", Offset: 0, Value: []byte("one")},
		{Topic: "call.raw", Offset: 2, Value: []byte("two")},
		{Topic: "call.raw", Offset: 3, Value: []byte("three")},
	}
	if diff := diffOf(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A line that is not what it should be is a record for the decoder to reject.
func TestOtherLinesAreRecords(t *testing.T) {
	const line = `{"topic":"t","partition":1,"offset":7,"payload":"x"}`
	got := collect(t, Reader{Kcat: true, Topic: "call.raw"}, line+"\nno kcat\n")
	want := []topology.Record{
		{Topic: "t", Partition: 1, Offset: 7, Value: []byte("x")},
		{Topic: "call.raw", Offset: 1, Value: []byte("no kcat")},
	}
	if diff := diffOf(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := collect(t, Reader{Topic: "call.raw"}, line+"\n"); len(got) != 1 || string(got[0].Value) != line {
		t.Errorf("without kcat a line of it is taken as %+v", got)
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	broken := errors.New("no room")
	r := Reader{Topic: "call.raw", Process: func(rec topology.Record) error {
		if string(rec.Value) == "b" {
			return broken
		}
		return nil
	}}
	err := r.ReadAll(strings.NewReader("a\n\nb\n"), nil)
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "line 3 of standard input") {
		t.Errorf("got %v", err)
	}
	if err := r.ReadAll(nil, []string{filepath.Join(t.TempDir(), "absent")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
