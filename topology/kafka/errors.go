package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"callstitch/processor/codec"
)

// The failures that end a run with an exit code of their own. Everything else
// that happens once it is running is an outage, and is waited out.
var (
	// ErrFenced: another process runs under this instance's name.
	ErrFenced = errors.New("fenced by another process with the same instance id")
	// ErrTopicMismatch: a topic is not what the topology needs.
	ErrTopicMismatch = errors.New("topic mismatch")
	// ErrLostOffsets: the group's offsets, the state and the topics do not
	// belong together, so going on would lose or repeat records.
	ErrLostOffsets = errors.New("lost offsets")
	// ErrGeneration: the generation is not above that of the records which it is to
	// replace, or below that which the group has come to. Of two records of a session the
	// larger record_version is the truth, so what is published under it would be taken for
	// the older one.
	ErrGeneration = errors.New("the generation does not grow")
	// ErrNewerState: the state was written by a newer program.
	ErrNewerState = codec.ErrNewerState
)

// errMissing is a topic that may still come: the start waits for it.
var errMissing = errors.New("missing topic")

// errForeign is the metadata of an offset that somebody else committed.
var errForeign = errors.New("not committed by callstitch")

// errBroken marks failures that trying again cannot mend.
var errBroken = errors.New("cannot go on")

// final reports whether an error ends the run, with an exit code of its own or
// because state or code is broken.
func final(err error) bool {
	for _, f := range []error{ErrFenced, ErrTopicMismatch, ErrLostOffsets, ErrNewerState, ErrGeneration, errBroken, kerr.InvalidTransactionTimeout, kerr.InvalidSessionTimeout} {
		if errors.Is(err, f) {
			return true
		}
	}
	return false
}

// advised adds what to do next to an error that ends a run, where it was made too far
// inside to know.
func advised(err error) error {
	switch {
	case errors.Is(err, ErrNewerState):
		return fmt.Errorf("%w: run that program, or reset the application with 'callstitch reset'", err)
	case errors.Is(err, kerr.InvalidTransactionTimeout), errors.Is(err, kerr.InvalidSessionTimeout):
		// The brokers' limits do not change while they run, so trying again is of no use (K49).
		return fmt.Errorf("%w: change that setting of the brokers: transactions need %v, sessions %v", err, defaultTransactionTimeout, defaultSessionTimeout)
	case errors.Is(err, codec.ErrCorrupt):
		return fmt.Errorf("%w: an internal topic is damaged; reset the application with 'callstitch reset'", err)
	}
	return err
}
