package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"callstitch/internal/docpage"
)

const (
	operationsPage = "../../../../docs/operations.md"
	receivePage    = "../../../../docs/receive.md"
)

// ofReceive reports whether a key is below receive, which has a page of its own.
func ofReceive(key string) bool { return strings.HasPrefix(key, "receive.") }

// TestDocumentedDefaults holds the configuration in docs/operations.md against
// the program's: it sets every key there is, each to its default.
func TestDocumentedDefaults(t *testing.T) {
	shown := docpage.Read(t, operationsPage).Blocks("yaml")
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
	got, err := l.finish(ToRun)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Kafka.Brokers = []string{"127.0.0.1:9092"} // the two keys without a default
	want.Sources = []Source{{Topic: "call.raw"}}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("-default +documented:\n%s", diff)
	}
	for _, key := range allKeys() {
		if _, set := l.origin[strings.Replace(key, "[]", "[0]", 1)]; !set && !ofReceive(key) {
			t.Errorf("the configuration in %s does not show %s", operationsPage, key)
		}
	}
}

// TestDocumentedConnections reads the configuration that docs/operations.md shows of
// connections: nothing is wrong with it but that its files are not here.
func TestDocumentedConnections(t *testing.T) {
	shown := docpage.Read(t, operationsPage).Section(t, "## Connections").Blocks("yaml")
	if len(shown) != 1 {
		t.Fatalf("%s shows %d of them", operationsPage, len(shown))
	}
	file := filepath.Join(t.TempDir(), "callstitch.yaml")
	if err := os.WriteFile(file, []byte(shown[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLoader()
	if err := l.readFile(file); err != nil || len(l.lines) > 0 {
		t.Fatal(err, l.lines)
	}
	for _, p := range l.cfg.validate(0) {
		if !strings.Contains(p.Text, "no such file") {
			t.Errorf("%s %s", p.Key, p.Text)
		}
	}
}

// TestDocumentedReceive holds the configurations in docs/receive.md against the program's:
// the first shows each key with its default, and the second, beside it, each of an
// endpoint and of a feed.
func TestDocumentedReceive(t *testing.T) {
	shown := docpage.Read(t, receivePage).Section(t, "## Configuration").Blocks("yaml")
	if len(shown) != 2 {
		t.Fatalf("%s shows %d configurations", receivePage, len(shown))
	}
	set := map[string]bool{}
	for i, text := range shown {
		file := filepath.Join(t.TempDir(), "callstitch.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l := newLoader()
		if err := l.readFile(file); err != nil {
			t.Fatal(err)
		}
		got, err := l.finish(0)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(defaultReceive(), got.Receive, cmpopts.EquateEmpty()); i == 0 && diff != "" {
			t.Errorf("-default +documented:\n%s", diff)
		}
		for key := range l.origin {
			set[regexp.MustCompile(`\[\d+\]`).ReplaceAllString(key, "[]")] = true
		}
	}
	for _, key := range allKeys() {
		if ofReceive(key) && !set[key] {
			t.Errorf("the configurations in %s do not show %s", receivePage, key)
		}
	}
}

// TestDocumentedKeys holds the tables of keys against the program's, both ways.
func TestDocumentedKeys(t *testing.T) {
	for page, mine := range map[string]func(string) bool{
		operationsPage: func(key string) bool { return !ofReceive(key) },
		receivePage:    ofReceive,
	} {
		documented := docpage.Read(t, page).Section(t, "## Configuration").FirstWords()
		var all []string
		for _, key := range documented {
			if before, after, each := strings.Cut(key, ".*."); each {
				for _, o := range (&Topics{}).each() {
					all = append(all, before+"."+o.key+"."+after)
				}
				continue
			}
			all = append(all, key)
		}
		slices.Sort(all)
		want := slices.DeleteFunc(allKeys(), func(key string) bool { return !mine(key) })
		slices.Sort(want)
		if diff := cmp.Diff(want, all); diff != "" {
			t.Errorf("keys of the table in %s (-program +documented):\n%s", page, diff)
		}
	}
}

// elements are the lists of groups of settings, each with an element of it.
var elements = map[string]any{"sources": Source{}, "receive.endpoints": Endpoint{}, "receive.feeds": Feed{}}

// allKeys lists the paths of all keys; those of a source as sources[].topic.
func allKeys() (keys []string) {
	c := Default()
	visit := func(path string, _ reflect.Value) {
		if elements[path] == nil {
			keys = append(keys, path)
		}
	}
	eachKey(reflect.ValueOf(&c).Elem(), "", visit)
	for path, element := range elements {
		eachKey(reflect.ValueOf(element), path+"[]", visit)
	}
	return keys
}

// TestDocumentedEnvironment reads the variables that docs/operations.md shows.
func TestDocumentedEnvironment(t *testing.T) {
	var environ []string
	for _, m := range regexp.MustCompile(`(?m)^\$ export (CALLSTITCH_\S+=.*)$`).FindAllStringSubmatch(string(docpage.Read(t, operationsPage)), -1) {
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
