package schemas

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/sr"
)

// AppendFrame appends the head of Confluent's wire format, a zero byte and the
// schema id in four bytes, behind which the Avro binary follows.
func AppendFrame(dst []byte, id int) []byte {
	// ConfluentHeader fails only for messages with an index, which Avro has not.
	dst, _ = new(sr.ConfluentHeader).AppendEncode(dst, id, nil)
	return dst
}

// ParseFrame takes the head off a value: the id of the schema that it was
// written with, and its Avro binary.
func ParseFrame(value []byte) (id int, avro []byte, err error) {
	id, avro, err = new(sr.ConfluentHeader).DecodeID(value)
	if err != nil {
		return 0, nil, fmt.Errorf("read the schema id of a value of %d bytes: it does not begin with 0x00 and four bytes, as Confluent's wire format does; is this an output topic?", len(value))
	}
	return id, avro, nil
}
