package topologytest_test

import (
	"testing"

	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// A task takes up what is held, and it is as many legs as were asked for; none of them
// waits for its end.
func TestHeld(t *testing.T) {
	cfg := topology.Config{ApplicationID: "app", Sources: []topology.Source{{Topic: topologytest.Topic}}, ExchangePartitions: 1, Stitch: topologytest.Minutes}
	held, err := topologytest.NewHeld(cfg)
	if err != nil {
		t.Fatal(err)
	}
	task := topology.NewStitchTask(&cfg, 0, map[string]int32{topologytest.Topic: 1})
	keys, legs := map[string]bool{}, 0
	for key, value := range held.Each(20_000) {
		if keys[string(key)] {
			t.Fatalf("key %x comes twice", key)
		}
		keys[string(key)] = true
		if key[0] == 'n' && key[1] == 0 {
			legs++
		}
		task.Load(key, value)
	}
	if err := task.Restored(nil); err != nil {
		t.Fatal(err)
	}
	if legs != 20_000 || task.Report().Keys != len(keys) {
		t.Errorf("%d legs in %d keys, of which the task has %d", legs, len(keys), task.Report().Keys)
	}
}
