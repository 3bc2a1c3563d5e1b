package memory_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/topology"
	"callstitch/topology/memory"
	"callstitch/topology/topologytest"
)

// The drawing shows the topics that are written and no others, with rows of legs and
// without.
func TestDescriptionIsTrue(t *testing.T) {
	for _, legs := range []bool{false, true} {
		cfg := memory.Config{Config: topology.Config{
			ApplicationID: "app", ExchangePartitions: 2, Sources: []topology.Source{{Topic: topologytest.Topic}},
			Topics: topology.Topics{Events: "e", Sessions: "s", Legs: "l", Rejects: "r", Audit: "a"}, Stitch: topologytest.Short,
		}}
		cfg.Stitch.Legs = legs
		written := map[string]bool{cfg.ExchangeTopic(): true}
		r := memory.New(cfg, func(o topology.Output) { written[cfg.Topics.Topic(o.Sink())] = true })
		for i, raw := range topologytest.Calls(1, 20, time.Minute).Shuffle(1, 1, 0, 0.1) {
			raw.Offset = int64(i)
			if err := r.Process(raw.Record); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Process(topology.Record{Topic: topologytest.Topic, Value: []byte("{")}); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		drawn := map[string]bool{}
		for _, nodes := range topology.Describe(&cfg.Config) {
			for _, n := range nodes {
				if n.Kind == topology.SinkNode {
					drawn[n.Topics[0]] = true
				}
			}
		}
		if d := cmp.Diff(slices.Sorted(maps.Keys(written)), slices.Sorted(maps.Keys(drawn))); d != "" {
			t.Errorf("legs %t: topics (-written +drawn):\n%s", legs, d)
		}
	}
}
