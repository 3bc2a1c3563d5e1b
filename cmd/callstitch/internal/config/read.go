package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Inputs are what a configuration is read from, later ones winning over earlier
// ones and over the defaults.
type Inputs struct {
	File    string   // YAML; empty: none
	Environ []string // as os.Environ gives it
	Flags   []Flag
	Needs   Needs // what must be there
}

// Needs are what a command cannot do without, of what has no default.
type Needs uint8

const (
	// ToRun is what the processor needs: brokers and sources.
	ToRun Needs = 1 << iota
	// ToReceive is what the front door needs: brokers, endpoints or feeds, and the
	// files with their secrets.
	ToReceive
	// ToDoAll is what either needs whose configuration there is; the processor's,
	// where there is neither.
	ToDoAll
)

// Flag is a flag of the command line that stands for a key.
type Flag struct{ Name, Key, Value string }

// Read is the configuration, valid. The error is an *Error with every problem.
// unknown are the variables that have our prefix and set no key: worth a warning
// and no more, for others may name things in our environment.
func Read(in Inputs) (cfg *Config, unknown []string, err error) {
	l := newLoader()
	if in.File != "" {
		if err := l.readFile(in.File); err != nil {
			return nil, nil, &Error{[]string{err.Error()}}
		}
	}
	l.readEnvironment(in.Environ)
	for _, f := range in.Flags {
		l.readFlag(f.Key, f.Value, "--"+f.Name)
	}
	cfg, err = l.finish(in.Needs)
	return cfg, l.unknown, err
}

// envPrefix begins the name of every variable that sets a key.
const envPrefix = "CALLSTITCH_"

// clusterVariable matches what Kubernetes sets in every pod for a service that
// is called callstitch.
var clusterVariable = regexp.MustCompile(`^CALLSTITCH_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_[0-9]+_(TCP|UDP)(_[A-Z]+)?)?)$`)

// maxFileBytes bounds a configuration file: a larger one is a mix-up.
const maxFileBytes = 1 << 20

// Error is every problem of a configuration, each with the place that caused it:
// file:line:column, a variable, or a flag.
type Error struct{ lines []string }

func (e *Error) Error() string {
	noun := "problems"
	if len(e.lines) == 1 {
		noun = "problem"
	}
	return fmt.Sprintf("%d %s in the configuration:\n  %s", len(e.lines), noun, strings.Join(e.lines, "\n  "))
}

// loader fills a configuration from its sources, later ones over earlier ones, and
// remembers where each key was set.
type loader struct {
	cfg    Config
	file   string            // as the user named it; empty without one
	origin map[string]string // path of a key → where it was set
	lines  []string          // problems so far

	unknown []string // variables with our prefix that set no key
}

func newLoader() *loader {
	return &loader{cfg: Default(), origin: map[string]string{}}
}

// readFile takes the keys of a YAML file. An unreadable file is an error at
// once: nothing else could be said about it.
func (l *loader) readFile(path string) error {
	l.file = filepath.Clean(path)
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if info.Size() > maxFileBytes {
		return fmt.Errorf("read configuration: %s is larger than %d bytes", path, maxFileBytes)
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

// finish validates what was read. What is needed and not there is among the problems.
func (l *loader) finish(needs Needs) (*Config, error) {
	if needs&ToDoAll != 0 {
		needs = l.cfg.configured()
	}
	problems := l.cfg.validate(needs)
	if needs&ToRun != 0 {
		problems = append(problems, l.cfg.missing()...)
	}
	if needs&ToReceive != 0 {
		problems = append(problems, l.cfg.missingToReceive()...)
	}
	for _, p := range problems {
		l.lines = append(l.lines, fmt.Sprintf("%s: %s %s", l.where(p.Key), p.Key, p.Text))
	}
	if len(l.lines) > 0 {
		return nil, &Error{l.lines}
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
