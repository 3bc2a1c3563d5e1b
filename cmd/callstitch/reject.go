package main

import (
	"strconv"

	"callstitch/processor/call"
)

// appendReject appends the record of the rejects topic.
func appendReject(b []byte, topic string, key []byte, r *call.Reject) []byte {
	return appendKeyed(b, topic, key, rejectHeaders(r), r.Value)
}

// rejectHeaders are the record's own headers and those that say why it is here,
// under the names of Kafka Streams' dead letter queue (KIP-1034).
func rejectHeaders(r *call.Reject) []call.Header {
	text := func(key, value string) call.Header { return call.Header{Key: key, Value: []byte(value)} }
	return append(r.Headers[:len(r.Headers):len(r.Headers)],
		text("__streams.errors.topic", r.Source.Topic),
		text("__streams.errors.partition", strconv.Itoa(int(r.Source.Partition))),
		text("__streams.errors.offset", strconv.FormatInt(r.Source.Offset, 10)),
		text("__streams.errors.exception", "callstitch.Rejected"),
		text("__streams.errors.message", r.Detail),
		text("callstitch.reason", r.Reason.String()),
	)
}
