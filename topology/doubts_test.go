package topology

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
)

// lineOf is a raw line about a call at an instant, with or without a Kafka timestamp.
type lineOf struct {
	call      string
	at        call.Arrival // what the provider says; 0 for nothing
	timestamp call.Arrival
}

func (l lineOf) value() []byte {
	when := ""
	if l.at > 0 {
		when = fmt.Sprintf(`"timestamp_ms":%d,`, l.at)
	}
	return fmt.Appendf(nil, `{"call_status":"ringing",%s"call_id":%q,"from":{},"to":{}}`, when, l.call)
}

// A file's clock makes no leap for one record. The tests give, for each line, when its
// event arrives, and where the clock stands after the last one.
func TestAFileDoesNotLeapForOneRecord(t *testing.T) {
	const start, hour = call.Arrival(1_772_442_000_000), call.Arrival(3_600_000)
	const day = 24 * hour
	const wild = call.Arrival(3_900_000_000_000) // in the year 2093
	for _, tt := range []struct {
		name  string
		lines []lineOf
		want  []call.Arrival
		clock call.Arrival
	}{
		{
			"one record of the year 2093",
			[]lineOf{{"a", start, 0}, {"a", start + 10, 0}, {"b", wild, 0}, {"a", start + 20, 0}, {"c", start + 30, 0}},
			[]call.Arrival{start, start + 10, start + 10, start + 20, start + 30},
			start + 30,
		},
		{
			"several of one call, and copies",
			[]lineOf{{"a", start, 0}, {"a", start + 10, 0}, {"b", wild, 0}, {"b", wild, 0}, {"b", wild + 20, 0}, {"a", start + 20, 0}},
			[]call.Arrival{start, start + 10, start + 10, start + 10, start + 10, start + 20},
			start + 20,
		},
		{
			"two of different calls agree",
			[]lineOf{{"a", start, 0}, {"a", start + 10, 0}, {"b", wild, 0}, {"c", wild - hour, 0}, {"a", start + 20, 0}},
			[]call.Arrival{start, start + 10, start + 10, wild, wild},
			wild,
		},
		{
			"two of different calls that do not agree",
			[]lineOf{{"a", start, 0}, {"a", start + 10, 0}, {"b", wild, 0}, {"c", wild - 2*day, 0}, {"a", start + 20, 0}},
			[]call.Arrival{start, start + 10, start + 10, start + 10, start + 20},
			start + 20,
		},
		{
			"a gap of a week",
			[]lineOf{{"a", start, 0}, {"a", start + 10, 0}, {"b", start + 7*day, 0}, {"b", start + 7*day + 20, 0}, {"c", start + 7*day + hour, 0}, {"d", start + 9*day, 0}, {"c", start + 7*day + hour, 0}},
			[]call.Arrival{start, start + 10, start + 7*day, start + 7*day + 20, start + 7*day + hour, start + 9*day, start + 7*day + hour},
			start + 9*day,
		},
		{
			"a gap of not quite a day",
			[]lineOf{{"a", start, 0}, {"a", start + 10, 0}, {"b", start + 10 + day, 0}, {"a", start, 0}},
			[]call.Arrival{start, start + 10, start + 10 + day, start + 10 + day},
			start + 10 + day,
		},
		{
			"the wild one is the first",
			[]lineOf{{"b", wild, 0}, {"a", start, 0}, {"a", start + 10, 0}},
			[]call.Arrival{wild, start, start + 10},
			wild, // at the end of the file its call is over, too
		},
		{
			"the wild one is the first, and comes twice",
			[]lineOf{{"b", wild, 0}, {"b", wild, 0}, {"a", start, 0}, {"b", start + 10, 0}},
			[]call.Arrival{wild, wild, start, start + 10},
			wild,
		},
		{
			"the wild one is the second",
			[]lineOf{{"a", start, 0}, {"b", wild, 0}, {"a", start + 10, 0}},
			[]call.Arrival{start, start, start + 10},
			start + 10,
		},
		{
			"the wild one is the last",
			[]lineOf{{"a", start, 0}, {"a", start + 10, 0}, {"a", wild, 0}},
			[]call.Arrival{start, start + 10, start + 10},
			start + 10,
		},
		{
			"lines that tell no time wait for the first that does",
			[]lineOf{{"a", 0, 0}, {"a", start, 0}, {"b", wild, 0}, {"a", 0, 0}, {"a", start + 10, 0}},
			[]call.Arrival{start, start, start, start, start + 10},
			start + 10,
		},
		{
			"one Kafka timestamp of the year 2093",
			[]lineOf{{"a", start, start}, {"b", start, wild}, {"b", start, wild}, {"a", start + 10, start + 10}, {"c", start + 20, start + 20}},
			[]call.Arrival{start, start, start, start + 10, start + 20},
			start + 20,
		},
		{
			"two Kafka timestamps that agree",
			[]lineOf{{"a", start, start}, {"b", start, wild}, {"c", start, wild + hour}, {"a", start + 10, start + 10}},
			[]call.Arrival{start, start, wild + hour, wild},
			wild + hour,
		},
		{
			"two Kafka timestamps move the clock by weeks, as they do in a run",
			[]lineOf{{"a", start, start}, {"b", start, start + 30*day}, {"a", start, start + 30*day + 10}, {"a", start + 10, start + 10}},
			[]call.Arrival{start, start + 30*day, start + 30*day + 10, start + 30*day},
			start + 30*day + 10,
		},
		{
			"one does not, as in a run",
			[]lineOf{{"a", start, start}, {"b", start, start + 30*day}, {"a", start + 10, start + 10}, {"a", start + 20, start + 20}},
			[]call.Arrival{start, start + 30*day, start + 10, start + 20},
			start + 30*day, // at the end of the file its call is over, too
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			task := NewDecodeTask(decodeConfig, Source{Topic: "file"}, 0)
			task.FromFile()
			var fx Effects
			for i, l := range tt.lines {
				task.Process(rawRecord(int64(i), int64(l.timestamp), l.value()), &fx)
			}
			task.End()
			task.Finish(&fx)
			var got []call.Arrival
			for _, d := range fx.Decoded {
				got = append(got, d.Arrival)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("arrivals (-want +got):\n%s", d)
			}
			if clock := task.Progress(false, call.Unheard).Arrival; clock != tt.clock {
				t.Errorf("the clock ends at %s, want %s", time.UnixMilli(int64(clock)).UTC(), time.UnixMilli(int64(tt.clock)).UTC())
			}
		})
	}
}

// What Kafka hands out is believed: the broker bounds it, and the arrival of a record
// depends on nothing but the ones before it.
func TestATopicsTimestampsAreBelieved(t *testing.T) {
	task := NewDecodeTask(decodeConfig, Source{Topic: "call.raw"}, 2)
	var fx Effects
	for i, at := range []int64{1_772_442_000_000, 3_900_000_000_000} {
		task.Process(rawRecord(int64(i), at, stringee("created", at)), &fx)
		if got := task.Progress(false, call.Unheard).Arrival; got != call.Arrival(at) {
			t.Errorf("the clock stands at %d after a record of %d", got, at)
		}
	}
}
