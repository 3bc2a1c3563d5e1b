package schemas

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"callstitch/processor/call"
)

// random draws a value of a subject. Any field may be empty; strings may hold
// anything, invalid UTF-8 too. Attributes are sorted and their keys unique, as
// decoders make them, and no more than attributesMax.
func random(t *rapid.T, s Subject, attributesMax int) call.Output {
	value := s.empty()
	v := reflect.ValueOf(value).Elem()
	fill(t, v)
	if r, ok := value.(*call.EventRecord); ok && r.Event == nil {
		r.Event = new(call.Event)
	}
	if f := v.FieldByName("Attributes"); f.IsValid() {
		attributes := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) call.Attribute {
			return call.Attribute{Key: rapid.String().Draw(t, "key"), Value: text().Draw(t, "value")}
		}), 0, attributesMax, func(a call.Attribute) string { return a.Key }).Draw(t, "attributes")
		slices.SortFunc(attributes, func(a, b call.Attribute) int { return cmp.Compare(a.Key, b.Key) })
		f.Set(reflect.ValueOf(attributes))
	}
	return value
}

// milliseconds are the instants that every Avro library holds in its time type.
const milliseconds = 1 << 45

func fill(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "present") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 4).Draw(t, "elements")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(rapid.Byte().Draw(t, "byte")))
		}
	case reflect.String:
		v.SetString(text().Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int32:
		v.SetInt(int64(rapid.Int32().Draw(t, "int32")))
	case reflect.Int64:
		v.SetInt(rapid.Int64Range(-milliseconds, milliseconds).Draw(t, "int64"))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.IntRange(0, words(v.Type())-1).Draw(t, "word")))
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(rapid.Uint32().Draw(t, "uint")))
	default:
		t.Fatalf("no way to draw a %s", v.Type())
	}
}

func text() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.Just(""), rapid.String(), rapid.StringN(60, 90, -1),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 12), func(b []byte) string { return string(b) }),
	)
}

// words is the number of words that a vocabulary type has: String panics at
// the first number beyond.
func words(t reflect.Type) (n int) {
	v := reflect.New(t).Elem()
	stringer, ok := v.Addr().Interface().(interface{ String() string })
	if !ok {
		return 1
	}
	defer func() { _ = recover() }()
	for ; ; n++ {
		v.SetUint(uint64(n))
		_ = stringer.String()
	}
}

func TestWords(t *testing.T) {
	if got, want := words(reflect.TypeFor[call.Direction]()), len(call.Vocabulary()["direction"]); got != want {
		t.Fatalf("counted %d words of direction, want %d", got, want)
	}
}

// eachSubject runs a test for every kind of record.
func eachSubject(t *testing.T, test func(*testing.T, Subject)) {
	for _, s := range Subjects() {
		t.Run("record="+strings.TrimPrefix(s.String(), "Call"), func(t *testing.T) { test(t, s) })
	}
}
