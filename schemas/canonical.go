package schemas

import "slices"

// Canonical reports whether a field of CallSession is in its canonical form, in which two
// runs over the same events agree whatever the order, the repetitions, the partitions and
// the faults. The other fields tell how the record came to be.
func Canonical(field string) bool { return !slices.Contains(howItCame[:], field) }

// CanonicalFlag is Canonical for an element of quality_flags.
func CanonicalFlag(flag string) bool { return flag != "LATE_EVENTS" && flag != "OUT_OF_ORDER" }

var howItCame = [...]string{
	"revision", "generation", "record_version", "change_reason", "amended", "merged_session_ids", "duplicate_count",
	"late_event_count", "out_of_order_count", "first_src_topic", "first_src_partition", "first_src_offset",
	"last_src_topic", "last_src_partition", "last_src_offset", "emitted_at",
}

// Field is one field of a subject.
type Field struct {
	Path string // its name; of a nested record's, both, as in legs.role
	// Words reports whether its text is of a closed list, and so holds nothing that a
	// provider or a customer has written.
	Words bool
	// Number reports whether it holds an address of somebody, such as a telephone number:
	// it has the tag "x-pii": "phone".
	Number bool
}

// Fields are those of the subject's schema, in its order.
func (s Subject) Fields() []Field {
	flat, err := flatten(s.Schema())
	if err != nil {
		panic(err) // the schema is a part of the program
	}
	fields := make([]Field, len(flat.fields))
	for i, f := range flat.fields {
		fields[i] = Field{Path: f.path, Words: f.words != "", Number: f.number}
	}
	return fields
}
