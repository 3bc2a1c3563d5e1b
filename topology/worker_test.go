package topology

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"callstitch/processor/call"
)

// script is a task that notes what is asked of it.
type script struct {
	at    TopicPartition
	calls *[]string
	more  bool // timers are due after the next Finish
	fails bool
	send  []Envelope // of the next Finish
}

func (s *script) note(format string, args ...any) {
	*s.calls = append(*s.calls, s.at.String()+" "+fmt.Sprintf(format, args...))
}

func (s *script) Reads() TopicPartition { return s.at }

func (s *script) Process(r Record, _ *Effects) error {
	s.note("process %d", r.Offset)
	return s.err()
}

func (s *script) Finish(fx *Effects) (bool, error) {
	s.note("finish")
	fx.Exchange = append(fx.Exchange, s.send...)
	s.send = nil
	more := s.more
	s.more = false
	return more, s.err()
}

func (s *script) Tick(k *Tick, idle bool, heard call.Arrival) {
	s.note("tick %t %d", idle, heard)
	k.Clocks = append(k.Clocks, Clock{Task: s.at.Partition})
}

func (s *script) Metadata() string          { return "of " + s.at.String() }
func (s *script) Sent(_ Envelope, at int64) { s.note("sent %d", at) }
func (s *script) Commit(position int64)     { s.note("commit %d", position) }
func (s *script) Abort() error              { s.note("abort"); return s.err() }
func (s *script) Pending() int              { return 3 }
func (s *script) Report() Report            { return Report{} }

func (s *script) err() error {
	if s.fails {
		return errScript
	}
	return nil
}

var errScript = errors.New("as the script says")

// scripted is a worker of one source partition and two of the exchange, read up to 4.
func scripted() (w *Worker, calls *[]string, tasks []*script) {
	calls = new([]string)
	w = NewWorker(&Config{ApplicationID: "app", ExchangePartitions: 2}, InOrder)
	for _, at := range []TopicPartition{{"raw", 0}, {"app-exchange-repartition", 1}, {"app-exchange-repartition", 0}} {
		tasks = append(tasks, &script{at: at, calls: calls})
		w.Add(tasks[len(tasks)-1], 4)
	}
	return w, calls, tasks
}

func expectCalls(t *testing.T, calls *[]string, want ...string) {
	t.Helper()
	if !slices.Equal(*calls, want) {
		t.Errorf("called\n%s\nwant\n%s", strings.Join(*calls, "\n"), strings.Join(want, "\n"))
	}
	*calls = nil
}

// A transaction finishes what it touched, and tells a tick after all that: the tick
// vouches for the events before it.
func TestWorkerOrder(t *testing.T) {
	w, calls, tasks := scripted()
	if err := w.Process(Record{Topic: "raw", Offset: 4}); err != nil {
		t.Fatal(err)
	}
	if err := w.Pass(TopicPartition{"raw", 0}, 5); err != nil {
		t.Fatal(err)
	}
	tasks[1].send = []Envelope{{Partition: 0, From: -1}, {Partition: 0, From: 1}}
	seen := func(p TopicPartition) (bool, call.Arrival) { return p.Topic == "raw", 9 }
	if err := w.Finish(seen); err != nil {
		t.Fatal(err)
	}
	expectCalls(t, calls,
		"raw-0 process 4",
		"raw-0 finish", "raw-0 tick true 9", // then in memory to the tasks that can be told so, before they finish
		"app-exchange-repartition-0 finish", "app-exchange-repartition-1 finish",
		"app-exchange-repartition-0 tick false 9", "app-exchange-repartition-1 tick false 9",
	)
	if n := len(w.Effects().Exchange); n != 4 || w.Effects().Exchange[3].Value[0] != tickKind || w.Effects().Exchange[1].Value != nil {
		t.Errorf("%d envelopes: want two of a task, then a tick for each partition", n)
	}
	offsets := w.Offsets()
	if len(offsets) != 3 || offsets[0] != (Offset{TopicPartition{"raw", 0}, 6, "of raw-0"}) {
		t.Errorf("offsets %+v: want those of all tasks, since the tick speaks for them", offsets)
	}
	w.Commit(func(i int) int64 { return 100 + int64(i) })
	expectCalls(t, calls, "app-exchange-repartition-1 sent 101",
		"raw-0 commit 6", "app-exchange-repartition-0 commit 4", "app-exchange-repartition-1 commit 4")
}

// Without a tick only what has records or timers is in the transaction, and only its
// offsets are committed.
func TestWorkerTouchesWhatItMust(t *testing.T) {
	w, calls, tasks := scripted()
	tasks[2].more = true
	if err := w.Process(Record{Topic: "app-exchange-repartition", Partition: 0, Offset: 4}); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(nil); err != nil {
		t.Fatal(err)
	}
	if w.Pending() != 3 {
		t.Errorf("%d bytes are pending, want those of one task", w.Pending())
	}
	w.Commit(nil)
	if !w.More() {
		t.Error("timers that are due were forgotten")
	}
	expectCalls(t, calls, "app-exchange-repartition-0 process 4", "app-exchange-repartition-0 finish", "app-exchange-repartition-0 commit 5")
	if err := w.Finish(nil); err != nil {
		t.Fatal(err)
	}
	w.Commit(nil)
	expectCalls(t, calls, "app-exchange-repartition-0 finish", "app-exchange-repartition-0 commit 5")
	if w.More() {
		t.Error("timers are due for ever")
	}
}

// An abort goes back to what is committed: what was read is read again, and timers
// that were due are due again.
func TestWorkerAborts(t *testing.T) {
	w, calls, _ := scripted()
	raw := TopicPartition{"raw", 0}
	if err := w.Process(Record{Topic: "raw", Offset: 8}); err != nil {
		t.Fatal(err)
	}
	if at, _ := w.Position(raw); at != 9 {
		t.Errorf("at %d while the transaction is open", at)
	}
	if err := w.Finish(nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if at, _ := w.Position(raw); at != 4 || !w.More() || len(w.Offsets()) != 0 {
		t.Errorf("after an abort at %d, more %t, offsets %v; want 4, true, none", at, w.More(), w.Offsets())
	}
	expectCalls(t, calls, "raw-0 process 8", "raw-0 finish", "raw-0 abort")
}

// What fails in a task fails the call, whichever it was.
func TestWorkerFails(t *testing.T) {
	for name, step := range map[string]func(w *Worker) error{
		"process": func(w *Worker) error { return errors.Join(w.Process(Record{Topic: "raw"}), w.Work()) },
		"finish": func(w *Worker) error {
			return w.Finish(func(TopicPartition) (bool, call.Arrival) { return false, call.Unheard })
		},
		"abort": func(w *Worker) error { return errors.Join(w.Pass(TopicPartition{"raw", 0}, 4), w.Abort()) },
	} {
		w, _, tasks := scripted()
		tasks[0].fails = true
		if err := step(w); !errors.Is(err, errScript) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w, _, _ := scripted()
	if err := w.Process(Record{Topic: "raw", Partition: 7}); err == nil {
		t.Error("a record of a partition without a task was taken")
	}
}

// The order of the calls is not left to those who call.
func TestWorkerOutOfTurn(t *testing.T) {
	raw := TopicPartition{"raw", 0}
	for name, steps := range map[string]func(w *Worker){
		"added within a transaction": func(w *Worker) {
			_ = w.Pass(raw, 4)
			w.Add(&script{at: TopicPartition{"raw", 1}}, 0)
		},
		"removed within a transaction": func(w *Worker) { _ = w.Pass(raw, 4); w.Remove(raw) },
		"processed after Finish":       func(w *Worker) { _ = w.Finish(nil); _ = w.Pass(raw, 4) },
		"finished twice":               func(w *Worker) { _ = w.Finish(nil); _ = w.Finish(nil) },
		"committed before Finish":      func(w *Worker) { _ = w.Pass(raw, 4); w.Commit(nil) },
		"added twice":                  func(w *Worker) { w.Add(&script{at: raw}, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			w, _, _ := scripted()
			defer func() {
				if recover() == nil {
					t.Error("nothing was said")
				}
			}()
			steps(w)
		})
	}
	w, _, _ := scripted()
	w.Remove(raw)
	if _, ok := w.Position(raw); ok || w.Empty() {
		t.Error("a removed task is there still, or all are gone")
	}
}
