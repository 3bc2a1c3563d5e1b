package topology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"callstitch/processor/call"
)

// The headers of a record that was a reject and was sent in again. headerTimestamp,
// which a reject has, is one of them.
const (
	headerReplays  = "callstitch.replays"  // how often it was, this time included
	headerReplayed = "callstitch.replayed" // where the reject is, TOPIC/PARTITION/OFFSET
)

// Original is when a record came first, epoch milliseconds: by its own timestamp, or, of
// one that was a reject and came again, by the header that says when it did so first.
//
// For some providers that is when the call was. It is no arrival, and moves no clock:
// whoever may write to a source may write the header, with any date, and is believed
// of the event that it is on, as of everything else in it, and of nothing more. What is
// later than the record itself is not believed: a record does not come again before
// it came.
func Original(r *Record) int64 {
	for _, h := range slices.Backward(r.Headers) {
		if h.Key != headerTimestamp {
			continue
		}
		if n, err := numberOf(string(h.Value), 63); err == nil && 0 < n && n <= r.Timestamp+Leeway.Milliseconds() {
			return n
		}
		break
	}
	return r.Timestamp
}

// Again is the raw record of a reject, to be sent in again, for the next time after
// replays times: with its key, its value, its timestamp, and its headers but for those of
// ours. Place is where the reject is. One without a timestamp comes as if for the first time.
//
// When it came first is in a header too: a topic may date records itself, or bound their
// dates, and then the timestamp does not tell.
func Again(r *call.Reject, replays int, place call.Source) Record {
	rec := Record{Topic: r.Source.Topic, Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		if !Own(h.Key) {
			rec.Headers = append(rec.Headers, h)
		}
	}
	rec.Headers = append(rec.Headers,
		call.Header{Key: headerReplays, Value: strconv.AppendInt(nil, int64(replays)+1, 10)},
		call.Header{Key: headerReplayed, Value: fmt.Appendf(nil, "%s/%d/%d", place.Topic, place.Partition, place.Offset)},
	)
	if r.Timestamp > 0 {
		rec.Headers = append(rec.Headers, call.Header{Key: headerTimestamp, Value: strconv.AppendInt(nil, r.Timestamp, 10)})
	}
	return rec
}

// Own reports whether a header is one that callstitch writes.
func Own(key string) bool {
	return strings.HasPrefix(key, "callstitch.") || strings.HasPrefix(key, "__streams.errors.")
}
