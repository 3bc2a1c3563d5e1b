package simulator

import (
	"strconv"
	"time"
)

// The functions below append members to a JSON object or elements to an array
// under construction. Names and strings are the simulator's own ASCII words,
// which need no escaping.

func name(b []byte, key string) []byte {
	b = comma(b)
	b = append(b, '"')
	b = append(b, key...)
	return append(b, '"', ':')
}

func comma(b []byte) []byte {
	if last := b[len(b)-1]; last == '{' || last == '[' {
		return b
	}
	return append(b, ',')
}

func str(b []byte, key, value string) []byte {
	b = append(name(b, key), '"')
	b = append(b, value...)
	return append(b, '"')
}

func num(b []byte, key string, n int64) []byte {
	return strconv.AppendInt(name(b, key), n, 10)
}

func boolean(b []byte, key string, v bool) []byte {
	return strconv.AppendBool(name(b, key), v)
}

func null(b []byte, keys ...string) []byte {
	for _, key := range keys {
		b = append(name(b, key), "null"...)
	}
	return b
}

// raw appends a member whose value is JSON already.
func raw(b []byte, key, value string) []byte {
	return append(name(b, key), value...)
}

// iso appends an instant of UTC with milliseconds, such as 2024-02-20T16:41:37.228Z.
func iso(b []byte, key string, ms int64) []byte {
	b = append(name(b, key), '"')
	b = appendISO(b, ms)
	return append(b, 'Z', '"')
}

// isoOrNull is iso, or null for an instant that is not there.
func isoOrNull(b []byte, key string, ms int64) []byte {
	if ms == 0 {
		return null(b, key)
	}
	return iso(b, key, ms)
}

func appendISO(b []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(b, "2006-01-02T15:04:05.000")
}
