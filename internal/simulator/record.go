package simulator

import "strconv"

// AppendKcat appends the record as one line of what kcat -J prints, with its
// line end. Bytes of key and value that are not UTF-8 are passed on as they are,
// as kcat does.
func AppendKcat(dst []byte, r Record, topic string, partition int32, offset int64) []byte {
	dst = append(dst, '{')
	dst = append(quote(name(dst, "topic"), []byte(topic)), ',')
	dst = append(dst, `"partition":`...)
	dst = strconv.AppendInt(dst, int64(partition), 10)
	dst = num(dst, "offset", offset)
	dst = str(dst, "tstype", "create")
	dst = num(dst, "ts", r.Timestamp)
	dst = num(dst, "broker", 0)
	if len(r.Headers) > 0 {
		dst = append(name(dst, "headers"), '[')
		for _, h := range r.Headers {
			dst = quote(comma(dst), []byte(h.Key))
			dst = quoteOrNull(append(dst, ','), h.Value)
		}
		dst = append(dst, ']')
	}
	dst = quoteOrNull(name(dst, "key"), r.Key)
	dst = quoteOrNull(name(dst, "payload"), r.Value)
	return append(dst, '}', '\n')
}

func quoteOrNull(dst, s []byte) []byte {
	if s == nil {
		return append(dst, "null"...)
	}
	return quote(dst, s)
}

// quote appends s as a JSON string.
func quote(dst, s []byte) []byte {
	dst = append(dst, '"')
	from := 0
	for i, c := range s {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
