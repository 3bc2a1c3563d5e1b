//go:build synctests

package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"callstitch/schemas"
	"callstitch/topology/topologytest"
)

// TestGenerationDoesNotFall raises the generation instance by instance: nobody joins with the
// lower one from then on, and who still has it ends where it would take over what the
// higher one has published. No record of a session has a version below one before it.
func TestGenerationDoesNotFall(t *testing.T) {
	virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		records := topologytest.Calls(6, 60, 20*time.Second).Shuffle(6, 4, 2*time.Second, 0.2)
		part := func(i int) []topologytest.Raw { return records[i*len(records)/3 : (i+1)*len(records)/3] }
		one := startRun(t, cfg)
		feed(t, cfg, part(0))
		awaitBalance(t, cfg, len(part(0)), time.Minute)

		higher := cfg
		higher.InstanceID, higher.Stitch.Generation = "two", 1
		two := startRun(t, higher)
		awaitStatus(t, two.status, time.Minute, func(s Snapshot) bool { return s.Ready() && len(s.Tasks) > 0 })
		feed(t, cfg, part(1))
		awaitBalance(t, cfg, len(part(0))+len(part(1)), time.Minute)
		select {
		case err := <-one.done:
			one.done <- err
			t.Fatalf("who has the lower one ends while it keeps what it has: %v", err)
		default:
		}
		third := cfg
		third.InstanceID = "three"
		endsWith(t, third, ErrGeneration, testApp, "has come to generation 1", "set generation: 1")

		if err := two.stop(t); err != nil {
			t.Fatal(err)
		}
		endedWith(t, ends(t, one, time.Minute), ErrGeneration, "set generation: 1")
		endsWith(t, cfg, ErrGeneration, "set generation: 1")

		startRun(t, higher)
		feed(t, cfg, part(2))
		awaitBooks(t, cfg, len(records), time.Minute)
		last := map[string]float64{}
		for _, s := range decoded(t, cfg, cfg.Topics.Sessions, schemas.Sessions) {
			id, version := s["session_id"].(string), s["record_version"].(float64)
			if version <= last[id] {
				t.Errorf("session %s: version %v follows %v", id, version, last[id])
			}
			last[id] = version
		}
	})
}

// TestGenerationAfterAReset starts with the configuration of before, once a reset has
// forgotten all that was worked with it.
func TestGenerationAfterAReset(t *testing.T) {
	virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
		records := topologytest.Calls(6, 20, 20*time.Second).Shuffle(6, 4, 2*time.Second, 0.2)
		runOver(t, cfg, records)
		next := cfg
		next.Stitch.Generation, next.Start = 3, "latest"
		plan := planned(t, next, ResetOptions{Execute: true})
		if err := plan.Execute(t.Context(), func(step string) { t.Log(step) }); err != nil {
			t.Fatal(err)
		}
		endsWith(t, cfg, ErrGeneration, "has come to generation 3", "set generation: 3")
		cfg.Stitch.Generation = 2
		endsWith(t, cfg, ErrGeneration, "set generation: 3")
		if again := planned(t, next, ResetOptions{}); !again.Nothing || again.Refused() != nil {
			t.Errorf("after a reset there is something to reset: %+v", again)
		}
		more := topologytest.Calls(7, 20, 20*time.Second).Shuffle(7, 4, 2*time.Second, 0)
		awaitReady(t, startRun(t, next), time.Minute) // it begins where start says, as the first one did
		feed(t, cfg, more)
		awaitBalance(t, next, len(more), time.Minute)
	})
}
