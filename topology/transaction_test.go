package topology

import (
	"testing"

	"callstitch/processor/stitch"
)

// A transaction asks for its own effects only, however the one before it ended, and
// touches only its own tasks.
func TestWorkerBeginsAnew(t *testing.T) {
	for name, end := range map[string]func(w *Worker){
		"committed": func(w *Worker) { w.Commit(func(int) int64 { return 0 }) },
		"aborted":   func(w *Worker) { _ = w.Abort() },
	} {
		w, _, tasks := scripted()
		tasks[0].send = []Envelope{{From: -1}}
		if err := w.Process(Record{Topic: "raw", Offset: 4}); err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(nil); err != nil {
			t.Fatal(err)
		}
		end(w)
		if n := len(w.Effects().Exchange); n != 0 || len(w.Offsets()) != 0 || w.Pending() != 0 {
			t.Errorf("%s: the next transaction begins with %d envelopes, offsets %v", name, n, w.Offsets())
		}
		if err := w.Process(Record{Topic: "raw", Offset: 4}); err != nil {
			t.Fatal(err)
		}
		if len(w.Offsets()) != 1 {
			t.Errorf("%s: the next transaction commits %v, want the offset of what it read", name, w.Offsets())
		}
	}
}

// What is pending is that of all tasks which the transaction has touched.
func TestWorkerPending(t *testing.T) {
	w, _, _ := scripted()
	for _, p := range []TopicPartition{{"raw", 0}, {"app-exchange-repartition", 1}} {
		if err := w.Pass(p, 4); err != nil {
			t.Fatal(err)
		}
	}
	if w.Pending() != 6 {
		t.Errorf("%d bytes are pending, want those of two tasks of 3 each", w.Pending())
	}
}

// A transaction that has touched nothing is open all the same until it ends.
func TestWorkerIsOpenUntilTheEnd(t *testing.T) {
	w, _, _ := scripted()
	if err := w.Finish(nil); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a task was added between Finish and Commit")
		}
	}()
	w.Add(&script{at: TopicPartition{"raw", 1}}, 0)
}

// A task that meets progress faster than it answers never owes more answers than fit,
// and the newest is always among them.
func TestAnswersAreBounded(t *testing.T) {
	var a account
	a.count(stitch.Accepted)
	for offset := int64(1); offset < 20; offset++ {
		a.progress(Progress{Source: part(0), Offset: offset, Totals: Totals{Read: offset}}, 0)
		if n := len(a.due); n > answersMax || a.due[n-1].Offset != offset {
			t.Errorf("after %d steps of progress %d answers are due, the newest of offset %d", offset, n, a.due[n-1].Offset)
		}
	}
}
