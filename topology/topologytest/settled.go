package topologytest

import (
	"errors"
	"fmt"

	"callstitch/processor/call"
)

// settle takes in a session that changes no more: the first of its id, and what the last
// record of it says.
func (res *Result) settle(s *call.Session) error {
	last := res.Sessions[s.ID]
	switch {
	case res.Settled[s.ID] != nil:
		return fmt.Errorf("session %s has settled twice", s.ID)
	case last == nil || last.State != call.StateFinal:
		return fmt.Errorf("session %s has settled at %s", s.ID, told(last))
	case s.Revision != last.Revision || Canonical(s) != Canonical(last):
		return fmt.Errorf("session %s has settled as\n%s, where %s says\n%s", s.ID, Canonical(s), told(last), Canonical(last))
	}
	res.Settled[s.ID] = s
	return nil
}

// CheckSettled holds what has settled against the last records of the sessions: each that
// is not SUPERSEDED is there, as its last record says, and no other.
func (res *Result) CheckSettled() (err error) {
	for id, last := range res.Sessions { // order: all of them are told
		s := res.Settled[id]
		switch superseded := last.State == call.StateSuperseded; {
		case superseded && s != nil:
			err = errors.Join(err, fmt.Errorf("session %s has settled in revision %d, and was superseded", id, s.Revision))
		case !superseded && s == nil:
			err = errors.Join(err, fmt.Errorf("session %s has not settled", id))
		case !superseded && (s.Revision != last.Revision || Canonical(s) != Canonical(last)):
			err = errors.Join(err, fmt.Errorf("session %s has settled in revision %d, and was amended in revision %d", id, s.Revision, last.Revision))
		}
	}
	return err
}
