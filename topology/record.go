package topology

import (
	"callstitch/processor/call"
	"callstitch/processor/decode"
)

// Record is one record of a raw or exchange topic. Timestamp is the Kafka
// timestamp in epoch milliseconds; 0 means that there is none, as in raw files. It becomes
// arrival time in DecodeTask.Process, and evidence of call time in package decode,
// and is neither before; of one that came again, see Original.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp int64
	Key       []byte
	Value     []byte
	Headers   []call.Header
	// Refused says why the runtime cannot hand over the record as it is in the
	// topic. It is nil for all others.
	Refused *Refusal

	prepared bool // decoded is what comes of it
	decoded  decode.Result
}

// Refusal is why a record is not processed: it is rejected with what there is of it.
type Refusal struct {
	Reason call.RejectReason
	Detail string // what is wrong and where; never payload, numbers or tokens
	Cut    *call.Cut
	Batch  string // as of call.Reject
}

// Output is one record for an output topic.
type Output struct {
	Key   []byte
	Value call.Output
}

// Sink is where the record goes.
func (o Output) Sink() Sink { return SinkOf(o.Value) }

// Decoded is an event on its way from its decode task to the stitch task of its leg.
type Decoded struct {
	Event   *call.Event
	Arrival call.Arrival
}

// Envelope is one record for the exchange.
type Envelope struct {
	Partition int32
	Key       []byte
	Value     []byte
	// From is the stitch task that must hold its clock back at Trig-1 until the
	// record is acknowledged; -1 for events and ticks, which need none.
	From int32
	Trig call.Arrival
}

// Change is one record for the changelog; a nil Value deletes the key.
type Change struct {
	Partition int32
	Key       []byte
	Value     []byte
}

// Effects is all that one batch of records asks of the runtime, in order. The
// runtime makes all of it durable with the input offsets, or none of it.
type Effects struct {
	Decoded   []Decoded // until the worker has sent them on their way
	Exchange  []Envelope
	Outputs   []Output
	Changelog []Change
}

// Reset empties the effects and keeps their memory, but nothing that they referred to.
func (fx *Effects) Reset() {
	fx.Decoded = emptied(fx.Decoded)
	fx.Exchange = emptied(fx.Exchange)
	fx.Outputs = emptied(fx.Outputs)
	fx.Changelog = emptied(fx.Changelog)
}

// emptied is a slice without its elements, which nothing keeps alive any more.
func emptied[T any](s []T) []T {
	clear(s)
	return s[:0]
}
