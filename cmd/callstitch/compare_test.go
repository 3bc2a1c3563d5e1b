package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/compare"
	"callstitch/internal/docpage"
)

// TestDocumentedComparison holds what docs/operations.md shows of compare against what it
// writes.
func TestDocumentedComparison(t *testing.T) {
	const session, other = "7122565b55c69f2737c58368964af2c8", "b1c79e0d24a8f6630c5d1e9f7a20b344"
	explain := func(id string) []string {
		return []string{"callstitch explain " + id + " -c blue.yaml", "callstitch explain " + id + " -c green.yaml"}
	}
	r := compare.Report{
		A:     compare.Side{Name: "topic call.sessions at kafka-1:9092", Final: 1204118, Open: 212, Superseded: 1870},
		B:     compare.Side{Name: "topic g2.call.sessions at kafka-1:9092", Final: 1204117, Open: 213, Superseded: 1870},
		Equal: 1204099, Differing: 17, Pending: 1, OnlyA: compare.Lone{Sessions: 1, Open: 1},
		Fields:   []compare.FieldCount{{Field: "hangup_cause", Sessions: 17}, {Field: "disposition", Sessions: 12}, {Field: "legs.hangup_cause", Sessions: 12}},
		Examined: 17,
		Examples: []compare.Example{
			{ID: other, Finding: compare.OnlyA, Other: "open", Explain: explain(other)},
			{ID: session, Finding: compare.Differs, Explain: explain(session), Fields: []compare.Difference{
				{Field: "disposition", Path: "disposition", A: "FAILED", B: "BUSY"},
				{Field: "hangup_cause", Path: "hangup_cause", A: nil, B: "BUSY"},
				{Field: "legs.hangup_cause", Path: "legs[1].hangup_cause", A: nil, B: "BUSY"},
			}},
		},
	}
	var out strings.Builder
	r.Print(&out)
	section := docpage.Read(t, operationsPage).Section(t, "## Upgrades")
	if !strings.Contains(string(section), "```\n"+out.String()+"```\n") {
		t.Errorf("%s does not show this:\n%s", operationsPage, out.String())
	}
	for _, of := range []any{r, r.A, r.OnlyA, r.Fields[0], r.Examples[0]} {
		for i := range reflect.TypeOf(of).NumField() {
			name, _, _ := strings.Cut(reflect.TypeOf(of).Field(i).Tag.Get("json"), ",")
			if name != "" && !section.HasWord(name) {
				t.Errorf("%s does not name %s", operationsPage, name)
			}
		}
	}
}

// TestDocumentedAwait does so for await.
func TestDocumentedAwait(t *testing.T) {
	blocks := docpage.Read(t, operationsPage).Section(t, "## Upgrades").Blocks("json")
	if len(blocks) != 1 {
		t.Fatalf("%s shows %d objects of an await", operationsPage, len(blocks))
	}
	in := json.NewDecoder(strings.NewReader(blocks[0]))
	in.DisallowUnknownFields()
	var a awaited
	if err := in.Decode(&a); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(a); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(blocks[0], out.String()); d != "" {
		t.Errorf("-documented +program:\n%s", d)
	}
}

func TestQuotedForAShell(t *testing.T) {
	for arg, want := range map[string]string{
		"blue.yaml": "blue.yaml", "/etc/callstitch/g-2.yaml": "/etc/callstitch/g-2.yaml", "": "''",
		"my blue.yaml": "'my blue.yaml'", "it's.yaml": `'it'\''s.yaml'`, "$HOME": "'$HOME'",
	} {
		if got := quoted(arg); got != want {
			t.Errorf("%q is quoted as %s, must be %s", arg, got, want)
		}
	}
}

func TestOptionsOfAComparison(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	got, err := (&compareOptions{from: "-2h", until: "2026-11-28T11:00:00Z", fresh: time.Minute}).options(now)
	want := compare.Options{From: now.Add(-2 * time.Hour).UnixMilli(), Until: now.Add(-time.Hour).UnixMilli(), Fresh: now.Add(-time.Minute).UnixMilli()}
	if err != nil || !cmp.Equal(want, got) {
		t.Errorf("error %v, -want +got\n%s", err, cmp.Diff(want, got))
	}
	if got, err := (&compareOptions{}).options(now); err != nil || got.Fresh != 0 || got.From != 0 || got.Until != 0 {
		t.Errorf("without bounds: %+v, %v", got, err)
	}
}

// A command that is shown has no password, though the one that shows it was given one.
func TestExplainingCommandsHaveNoLogin(t *testing.T) {
	var o compareOptions
	cmd := &cobra.Command{}
	o.config = addConfigFlags(cmd, brokersFlag, registryFlag)
	if err := cmd.ParseFlags([]string{"--brokers", "kafka-1:9092", "--registry", "https://user:hunter2@registry:8081"}); err != nil {
		t.Fatal(err)
	}
	if got, want := o.explain("g.yaml", "1"), "callstitch explain 1 -c g.yaml --brokers kafka-1:9092 --registry https://registry:8081"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
