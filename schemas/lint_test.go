package schemas

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/avro"
)

// lint holds a schema against what analytics sinks can load, beyond what Avro
// allows: it returns one line for each breach.
func lint(schema string) []string {
	parsed, err := avro.Parse(schema)
	if err != nil {
		return []string{err.Error()}
	}
	root := parsed.Root()
	l := &linter{names: map[string]bool{}}
	if root.Namespace != "callstitch.v1" {
		l.breach("", "namespace %q is not callstitch.v1", root.Namespace)
	}
	l.record(root, "")
	if l.maps > 1 {
		l.breach("", "%d maps, which BigQuery makes repeated records of; one is the most", l.maps)
	}
	return l.breaches
}

type linter struct {
	names    map[string]bool
	maps     int
	breaches []string
}

func (l *linter) breach(path, format string, args ...any) {
	l.breaches = append(l.breaches, strings.TrimPrefix(path+": ", ": ")+fmt.Sprintf(format, args...))
}

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func (l *linter) record(n *avro.SchemaNode, path string) {
	if l.names[n.Name] {
		l.breach(path, "a second record is named %s", n.Name)
	}
	l.names[n.Name] = true
	if n.Doc == "" {
		l.breach(path, "record %s has no doc", n.Name)
	}
	for i := range n.Fields {
		f := &n.Fields[i]
		p := strings.TrimPrefix(path+"."+f.Name, ".")
		if !snakeCase.MatchString(f.Name) {
			l.breach(p, "the name is not in snake case")
		}
		if f.Doc == "" {
			l.breach(p, "no doc")
		}
		l.field(f, p, path != "")
	}
}

func (l *linter) field(f *avro.SchemaField, path string, nested bool) {
	switch f.Type.Type {
	case "union":
		l.union(f, path)
	case "array":
		l.wantDefault(f, path, "[]")
		l.array(f.Type.Items, path, nested)
	case "map":
		l.maps++
		l.wantDefault(f, path, "{}")
		if f.Type.Values.Type != "string" {
			l.breach(path, "a map of %s, not of strings", f.Type.Values.Type)
		}
	case "boolean":
		l.wantDefault(f, path, "false")
	case "record":
		l.breach(path, "a record outside an array")
	default:
		l.scalar(f.Name, &f.Type, path)
	}
}

func (l *linter) wantDefault(f *avro.SchemaField, path, want string) {
	if got := defaultOf(f); got != want {
		l.breach(path, "default is %s, want %s", got, want)
	}
}

func (l *linter) union(f *avro.SchemaField, path string) {
	branches := f.Type.Branches
	if len(branches) != 2 || branches[0].Type != "null" {
		l.breach(path, "a union that is not null and one type, in this order")
		return
	}
	l.wantDefault(f, path, "null")
	l.scalar(f.Name, &branches[1], path)
}

func (l *linter) array(items *avro.SchemaNode, path string, nested bool) {
	switch {
	case nested:
		l.breach(path, "an array inside a nested record")
	case items.Type == "record":
		l.record(items, path)
	case items.Type != "string":
		l.breach(path, "an array of %s", items.Type)
	}
}

func (l *linter) scalar(name string, n *avro.SchemaNode, path string) {
	if !slices.Contains([]string{"string", "int", "long"}, n.Type) {
		l.breach(path, "type %s, which some sinks cannot load", n.Type)
	}
	if n.LogicalType != "" && n.LogicalType != "timestamp-millis" {
		l.breach(path, "logical type %s, which some sinks read as something else", n.LogicalType)
	}
	isTime := name == "at" || name == "event_time" || strings.HasSuffix(name, "_at")
	if isTime != (n.LogicalType == "timestamp-millis") {
		l.breach(path, "instants, and nothing else, are timestamp-millis and named _at")
	}
	isDuration := strings.HasSuffix(name, "_ms") || strings.HasSuffix(name, "_ms_sum") || strings.HasSuffix(name, "_s")
	if isDuration && n.Type != "long" && name != "event_time_precision_ms" {
		l.breach(path, "a duration that is no long")
	}
}

func TestLint(t *testing.T) {
	eachSubject(t, func(t *testing.T, s Subject) {
		for _, breach := range lint(s.Schema()) {
			t.Error(breach)
		}
	})
}

// A registry, and every tool that makes classes of schemas, knows a record by its
// name: no two topics have one in common.
func TestRecordNamesAreUnique(t *testing.T) {
	owner := map[string]Subject{}
	eachSubject(t, func(t *testing.T, s Subject) {
		l := &linter{names: map[string]bool{}}
		l.record(avro.MustParse(s.Schema()).Root(), "")
		for name := range l.names {
			if other, taken := owner[name]; taken {
				t.Errorf("%s and %s both have a record %s", other, s, name)
			}
			owner[name] = s
		}
	})
}

func TestLintFindsBreaches(t *testing.T) {
	const schema = `{"type":"record","name":"R","namespace":"callstitch.v1","doc":"d","fields":[%s]}`
	for name, c := range map[string]struct{ field, want string }{
		"sound":          {`{"name":"a","type":["null","string"],"default":null,"doc":"d"}`, ""},
		"enum":           {`{"name":"a","type":{"type":"enum","name":"E","symbols":["X"]},"doc":"d"}`, "type enum"},
		"bytes":          {`{"name":"a","type":"bytes","doc":"d"}`, "type bytes"},
		"float":          {`{"name":"a","type":["null","double"],"default":null,"doc":"d"}`, "type double"},
		"micros":         {`{"name":"a_at","type":{"type":"long","logicalType":"timestamp-micros"},"doc":"d"}`, "timestamp-micros"},
		"plain instant":  {`{"name":"a_at","type":"long","doc":"d"}`, "named _at"},
		"instant's name": {`{"name":"a","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"d"}`, "named _at"},
		"duration":       {`{"name":"a_ms","type":"int","doc":"d"}`, "no long"},
		"multi-union":    {`{"name":"a","type":["null","string","long"],"default":null,"doc":"d"}`, "null and one type"},
		"null last":      {`{"name":"a","type":["string","null"],"default":"","doc":"d"}`, "null and one type"},
		"no default":     {`{"name":"a","type":["null","string"],"doc":"d"}`, "default is none, want null"},
		"null array":     {`{"name":"a","type":["null",{"type":"array","items":"string"}],"default":null,"doc":"d"}`, "type array"},
		"bare array":     {`{"name":"a","type":{"type":"array","items":"string"},"doc":"d"}`, "want []"},
		"array of array": {`{"name":"a","type":{"type":"array","items":{"type":"array","items":"string"}},"default":[],"doc":"d"}`, "an array of array"},
		"deep array": {`{"name":"a","type":{"type":"array","items":{"type":"record","name":"N","doc":"d","fields":[
			{"name":"b","type":{"type":"array","items":"string"},"default":[],"doc":"d"}]}},"default":[],"doc":"d"}`, "inside a nested record"},
		"recursion": {`{"name":"a","type":{"type":"array","items":"R"},"default":[],"doc":"d"}`, "an array of R"},
		"record":    {`{"name":"a","type":{"type":"record","name":"N","doc":"d","fields":[]},"doc":"d"}`, "outside an array"},
		"boolean":   {`{"name":"a","type":"boolean","doc":"d"}`, "want false"},
		"doc":       {`{"name":"a","type":"string"}`, "no doc"},
		"name":      {`{"name":"aB","type":"string","doc":"d"}`, "snake case"},
		"map":       {`{"name":"a","type":{"type":"map","values":"long"},"default":{},"doc":"d"}`, "map of long"},
		"two maps": {`{"name":"a","type":{"type":"map","values":"string"},"default":{},"doc":"d"},
			{"name":"b","type":{"type":"map","values":"string"},"default":{},"doc":"d"}`, "2 maps"},
		"no Avro": {`{"name":"a","type":"text"}`, "text"},
	} {
		got := lint(fmt.Sprintf(schema, c.field))
		if c.want == "" && len(got) != 0 || c.want != "" && !strings.Contains(strings.Join(got, "\n"), c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if got := lint(`{"type":"record","name":"R","namespace":"callstitch.v2","fields":[]}`); len(got) != 2 {
		t.Errorf("namespace and doc of the record: got %q", got)
	}
}
