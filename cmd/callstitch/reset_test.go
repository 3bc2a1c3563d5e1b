package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/topology/kafka"
)

// examplePlan is the plan that docs/operations.md shows.
func examplePlan() *kafka.ResetPlan {
	return &kafka.ResetPlan{
		Group: "callstitch",
		Sources: []kafka.ResetPartition{
			{Topic: "call.raw", Partition: 0, Read: 118020, End: 118020},
			{Topic: "call.raw", Partition: 1, First: 40961, Read: 117755, End: 119300, Begin: 40961},
		},
		Transactions: []kafka.LeftOpen{{ID: "callstitch-pod-2-0", Since: time.Date(2026, 11, 28, 2, 14, 7, 0, time.UTC)}},
		Published:    &kafka.Published{Topic: "call.sessions", Records: 18232, Bytes: 17_012_456, Generation: 3},
		Generation:   4, Worked: 3,
		Topics: []kafka.ResetTopic{
			{Name: "callstitch-exchange-repartition", ID: "rTWN9cVyRCmqyeeozT1ZFw", Partitions: 8, Replicas: 3, Records: true, Makes: true},
			{Name: "callstitch-stitch-changelog", ID: "rVbzO3lcSNWeI074SGLeOw", Partitions: 8, Replicas: 3, Records: true, Makes: true},
		},
		Start: "earliest",
		Warns: []string{"call.raw: 1 partitions do not reach back to their beginning, since retention has deleted records: sessions of those keep their old generation, and calls cut there have start_lost"},
	}
}

// TestDocumentedReset holds the example in docs/operations.md against what reset writes,
// and its list of keys against the object.
func TestDocumentedReset(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	tellReset(terminal.Writer{Writer: &out}, examplePlan(), assumedRate)
	want := "<!-- begin reset -->\n```console\n$ callstitch reset -c callstitch.yaml\n" + out.String() + "nothing was changed: --execute does it\n```\n<!-- end reset -->\n"
	if !strings.Contains(string(page), want) {
		t.Errorf("docs/operations.md does not show\n%s", want)
	}

	out.Reset()
	if err := writeReset(&out, examplePlan(), nil, false, nil); err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(out.Bytes(), &object); err != nil {
		t.Fatal(err)
	}
	_, row, _ := strings.Cut(string(page), "\n| `-o json` | one object: ")
	row, _, _ = strings.Cut(row, "\n")
	keys := object["sources"].([]any)[0].(map[string]any)
	for key := range object {
		keys[key] = nil
	}
	for key := range keys {
		if !strings.Contains(row, "`"+key+"`") {
			t.Errorf("the row of -o json does not name %s", key)
		}
	}
}

// A source of many partitions has one line.
func TestResetOfManyPartitions(t *testing.T) {
	p := examplePlan()
	p.Sources = nil
	for i := range int32(partitionsShown + 8) {
		p.Sources = append(p.Sources, kafka.ResetPartition{Topic: []string{"a.raw", "b.raw"}[i/36], Partition: i % 36, End: 100, Begin: 10})
	}
	var out bytes.Buffer
	tellSources(&out, p)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[1], "3240 offsets before their ends") || !strings.HasPrefix(lines[2], "b.raw") {
		t.Errorf("it writes\n%s", out.String())
	}
}

func TestSpell(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 s", 59 * time.Second: "59 s", 4 * time.Minute: "4 min", 90 * time.Minute: "90 min", 7 * time.Hour: "7 h",
	} {
		if got := spell(d); got != want {
			t.Errorf("%v is spelt %s", d, got)
		}
	}
}
