package decode

import (
	"math"
	"strconv"
	"strings"
	"time"

	"callstitch/processor/call"
)

// Event times before 2000 or from 2100 on are broken clocks.
var (
	firstInstant = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	endOfTime    = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
)

func plausible(ms int64) bool { return ms >= firstInstant && ms < endOfTime }

// moment is a date and time that was read from text or a number.
type moment struct {
	ms        int64 // epoch milliseconds; fractions of one are cut off
	precision int32
	zoneless  bool // no zone was given, UTC is assumed
}

// parseMoment reads the date and time forms that providers really send:
// ISO 8601 with any number of fraction digits, with Z, an offset or nothing at
// the end, and with T, a space, or a hyphen in the middle.
func parseMoment(s []byte) (m moment, ok bool) {
	const shape = "0000-00-00T00:00:00"
	if len(s) < len(shape) {
		return m, false
	}
	year, month, day := digits(s[0:4]), digits(s[5:7]), digits(s[8:10])
	hour, minute, second := digits(s[11:13]), digits(s[14:16]), digits(s[17:19])
	if s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':' || !isSeparator(s[10]) {
		return m, false
	}
	if month < 1 || month > 12 || day < 1 || day > 31 || year < 0 {
		return m, false
	}
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 {
		return m, false
	}
	fraction, precision, rest, ok := parseFraction(s[len(shape):])
	if !ok {
		return m, false
	}
	offset, zoneless, ok := parseZone(rest)
	date := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if !ok || (date.Day() != day && second < 60) {
		return m, false // there is no 31 February; only a leap second reaches the next day
	}
	return moment{date.UnixMilli() + fraction - offset, precision, zoneless}, true
}

func isSeparator(c byte) bool { return c == 'T' || c == 't' || c == ' ' || c == '-' }

// digits is the number that s spells, -1 where it is not all digits.
func digits(s []byte) int {
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// maxFraction bounds the digits of a fraction of a second; nanoseconds take 9.
const maxFraction = 12

// parseFraction reads what follows the seconds, if it is a fraction of them.
func parseFraction(s []byte) (ms int64, precision int32, rest []byte, ok bool) {
	if len(s) == 0 || (s[0] != '.' && s[0] != ',') {
		return 0, 1000, s, true
	}
	n, scale := 1, int64(100)
	for ; n < len(s) && s[n] >= '0' && s[n] <= '9'; n++ {
		ms += int64(s[n]-'0') * scale
		scale /= 10
	}
	return ms, 1, s[n:], n > 1 && n <= maxFraction+1
}

// parseZone reads Z, ±hh, ±hhmm or ±hh:mm as milliseconds east of UTC.
func parseZone(s []byte) (offset int64, zoneless, ok bool) {
	switch {
	case len(s) == 0:
		return 0, true, true
	case len(s) == 1:
		return 0, false, s[0] == 'Z' || s[0] == 'z'
	}
	sign := int64(1)
	switch s[0] {
	case '-':
		sign = -1
	case '+':
	default:
		return 0, false, false
	}
	hours, minutes := 0, 0
	switch {
	case len(s) == 3:
		hours = digits(s[1:3])
	case len(s) == 5:
		hours, minutes = digits(s[1:3]), digits(s[3:5])
	case len(s) == 6 && s[3] == ':':
		hours, minutes = digits(s[1:3]), digits(s[4:6])
	default:
		return 0, false, false
	}
	ok = hours >= 0 && hours <= 18 && minutes >= 0 && minutes <= 59
	return sign * int64(60*hours+minutes) * 60_000, false, ok
}

// moment reads v as a date and time in words, or in the number that a relay has made
// of them.
func (v value) moment() (moment, bool) {
	if m, ok := parseMoment(v.bytes()); ok {
		return m, true
	}
	m, ok := v.epoch()
	return m, ok && plausible(m.ms)
}

// epoch reads v as epoch milliseconds, or as seconds where it can only be those: a
// number that is a plausible one of milliseconds is none of seconds.
func (v value) epoch() (moment, bool) {
	n, ok := v.integer()
	switch {
	case !ok:
		return v.fractionalEpoch()
	case !plausible(n) && n < endOfTime && plausible(1000*n):
		return moment{ms: 1000 * n, precision: 1000}, true
	default:
		return moment{ms: n, precision: 1}, true
	}
}

// fractionalEpoch reads v as epoch seconds or milliseconds with a fraction. What has
// one was a float64 on its way, which holds these to the microsecond: 1773136805.1 may
// have become 1773136805.0999999.
func (v value) fractionalEpoch() (moment, bool) {
	text := string(v.literal())
	if strings.Trim(text, "0123456789.eE+-") != "" {
		return moment{}, false
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n >= float64(endOfTime) {
		return moment{}, false
	}
	if ms := int64(n); plausible(ms) {
		return moment{ms: ms, precision: 1}, true
	}
	ms := int64(math.Round(1e6*n)) / 1000
	return moment{ms: ms, precision: 1}, plausible(ms)
}

// reader is one of value's ways to read an instant.
type reader func(value) (moment, bool)

// instant reads an optional instant. One that cannot be read, or lies outside
// of the years that can be, is null and flagged.
func (d *draft) instant(v value, read reader, src call.Evidence) call.Instant {
	if !v.given() {
		return call.Instant{}
	}
	m, ok := read(v)
	return d.remark(m, ok, src)
}

// clock reads the instant of the event itself: outside of the years that can
// be it rejects the event, since everything else in it is as doubtful.
func (d *draft) clock(v value, field string, read reader, src call.Evidence) call.Instant {
	if !v.given() {
		return call.Instant{}
	}
	m, ok := read(v)
	if ok && !plausible(m.ms) {
		d.fail(call.RejectBadTimestamp, field+" is outside of the years 2000 to 2099")
		return call.Instant{}
	}
	return d.remark(m, ok, src)
}

// remark makes an instant of what was read, with the flags it deserves.
func (d *draft) remark(m moment, ok bool, src call.Evidence) call.Instant {
	if !ok || !plausible(m.ms) {
		d.event.Flags |= call.FlagBadInstant
		return call.Instant{}
	}
	if m.zoneless {
		d.event.Flags |= call.FlagZonelessTime
	}
	return call.Instant{At: call.Time(m.ms), Src: src, Precision: m.precision}
}

// ingest is the Kafka timestamp as an instant, absent where there is none. Only here
// does it become call time, of the evidence class that says so.
func (d *draft) ingest() call.Instant {
	if d.event.IngestedAt == 0 {
		return call.Instant{}
	}
	return call.Instant{At: call.Time(d.event.IngestedAt), Src: call.EvidenceIngest, Precision: 1}
}

// settle gives an event without a time of its own the Kafka timestamp.
func (d *draft) settle() {
	if !d.event.Time.Known() {
		d.event.Flags |= call.FlagNoEventTime
		d.event.Time = d.ingest()
	}
}

// or is the first of the two that is known.
func or(a, b call.Instant) call.Instant {
	if a.Known() {
		return a
	}
	return b
}

// before is the instant that many whole seconds before at, as an instant that
// was computed; absent where it cannot be.
func before(at call.Instant, seconds call.Int) call.Instant {
	if !at.Known() || !seconds.Known {
		return call.Instant{}
	}
	ms := int64(at.At) - 1000*seconds.N
	if !plausible(ms) {
		return call.Instant{}
	}
	return call.Instant{At: call.Time(ms), Src: call.EvidenceDerived, Precision: 1000}
}

// maxSeconds bounds a duration that is believed: a call of ten years is none.
const maxSeconds = 10 * 366 * 86_400

// seconds reads a duration in whole seconds, null where it cannot be one.
func (v value) seconds() call.Int {
	n, ok := v.integer()
	if !ok || n < 0 || n > maxSeconds {
		return call.Int{}
	}
	return call.Some(n)
}

// period reads an ISO 8601 duration of days, hours, minutes and seconds, such
// as PT2M or PT20.056S, in milliseconds; null where it is none.
func (v value) period() call.Int {
	s := v.bytes()
	if len(s) < 3 || s[0] != 'P' {
		return call.Int{}
	}
	total, inTime := 0.0, false
	for s = s[1:]; len(s) > 0; {
		if s[0] == 'T' && !inTime {
			inTime, s = true, s[1:]
			continue
		}
		n, size := decimal(s)
		if size == 0 || size == len(s) {
			return call.Int{}
		}
		unit := unitSeconds(s[size], inTime)
		if unit == 0 {
			return call.Int{}
		}
		total += n * unit
		s = s[size+1:]
	}
	if total > maxSeconds {
		return call.Int{}
	}
	return call.Some(int64(math.Floor(total*1000 + 1e-6)))
}

// decimal reads a number with an optional fraction from the front of s.
func decimal(s []byte) (n float64, size int) {
	scale := 0.0
	for size < len(s) && size < 24 {
		switch c := s[size]; {
		case c >= '0' && c <= '9':
			n, scale = 10*n+float64(c-'0'), scale*10
		case (c == '.' || c == ',') && scale == 0 && size > 0:
			scale = 1
		default:
			return n / max(scale, 1), size
		}
		size++
	}
	return n / max(scale, 1), size
}

func unitSeconds(c byte, inTime bool) float64 {
	switch {
	case c == 'D' && !inTime:
		return 86_400
	case c == 'H' && inTime:
		return 3600
	case c == 'M' && inTime:
		return 60
	case c == 'S' && inTime:
		return 1
	}
	return 0
}
