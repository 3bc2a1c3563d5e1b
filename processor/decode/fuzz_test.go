package decode

import (
	"testing"

	"callstitch/processor/call"
)

// FuzzDecode looks for records that are not exactly one of events, an ignore or
// a rejection, or that break what is true of all events.
func FuzzDecode(f *testing.F) {
	for _, p := range call.Providers() {
		for _, file := range fixtures(f, p.String()) {
			f.Add(fixture(f, file), int64(kafkaTimestamp))
		}
	}
	f.Add([]byte("["+opentactLive+","+stringeeRinging+"]"), int64(0))
	f.Add([]byte(`{"eventType":"answer","call_status":"ringing"}`), int64(-1))
	f.Fuzz(func(t *testing.T, value []byte, timestamp int64) {
		decodeChecked(t, Settings{}, Input{Value: value, Timestamp: timestamp})
	})
}

func fuzzProvider(f *testing.F, p call.Provider) {
	for _, file := range fixtures(f, p.String()) {
		f.Add(fixture(f, file))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		decodeChecked(t, Settings{Provider: p, LinkByTag: true}, Input{Value: value, Timestamp: kafkaTimestamp})
	})
}

func FuzzOpentact(f *testing.F)  { fuzzProvider(f, call.Opentact) }
func FuzzStringee(f *testing.F)  { fuzzProvider(f, call.Stringee) }
func FuzzSonetel(f *testing.F)   { fuzzProvider(f, call.Sonetel) }
func FuzzBandwidth(f *testing.F) { fuzzProvider(f, call.Bandwidth) }
