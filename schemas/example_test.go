package schemas_test

import (
	"fmt"

	"callstitch/processor/call"
	"callstitch/schemas"
)

// A value becomes Avro behind the id of its schema, and a reader of that schema
// makes JSON of it again.
func Example() {
	book := &call.Audit{Topic: "call.raw", Read: 3, Decoded: 2, Rejected: 1, Events: 2, Accepted: 2}
	value, err := schemas.AppendAvro(schemas.AppendFrame(nil, 7), book)
	if err != nil {
		fmt.Println(err)
		return
	}

	id, avro, err := schemas.ParseFrame(value)
	if err != nil {
		fmt.Println(err)
		return
	}
	reader, err := schemas.NewReader(schemas.Audit.Schema()) // or that of id, from a registry
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := reader.AppendJSON(nil, avro)
	fmt.Println(id, string(text), err)
	// Output:
	// 7 {"topic":"call.raw","partition":0,"next_offset":0,"read":3,"decoded":2,"ignored":0,"rejected":1,"events":2,"accepted":2,"duplicate":0,"conflicting":0,"late":0,"closed_at":0} <nil>
}
