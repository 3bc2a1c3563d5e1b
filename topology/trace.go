package topology

import (
	"callstitch/processor/call"
	"callstitch/processor/stitch"
)

// Step is what became of one event: what a run tells whoever explains it.
type Step struct {
	*call.EventRecord
	Outcome stitch.Outcome
}

// Trace hands every event that the task takes from now on to f, in order.
func (t *StitchTask) Trace(f func(Step)) { t.trace = f }

// Look is the session that a node of this task belongs to, or the node to ask
// next, as of the last Commit; see stitch.Machine.
func (t *StitchTask) Look(id call.NodeID) (s *call.Session, up call.NodeID) {
	return t.machine.Look(id)
}
