package call

// Audit is the closed book of one source partition: running totals since the
// generation began, with everything before NextOffset counted. It balances:
// Read = Decoded + Ignored + Rejected, and
// Events = Accepted + Duplicate + Conflicting + Late.
type Audit struct {
	Topic      string
	Partition  int32
	NextOffset int64

	Read, Decoded, Ignored, Rejected int64 // records
	Events                           int64 // events decoded from them

	Accepted, Duplicate, Conflicting, Late int64 // events

	ClosedAt Arrival
}

// Balanced reports whether both equations of the book hold.
func (a Audit) Balanced() bool {
	return a.Read == a.Decoded+a.Ignored+a.Rejected &&
		a.Events == a.Accepted+a.Duplicate+a.Conflicting+a.Late
}

// Header is a record header.
type Header struct {
	Key   string
	Value []byte
}

// Reject is a record, or an event, that was not taken, with everything needed
// to find out why and to send it in again.
type Reject struct {
	Reason RejectReason
	Detail string // what is wrong and where; never payload, numbers or tokens
	Source Source
	// Timestamp is the raw record's Kafka timestamp, epoch ms; 0 where there is none.
	Timestamp int64
	Key       []byte
	Value     []byte // the raw bytes; for ConflictingID the normalised event as JSON
	Headers   []Header
	Cut       *Cut   // what was left away before it came here; nil: nothing
	Batch     string // the offsets of the record batch that nobody can read, such as "120-129"; empty: it was read
}

// Cut is what is known of a record of which not all was kept.
type Cut struct {
	Length  int64    // of the whole value
	SHA256  [32]byte // of the whole value
	Dropped []string // of "headers" and "key", those that were not kept
}
