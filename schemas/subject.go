package schemas

import (
	_ "embed"
	"fmt"

	"callstitch/processor/call"
)

// Subject is a kind of record with a schema of its own: one for each output
// topic that carries Avro.
type Subject uint8

// The subjects.
const (
	Events   Subject = iota // *call.EventRecord
	Sessions                // *call.Session, call.Settled
	Legs                    // *call.Leg
	Audit                   // *call.Audit
)

var subjectNames = [...]string{"CallEvent", "CallSession", "CallLeg", "CallAudit"}

// Subjects lists them all.
func Subjects() []Subject { return []Subject{Events, Sessions, Legs, Audit} }

// String is the name of the Avro record.
func (s Subject) String() string { return subjectNames[s] }

// Of says which subject a value of an output belongs to; a *call.Reject and
// whatever else has none.
func Of(value call.Output) (Subject, bool) {
	switch value.(type) {
	case *call.EventRecord:
		return Events, true
	case *call.Session, call.Settled:
		return Sessions, true
	case *call.Leg:
		return Legs, true
	case *call.Audit:
		return Audit, true
	default:
		return 0, false
	}
}

//go:embed call_event.avsc
var eventSchema string

//go:embed call_session.avsc
var sessionSchema string

//go:embed call_leg.avsc
var legSchema string

//go:embed call_audit.avsc
var auditSchema string

// Schema is the text of the subject's Avro schema.
func (s Subject) Schema() string {
	return [...]string{eventSchema, sessionSchema, legSchema, auditSchema}[s]
}

// SubjectName is the registry's name for the schema of a topic's values.
func SubjectName(topic string) string { return topic + "-value" }

func describe(w writer, value call.Output) error {
	switch v := value.(type) {
	case *call.EventRecord:
		describeEvent(w, v)
	case *call.Session:
		describeSession(w, v)
	case call.Settled:
		describeSession(w, v.Session)
	case *call.Leg:
		describeLeg(w, v)
	case *call.Audit:
		describeAudit(w, v)
	default:
		return fmt.Errorf("encode %T: it has no schema", value)
	}
	return nil
}
