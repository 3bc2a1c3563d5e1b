package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/avro"
)

// Problem is one way in which a schema breaks the readers of an older one.
type Problem struct {
	Field string // path of the field, such as legs[].role; empty for the record itself
	What  string
}

func (p Problem) String() string {
	if p.Field == "" {
		return p.What
	}
	return p.Field + ": " + p.What
}

// CheckEvolution says what is wrong with replacing one released schema by the
// next. It is stricter than Avro's own rules, because sinks are: ClickHouse
// stops at a nested record that grew, and Iceberg ignores it. Fields are added
// only at the end of the record and with a default; none is ever removed,
// renamed, moved or given another type or default; nested records are frozen.
func CheckEvolution(older, newer string) []Problem {
	was, err := flatten(older)
	if err != nil {
		return []Problem{{What: "the older schema is no Avro: " + err.Error()}}
	}
	is, err := flatten(newer)
	if err != nil {
		return []Problem{{What: "the newer schema is no Avro: " + err.Error()}}
	}
	var problems []Problem
	if was.name != is.name {
		problems = append(problems, Problem{What: fmt.Sprintf("the record was renamed from %s to %s", was.name, is.name)})
	}
	problems = append(problems, changed(was, is)...)
	problems = append(problems, added(was, is)...)
	return append(problems, moved(was, is)...)
}

// changed finds the fields that are gone or mean something else.
func changed(was, is flatSchema) []Problem {
	var problems []Problem
	for _, f := range was.fields {
		n, ok := is.field(f.path)
		switch {
		case !ok:
			problems = append(problems, Problem{f.path, "removed or renamed; it must stay, even if it is null from now on"})
		case n.kind != f.kind:
			problems = append(problems, Problem{f.path, fmt.Sprintf("its type changed from %s to %s; add a field of another name instead", f.kind, n.kind)})
		case n.value != f.value:
			problems = append(problems, Problem{f.path, fmt.Sprintf("its default changed from %s to %s", f.value, n.value)})
		}
	}
	return problems
}

// added finds new fields where none may be.
func added(was, is flatSchema) []Problem {
	var problems []Problem
	for _, f := range is.fields {
		if _, ok := was.field(f.path); ok {
			continue
		}
		_, grown := was.field(f.parent)
		switch {
		case grown:
			problems = append(problems, Problem{f.path, "added to a nested record, which is frozen; add a new array beside it instead"})
		case f.parent == "" && f.value == noDefault:
			problems = append(problems, Problem{f.path, "added without a default, so that older records cannot be read"})
		}
	}
	return problems
}

// moved finds known fields in another order, and new ones before them.
func moved(was, is flatSchema) []Problem {
	var problems []Problem
	for _, parent := range was.parents() {
		before, after := was.children(parent), is.children(parent)
		for i := range min(len(before), len(after)) {
			if before[i] == after[i] {
				continue
			}
			if _, known := is.field(before[i]); known {
				problems = append(problems, Problem{before[i], fmt.Sprintf("its place was taken by %s; new fields go to the end", after[i])})
			}
			break
		}
	}
	return problems
}

// Diff shows the fields that two schemas do not share, one a line: - for the
// older, + for the newer. It is empty where they say the same.
func Diff(older, newer string) string {
	was, err := flatten(older)
	if err != nil {
		return "- " + err.Error() + "\n"
	}
	is, err := flatten(newer)
	if err != nil {
		return "+ " + err.Error() + "\n"
	}
	var b strings.Builder
	for _, f := range was.fields {
		n, ok := is.field(f.path)
		if ok && n == f {
			continue
		}
		fmt.Fprintf(&b, "- %s\n", f)
		if ok {
			fmt.Fprintf(&b, "+ %s\n", n)
		}
	}
	for _, f := range is.fields {
		if _, ok := was.field(f.path); !ok {
			fmt.Fprintf(&b, "+ %s\n", f)
		}
	}
	return b.String()
}

// flatSchema is a record with all its fields, those of nested records too, as
// one list in the order of the schema.
type flatSchema struct {
	name   string
	fields []flatField
}

type flatField struct {
	parent string // path of the field that holds the nested record; empty at the top
	path   string
	kind   string // the type, a nested record by its name
	value  string // the default as JSON, or noDefault
	words  string // the vocabulary as JSON
	number bool   // it is marked as a telephone number
	doc    string
}

const noDefault = "none"

func (f flatField) String() string {
	s := fmt.Sprintf("%s %s, default %s: %s", f.path, f.kind, f.value, f.doc)
	if f.words != "" {
		s += " " + f.words
	}
	return s
}

func flatten(schema string) (flatSchema, error) {
	parsed, err := avro.Parse(schema)
	if err != nil {
		return flatSchema{}, err
	}
	root := parsed.Root()
	s := flatSchema{name: kindOf(root)}
	s.add(root, "")
	return s, nil
}

// add appends the fields of the records in n. A type that is only named again
// has been added where it was defined.
func (s *flatSchema) add(n *avro.SchemaNode, path string) {
	for i := range n.Fields {
		f := &n.Fields[i]
		field := flatField{
			parent: path, path: strings.TrimPrefix(path+"."+f.Name, "."), kind: kindOf(&f.Type),
			value: defaultOf(f), words: wordsOf(f), number: f.Props["x-pii"] == "phone", doc: f.Doc,
		}
		s.fields = append(s.fields, field)
		s.add(&f.Type, field.path)
	}
	for i := range n.Branches {
		s.add(&n.Branches[i], path)
	}
	for _, inner := range []*avro.SchemaNode{n.Items, n.Values} {
		if inner != nil {
			s.add(inner, path)
		}
	}
}

func defaultOf(f *avro.SchemaField) string {
	if !f.HasDefault {
		return noDefault
	}
	return asJSON(f.Default)
}

func wordsOf(f *avro.SchemaField) string {
	words, ok := f.Props["x-values"]
	if !ok {
		return ""
	}
	return asJSON(words)
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // an infinite float
		return fmt.Sprint(v)
	}
	return string(b)
}

func (s flatSchema) field(path string) (flatField, bool) {
	i := slices.IndexFunc(s.fields, func(f flatField) bool { return f.path == path })
	if i < 0 {
		return flatField{}, false
	}
	return s.fields[i], true
}

// parents are the records that have fields, the top first.
func (s flatSchema) parents() []string {
	var parents []string
	for _, f := range s.fields {
		if !slices.Contains(parents, f.parent) {
			parents = append(parents, f.parent)
		}
	}
	return parents
}

func (s flatSchema) children(parent string) []string {
	var paths []string
	for _, f := range s.fields {
		if f.parent == parent {
			paths = append(paths, f.path)
		}
	}
	return paths
}

// kindOf is the type in one word, such as null|long.timestamp-millis.
func kindOf(n *avro.SchemaNode) string {
	switch n.Type {
	case "union":
		var branches []string
		for i := range n.Branches {
			branches = append(branches, kindOf(&n.Branches[i]))
		}
		return strings.Join(branches, "|")
	case "array":
		return "array<" + kindOf(n.Items) + ">"
	case "map":
		return "map<" + kindOf(n.Values) + ">"
	case "enum":
		return fullName(n) + "{" + strings.Join(n.Symbols, ",") + "}"
	case "fixed":
		return fmt.Sprintf("%s[%d]", fullName(n), n.Size)
	case "record", "error":
		return fullName(n)
	}
	if n.LogicalType != "" {
		return n.Type + "." + n.LogicalType
	}
	return n.Type
}
