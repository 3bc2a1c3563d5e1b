package call

// Evidence says how an instant was obtained, strongest first.
type Evidence uint8

// The evidence classes. A stronger class beats a weaker one, however the
// instants compare.
const (
	NoEvidence       Evidence = iota // absent
	EvidenceReported                 // the provider names this instant in a field of its own
	EvidenceEvent                    // the time of the event that tells it
	EvidenceSnapshot                 // seen in a copy of the leg inside another leg's event
	EvidenceDerived                  // computed from a reported duration
	EvidenceIngest                   // only the Kafka timestamp tells it
	EvidenceTimeout                  // last evidence of life of a leg whose end was lost
)

var evidenceNames = [...]string{"", "REPORTED", "EVENT", "SNAPSHOT", "DERIVED", "INGEST", "TIMEOUT"}

// String is the word used in records; empty for NoEvidence.
func (e Evidence) String() string { return evidenceNames[e] }

// Instant is a moment of call time with its pedigree. The zero value is an
// instant that was not observed, and is null in records.
type Instant struct {
	At        Time
	Src       Evidence
	Precision int32 // milliseconds: 1 for a millisecond clock, 1000 for whole seconds
}

// Known reports whether the instant was observed at all.
func (i Instant) Known() bool { return i.Src != NoEvidence }

// Sometime is an instant that was, at a time that is not known: what an event says of
// it cannot be. It is null in records.
func Sometime() Instant { return Instant{Src: EvidenceTimeout} }

// Before orders instants by what a fold prefers: stronger evidence, then the
// earlier moment, then the finer clock. Absent instants come last.
func (i Instant) Before(o Instant) bool {
	switch {
	case i.Known() != o.Known():
		return i.Known()
	case i.Src != o.Src:
		return i.Src < o.Src
	case i.At != o.At:
		return i.At < o.At
	default:
		return i.Precision < o.Precision
	}
}

// Earliest is the instant of the best evidence, the earlier one where both are
// of one class. It is commutative, associative and idempotent.
func Earliest(a, b Instant) Instant {
	if b.Before(a) {
		return b
	}
	return a
}

// Int is an optional integer; the zero value is null in records.
type Int struct {
	N     int64
	Known bool
}

// Some is a known integer.
func Some(n int64) Int { return Int{n, true} }
