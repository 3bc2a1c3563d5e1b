package topology

import (
	"strconv"

	"callstitch/processor/call"
)

// RejectHeaders are the headers that the record of a reject has beside its own:
// where it came from and why it is here, under the names of Kafka Streams' dead
// letter queue (KIP-1034), so that its tools work, and under one of ours.
func RejectHeaders(r *call.Reject) []call.Header {
	text := func(key, value string) call.Header { return call.Header{Key: key, Value: []byte(value)} }
	return []call.Header{
		text("__streams.errors.topic", r.Source.Topic),
		text("__streams.errors.partition", strconv.Itoa(int(r.Source.Partition))),
		text("__streams.errors.offset", strconv.FormatInt(r.Source.Offset, 10)),
		text("__streams.errors.exception", "callstitch.Rejected"),
		text("__streams.errors.message", r.Detail),
		text("callstitch.reason", r.Reason.String()),
	}
}
