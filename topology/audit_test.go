package topology

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"callstitch/processor/codec"
	"callstitch/processor/stitch"
)

func answer(task int32, offset int64) Answer {
	return Answer{Source: part(0), Task: task, Offset: offset, Totals: Totals{Read: offset}, Counts: Counts{Accepted: 1}}
}

// anew is an answer for a topic that was made anew when so much had been read.
func anew(task int32, offset, before int64) Answer {
	a := answer(task, offset)
	a.Totals.Read += before
	return a
}

func TestBookCloses(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []Answer
		want    []int64 // offsets of the pages that close
	}{
		{"all answer", []Answer{answer(0, 5), answer(1, 5), answer(2, 5)}, []int64{5}},
		{"one is missing", []Answer{answer(0, 5), answer(1, 5)}, nil},
		{"one answers twice", []Answer{answer(0, 5), answer(0, 5), answer(1, 5)}, nil},
		{"target outlives the latest", []Answer{
			answer(0, 5), answer(0, 6), answer(0, 7), answer(1, 5), answer(1, 6), answer(2, 5),
		}, []int64{5}},
		{"the latest becomes the target", []Answer{
			answer(0, 5), answer(1, 5), answer(0, 7), answer(2, 5), answer(1, 7), answer(2, 7),
		}, []int64{5, 7}},
		{"the latest overtakes", []Answer{
			answer(0, 5), answer(1, 5), answer(0, 7), answer(1, 7), answer(2, 7), answer(2, 5),
		}, []int64{7}},
		{"a task passed over the target", []Answer{
			answer(0, 5), answer(1, 6), answer(1, 7), answer(2, 6), answer(0, 7), answer(2, 7),
		}, []int64{7}},
		{"closed already", []Answer{
			answer(0, 5), answer(1, 5), answer(2, 5), answer(0, 5), answer(1, 5), answer(2, 5), answer(0, 4),
		}, []int64{5}},
		{"the topic is made anew", []Answer{
			answer(0, 5), answer(1, 5), answer(0, 8), answer(2, 5), answer(1, 8),
			anew(0, 2, 8), anew(1, 2, 8), answer(2, 8), anew(2, 2, 8), anew(0, 4, 8), anew(1, 4, 8), anew(2, 4, 8),
		}, []int64{5, 8, 2, 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b book
			var got []int64
			for _, a := range c.answers {
				if p := b.answer(a, 3); p != nil {
					got = append(got, p.offset)
					if p.counts.Accepted != 3 || p.totals.Read < p.offset {
						t.Errorf("page %+v does not hold the sum of three answers", *p)
					}
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("closed %v, want %v", got, c.want)
			}
		})
	}
}

// TestBookOfTheFirstVersion goes on with a book that has the offset of its last closing.
func TestBookOfTheFirstVersion(t *testing.T) {
	late := Answer{Source: part(0), Offset: 105, Totals: Totals{Read: 5}} // it began at 100
	for name, c := range map[string]struct {
		a   Answer
		has bool
	}{
		"what was closed":         {late, true},
		"more":                    {Answer{Offset: 106, Totals: Totals{Read: 6}}, false},
		"of a topic made anew":    {Answer{Offset: 3, Totals: Totals{Read: 108}}, false},
		"of a topic made anew, 2": {Answer{Offset: 300, Totals: Totals{Read: 8}}, false},
	} {
		if got := (&book{closed: 105}).has(c.a); got != c.has {
			t.Errorf("%s: %v", name, got)
		}
	}
	account := account{answer: late}
	if account.progress(Progress{Offset: 3, Totals: Totals{Read: 6}}, 0); len(account.due) != 1 {
		t.Error("there is no answer where another topic begins at an earlier offset")
	}
}

// Whatever answers get lost, a book goes on to close once tasks answer the same
// offsets again, and it always closes the last offset.
func TestBookRecovers(t *testing.T) {
	const tasks = 4
	rapid.Check(t, func(t *rapid.T) {
		var b book
		last := int64(rapid.IntRange(1, 12).Draw(t, "last"))
		var streams [tasks][]int64
		for task := range streams {
			for offset := int64(1); offset < last; offset++ {
				if rapid.IntRange(0, 2).Draw(t, "lost") > 0 {
					streams[task] = append(streams[task], offset)
				}
			}
			streams[task] = append(streams[task], last)
		}
		closed := int64(0)
		for left := tasks; left > 0; {
			task := rapid.IntRange(0, tasks-1).Draw(t, "task")
			if len(streams[task]) == 0 {
				continue
			}
			if p := b.answer(answer(int32(task), streams[task][0]), tasks); p != nil {
				if p.offset <= closed {
					t.Fatalf("closed %d after %d", p.offset, closed)
				}
				closed = p.offset
			}
			if streams[task] = streams[task][1:]; len(streams[task]) == 0 {
				left--
			}
		}
		if closed != last {
			t.Fatalf("closed %d, want %d", closed, last)
		}
	})
}

// Under steady progress a book closes although the latest offset is always
// ahead of the slowest task, and although an answer was lost.
func TestBookClosesUnderTraffic(t *testing.T) {
	var b book
	closed := 0
	for offset := int64(1); offset < 100; offset++ {
		if b.answer(answer(0, offset), 2) != nil {
			closed++
		}
		if offset > 6 && b.answer(answer(1, offset-5), 2) != nil {
			closed++
		}
	}
	if closed < 10 {
		t.Errorf("closed %d times in 99 offsets", closed)
	}
}

func TestAccount(t *testing.T) {
	var a account
	for _, o := range []stitch.Outcome{stitch.Accepted, stitch.Accepted, stitch.Duplicate, stitch.Conflicting, stitch.Late} {
		a.count(o)
	}
	tell := func(offset int64) {
		a.progress(Progress{Source: part(0), Offset: offset, Totals: Totals{Read: offset}}, 2)
	}
	tell(4)
	tell(4)
	a.count(stitch.Accepted)
	if len(a.due) != 1 || a.due[0].Counts != (Counts{2, 1, 1, 1}) || a.due[0].Task != 2 {
		t.Errorf("answers %+v", a.due)
	}
	for offset := int64(5); offset < 20; offset++ {
		tell(offset)
	}
	if len(a.due) != answersMax || a.due[answersMax-1].Offset != 19 || a.due[0].Offset != 4 {
		t.Errorf("answers %+v: want the oldest and the newest of them", a.due)
	}

	// Another owner begins with the latest answer, which may not have been sent.
	var next account
	if err := codec.Read(codec.Append(nil, &a), &next); err != nil {
		t.Fatal(err)
	}
	next.restored()
	if d := cmp.Diff([]Answer{a.answer}, next.due); d != "" || next.counts != a.counts {
		t.Errorf("taken up with %+v: %s", next.counts, d)
	}
}

func TestBookBinary(t *testing.T) {
	var b book
	for _, a := range []Answer{answer(0, 1), answer(1, 1), answer(0, 2), answer(0, 3), answer(1, 2)} {
		b.answer(a, 2)
	}
	var got book
	if err := codec.Read(codec.Append(nil, &b), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(b, got, cmp.AllowUnexported(book{}, page{})); d != "" {
		t.Error(d)
	}
}
