package call

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// Snapshots of one leg join the same way in any order and however often.
func TestJoinOfSnapshots(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func() (s LegSnapshot) {
		v := reflect.ValueOf(&s).Elem()
		for i := range v.NumField() {
			if rng.IntN(3) > 0 { // the rest is not known
				fill(rng, v.Field(i))
			}
		}
		for _, p := range []*Party{&s.From, &s.To} {
			if p.Raw == "" {
				*p = Party{}
			}
		}
		for _, i := range []*Instant{&s.Started, &s.Ringing, &s.Answered, &s.Ended, &s.Alive} {
			if i.At <= 0 {
				*i = Instant{}
			}
		}
		return s
	}
	for range 10_000 {
		a, b, c := random(), random(), random()
		ab := a.Join(b)
		switch {
		case ab != b.Join(a):
			t.Fatalf("%+v and %+v: their order matters", a, b)
		case ab.Join(c) != a.Join(b.Join(c)):
			t.Fatalf("%+v, %+v and %+v: their grouping matters", a, b, c)
		case ab.Join(a) != ab:
			t.Fatalf("%+v and %+v: repetition matters", a, b)
		case a.Join(LegSnapshot{}) != a:
			t.Fatalf("%+v: nothing matters", a)
		}
	}
}

func TestTheEndingThatTellsMoreIsJoined(t *testing.T) {
	busy := Ending{HangupCause: CauseBusy, Q850: Code{17, CodeReported}}
	for _, other := range []Ending{{}, {HangupCause: CauseUnknown}, {HangupCause: CauseNormal}} {
		a, b := LegSnapshot{Ending: busy}, LegSnapshot{Ending: other}
		if got := a.Join(b).Ending; got != busy {
			t.Errorf("joined with %+v: %+v", other, got)
		}
		if got := b.Join(a).Ending; got != busy {
			t.Errorf("%+v joined with it: %+v", other, got)
		}
	}
}
