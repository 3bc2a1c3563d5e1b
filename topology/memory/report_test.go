package memory_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"callstitch/processor/call"
	"callstitch/topology"
)

// report writes what a story led to, for people. Legs and sessions go by the
// provider's call id of the leg that names them.
type report struct {
	*story
	names     map[call.LegID]string
	events    []*call.EventRecord
	revisions []*call.Session
	last      map[call.LegID]*call.Session
	rows      map[call.LegID]*call.Leg
	rejects   []*call.Reject
	book      call.Audit
	strings.Builder
}

func newReport(s *story) *report {
	return &report{
		story: s, names: map[call.LegID]string{}, last: map[call.LegID]*call.Session{}, rows: map[call.LegID]*call.Leg{},
	}
}

// take keeps an output.
func (r *report) take(o topology.Output) {
	switch v := o.Value.(type) {
	case *call.EventRecord:
		r.events = append(r.events, v)
		r.names[v.Leg] = v.CallID
	case *call.Session:
		r.revisions = append(r.revisions, v)
		r.last[v.ID] = v
		for _, l := range v.Legs {
			r.names[l.ID] = l.CallID
		}
	case *call.Leg:
		r.rows[v.ID] = v
	case *call.Reject:
		r.rejects = append(r.rejects, v)
	case *call.Audit:
		r.book = *v
	}
}

// String writes the report.
func (r *report) String() string {
	r.listEvents()
	for _, s := range r.sessions() {
		r.session(s)
	}
	if r.shows("revisions") {
		r.listRevisions()
	}
	if r.shows("rows") {
		r.listRows()
	}
	slices.SortStableFunc(r.rejects, func(a, b *call.Reject) int { return cmp.Compare(a.Source.Offset, b.Source.Offset) })
	for _, rej := range r.rejects {
		r.line("reject %d %s: %s", rej.Source.Offset+1, rej.Reason, rej.Detail)
	}
	b := r.book
	r.line("book: read %d = decoded %d + ignored %d + rejected %d; events %d = accepted %d + duplicate %d + conflicting %d + late %d",
		b.Read, b.Decoded, b.Ignored, b.Rejected, b.Events, b.Accepted, b.Duplicate, b.Conflicting, b.Late)
	return r.Builder.String()
}

func (r *report) line(format string, args ...any) {
	r.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " "))
	r.WriteByte('\n')
}

// name is the call id that stands for a leg or session.
func (r *report) name(id call.LegID) string { return cmp.Or(r.names[id], id.String()) }

// listEvents says for each accepted event which record told it, and what it is.
func (r *report) listEvents() {
	if r.hides("events") {
		return
	}
	slices.SortStableFunc(r.events, func(a, b *call.EventRecord) int { return cmp.Compare(a.Source.Offset, b.Source.Offset) })
	for _, e := range r.events {
		remarks := words(e.Flags | e.Remarks)
		if e.Late {
			remarks = fmt.Sprintf(" late by %d ms", e.LatenessMS) + remarks
		}
		r.line("event %d %s of %s at %s%s", e.Source.Offset+1, e.Type, e.CallID, r.instant(e.Time), remarks)
	}
}

// sessions are the last records, by start.
func (r *report) sessions() []*call.Session {
	return slices.SortedFunc(maps.Values(r.last), func(a, b *call.Session) int {
		return cmp.Or(cmp.Compare(a.State, b.State), cmp.Compare(a.Started.At, b.Started.At), bytes.Compare(a.ID[:], b.ID[:]))
	})
}

func (r *report) session(s *call.Session) {
	if s.SupersededBy != nil {
		r.line("session %s: SUPERSEDED by %s, closed %s, revision %d", r.name(s.ID), r.name(*s.SupersededBy), s.CloseReason, s.Revision)
		return
	}
	r.line("session %s: %s %s %s%s", r.name(s.ID), s.State, s.Direction, s.Disposition, closing(s))
	if r.hides("details") {
		r.line("  %d legs; %s%s", s.LegCount, counts(s), words(s.Flags))
		r.line("  hangup %s", hangup(s))
		return
	}
	r.line("  from %s to %s, answered by %s", party(s.From), party(s.To), s.AnsweredBy)
	r.line("  started %s", r.instant(s.Started))
	r.line("  ringing %s", r.instant(s.Ringing))
	r.line("  platform answered %s", r.instant(s.PlatformAnswered))
	r.line("  answered %s", r.instant(s.Answered))
	r.line("  ended %s", r.instant(s.Ended))
	r.line("  ring %s, talk %s, total %s, hold %s, queue %s, sum of legs %s", ms(s.RingMS), ms(s.TalkMS), ms(s.TotalMS),
		ms(s.HoldMS), ms(s.QueueMS), ms(s.LegTalkMSSum))
	if s.ProviderDuration.Known {
		r.line("  the provider says %d s, ours is longer by %s", s.ProviderDuration.N, ms(s.DurationMismatchMS))
	}
	r.line("  hangup %s", hangup(s))
	r.line("  %d legs, %d answered, %d transfers, %d participants, joined by %s",
		s.LegCount, s.AnsweredLegCount, s.TransferCount, s.ParticipantCount, list(s.CorrelationMethods))
	r.line("  %s%s", counts(s), words(s.Flags))
	if s.LegsTruncated {
		r.line("  lists %d of its legs", len(s.Legs))
	}
	if s.TimelineTruncated {
		r.line("  lists %d moments, and there were more", len(s.Timeline))
	}
	if len(s.MergedSessionIDs) > 0 {
		r.line("  absorbed %s", list(names(r, s.MergedSessionIDs)))
	}
	if s.Account != "" || s.ConferenceID != "" || s.Tenant != "default" {
		r.line("  tenant %s, account %s, conference %s", s.Tenant, dash(s.Account), dash(s.ConferenceID))
	}
	r.listParts(s)
}

func (r *report) listParts(s *call.Session) {
	for _, l := range s.Legs {
		if r.hides("legs") {
			break
		}
		r.line("  leg %s %s%s from %s to %s: %s %s", l.CallID, l.Role, r.below(l.ParentLeg), dash(l.FromE164), dash(l.ToE164),
			l.Disposition, dash(l.HangupCause.String()))
		r.line("    started %s, answered %s, ended %s", r.instant(l.Started), r.instant(l.Answered), r.instant(l.Ended))
	}
	for _, x := range s.Transfers {
		how := "told"
		if x.Inferred {
			how = "inferred"
		}
		r.line("  transfer %s %s at %s from leg %s to leg %s by %s, %s", x.Type, x.Result, r.time(x.At),
			r.ref(x.FromLeg), r.ref(x.ToLeg), dash(x.Transferor), how)
	}
	for _, x := range s.Recordings {
		transcribed := ""
		if x.Transcribed {
			transcribed = ", transcribed"
		}
		r.line("  recording %s %s of leg %s: started %s, %s, channels %s, format %s, available %s%s", x.ID, dash(x.Status.String()),
			r.name(x.Leg), r.time(x.StartedAt), ms(x.DurationMS), countOf(x.Channels), dash(x.Format), r.time(x.AvailableAt), transcribed)
	}
	for _, a := range s.Attributes {
		r.line("  attribute %s: %s", a.Key, a.Value)
	}
	if r.shows("timeline") {
		for _, m := range s.Timeline {
			r.line("  then %s %s of %s", r.instant(call.Instant{At: m.At, Src: m.Src}), m.Type, r.name(m.Leg))
		}
	}
}

// listRevisions tells how each session came to its last record.
func (r *report) listRevisions() {
	slices.SortStableFunc(r.revisions, func(a, b *call.Session) int {
		return cmp.Or(bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.Revision, b.Revision))
	})
	for _, s := range r.revisions {
		r.line("revision %d%s of %s: %s %s %s%s at %s", s.Revision, generation(s.Generation), r.name(s.ID), s.State, s.ChangeReason, s.Disposition,
			closing(s), r.time(call.Time(s.EmittedAt)))
	}
}

// listRows tells the last row of each leg.
func (r *report) listRows() {
	rows := slices.SortedFunc(maps.Values(r.rows), func(a, b *call.Leg) int {
		return cmp.Or(cmp.Compare(a.Started.At, b.Started.At), bytes.Compare(a.ID[:], b.ID[:]))
	})
	for _, l := range rows {
		r.line("row%s of %s in %s: %s %s %s from %s to %s, answered by %s", generation(l.Generation), r.name(l.ID), r.name(l.SessionID), l.Role,
			l.Direction, l.Disposition, party(l.From), party(l.To), l.AnsweredBy)
		r.line("  ringing %s, ring %s, talk %s, total %s, provider %s s and %s s of talk", r.instant(l.Ringing), ms(l.RingMS), ms(l.TalkMS),
			ms(l.TotalMS), countOf(l.ProviderDuration), countOf(l.ProviderTalk))
		r.line("  account %s, hangup %s by %s; %s%s", dash(l.Account), dash(l.HangupCause.String()), dash(l.HangupParty.String()), lost(l.StartLost, l.InterimLost, l.EndLost, l.Complete), words(l.Flags))
	}
}

func generation(n int32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" in generation %d", n)
}

func (r *report) below(parent *call.LegID) string {
	if parent == nil {
		return ""
	}
	return " below " + r.name(*parent)
}

func (r *report) ref(id *call.LegID) string {
	if id == nil {
		return "-"
	}
	return r.name(*id)
}

// instant is a moment with its evidence.
func (r *report) instant(i call.Instant) string {
	if !i.Known() {
		return "-"
	}
	return r.time(i.At) + " " + i.Src.String()
}

// time is a moment, with its date where that is not the story's day.
func (r *report) time(at call.Time) string {
	if at == 0 {
		return "-"
	}
	t := time.UnixMilli(int64(at)).UTC()
	if t.Format(time.DateOnly) == r.day {
		return t.Format("15:04:05.000")
	}
	return t.Format("2006-01-02T15:04:05.000")
}

func closing(s *call.Session) string {
	text := ""
	if s.CloseReason != call.NotClosed {
		text = ", closed " + s.CloseReason.String()
	}
	if s.Amended {
		text += ", amended"
	}
	return text
}

func hangup(s *call.Session) string {
	return fmt.Sprintf("%s by %s, Q.850 %s, SIP %s, provider says %s", dash(s.HangupCause.String()), dash(s.HangupParty.String()),
		code(s.Q850), code(s.SIPStatus), dash(s.ProviderCause))
}

func counts(s *call.Session) string {
	text := fmt.Sprintf("%s; %d events", lost(s.StartLost, s.InterimLost, s.EndLost, s.Complete), s.EventCount)
	for _, n := range []struct {
		count int32
		what  string
	}{{s.DuplicateCount, "duplicate"}, {s.LateEventCount, "late"}, {s.OutOfOrderCount, "out of order"}} {
		if n.count > 0 {
			text += fmt.Sprintf(", %d %s", n.count, n.what)
		}
	}
	return text
}

func lost(start, interim, end, complete bool) string {
	var all []string
	for _, l := range []struct {
		is   bool
		word string
	}{{start, "start lost"}, {interim, "interim lost"}, {end, "end lost"}, {complete, "complete"}} {
		if l.is {
			all = append(all, l.word)
		}
	}
	return cmp.Or(strings.Join(all, ", "), "not complete")
}

func words(f call.Flags) string {
	if f == 0 {
		return ""
	}
	return " [" + strings.Join(f.Words(), " ") + "]"
}

func list[T fmt.Stringer](items []T) string {
	all := make([]string, len(items))
	for i, item := range items {
		all[i] = item.String()
	}
	return dash(strings.Join(all, ", "))
}

type name string

func (n name) String() string { return string(n) }

func names(r *report, ids []call.LegID) (all []name) {
	for _, id := range ids {
		all = append(all, name(r.name(id)))
	}
	slices.Sort(all)
	return all
}

// party is an address as sent, its kind, and its E.164 form where that differs.
func party(p call.Party) string {
	switch {
	case p.Raw == "":
		return "-"
	case p.E164 != "" && p.E164 != p.Raw:
		return fmt.Sprintf("%s (%s %s)", p.Raw, p.Kind, p.E164)
	default:
		return fmt.Sprintf("%s (%s)", p.Raw, p.Kind)
	}
}

func ms(n call.Int) string {
	if !n.Known {
		return "-"
	}
	return strconv.FormatInt(n.N, 10) + " ms"
}

func countOf(n call.Int) string {
	if !n.Known {
		return "-"
	}
	return strconv.FormatInt(n.N, 10)
}

func code(c call.Code) string {
	if !c.Known() {
		return "-"
	}
	return fmt.Sprintf("%d %s", c.N, c.Src)
}

func dash(s string) string { return cmp.Or(s, "-") }
