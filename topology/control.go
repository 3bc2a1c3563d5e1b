package topology

// control plants faults in tasks: each takes away one rule of the protocol, so
// that the tests can show that the rule's absence does not go unnoticed. Only builds
// with the tag controls look at it.
type control struct {
	ignoreFlight    bool // the relay does not hold its clock back for messages in flight
	ignoreEnds      bool // a take-over does not wait for what the last owner had sent
	trigFromArrival bool // an event's trig is its arrival, however old
	largestClock    bool // of a task's clocks the largest counts, not the latest
	handOverAtOnce  bool // events are handed over while others of their partition are under way
	eventsOnly      bool // events are handed over, but how far their partition is goes through the exchange
	vouchForLatest  bool // a partition that is not idle vouches for its latest arrival itself
	followAtOnce    bool // a partition's clock follows each record without a witness
	believeIdle     bool // a partition that is idle needs no witness
}
