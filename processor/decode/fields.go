package decode

import "slices"

// field is the number of a name that some provider's reader looks for; 0 for all others.
type field uint8

// fields are the names of all fields by their numbers. A member with another name leaves
// nothing behind.
var fields []string

// fieldSlots is a hash table: a field is where its hash says, or in the next free slot.
var fieldSlots [512]field

// The readers in providers look for fields, so providers cannot be what fields begins with.
func init() {
	for i := range providers {
		fields = append(fields, providers[i].fields...)
	}
	slices.Sort(fields)
	fields = append([]string{""}, slices.Compact(fields)...)
	for f, name := range fields[1:] {
		at := slotOf(hash([]byte(name)))
		for fieldSlots[at] != 0 {
			at = slotOf(at + 1)
		}
		fieldSlots[at] = field(f + 1)
	}
}

func slotOf(hash uint32) uint32 { return hash % uint32(len(fieldSlots)) }

// fieldOf is the field of that name, whose hash is h.
func fieldOf(h uint32, name []byte) field {
	for at := slotOf(h); fieldSlots[at] != 0; at = slotOf(at + 1) {
		if f := fieldSlots[at]; fields[f] == string(name) {
			return f
		}
	}
	return 0
}
