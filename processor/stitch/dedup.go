package stitch

import (
	"encoding/binary"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// idSet is the set of event ids that a leg has accepted, each with its content.
// The last few are stored with the node; a full chunk gets a key of its own, so
// that a long call does not rewrite all its ids with every event.
type idSet struct {
	chunks int32     // full chunks, each under its own key
	tail   []knownID // ids of the chunk that is being filled

	full [][]knownID // the full chunks once they were read; not stored here
}

// knownID is an accepted id and content, cut to what tells them apart within
// one leg: with 16,384 ids a leg, two share 64 bits once in 10^11 legs.
type knownID struct {
	id      uint64
	content uint32
}

const (
	idChunk = 64
	// idChunks bounds the ids of one leg to 16,384, more than a day of events
	// at one in five seconds. Ids beyond it are accepted and not remembered.
	idChunks = 256
)

func newKnownID(e *call.Event) knownID {
	return knownID{binary.BigEndian.Uint64(e.ID[:8]), uint32(e.Content) ^ uint32(e.Content>>32)}
}

// find looks an id up.
func (s *idSet) find(id uint64) (knownID, bool) {
	for _, k := range s.tail {
		if k.id == id {
			return k, true
		}
	}
	for _, chunk := range s.full {
		for _, k := range chunk {
			if k.id == id {
				return k, true
			}
		}
	}
	return knownID{}, false
}

// add remembers an id. The chunk that it filled, if any, is returned to be
// stored under its number.
func (s *idSet) add(k knownID) (full []knownID, number int32) {
	if s.chunks == idChunks {
		return nil, 0
	}
	s.tail = append(s.tail, k)
	if len(s.tail) < idChunk {
		return nil, 0
	}
	full, number = s.tail, s.chunks
	s.full = append(s.full, full)
	s.tail = nil
	s.chunks++
	return full, number
}

// Visit visits the set without its full chunks.
func (s *idSet) Visit(c *codec.Codec) {
	c.Int32(&s.chunks)
	if s.chunks < 0 || s.chunks > idChunks {
		c.Fail(codec.ErrCorrupt)
	}
	codec.List(c, &s.tail, (*knownID).Visit)
}

// Visit visits an id with its content.
func (k *knownID) Visit(c *codec.Codec) {
	c.Uint64(&k.id)
	content := uint64(k.content)
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(content))
	c.Raw(b[:])
	k.content = binary.BigEndian.Uint32(b[:])
}

// idList is the form of a full chunk.
type idList []knownID

// Visit visits a full chunk.
func (l *idList) Visit(c *codec.Codec) { codec.List(c, (*[]knownID)(l), (*knownID).Visit) }
