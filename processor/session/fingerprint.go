package session

import (
	"encoding/binary"

	"callstitch/processor/call"
	"callstitch/processor/digest"
)

// recordDigest is a fingerprint in the making.
type recordDigest struct{ digest.Digest }

func (d *recordDigest) id(id *call.LegID) {
	if id == nil {
		d.Word(0)
		return
	}
	d.Word(binary.LittleEndian.Uint64(id[:8]))
	d.Word(binary.LittleEndian.Uint64(id[8:]))
}

func (d *recordDigest) truth(facts ...bool) {
	var n uint64
	for i, f := range facts {
		if f {
			n |= 1 << i
		}
	}
	d.Word(n)
}

func (d *recordDigest) instant(i *call.Instant) {
	d.Word(uint64(i.At))
	d.Word(uint64(i.Src) | uint64(i.Precision)<<8)
}

func (d *recordDigest) maybe(i call.Int) {
	d.Word(uint64(i.N))
	d.truth(i.Known)
}

func (d *recordDigest) party(p *call.Party) {
	d.Text(p.Raw)
	d.Text(p.E164)
	d.Word(uint64(p.Kind))
}

func (d *recordDigest) code(c call.Code) { d.Word(uint64(uint32(c.N)) | uint64(c.Src)<<32) }

func (d *recordDigest) attributes(all []call.Attribute) {
	d.Word(uint64(len(all)))
	for _, a := range all {
		d.Text(a.Key)
		d.Text(a.Value)
	}
}

// arrivalFlags tell how a record came to be.
const arrivalFlags = call.FlagLateEvents | call.FlagOutOfOrder

// Fingerprint is a hash of a session's canonical form: of everything in the
// record but state, revision and what tells how the record came to be. Equal
// folds give equal fingerprints, in every run.
func Fingerprint(s *call.Session) uint64 {
	var d recordDigest
	d.id(&s.ID)
	d.Text(s.Tenant)
	d.Text(s.Account)
	d.Word(uint64(s.Provider) | uint64(s.CloseReason)<<8 | uint64(s.Direction)<<16 | uint64(s.Disposition)<<24 |
		uint64(s.AnsweredBy)<<32 | uint64(s.HangupParty)<<40 | uint64(s.HangupCause)<<48)
	d.party(&s.From)
	d.party(&s.To)
	d.instant(&s.Started)
	d.instant(&s.Ringing)
	d.instant(&s.PlatformAnswered)
	d.instant(&s.Answered)
	d.instant(&s.Ended)
	for _, n := range [...]call.Int{
		s.RingMS, s.TalkMS, s.HoldMS, s.QueueMS, s.TotalMS, s.LegTalkMSSum, s.ProviderDuration, s.DurationMismatchMS,
	} {
		d.maybe(n)
	}
	d.code(s.Q850)
	d.code(s.SIPStatus)
	d.Text(s.ProviderCause)
	d.Word(uint64(s.LegCount)<<32 | uint64(s.AnsweredLegCount))
	d.Word(uint64(s.TransferCount)<<32 | uint64(s.ParticipantCount))
	d.Text(s.ConferenceID)
	d.truth(s.StartLost, s.InterimLost, s.EndLost, s.Complete, s.LegsTruncated, s.TimelineTruncated)
	d.Word(uint64(s.Flags &^ arrivalFlags))
	d.Word(uint64(s.EventCount))
	d.Word(uint64(s.FirstEventAt))
	d.Word(uint64(s.LastEventAt))
	d.Word(uint64(len(s.CorrelationMethods)))
	for _, k := range s.CorrelationMethods {
		d.Word(uint64(k))
	}
	d.lists(s)
	return uint64(d.Digest)
}

func (d *recordDigest) lists(s *call.Session) {
	d.Word(uint64(len(s.Legs)))
	for i := range s.Legs {
		l := &s.Legs[i]
		d.id(&l.ID)
		d.id(l.ParentLeg)
		d.Text(l.CallID)
		d.Text(l.FromE164)
		d.Text(l.ToE164)
		d.instant(&l.Started)
		d.instant(&l.Answered)
		d.instant(&l.Ended)
		d.Word(uint64(l.Role) | uint64(l.Disposition)<<8 | uint64(l.HangupCause)<<16)
	}
	d.Word(uint64(len(s.Transfers)))
	for i := range s.Transfers {
		t := &s.Transfers[i]
		d.Word(uint64(t.At))
		d.Word(uint64(t.Type) | uint64(t.Result)<<8)
		d.truth(t.Inferred)
		d.id(t.FromLeg)
		d.id(t.ToLeg)
		d.Text(t.Transferor)
	}
	d.Word(uint64(len(s.Recordings)))
	for i := range s.Recordings {
		r := &s.Recordings[i]
		d.Text(r.ID)
		d.id(&r.Leg)
		d.Word(uint64(r.Status))
		d.Word(uint64(r.StartedAt))
		d.maybe(r.DurationMS)
		d.Text(r.URL)
		d.Text(r.Format)
		d.maybe(r.Channels)
		d.Word(uint64(r.AvailableAt))
		d.truth(r.Transcribed)
	}
	d.Word(uint64(len(s.Timeline)))
	for i := range s.Timeline {
		m := &s.Timeline[i]
		d.Word(uint64(m.At))
		d.Word(uint64(m.Type) | uint64(m.Src)<<8)
		d.id(&m.Leg)
	}
	d.attributes(s.Attributes)
}

// RowFingerprint is a hash of a leg row's canonical form, as Fingerprint is of
// a session's.
func RowFingerprint(r *call.Leg) uint64 {
	var d recordDigest
	d.id(&r.ID)
	d.id(&r.SessionID)
	d.id(r.ParentLeg)
	for _, s := range [...]string{r.Tenant, r.Account, r.CallID, r.ParentCallID, r.ProviderCause, r.ConferenceID} {
		d.Text(s)
	}
	d.Word(uint64(r.Provider) | uint64(r.Role)<<8 | uint64(r.Direction)<<16 | uint64(r.Disposition)<<24 |
		uint64(r.AnsweredBy)<<32 | uint64(r.HangupParty)<<40 | uint64(r.HangupCause)<<48)
	d.party(&r.From)
	d.party(&r.To)
	for _, i := range [...]*call.Instant{&r.Started, &r.Ringing, &r.Answered, &r.Ended} {
		d.instant(i)
	}
	for _, n := range [...]call.Int{r.RingMS, r.TalkMS, r.TotalMS, r.ProviderDuration, r.ProviderTalk} {
		d.maybe(n)
	}
	d.code(r.Q850)
	d.code(r.SIPStatus)
	d.truth(r.StartLost, r.InterimLost, r.EndLost, r.Complete)
	d.Word(uint64(r.Flags &^ arrivalFlags))
	d.Word(uint64(r.EventCount))
	d.Word(uint64(r.FirstEventAt))
	d.Word(uint64(r.LastEventAt))
	d.attributes(r.Attributes)
	return uint64(d.Digest)
}
