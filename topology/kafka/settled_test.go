package kafka

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"callstitch/schemas"
	"callstitch/topology/topologytest"
)

// awaitSettled waits until every session that is not superseded has settled, and fails the
// test where one has twice, or as another than the record of its version.
func awaitSettled(t *testing.T, cfg Config, within time.Duration) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if err = settled(t, cfg); err == nil {
			return
		}
	}
	t.Error(err)
}

func settled(t *testing.T, cfg Config) error {
	t.Helper()
	last := published(t, cfg)
	all := map[string]map[string]any{}
	for _, s := range decoded(t, cfg, cfg.Topics.Sessions, schemas.Sessions) {
		all[versionOf(s)] = s
	}
	has := map[string]bool{}
	for _, s := range decoded(t, cfg, cfg.Topics.Settled, schemas.Sessions) {
		id := s["session_id"].(string)
		if has[id] {
			t.Fatalf("session %s has settled twice", id)
		}
		has[id] = true
		want := all[versionOf(s)]
		if want == nil || topologytest.CanonicalFields(want) != topologytest.CanonicalFields(s) || s["record_state"] != "FINAL" {
			t.Fatalf("session %s has settled as %v, where the record of its version is %v", id, s, want)
		}
	}
	var lack []string
	for _, id := range slices.Sorted(maps.Keys(last)) {
		if last[id]["record_state"] == "FINAL" && !has[id] {
			lack = append(lack, id)
		}
	}
	if len(lack) > 0 || len(has) == 0 {
		return fmt.Errorf("%d sessions have settled, and these have not: %v", len(has), lack)
	}
	return nil
}

func versionOf(s map[string]any) string {
	return fmt.Sprintf("%v %.0f", s["session_id"], s["record_version"])
}

// What has settled outlives the instance, and does not settle again when it is amended. Its
// topic is made where sessions settle, kept by time, and not compacted; it keys by session,
// and takes what a session takes. It is among those that a run has rights on, and that
// --same-generation wants emptied.
func TestSettledTopic(t *testing.T) {
	cfg := apache(t, 2)
	cfg.Stitch.Settled, cfg.Stitch.SettledAfter = true, cfg.Stitch.Grace
	records := onTopic(cfg, topologytest.Calls(7, 20, 5*time.Second).Shuffle(7, 2, time.Second, 0.2))
	fed := 0
	for _, to := range []int{len(records) / 2, len(records)} { // calls that are cut settle, and are amended
		feed(t, cfg, records[fed:to])
		fed = to
		r := startRun(t, cfg)
		awaitPublished(t, cfg, reference(t, records[:to]), 60*time.Second)
		awaitSettled(t, cfg, 30*time.Second)
		if err := r.stop(t); err != nil {
			t.Error(err)
		}
	}
	ids, amended, last := map[string]bool{}, 0, published(t, cfg)
	for _, s := range decoded(t, cfg, cfg.Topics.Settled, schemas.Sessions) {
		id := s["session_id"].(string)
		ids[id] = true
		if last[id]["revision"] != s["revision"] {
			amended++
		}
	}
	if amended == 0 {
		t.Error("no session was amended after it had settled: nothing was tried")
	}
	cl := client(t, cfg)
	defer cl.Close()
	configs, err := topicConfigs(t.Context(), kadm.NewClient(cl), []string{cfg.Topics.Settled})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"cleanup.policy": "delete", "retention.ms": "2592000000", "max.message.bytes": "4194304",
	} {
		if got := configs[cfg.Topics.Settled][key]; got != want {
			t.Errorf("the topic has %s=%s, want %s", key, got, want)
		}
	}
	for _, rec := range readRecords(t, cfg, cfg.Topics.Settled) {
		if !ids[string(rec.Key)] {
			t.Errorf("a record has the key %q, which is no session", rec.Key)
		}
	}
	if !slices.ContainsFunc(cfg.topicRights(), func(on rightsOn) bool { return on.topic == cfg.Topics.Settled }) {
		t.Error("no right is asked for on the topic")
	}
	plan := planned(t, cfg, ResetOptions{SameGeneration: true})
	if err := plan.Refused(); !errors.Is(err, ErrGeneration) || !strings.Contains(err.Error(), cfg.Topics.Settled+" holds records") {
		t.Errorf("a reset to the same generation is refused for %v", err)
	}
	if !slices.ContainsFunc(plan.Warns, func(w string) bool { return strings.Contains(w, cfg.Topics.Settled+" is not compacted") }) {
		t.Errorf("a reset warns of %q", plan.Warns)
	}
}
