package stitch

import (
	"time"

	"callstitch/processor/call"
	"callstitch/processor/leg"
)

// Config is what shapes the answers of a machine. It must be equal for all
// tasks of an application.
type Config struct {
	// Grace is how long after the last arrival a session whose legs have all
	// ended waits before it is FINAL. Longer means fewer amended records and
	// later ones.
	Grace time.Duration
	// UnansweredTimeout and AnsweredTimeout end the wait for a leg whose end
	// never arrives.
	UnansweredTimeout, AnsweredTimeout time.Duration
	// Retention is how long beyond its last possible end a leg is kept. An
	// event that arrives later changes no session.
	Retention time.Duration
	// StubRetention is how long after that a leg's id is remembered, to tell a
	// late event from a new call.
	StubRetention time.Duration
	// Generation is raised for a deliberate reprocess; it is the high half of
	// every record version.
	Generation int32
	// Partial publishes PARTIAL revisions; without it only FINAL and SUPERSEDED
	// are published, and counted.
	Partial bool
	// Legs publishes a row for each leg beside its session.
	Legs bool
	// Settled publishes each session once more when it changes no more: SettledAfter
	// after its closing time, or, where that is 0, and at the latest, when its root is
	// forgotten.
	Settled      bool
	SettledAfter time.Duration
}

// Forgotten is how long after its last event all of a session but its ids is forgotten.
func (c Config) Forgotten() time.Duration { return c.AnsweredTimeout + c.Retention + expirySlack }

func (c Config) timeouts() leg.Timeouts {
	return leg.Timeouts{Grace: c.Grace, Unanswered: c.UnansweredTimeout, Answered: c.AnsweredTimeout}
}

// State is a machine's view of its task's store. Reads see the earlier writes
// of the same transaction. The machine does not change a value after Put. What Get
// returned it neither changes nor keeps beyond the step at hand; a key is valid only
// during the call.
type State interface {
	Get(key []byte) []byte // nil where the key is absent
	Put(key, value []byte) // a nil value deletes
}

// Message travels from one node to another, within a task or through the
// exchange. Trig is the arrival time of what caused it: the session clock does not pass Trig while the message is in flight.
type Message struct {
	To   call.NodeID
	Trig call.Arrival
	Body []byte // opaque outside this package
}

// Outcome is what became of an event.
type Outcome uint8

// The outcomes: every event is exactly one of them.
const (
	Accepted Outcome = iota + 1
	Duplicate
	Conflicting
	Late
)

// Effects is what a machine asks of its task, in order.
type Effects struct {
	Messages  []Message
	Events    []*call.EventRecord // accepted and late ones
	Sessions  []*call.Session
	Settled   []*call.Session // each id once
	Legs      []*call.Leg
	Conflicts []*call.EventRecord // to be rejected with ID_CONFLICT
}

// Clocks are the two clocks of a task; call.Unheard before every source partition
// was heard.
type Clocks struct {
	Leg     call.Arrival // minimum over all source partitions
	Session call.Arrival // no message caused at or before it is still in flight
}
