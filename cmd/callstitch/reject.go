package main

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"callstitch/processor/call"
)

// appendReject appends a rejected record as one JSON object: topic, key, headers
// and value, each byte string as appendBytes writes it. Of headers with one name
// the last is shown, as Kafka's clients do when asked for one.
func appendReject(b []byte, topic string, key []byte, r *call.Reject) []byte {
	b = append(b, `{"topic":`...)
	b = appendText(b, []byte(topic))
	b = append(b, `,"key":`...)
	b = appendBytes(b, key)
	b = append(b, `,"headers":{`...)
	for i, h := range lastOfEach(rejectHeaders(r)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, []byte(h.Key)), ':')
		b = appendBytes(b, h.Value)
	}
	b = append(b, `},"value":`...)
	b = appendBytes(b, r.Value)
	return append(b, '}')
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

func lastOfEach(headers []call.Header) []call.Header {
	var last []call.Header
	at := map[string]int{}
	for _, h := range headers {
		if i, ok := at[h.Key]; ok {
			last[i] = h
			continue
		}
		at[h.Key] = len(last)
		last = append(last, h)
	}
	return last
}

// appendBytes appends s as a JSON string, as {"base64":…} where it is not UTF-8,
// or as null.
func appendBytes(b, s []byte) []byte {
	if utf8.Valid(s) {
		return appendText(b, s)
	}
	b = append(b, `{"base64":"`...)
	b = base64.StdEncoding.AppendEncode(b, s)
	return append(b, `"}`...)
}
