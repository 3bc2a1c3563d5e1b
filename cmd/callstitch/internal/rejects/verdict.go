package rejects

import (
	"fmt"
	"slices"
	"strings"

	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/processor/call"
	"callstitch/topology"
)

// Verdict is what the present decoder makes of a raw record, with what the configuration
// says of its source. State has no say in it: a record that would be taken may be a
// duplicate, late, or in conflict with another.
type Verdict struct {
	Taken   []Taken // the events that it would be
	Ignored string  // the kind of what would be ignored
	// Reason is why it would be rejected again, and Detail what is wrong where.
	Reason call.RejectReason
	Detail string
}

// Taken is one event that would be taken.
type Taken struct {
	Provider call.Provider
	Type     call.EventType
	CallID   string
	Leg      call.LegID
}

// Judge is the verdict on a raw record.
func Judge(src topology.Source, r topology.Record) Verdict {
	result := src.Decode(r)
	if result.Reject != nil {
		return Verdict{Reason: result.Reject.Reason, Detail: result.Reject.Detail}
	}
	v := Verdict{Ignored: result.Ignored}
	for _, e := range result.Events {
		v.Taken = append(v.Taken, Taken{e.Provider, e.Type, e.CallID, e.Leg})
	}
	return v
}

// Rejected reports whether the record would be rejected again.
func (v *Verdict) Rejected() bool { return v.Reason != 0 }

// takenShown is how many events of an array are told one by one.
const takenShown = 8

// String is the verdict as a sentence's end: "would be taken: …".
func (v *Verdict) String() string {
	switch {
	case v.Rejected():
		return fmt.Sprintf("would be rejected again as %s: %s", v.Reason, terminal.Printable(v.Detail))
	case v.Ignored != "":
		return "would be ignored as " + v.Ignored
	}
	texts := make([]string, min(len(v.Taken), takenShown))
	for i := range texts {
		t := &v.Taken[i]
		texts[i] = fmt.Sprintf("%s %s of %s → leg %s", t.Provider, t.Type, terminal.Printable(t.CallID), t.Leg)
	}
	if more := len(v.Taken) - takenShown; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return "would be taken: " + strings.Join(texts, ", ")
}

// Cures are the headers with which a record would be taken that would be rejected as it
// is: the provider that its shape tells, else each that would have it.
func Cures(src topology.Source, r topology.Record) (all []string) {
	const header = "provider"
	r.Headers = slices.DeleteFunc(slices.Clone(r.Headers), func(h call.Header) bool { return h.Key == header })
	src.Provider = call.NoProvider
	if v := Judge(src, r); len(v.Taken) > 0 {
		return []string{header + "=" + v.Taken[0].Provider.String()}
	}
	for _, p := range call.Providers() {
		src.Provider = p
		if v := Judge(src, r); len(v.Taken) > 0 {
			all = append(all, header+"="+p.String())
		}
	}
	return all
}

// InConflict reports whether a record that would be taken would be in conflict again: it
// was so before, and its events are of the same leg still, no scope having told them apart.
func (e *Entry) InConflict(v *Verdict) bool {
	return e.Reject.Reason == call.RejectIDConflict &&
		slices.ContainsFunc(v.Taken, func(t Taken) bool { return t.Leg.String() == string(e.Reject.Key) })
}
