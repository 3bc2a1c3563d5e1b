package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// full takes some bytes, and then no more, as a full disk does.
type full struct{ left int }

var errFull = errors.New("no space left")

func (f *full) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

// disconnect is a raw hang-up.
const disconnect = `{"eventType":"disconnect","callId":"c-1","direction":"outbound","from":"+15550100101","to":"+15550100102",` +
	`"startTime":"2024-02-20T10:00:00.000Z","endTime":"2024-02-20T10:00:30.000Z","cause":"hangup"}`

// An explanation that cannot be written, wholly or at its end, is a failure.
func TestExplainFailsToWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events.ndjson")
	if err := os.WriteFile(file, []byte(disconnect+"\n{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, Question := range [][]string{{"c-1"}, {rawTopic, "0", "1"}} {
		run := func(out io.Writer) error {
			root := newRoot()
			root.SetArgs(append([]string{"explain", "--provider", "bandwidth", "--file", file}, Question...))
			root.SetOut(out)
			return root.Execute()
		}
		var whole bytes.Buffer
		if err := run(&whole); err != nil {
			t.Fatal(err)
		}
		for _, room := range []int{0, whole.Len() / 2, whole.Len() - 1} {
			if err := run(&full{room}); !errors.Is(err, errFull) || exitCode(err) != exitFailed {
				t.Errorf("explain %s: with room for %d of %d bytes it ends with %v", Question, room, whole.Len(), err)
			}
		}
	}
}
