package stitch

import (
	"encoding/binary"
	"math/bits"

	"callstitch/processor/call"
)

// digest is a hash that is the same in every run and every build: it is stored,
// and equal folds must give equal values. It is wyhash's mixing step over words
// of eight bytes, not a defence against chosen input.
type digest uint64

const (
	digestSeed = 0xa0761d6478bd642f
	digestMix  = 0xe7037ed1a0b428db
)

func (d *digest) word(n uint64) {
	hi, lo := bits.Mul64(uint64(*d)^n^digestSeed, digestMix^n>>32)
	*d = digest(hi ^ lo ^ n)
}

func (d *digest) text(s string) {
	d.word(uint64(len(s)))
	for len(s) >= 8 {
		d.word(uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56)
		s = s[8:]
	}
	var rest uint64
	for i := range len(s) {
		rest |= uint64(s[i]) << (8 * i)
	}
	d.word(rest)
}

func (d *digest) id(id *call.LegID) {
	if id == nil {
		d.word(0)
		return
	}
	d.word(binary.LittleEndian.Uint64(id[:8]))
	d.word(binary.LittleEndian.Uint64(id[8:]))
}

func (d *digest) truth(facts ...bool) {
	var n uint64
	for i, f := range facts {
		if f {
			n |= 1 << i
		}
	}
	d.word(n)
}

func (d *digest) instant(i *call.Instant) {
	d.word(uint64(i.At))
	d.word(uint64(i.Src) | uint64(i.Precision)<<8)
}

func (d *digest) maybe(i call.Int) {
	d.word(uint64(i.N))
	d.truth(i.Known)
}

func (d *digest) party(p *call.Party) {
	d.text(p.Raw)
	d.text(p.E164)
	d.word(uint64(p.Kind))
}

func (d *digest) code(c call.Code) { d.word(uint64(uint32(c.N)) | uint64(c.Src)<<32) }

func (d *digest) attributes(all []call.Attribute) {
	d.word(uint64(len(all)))
	for _, a := range all {
		d.text(a.Key)
		d.text(a.Value)
	}
}

// hashText is the hash of one text.
func hashText(s string) uint64 {
	var d digest
	d.text(s)
	return uint64(d)
}

// arrivalFlags tell how a record came to be.
const arrivalFlags = call.LateEvents | call.OutOfOrder

// fingerprint is a hash of a session's canonical form: of everything in the
// record but state, revision and what tells how the record came to be. Equal
// folds give equal fingerprints, in every run.
func fingerprint(s *call.Session) uint64 {
	var d digest
	d.id(&s.ID)
	d.text(s.Tenant)
	d.text(s.Account)
	d.word(uint64(s.Provider) | uint64(s.CloseReason)<<8 | uint64(s.Direction)<<16 | uint64(s.Disposition)<<24 |
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
	d.text(s.ProviderCause)
	d.word(uint64(s.LegCount)<<32 | uint64(s.AnsweredLegCount))
	d.word(uint64(s.TransferCount)<<32 | uint64(s.ParticipantCount))
	d.text(s.ConferenceID)
	d.truth(s.StartLost, s.InterimLost, s.EndLost, s.Complete, s.LegsTruncated, s.TimelineTruncated)
	d.word(uint64(s.Flags &^ arrivalFlags))
	d.word(uint64(s.EventCount))
	d.word(uint64(s.FirstEventAt))
	d.word(uint64(s.LastEventAt))
	d.word(uint64(len(s.CorrelationMethods)))
	for _, k := range s.CorrelationMethods {
		d.word(uint64(k))
	}
	d.lists(s)
	return uint64(d)
}

func (d *digest) lists(s *call.Session) {
	d.word(uint64(len(s.Legs)))
	for i := range s.Legs {
		l := &s.Legs[i]
		d.id(&l.ID)
		d.id(l.ParentLeg)
		d.text(l.CallID)
		d.text(l.FromE164)
		d.text(l.ToE164)
		d.instant(&l.Started)
		d.instant(&l.Answered)
		d.instant(&l.Ended)
		d.word(uint64(l.Role) | uint64(l.Disposition)<<8 | uint64(l.HangupCause)<<16)
	}
	d.word(uint64(len(s.Transfers)))
	for i := range s.Transfers {
		t := &s.Transfers[i]
		d.word(uint64(t.At))
		d.word(uint64(t.Type) | uint64(t.Result)<<8)
		d.truth(t.Inferred)
		d.id(t.FromLeg)
		d.id(t.ToLeg)
		d.text(t.Transferor)
	}
	d.word(uint64(len(s.Recordings)))
	for i := range s.Recordings {
		r := &s.Recordings[i]
		d.text(r.ID)
		d.id(&r.Leg)
		d.word(uint64(r.Status))
		d.word(uint64(r.StartedAt))
		d.maybe(r.DurationMS)
		d.text(r.URL)
		d.text(r.Format)
		d.maybe(r.Channels)
		d.word(uint64(r.AvailableAt))
		d.truth(r.Transcribed)
	}
	d.word(uint64(len(s.Timeline)))
	for i := range s.Timeline {
		m := &s.Timeline[i]
		d.word(uint64(m.At))
		d.word(uint64(m.Type) | uint64(m.Src)<<8)
		d.id(&m.Leg)
	}
	d.attributes(s.Attributes)
}

// rowFingerprint is a hash of a leg row's canonical form, as fingerprint is of
// a session's.
func rowFingerprint(r *call.Leg) uint64 {
	var d digest
	d.id(&r.ID)
	d.id(&r.SessionID)
	d.id(r.ParentLeg)
	for _, s := range [...]string{r.Tenant, r.Account, r.CallID, r.ParentCallID, r.ProviderCause, r.ConferenceID} {
		d.text(s)
	}
	d.word(uint64(r.Provider) | uint64(r.Role)<<8 | uint64(r.Direction)<<16 | uint64(r.Disposition)<<24 |
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
	d.word(uint64(r.Flags &^ arrivalFlags))
	d.word(uint64(r.EventCount))
	d.word(uint64(r.FirstEventAt))
	d.word(uint64(r.LastEventAt))
	d.attributes(r.Attributes)
	return uint64(d)
}
