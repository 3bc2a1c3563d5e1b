package topology

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"callstitch/processor/call"
)

// The headers of ours. Those that say where a record came from and why it is a reject
// have the names of Kafka Streams' dead letter queue (KIP-1034), so that its tools work.
const (
	headerTopic     = "__streams.errors.topic"
	headerPartition = "__streams.errors.partition"
	headerOffset    = "__streams.errors.offset"
	headerException = "__streams.errors.exception"
	headerMessage   = "__streams.errors.message"
	headerReason    = "callstitch.reason"
	headerTimestamp = "callstitch.timestamp"
	headerBatch     = "callstitch.batch"
	headerLength    = "callstitch.length"
	headerSHA256    = "callstitch.sha256"
	headerDropped   = "callstitch.dropped"
)

// RejectHeaders are the headers that the record of a reject has behind its own: where
// it came from, when it was, and why it is here. ParseReject reads them.
func RejectHeaders(r *call.Reject) []call.Header {
	text := func(key, value string) call.Header { return call.Header{Key: key, Value: []byte(value)} }
	headers := []call.Header{
		text(headerTopic, r.Source.Topic),
		text(headerPartition, strconv.Itoa(int(r.Source.Partition))),
		text(headerOffset, strconv.FormatInt(r.Source.Offset, 10)),
		text(headerException, "callstitch.Rejected"),
		text(headerMessage, r.Detail[:min(len(r.Detail), detailMax)]),
		text(headerReason, r.Reason.String()),
	}
	if r.Timestamp > 0 { // the rejects topic may give the record another time (K48)
		headers = append(headers, text(headerTimestamp, strconv.FormatInt(r.Timestamp, 10)))
	}
	if r.Batch != "" {
		headers = append(headers, text(headerBatch, r.Batch))
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
		{Key: headerLength, Value: strconv.AppendInt(nil, c.Length, 10)},
		{Key: headerSHA256, Value: hex.AppendEncode(nil, c.SHA256[:])},
	}
	for _, what := range c.Dropped {
		headers = append(headers, call.Header{Key: headerDropped, Value: []byte(what)})
	}
	return headers
}

// errNoReject says that a record is no reject of this or an earlier version.
var errNoReject = errors.New("the record is no reject")

// ParseReject is the reject that a record of the rejects topic holds, with the headers
// that the raw record had, and how often it was sent in again before it came here. It
// shares the record's memory. The errors say which header is wrong, and quote nothing.
func ParseReject(r Record) (reject call.Reject, replays int, err error) {
	own, err := ownHeaders(r.Headers)
	if err != nil {
		return reject, 0, err
	}
	reject = call.Reject{Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
	if raw := r.Headers[:len(r.Headers)-len(own)]; len(raw) > 0 {
		reject.Headers = slices.Clip(raw)
	}
	for _, h := range own {
		if err := readHeader(&reject, h); err != nil {
			return call.Reject{}, 0, fmt.Errorf("%w: its header %s is %w", errNoReject, h.Key, err)
		}
	}
	if reject.Reason == 0 {
		return call.Reject{}, 0, fmt.Errorf("%w: it has no header %s", errNoReject, headerReason)
	}
	return reject, Replays(reject.Headers), nil
}

// ownHeaders are those that RejectHeaders wrote: behind those of the raw record,
// whatever their names are.
func ownHeaders(headers []call.Header) ([]call.Header, error) {
	for i, h := range slices.Backward(headers) {
		if h.Key == headerTopic {
			return headers[i:], nil
		}
	}
	return nil, fmt.Errorf("%w: it has no header %s", errNoReject, headerTopic)
}

// readHeader takes what a header tells; one that this version does not know it passes over.
func readHeader(reject *call.Reject, h call.Header) (err error) {
	text, known := string(h.Value), true
	switch h.Key {
	case headerTopic:
		reject.Source.Topic = text
	case headerPartition:
		var n int64
		n, err = numberOf(text, 31)
		reject.Source.Partition = int32(n)
	case headerOffset:
		reject.Source.Offset, err = numberOf(text, 63)
	case headerMessage:
		reject.Detail = text
	case headerReason:
		if reject.Reason, known = call.ParseRejectReason(text); !known {
			err = errors.New("a reason that this version does not know")
		}
	case headerTimestamp:
		reject.Timestamp, err = numberOf(text, 63)
	case headerBatch:
		reject.Batch = text
	case headerLength:
		cutOf(reject).Length, err = numberOf(text, 63)
	case headerSHA256:
		sum, wrong := hex.DecodeString(text)
		if wrong != nil || len(sum) != sha256.Size {
			return errors.New("no SHA-256")
		}
		cutOf(reject).SHA256 = [sha256.Size]byte(sum)
	case headerDropped:
		cutOf(reject).Dropped = append(cutOf(reject).Dropped, text)
	}
	return err
}

func cutOf(reject *call.Reject) *call.Cut {
	if reject.Cut == nil {
		reject.Cut = new(call.Cut)
	}
	return reject.Cut
}

func numberOf(text string, bits int) (int64, error) {
	n, err := strconv.ParseUint(text, 10, bits)
	if err != nil {
		return 0, errors.New("no number")
	}
	return int64(n), nil
}

// Replays is how often a raw record was sent in again, by its headers; 0 where none says.
func Replays(headers []call.Header) int {
	for _, h := range slices.Backward(headers) {
		if h.Key == headerReplays {
			n, _ := numberOf(string(h.Value), 31) // one that is no number is nobody's count
			return int(n)
		}
	}
	return 0
}
