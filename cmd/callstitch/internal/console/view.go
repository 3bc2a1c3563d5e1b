package console

import (
	"cmp"

	"callstitch/processor/call"
	"callstitch/processor/number"
)

// sessionView is a session as the page shows it: numbers masked, and nothing in
// which a provider or a customer may have put one (ids, tags, causes, links).
type sessionView struct {
	ID          string     `json:"id"`
	Tenant      string     `json:"tenant"`
	Provider    string     `json:"provider"`
	State       string     `json:"state"`
	Revision    int32      `json:"revision"`
	Amended     bool       `json:"amended"`
	Disposition string     `json:"disposition"`
	Direction   string     `json:"direction"`
	From        string     `json:"from"`
	To          string     `json:"to"`
	StartedAt   *call.Time `json:"started_at"`
	RingingAt   *call.Time `json:"ringing_at"`
	AnsweredAt  *call.Time `json:"answered_at"`
	EndedAt     *call.Time `json:"ended_at"`
	EndedSrc    string     `json:"ended_at_src"`
	RingMS      *int64     `json:"ring_ms"`
	TalkMS      *int64     `json:"talk_ms"`
	TotalMS     *int64     `json:"total_ms"`
	LegCount    int32      `json:"leg_count"`
	Transfers   int32      `json:"transfer_count"`
	Events      int32      `json:"event_count"`
	Duplicates  int32      `json:"duplicate_count"`
	Late        int32      `json:"late_event_count"`
	Flags       []string   `json:"flags"`
	CloseReason string     `json:"close_reason"`
}

// detailView adds what one session's timeline is drawn from.
type detailView struct {
	sessionView
	HangupCause string       `json:"hangup_cause"`
	HangupParty string       `json:"hangup_party"`
	AnsweredBy  string       `json:"answered_by"`
	Reason      string       `json:"change_reason"`
	Recordings  int          `json:"recordings"`
	Legs        []legView    `json:"legs"`
	Timeline    []momentView `json:"timeline"`
}

type legView struct {
	ID          string     `json:"id"`
	Role        string     `json:"role"`
	From        string     `json:"from"`
	To          string     `json:"to"`
	StartedAt   *call.Time `json:"started_at"`
	AnsweredAt  *call.Time `json:"answered_at"`
	EndedAt     *call.Time `json:"ended_at"`
	Disposition string     `json:"disposition"`
	HangupCause string     `json:"hangup_cause"`
}

type momentView struct {
	At   call.Time `json:"at"`
	Type string    `json:"type"`
	Leg  string    `json:"leg"`
	Src  string    `json:"src"`
}

func viewSession(s *call.Session) sessionView {
	flags := s.Flags.Words()
	if flags == nil {
		flags = []string{}
	}
	return sessionView{
		ID: s.ID.String(), Tenant: s.Tenant, Provider: s.Provider.String(),
		State: s.State.String(), Revision: s.Revision, Amended: s.Amended,
		Disposition: s.Disposition.String(), Direction: s.Direction.String(),
		From: party(s.From), To: party(s.To),
		StartedAt: instant(s.Started), RingingAt: instant(s.Ringing), AnsweredAt: instant(s.Answered),
		EndedAt: instant(s.Ended), EndedSrc: s.Ended.Src.String(),
		RingMS: integer(s.RingMS), TalkMS: integer(s.TalkMS), TotalMS: integer(s.TotalMS),
		LegCount: s.LegCount, Transfers: s.TransferCount,
		Events: s.EventCount, Duplicates: s.DuplicateCount, Late: s.LateEventCount,
		Flags: flags, CloseReason: s.CloseReason.String(),
	}
}

func viewDetail(s *call.Session) detailView {
	v := detailView{
		sessionView: viewSession(s),
		HangupCause: s.HangupCause.String(), HangupParty: s.HangupParty.String(),
		AnsweredBy: s.AnsweredBy.String(), Reason: s.ChangeReason.String(),
		Recordings: len(s.Recordings), Legs: []legView{}, Timeline: []momentView{},
	}
	for _, l := range s.Legs {
		v.Legs = append(v.Legs, legView{
			ID: l.ID.String(), Role: l.Role.String(),
			From: number.Mask(l.FromE164), To: number.Mask(l.ToE164),
			StartedAt: instant(l.Started), AnsweredAt: instant(l.Answered), EndedAt: instant(l.Ended),
			Disposition: l.Disposition.String(), HangupCause: l.HangupCause.String(),
		})
	}
	for _, m := range s.Timeline {
		v.Timeline = append(v.Timeline, momentView{m.At, m.Type.String(), m.Leg.String(), m.Src.String()})
	}
	return v
}

func party(p call.Party) string { return number.Mask(cmp.Or(p.E164, p.Raw)) }

func instant(i call.Instant) *call.Time {
	if !i.Known() {
		return nil
	}
	return &i.At
}

func integer(i call.Int) *int64 {
	if !i.Known {
		return nil
	}
	return &i.N
}
