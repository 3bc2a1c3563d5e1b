package schemas

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func evolutionSchema(fields ...string) string {
	return fmt.Sprintf(`{"type":"record","name":"R","namespace":"n","fields":[%s]}`, strings.Join(fields, ","))
}

func nestedField(fields ...string) string {
	return fmt.Sprintf(`{"name":"legs","type":{"type":"array","items":{"type":"record","name":"L","fields":[%s]}},"default":[]}`, strings.Join(fields, ","))
}

func TestCheckEvolution(t *testing.T) {
	const (
		id    = `{"name":"id","type":"string"}`
		note  = `{"name":"note","type":["null","string"],"default":null}`
		extra = `{"name":"extra","type":["null","long"],"default":null}`
	)
	before := evolutionSchema(id, note, nestedField(id, note))
	for name, c := range map[string]struct {
		newer string
		want  []string // the beginning of each problem
	}{
		"same":           {before, nil},
		"doc":            {evolutionSchema(`{"name":"id","type":"string","doc":"new"}`, note, nestedField(id, note)), nil},
		"added last":     {evolutionSchema(id, note, nestedField(id, note), extra), nil},
		"two last":       {evolutionSchema(id, note, nestedField(id, note), extra, strings.Replace(extra, "extra", "more", 1)), nil},
		"new nested":     {evolutionSchema(id, note, nestedField(id, note), strings.ReplaceAll(strings.Replace(nestedField(id, note), "legs", "legs_v2", 1), `"L"`, `"L2"`)), nil},
		"no default":     {evolutionSchema(id, note, nestedField(id, note), `{"name":"extra","type":"long"}`), []string{"extra: added without a default"}},
		"added between":  {evolutionSchema(id, extra, note, nestedField(id, note)), []string{"note: its place was taken by extra"}},
		"swapped":        {evolutionSchema(note, id, nestedField(id, note)), []string{"id: its place was taken by note"}},
		"removed":        {evolutionSchema(id, nestedField(id, note)), []string{"note: removed or renamed"}},
		"renamed":        {evolutionSchema(id, strings.Replace(note, "note", "remark", 1), nestedField(id, note)), []string{"note: removed or renamed"}},
		"retyped":        {evolutionSchema(strings.Replace(id, "string", "int", 1), note, nestedField(id, note)), []string{"id: its type changed from string to int"}},
		"widened":        {evolutionSchema(id, strings.Replace(note, `"string"`, `"string","long"`, 1), nestedField(id, note)), []string{"note: its type changed from null|string to null|string|long"}},
		"new default":    {evolutionSchema(`{"name":"id","type":"string","default":"x"}`, note, nestedField(id, note)), []string{`id: its default changed from none to "x"`}},
		"instant":        {evolutionSchema(`{"name":"id","type":{"type":"long","logicalType":"timestamp-millis"}}`, note, nestedField(id, note)), []string{"id: its type changed from string to long.timestamp-millis"}},
		"nested grew":    {evolutionSchema(id, note, nestedField(id, note, extra)), []string{"legs.extra: added to a nested record"}},
		"nested shrank":  {evolutionSchema(id, note, nestedField(id)), []string{"legs.note: removed or renamed"}},
		"nested moved":   {evolutionSchema(id, note, nestedField(note, id)), []string{"legs.id: its place was taken by legs.note"}},
		"nested retyped": {evolutionSchema(id, note, nestedField(strings.Replace(id, "string", "long", 1), note)), []string{"legs.id: its type changed"}},
		"nested renamed": {evolutionSchema(id, note, strings.Replace(nestedField(id, note), `"L"`, `"M"`, 1)), []string{"legs: its type changed from array<n.L> to array<n.M>"}},
		"record renamed": {strings.Replace(before, `"R"`, `"S"`, 1), []string{"the record was renamed from n.R to n.S"}},
		"no Avro":        {"{}", []string{"the newer schema is no Avro"}},
	} {
		got := CheckEvolution(before, c.newer)
		if len(got) != len(c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i].String(), c.want[i]) {
				t.Errorf("%s: got %q, want %q", name, got[i], c.want[i])
			}
		}
	}
	if got := CheckEvolution("", before); len(got) != 1 || !strings.Contains(got[0].String(), "older schema") {
		t.Errorf("got %q", got)
	}
}

func TestDiff(t *testing.T) {
	older := evolutionSchema(`{"name":"id","type":"string","doc":"Id."}`, `{"name":"gone","type":"int"}`)
	newer := evolutionSchema(`{"name":"id","type":"string","doc":"The id.","x-values":["a"]}`, `{"name":"note","type":["null","string"],"default":null,"doc":"New."}`)
	const want = `- id string, default none: Id.
+ id string, default none: The id. ["a"]
- gone int, default none: 
+ note null|string, default null: New.
`
	if diff := cmp.Diff(want, Diff(older, newer)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := Diff(older, older); got != "" {
		t.Errorf("a schema differs from itself:\n%s", got)
	}
}
