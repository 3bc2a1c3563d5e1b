package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

// What holds sessions up is told, and leaves an instance ready.
func TestReasonsOfOneThatIsReady(t *testing.T) {
	source := func(partition int32, lead, records time.Duration, throttled bool) kafka.Task {
		return kafka.Task{
			Report: topology.Report{Node: topology.DecodeNode}, Topic: "call.raw", Partition: partition,
			Lead: lead, RecordLead: records, Throttled: throttled,
		}
	}
	got := consoleStatus(new(config.Config), kafka.Snapshot{State: kafka.Running, Tasks: []kafka.Task{
		source(0, 0, 0, false), source(1, time.Minute, 0, false), source(2, 59*time.Minute+300*time.Millisecond, 0, false),
		source(3, 0, 0, true), source(4, 0, 58*time.Minute, false),
		{Report: topology.Report{Node: topology.DecodeNode, Dropped: 1}, Topic: "call.raw", Partition: 5},
	}, Held: 61400 * time.Millisecond, HeldWhy: "call.raw-6 holds it: it has no leader"})
	want := []string{
		"the clock has stood still for 1m1s: call.raw-6 holds it: it has no leader",
		"the clock of call.raw-2 is 59m0s ahead of the brokers', so its sessions close that much later",
		"call.raw-3 waits for the exchange",
		"records of call.raw-4 are dated up to 58m0s ahead of the brokers' clock, so their calls close that much later",
		"call.raw-5 is dropped from the clock until it is read again",
	}
	if diff := cmp.Diff(want, got.Reasons); diff != "" || !got.Ready {
		t.Errorf("ready %t, reasons (-want +got):\n%s", got.Ready, diff)
	}
}
