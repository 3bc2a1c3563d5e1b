package rawfile

import (
	"encoding/base64"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"callstitch/processor/call"
	"callstitch/topology"
)

// AppendObject appends a record that has no schema as one JSON object: topic, key,
// headers and value, and the problem of reading it where there is one. A text of
// bytes that are no UTF-8 is {"base64":…}, an absent one null. Of headers with one
// name the last is shown, as Kafka's clients do when asked for one.
func AppendObject(b []byte, r *topology.Record, problem error) []byte {
	b = append(b, `{"topic":`...)
	b = AppendText(b, []byte(r.Topic))
	b = append(b, `,"key":`...)
	b = appendBytes(b, r.Key)
	b = append(b, `,"headers":{`...)
	for i, h := range lastOfEach(r.Headers) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendText(b, []byte(h.Key)), ':')
		b = appendBytes(b, h.Value)
	}
	b = append(b, `},"value":`...)
	b = appendBytes(b, r.Value)
	if problem != nil {
		b = append(b, `,"error":`...)
		b = AppendText(b, []byte(problem.Error()))
	}
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
		return AppendText(b, s)
	}
	b = append(b, `{"base64":"`...)
	b = base64.StdEncoding.AppendEncode(b, s)
	return append(b, `"}`...)
}

// AppendText appends s as a JSON string, or null. Bytes that are not UTF-8 are
// replaced: what must keep them uses appendBytes.
func AppendText(b, s []byte) []byte {
	if s == nil {
		return append(b, "null"...)
	}
	b, _ = jsontext.AppendQuote(b, s) // the error tells of replaced bytes
	return b
}
