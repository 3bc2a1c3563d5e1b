package arch

import (
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"callstitch/processor/call"
)

const root = "../.."

func sources(t *testing.T) []*file {
	t.Helper()
	fset := token.NewFileSet()
	var files []*file
	err := walk(root, ".go", func(name string, content []byte) error {
		f, err := parse(fset, name, content)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no Go files: is the module's root elsewhere?")
	}
	return files
}

func report(t *testing.T, found []finding) {
	t.Helper()
	for _, f := range found {
		t.Error(f)
	}
}

func TestImportsPointInward(t *testing.T) {
	packages := map[string]bool{}
	for _, f := range sources(t) {
		packages[f.pkg] = true
		report(t, checkImports(f))
	}
	for name := range rules {
		if !packages[name] {
			t.Errorf("internal/arch has a rule for %s, which is no package", name)
		}
	}
}

const dependencies = "docs/decisions/0001-direct-dependencies.md"

func TestDependenciesAreDecided(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, dependencies))
	if err != nil {
		t.Fatal(err)
	}
	var decided []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\S+\.\S+/\S+) \|`).FindAllSubmatch(page, -1) {
		decided = append(decided, string(m[1]))
	}
	used := map[string]bool{}
	for _, f := range sources(t) {
		for _, spec := range f.syntax.Imports {
			imported := importPath(spec)
			if !isForeign(imported) {
				continue
			}
			m := moduleOf(imported, decided)
			if m == "" {
				report(t, []finding{f.at(spec, "%s is not in %s: why do we need it?", imported, dependencies)})
			}
			used[m] = true
		}
	}
	for _, m := range decided {
		if !used[m] {
			t.Errorf("%s lists %s, which nothing imports", dependencies, m)
		}
	}
}

func TestModuleOfAPackage(t *testing.T) {
	decided := []string{"a.org/b", "a.org/b/c"}
	for imported, want := range map[string]string{
		"a.org/b": "a.org/b", "a.org/b/x": "a.org/b", "a.org/b/c/x": "a.org/b/c", "a.org/bb": "", "a.org": "",
	} {
		if got := moduleOf(imported, decided); got != want {
			t.Errorf("moduleOf(%s) = %q, want %q", imported, got, want)
		}
	}
}

func TestDomainIsPure(t *testing.T) {
	for _, f := range sources(t) {
		report(t, checkPure(f))
	}
}

func TestOneLoopDrivesTheTasks(t *testing.T) {
	for _, f := range sources(t) {
		report(t, checkOneLoop(f))
	}
}

func TestNoMapOrderReachesAResult(t *testing.T) {
	files := sources(t)
	var names []string
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		if rules[name].pure {
			names = append(names, name)
		}
	}
	var paths []string
	for _, name := range names {
		paths = append(paths, module+"/"+name)
	}
	exports, err := exportData(root, paths...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := typesOf(files[0].fset, name, files, exports)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, f := range files {
			if f.pkg == name && f.built() {
				report(t, checkOrder(f, info))
			}
		}
	}
}

func TestNothingIsUnfinished(t *testing.T) {
	for _, ext := range []string{".go", ".md", ".yaml", ".yml", ".avsc", ".txtar", "Makefile", "Dockerfile"} {
		err := walk(root, ext, func(name string, content []byte) error {
			report(t, checkFinished(name, content))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	err := walk(root, ".md", func(name string, content []byte) error {
		report(t, checkLinks(root, name, content))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMarksLeadSomewhere(t *testing.T) {
	defined, cited := marks{}, map[string]bool{}
	for name, pattern := range map[string]*regexp.Regexp{promises: promisePattern, pitfalls: pitfallPattern} {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		defined.define(name, content, pattern)
	}
	for _, f := range sources(t) {
		report(t, checkMarks(f, defined, cited))
	}
	content, err := os.ReadFile(filepath.Join(root, pitfalls))
	if err != nil {
		t.Fatal(err)
	}
	report(t, checkCited(content, defined, cited))
}

// providerNames are what only files about providers may name.
func providerNames() []string {
	names := []string{"freeswitch"} // which some of them run
	for _, p := range call.Providers() {
		names = append(append(names, p.String()), p.Aliases()...)
	}
	return names
}

func TestProvidersAreNamedOnlyWhereTheyAreTheSubject(t *testing.T) {
	err := walk(root, ".go", func(name string, content []byte) error {
		report(t, checkNames(name, content, providerNames()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range mayNameProviders {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Errorf("internal/arch lets %s name providers: %v", name, err)
		}
	}
}

func TestANamedProviderIsFound(t *testing.T) {
	for _, test := range []struct{ file, src, want string }{
		{"processor/stitch/a.go", "if e.Provider == call.Stringee {", "names stringee"},
		{"processor/stitch/a.go", "// at Xelion", "names xelion"},
		{"topology/a.go", `"bandwidth"`, "names bandwidth"},
		{"topology/kafka/a.go", "// as FreeSWITCH does", "names freeswitch"},
		{"cmd/callstitch/a.go", "call.Sonetel", "names sonetel"},
		{"processor/call/a.go", "// Opentact", "names opentact"},
		{"processor/call/provider.go", "Opentact", ""},
		{"processor/decode/a.go", "Opentact", "names opentact"},
		{"processor/decode/opentact.go", "Opentact", ""},
		{"internal/receive/a.go", "Opentact", "names opentact"},
		{"internal/receive/answers.go", "Opentact", ""},
		{"internal/receive/auth/stringee.go", "Stringee", ""},
		{"processor/session/dialect.go", "Opentact", ""},
		{"processor/stitch/a_test.go", "call.Opentact", ""},
		{"processor/stitch/a.go", "p.Traits().OneCallID", ""},
	} {
		expect(t, checkNames(test.file, []byte(test.src), providerNames()), test.want)
	}
}

func TestHalvesStayApart(t *testing.T) {
	files := sources(t)
	exports, err := exportData(root, module+"/"+twoHalves)
	if err != nil {
		t.Fatal(err)
	}
	info, err := typesOf(files[0].fset, twoHalves, files, exports)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, f := range files {
		there[f.path] = true
		if f.built() {
			report(t, checkHalves(f, info))
		}
	}
	for _, h := range halves {
		for _, name := range h.files {
			if !there[twoHalves+"/"+name+".go"] {
				t.Errorf("internal/arch says that %s.go of %s %s: there is no such file", name, twoHalves, h.does)
			}
		}
	}
}

func TestHalvesThatMeetAreFound(t *testing.T) {
	for _, test := range []struct {
		user, owner string // files
		want        string
	}{
		{"run", "reset", "which looks from outside"},
		{"reset", "run", "which runs"},
		{"offsets", "run", "which runs"},
		{"offsets", "reset", "which looks from outside"},
		{"run", "offsets", ""},
		{"reset", "offsets", ""},
		{"run", "status", ""},
	} {
		fset := token.NewFileSet()
		var files []*file
		for name, src := range map[string]string{
			test.user:  "package p\nvar n = new(thing).size()",
			test.owner: "package p\ntype thing int\nfunc (t *thing) size() int { return int(*t) }",
		} {
			f, err := parse(fset, twoHalves+"/"+name+".go", []byte(src))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		info, err := typesOf(fset, twoHalves, files, nil)
		if err != nil {
			t.Fatal(err)
		}
		var found []finding
		for _, f := range files {
			found = append(found, checkHalves(f, info)...)
		}
		expect(t, found, test.want)
	}
}

// TestRulesFire shows each rule what it is there to find, and what it is not.
func TestRulesFire(t *testing.T) {
	tests := []struct {
		name string
		file string
		src  string
		want string // in the only finding; empty: none
	}{
		{"the domain imports a package that waits", "processor/call/a.go", `import "context"`, "may not import context"},
		{"the domain imports a logger", "processor/stitch/a.go", `import "log/slog"`, "may not import log/slog"},
		{"the domain imports chance", "processor/stitch/a.go", `import "math/rand/v2"`, "may not import math/rand/v2"},
		{"the domain imports what is outside it", "processor/stitch/a.go", `import "callstitch/topology"`, "may not import"},
		{"stitch imports decode", "processor/stitch/a.go", `import "callstitch/processor/decode"`, "may not import"},
		{"a leg imports its session", "processor/leg/a.go", `import "callstitch/processor/session"`, "may not import"},
		{"a session imports the machine", "processor/session/a.go", `import "callstitch/processor/stitch"`, "may not import"},
		{"a session reads state", "processor/session/a.go", `import "callstitch/topology"`, "may not import"},
		{"decode tests its reading of JSON", "processor/decode/a_test.go", `import "github.com/go-json-experiment/json/jsontext"`, ""},
		{"decode reads JSON as others do", "processor/decode/a.go", `import "github.com/go-json-experiment/json/jsontext"`, "may not import"},
		{"stitch reads JSON", "processor/stitch/a.go", `import "github.com/go-json-experiment/json/jsontext"`, "may not import"},
		{"schemas imports topology", "schemas/a.go", `import "callstitch/topology"`, "may not import"},
		{"topology imports kgo", "topology/a.go", `import "github.com/twmb/franz-go/pkg/kgo"`, "alone speaks to brokers"},
		{"the command imports kgo", "cmd/callstitch/a.go", `import "github.com/twmb/franz-go/pkg/kgo"`, "alone speaks to brokers"},
		{"the command's test imports kadm", "cmd/callstitch/a_test.go", `import "github.com/twmb/franz-go/pkg/kadm"`, "alone speaks to brokers"},
		{"the runtime imports kgo", "topology/kafka/a.go", `import "github.com/twmb/franz-go/pkg/kgo"`, ""},
		{"the runtime imports goavro", "topology/kafka/a.go", `import "github.com/linkedin/goavro/v2"`, "schemas alone"},
		{"run imports the fake broker", "cmd/callstitch/run.go", `import "github.com/twmb/franz-go/pkg/kfake"`, "for the demo and tests"},
		{"the demo imports the fake broker", "cmd/callstitch/demo.go", `import "github.com/twmb/franz-go/pkg/kfake"`, ""},
		{"a test imports the fake broker", "cmd/callstitch/run_test.go", `import "github.com/twmb/franz-go/pkg/kfake"`, ""},
		{"the domain imports calltest", "processor/stitch/a.go", `import "callstitch/processor/call/calltest"`, "for tests"},
		{"a program imports topologytest", "cmd/callstitch/run.go", `import "callstitch/topology/topologytest"`, "for tests"},
		{"a program imports docpage", "cmd/callstitch/run.go", `import "callstitch/internal/docpage"`, "for tests"},
		{"rawfile imports the configuration", "cmd/callstitch/internal/rawfile/a.go", `import "callstitch/cmd/callstitch/internal/config"`, "may not import"},
		{"the simulator imports the domain", "internal/simulator/a.go", `import "callstitch/processor/call"`, "may not import"},
		{"authentication reads a request", "internal/receive/auth/a.go", `import "net/http"`, "may not import net/http"},
		{"authentication reads a secret's file", "internal/receive/auth/a.go", `import "callstitch/internal/secret"`, "may not import"},
		{"the door imports kgo", "internal/receive/a.go", `import "github.com/twmb/franz-go/pkg/kgo"`, ""},
		{"the door decodes", "internal/receive/a.go", `import "callstitch/processor/decode"`, "may not import"},
		{"a package without a rule", "util/a.go", ``, "has no rule"},

		{"a goroutine in the domain", "processor/call/a.go", `func f() { go f() }`, "a goroutine"},
		{"a channel in the domain", "processor/call/a.go", `var c chan int`, "a channel"},
		{"a select in the domain", "processor/call/a.go", `func f() { select {} }`, "a channel"},
		{"the clock in the domain", "processor/call/a.go", "import \"time\"\nvar t = time.Now()", "a clock"},
		{"a timer in a task", "topology/a.go", "import \"time\"\nvar t = time.NewTimer(1)", "a clock"},
		{"arithmetic of time in the domain", "processor/call/a.go", "import \"time\"\nvar t = time.UnixMilli(1)", ""},
		{"the clock in the runtime", "topology/kafka/a.go", "import \"time\"\nvar t = time.Now()", ""},
		{"the clock in a test", "processor/call/a_test.go", "import \"time\"\nvar t = time.Now()", ""},

		{"a runtime tells offsets itself", "topology/kafka/a.go", `func f(t interface{ Sent(int) }) { t.Sent(1) }`, "is topology.Worker's"},
		{"a runtime ticks itself", "topology/memory/a.go", `func f(k interface{ EnvelopeFor() }) { k.EnvelopeFor() }`, "is topology.Worker's"},
		{"the worker ticks", "topology/a.go", `func f(k interface{ EnvelopeFor() }) { k.EnvelopeFor() }`, ""},

		{"a loop over a map", "processor/call/a.go", `func f(m map[int]int) { for range m {} }`, "loops over a map"},
		{"a loop over a named map", "topology/a.go", "type set map[int]bool\nfunc f(m set) { for range m {} }", "loops over a map"},
		{"a loop over a slice", "processor/call/a.go", `func f(m []int) { for range m {} }`, ""},
		{"a loop over a map that gives its reason", "processor/call/a.go", "func f(m map[int]int) (n int) {\n// order: a sum has none\nfor _, v := range m { n += v }\nreturn n }", ""},
		{"a loop over a map with an empty reason", "processor/call/a.go", "func f(m map[int]int) {\n// order:\nfor range m {} }", "loops over a map"},
		{"keys as they come", "processor/call/a.go", "import \"maps\"\nfunc f(m map[int]int) { for range maps.Keys(m) {} }", "maps.Keys"},
		{"keys in order", "processor/call/a.go", "import (\"maps\"; \"slices\")\nfunc f(m map[int]int) []int { return slices.Sorted(maps.Keys(m)) }", ""},
		{"a loop over a map in the runtime", "topology/kafka/a.go", `func f(m map[int]int) { for range m {} }`, ""},
	}
	exports, err := exportData(root, "maps", "slices", "time")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, err := parse(token.NewFileSet(), test.file, []byte("package p\n"+test.src))
			if err != nil {
				t.Fatal(err)
			}
			found := slices.Concat(checkImports(f), checkPure(f), checkOneLoop(f))
			if len(found) == 0 && !slices.ContainsFunc(f.syntax.Imports, func(s *ast.ImportSpec) bool { return exports[importPath(s)] == "" }) {
				info, err := typesOf(f.fset, f.pkg, []*file{f}, exports)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, checkOrder(f, info)...)
			}
			expect(t, found, test.want)
		})
	}
}

func expect(t *testing.T, found []finding, want string) {
	t.Helper()
	if want == "" {
		if len(found) > 0 {
			t.Errorf("found %v, want nothing", found)
		}
		return
	}
	if len(found) != 1 || !strings.Contains(found[0].text, want) {
		t.Errorf("found %v, want one finding with %q", found, want)
	}
}

func TestDeadMarkIsFound(t *testing.T) {
	const page = "# Pitfalls\n\n## K1 One\n\nWhat.\n\n## K2 Two\n\nDoes not concern us.\n\n## K12 Twelve\n\nWhat.\n"
	for comment, want := range map[string]string{
		"K1, K12 and P1":    "",
		"K1, K12 and K3":    "K3 is neither",
		"K1, K12 and P2":    "P2 is neither",
		"K1, K12 and O3":    "O3 is neither",
		"K1, K12 and K2":    "K2 is no concern",
		"K1 alone":          "K12 is met",
		"K12 alone":         "K1 is met",
		"K1, K12, PK3, P3a": "",
	} {
		defined, cited := marks{}, map[string]bool{}
		defined.define(promises, []byte("| P1 | a promise |\n| | P2 |\n"), promisePattern)
		defined.define(pitfalls, []byte(page), pitfallPattern)
		f, err := parse(token.NewFileSet(), "a/a.go", []byte("package a\n\n// "+comment+"\nvar s = \"K9\"\n"))
		if err != nil {
			t.Fatal(err)
		}
		found := checkMarks(f, defined, cited)
		expect(t, append(found, checkCited([]byte(page), defined, cited)...), want)
	}
}

func TestUnfinishedWorkIsFound(t *testing.T) {
	for _, src := range []string{"// TO" + "DO: later", "// FIX" + "ME", "t.Sk" + `ip("no Kafka")`, "b.Sk" + "ipNow()", `errors.New("not imple` + `mented")`} {
		expect(t, checkFinished("a.go", []byte("package p\n"+src)), "finish it")
	}
	expect(t, checkFinished("a.go", []byte("// to do so, skip blank lines\nskip(x)")), "")
}

func TestDeadLinkIsFound(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "b.md"), []byte("# The `run` command\n```sh\n# not a heading\n```\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"[a](b.md)":                       "",
		"[a](b.md#the-run-command)":       "",
		"[a](#here)\n## Here":             "",
		"[a](https://example.org/x)":      "",
		"`[a](c.md)`":                     "",
		"```\n[a](c.md)\n```":             "",
		"[a](c.md)":                       "no such file",
		"[a](b.md#not-a-heading)":         "no such heading",
		"[a](#there)\n## Here":            "no such heading",
		"[![badge](c.svg)](b.md \"why\")": "no such file",
	} {
		expect(t, checkLinks(dir, "a.md", []byte(text)), want)
	}
}
