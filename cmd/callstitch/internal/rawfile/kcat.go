package rawfile

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"callstitch/processor/call"
	"callstitch/topology"
)

// errNotKcat means that a line is not one that kcat -J prints.
var errNotKcat = errors.New("not a line of kcat -J")

// kcatOptions take a line as it is: whether its bytes are good is the decoder's
// to say.
var kcatOptions = []jsontext.Options{jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)}

// ParseKcat reads one line of kcat -J: an object with topic, partition, offset,
// ts, headers, key and payload. A null payload is a null value. The bytes of key,
// payload and headers are those of the line, also where they are not UTF-8. Byte
// order marks before the object are as if they were not there. Any other line is an
// error.
func ParseKcat(line []byte) (topology.Record, error) {
	r := topology.Record{}
	line = unmarked(line)
	d := jsontext.NewDecoder(bytes.NewReader(line), kcatOptions...)
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return r, errNotKcat
	}
	payload := false
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return r, errNotKcat
		}
		key := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return r, errNotKcat
		}
		if err := setField(&r, key, value); err != nil {
			return r, err
		}
		payload = payload || key == "payload"
	}
	if _, err := d.ReadToken(); err != nil || !payload || len(bytes.TrimSpace(line[d.InputOffset():])) > 0 {
		return r, errNotKcat
	}
	return r, nil
}

func setField(r *topology.Record, key string, value jsontext.Value) (err error) {
	switch key {
	case "topic":
		r.Topic = string(unquote(value))
	case "partition":
		var n int64
		n, err = strconv.ParseInt(string(value), 10, 32)
		r.Partition = int32(n)
	case "offset":
		r.Offset, err = strconv.ParseInt(string(value), 10, 64)
	case "ts":
		r.Timestamp, err = strconv.ParseInt(string(value), 10, 64)
		r.Timestamp = max(r.Timestamp, 0) // -1 where the broker gave none
	case "headers":
		r.Headers, err = kcatHeaders(value)
	case "key":
		r.Key = unquote(value)
	case "payload":
		r.Value = unquote(value)
	}
	if err != nil {
		return errNotKcat
	}
	return nil
}

// kcatHeaders reads a list of names and values in turn.
func kcatHeaders(list jsontext.Value) ([]call.Header, error) {
	if list.Kind() == 'n' {
		return nil, nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(list), kcatOptions...)
	if t, err := d.ReadToken(); err != nil || t.Kind() != '[' {
		return nil, errNotKcat
	}
	var headers []call.Header
	for d.PeekKind() != ']' {
		name, err := d.ReadValue()
		if err != nil || name.Kind() != '"' {
			return nil, errNotKcat
		}
		key := string(unquote(name))
		value, err := d.ReadValue() // valid until the decoder is asked again
		if err != nil {
			return nil, errNotKcat
		}
		headers = append(headers, call.Header{Key: key, Value: unquote(value)})
	}
	return headers, nil
}

// unquote is the bytes of a JSON string: nil for null, and the text itself of any
// other value, as kcat prints values that it decoded. Unlike a JSON library it
// keeps bytes that are not UTF-8.
func unquote(v jsontext.Value) []byte {
	switch {
	case v.Kind() == 'n':
		return nil
	case v.Kind() != '"':
		return bytes.Clone(v)
	}
	v = v[1 : len(v)-1]
	out := make([]byte, 0, len(v))
	for len(v) > 0 {
		if v[0] != '\\' {
			plain := bytes.IndexByte(v, '\\')
			if plain < 0 {
				plain = len(v)
			}
			out, v = append(out, v[:plain]...), v[plain:]
			continue
		}
		out, v = unescape(out, v)
	}
	return out
}

// unescape appends what the escape at the start of v stands for, and returns the
// rest. The decoder has checked its form. Half of a surrogate pair becomes three
// bytes that are no UTF-8, so that the record is not taken for a good one.
func unescape(out []byte, v []byte) ([]byte, []byte) {
	if v[1] != 'u' {
		plain := `"\/` + "\b\f\n\r\t"
		return append(out, plain[bytes.IndexByte([]byte(`"\/bfnrt`), v[1])]), v[2:]
	}
	r, v := hex4(v)
	if utf16.IsSurrogate(r) && len(v) >= 6 && v[0] == '\\' && v[1] == 'u' {
		low, rest := hex4(v)
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return utf8.AppendRune(out, pair), rest
		}
	}
	if utf16.IsSurrogate(r) {
		return append(out, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0x3F, 0x80|byte(r)&0x3F), v
	}
	return utf8.AppendRune(out, r), v
}

// hex4 reads a \uXXXX.
func hex4(v []byte) (rune, []byte) {
	n, _ := strconv.ParseUint(string(v[2:6]), 16, 16)
	return rune(n), v[6:]
}

// AppendKcat appends the line that kcat -J prints for r.
func AppendKcat(b []byte, r *topology.Record) []byte {
	b = append(b, `{"topic":`...)
	b = AppendText(b, []byte(r.Topic))
	b = fmt.Appendf(b, `,"partition":%d,"offset":%d,"tstype":"create","ts":%d,"broker":0`, r.Partition, r.Offset, r.Timestamp)
	if len(r.Headers) > 0 {
		b = append(b, `,"headers":[`...)
		for i, h := range r.Headers {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(AppendText(b, []byte(h.Key)), ',')
			b = AppendText(b, h.Value)
		}
		b = append(b, ']')
	}
	b = append(b, `,"key":`...)
	b = AppendText(b, r.Key)
	b = append(b, `,"payload":`...)
	b = AppendText(b, r.Value)
	return append(b, '}')
}
