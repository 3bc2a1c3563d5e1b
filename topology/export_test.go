//go:build controls

package topology

// The faults that the tests plant.

func IgnoreFlight(t *StitchTask)    { t.control.ignoreFlight = true }
func IgnoreEnds(t *StitchTask)      { t.control.ignoreEnds = true }
func TrigFromArrival(t *StitchTask) { t.control.trigFromArrival = true }
func LargestClock(t *StitchTask)    { t.control.largestClock = true }
func HandOverAtOnce(w *Worker)      { w.control.handOverAtOnce = true }
func EventsOnly(w *Worker)          { w.control.eventsOnly = true }

func FollowAtOnce(t *DecodeTask)   { t.control.followAtOnce = true }
func BelieveIdle(t *DecodeTask)    { t.control.believeIdle = true }
func VouchForLatest(t *DecodeTask) { t.control.vouchForLatest = true }
