package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/cmd/callstitch/internal/rawfile"
	"callstitch/processor/call"
	"callstitch/processor/decode"
	"callstitch/schemas"
	"callstitch/topology"
)

const (
	operationsPage = "../../docs/operations.md"
	recordsPage    = "../../docs/records.md"
)

// docBlock is a fenced block: its language and its text.
var docBlock = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```")

// docRow is the first cell of a table's row, docCode its words in code.
var (
	docRow  = regexp.MustCompile(`(?m)^\| ([^|]*) \|.*$`)
	docCode = regexp.MustCompile("`([^`]*)`")
)

func readPage(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section is what a page says under a heading, up to the next one of its level
// or above.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, "\n"+heading+"\n")
	if !found {
		t.Fatalf("there is no heading %q", heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	if end := regexp.MustCompile(`(?m)^#{1,` + strconv.Itoa(len(level)) + `} `).FindStringIndex(rest); end != nil {
		rest = rest[:end[0]]
	}
	return rest
}

// firstCells are the words in code in the first cells of a text's tables.
func firstCells(text string) (words []string) {
	for _, row := range docRow.FindAllStringSubmatch(text, -1) {
		for _, m := range docCode.FindAllStringSubmatch(row[1], -1) {
			words = append(words, m[1])
		}
	}
	return words
}

// blocks are a page's fenced blocks of a language.
func blocks(page, language string) (texts []string) {
	for _, m := range docBlock.FindAllStringSubmatch(page, -1) {
		if m[1] == language {
			texts = append(texts, m[2])
		}
	}
	return texts
}

// TestDocumentedDefaults holds the configuration in docs/operations.md against
// the program's: it sets every key there is, each to its default.
func TestDocumentedDefaults(t *testing.T) {
	shown := blocks(readPage(t, operationsPage), "yaml")
	if len(shown) == 0 {
		t.Fatalf("%s shows no configuration", operationsPage)
	}
	file := filepath.Join(t.TempDir(), "callstitch.yaml")
	if err := os.WriteFile(file, []byte(shown[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLoader()
	if err := l.readFile(file); err != nil {
		t.Fatal(err)
	}
	got, err := l.finish(true)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	want.Kafka.Brokers = []string{"127.0.0.1:9092"} // the two keys without a default
	want.Sources = []sourceConfig{{Topic: rawTopic}}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("-default +documented:\n%s", diff)
	}
	for _, key := range allKeys() {
		if _, set := l.origin[strings.Replace(key, "[]", "[0]", 1)]; !set {
			t.Errorf("the configuration in %s does not show %s", operationsPage, key)
		}
	}
}

// TestDocumentedKeys holds the table of keys against the program's, both ways.
func TestDocumentedKeys(t *testing.T) {
	documented := firstCells(section(t, readPage(t, operationsPage), "## Configuration"))
	var all []string
	for _, key := range documented {
		if before, after, each := strings.Cut(key, ".*."); each {
			for _, o := range (&topicsConfig{}).each() {
				all = append(all, before+"."+o.key+"."+after)
			}
			continue
		}
		all = append(all, key)
	}
	slices.Sort(all)
	want := allKeys()
	slices.Sort(want)
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("keys of the table in %s (-program +documented):\n%s", operationsPage, diff)
	}
}

// allKeys lists the paths of all keys; those of a source as sources[].topic.
func allKeys() (keys []string) {
	c := defaultConfig()
	eachKey(reflect.ValueOf(&c).Elem(), "", func(path string, _ reflect.Value) {
		if path != "sources" {
			keys = append(keys, path)
		}
	})
	eachKey(reflect.ValueOf(sourceConfig{}), "sources[]", func(path string, _ reflect.Value) { keys = append(keys, path) })
	return keys
}

// TestDocumentedEnvironment reads the variables that docs/operations.md shows.
func TestDocumentedEnvironment(t *testing.T) {
	var environ []string
	for _, m := range regexp.MustCompile(`(?m)^\$ export (CALLSTITCH_\S+=.*)$`).FindAllStringSubmatch(readPage(t, operationsPage), -1) {
		environ = append(environ, strings.ReplaceAll(m[1], "'", ""))
	}
	l := newLoader()
	l.readEnvironment(environ)
	if len(environ) == 0 || len(l.unknown) > 0 || len(l.lines) > 0 {
		t.Fatalf("%d variables; unknown %q, problems %q", len(environ), l.unknown, l.lines)
	}
	if len(l.cfg.Sources) != 2 || len(l.cfg.Kafka.Brokers) != 2 {
		t.Errorf("got %d sources and %d brokers", len(l.cfg.Sources), len(l.cfg.Kafka.Brokers))
	}
}

// TestDocumentedRecords decodes the records that the receivers in
// docs/operations.md produce.
func TestDocumentedRecords(t *testing.T) {
	page := readPage(t, operationsPage)
	_, rest, found := strings.Cut(page, "<!-- begin kcat -->\n")
	lines := blocks(rest, "json")
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
	for _, row := range docRow.FindAllStringSubmatch(section(t, readPage(t, operationsPage), "## Exit codes"), -1) {
		if _, err := strconv.Atoi(row[1]); err == nil {
			documented = append(documented, row[1])
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
	for _, word := range firstCells(section(t, readPage(t, operationsPage), "## Rejects")) {
		if word == strings.ToUpper(word) {
			documented = append(documented, word)
		}
	}
	if diff := cmp.Diff(call.Vocabulary()["reject_reason"], documented); diff != "" {
		t.Errorf("-program +documented:\n%s", diff)
	}
	for _, h := range topology.RejectHeaders(&call.Reject{}) {
		if !strings.Contains(readPage(t, operationsPage), "`"+h.Key+"`") {
			t.Errorf("%s does not describe the header %s", operationsPage, h.Key)
		}
	}
}

// TestDocumentedFlags holds the table of flags against the vocabulary.
func TestDocumentedFlags(t *testing.T) {
	want := slices.Sorted(slices.Values(call.Vocabulary()["flag"]))
	documented := firstCells(section(t, readPage(t, recordsPage), "## Flags"))
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("-program +documented:\n%s", diff)
	}
}

// TestDocumentedWords finds words of the vocabularies that docs/records.md does
// not name.
func TestDocumentedWords(t *testing.T) {
	page := readPage(t, recordsPage)
	for field, words := range call.Vocabulary() {
		if field == "reject_reason" || field == "provider" {
			continue
		}
		for _, w := range words {
			if !strings.Contains(page, "`"+w+"`") {
				t.Errorf("%s does not name %s of %s", recordsPage, w, field)
			}
		}
	}
}

// TestDocumentedFields finds fields of the records that their sections do not
// name, and names in the tables that are no fields.
func TestDocumentedFields(t *testing.T) {
	page := readPage(t, recordsPage)
	headings := map[schemas.Subject]string{
		schemas.Events: "## Events", schemas.Sessions: "## Sessions", schemas.Legs: "## Legs", schemas.Audit: "## Audit",
	}
	for subject, heading := range headings {
		t.Run(subject.String(), func(t *testing.T) {
			text := section(t, page, heading)
			top, nested := schemaFields(t, subject.Schema())
			for _, name := range append(slices.Clone(top), nested...) {
				if !strings.Contains(text, "`"+name+"`") {
					t.Errorf("%s is not described under %s", name, heading)
				}
			}
			for _, name := range firstCells(text) {
				if !slices.Contains(top, name) {
					t.Errorf("%s under %s is no field", name, heading)
				}
			}
		})
	}
}

// TestDocumentedColumns finds columns of the SQL in docs/operations.md that are
// no fields of a session.
func TestDocumentedColumns(t *testing.T) {
	top, _ := schemaFields(t, schemas.Sessions.Schema())
	columns := 0
	for _, sql := range blocks(readPage(t, operationsPage), "sql") {
		for _, m := range regexp.MustCompile(`(?m)[ (,]([a-z][a-z0-9_]+) (?:LowCardinality|String|UInt64|Nullable|Bool|DateTime64|Int64)`).FindAllStringSubmatch(sql, -1) {
			columns++
			if !slices.Contains(top, m[1]) {
				t.Errorf("column %s is no field of a session", m[1])
			}
		}
	}
	if columns < 10 {
		t.Errorf("found %d columns", columns)
	}
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

// TestDocumentedLogLines holds the table of log lines against every warning and
// error that the program logs, both ways.
func TestDocumentedLogLines(t *testing.T) {
	documented := firstCells(section(t, readPage(t, operationsPage), "## Log"))
	logged := logLines(t, "../..")
	if len(logged) < 5 {
		t.Fatalf("found only %q in the program", logged)
	}
	slices.Sort(documented)
	slices.Sort(logged)
	if diff := cmp.Diff(slices.Compact(logged), slices.Compact(documented)); diff != "" {
		t.Errorf("lines of %s (-program +documented):\n%s", operationsPage, diff)
	}
}

// logLines are the messages that the packages below root log at level warn or
// error.
func logLines(t *testing.T, root string) (lines []string) {
	t.Helper()
	for _, dir := range []string{"cmd", "topology", "schemas", "processor"} {
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

// logLine is the message of a call such as log.Warn("…").
func logLine(n ast.Node) (string, bool) {
	c, ok := n.(*ast.CallExpr)
	if !ok || len(c.Args) == 0 {
		return "", false
	}
	method, ok := c.Fun.(*ast.SelectorExpr)
	if !ok || method.Sel.Name != "Warn" && method.Sel.Name != "Error" {
		return "", false
	}
	literal, ok := c.Args[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	line, err := strconv.Unquote(literal.Value)
	return line, err == nil
}

// TestDocumentedInternalTopics holds the names of internal topics against the
// topology's.
func TestDocumentedInternalTopics(t *testing.T) {
	page := readPage(t, operationsPage)
	for _, id := range []string{"<application_id>", "callstitch"} {
		c := topology.Config{ApplicationID: id}
		for _, name := range []string{c.ExchangeTopic(), c.ChangelogTopic()} {
			if !strings.Contains(page, name) {
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
		if strings.HasPrefix(f.GetName(), "callstitch_") && !strings.Contains(readPage(t, operationsPage), "| `"+f.GetName()+"` |") {
			t.Errorf("%s does not list %s", operationsPage, f.GetName())
		}
	}
}
