package compare

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"callstitch/processor/call"
	"callstitch/schemas"
)

// row is what is kept of a session of one side: of its record with the largest version.
type row struct {
	version int64
	digest  uint64 // of the canonical form, without what is ignored
	facts   facts
}

// facts are what decides how a session is counted.
type facts uint8

const (
	final      facts = 1 << iota
	superseded       // neither: it is open
	within           // it began in the time that is asked about
	fresh            // it was published so lately that the other side may not have come there
	excepted         // it has a flag of those in which two right runs may differ
)

func (r row) is(f facts) bool { return r.facts&f != 0 }

// state is how the session stands, in the words of the report.
func (r *row) state() string {
	switch {
	case r == nil:
		return "absent"
	case r.is(final):
		return "final"
	case r.is(superseded):
		return "superseded"
	}
	return "open"
}

// exceptions are the flags of sessions in which two right runs may differ: which of two
// contents with one id came first, and which legs a full link took.
var exceptions = []string{"ID_CONFLICT", "LINK_OVERFLOW"}

// Options are what is compared.
type Options struct {
	Ignore []string // fields that are not compared
	// From and Until bound when the sessions began, epoch ms; 0 is no bound.
	From, Until int64
	// Fresh is when a session was published, epoch ms, after which it may differ because
	// one side has not come there yet; 0 is never.
	Fresh int64
	// ShowNumbers shows parties in examples whole.
	ShowNumbers bool
}

// fields are those of a session, which are read out of its schema once.
var fields = sync.OnceValue(schemas.Sessions.Fields)

// Validate holds that what is ignored are fields.
func (o *Options) Validate() error {
	var problems []error
	for _, name := range o.Ignore {
		if !slices.ContainsFunc(fields(), func(f schemas.Field) bool { return f.Path == name }) {
			problems = append(problems, errors.New(strconv.Quote(name)+" is no field of a session"))
		}
	}
	return errors.Join(problems...)
}

// passes reports whether a field is not compared.
func (o *Options) passes(path string) bool {
	return !schemas.Canonical(path) || slices.Contains(o.Ignore, path)
}

// reader reads sessions out of their JSON. It is not safe for concurrent use.
type reader struct {
	options *Options
	fields  members
	in      bytes.Reader
	tokens  *jsontext.Decoder
	scratch []byte

	began, first int64
}

// members are the fields of a record, by the name in quotes.
type members map[string]field

// field is what a field is to the reader: one that is compared, or passed over, and may
// tell something besides. Names that are not known are those of a newer version, and are
// compared.
type field struct {
	tells  tells
	passed bool
	inside members // of the records in it
}

type tells uint8

const (
	nothing tells = iota
	theID
	theVersion
	theState
	theStart
	theFirstEvent
	theEmission
	theFlags
)

var telling = map[string]tells{
	"session_id": theID, "record_version": theVersion, "record_state": theState, "started_at": theStart,
	"first_event_at": theFirstEvent, "emitted_at": theEmission, "quality_flags": theFlags,
}

// seed is one for all readers of the process: their digests are compared.
var seed = maphash.MakeSeed()

func newReader(o *Options) *reader {
	r := &reader{options: o, fields: members{}}
	for _, f := range fields() {
		at, name := r.fields, f.Path
		for {
			of, inside, nested := strings.Cut(name, ".")
			if !nested {
				break
			}
			at, name = at[strconv.Quote(of)].inside, inside
		}
		at[strconv.Quote(name)] = field{telling[f.Path], o.passes(f.Path), members{}}
	}
	r.tokens = jsontext.NewDecoder(&r.in, lenient...)
	return r
}

// lenient is how records are read: they were written by a run, or decoded from Avro.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// errNoSession is JSON that is no session's. What it is is not quoted.
var errNoSession = errors.New("it is no session: an object with session_id, record_version and record_state, as 'callstitch process' and 'callstitch tail' print it")

// read reads one session. What it makes of the record does not depend on the order of
// its fields, nor on those that are absent where they would say nothing: null, false, empty
// lists, and objects of nothing else are as if they were not there, since a field that a
// later version adds is so in the records of an earlier one.
func (r *reader) read(text []byte) (id call.LegID, s row, err error) {
	r.in.Reset(text)
	r.tokens.Reset(&r.in, lenient...)
	r.began, r.first = 0, 0
	found := 0
	if t, err := r.tokens.ReadToken(); err != nil || t.Kind() != '{' {
		return id, s, errNoSession
	}
	for r.tokens.PeekKind() == '"' {
		name, err := r.tokens.ReadValue()
		if err != nil {
			return id, s, errNoSession
		}
		f, digest, of := r.fields[string(name)], uint64(0), maphash.Bytes(seed, name)
		switch f.tells {
		case nothing:
			digest, err = r.value(f.inside)
		case theFlags:
			digest, err = r.flags(&s)
		default:
			digest, err = r.hear(f.tells, &id, &s)
		}
		if err != nil {
			return id, s, errNoSession
		}
		switch f.tells {
		case theID, theVersion, theState:
			found++
		}
		if digest != 0 && !f.passed {
			s.digest += ordered(of, digest)
		}
	}
	if t, err := r.tokens.ReadToken(); err != nil || t.Kind() != '}' || found != 3 {
		return id, s, errNoSession
	}
	r.place(&s)
	return id, s, nil
}

// value is the digest of the next value; 0 where it says nothing. What is in an object is
// summed, so that the order of its fields does not matter.
func (r *reader) value(in members) (digest uint64, err error) {
	switch r.tokens.PeekKind() {
	case '{':
		if _, err := r.tokens.ReadToken(); err != nil {
			return 0, err
		}
		for r.tokens.PeekKind() == '"' {
			name, err := r.tokens.ReadValue()
			if err != nil {
				return 0, err
			}
			f, of := in[string(name)], maphash.Bytes(seed, name)
			inside, err := r.value(f.inside)
			if err != nil {
				return 0, err
			}
			if inside != 0 && !f.passed {
				digest += ordered(of, inside)
			}
		}
		_, err = r.tokens.ReadToken()
		return digest, err
	case '[':
		if _, err := r.tokens.ReadToken(); err != nil {
			return 0, err
		}
		for r.tokens.PeekKind() != ']' {
			element, err := r.value(in)
			if err != nil {
				return 0, err
			}
			digest = ordered(digest, element)
		}
		_, err = r.tokens.ReadToken()
		return digest, err
	}
	value, err := r.tokens.ReadValue()
	return r.scalar(value), err
}

// scalar is the digest of a value that holds no other: of what a text says, however it is
// escaped.
func (r *reader) scalar(value jsontext.Value) uint64 {
	switch value.Kind() {
	case 'n', 'f':
		return 0
	case '"':
		r.scratch, _ = jsontext.AppendUnquote(append(r.scratch[:0], '"'), value) // the error is of what is lenient
		value = r.scratch
	}
	return maphash.Bytes(seed, value)
}

// ordered is the digest of two digests in this order.
func ordered(a, b uint64) uint64 {
	var of [16]byte
	binary.LittleEndian.PutUint64(of[:8], a)
	binary.LittleEndian.PutUint64(of[8:], b)
	return maphash.Bytes(seed, of[:])
}

// hear takes what the next value tells, and is its digest; an error where it is none of
// its kind.
func (r *reader) hear(what tells, id *call.LegID, s *row) (digest uint64, err error) {
	value, err := r.tokens.ReadValue()
	if err != nil {
		return 0, err
	}
	ok := true
	switch what {
	case theID:
		*id, ok = call.ParseLegID(string(bytes.Trim(value, `"`)))
	case theVersion:
		s.version, ok = integer(value)
	case theState:
		switch string(value) {
		case `"FINAL"`:
			s.facts |= final
		case `"SUPERSEDED"`:
			s.facts |= superseded
		}
	case theEmission:
		at, known := integer(value)
		if ok = known; r.options.Fresh > 0 && at >= r.options.Fresh {
			s.facts |= fresh
		}
	case theStart:
		r.began, _ = integer(value)
	case theFirstEvent:
		r.first, _ = integer(value)
	}
	if !ok {
		return 0, errNoSession
	}
	return r.scalar(value), nil
}

// flags notes the exceptions among the flags that are in the canonical form, and is the
// digest of all of those.
func (r *reader) flags(s *row) (digest uint64, err error) {
	if r.tokens.PeekKind() != '[' {
		return 0, r.tokens.SkipValue()
	}
	for {
		t, err := r.tokens.ReadToken()
		if err != nil || t.Kind() == ']' {
			return digest, err
		}
		if t.Kind() != '"' || !schemas.CanonicalFlag(t.String()) {
			continue
		}
		if slices.Contains(exceptions, t.String()) {
			s.facts |= excepted
		}
		digest += maphash.String(seed, t.String())
	}
}

// place decides whether the session began in the time that is asked about. One of which no
// instant is known is never left out.
func (r *reader) place(s *row) {
	at, o := r.began, r.options
	if at == 0 {
		at = r.first
	}
	if at == 0 || at >= o.From && (o.Until == 0 || at < o.Until) {
		s.facts |= within
	}
}

func integer(value jsontext.Value) (n int64, ok bool) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	return n, err == nil
}
