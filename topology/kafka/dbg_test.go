package kafka

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var dbgReg *prometheus.Registry

func dump(b *testing.B) {
	fams, _ := dbgReg.Gather()
	for _, f := range fams {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "callstitch_commits_total", "callstitch_process_records_total", "callstitch_output_records_total":
				fmt.Println(f.GetName(), m.GetLabel(), m.GetCounter().GetValue())
			case "callstitch_commit_latency_seconds":
				fmt.Println(f.GetName(), m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()/float64(m.GetHistogram().GetSampleCount()))
			}
		}
	}
}
