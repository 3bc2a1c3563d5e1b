package decode

import (
	"strings"
	"unicode/utf8"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// Limits on what is copied into an event.
const (
	maxID   = 256  // ids and addresses; the longest in the field has 64 bytes
	maxText = 1024 // causes, tags, URLs
)

// draft is an event in the making: what was read so far, or why it cannot be
// taken.
type draft struct {
	event    *call.Event
	more     []*call.Event // further events that the same message tells
	rejected *Rejection
	room     *room           // of the event
	strings  strings.Builder // all strings of the event share its memory

	said        call.Event       // of content: the event without how it was delivered
	saidOfOther call.LegSnapshot // of content
	codec       codec.Codec      // of content
	scratch     []byte           // of content
}

// room is the memory of an event and of what most events need beside it, in one piece.
type room struct {
	event      call.Event
	only       [1]*call.Event
	links      [2]call.Link
	attributes [2]call.Attribute
}

// begin starts an event of origin o.
func (d *draft) begin(o origin, timestamp int64) {
	d.room = new(room)
	d.event = &d.room.event
	d.event.Provider, d.event.Tenant, d.event.Scope = o.provider, o.tenant, o.scope
	d.event.IngestedAt = max(timestamp, 0)
	d.more, d.rejected = nil, nil
	size := max(d.strings.Len(), 128) // events of one source are of a size
	d.strings = strings.Builder{}
	d.strings.Grow(size)
}

// fail rejects the event; the first reason stays.
func (d *draft) fail(reason call.RejectReason, detail string) {
	if d.rejected == nil {
		d.rejected = reject(reason, detail)
	}
}

// copy keeps b as a string. What the builder was given before never moves: when
// it grows, earlier strings keep the memory they have.
func (d *draft) copy(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	from := d.strings.Len()
	d.strings.Write(b)
	return d.strings.String()[from:]
}

// copyWith keeps prefix and b as one string.
func (d *draft) copyWith(prefix string, b []byte) string {
	from := d.strings.Len()
	d.strings.WriteString(prefix)
	d.strings.Write(b)
	return d.strings.String()[from:]
}

// text is a string for people, cut to maxText; empty where v is none.
func (d *draft) text(v value) string {
	return d.copy(cut(v.bytes(), maxText))
}

// cut shortens valid UTF-8 to at most limit bytes, at a character.
func cut(b []byte, limit int) []byte {
	if len(b) <= limit {
		return b
	}
	for limit > 0 && !utf8.RuneStart(b[limit]) {
		limit--
	}
	return b[:limit]
}

// exact is a string that is worthless in part, such as an id or a URL; empty
// where v is none, or longer than limit.
func (d *draft) exact(v value, limit int) string {
	b := v.bytes()
	if len(b) > limit {
		return ""
	}
	return d.copy(b)
}

// id is an optional id.
func (d *draft) id(v value) string { return d.exact(v, maxID) }

// literal is a string or number as it was written; empty for anything else.
func (d *draft) literal(v value) string { return d.copy(v.literal()) }

// idOrNumber is an optional id that may also be written as a JSON number.
func (d *draft) idOrNumber(v value) string {
	if len(v.literal()) > maxID {
		return ""
	}
	return d.literal(v)
}

// word reads a field that decides what the event is: a type, a status. Empty
// where it is absent or null; anything but a string rejects the event.
func (d *draft) word(v value, field string) string {
	switch {
	case !v.given():
		return ""
	case !v.isString():
		d.fail(call.RejectBadField, field+" is "+kindName(v.kind())+", want a string")
		return ""
	case len(v.bytes()) > maxID:
		d.fail(call.RejectBadField, field+" is too long")
		return ""
	}
	return d.copy(v.bytes())
}

// callID reads the call id, without which there is no event.
func (d *draft) callID(v value, field string) {
	id := d.word(v, field)
	if d.rejected == nil && isBlank(id) {
		d.fail(call.RejectMissingCallID, field+" is absent or empty")
	}
	d.event.CallID = id
	d.event.Leg = call.NewLegID(d.event.Tenant, d.event.Provider, d.event.Scope, id)
}

// attribute keeps an allow-listed extra. Attributes must come sorted by key.
func (d *draft) attribute(key, text string) {
	if text == "" {
		return
	}
	if d.event.Attributes == nil {
		d.event.Attributes = d.room.attributes[:0]
	}
	d.event.Attributes = append(d.event.Attributes, call.Attribute{Key: key, Value: text})
}

// link joins the event's leg to others by a value, once, and only by one that
// tells calls apart.
func (d *draft) link(kind call.LinkKind, text string) {
	if !links(text) || (kind == call.LinkParent && text == d.event.CallID) {
		return
	}
	for _, l := range d.event.Links {
		if l.Kind == kind && l.Value == text {
			return
		}
	}
	if d.event.Links == nil {
		d.event.Links = d.room.links[:0]
	}
	d.event.Links = append(d.event.Links, call.Link{Kind: kind, Value: text})
}

// linkBy joins the legs that have one value of an attribute. It is no part of
// the content, or the setting that asks for it could not be changed.
func (d *draft) linkBy(attribute string) {
	for _, a := range d.event.Attributes {
		if a.Key == attribute {
			d.link(call.LinkTag, a.Value)
		}
	}
}

// parent links the event's leg to the one that created it.
func (d *draft) parent(id string) {
	if links(id) && id != d.event.CallID {
		d.event.ParentCallID = id
		d.link(call.LinkParent, id)
	}
}

// isBlank reports whether an id is no id: empty, or nothing but zeros and hyphens
// as in the nil UUID.
func isBlank(id string) bool {
	for i := range len(id) {
		if id[i] != '0' && id[i] != '-' {
			return false
		}
	}
	return true
}

// links reports whether a value tells calls apart. Placeholders are shared by
// calls that have nothing in common.
func links(text string) bool {
	return !call.NamesNobody(text) && !isBlank(text)
}
