package topology_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// again has some records rejected for their header, and sends these in again an hour
// later, mended, among records that come then.
func again(t *testing.T, seed uint64, records []topologytest.Raw, with func(*topology.Record)) *topologytest.Result {
	t.Helper()
	cfg := topologytest.Short
	cfg.Retention = 24 * time.Hour
	rng := rand.New(rand.NewPCG(seed, 77))
	damaged := slices.Clone(records)
	for i := range damaged {
		if rng.IntN(7) == 0 {
			damaged[i].Headers = append(slices.Clip(damaged[i].Headers), call.Header{Key: "provider", Value: []byte("nobody")})
		}
	}
	first, err := topologytest.Memory(4, cfg, damaged)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Rejects) == 0 || cmp.Equal(first.Sessions.Canonical(), sessionsOf(t, cfg.Retention, records)) {
		t.Fatalf("seed %d: %d rejects, and no session misses any", seed, len(first.Rejects))
	}
	later := int64(0)
	for _, r := range records {
		later = max(later, r.Timestamp+time.Hour.Milliseconds())
	}
	for i, r := range first.Rejects {
		r.Headers = slices.DeleteFunc(slices.Clone(r.Headers), func(h call.Header) bool { return string(h.Value) == "nobody" })
		rec := topology.Again(r, 0, call.Source{Topic: "call.rejects", Offset: int64(i)})
		rec.Timestamp, rec.Partition = later+int64(i), int32(i%3)
		if with != nil {
			with(&rec)
		}
		damaged = append(damaged, topologytest.Raw{Record: rec})
	}
	res, err := topologytest.Memory(4, cfg, damaged)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func sessionsOf(t *testing.T, retention time.Duration, records []topologytest.Raw) []string {
	t.Helper()
	cfg := topologytest.Short
	cfg.Retention = retention
	res, err := topologytest.Memory(4, cfg, records)
	if err != nil {
		t.Fatal(err)
	}
	return res.Sessions.Canonical()
}

// Where rejects come again within the retention, every session is what it would have been
// had nothing been rejected: that of providers too that tell no times, of which the
// first time is kept, and without it not.
func TestRejectsThatComeAgainMakeTheSameSessions(t *testing.T) {
	missed := 0
	for seed := range topologytest.Seeds(5) {
		records := topologytest.Calls(seed, 60, 30*time.Minute).Keyed(seed, 3, 2*time.Second, 0.2)
		want := sessionsOf(t, 24*time.Hour, records)
		if d := cmp.Diff(want, again(t, seed, records, nil).Sessions.Canonical()); d != "" {
			t.Fatalf("seed %d (-never rejected +came again):\n%s", seed, d)
		}
		undated := again(t, seed, records, func(r *topology.Record) {
			r.Headers = slices.DeleteFunc(r.Headers, func(h call.Header) bool { return h.Key == "callstitch.timestamp" })
		})
		if !cmp.Equal(want, undated.Sessions.Canonical()) {
			missed++
		}
	}
	if missed == 0 {
		t.Error("without the first time, no session is another")
	}
}
