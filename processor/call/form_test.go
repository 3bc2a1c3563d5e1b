package call

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"callstitch/processor/codec"
)

// fill sets every field of v that a binary form carries to something random.
func fill(rng *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(rng, v.Field(i))
		}
	case reflect.Pointer:
		if rng.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(rng, v.Elem())
		}
	case reflect.Slice:
		n := rng.IntN(4)
		if n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range n {
			fill(rng, v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(rng, v.Index(i))
		}
	case reflect.String:
		b := make([]byte, rng.IntN(20))
		for i := range b {
			b[i] = byte('a' + rng.IntN(26))
		}
		v.SetString(string(b))
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case reflect.Int32, reflect.Int64:
		n := rng.Int64() >> rng.IntN(64)
		if rng.IntN(20) == 0 {
			n = math.MinInt64
		}
		v.SetInt(n)
	case reflect.Uint8:
		v.SetUint(uint64(1 + rng.IntN(2))) // a word of every vocabulary
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(rng.Uint64() >> 40)
	}
}

func randomEvent(rng *rand.Rand) *Event {
	e := new(Event)
	fill(rng, reflect.ValueOf(e).Elem())
	for _, i := range []*Instant{&e.Time, &e.Started, &e.Ringing, &e.Answered, &e.Ended} {
		if rng.IntN(3) == 0 {
			*i = Instant{}
		}
	}
	for _, i := range []*Int{&e.ProviderDuration, &e.ProviderTalk, &e.Recording.DurationMS, &e.Recording.Channels} {
		if !i.Known {
			i.N = 0
		}
	}
	if e.Recording.ID == "" {
		e.Recording = RecordingFact{}
	}
	e.Leg = NewLegID(e.Tenant, e.Provider, e.Scope, e.CallID)
	return e
}

// TestEventBinary holds that an event comes back from its binary form as it
// was, that no cut or changed byte makes the reader panic, and that a later form is
// told from a damaged one.
func TestEventForm(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2_000 {
		want := randomEvent(rng)
		form := codec.Append(nil, want)
		got := new(Event)
		if err := codec.Read(form, got); err != nil {
			t.Fatalf("%+v: %v", want, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
		if !bytes.Equal(codec.Append(nil, got), form) {
			t.Fatal("the form of what was read differs")
		}
		if err := codec.Read(form[:rng.IntN(len(form))], new(Event)); !errors.Is(err, codec.ErrCorrupt) {
			t.Fatalf("a form that was cut short: %v", err)
		}
		form[rng.IntN(len(form))] ^= byte(1 << rng.IntN(8))
		_ = codec.Read(form, new(Event))
		form[0] = eventForm + 1
		if err := codec.Read(form, new(Event)); !errors.Is(err, codec.ErrNewerState) {
			t.Fatalf("a later form: %v", err)
		}
	}
}

func BenchmarkEventForm(b *testing.B) {
	e := randomEvent(rand.New(rand.NewPCG(1, 2)))
	form := codec.Append(nil, e)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			form = codec.Append(form[:0], e)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := codec.Read(form, new(Event)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
