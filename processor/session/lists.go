package session

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"callstitch/processor/call"
	"callstitch/processor/leg"
)

// Limits of one session record: beyond them a record grows past what sinks
// take, and the topics of events and legs hold the rest.
const (
	legsMax     = 64
	timelineMax = 256
)

// list fills the arrays.
func list(s *call.Session, c *course, dropped int) {
	shown := c.shown()
	if dropped > 0 || len(shown) < len(c.parts) {
		s.LegsTruncated = true
		s.Flags |= call.FlagLegsTruncated
	}
	c.listLegs(s, shown)
	c.listTransfers(s)
	listTimeline(s, shown)
	s.TimelineTruncated = s.TimelineTruncated || s.LegsTruncated
	listRecordings(s, shown)
	s.Attributes = c.attributes(shown)
}

func (c *course) listLegs(s *call.Session, shown []part) {
	s.Legs = make([]call.LegSummary, len(shown))
	for i := range shown {
		m := &shown[i]
		s.Legs[i] = call.LegSummary{
			ID: m.ID, Role: m.role, CallID: m.CallID, FromE164: m.From.Value.E164, ToE164: m.To.Value.E164,
			Started: m.Started, Answered: m.Answer, Ended: m.End,
			Disposition: c.dispositionOf(m, s.Disposition), HangupCause: m.cause(),
		}
		if c.final && !m.Ended() {
			s.Legs[i].Ended = timedOut(m.LastAlive())
		}
	}
	for i := range shown {
		switch m := &shown[i]; {
		case m.parent >= 0 && m.parent < len(shown):
			s.Legs[i].ParentLeg = &s.Legs[m.parent].ID
		case m.child():
			s.Legs[i].ParentLeg = m.ParentLeg()
		}
	}
}

// cause is why the leg ended. One that a transfer ended without a word of the
// provider's was transferred.
func (m *part) cause() call.HangupCause {
	if cause := m.Ending().HangupCause; cause != call.NoCause || !m.passedOn || !m.Ended() {
		return cause
	}
	return call.CauseTransferred
}

// listTransfers writes the transfers in the form of the session's record.
func (c *course) listTransfers(s *call.Session) {
	for _, t := range c.transfers {
		if t.result == call.ResultCompleted {
			s.TransferCount++
		}
		s.Transfers = append(s.Transfers, call.Transfer{
			At: t.at, Type: t.typ, FromLeg: c.ref(t.from), ToLeg: c.ref(t.to),
			Transferor: t.transferor, Result: t.result, Inferred: t.inferred,
		})
	}
	slices.SortFunc(s.Transfers, func(a, b call.Transfer) int {
		return cmp.Or(cmp.Compare(a.At, b.At), compareRefs(a.FromLeg, b.FromLeg), compareRefs(a.ToLeg, b.ToLeg))
	})
}

// ref is a copy of a peer's id.
func (c *course) ref(i int) *call.LegID {
	if i < 0 {
		return nil
	}
	id := c.parts[i].ID
	return &id
}

func compareRefs(a, b *call.LegID) int {
	switch {
	case a == nil || b == nil:
		return cmp.Compare(btoi(a != nil), btoi(b != nil))
	default:
		return slices.Compare(a[:], b[:])
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func listTimeline(s *call.Session, shown []part) {
	n := 0
	for i := range shown {
		n += len(shown[i].Moments)
		s.TimelineTruncated = s.TimelineTruncated || shown[i].Saw(leg.MomentsCut)
	}
	if n == 0 {
		return
	}
	s.Timeline = make([]call.Moment, 0, n)
	for i := range shown {
		for k := range shown[i].Moments {
			e := &shown[i].Moments[k]
			s.Timeline = append(s.Timeline, call.Moment{At: e.At, Type: e.Type, Leg: shown[i].ID, Src: e.Src})
		}
	}
	slices.SortFunc(s.Timeline, compareTimeline)
	if n > timelineMax {
		s.Timeline, s.TimelineTruncated = s.Timeline[:timelineMax], true
	}
}

func compareTimeline(a, b call.Moment) int {
	if c := cmp.Compare(a.At, b.At); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Type.Rank(), b.Type.Rank()); c != 0 {
		return c
	}
	if c := bytes.Compare(a.Leg[:], b.Leg[:]); c != 0 {
		return c
	}
	return cmp.Compare(a.Src, b.Src)
}

// listRecordings lists each recording once; where two legs tell of it, as the
// one that knows it in the later state.
func listRecordings(s *call.Session, shown []part) {
	for i := range shown {
		for k := range shown[i].Recordings {
			r := &shown[i].Recordings[k]
			s.Recordings = append(s.Recordings, call.Recording{
				ID: r.ID, Leg: shown[i].ID, Status: r.Status, StartedAt: r.StartedAt,
				DurationMS: r.DurationMS, URL: r.URL.Value, Transcribed: r.Transcribed,
				Channels: r.Channels, Format: r.Format.Value, AvailableAt: r.AvailableAt,
			})
		}
	}
	slices.SortFunc(s.Recordings, func(a, b call.Recording) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), cmp.Compare(b.Status, a.Status), bytes.Compare(a.Leg[:], b.Leg[:]))
	})
	s.Recordings = slices.CompactFunc(s.Recordings, func(a, b call.Recording) bool { return a.ID == b.ID })
}

// attributes are the origin's, then what the other legs add, sorted by key.
func (c *course) attributes(shown []part) []call.Attribute {
	all := c.parts[c.origin].Extras()
	for i := range shown {
		if i == c.origin {
			continue
		}
		for _, a := range shown[i].Attributes {
			k, found := slices.BinarySearchFunc(all, a.Key, func(o call.Attribute, key string) int { return strings.Compare(o.Key, key) })
			if !found && len(all) < leg.AttributesMax {
				all = slices.Insert(all, k, call.Attribute{Key: a.Key, Value: a.Text.Value})
			}
		}
	}
	return all
}
