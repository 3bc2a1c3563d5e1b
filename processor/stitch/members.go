package stitch

import (
	"slices"

	"callstitch/processor/call"
	"callstitch/processor/codec"
	"callstitch/processor/leg"
)

// member is another leg of a root's session, as its last summary told it.
type member struct {
	id call.LegID
	v  int64
	fold
	row rowMark
}

// memberSet holds the members of a root in the order in which they came, in
// chunks that have keys of their own, so that a change of one leg does not
// rewrite a session of many.
type memberSet struct {
	count   int32 // members stored; equals len(all) once they were read
	dropped int32 // members beyond rootMembers

	all   []member
	dirty []bool // by chunk: differs from its stored form
}

const memberChunk = 8

// Visit visits the set without its chunks.
func (s *memberSet) Visit(c *codec.Codec) {
	c.Int32(&s.count)
	c.Int32(&s.dropped)
	if s.count < 0 || s.count > rootMembers || s.dropped < 0 {
		c.Fail(codec.ErrCorrupt)
	}
}

// Visit visits a member.
func (m *member) Visit(c *codec.Codec) {
	c.Raw(m.id[:])
	c.Int64(&m.v)
	if c.Reading {
		m.leg = &leg.Leg{ID: m.id}
	}
	m.fold.Visit(c)
	m.row.Visit(c)
}

func (s *memberSet) find(id call.LegID) int {
	return slices.IndexFunc(s.all, func(m member) bool { return m.id == id })
}

// put takes a member, or its newer version, and reports whether anything changed.
func (s *memberSet) put(m member) bool {
	i := s.find(m.id)
	switch {
	case i >= 0:
		old := &s.all[i]
		if m.row.revision > old.row.revision {
			old.row = m.row
			s.touch(i)
		}
		if m.v <= old.v {
			return false
		}
		old.v, old.fold = m.v, m.fold
	case len(s.all) >= rootMembers:
		s.dropped++
		return true
	default:
		i = len(s.all)
		s.all = append(s.all, m)
		s.count = int32(len(s.all))
	}
	s.touch(i)
	return true
}

func (s *memberSet) touch(i int) {
	chunk := i / memberChunk
	for len(s.dirty) <= chunk {
		s.dirty = append(s.dirty, false)
	}
	s.dirty[chunk] = true
}

// chunk is the members of one chunk.
func (s *memberSet) chunk(i int) []member {
	return s.all[i*memberChunk : min((i+1)*memberChunk, len(s.all))]
}

func (s *memberSet) chunks() int { return (int(s.count) + memberChunk - 1) / memberChunk }

// memberList is the form of a chunk.
type memberList []member

// Visit visits a chunk.
func (l *memberList) Visit(c *codec.Codec) { codec.List(c, (*[]member)(l), (*member).Visit) }
