package stitch

import (
	"errors"
	"testing"

	"callstitch/processor/call"
	"callstitch/processor/codec"
	"callstitch/processor/leg"
)

// A child's pointer leads to a smaller node. One that does not is damage: followed, it
// would lead round for ever.
func TestPointersLeadDown(t *testing.T) {
	small, id, large := call.LegNode(call.LegID{1}), call.LegNode(call.LegID{2}), call.LegNode(call.LegID{3})
	for _, test := range []struct {
		name string
		up   call.NodeID
		want error
	}{{"smaller", small, nil}, {"itself", id, codec.ErrCorrupt}, {"larger", large, codec.ErrCorrupt}} {
		form := codec.Append(nil, &node{id: id, up: test.up})
		if err := codec.Read(form, &node{id: id}); !errors.Is(err, test.want) {
			t.Errorf("a pointer to %s node: %v, want %v", test.name, err, test.want)
		}
	}
}

// What a root knows of a member changes by a newer version only. A copy is told as no
// change, so that it costs no writing.
func TestMemberVersions(t *testing.T) {
	id := call.LegID{1}
	version := func(v int64) member { return member{id: id, v: v, fold: fold{leg: &leg.Leg{ID: id, Events: int32(v)}}} }
	var s memberSet
	for _, step := range []struct {
		put     int64
		changed bool
		now     int32
	}{{2, true, 2}, {2, false, 2}, {1, false, 2}, {3, true, 3}} {
		if changed := s.put(version(step.put)); changed != step.changed || s.all[0].leg.Events != step.now || s.count != 1 {
			t.Errorf("version %d put: changed %t, holds version %d of %d members; want %t, %d of 1",
				step.put, changed, s.all[0].leg.Events, s.count, step.changed, step.now)
		}
	}
}

// A member's row may be newer though its leg is not, and the newer one stays.
func TestMemberRows(t *testing.T) {
	id := call.LegID{1}
	l := &leg.Leg{ID: id}
	var s memberSet
	for _, step := range []struct{ put, want int32 }{{1, 1}, {3, 3}, {2, 3}} {
		s.put(member{id: id, v: 1, fold: fold{leg: l}, row: rowMark{revision: step.put}})
		if got := s.all[0].row.revision; got != step.want {
			t.Errorf("after row revision %d the set holds %d, want %d", step.put, got, step.want)
		}
	}
}
