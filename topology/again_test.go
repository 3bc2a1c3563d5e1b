package topology

import (
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
)

// A record that comes again arrives now, and tells of then: its events have the instants
// that they would have had, and its partition's clock goes on as if it were any other.
func TestARecordComesAgain(t *testing.T) {
	const then, now = 1_772_442_000_000, 1_772_528_400_000
	hangup := []byte(`{"notificationType":"callHungUpEvent","notification":{"callId":"x-1"}}`)
	reject := call.Reject{
		Source: call.Source{Topic: "call.raw", Partition: 2}, Timestamp: then, Key: []byte("key"), Value: hangup,
		Headers: []call.Header{
			{Key: "provider", Value: []byte("sonetel")},
			{Key: "callstitch.replays", Value: []byte("1")},
			{Key: "callstitch.timestamp", Value: []byte("17")},
			{Key: "__streams.errors.topic", Value: []byte("forged")},
		},
	}
	again := Again(&reject, 1, call.Source{Topic: "call.rejects", Partition: 3, Offset: 1042})
	want := []call.Header{
		{Key: "provider", Value: []byte("sonetel")},
		{Key: "callstitch.replays", Value: []byte("2")},
		{Key: "callstitch.replayed", Value: []byte("call.rejects/3/1042")},
		{Key: "callstitch.timestamp", Value: []byte(strconv.Itoa(then))},
	}
	if d := cmp.Diff(want, again.Headers); d != "" {
		t.Error(d)
	}
	again.Timestamp = now

	task := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
	var fx Effects
	for i := range int64(3) {
		live := rawRecord(2*i, now+2*i, nil)
		again.Offset, again.Timestamp = 2*i+1, now+2*i+1
		task.Process(live, &fx)
		task.Process(again, &fx)
		if p := task.Progress(false, call.Unheard); p.Time != call.Arrival(live.Timestamp-1) {
			t.Errorf("after record %d the clock vouches for %d, want %d", again.Offset, p.Time, live.Timestamp-1)
		}
	}
	if len(fx.Decoded) != 3 {
		t.Fatalf("%d events", len(fx.Decoded))
	}
	for i, d := range fx.Decoded {
		if d.Arrival != call.Arrival(now+2*i+1) || d.Event.Ended.At != then || d.Event.IngestedAt != then {
			t.Errorf("event %d arrives at %d, ended at %d", i, d.Arrival, d.Event.Ended.At)
		}
	}
}

// A date is believed that is no later than the record itself, of the last header, as
// ever; and what is rejected again keeps it.
func TestOriginal(t *testing.T) {
	const now = 1_772_442_000_000
	minute := Leeway.Milliseconds()
	for _, c := range []struct {
		headers []string
		want    int64
	}{
		{nil, now},
		{[]string{"1772355600000"}, 1772355600000},
		{[]string{"5", "6"}, 6},
		{[]string{"5", strconv.FormatInt(now+minute, 10)}, now + minute},
		{[]string{"5", strconv.FormatInt(now+minute+1, 10)}, now},
		{[]string{"9223372036854775807"}, now},
		{[]string{"0"}, now},
		{[]string{"-5"}, now},
		{[]string{"yesterday"}, now},
		{[]string{""}, now},
	} {
		r := rawRecord(0, now, []byte("{"))
		for _, h := range c.headers {
			r.Headers = append(r.Headers, call.Header{Key: "callstitch.timestamp", Value: []byte(h)})
		}
		if got := Original(&r); got != c.want {
			t.Errorf("%q: %d, want %d", c.headers, got, c.want)
		}
		task := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
		var fx Effects
		task.Process(r, &fx)
		rejected := fx.Outputs[0].Value.(*call.Reject)
		if rejected.Timestamp != c.want || !slices.EqualFunc(rejected.Headers, r.Headers, sameHeader) {
			t.Errorf("%q: the reject is of %d", c.headers, rejected.Timestamp)
		}
	}
}

func sameHeader(a, b call.Header) bool { return a.Key == b.Key && string(a.Value) == string(b.Value) }
