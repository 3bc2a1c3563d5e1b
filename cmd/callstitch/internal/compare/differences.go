package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/number"
	"callstitch/schemas"
)

// Difference is one value that two records of a session do not share.
type Difference struct {
	Field string `json:"field"` // its name; in a list as legs.role
	Path  string `json:"path"`  // the same with the element, as legs[1].role
	// As JSON has them; parties, and what else others have written, are masked.
	A any `json:"a"`
	B any `json:"b"`

	// forms are how it is shown in A and in B, where it is a number and those are two ways.
	// Whether it is the same number cannot be told.
	forms *[2]string
}

// differences finds what two records differ in.
type differences struct {
	options *Options
	order   map[string]int  // of the fields, in the schema
	plain   map[string]bool // fields whose text is ours
	numbers map[string]bool // fields that emit.numbers is about
}

func newDifferences(o *Options) *differences {
	d := &differences{options: o, order: map[string]int{}, plain: map[string]bool{}, numbers: map[string]bool{}}
	for i, f := range fields() {
		d.order[f.Path] = i
		d.plain[f.Path] = f.Words || ourIDs(f.Path)
		d.numbers[f.Path] = f.Number
	}
	for _, key := range []string{call.AttributeAlias, call.AttributeActor} {
		d.numbers["attributes."+key] = true
	}
	return d
}

// ourIDs reports whether a field is an id that callstitch made: a hash.
func ourIDs(path string) bool {
	name := path[strings.LastIndexByte(path, '.')+1:]
	return name == "session_id" || name == "superseded_by" || name == "leg_id" || strings.HasSuffix(name, "_leg_id")
}

// between lists what differs, in the order of the schema.
func (d *differences) between(a, b []byte) ([]Difference, error) {
	of, err := d.read(a)
	if err != nil {
		return nil, err
	}
	other, err := d.read(b)
	if err != nil {
		return nil, err
	}
	return d.inside("", "", of, other), nil
}

// read is a record in canonical form.
func (d *differences) read(text []byte) (any, error) {
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	var of map[string]any
	if err := in.Decode(&of); err != nil {
		return nil, errNoSession
	}
	return d.canonical("", of), nil
}

// compareNames is the order of the schema. What it does not know comes last.
func (d *differences) compareNames(a, b string) int {
	i, ok := d.order[a]
	k, too := d.order[b]
	switch {
	case ok && too:
		return i - k
	case ok:
		return -1
	case too:
		return 1
	}
	return strings.Compare(a, b)
}

// member is the path of a field of the record at a path; that of a session is empty.
func member(of, name string) string { return strings.TrimPrefix(of+"."+name, ".") }

// canonical is a value as the digest has it: what says nothing is nil or absent.
func (d *differences) canonical(path string, value any) any {
	switch v := value.(type) {
	case bool:
		if !v {
			return nil
		}
	case []any:
		if path == "quality_flags" {
			v = slices.DeleteFunc(v, func(f any) bool { text, ok := f.(string); return ok && !schemas.CanonicalFlag(text) })
		}
		if len(v) == 0 {
			return nil
		}
		for i := range v {
			v[i] = d.canonical(path, v[i])
		}
		return v
	case map[string]any:
		for name := range v { // order: each has its own
			at := member(path, name)
			if v[name] = d.canonical(at, v[name]); v[name] == nil || d.options.passes(at) {
				delete(v, name)
			}
		}
		if len(v) == 0 {
			return nil
		}
	}
	return value
}

// inside finds what differs within two values: in lists of as many objects, the members of
// each.
func (d *differences) inside(field, path string, a, b any) (found []Difference) {
	if reflect.DeepEqual(a, b) {
		return nil
	}
	switch x := a.(type) {
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) || !objects(x) || !objects(y) {
			break
		}
		for i := range x {
			found = append(found, d.inside(field, fmt.Sprintf("%s[%d]", path, i), x[i], y[i])...)
		}
		return found
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			break
		}
		names := maps.Clone(x)
		maps.Copy(names, y)
		for _, name := range slices.SortedFunc(maps.Keys(names), func(a, b string) int { return d.compareNames(member(field, a), member(field, b)) }) {
			found = append(found, d.inside(member(field, name), member(path, name), x[name], y[name])...)
		}
		return found
	}
	return []Difference{{field, path, d.shown(field, a), d.shown(field, b), d.forms(field, a, b)}}
}

// forms are those of two numbers that are shown in two ways; nil for anything else.
func (d *differences) forms(field string, a, b any) *[2]string {
	x, ok := a.(string)
	y, too := b.(string)
	if !ok || !too || !d.numbers[field] {
		return nil
	}
	forms := [2]string{number.FormOf(x), number.FormOf(y)}
	if forms[0] == forms[1] {
		return nil
	}
	return &forms
}

func objects(list []any) bool {
	return !slices.ContainsFunc(list, func(v any) bool { _, ok := v.(map[string]any); return !ok })
}

const (
	// textShown bounds what is shown of a text, in bytes: most fields take no more.
	textShown = 256
	// elementsShown bounds what is shown of a list.
	elementsShown = 64
)

// shown is a value as it may be shown.
func (d *differences) shown(field string, value any) any {
	switch v := value.(type) {
	case string:
		if !d.plain[field] && !d.options.ShowNumbers {
			v = number.Mask(v)
		}
		if len(v) > textShown {
			v = strings.ToValidUTF8(v[:textShown], "") + "…"
		}
		return v
	case []any:
		if objects(v) {
			return fmt.Sprintf("%d elements", len(v))
		}
		all := make([]any, min(len(v), elementsShown))
		for i := range all {
			all[i] = d.shown(field, v[i])
		}
		if more := len(v) - len(all); more > 0 {
			all = append(all, fmt.Sprintf("and %d more", more))
		}
		return all
	case map[string]any:
		return fmt.Sprintf("%d members", len(v))
	}
	return value
}

// text is a value for people: instants as such.
func text(field string, value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		return v
	case json.Number:
		name := field[strings.LastIndexByte(field, '.')+1:]
		if ms, err := v.Int64(); err == nil && (name == "at" || strings.HasSuffix(name, "_at")) {
			return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
		}
		return v.String()
	case []any:
		words := make([]string, len(v))
		for i := range v {
			words[i] = text(field, v[i])
		}
		return "[" + strings.Join(words, " ") + "]"
	}
	return fmt.Sprint(value)
}
