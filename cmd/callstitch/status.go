package main

import (
	"fmt"
	"strings"
	"time"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/console"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

// consoleStatus is a run's status in the console's words. Its totals are those
// of the tasks that this instance has now.
func consoleStatus(cfg *config.Config, s kafka.Snapshot) console.Status {
	out := console.Status{
		Ready: s.Ready(), Phase: strings.ToLower(s.State.String()),
		LegClock: s.LegClock, SessionClock: s.SessionClock, ExchangeLag: s.ExchangeLag, Ways: s.Ways,
	}
	if s.Waiting != "" {
		out.Reasons = append(out.Reasons, s.Waiting)
	}
	if s.HeldBy != (topology.TopicPartition{}) {
		out.HeldBy = s.HeldBy.String()
	}
	if s.Held > 0 {
		out.Reasons = append(out.Reasons, fmt.Sprintf("the clock has stood still for %v: %s", s.Held.Round(time.Second), s.HeldWhy))
	}
	sources := map[string]*console.Source{}
	for _, t := range s.Tasks {
		if t.Node == "stitch" {
			addStitch(&out, t)
			continue
		}
		out.DecodeTasks++
		addTotals(&out, t.Totals)
		if sources[t.Topic] == nil {
			sources[t.Topic] = &console.Source{Topic: t.Topic}
		}
		sources[t.Topic].Partitions++
		sources[t.Topic].Read += t.Totals.Read
		if t.Lead > kafka.LeadMax {
			out.Reasons = append(out.Reasons, fmt.Sprintf("the clock of %s-%d is %v ahead of the brokers', so its sessions close that much later", t.Topic, t.Partition, t.Lead.Round(time.Second)))
		}
		if t.RecordLead > 0 {
			out.Reasons = append(out.Reasons, fmt.Sprintf("records of %s-%d are dated up to %v ahead of the brokers' clock, so their calls close that much later", t.Topic, t.Partition, t.RecordLead.Round(time.Second)))
		}
		if t.Dropped > 0 {
			out.Reasons = append(out.Reasons, fmt.Sprintf("%s-%d is dropped from the clock until it is read again", t.Topic, t.Partition))
		}
		if t.Throttled {
			out.Reasons = append(out.Reasons, fmt.Sprintf("%s-%d waits for the exchange", t.Topic, t.Partition))
		}
	}
	for _, c := range cfg.Sources {
		if s := sources[c.Topic]; s != nil {
			out.Sources = append(out.Sources, *s)
		} else {
			out.Sources = append(out.Sources, console.Source{Topic: c.Topic})
		}
	}
	return out
}

func addStitch(out *console.Status, t kafka.Task) {
	out.StitchTasks++
	out.OpenNodes += int64(t.Nodes)
	out.Totals.Accepted += t.Counts.Accepted
	out.Totals.Duplicate += t.Counts.Duplicate
	out.Totals.Conflicting += t.Counts.Conflicting
	out.Totals.Late += t.Counts.Late
}

func addTotals(out *console.Status, t topology.Totals) {
	out.Totals.Read += t.Read
	out.Totals.Decoded += t.Decoded
	out.Totals.Ignored += t.Ignored
	out.Totals.Rejected += t.Rejected
	out.Totals.Events += t.Events
}
