package decode

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"callstitch/processor/call"
)

// documents are what a pass over JSON can get wrong; FuzzScan begins with them.
var documents = []string{
	``, ` `, "\n", `null`, ` true `, `false`, `nul`, `nulL`, `tru`, `trux`, `f`, `falsE`, `x`, `,`, `:`, `, `, `,1`, `]`, `}`, `"`, `'a'`, "\x00", "\x0b1",
	`0`, `-0`, `-`, `-x`, `01`, `1.`, `1.x`, `1.5`, `1e`, `1e+`, `1e+x`, `1E-5`, `-1.25e+10`, `1 2`, `1,2`, `1,`, `1 ,`, `1:`, `1]`, `1}`, `1{`, `1[`, `1"`, `1"a`, `1 tru`, `1 01`, `1-`, `1x`,
	`{}`, `{ }`, `{`, `{,`, `{,"a":1}`, `{:`, `{]`, `{]}`, `{1`, `{1:1}`, `{-x`, `{tru}`, `{[`, `{{`, `{"a"`, `{"a"}`, `{"a",`, `{"a":`, `{"a":}`, `{"a":]`, `{"a":,`, `{"a"::1}`, `{"a":1`, `{"a":1x`, `{"a":1]`,
	`{"a":1,`, `{"a":1,}`, `{"a":1,]`, `{"a":1,,`, `{"a":1,1}`, `{"a":1,"b"`, `{"a":1:`, `{"a":1 "b":2}`, `{"a" :1 , "b": 2 } `, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"\u0061":1,"a":2}`, `{"":1,"":2}`, `{"a":{"a":1},"b":{"a":1}}`, `{"a":1,"a`, `{"a":1,"a"`,
	`[]`, `[ ]`, `[`, `[,`, `[,1]`, `[:`, `[}`, `[1`, `[1,`, `[1,]`, `[1,}`, `[1,,`, `[1:`, `[1}`, `[1 2]`, `[1 , 2 ] `, `[[[]]]`, `[[`, `[1]]`, `[]{}`, `[] []`, `{}{`, `[]"`, `[],`, `[], `, `[]:`,
	`"a`, `"a\`, `"\"`, `"\x"`, `"\/\b\f\n\r\t\\\""`, `"\u"`, `"\u1`, `"\u12`, `"\u12x4"`, `"\u123`, `"\u00e9"`, `"\u00E9"`, `"\u0000"`, `"\ud83d\ude00"`, `"\uD83D\uDE00"`, `"\ud83d"`, `"\ud83d`, `"\ud83d\`, `"\ud83d\u`, `"\ud83d\ud`, `"\ud83d\ude`, `"\ud83d\ua`, `"\ud83d\ud8`, `"\ud83d\uda`, `"\ud83d\uDC`, `"\ud83d\ud83d"`, `"\ud83dx`, `"\ud83d\n"`, `"\ude00\ud83d"`, `"\ude00`,
	"\"\x1f\"", "\"a\nb\"", "\"\x7f\"", "\"\xc3\xa9\"", "\"\xc3", "\"\xc3\"", "\"\xe2\x82", "\"\xe2\x82\xac\"", "\"\xf0\x9f\x98\x80\"", "\"\xf0\x9f\x98", "\"\xf5\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", "\"\xff", "\"\xef\xbf\xbd\"", "\"12345678\xff\"", "\"1234567\x01890123456\"",
	"\ufeff{}", "\ufeff", "\ufeff\ufeff1", " \ufeff1", "{}\ufeff",
	`{"type":"a","x":{"type":1},"to":{"number":[1,{"type":"\u0061"}]},"\u0066rom":"+1"}`,
}

// TestScanDocuments does what FuzzScan does where nobody fuzzes, also to what the
// documents begin with: of long ones, to a hundred of their beginnings.
func TestScanDocuments(t *testing.T) {
	all := slices.Clone(documents)
	for _, n := range []int{many - 1, many, many + 1, 3 * many} {
		var members []string
		for i := range n {
			members = append(members, `"n`+strconv.Itoa(i)+`":{"type":[]}`)
		}
		all = append(all, "{"+strings.Join(members, ",")+"}", "{"+strings.Join(members, ",")+`,"type":1}`)
		for _, again := range []int{0, 1, n / 2, n - 1} {
			all = append(all, "{"+strings.Join(members, ",")+`,"\u006e`+strconv.Itoa(again)+`":0}`)
		}
	}
	for _, levels := range []int{MaxDepth - 1, MaxDepth, MaxDepth + 1} {
		all = append(all, strings.Repeat("[", levels)+strings.Repeat("]", levels), strings.Repeat(`{"to":`, levels)+"1"+strings.Repeat("}", levels))
	}
	for _, file := range fixtures(t, "*") {
		all = append(all, string(fixture(t, file)))
	}
	var d document // what came before must not matter
	for _, src := range all {
		for end := 0; end < len(src); end += 1 + len(src)/100 {
			checkScan(t, &d, []byte(src[:end]))
		}
		checkScan(t, &d, []byte(src))
	}
}

// FuzzScan holds the pass to jsontext, on every input: whether it is taken, why not and
// at which byte, and what is in it.
func FuzzScan(f *testing.F) {
	for _, src := range documents {
		f.Add([]byte(src))
	}
	for _, file := range fixtures(f, "*") {
		f.Add(fixture(f, file))
	}
	f.Fuzz(func(t *testing.T, src []byte) { checkScan(t, new(document), src) })
}

func checkScan(t testing.TB, d *document, src []byte) {
	t.Helper()
	got, want := d.parse(src), tokenised(src)
	switch {
	case (got == nil) != (want == nil), got != nil && *got != *want:
		t.Fatalf("%q: %+v, want %+v", src, got, want)
	case got == nil:
		tokens := jsontext.NewDecoder(bytes.NewReader(unmarked(src)))
		checkValue(t, d.root(), tokens)
	}
}

func unmarked(src []byte) []byte {
	for bytes.HasPrefix(src, byteOrderMark) {
		src = src[len(byteOrderMark):]
	}
	return src
}

// tokenised is what jsontext has against src, token by token.
func tokenised(src []byte) *Rejection {
	src = unmarked(src)
	tokens := jsontext.NewDecoder(bytes.NewBuffer(src))
	for end := 0; ; {
		token, err := tokens.ReadToken()
		if err == io.EOF && end > 0 {
			return nil
		}
		if err != nil {
			return malformed(err, end)
		}
		from := end + len(src[end:]) - len(bytes.TrimLeft(src[end:], " \t\r\n,:"))
		begins := token.Kind() == jsontext.KindBeginObject || token.Kind() == jsontext.KindBeginArray
		ends := token.Kind() == jsontext.KindEndObject || token.Kind() == jsontext.KindEndArray
		switch depth := tokens.StackDepth(); {
		case end > 0 && (depth == 0 && !ends || depth == 1 && begins):
			return reject(call.RejectMalformedJSON, "more than one JSON value: the second begins at byte "+strconv.Itoa(from))
		case depth > MaxDepth:
			return reject(call.RejectTooDeep, "nested more than 64 levels at byte "+strconv.Itoa(from))
		}
		end = int(tokens.InputOffset())
	}
}

func malformed(err error, end int) *Rejection {
	what, at := "invalid JSON", int64(end)
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = syntactic.ByteOffset
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		what = "name that its object already has"
	case errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF:
		what = "JSON ends early"
	}
	return reject(call.RejectMalformedJSON, what+" at byte "+strconv.FormatInt(at, 10))
}

// checkValue holds a value to the next one of tokens.
func checkValue(t testing.TB, v value, tokens *jsontext.Decoder) {
	t.Helper()
	want := tokens.PeekKind()
	if byte(v.kind()) != byte(want) {
		t.Fatalf("kind %q, want %q", byte(v.kind()), byte(want))
	}
	held := 0
	switch want {
	case jsontext.KindBeginObject:
		readToken(t, tokens)
		for tokens.PeekKind() != jsontext.KindEndObject {
			name := readToken(t, tokens)
			if !slices.Contains(fields[1:], name) {
				if err := tokens.SkipValue(); err != nil {
					t.Fatal(err)
				}
				continue
			}
			held++
			checkValue(t, v.get(name), tokens)
		}
		readToken(t, tokens)
	case jsontext.KindBeginArray:
		readToken(t, tokens)
		for _, element := range v.elements() {
			held++
			checkValue(t, element, tokens)
		}
		if tokens.PeekKind() != jsontext.KindEndArray {
			t.Fatalf("%s has more than %d elements", v.raw(), held)
		}
		readToken(t, tokens)
	default:
		raw, err := tokens.ReadValue()
		if err != nil || !bytes.Equal(raw, v.raw()) {
			t.Fatalf("%s, want %s: %v", v.raw(), raw, err)
		}
		if text, _ := jsontext.AppendUnquote(nil, raw); want == jsontext.KindString && !bytes.Equal(text, v.bytes()) {
			t.Fatalf("%q, want %q", v.bytes(), text)
		}
	}
	if n := int(v.node.holds.to - v.node.holds.from); n != held {
		t.Fatalf("%s holds %d values, want %d", v.raw(), n, held)
	}
}

func readToken(t testing.TB, tokens *jsontext.Decoder) string {
	t.Helper()
	token, err := tokens.ReadToken()
	if err != nil {
		t.Fatal(err)
	}
	return token.String()
}
