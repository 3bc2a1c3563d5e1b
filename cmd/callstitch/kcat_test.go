package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"callstitch/processor/call"
	"callstitch/topology"
)

// What simulate writes, process reads.
func TestKcatRoundTrip(t *testing.T) {
	maybe := func(t *rapid.T, label string) []byte {
		if rapid.Bool().Draw(t, label+" is null") {
			return nil
		}
		return []byte(rapid.String().Draw(t, label))
	}
	rapid.Check(t, func(t *rapid.T) {
		want := topology.Record{
			Topic:     rapid.String().Draw(t, "topic"),
			Partition: rapid.Int32Min(0).Draw(t, "partition"),
			Offset:    rapid.Int64Min(0).Draw(t, "offset"),
			Timestamp: rapid.Int64Min(0).Draw(t, "timestamp"),
			Key:       maybe(t, "key"),
			Value:     maybe(t, "value"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			want.Headers = append(want.Headers, call.Header{Key: rapid.String().Draw(t, "name"), Value: maybe(t, "header")})
		}
		got, err := parseKcat(appendKcat(nil, &want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-written +read):\n%s", diff)
		}
	})
}

// Bytes that are no UTF-8 come through as they are, for the decoder to reject.
func TestKcatKeepsBytes(t *testing.T) {
	for in, want := range map[string]string{
		`"plain"`:                 "plain",
		"\"a\xffb\"":              "a\xffb",
		"\"\xc3\\n\xa9\"":         "\xc3\n\xa9",
		`"\"\\\/\b\f\n\r\t"`:      "\"\\/\b\f\n\r\t",
		`"\u00e9\u0000"`:          "é\x00",
		`"\ud83d\ude00"`:          "😀",
		`"\ud83d"`:                "\xed\xa0\xbd",
		`"\ud83d\u0041"`:          "\xed\xa0\xbdA",
		`"\ude00\ud83d"`:          "\xed\xb8\x80\xed\xa0\xbd",
		`{"decoded":["by",1]}`:    `{"decoded":["by",1]}`,
		`12`:                      `12`,
		`"` + "\u2028" + `"`:      "\u2028",
		`"ends in a backslash\\"`: `ends in a backslash\`,
	} {
		r, err := parseKcat([]byte(`{"topic":"t","payload":` + in + `}`))
		if err != nil || string(r.Value) != want {
			t.Errorf("%s: %q, %v; want %q", in, r.Value, err, want)
		}
	}
}

func TestNotKcat(t *testing.T) {
	for _, line := range []string{
		``, `x`, `[]`, `12`, `{}`, `{"topic":"t"}`, `{"payload":"x"`, `{"payload":"x"}{}`, `{"payload":"x"} x`,
		`{"payload":"x","partition":"0"}`, `{"payload":"x","partition":3000000000}`, `{"payload":"x","ts":1.5}`,
		`{"payload":"x","headers":{}}`, `{"payload":"x","headers":["a"]}`, `{"payload":"x","headers":[1,"b"]}`,
	} {
		if r, err := parseKcat([]byte(line)); !errors.Is(err, errNotKcat) {
			t.Errorf("%s: taken as %+v, %v", line, r, err)
		}
	}
}

func TestKcatTimestamps(t *testing.T) {
	r, err := parseKcat([]byte(`{"topic":"t","partition":1,"offset":2,"tstype":"unknown","ts":-1,"key":null,"payload":null,"headers":null}`))
	want := topology.Record{Topic: "t", Partition: 1, Offset: 2}
	if err != nil || cmp.Diff(want, r) != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestLines(t *testing.T) {
	in := newLines(strings.NewReader("a\r\n\n  \t\r\nb b\r\n\r\nlast"))
	var got []string
	for {
		line, number, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(line)+"@"+string(rune('0'+number)))
	}
	if diff := cmp.Diff([]string{"a@0", "b b@3", "last@5"}, got); diff != "" {
		t.Error(diff)
	}
}

// A line beyond the limit costs no more memory than the limit, and the next one
// is whole.
func TestLongLine(t *testing.T) {
	long := io.MultiReader(io.LimitReader(endless('x'), maxLine+maxLine/2), strings.NewReader("\nnext\n"))
	in := newLines(long)
	line, _, err := in.next()
	if err != nil || len(line) != maxLine || cap(in.line) > 2*maxLine {
		t.Fatalf("%d bytes in a buffer of %d, %v", len(line), cap(in.line), err)
	}
	if line, number, err := in.next(); err != nil || string(line) != "next" || number != 1 {
		t.Errorf("%q at %d, %v", line, number, err)
	}
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	copy(p, bytes.Repeat([]byte{byte(e)}, len(p)))
	return len(p), nil
}

func TestReadErrorIsTold(t *testing.T) {
	broken := errors.New("broken pipe")
	in := newLines(io.MultiReader(strings.NewReader("a\nhalf"), failing{broken}))
	if line, _, err := in.next(); err != nil || string(line) != "a" {
		t.Fatalf("%q, %v", line, err)
	}
	if line, _, err := in.next(); !errors.Is(err, broken) {
		t.Errorf("%q, %v", line, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
