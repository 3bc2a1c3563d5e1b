package decode

import (
	"strconv"

	"callstitch/processor/call"
)

// named gives the event the provider's own id.
func (d *draft) named(id string) {
	d.event.ProviderID = id
	d.identify(call.IDExact, "exact", id)
}

// once gives the event the id of a transition that a leg makes only once, so
// that a second telling of it, whatever its bytes, has the same id.
func (d *draft) once(transition string) {
	d.identify(call.IDSemantic, "once", transition)
}

// keyed gives the event an id made of the parts that tell it from the leg's
// other events. at is its time as the provider wrote it; without one, only the
// whole content tells.
func (d *draft) keyed(at string, parts ...string) {
	if at == "" {
		at = "content " + strconv.FormatUint(d.content(d.event), 16)
	}
	var stack [8]string
	d.identify(call.IDContent, append(append(stack[:0], "content", at), parts...)...)
}

func (d *draft) identify(kind call.IDKind, parts ...string) {
	d.event.IDKind = kind
	d.event.ID = call.NewEventID(d.event.Leg, parts...)
}

// content hashes what an event says, and nothing of how it was delivered:
// copies that differ only in source position, Kafka timestamp, or in when the
// provider last touched its own record of them, have equal content. It is
// 64-bit FNV-1a over the binary form, so a change of that form changes it.
func (d *draft) content(e *call.Event) uint64 {
	d.said = *e
	c := &d.said
	c.ID, c.IDKind, c.Content = call.EventID{}, 0, 0
	c.IngestedAt, c.Source, c.SHA256 = 0, call.Source{}, [32]byte{}
	for _, i := range []*call.Instant{&c.Time, &c.Started, &c.Ringing, &c.Answered, &c.Ended} {
		if i.Src == call.EvidenceIngest {
			*i = call.Instant{}
		}
	}
	if c.Snapshot != nil {
		d.saidOfOther = *c.Snapshot
		d.saidOfOther.Alive = call.Instant{}
		c.Snapshot = &d.saidOfOther
	}
	d.codec.Write(d.scratch[:0])
	c.Visit(&d.codec)
	d.scratch = d.codec.Buf
	return fnv1a(d.scratch)
}

func fnv1a(parts ...[]byte) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, b := range parts {
		for _, c := range b {
			h = (h ^ uint64(c)) * prime
		}
	}
	return h
}
