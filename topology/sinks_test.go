package topology

import (
	"slices"
	"testing"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/schemas"
)

// Each kind of output goes to the topic of its name, with the schema of its own
// fields.
func TestSinks(t *testing.T) {
	topics := Topics{Events: "e", Sessions: "s", Legs: "l", Settled: "c", Audit: "a", Rejects: "r"}
	values := []struct {
		value       call.Output
		sink        Sink
		name, topic string
	}{
		{&call.EventRecord{}, Events, "events", "e"},
		{&call.Session{}, Sessions, "sessions", "s"},
		{&call.Leg{}, Legs, "legs", "l"},
		{call.Settled{Session: &call.Session{}}, Settled, "settled", "c"},
		{&call.Audit{}, Audit, "audit", "a"},
		{&call.Reject{}, Rejects, "rejects", "r"},
	}
	if len(values) != SinkCount || len(Sinks()) != SinkCount {
		t.Fatalf("%d sinks, %d of them listed, %d tested", SinkCount, len(Sinks()), len(values))
	}
	for i, v := range values {
		if Sinks()[i] != v.sink || SinkOf(v.value) != v.sink || v.sink.String() != v.name || topics.Topic(v.sink) != v.topic {
			t.Errorf("%T goes to sink %s, topic %s; want %s, %s", v.value, SinkOf(v.value), topics.Topic(v.sink), v.name, v.topic)
		}
		subject, avro := v.sink.Subject()
		want, hasSchema := schemas.Of(v.value)
		if avro != hasSchema || avro && subject != want {
			t.Errorf("%s has schema %s (%t), its values have %s (%t)", v.sink, subject, avro, want, hasSchema)
		}
	}
}

func TestSinksAreWrittenWhereWanted(t *testing.T) {
	for sink, c := range map[Sink]func(wanted bool) Config{
		Legs:    func(wanted bool) Config { return Config{Stitch: stitch.Config{Legs: wanted}} },
		Settled: func(wanted bool) Config { return Config{Stitch: stitch.Config{Settled: wanted}} },
	} {
		for _, wanted := range []bool{false, true} {
			cfg := c(wanted)
			written := cfg.Sinks()
			if slices.Contains(written, sink) != wanted || !slices.Contains(written, Sessions) || !slices.Contains(written, Rejects) {
				t.Errorf("%s wanted: %t; sinks %v", sink, wanted, written)
			}
		}
	}
}
