package main

import (
	"encoding/base64"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"callstitch/processor/call"
)

// appendKeyed appends a record that has no schema as one JSON object: topic, key,
// headers and value, each byte string as appendBytes writes it. Of headers with
// one name the last is shown, as Kafka's clients do when asked for one.
func appendKeyed(b []byte, topic string, key []byte, headers []call.Header, value []byte) []byte {
	b = append(b, `{"topic":`...)
	b = appendText(b, []byte(topic))
	b = append(b, `,"key":`...)
	b = appendBytes(b, key)
	b = append(b, `,"headers":{`...)
	for i, h := range lastOfEach(headers) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, []byte(h.Key)), ':')
		b = appendBytes(b, h.Value)
	}
	b = append(b, `},"value":`...)
	b = appendBytes(b, value)
	return append(b, '}')
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

// appendText appends s as a JSON string, or null. Bytes that are not UTF-8 are
// replaced: what must keep them uses appendBytes.
func appendText(b, s []byte) []byte {
	if s == nil {
		return append(b, "null"...)
	}
	b, _ = jsontext.AppendQuote(b, s) // the error tells of replaced bytes
	return b
}
