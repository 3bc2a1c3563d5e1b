package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/topology"
)

// A source that names no provider has none: the first of the list would decode
// everything as its own.
func TestTopologyOfSources(t *testing.T) {
	cfg := Default()
	cfg.Sources = []Source{{Topic: "a"}, {Topic: "b", Provider: "xelion", Tenant: "t", Scope: "s", LinkByTag: true}}
	want := []topology.Source{{Topic: "a"}, {Topic: "b", Provider: call.Sonetel, Tenant: "t", Scope: "s", LinkByTag: true}}
	if diff := cmp.Diff(want, cfg.Topology().Sources); diff != "" {
		t.Error(diff)
	}
}
