package topology

import (
	"callstitch/processor/call"
	"callstitch/schemas"
)

// Sink is an output topic.
type Sink uint8

// The sinks.
const (
	Events Sink = iota
	Sessions
	Legs
	Settled
	Audit
	Rejects
	SinkCount = int(Rejects) + 1
)

// sinks is what there is to know of each.
var sinks = [SinkCount]struct {
	name    string
	topic   func(*Topics) string
	subject schemas.Subject
	avro    bool // its values are Avro of the subject; those of rejects are as they came
}{
	Events:   {"events", func(t *Topics) string { return t.Events }, schemas.Events, true},
	Sessions: {"sessions", func(t *Topics) string { return t.Sessions }, schemas.Sessions, true},
	Legs:     {"legs", func(t *Topics) string { return t.Legs }, schemas.Legs, true},
	Settled:  {"settled", func(t *Topics) string { return t.Settled }, schemas.Sessions, true},
	Audit:    {"audit", func(t *Topics) string { return t.Audit }, schemas.Audit, true},
	Rejects:  {name: "rejects", topic: func(t *Topics) string { return t.Rejects }},
}

// Sinks lists them all.
func Sinks() []Sink { return []Sink{Events, Sessions, Legs, Settled, Audit, Rejects} }

// SinkOf is where a value goes.
func SinkOf(value call.Output) Sink {
	switch value.(type) {
	case *call.EventRecord:
		return Events
	case *call.Session:
		return Sessions
	case *call.Leg:
		return Legs
	case call.Settled:
		return Settled
	case *call.Reject:
		return Rejects
	default:
		return Audit
	}
}

// String is the sink's name in metrics, options and pictures, such as "events".
func (s Sink) String() string { return sinks[s].name }

// Subject is the schema of the sink's values; false where they are no Avro.
func (s Sink) Subject() (subject schemas.Subject, avro bool) {
	return sinks[s].subject, sinks[s].avro
}

// Topic is the full name of a sink's topic.
func (t *Topics) Topic(s Sink) string { return sinks[s].topic(t) }

// Sinks lists the sinks that are written: rows of legs, and settled sessions, only where
// they are wanted.
func (c *Config) Sinks() (written []Sink) {
	for _, s := range Sinks() {
		if (s != Legs || c.Stitch.Legs) && (s != Settled || c.Stitch.Settled) {
			written = append(written, s)
		}
	}
	return written
}
