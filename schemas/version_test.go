package schemas

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"callstitch/processor/call"
)

// The generation is that of the session, whatever else is in it.
func TestGenerationOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := random(t, Sessions, 4).(*call.Session)
		s.Generation = rapid.Int32Min(0).Draw(t, "generation")
		s.Revision = rapid.Int32Min(1).Draw(t, "revision")
		avro, err := AppendAvro(nil, s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := GenerationOf(avro); err != nil || got != s.Generation {
			t.Fatalf("generation %d, %v; want %d", got, err, s.Generation)
		}
	})
}

// Values of released versions have it at the same place.
func TestGenerationOfGolden(t *testing.T) {
	got, err := GenerationOf(read(t, golden(t, Sessions, ".avro")))
	if err != nil || !strings.Contains(string(read(t, golden(t, Sessions, ".json"))), `"generation":`+string('0'+rune(got))+`,`) {
		t.Errorf("generation %d, %v", got, err)
	}
}

// What is no session has no generation, and is no reason to panic.
func TestGenerationOfSomethingElse(t *testing.T) {
	leg, err := AppendAvro(nil, &call.Leg{Generation: 7, Revision: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range [][]byte{nil, {}, {0x80}, []byte(`{"generation":9}`), {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, leg} {
		if g, err := GenerationOf(value); err == nil {
			t.Errorf("%x has generation %d", value, g)
		}
	}
	rapid.Check(t, func(t *rapid.T) { _, _ = GenerationOf(rapid.SliceOf(rapid.Byte()).Draw(t, "value")) })
}
