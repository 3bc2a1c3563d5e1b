package topology_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"callstitch/processor/call"
	"callstitch/topology"
)

// someReject draws a reject; the raw record's headers may have names of ours.
func someReject(t *rapid.T) call.Reject {
	maybe := func(label string) []byte {
		if rapid.Bool().Draw(t, label+" is null") {
			return nil
		}
		return rapid.SliceOf(rapid.Byte()).Draw(t, label)
	}
	names := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"provider", "callstitch.reason", "callstitch.sha256", "callstitch.timestamp", "__streams.errors.topic", "__streams.errors.offset",
	}))
	reasons := call.RejectReasonNames()
	r := call.Reject{
		Reason: call.RejectReason(rapid.IntRange(1, len(reasons)).Draw(t, "reason")), Detail: rapid.StringN(0, 100, 1000).Draw(t, "detail"),
		Source: call.Source{
			Topic: rapid.String().Draw(t, "topic"), Partition: rapid.Int32Min(0).Draw(t, "partition"), Offset: rapid.Int64Min(0).Draw(t, "offset"),
		},
		Timestamp: rapid.Int64Min(0).Draw(t, "timestamp"), Key: maybe("key"), Value: maybe("value"),
		Batch: rapid.SampledFrom([]string{"", "120-129"}).Draw(t, "batch"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		r.Headers = append(r.Headers, call.Header{Key: names.Draw(t, "name"), Value: maybe("header")})
	}
	if rapid.Bool().Draw(t, "cut") {
		r.Cut = &call.Cut{Length: rapid.Int64Min(0).Draw(t, "length"), SHA256: sha256.Sum256(maybe("whole"))}
		if rapid.Bool().Draw(t, "dropped") {
			r.Cut.Dropped = []string{"headers", "key"}
		}
	}
	return r
}

// What RejectHeaders tells, ParseReject reads again, whatever headers the raw record had
// and whatever time the topic gave the record.
func TestARejectComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := someReject(t)
		r := topology.Record{
			Topic: "call.rejects", Timestamp: want.Timestamp, Key: want.Key, Value: want.Value,
			Headers: slices.Concat(want.Headers, topology.RejectHeaders(&want)),
		}
		if want.Timestamp > 0 {
			r.Timestamp = rapid.Int64Min(0).Draw(t, "time of writing")
		}
		got, _, err := topology.ParseReject(r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-written +read):\n%s", diff)
		}
	})
}

func TestReplaysAreCounted(t *testing.T) {
	for value, want := range map[string]int{"": 0, "1": 1, "17": 17, "-1": 0, "x": 0, "99999999999999999999": 0} {
		reject := call.Reject{Reason: call.RejectBadField, Headers: []call.Header{{Key: "callstitch.replays", Value: []byte(value)}}}
		headers := slices.Concat(reject.Headers, topology.RejectHeaders(&reject))
		if _, n, err := topology.ParseReject(topology.Record{Headers: headers}); err != nil || n != want {
			t.Errorf("%q: %d, %v; want %d", value, n, err, want)
		}
	}
	if n := topology.Replays(nil); n != 0 {
		t.Errorf("%d without a header", n)
	}
}

// What is no reject is told by the header that shows it, and nothing of it is quoted.
func TestWhatIsNoReject(t *testing.T) {
	whole := topology.RejectHeaders(&call.Reject{Reason: call.RejectTooLarge, Timestamp: 1, Cut: &call.Cut{Length: 1}})
	for _, h := range whole {
		switch h.Key {
		case "__streams.errors.exception", "__streams.errors.message":
			continue // say nothing that must be so
		case "__streams.errors.topic":
			if _, _, err := topology.ParseReject(topology.Record{Headers: whole[1:]}); err == nil || !strings.Contains(err.Error(), h.Key) {
				t.Errorf("without %s: %v", h.Key, err)
			}
			continue
		}
		headers := slices.Clone(whole)
		i := slices.IndexFunc(headers, func(o call.Header) bool { return o.Key == h.Key })
		headers[i].Value = []byte("+1555010")
		_, _, err := topology.ParseReject(topology.Record{Headers: headers})
		if err == nil || !strings.Contains(err.Error(), h.Key) || strings.Contains(err.Error(), "555") {
			t.Errorf("%s: %v", h.Key, err)
		}
	}
	foreign := slices.DeleteFunc(slices.Clone(whole), func(h call.Header) bool { return h.Key == "callstitch.reason" })
	if _, _, err := topology.ParseReject(topology.Record{Headers: foreign}); err == nil {
		t.Error("a dead letter of Kafka Streams is taken for a reject")
	}
	long := slices.Clone(whole)
	i := slices.IndexFunc(long, func(o call.Header) bool { return o.Key == "callstitch.sha256" })
	long[i].Value = bytes.Repeat([]byte("a"), 66)
	if _, _, err := topology.ParseReject(topology.Record{Headers: long}); err == nil {
		t.Error("33 bytes are taken for a SHA-256")
	}
}
