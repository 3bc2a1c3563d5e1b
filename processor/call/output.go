package call

// Output is the value of a record of an output topic: an *EventRecord, *Session, Settled,
// *Leg, *Reject or *Audit, and nothing else.
type Output interface{ output() }

func (*EventRecord) output() {}
func (*Session) output()     {}
func (Settled) output()      {}
func (*Leg) output()         {}
func (*Reject) output()      {}
func (*Audit) output()       {}
