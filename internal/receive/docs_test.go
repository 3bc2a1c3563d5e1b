package receive

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"callstitch/internal/docpage"
)

// TestDocumentedMetrics holds the table in docs/receive.md against the metrics that there
// are, names and labels, both ways.
func TestDocumentedMetrics(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry())
	descs := make(chan *prometheus.Desc, 100)
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.last, m.control, m.connections, m.ended, gauges{}} {
		c.Describe(descs)
	}
	close(descs)
	var want []string
	form := regexp.MustCompile(`fqName: "([^"]+)".* variableLabels: \{([^}]*)\}`)
	for d := range descs {
		found := form.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("a description has another form: %s", d)
		}
		want = append(want, found[1]+" "+found[2])
	}
	var documented []string
	row := regexp.MustCompile("(?m)^\\| `(callstitch_receive_\\w+)` \\| ([^|]*?) ?\\|")
	for _, found := range row.FindAllStringSubmatch(string(docpage.Read(t, "../../docs/receive.md").Section(t, "## Metrics")), -1) {
		documented = append(documented, found[1]+" "+strings.NewReplacer("`", "", ", ", ",").Replace(found[2]))
	}
	slices.Sort(want)
	slices.Sort(documented)
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("-program +documented:\n%s", diff)
	}
}
