package topology

import (
	"fmt"
	"testing"

	"callstitch/processor/call"
)

// BenchmarkAbort is what an abort costs a task, by the number of legs that it holds. A
// transaction of a hundred events is open. Every rebalance aborts, and the partitions
// that moved wait for it.
func BenchmarkAbort(b *testing.B) {
	for _, legs := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("legs=%d", legs), func(b *testing.B) {
			task := NewStitchTask(&Config{ExchangePartitions: 1, Stitch: stitchConfig.Stitch}, 0, map[string]int32{"call.raw": 1})
			var fx Effects
			offset := int64(0)
			take := func(n int) {
				for range n {
					if err := task.Process(lone(offset), &fx); err != nil {
						b.Fatal(err)
					}
					offset++
				}
				if _, err := task.Finish(&fx); err != nil {
					b.Fatal(err)
				}
				fx.Reset()
			}
			for held := 0; held < legs; held += 1_000 {
				take(1_000)
				task.Commit(offset)
			}
			for b.Loop() {
				b.StopTimer()
				take(100)
				offset -= 100
				b.StartTimer()
				if err := task.Abort(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// lone is the record of an event of a leg that no other has to do with.
func lone(offset int64) Record {
	e := &call.Event{
		Tenant: "t", Provider: call.Sonetel, CallID: fmt.Sprint(offset), Type: call.EventCallInitiated,
		Time: call.Instant{At: 1000, Src: call.EvidenceReported, Precision: 1}, Source: call.Source{Topic: "call.raw"},
	}
	e.Leg = call.NewLegID(e.Tenant, e.Provider, e.Scope, e.CallID)
	e.ID = call.NewEventID(e.Leg, "x")
	key := call.LegNode(e.Leg)
	return Record{Topic: "exchange", Offset: offset, Key: key[:], Value: appendEvent(nil, e, 1000)}
}
