package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// envPrefix begins the name of every variable that sets a key.
const envPrefix = "CALLSTITCH_"

// clusterVariable matches what Kubernetes sets in every pod for a service that
// is called callstitch.
var clusterVariable = regexp.MustCompile(`^CALLSTITCH_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_[0-9]+_(TCP|UDP)(_[A-Z]+)?)?)$`)

// maxConfigBytes bounds a configuration file: a larger one is a mix-up.
const maxConfigBytes = 1 << 20

// configError is every problem of a configuration, each with the place that
// caused it: file:line:column, a variable, or a flag.
type configError struct{ lines []string }

func (e *configError) Error() string {
	noun := "problems"
	if len(e.lines) == 1 {
		noun = "problem"
	}
	return fmt.Sprintf("%d %s in the configuration:\n  %s", len(e.lines), noun, strings.Join(e.lines, "\n  "))
}

// loader fills a config from its sources, later ones over earlier ones, and
// remembers where each key was set.
type loader struct {
	cfg    config
	file   string            // as the user named it; empty without one
	origin map[string]string // path of a key → where it was set
	lines  []string          // problems so far

	// unknown are variables with our prefix that set no key. They are worth a
	// warning and no more: others may name things in our environment.
	unknown []string
}

func newLoader() *loader {
	return &loader{cfg: defaultConfig(), origin: map[string]string{}}
}

// readFile takes the keys of a YAML file. An unreadable file is an error at
// once: nothing else could be said about it.
func (l *loader) readFile(path string) error {
	l.file = filepath.Clean(path)
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if info.Size() > maxConfigBytes {
		return fmt.Errorf("read configuration: %s is larger than %d bytes", path, maxConfigBytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	r := &yamlReader{loader: l, place: func(n ast.Node) string {
		p := n.GetToken().Position
		return fmt.Sprintf("%s:%d:%d", l.file, p.Line, p.Column)
	}}
	r.document(text, "", reflect.ValueOf(&l.cfg).Elem())
	return nil
}

// readEnvironment takes the keys that variables set. Lists and numbers are
// written as in YAML; a list of words may also be separated by commas.
func (l *loader) readEnvironment(environ []string) {
	values := map[string]string{}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, envPrefix) {
			values[name] = value
		}
	}
	eachKey(reflect.ValueOf(&l.cfg).Elem(), "", func(path string, v reflect.Value) {
		name := envName(path)
		if value, ok := values[name]; ok {
			l.readText(value, path, name, v)
			delete(values, name)
		}
	})
	for name := range values {
		if !clusterVariable.MatchString(name) {
			l.unknown = append(l.unknown, name)
		}
	}
	slices.Sort(l.unknown)
}

// readFlag takes one key from a flag.
func (l *loader) readFlag(path, text, flag string) {
	eachKey(reflect.ValueOf(&l.cfg).Elem(), "", func(p string, v reflect.Value) {
		if p == path {
			l.readText(text, path, flag, v)
		}
	})
}

// readText takes the text of a variable or a flag as the value of one key.
func (l *loader) readText(text, path, place string, v reflect.Value) {
	l.origin[path] = place
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Type() == reflect.TypeFor[[]string]() && !strings.HasPrefix(text, "["):
		v.Set(reflect.ValueOf(strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })))
	default:
		r := &yamlReader{loader: l, place: func(ast.Node) string { return place }}
		r.document([]byte(text), path, v)
	}
}

// finish validates what was read. With needsBroker the keys that a command
// which meets a broker cannot do without are among the problems.
func (l *loader) finish(needsBroker bool) (*config, error) {
	problems := l.cfg.Validate()
	if needsBroker {
		problems = append(problems, l.cfg.Missing()...)
	}
	for _, p := range problems {
		l.lines = append(l.lines, fmt.Sprintf("%s: %s %s", l.where(p.Key), p.Key, p.Text))
	}
	if len(l.lines) > 0 {
		return nil, &configError{l.lines}
	}
	return &l.cfg, nil
}

// where names the place that set a key, or the nearest one around it.
func (l *loader) where(path string) string {
	for p := path; p != ""; p = p[:max(0, strings.LastIndexAny(p, ".["))] {
		if place, ok := l.origin[p]; ok {
			return place
		}
	}
	if l.file != "" {
		return l.file
	}
	return envName(path)
}

// envName is the variable of a key: http.listen is CALLSTITCH_HTTP_LISTEN.
func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// eachKey visits the settings under v that are no groups of other settings.
func eachKey(v reflect.Value, path string, visit func(path string, v reflect.Value)) {
	for i := range v.NumField() {
		p := join(path, v.Type().Field(i).Tag.Get("yaml"))
		if f := v.Field(i); f.Kind() == reflect.Struct {
			eachKey(f, p, visit)
		} else {
			visit(p, f)
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

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

func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// nearest is the path of the known key that key was most likely meant to be:
// one beside it with nearly its name, else one of its exact name elsewhere, else
// the least different one beside it.
func nearest(key, path string, v reflect.Value) string {
	best, least := "", len(key)+64
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("yaml")
		if d := editDistance(key, tag); d < least {
			best, least = join(path, tag), d
		}
	}
	if least > 2 {
		all := defaultConfig()
		eachKey(reflect.ValueOf(&all).Elem(), "", func(p string, _ reflect.Value) {
			if least > 0 && (p == key || strings.HasSuffix(p, "."+key)) {
				best, least = p, 0
			}
		})
	}
	return best
}

// editDistance is the number of letters to insert, remove, replace, or swap with
// the next one, that make b out of a.
func editDistance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

func orFile(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}
