package decode

import (
	"math"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"callstitch/processor/call"
)

func TestParseMoment(t *testing.T) {
	for _, tt := range []struct {
		text, want string // RFC 3339; empty where it cannot be read
		precision  int32
		zoneless   bool
	}{
		{"2024-02-20T16:41:37.088Z", "2024-02-20T16:41:37.088Z", 1, false},
		{"2022-05-04T18:54:40.208480157Z", "2022-05-04T18:54:40.208Z", 1, false},
		{"2019-09-13-16:48:27.198Z", "2019-09-13T16:48:27.198Z", 1, false},
		{"2019-09-13T16:49:40.500", "2019-09-13T16:49:40.500Z", 1, true},
		{"2021-01-07 16:00:27", "2021-01-07T16:00:27.000Z", 1000, true},
		{"2021-01-07 16:00:27+01:00", "2021-01-07T15:00:27.000Z", 1000, false},
		{"2021-01-07t16:00:27,5-0530", "2021-01-07T21:30:27.500Z", 1, false},
		{"2021-01-07T16:00:27+01", "2021-01-07T15:00:27.000Z", 1000, false},
		{"2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z", 1000, false},
		{"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z", 1000, false},
		{"0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", 1000, false},

		{text: ""},
		{text: "2024-02-20"},
		{text: "2024-02-20T16:41"},
		{text: "2024-02-30T00:00:00Z"},
		{text: "2023-02-29T00:00:00Z"},
		{text: "2024-13-01T00:00:00Z"},
		{text: "2024-00-01T00:00:00Z"},
		{text: "2024-01-00T00:00:00Z"},
		{text: "2024-01-01T24:00:00Z"},
		{text: "2024-01-01T00:60:00Z"},
		{text: "2024-01-01T00:00:61Z"},
		{text: "2024-01-01T00:00:00."},
		{text: "2024-01-01T00:00:00.1234567890123Z"},
		{text: "2024-01-01T00:00:00ZZ"},
		{text: "2024-01-01T00:00:00 UTC"},
		{text: "2024-01-01T00:00:00+1"},
		{text: "2024-01-01T00:00:00+19:00"},
		{text: "2024-01-01T00:00:00+01:60"},
		{text: "2024-01-01T00:00:00+01:x0"},
		{text: "20x4-01-01T00:00:00Z"},
		{text: "2024/01/01T00:00:00Z"},
		{text: "2024-01-01_00:00:00Z"},
		{text: "1708447297088"},
	} {
		m, ok := parseMoment([]byte(tt.text))
		if ok != (tt.want != "") {
			t.Errorf("%q: read %v", tt.text, ok)
			continue
		}
		if ok && (clockText(m.ms) != tt.want || m.precision != tt.precision || m.zoneless != tt.zoneless) {
			t.Errorf("%q: %s ±%d, zoneless %v", tt.text, clockText(m.ms), m.precision, m.zoneless)
		}
	}
}

// TestParseMomentAgrees compares with package time on whatever it writes.
func TestParseMomentAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := time.FixedZone("", 60*rapid.IntRange(-14*60, 14*60).Draw(t, "zone minutes"))
		want := time.UnixMilli(rapid.Int64Range(firstInstant, endOfTime).Draw(t, "ms")).In(zone)
		text := want.Format("2006-01-02T15:04:05.000Z07:00")
		if m, ok := parseMoment([]byte(text)); !ok || m.ms != want.UnixMilli() || m.zoneless {
			t.Fatalf("%s: %+v %v", text, m, ok)
		}
	})
}

func TestEpoch(t *testing.T) {
	for _, tt := range []struct {
		json      string
		want      int64 // 0: cannot be read, or cannot be
		precision int32
	}{
		{`1773136805123`, 1_773_136_805_123, 1},
		{`"1773136805123"`, 1_773_136_805_123, 1},
		{`1.773136805123e12`, 1_773_136_805_123, 1},
		{`1773136805123.75`, 1_773_136_805_123, 1},
		{`1773136805`, 1_773_136_805_000, 1000},
		{`"1773136805"`, 1_773_136_805_000, 1000},
		{`1773136805.0`, 1_773_136_805_000, 1000},
		{`1773136805.123`, 1_773_136_805_123, 1},
		{`"1773136805.123"`, 1_773_136_805_123, 1},
		{`1773136805.123456789`, 1_773_136_805_123, 1},
		{`1.773136805123e9`, 1_773_136_805_123, 1},
		{`1.773136805123E+09`, 1_773_136_805_123, 1},
		{`1773136805.0999999`, 1_773_136_805_100, 1}, // 1773136805.1 as a float64

		{`946684800000`, 946_684_800_000, 1}, // 2000 in milliseconds
		{`4102444799999`, 4_102_444_799_999, 1},
		{`946684800`, 946_684_800_000, 1000}, // and in seconds
		{`4102444799`, 4_102_444_799_000, 1000},
		{`4102444799.9994`, 4_102_444_799_999, 1},
		{`946684799`, 0, 0},
		{`946684799.5`, 0, 0},
		{`4102444800`, 0, 0},
		{`4102444800.5`, 0, 0},
		{`946684799999`, 0, 0},
		{`4102444800000`, 0, 0},
		{`4102444800000.5`, 0, 0},
		{`1773136805123456`, 0, 0}, // microseconds
		{`20260310`, 0, 0},
		{`20260310100005`, 0, 0},
		{`0`, 0, 0},
		{`-1773136805`, 0, 0},
		{`-1773136805.5`, 0, 0},
		{`1e300`, 0, 0},
		{`1.5e999`, 0, 0},
		{`"1.5x"`, 0, 0},
		{`"Inf"`, 0, 0},
		{`"NaN"`, 0, 0},
		{`"0x1.a6bp30"`, 0, 0},
		{`" 1773136805.5"`, 0, 0},
		{`""`, 0, 0},
		{`true`, 0, 0},
		{`[1773136805]`, 0, 0},
	} {
		var doc document
		if rejected := doc.parse([]byte(tt.json)); rejected != nil {
			t.Fatal(rejected)
		}
		m, ok := doc.root().moment()
		if want := (moment{ms: tt.want, precision: tt.precision}); ok != (tt.want != 0) || ok && m != want {
			t.Errorf("%s: %+v %v, want %+v", tt.json, m, ok, want)
		}
		if e, ok := doc.root().epoch(); ok && plausible(e.ms) != (tt.want != 0) {
			t.Errorf("%s: as a number %+v", tt.json, e)
		}
	}
}

// Whatever writes an instant as a number, to the millisecond, means that instant.
func TestEpochInEveryForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Int64Range(firstInstant, endOfTime-1).Draw(t, "ms")
		n := float64(want)
		if rapid.Bool().Draw(t, "seconds") {
			n /= 1000
		}
		text := strconv.FormatFloat(n, rapid.SampledFrom([]byte("efgEG")).Draw(t, "form"), -1, 64)
		if rapid.Bool().Draw(t, "quoted") {
			text = strconv.Quote(text)
		}
		var doc document
		if rejected := doc.parse([]byte(text)); rejected != nil {
			t.Fatal(rejected)
		}
		if m, ok := doc.root().moment(); !ok || m.ms != want || m.zoneless {
			t.Fatalf("%s: %+v %v, want %d", text, m, ok, want)
		}
	})
}

func TestPeriod(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int64 // -1: cannot be read
	}{
		{"PT20.056S", 20_056},
		{"PT13.67S", 13_670},
		{"PT2M", 120_000},
		{"PT1H2M3S", 3_723_000},
		{"P1DT1S", 86_401_000},
		{"PT5.045329368S", 5_045},
		{"PT0S", 0},
		{"PT0.001S", 1},
		{"", -1},
		{"P", -1},
		{"PT", -1},
		{"PTS", -1},
		{"PT1", -1},
		{"PT1X", -1},
		{"P1S", -1},
		{"PT1D", -1},
		{"PT-1S", -1},
		{"PT1.2.3S", -1},
		{"PT.5S", -1},
		{"20.056", -1},
		{"PT99999999999S", -1},
		{"PT99999999999999999999999999S", -1},
	} {
		var doc document
		if rejected := doc.parse(encoded(t, tt.text)); rejected != nil {
			t.Fatal(rejected)
		}
		want := call.Some(tt.want)
		if tt.want < 0 {
			want = call.Int{}
		}
		if got := doc.root().period(); got != want {
			t.Errorf("%q: %+v, want %+v", tt.text, got, want)
		}
	}
}

func TestInteger(t *testing.T) {
	for _, tt := range []struct {
		json string
		want int64
		ok   bool
	}{
		{`9`, 9, true},
		{`"9"`, 9, true},
		{`-3`, -3, true},
		{`9.0`, 9, true},
		{`1.515859261381e12`, 1_515_859_261_381, true},
		{`18382049000`, 18_382_049_000, true},
		{`9223372036854775808`, math.MaxInt64, true},
		{`1e300`, math.MaxInt64, true},
		{`-1e300`, math.MinInt64, true},
		{`9.5`, 0, false},
		{`"9.0"`, 9, true},
		{`"1e3"`, 1000, true},
		{`"-3.0"`, -3, true},
		{`3.6e1`, 36, true},
		{`"360E-1"`, 36, true},
		{`0.0`, 0, true},
		{`9007199254740993.0`, 9_007_199_254_740_993, true}, // no float64 has it
		{`"9.5"`, 0, false},
		{`"1e"`, 0, false},
		{`"9."`, 0, false},
		{`".9"`, 0, false},
		{`"-"`, 0, false},
		{`"--9"`, 0, false},
		{`"1e-2147483649"`, 0, false},
		{`"1e99999999999999999999"`, 0, false},
		{`"1e2_0"`, 0, false},
		{`"Inf"`, 0, false},
		{`"0x1p4"`, 0, false},
		{`""`, 0, false},
		{`" 9"`, 0, false},
		{`"0x9"`, 0, false},
		{`true`, 0, false},
		{`null`, 0, false},
		{`[9]`, 0, false},
	} {
		var doc document
		if rejected := doc.parse([]byte(tt.json)); rejected != nil {
			t.Fatal(rejected)
		}
		if got, ok := doc.root().integer(); ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: %d %v", tt.json, got, ok)
		}
	}
}

// However a whole number is written, it is read as what it is.
func TestIntegerInEveryForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(-1<<53, 1<<53).Draw(t, "n")
		form := rapid.SampledFrom([]byte("efgEG")).Draw(t, "form")
		text := strconv.FormatFloat(float64(n), form, -1, 64)
		if rapid.Bool().Draw(t, "quoted") {
			text = strconv.Quote(text)
		}
		var doc document
		if rejected := doc.parse([]byte(text)); rejected != nil {
			t.Fatal(rejected)
		}
		if got, ok := doc.root().integer(); got != n || !ok {
			t.Fatalf("%s: %d %v, want %d", text, got, ok, n)
		}
	})
}
