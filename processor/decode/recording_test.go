package decode

import (
	"fmt"
	"testing"

	"callstitch/processor/call"
)

// A recording may be empty, but one that ends before it begins has no length.
func TestLengthOfARecording(t *testing.T) {
	for _, test := range []struct {
		ms   int64
		want call.Int
	}{{0, call.Some(0)}, {1, call.Some(1)}, {-1, call.Int{}}} {
		const start = 1_515_859_261_381
		value := fmt.Appendf(nil, `{"call_id":"x","recording_url":"https://media.example.com/1","start_time":%d,"end_time":%d}`, start, start+test.ms)
		r := New(Settings{Provider: call.Stringee}).Decode(Input{Value: value, Timestamp: start})
		if r.Reject != nil || len(r.Events) != 1 || r.Events[0].Recording.DurationMS != test.want {
			t.Errorf("a recording of %d ms: %+v, want %v", test.ms, r, test.want)
		}
	}
}
