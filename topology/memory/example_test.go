package memory_test

import (
	"fmt"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/topology"
	"callstitch/topology/memory"
)

// The events of two legs go in, and one session comes out.
func ExampleRuntime() {
	cfg := memory.Config{Config: topology.Config{
		Sources:            []topology.Source{{Topic: "call.raw", Provider: call.Bandwidth}},
		ExchangePartitions: 4,
		Stitch: stitch.Config{
			Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
			Retention: 24 * time.Hour, StubRetention: 72 * time.Hour,
		},
	}}
	r := memory.New(cfg, func(o topology.Output) {
		if s, ok := o.Value.(*call.Session); ok {
			fmt.Println(s.State, s.Disposition, "with", s.LegCount, "legs")
		}
	})
	const parties = `"direction":"outbound","from":"+15550100101","to":"+15550100102","startTime":"2024-02-20T10:00:10Z"`
	for offset, value := range []string{
		`{"eventType":"transferAnswer","eventTime":"2024-02-20T10:00:15Z","callId":"c-2","parentCallId":"c-1",` + parties + `}`,
		`{"eventType":"transferDisconnect","callId":"c-2","parentCallId":"c-1","endTime":"2024-02-20T10:00:40Z","cause":"hangup",` + parties + `}`,
		`{"eventType":"disconnect","callId":"c-1","endTime":"2024-02-20T10:00:40Z","cause":"hangup",` + parties + `}`,
	} {
		if err := r.Process(topology.Record{Topic: "call.raw", Offset: int64(offset), Value: []byte(value)}); err != nil {
			fmt.Println(err)
		}
	}
	if err := r.Close(); err != nil { // the end of the input closes every session
		fmt.Println(err)
	}
	fmt.Println("read", r.Totals().Read, "records")
	// Output:
	// FINAL ANSWERED with 2 legs
	// read 3 records
}
