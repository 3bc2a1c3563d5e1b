package call

// Output is the value of a record of an output topic: an *EventRecord, *Session, *Leg,
// *Reject or *Audit, and nothing else.
type Output interface{ output() }

func (*EventRecord) output() {}
func (*Session) output()     {}
func (*Leg) output()         {}
func (*Reject) output()      {}
func (*Audit) output()       {}
