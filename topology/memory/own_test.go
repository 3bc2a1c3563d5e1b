package memory_test

import (
	"bytes"
	"testing"

	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/memory"
	"callstitch/topology/topologytest"
)

// A reject is all that its record was, though the record's memory is used again
// before the batch ends.
func TestRejectsOutliveTheirRecords(t *testing.T) {
	key, value, header := []byte("key"), []byte("{"), []byte("stringee")
	var got []*call.Reject
	r := memory.New(config(1, topologytest.Short, 10), func(o topology.Output) {
		if reject, ok := o.Value.(*call.Reject); ok {
			got = append(got, reject)
		}
	})
	headers := []call.Header{{Key: "provider", Value: header}}
	if err := r.Process(topology.Record{Topic: "call.raw", Key: key, Value: value, Headers: headers, Timestamp: 5}); err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{key, value, header} {
		copy(b, bytes.Repeat([]byte("x"), len(b)))
	}
	headers[0].Key = "other"
	if err := r.Commit(); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 {
		t.Fatalf("%d rejects, want 1", len(got))
	}
	if string(got[0].Key) != "key" || string(got[0].Value) != "{" || len(got[0].Headers) != 1 ||
		got[0].Headers[0].Key != "provider" || string(got[0].Headers[0].Value) != "stringee" {
		t.Errorf("a reject of key %q, value %q, headers %q", got[0].Key, got[0].Value, got[0].Headers)
	}
}
