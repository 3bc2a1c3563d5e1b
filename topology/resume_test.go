package topology

import (
	"errors"
	"strings"
	"testing"

	"callstitch/processor/codec"
)

// What a task takes up from its store must be its own, and fit the exchange as it is
// today: anything else would lose or mix up what is counted.
func TestResumeRefusesWhatIsNotItsOwn(t *testing.T) {
	clocksOf := func(tasks int32) []byte {
		c := newClocks(tasks)
		return codec.Append(nil, &c)
	}
	accountOf := func(task int32) []byte { return codec.Append(nil, &account{answer: answer(task, 5)}) }
	bookOf := func(target, latest page) []byte { return codec.Append(nil, &book{target: target, latest: latest}) }
	position := func(n ...int64) []byte {
		c := codec.NewWriter(nil)
		for i := range n {
			c.Int64(&n[i])
		}
		return c.Buf
	}
	accounts, books := sourceKey(accountKey, part(0)), sourceKey(bookKey, part(0))
	for name, test := range map[string]struct {
		key, value []byte
		want       error  // nil: whatever says it
		says       string // part of the message; empty: it is taken up
	}{
		"clocks":                     {[]byte{clocksKey}, clocksOf(2), nil, ""},
		"clocks of fewer tasks":      {[]byte{clocksKey}, clocksOf(1), nil, "clocks of 1 stitch tasks, where the exchange has 2 partitions"},
		"clocks of more tasks":       {[]byte{clocksKey}, clocksOf(3), nil, "clocks of 3 stitch tasks, where the exchange has 2 partitions"},
		"clocks and more":            {[]byte{clocksKey}, append(clocksOf(2), 0), codec.ErrCorrupt, "the clocks"},
		"an account":                 {accounts, accountOf(1), nil, ""},
		"an account without answer":  {accounts, codec.Append(nil, &account{}), nil, ""},
		"the account of task 0":      {accounts, accountOf(0), codec.ErrCorrupt, "the account of " + part(0).String()},
		"the account of task 2":      {accounts, accountOf(2), codec.ErrCorrupt, "the account of " + part(0).String()},
		"a book":                     {books, bookOf(newPage(answer(0, 5), 2), page{}), nil, ""},
		"an empty book":              {books, bookOf(page{}, page{}), nil, ""},
		"a target of fewer tasks":    {books, bookOf(newPage(answer(0, 5), 1), page{}), codec.ErrCorrupt, "the book of " + part(0).String()},
		"a latest page of more":      {books, bookOf(newPage(answer(0, 5), 2), newPage(answer(0, 6), 3)), codec.ErrCorrupt, "the book of " + part(0).String()},
		"a page that nobody answers": {books, bookOf(page{offset: 5}, page{}), codec.ErrCorrupt, "the book of " + part(0).String()},
		"a position":                 {[]byte{positionKey}, position(7, 8), nil, ""},
		"half a position":            {[]byte{positionKey}, position(7), codec.ErrCorrupt, "the position"},
		"a position and more":        {[]byte{positionKey}, position(7, 8, 9), codec.ErrCorrupt, "the position"},
		"the key of an account, cut": {accounts[:4], accountOf(1), codec.ErrCorrupt, "the key of an account or book"},
		"the key of a book, cut":     {books[:4], bookOf(page{}, page{}), codec.ErrCorrupt, "the key of an account or book"},
		"a key of another kind":      {[]byte{'Z'}, nil, codec.ErrNewerState, `a key of kind 'Z'`},
		"an empty key":               {nil, nil, codec.ErrCorrupt, "an empty key"},
	} {
		t.Run(name, func(t *testing.T) {
			task := NewStitchTask(stitchConfig, 1, map[string]int32{"call.raw": 1})
			value := test.value
			if value == nil {
				value = []byte{1}
			}
			task.Load(test.key, value)
			err := task.Restored(nil)
			switch {
			case test.says == "":
				if err != nil {
					t.Error(err)
				}
			case err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "stitch task 1"):
				t.Errorf("%v: want it to say %q of stitch task 1", err, test.says)
			case test.want != nil && !errors.Is(err, test.want):
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

// A task that has counted and answered says the same after it was taken up.
func TestResumeTakesUpWhatWasCounted(t *testing.T) {
	f := newFeed(t)
	f.put(linked(0))
	f.tick(Tick{Progress: []Progress{{Source: part(0), Time: 500, Offset: 4, Totals: Totals{Read: 4}}}})
	f.commit()
	next := f.restored(nil)
	if got := next.task.Counts(); got != f.task.Counts() || got.Accepted != 1 {
		t.Errorf("counts %+v, want %+v", got, f.task.Counts())
	}
	if answers := next.task.Answers(); len(answers) != 1 || answers[0].Offset != 4 || answers[0].Task != 0 {
		t.Errorf("answers %+v: want the latest once more", answers)
	}
	if got := next.task.Position(); got != 2 {
		t.Errorf("position %d, want 2", got)
	}
}
