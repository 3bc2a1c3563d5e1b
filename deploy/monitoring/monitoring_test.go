package monitoring

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"callstitch/internal/docpage"
)

var update = flag.Bool("update", false, "write dashboard.json anew")

const (
	operationsPage = "../../docs/operations.md"
	receivePage    = "../../docs/receive.md"
)

// tool is a program of Debian's package prometheus.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed; type: sudo apt-get update && sudo apt-get install -y prometheus", name)
	}
	return path
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), tool(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestTools is run by `make test` before the tests that take long, so that what is
// missing is said at once.
func TestTools(t *testing.T) {
	tool(t, "promtool")
	tool(t, "prometheus")
}

func unmarshal(t *testing.T, file string, v any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

type alert struct {
	Alert, Expr, For string
	Annotations      map[string]string
}

// alerts are the rules, by group.
func alerts(t *testing.T) map[string][]alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	unmarshal(t, "alerts.yaml", &file)
	groups := map[string][]alert{}
	for _, g := range file.Groups {
		groups[g.Name] = g.Rules
	}
	return groups
}

// alertRow is an alert in a table: its name, the runbook, when, and for how long.
var alertRow = regexp.MustCompile("(?m)^\\| \\[`(\\w+)`\\]\\(([^)]*)\\) \\| `((?:[^`])*)`(?: for (\\d+) m)? \\|")

// TestAlertsAreDocumented holds the tables of the pages against the rules, both ways, and
// their runbooks against the headings.
func TestAlertsAreDocumented(t *testing.T) {
	type row struct{ Name, Runbook, Expr, For string }
	for group, page := range map[string]string{"callstitch": operationsPage, "callstitch-receive": receivePage} {
		var documented, want []row
		_, rest, _ := strings.Cut(string(docpage.Read(t, page)), "Worth an alert")
		for _, m := range alertRow.FindAllStringSubmatch(rest, -1) {
			documented = append(documented, row{m[1], "docs/operations.md" + m[2][strings.Index(m[2], "#"):], strings.ReplaceAll(m[3], `\|`, "|"), m[4]})
		}
		for _, a := range alerts(t)[group] {
			runbook := a.Annotations["runbook_url"]
			want = append(want, row{a.Alert, runbook, a.Expr, strings.TrimSuffix(a.For, "m")})
			if runbook != "docs/operations.md#"+strings.ToLower(a.Alert) {
				t.Errorf("%s has the runbook %q", a.Alert, runbook)
			}
			if len(docpage.Read(t, operationsPage).Section(t, "### "+a.Alert)) < 100 {
				t.Errorf("the runbook of %s says nothing", a.Alert)
			}
		}
		if diff := cmp.Diff(want, documented); len(want) == 0 || diff != "" {
			t.Errorf("%s (-rules +documented):\n%s", page, diff)
		}
	}
	runbooks := regexp.MustCompile(`(?m)^### Callstitch\w+$`).FindAllString(string(docpage.Read(t, operationsPage).Section(t, "## Runbooks")), -1)
	if n := len(alerts(t)["callstitch"]) + len(alerts(t)["callstitch-receive"]); n != len(runbooks) {
		t.Errorf("there are %d alerts and %d runbooks", n, len(runbooks))
	}
}

// TestAlertsFire has promtool play the cases, and sees that each alert has one in which it
// fires and one in which it does not.
func TestAlertsFire(t *testing.T) {
	output(t, "promtool", "test", "rules", "alerts_test.yaml")
	var file struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string
				ExpAlerts []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	unmarshal(t, "alerts_test.yaml", &file)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, a := range test.AlertRuleTest {
			if len(a.ExpAlerts) > 0 {
				fires[a.Alertname] = true
			} else {
				silent[a.Alertname] = true
			}
		}
	}
	for _, group := range alerts(t) {
		for _, a := range group {
			if !fires[a.Alert] || !silent[a.Alert] {
				t.Errorf("%s: a case that fires: %t; one that does not: %t", a.Alert, fires[a.Alert], silent[a.Alert])
			}
			delete(fires, a.Alert)
			delete(silent, a.Alert)
		}
	}
	if len(fires)+len(silent) > 0 {
		t.Errorf("cases of alerts that are not there: %v %v", fires, silent)
	}
}

// TestDashboardIsThatOfTheTable holds what Grafana imports against the table of panels.
func TestDashboardIsThatOfTheTable(t *testing.T) {
	want, err := dashboard(rows)
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("dashboard.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("dashboard.json is not that of panels.go; type: go test ./deploy/monitoring -run Dashboard -update")
	}
	// No two panels lie on one another.
	var d struct {
		Panels []struct {
			Title   string
			GridPos struct{ X, Y, W, H int }
		}
	}
	if err := json.Unmarshal(got, &d); err != nil {
		t.Fatal(err)
	}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if taken[at] != "" || at[0] >= 24 {
					t.Fatalf("%s lies on %s, or outside", p.Title, taken[at])
				}
				taken[at] = p.Title
			}
		}
	}
}

// expressions are those of all panels and alerts, by where they are, as Prometheus is asked:
// over an interval that is longer than a test has patience, or rates would be none again
// before the last of them is there.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, r := range rows {
		for _, p := range r.panels {
			for i, q := range p.queries {
				all[fmt.Sprintf("%s, %s, %c", r.title, p.title, 'A'+i)] = strings.NewReplacer("$job", ".*", "$__rate_interval", "5m").Replace(q.expr)
			}
		}
	}
	for _, group := range alerts(t) {
		for _, a := range group {
			all[a.Alert] = a.Expr
		}
	}
	return all
}

// TestExpressionsAreRead has Prometheus parse each.
func TestExpressionsAreRead(t *testing.T) {
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var rules []rule
	for _, expr := range expressions(t) {
		rules = append(rules, rule{fmt.Sprintf("r%d", len(rules)), expr})
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "panels", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	output(t, "promtool", "check", "rules", file)
}

var (
	metricRow  = regexp.MustCompile("(?m)^\\| `(callstitch_\\w+)` \\| ([^|]*)\\|")
	metricName = regexp.MustCompile(`\b(?:callstitch|go|process)_\w+`)
	braces     = regexp.MustCompile(`\{[^}]*\}`)
	labelList  = regexp.MustCompile(`(?:by|on) \(([^)]*)\)`)
	suffix     = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// TestMetricsAreDocumented finds metrics in panels and alerts that the pages do not list,
// and labels that no metric of the expression has there.
func TestMetricsAreDocumented(t *testing.T) {
	documented := map[string][]string{}
	for _, page := range []string{operationsPage, receivePage} {
		for _, m := range metricRow.FindAllStringSubmatch(string(docpage.Read(t, page)), -1) {
			documented[m[1]] = strings.Fields(strings.NewReplacer("`", "", ",", "").Replace(m[2]))
		}
	}
	if len(documented) < 30 {
		t.Fatalf("found only %v in the pages", documented)
	}
	for where, expr := range expressions(t) {
		labels := []string{"job", "instance", "le"}
		for _, name := range metricName.FindAllString(expr, -1) {
			if !strings.HasPrefix(name, "callstitch_") {
				continue // the runtime's
			}
			has, ok := documented[name]
			if !ok {
				has, ok = documented[suffix.ReplaceAllString(name, "")]
			}
			if !ok {
				t.Errorf("%s: no page lists %s", where, name)
			}
			labels = append(labels, has...)
		}
		for _, m := range labelList.FindAllStringSubmatch(braces.ReplaceAllString(expr, ""), -1) {
			for label := range strings.SplitSeq(m[1], ", ") {
				if !slices.Contains(labels, label) {
					t.Errorf("%s: nothing in it has the label %s", where, label)
				}
			}
		}
	}
}
