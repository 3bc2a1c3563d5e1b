package rejects

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/topology"
)

func TestHistogram(t *testing.T) {
	add := func(h *Histogram, offset int64, at int64, reason call.RejectReason, topic, tenant string, replays int) {
		h.Add(&Entry{
			Place:   Place{topology.TopicPartition{Topic: "call.rejects", Partition: 1}, offset},
			Reject:  call.Reject{Reason: reason, Timestamp: at, Source: call.Source{Topic: topic}},
			Replays: replays, Tenant: tenant,
		})
	}
	var h Histogram
	if rows := h.Rows(); len(rows) != 0 {
		t.Errorf("of nothing: %+v", rows)
	}
	add(&h, 0, 300, call.RejectBadField, "a", "acme", 0)
	add(&h, 1, 100, call.RejectTooDeep, "a", "acme", 0)
	add(&h, 2, 500, call.RejectTooDeep, "a", "acme", 2)
	add(&h, 3, 400, call.RejectTooDeep, "a", "acme", 0)
	add(&h, 4, 400, call.RejectTooDeep, "b", "acme", 0)
	add(&h, 5, 400, call.RejectTooDeep, "a", "globex", 0)
	at := func(offset int64) Place {
		return Place{topology.TopicPartition{Topic: "call.rejects", Partition: 1}, offset}
	}
	kind := func(reason call.RejectReason, topic, tenant string) Kind {
		return Kind{Reason: reason, Topic: topic, Tenant: tenant}
	}
	want := []Row{
		{kind(call.RejectTooDeep, "a", "acme"), 3, 1, 100, 500, at(2)},
		{kind(call.RejectTooDeep, "a", "globex"), 1, 0, 400, 400, at(5)},
		{kind(call.RejectTooDeep, "b", "acme"), 1, 0, 400, 400, at(4)},
		{kind(call.RejectBadField, "a", "acme"), 1, 0, 300, 300, at(0)},
	}
	if diff := cmp.Diff(want, h.Rows()); diff != "" {
		t.Error(diff)
	}
}

// A hundred thousand tenants are no hundred thousand rows, and none of them is uncounted.
func TestHistogramIsBounded(t *testing.T) {
	var h Histogram
	h.Add(&Entry{Reject: call.Reject{Reason: call.RejectBadHeader, Source: call.Source{Topic: strings.Repeat("t", 1e6)}}, Tenant: strings.Repeat("x", 1e6)})
	const n = 100_000
	for i := range n {
		h.Add(&Entry{Reject: call.Reject{Reason: call.RejectBadField}, Tenant: fmt.Sprint("tenant-", i)})
	}
	for _, r := range h.Rows() {
		if len(r.Tenant)+len(r.Topic) > 2*wordMax+10 {
			t.Errorf("a row has a tenant of %d bytes and a topic of %d", len(r.Tenant), len(r.Topic))
		}
	}
	rows, sum := h.Rows(), int64(0)
	for _, r := range rows {
		sum += r.Count
	}
	if len(rows) != rowsMax+1 || sum != n+1 || !rows[0].Others || rows[0].Count != n-rowsMax+1 {
		t.Errorf("%d rows of %d rejects, the first %+v", len(rows), sum, rows[0])
	}
}
