package session

import (
	"reflect"
	"slices"
	"testing"

	"callstitch/processor/call"
)

func TestTheFingerprintCoversTheCanonicalForm(t *testing.T) {
	s := session(t, true, append(unansweredCaller(true), answeredDial()...)...)
	s.Transfers = []call.Transfer{{At: 1}}
	s.Attributes = []call.Attribute{{Key: "k", Value: "v"}}
	s.CorrelationMethods = []call.LinkKind{call.LinkTag}
	checkFingerprint(t, s, Fingerprint, notCanonical)
}

func TestTheRowFingerprintCoversTheCanonicalForm(t *testing.T) {
	b := newLegBook()
	for _, e := range answeredDial() {
		b.take(e)
	}
	s := Compose(call.LegID{1}, b.all(), 0, true)
	r := Row(s, b.legs[call.NewLegID("default", call.Opentact, "", "B")], true)
	r.Attributes = []call.Attribute{{Key: "k", Value: "v"}}
	checkFingerprint(t, r, RowFingerprint, notCanonical)
}

// notCanonical are the fields that tell how a record came to be, or that the
// node sets after it compared fingerprints.
var notCanonical = []string{
	"State", "Revision", "Generation", "ChangeReason", "Amended", "SupersededBy", "MergedSessionIDs", "EmittedAt",
	"DuplicateCount", "LateEventCount", "OutOfOrderCount", "FirstSource", "LastSource",
}

// checkFingerprint changes every field of a record in turn, those of lists in
// their first element, and sees whether the fingerprint follows.
func checkFingerprint[T any](t *testing.T, record *T, print func(*T) uint64, except []string) {
	t.Helper()
	var visit func(name string, v reflect.Value)
	visit = func(name string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				visit(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
			return
		case reflect.Slice:
			if v.Len() == 0 {
				t.Errorf("%s is empty in the sample, so it is not tested", name)
				return
			}
			visit(name+"[0]", v.Index(0))
			return
		}
		before, old := print(record), reflect.New(v.Type()).Elem()
		old.Set(v)
		change(v)
		if print(record) == before {
			t.Errorf("%s: the fingerprint does not change with it", name)
		}
		v.Set(old)
	}
	v := reflect.ValueOf(record).Elem()
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; !slices.Contains(except, name) {
			visit(name, v.Field(i))
		}
	}
}

// change makes a value another one. Flags change in a bit that is canonical.
func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Pointer:
		v.Set(reflect.ValueOf(&call.LegID{9}))
	case reflect.Array:
		v.Index(0).SetUint(v.Index(0).Uint() ^ 1)
	case reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	default:
		v.SetUint(v.Uint() ^ 1)
	}
}

func TestTheFingerprintIgnoresHowTheRecordCameToBe(t *testing.T) {
	s := session(t, true, answeredDial()...)
	want := Fingerprint(s)
	s.Revision, s.Generation, s.Amended, s.State, s.DuplicateCount, s.LateEventCount = 9, 9, true, call.StateFinal, 9, 9
	s.Flags |= call.FlagLateEvents | call.FlagOutOfOrder
	s.FirstSource, s.EmittedAt = nil, 9
	if Fingerprint(s) != want {
		t.Error("the fingerprint follows the facts of delivery")
	}
}

// The value is stored, so it may not change from one build to the next.
func TestTheFingerprintIsStable(t *testing.T) {
	const want = 0x7ccf90664d732cd5
	if got := Fingerprint(session(t, true, answeredDial()...)); got != want {
		t.Errorf("%#x, want %#x: a change makes every stored session publish once more", got, uint64(want))
	}
}

func BenchmarkFingerprint(b *testing.B) {
	book := newLegBook()
	for _, e := range answeredDial() {
		book.take(e)
	}
	s := Compose(call.LegID{1}, book.all(), 0, true)
	b.ReportAllocs()
	for b.Loop() {
		Fingerprint(s)
	}
}
