package schemas

import (
	"encoding/binary"
	"errors"
	"math"
)

// errNoSession is a value that is not a CallSession.
var errNoSession = errors.New("the value is no call session")

// GenerationOf is the generation of a CallSession in Avro binary, without its frame. It
// reads the value no further: the fields up to that one are the first of every version of
// the schema, since fields are only added at the end.
func GenerationOf(avro []byte) (int32, error) {
	r := prefixReader{rest: avro}
	r.skipText()    // session_id
	r.skipText()    // tenant_id
	r.skipText()    // provider
	r.skipOptText() // provider_account_id
	r.skipText()    // record_state
	revision, generation, version := r.varint(), r.varint(), r.varint()
	if r.failed || revision < 1 || generation < 0 || generation > math.MaxInt32 || version != generation<<32|revision {
		return 0, errNoSession
	}
	return int32(generation), nil
}

// prefixReader reads the first fields of a record in Avro binary.
type prefixReader struct {
	rest   []byte
	failed bool
}

func (r *prefixReader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *prefixReader) skipText() {
	n := r.varint()
	if r.failed || n < 0 || n > int64(len(r.rest)) {
		r.failed = true
		return
	}
	r.rest = r.rest[n:]
}

func (r *prefixReader) skipOptText() {
	switch r.varint() {
	case 0:
	case 1:
		r.skipText()
	default:
		r.failed = true
	}
}
