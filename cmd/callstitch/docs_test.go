package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/cmd/callstitch/internal/rawfile"
	"callstitch/internal/docpage"
	"callstitch/processor/call"
	"callstitch/processor/decode"
	"callstitch/schemas"
	"callstitch/topology"
)

const (
	operationsPage = "../../docs/operations.md"
	receivePage    = "../../docs/receive.md"
	recordsPage    = "../../docs/records.md"
)

// TestDocumentedRecords decodes the records that the receivers in
// docs/operations.md produce.
func TestDocumentedRecords(t *testing.T) {
	page := docpage.Read(t, operationsPage)
	_, rest, found := strings.Cut(string(page), "<!-- begin kcat -->\n")
	lines := docpage.Page(rest).Blocks("json")
	if !found || len(lines) == 0 {
		t.Fatalf("%s shows no record", operationsPage)
	}
	var got []string
	for line := range strings.Lines(lines[0]) {
		r, err := rawfile.ParseKcat([]byte(line))
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		result := decode.New(decode.Settings{}).Decode(decode.Input{Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp})
		for _, e := range result.Events {
			got = append(got, e.Provider.String()+" "+e.Tenant+" "+e.Type.String())
		}
	}
	want := []string{"bandwidth acme CALL_INITIATED", "sonetel acme CALL_INITIATED"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestDocumentedExitCodes holds the table of exit codes against the constants.
func TestDocumentedExitCodes(t *testing.T) {
	var documented, want []string
	for _, cell := range docpage.Read(t, operationsPage).Section(t, "## Exit codes").FirstCells() {
		if _, err := strconv.Atoi(cell); err == nil {
			documented = append(documented, cell)
		}
	}
	for _, c := range exitConstants(t) {
		want = append(want, strconv.Itoa(c))
	}
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("-program +documented:\n%s", diff)
	}
}

// exitConstants are the values of the constants in main.go whose names begin
// with exit, ascending.
func exitConstants(t *testing.T) (codes []int) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "exit") || len(spec.Values) != 1 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
			code, _ := strconv.Atoi(literal.Value)
			codes = append(codes, code)
		}
		return true
	})
	slices.Sort(codes)
	return codes
}

// TestDocumentedRejectReasons holds the table of reasons against the vocabulary.
func TestDocumentedRejectReasons(t *testing.T) {
	var documented []string
	for _, word := range docpage.Read(t, operationsPage).Section(t, "## Rejects").FirstWords() {
		if word == strings.ToUpper(word) {
			documented = append(documented, word)
		}
	}
	if diff := cmp.Diff(call.Vocabulary()["reject_reason"], documented); diff != "" {
		t.Errorf("-program +documented:\n%s", diff)
	}
	for _, h := range topology.RejectHeaders(&call.Reject{}) {
		if !docpage.Read(t, operationsPage).HasWord(h.Key) {
			t.Errorf("%s does not describe the header %s", operationsPage, h.Key)
		}
	}
}

// TestDocumentedFlags holds the table of flags against the vocabulary.
func TestDocumentedFlags(t *testing.T) {
	want := slices.Sorted(slices.Values(call.Vocabulary()["flag"]))
	documented := docpage.Read(t, recordsPage).Section(t, "## Flags").FirstWords()
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("-program +documented:\n%s", diff)
	}
}

// TestDocumentedWords finds words of the vocabularies that docs/records.md does
// not name.
func TestDocumentedWords(t *testing.T) {
	page := docpage.Read(t, recordsPage)
	for field, words := range call.Vocabulary() {
		if field == "reject_reason" || field == "provider" {
			continue
		}
		for _, w := range words {
			if !page.HasWord(w) {
				t.Errorf("%s does not name %s of %s", recordsPage, w, field)
			}
		}
	}
}

// TestDocumentedFields finds fields of the records that their sections do not
// name, and names in the tables that are no fields.
func TestDocumentedFields(t *testing.T) {
	page := docpage.Read(t, recordsPage)
	headings := map[schemas.Subject]string{
		schemas.Events: "## Events", schemas.Sessions: "## Sessions", schemas.Legs: "## Legs", schemas.Audit: "## Audit",
	}
	for subject, heading := range headings {
		t.Run(subject.String(), func(t *testing.T) {
			text := page.Section(t, heading)
			top, nested := schemaFields(t, subject.Schema())
			for _, name := range append(slices.Clone(top), nested...) {
				if !text.HasWord(name) {
					t.Errorf("%s is not described under %s", name, heading)
				}
			}
			for _, name := range text.FirstWords() {
				if !slices.Contains(top, name) {
					t.Errorf("%s under %s is no field", name, heading)
				}
			}
		})
	}
}

// TestClickHouseColumns holds the table that ClickHouse reads call.sessions with against
// the schema: each field is a column, in order, and null where it may be null.
func TestClickHouseColumns(t *testing.T) {
	sql, err := os.ReadFile("../../deploy/analytics/clickhouse.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, columns, found := strings.Cut(string(sql), "CREATE TABLE sessions_queue (")
	columns, _, ended := strings.Cut(columns, ") ENGINE = Kafka")
	if !found || !ended {
		t.Fatal("there is no such table")
	}
	var session any
	if err := json.Unmarshal([]byte(schemas.Sessions.Schema()), &session); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSuffix(strings.TrimPrefix(inClickHouse(session), "Tuple("), ")")
	if diff := cmp.Diff(strings.Split(want, ", "), strings.Split(strings.Join(strings.Fields(columns), " "), ", ")); diff != "" {
		t.Errorf("(-schema +clickhouse.sql):\n%s", diff)
	}
}

// inClickHouse is an Avro type in ClickHouse's words.
func inClickHouse(avro any) string {
	switch a := avro.(type) {
	case []any: // null, or the other
		return "Nullable(" + inClickHouse(a[1]) + ")"
	case map[string]any:
		switch {
		case a["logicalType"] == "timestamp-millis":
			return "DateTime64(3, 'UTC')"
		case a["type"] == "array":
			return "Array(" + inClickHouse(a["items"]) + ")"
		case a["type"] == "map":
			return "Map(String, " + inClickHouse(a["values"]) + ")"
		}
		var fields []string
		for _, f := range a["fields"].([]any) {
			field := f.(map[string]any)
			fields = append(fields, fmt.Sprint(field["name"], " ", inClickHouse(field["type"])))
		}
		return "Tuple(" + strings.Join(fields, ", ") + ")"
	}
	return map[any]string{"string": "String", "int": "Int32", "long": "Int64", "boolean": "Bool"}[avro]
}

// schemaFields are the names of a record's fields, and of those of the records
// in them.
func schemaFields(t *testing.T, schema string) (top, nested []string) {
	t.Helper()
	type record struct {
		Fields []struct {
			Name string
			Type json.RawMessage
		}
	}
	var r record
	if err := json.Unmarshal([]byte(schema), &r); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Fields {
		top = append(top, f.Name)
		var array struct{ Items record }
		if bytes.Contains(f.Type, []byte(`"fields"`)) && json.Unmarshal(f.Type, &array) == nil {
			for _, inner := range array.Items.Fields {
				nested = append(nested, inner.Name)
			}
		}
	}
	return top, nested
}

// TestDocumentedLogLines holds the tables of log lines against every warning and error
// that the program logs, both ways.
func TestDocumentedLogLines(t *testing.T) {
	for page, dirs := range map[string][]string{
		operationsPage: {"cmd", "topology", "schemas", "processor"},
		receivePage:    {"internal/receive", "internal/secret"},
	} {
		documented := docpage.Read(t, page).Section(t, "## Log").FirstWords()
		logged := logLines(t, "../..", dirs)
		if len(logged) < 5 {
			t.Fatalf("found only %q in the program", logged)
		}
		slices.Sort(documented)
		slices.Sort(logged)
		if diff := cmp.Diff(slices.Compact(logged), slices.Compact(documented)); diff != "" {
			t.Errorf("lines of %s (-program +documented):\n%s", page, diff)
		}
	}
}

// logLines are the messages that the packages below directories log at level warn or
// error.
func logLines(t *testing.T, root string, dirs []string) (lines []string) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if line, ok := logLine(n); ok {
					lines = append(lines, line)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return lines
}

// logLine is the message of a call such as log.Warn("…"), or of log.Log(ctx, level, "…"),
// whose level is decided where it is called.
func logLine(n ast.Node) (string, bool) {
	c, ok := n.(*ast.CallExpr)
	if !ok {
		return "", false
	}
	method, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	at, logs := map[string]int{"Warn": 0, "Error": 0, "Log": 2}[method.Sel.Name]
	if !logs || len(c.Args) <= at {
		return "", false
	}
	literal, ok := c.Args[at].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	line, err := strconv.Unquote(literal.Value)
	return line, err == nil
}

// TestDocumentedInternalTopics holds the names of internal topics against the
// topology's.
func TestDocumentedInternalTopics(t *testing.T) {
	page := docpage.Read(t, operationsPage)
	for _, id := range []string{"<application_id>", "callstitch"} {
		c := topology.Config{ApplicationID: id}
		for _, name := range []string{c.ExchangeTopic(), c.ChangelogTopic()} {
			if !strings.Contains(string(page), name) {
				t.Errorf("%s does not name %s", operationsPage, name)
			}
		}
	}
}

// TestDocumentedCommandMetric says that the metric which the command adds is in
// the table; the others are topology/kafka's.
func TestDocumentedCommandMetric(t *testing.T) {
	families, err := newMetrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "callstitch_") && !strings.Contains(string(docpage.Read(t, operationsPage)), "| `"+f.GetName()+"` |") {
			t.Errorf("%s does not list %s", operationsPage, f.GetName())
		}
	}
}
