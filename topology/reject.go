package topology

import (
	"encoding/hex"
	"strconv"

	"callstitch/processor/call"
)

// RejectHeaders are the headers that the record of a reject has beside its own:
// where it came from and why it is here, under the names of Kafka Streams' dead
// letter queue (KIP-1034), so that its tools work, and under one of ours.
func RejectHeaders(r *call.Reject) []call.Header {
	text := func(key, value string) call.Header { return call.Header{Key: key, Value: []byte(value)} }
	headers := []call.Header{
		text("__streams.errors.topic", r.Source.Topic),
		text("__streams.errors.partition", strconv.Itoa(int(r.Source.Partition))),
		text("__streams.errors.offset", strconv.FormatInt(r.Source.Offset, 10)),
		text("__streams.errors.exception", "callstitch.Rejected"),
		text("__streams.errors.message", r.Detail[:min(len(r.Detail), detailMax)]),
		text("callstitch.reason", r.Reason.String()),
	}
	if r.Batch != "" {
		headers = append(headers, text("callstitch.batch", r.Batch))
	}
	if r.Cut != nil {
		headers = append(headers, CutHeaders(r.Cut)...)
	}
	return headers
}

// detailMax bounds what a reject says in words: it must fit whatever topic takes it.
const detailMax = 1024

// CutHeaders tell what a reject was before it was cut.
func CutHeaders(c *call.Cut) []call.Header {
	headers := []call.Header{
		{Key: "callstitch.length", Value: strconv.AppendInt(nil, c.Length, 10)},
		{Key: "callstitch.sha256", Value: hex.AppendEncode(nil, c.SHA256[:])},
	}
	for _, what := range c.Dropped {
		headers = append(headers, call.Header{Key: "callstitch.dropped", Value: []byte(what)})
	}
	return headers
}
