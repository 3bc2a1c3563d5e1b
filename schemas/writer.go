package schemas

import (
	"strings"
	"unicode/utf8"

	"callstitch/processor/call"
)

// writer receives the fields of one record in the order of its schema. An
// optional field is the union of null and its type. Strings that are not UTF-8
// are made so: consumers in other languages reject anything else.
type writer interface {
	text(name, v string)
	optText(name, v string) // empty is null
	hex(name string, v []byte)
	optHex(name string, v []byte) // empty is null
	boolean(name string, v bool)
	integer(name string, t integerType, v int64)
	optInteger(name string, t integerType, v int64, known bool)

	// An array of n elements, each one string or one record, ends with endArray.
	array(name string, n int)
	element(v string)
	hexElement(v []byte)
	pairElement(kind, v string) // kind:v
	record()
	endRecord()
	endArray()

	// dictionary is a map of strings. Keys are unique.
	dictionary(name string, v []call.Attribute)
}

// integerType is the Avro type of an integer. All three are written alike; only
// goavro tells them apart.
type integerType uint8

const (
	intType  integerType = iota
	longType             // also of durations
	timeType             // timestamp-millis
)

func validText(v string) string {
	if utf8.ValidString(v) {
		return v
	}
	return strings.ToValidUTF8(v, "\uFFFD")
}
