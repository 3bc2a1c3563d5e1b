package rawfile

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"callstitch/processor/call"
	"callstitch/topology"
)

// diffOf compares what is read of records: none of them was decoded.
func diffOf(want, got any) string {
	return cmp.Diff(want, got, cmpopts.IgnoreUnexported(topology.Record{}))
}

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
		got, err := ParseKcat(AppendKcat(nil, &want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := diffOf(want, got); diff != "" {
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
		r, err := ParseKcat([]byte(`{"topic":"t","payload":` + in + `}`))
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
		if r, err := ParseKcat([]byte(line)); !errors.Is(err, errNotKcat) {
			t.Errorf("%s: taken as %+v, %v", line, r, err)
		}
	}
}

// The marks of a file are no part of its first record; those of a payload are.
func TestKcatAfterByteOrderMarks(t *testing.T) {
	r, err := ParseKcat([]byte("\ufeff\ufeff" + `{"topic":"t","payload":"\ufeff{}"}`))
	if err != nil || r.Topic != "t" || string(r.Value) != "\ufeff{}" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestKcatTimestamps(t *testing.T) {
	r, err := ParseKcat([]byte(`{"topic":"t","partition":1,"offset":2,"tstype":"unknown","ts":-1,"key":null,"payload":null,"headers":null}`))
	want := topology.Record{Topic: "t", Partition: 1, Offset: 2}
	if err != nil || diffOf(want, r) != "" {
		t.Errorf("%+v, %v", r, err)
	}
}
