package topology

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// TestHistory shows a history what was left when a worker was killed: two tasks had
// processed events beyond the last tick that they heard, and one has an event and a
// tick still before it.
func TestHistory(t *testing.T) {
	cfg := Config{ExchangePartitions: 2}
	source, other := part(0), part(1)
	answered := func(task int32, read, events, counted int64) Record {
		a := account{
			counts: Counts{Accepted: counted - 1, Duplicate: 1},
			answer: Answer{Source: source, Task: task, Offset: 100 + read, Arrival: 7, Totals: Totals{Read: read, Decoded: read - 1, Ignored: 1, Events: events}},
		}
		return Record{Partition: task, Key: sourceKey(accountKey, source), Value: codec.Append(nil, &a)}
	}
	position := func(task int32, at int64) Record {
		c := codec.NewWriter(nil)
		c.Int64(&at)
		held := call.Arrival(1)
		held.Visit(c)
		return Record{Partition: task, Key: []byte{positionKey}, Value: c.Buf}
	}
	event := func(task int32, at int64) Record {
		e := &call.Event{Source: call.Source{Topic: source.Topic, Partition: source.Partition}}
		return Record{Partition: task, Offset: at, Value: appendEvent(nil, e, 8)}
	}
	tick := func(task int32, at, read, events int64) Record {
		k := Tick{Progress: []Progress{{Source: source, Time: 8, Arrival: 9, Offset: 100 + read, Totals: Totals{Read: read, Decoded: read - 1, Ignored: 1, Events: events}}}}
		return Record{Partition: task, Offset: at, Value: k.EnvelopeFor(&cfg, task).Value}
	}
	for name, c := range map[string]struct {
		changelog, exchange []Record
		want                Progress
	}{
		"all is processed": {
			[]Record{answered(0, 2, 1, 1), answered(0, 5, 4, 3), position(0, 10), answered(1, 5, 4, 1), position(1, 8)},
			[]Record{event(0, 9), tick(0, 3, 2, 1)},
			Progress{Arrival: 7, Offset: 105, Totals: Totals{Read: 5, Decoded: 4, Ignored: 1, Events: 4}},
		},
		"events after the last tick": {
			[]Record{answered(0, 5, 4, 4), position(0, 10), answered(1, 5, 4, 1), position(1, 8)},
			[]Record{event(0, 9), event(1, 8)},
			Progress{Arrival: 7, Offset: 107, Totals: Totals{Read: 7, Decoded: 6, Ignored: 1, Events: 6}},
		},
		"a tick that nobody heard": {
			[]Record{answered(0, 5, 4, 3), position(0, 10), answered(1, 5, 4, 1), position(1, 8)},
			[]Record{event(0, 10), tick(0, 11, 8, 5), tick(1, 8, 8, 5)},
			Progress{Arrival: 9, Time: 8, Offset: 108, Totals: Totals{Read: 8, Decoded: 7, Ignored: 1, Events: 5}},
		},
		"no tick at all": {
			nil,
			[]Record{event(0, 0)},
			Progress{Offset: 1, Totals: Totals{Read: 1, Decoded: 1, Events: 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := NewHistory()
			for _, r := range c.changelog {
				h.Changelog(r)
			}
			for _, r := range c.exchange {
				h.Exchange(r)
			}
			c.want.Source = source
			got, ok := h.Of(source)
			if d := cmp.Diff(c.want, got); d != "" || !ok {
				t.Error(d)
			}
			if n := h.Partitions(source.Topic); n != 0 {
				t.Errorf("clocks wait for %d partitions, and there is none", n)
			}
			c := newClocks(2)
			c.configure(map[string]int32{source.Topic: 3})
			h.Changelog(Record{Key: []byte{clocksKey}, Value: codec.Append(nil, &c)})
			if n := h.Partitions(source.Topic); n != 3 {
				t.Errorf("clocks wait for %d partitions", n)
			}
			if _, ok := h.Of(other); ok {
				t.Error("it knows of a partition that was never read")
			}
		})
	}
}
