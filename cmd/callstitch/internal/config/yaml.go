package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// yamlReader sets settings from YAML nodes. It goes on after a problem, so that
// one reading finds them all.
type yamlReader struct {
	*loader
	place   func(ast.Node) string
	anchors map[string]ast.Node
}

func (r *yamlReader) problem(n ast.Node, format string, args ...any) {
	r.lines = append(r.lines, r.place(n)+": "+fmt.Sprintf(format, args...))
}

func (r *yamlReader) document(text []byte, path string, v reflect.Value) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		r.syntax(err)
		return
	}
	r.anchors = map[string]ast.Node{}
	for i, doc := range file.Docs {
		if i > 0 && doc.Body != nil {
			r.problem(doc.Body, "a second document in one file: remove the line ---")
			return
		}
		if doc.Body != nil {
			r.value(doc.Body, path, v)
		}
	}
}

func (r *yamlReader) syntax(err error) {
	if at, ok := errors.AsType[yaml.Error](err); ok && at.GetToken() != nil {
		r.problem(ast.String(at.GetToken()), "%s", at.GetMessage())
		return
	}
	r.lines = append(r.lines, fmt.Sprintf("%s: %v", r.file, err))
}

func (r *yamlReader) value(n ast.Node, path string, v reflect.Value) {
	switch n := n.(type) {
	case *ast.AnchorNode:
		r.anchors[n.Name.GetToken().Value] = n.Value
		r.value(n.Value, path, v)
		return
	case *ast.AliasNode:
		r.alias(n, path, v)
		return
	case *ast.NullNode, *ast.CommentGroupNode:
		return // a key without a value keeps its default
	}
	if path != "" {
		r.origin[path] = r.place(n)
	}
	switch {
	case v.Kind() == reflect.Struct:
		r.mapping(n, path, v)
	case v.Kind() == reflect.Slice:
		r.sequence(n, path, v)
	default:
		r.scalar(n, path, v)
	}
}

func (r *yamlReader) alias(n *ast.AliasNode, path string, v reflect.Value) {
	name := n.Value.GetToken().Value
	target, ok := r.anchors[name]
	if !ok {
		r.problem(n, "no anchor &%s comes before this alias", name)
		return
	}
	// An anchor inside its own value would never end.
	delete(r.anchors, name)
	r.value(target, path, v)
	r.anchors[name] = target
}

func (r *yamlReader) mapping(n ast.Node, path string, v reflect.Value) {
	m, ok := n.(ast.MapNode)
	if !ok {
		r.problem(n, "%s must be a mapping of keys to values", orFile(path))
		return
	}
	for it := m.MapRange(); it.Next(); {
		key := it.Key().GetToken().Value
		field, ok := fieldOf(v, key)
		if !ok {
			r.problem(it.Key(), "unknown key %q; the nearest known one is %q", join(path, key), nearest(key, path, v))
			continue
		}
		r.value(it.Value(), join(path, key), field)
	}
}

func (r *yamlReader) sequence(n ast.Node, path string, v reflect.Value) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		r.problem(n, "%s must be a list", path)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values))
	for i, e := range s.Values {
		r.value(e, fmt.Sprintf("%s[%d]", path, i), list.Index(i))
	}
	v.Set(list)
}

func (r *yamlReader) scalar(n ast.Node, path string, v reflect.Value) {
	if _, ok := n.(ast.ScalarNode); !ok {
		r.problem(n, "%s must be a single value", path)
		return
	}
	text := n.GetToken().Value
	if block, ok := n.(*ast.LiteralNode); ok {
		text = block.Value.Value
	}
	if err := setScalar(v, text); err != nil {
		r.problem(n, "%s %v", path, err)
	}
}

// setScalar sets one value from its text; the error says what is expected.
func setScalar(v reflect.Value, text string) error {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := parseDuration(text)
		if err == nil {
			v.SetInt(int64(d))
		}
		return err
	}
	if v.Type() == reflect.TypeFor[Size]() {
		n, err := parseSize(text)
		if err == nil {
			v.SetInt(int64(n))
		}
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("must be true or false, not %q", text)
		}
		v.SetBool(b)
	default:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("must be a whole number of at most %d bits, not %q", v.Type().Bits(), text)
		}
		v.SetInt(n)
	}
	return nil
}

// parseDuration reads a Go duration, or whole days such as 7d.
func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("must be a time with its unit, such as 100ms, 30s, 5m, 24h or 7d, not %q", text)
	}
	return d, nil
}

func orFile(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// FormatDuration is a duration without its zero parts, as a configuration would
// have it: 5s, 1m, 87600h.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
