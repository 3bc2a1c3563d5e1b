package topology

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"callstitch/processor/stitch"
)

var update = flag.Bool("update", false, "rewrite the golden files; read the diff before you commit it")

func TestDescribe(t *testing.T) {
	cfg := &Config{
		ApplicationID: "callstitch",
		Sources:       []Source{{Topic: "call.raw"}, {Topic: "decode"}}, // a topic may be named as a node is
		Topics: Topics{
			Events: "call.events", Sessions: "call.sessions", Legs: "call.legs", Rejects: "call.rejects", Audit: "call.audit",
		},
		ExchangePartitions: 8,
		Stitch:             stitch.Config{Legs: true},
	}
	d := Describe(cfg)
	golden(t, "topology.txt", d.String())
	golden(t, "topology.mmd", d.Mermaid())
	golden(t, "topology.dot", d.DOT())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
}

// The topic of leg rows is part of the topology only where rows are published.
func TestDescribeWithoutLegs(t *testing.T) {
	d := Describe(&Config{Topics: Topics{Legs: "call.legs"}})
	if strings.Contains(d.String(), "call.legs") {
		t.Errorf("rows of legs without legs:\n%s", d)
	}
}
