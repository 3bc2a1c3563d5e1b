package kafka

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// operationsPage is where metrics are documented.
const operationsPage = "../../docs/operations.md"

var (
	// metricRow is a row of the table of metrics: name and labels.
	metricRow = regexp.MustCompile("(?m)^\\| `(callstitch_[a-z0-9_]+)` \\| ([^|]*)\\|")
	// metricWord is a metric anywhere in the page.
	metricWord = regexp.MustCompile(`\bcallstitch_[a-z0-9_]+`)
	codeWord   = regexp.MustCompile("`([^`]*)`")
	// descText is what a description prints: the only way to its labels.
	descText = regexp.MustCompile(`fqName: "([^"]*)".*variableLabels: \{([^}]*)\}`)
)

// ofTheCommand are the metrics that the command adds.
var ofTheCommand = []string{"callstitch_build_info", "callstitch_credential_end_seconds"}

// TestDocumentedMetrics holds the table of metrics against what a process
// exports, both ways, labels too, and every other mention of a metric.
func TestDocumentedMetrics(t *testing.T) {
	page, err := os.ReadFile(operationsPage)
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range metricRow.FindAllStringSubmatch(string(page), -1) {
		var labels []string
		for _, l := range codeWord.FindAllStringSubmatch(m[2], -1) {
			labels = append(labels, l[1])
		}
		documented[m[1]] = strings.Join(labels, ",")
	}
	maps.DeleteFunc(documented, func(name, _ string) bool { return slices.Contains(ofTheCommand, name) })
	exported := exportedMetrics(t)
	if diff := cmp.Diff(exported, documented); diff != "" {
		t.Errorf("metrics of %s (-exported +documented):\n%s", operationsPage, diff)
	}
	for _, name := range metricWord.FindAllString(string(page), -1) {
		if _, ok := exported[name]; !ok && !slices.Contains(ofTheCommand, name) && name != "callstitch_kafka_" {
			t.Errorf("%s names %s, which is not exported", operationsPage, name)
		}
	}
}

// exportedMetrics are the labels of each metric by its name.
func exportedMetrics(t *testing.T) map[string]string {
	registry := prometheus.NewPedanticRegistry()
	newMetrics(registry, new(Status))
	descriptions := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descriptions)
		close(descriptions)
	}()
	metrics := map[string]string{}
	for d := range descriptions {
		m := descText.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("cannot read the description %s", d)
		}
		metrics[m[1]] = m[2]
	}
	if len(metrics) == 0 || !slices.Contains(slices.Collect(maps.Values(metrics)), "topic,partition") {
		t.Fatalf("no metric has the labels topic,partition: %v", metrics)
	}
	return metrics
}
