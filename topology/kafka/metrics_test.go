package kafka

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"callstitch/processor/call"
)

// TestCountersBeginAtZero says that the first reject, and the first session that was given
// up, are an increase to whoever watches.
func TestCountersBeginAtZero(t *testing.T) {
	registry := prometheus.NewRegistry()
	newMetrics(registry, new(Status))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetCounter() != nil && len(m.GetLabel()) == 1 && m.GetCounter().GetValue() == 0 {
				got[f.GetName()] = append(got[f.GetName()], m.GetLabel()[0].GetValue())
			}
		}
	}
	for metric, want := range map[string][]string{
		"callstitch_rejects_total":         slices.Sorted(slices.Values(call.Vocabulary()["reject_reason"])),
		"callstitch_sessions_closed_total": {"NORMAL", "TIMEOUT"},
	} {
		if diff := cmp.Diff(want, got[metric]); diff != "" {
			t.Errorf("%s (-want +there):\n%s", metric, diff)
		}
	}
}
