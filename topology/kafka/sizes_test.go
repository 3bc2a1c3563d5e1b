package kafka

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/schemas"
	"callstitch/topology"
)

// sizes are the largest records that were written, by where they go.
type sizes map[string]int

func (s sizes) note(where string, n int) { s[where] = max(s[where], n) }

// hostileRun is a worker with all tasks, fed with the largest events there can be.
type hostileRun struct {
	t      *testing.T
	cfg    *topology.Config
	worker *topology.Worker
	queues [][]topology.Record
	next   []int64
	sizes  sizes
	offset int64
	now    call.Arrival
}

func newHostileRun(t *testing.T) *hostileRun {
	cfg := &topology.Config{
		ApplicationID: "a", Sources: []topology.Source{{Topic: "call.raw", LinkByTag: false}}, ExchangePartitions: 4,
		Stitch: stitch.Config{Grace: time.Second, UnansweredTimeout: time.Hour, AnsweredTimeout: time.Hour, Retention: time.Hour, StubRetention: time.Hour, Partial: true, Legs: true},
	}
	r := &hostileRun{t: t, cfg: cfg, worker: topology.NewWorker(cfg, topology.InOrder), queues: make([][]topology.Record, 4), next: make([]int64, 4), sizes: sizes{}, now: 1_764_000_000_000}
	for p := range cfg.ExchangePartitions {
		r.worker.Add(topology.NewStitchTask(cfg, p, map[string]int32{"call.raw": 1}), 0)
	}
	r.worker.Add(topology.NewDecodeTask(cfg, cfg.Sources[0], 0), 0)
	return r
}

func (r *hostileRun) put(value string) {
	r.now++
	err := r.worker.Process(topology.Record{Topic: "call.raw", Offset: r.offset, Timestamp: int64(r.now), Value: []byte(value)})
	if err != nil {
		r.t.Fatal(err)
	}
	r.offset++
	if r.offset%20 == 0 {
		r.turn()
	}
}

// turn commits, lets the tasks read what they wrote, and tells them the time.
func (r *hostileRun) turn() {
	r.commit(nil)
	for range 4 {
		r.drain()
		r.commit(func(topology.TopicPartition) (bool, call.Arrival) { return true, r.now })
	}
	r.drain()
}

func (r *hostileRun) drain() {
	for busy := true; busy; {
		busy = false
		for p, q := range r.queues {
			if len(q) == 0 && !r.worker.More() {
				continue
			}
			busy, r.queues[p] = true, nil
			for _, rec := range q {
				if err := r.worker.Process(rec); err != nil {
					r.t.Fatal(err)
				}
			}
			r.commit(nil)
		}
	}
}

func (r *hostileRun) commit(tick topology.Seen) {
	if err := r.worker.Finish(tick); err != nil {
		r.t.Fatal(err)
	}
	fx := r.worker.Effects()
	sent := make([]int64, len(fx.Exchange))
	for i, e := range fx.Exchange {
		r.sizes.note("exchange", len(e.Key)+len(e.Value))
		sent[i] = r.next[e.Partition]
		r.queues[e.Partition] = append(r.queues[e.Partition], topology.Record{Topic: r.cfg.ExchangeTopic(), Partition: e.Partition, Offset: sent[i], Key: e.Key, Value: e.Value})
		r.next[e.Partition]++
	}
	for _, c := range fx.Changelog {
		r.sizes.note("changelog", len(c.Key)+len(c.Value))
	}
	for _, o := range fx.Outputs {
		if _, reject := o.Value.(*call.Reject); reject {
			r.t.Fatalf("rejected: %+v", o.Value)
		}
		b, err := schemas.AppendAvro(nil, o.Value)
		if err != nil {
			r.t.Fatal(err)
		}
		r.sizes.note(o.Sink().String(), len(o.Key)+len(b))
	}
	r.worker.Commit(func(i int) int64 { return sent[i] })
}

func wide(n int, what string) string { return what + strings.Repeat("x", n-len(what)) }

// The largest events that decoders let through, of calls with more legs, recordings and
// moments than are kept, make the largest records that there are. What topics must take
// is twice that, or more.
func TestLargestRecords(t *testing.T) {
	r := newHostileRun(t)
	at := func(s int) string {
		return time.UnixMilli(1_764_000_000_000 + int64(s)*1000).UTC().Format(time.RFC3339Nano)
	}
	event := func(typ, id, parent string, second int, more string) {
		if parent != "" {
			parent = fmt.Sprintf(`"parentCallId":%q,`, wide(256, parent))
		}
		r.put(fmt.Sprintf(`{"eventType":%q,"callId":%q,%s"eventTime":%q,"startTime":%q,"from":%q,"to":%q,"direction":"outbound","accountId":%q,"sipCallId":%q,"tag":%q,"conferenceId":%q%s}`,
			typ, wide(256, id), parent, at(second), at(0), wide(256, "sip:"+id), wide(256, "sip:to"+id), wide(256, "acc"+id), wide(256, "sip"+id), wide(1024, "tag"+id), wide(256, "conf"+id), more))
	}
	leg := func(id, parent string) {
		event("initiate", id, parent, 1, "")
		event("answer", id, parent, 2, `,"answerTime":"`+at(2)+`"`)
		for i := range 17 {
			event("recordingAvailable", id, parent, 10+i, fmt.Sprintf(`,"recordingId":%q,"mediaUrl":%q,"fileFormat":%q,"status":%q`,
				wide(256, fmt.Sprint(id, "r", i)), wide(1024, "https://x/"), wide(256, "f"), wide(256, "s")))
		}
		for i := range 3 {
			event("gather", id, parent, 100+i, "")
		}
		event("disconnect", id, parent, 500, fmt.Sprintf(`,"endTime":%q,"cause":%q`, at(500), wide(1024, "cause")))
	}
	const groups, perGroup = 3, 60
	for g := range groups {
		for i := range perGroup {
			leg(fmt.Sprintf("g%d.%d", g, i), fmt.Sprintf("g%d", g))
		}
	}
	for g := range groups {
		leg(fmt.Sprintf("g%d", g), "top")
	}
	leg("top", "")
	r.turn()
	r.now += 10_000_000
	r.turn()
	for where, least := range map[string]int{
		"exchange": leastExchange, "changelog": leastChangelog, "sessions": leastSessions, "legs": leastRows, "events": leastRows, "audit": leastAudit,
	} {
		n := r.sizes[where]
		t.Logf("%s: at most %d bytes", where, n)
		if n == 0 || n > least/2 { // other providers may fill what this one leaves empty
			t.Errorf("a record of %d bytes goes to %s, which must take only %d", n, where, least)
		}
	}
}
