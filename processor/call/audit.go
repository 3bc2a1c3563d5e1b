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
}
