package schemas

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/linkedin/goavro/v2"

	"callstitch/processor/call"
)

// Verify has goavro read the schemas and encode a full and an empty sample of
// each record, and reports the first byte in which AppendAvro differs. It works
// once and then remembers the answer. [NewRegistry] calls it, so that nothing
// is published under a schema that does not fit.
func Verify() error { return verified() }

var verified = sync.OnceValue(func() error {
	for _, s := range Subjects() {
		if err := s.verify(); err != nil {
			return fmt.Errorf("verify the encoder of %s: %w", s, err)
		}
	}
	return nil
})

func (s Subject) verify() error {
	codec, err := goavro.NewCodec(s.Schema())
	if err != nil {
		return err
	}
	for _, value := range []call.Output{s.sample(), s.empty()} {
		if err := compare(codec, value); err != nil {
			return err
		}
	}
	return nil
}

// compare encodes the value with goavro and with AppendAvro.
func compare(codec *goavro.Codec, value call.Output) error {
	fields, err := native(value)
	if err != nil {
		return err
	}
	want, err := codec.BinaryFromNative(nil, fields)
	if err != nil {
		return err
	}
	got, err := AppendAvro(nil, value)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("byte %d of %d differs from goavro's encoding", difference(got, want), len(want))
	}
	return nil
}

func difference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// empty is a record of which nothing is known: every optional field is null.
func (s Subject) empty() call.Output {
	return [...]call.Output{&call.EventRecord{Event: new(call.Event)}, &call.Session{}, &call.Leg{}, &call.Audit{}}[s]
}
