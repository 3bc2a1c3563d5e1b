package rawfile

import (
	"errors"
	"testing"

	"callstitch/processor/call"
	"callstitch/topology"
)

func TestAppendObject(t *testing.T) {
	header := func(key, value string) call.Header { return call.Header{Key: key, Value: []byte(value)} }
	for _, test := range []struct {
		record  topology.Record
		problem error
		want    string
	}{
		{topology.Record{Topic: "t"}, nil, `{"topic":"t","key":null,"headers":{},"value":null}`},
		{topology.Record{Topic: "t", Key: []byte{}, Value: []byte("a\"b")}, nil, `{"topic":"t","key":"","headers":{},"value":"a\"b"}`},
		{topology.Record{Topic: "t", Value: []byte{0xff}}, nil, `{"topic":"t","key":null,"headers":{},"value":{"base64":"/w=="}}`},
		{
			topology.Record{Topic: "t", Headers: []call.Header{header("a", "1"), header("b", "2"), header("a", "3")}},
			errors.New("no schema"), `{"topic":"t","key":null,"headers":{"a":"3","b":"2"},"value":null,"error":"no schema"}`,
		},
	} {
		if got := string(AppendObject(nil, &test.record, test.problem)); got != test.want {
			t.Errorf("\n got %s\nwant %s", got, test.want)
		}
	}
}
