package stitch

import (
	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// facts is what of a session's last record is needed to say why the next one
// exists.
type facts struct {
	answered   bool
	ended      bool
	transfers  int32
	recordings int32
}

func factsOf(s *call.Session) facts {
	return facts{
		answered:   s.Answered.Known() || s.PlatformAnswered.Known(),
		ended:      s.Ended.Known(),
		transfers:  s.TransferCount,
		recordings: int32(len(s.Recordings)),
	}
}

func (f *facts) Visit(c *codec.Codec) {
	c.Bool(&f.answered)
	c.Bool(&f.ended)
	c.Int32(&f.transfers)
	c.Int32(&f.recordings)
}

// reason says why the next revision of p exists. It is a remark about how the
// record came to be, so arrival order may show in it.
func reason(p *publication, was, is facts, merged bool, s *call.Session) call.ChangeReason {
	switch {
	case merged:
		return call.ChangeMerged
	case s.State == call.StateFinal && !p.wasFinal && s.CloseReason == call.ClosedTimeout:
		return call.ChangeTimeoutClosed
	case s.State == call.StateFinal && !p.wasFinal:
		return call.ChangeFinalized
	case p.revision == 1:
		return call.ChangeOpened
	case is.transfers != was.transfers:
		return call.ChangeTransferred
	case is.recordings != was.recordings:
		return call.ChangeRecording
	case p.wasFinal:
		return call.ChangeLateEvent
	case is.ended && !was.ended:
		return call.ChangeEnded
	case is.answered && !was.answered:
		return call.ChangeAnswered
	default:
		return call.ChangeOpened
	}
}
