package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func record(body string) Record {
	return Record{Time: time.UnixMilli(1_700_000_000_123), Headers: []Header{{"tenant", "acme"}, {"empty", ""}}, Body: []byte(body)}
}

// logged is a log that tests look into.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func testConfig(t *testing.T) (Config, *logged) {
	l := new(logged)
	return Config{Dir: t.TempDir(), Max: MaxLeast, Log: slog.New(slog.NewTextHandler(l, nil))}, l
}

func mustOpen(t *testing.T, cfg Config) *Spool {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustClose(t *testing.T, s *Spool) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// mustAppend appends all at once and waits for them.
func mustAppend(t *testing.T, s *Spool, bodies ...string) {
	t.Helper()
	var waits []<-chan error
	for _, b := range bodies {
		waits = append(waits, s.Append(record(b)))
	}
	for _, w := range waits {
		if err := <-w; err != nil {
			t.Fatal(err)
		}
	}
}

// drained has all records taken that are there now, and returns their bodies, sorted.
func drained(t *testing.T, s *Spool) (bodies []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Drain(ctx, func(_ context.Context, records []Record) []error {
			mu.Lock()
			defer mu.Unlock()
			for _, r := range records {
				bodies = append(bodies, string(r.Body))
			}
			return make([]error, len(records))
		})
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		records, _ := s.Size()
		s.mu.Lock()
		left := len(s.sealed)
		s.mu.Unlock()
		if records == 0 && left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d records in %d segments are not drained", records, left)
		}
	}
	cancel()
	<-done
	slices.Sort(bodies)
	return bodies
}

func numbered(n int) (bodies []string) {
	for i := range n {
		bodies = append(bodies, fmt.Sprintf("body %06d", i))
	}
	return bodies
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	names, err := directory(dir).list()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == lockName })
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	cfg, _ := testConfig(t)
	want := []Record{
		record("{}"),
		{Time: time.UnixMilli(-1), Body: []byte{}},
		{Time: time.UnixMilli(0), Headers: []Header{{"", ""}}, Body: bytes.Repeat([]byte{0, 255}, 10_000)},
	}
	s := mustOpen(t, cfg)
	for _, r := range want {
		if err := <-s.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, s)
	s = mustOpen(t, cfg)
	defer mustClose(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var got []Record
	s.Drain(ctx, func(_ context.Context, records []Record) []error {
		for _, r := range records {
			r.Body = bytes.Clone(r.Body)
			got = append(got, r)
		}
		if len(got) >= len(want) {
			cancel()
		}
		return make([]error, len(records))
	})
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestSizeIsKnownWithoutReading: what an earlier process left is counted at once, and
// where that one ended in order without reading it all.
func TestSizeIsKnownWithoutReading(t *testing.T) {
	cfg, _ := testConfig(t)
	s := mustOpen(t, cfg)
	mustAppend(t, s, numbered(1000)...)
	records, bytes := s.Size()
	mustClose(t, s)
	d := &failing{disk: directory(cfg.Dir)}
	d.refuse("read", errors.New("do not read"))
	again, err := open(cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, again)
	if r, b := again.Size(); r != records || r != 1000 || b != bytes+endBytes {
		t.Errorf("%d records in %d bytes, after %d in %d", r, b, records, bytes)
	}
}

func TestDrainedSegmentsAreDeleted(t *testing.T) {
	cfg, _ := testConfig(t)
	cfg.Max = 1 << 30
	s := mustOpen(t, cfg)
	defer mustClose(t, s)
	large := strings.Repeat("x", 1<<20)
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint(i, large))
	}
	slices.Sort(want)
	mustAppend(t, s, want[:10]...) // no more than may wait for the disk
	mustAppend(t, s, want[10:]...)
	if n := len(files(t, cfg.Dir)); n < 3 {
		t.Fatalf("%d segments hold 20 MiB", n)
	}
	if got := drained(t, s); !slices.Equal(got, want) {
		t.Errorf("%d of %d records came out", len(got), len(want))
	}
	if names := files(t, cfg.Dir); len(names) > 0 {
		t.Errorf("drained, and there is %v", names)
	}
	if r, b := s.Size(); r != 0 || b != 0 {
		t.Errorf("drained, and it has %d records, %d bytes", r, b)
	}
}

// TestAppendAndDrainTogether: many append while it drains.
func TestAppendAndDrainTogether(t *testing.T) {
	t.Parallel()
	cfg, _ := testConfig(t)
	s := mustOpen(t, cfg)
	defer mustClose(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	got := map[string]int{}
	var draining, appending sync.WaitGroup
	draining.Go(func() {
		s.Drain(ctx, func(_ context.Context, records []Record) []error {
			mu.Lock()
			defer mu.Unlock()
			errs := make([]error, len(records))
			for i, r := range records {
				if got[string(r.Body)]++; got[string(r.Body)] == 1 && i%100 == 99 {
					errs[i] = errors.New("once more")
				}
			}
			return errs
		})
	})
	for c := range 16 {
		appending.Go(func() {
			for i := range 200 {
				if err := <-s.Append(record(fmt.Sprint(c, " ", i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	appending.Wait()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if records, _ := s.Size(); records == 0 || time.Now().After(deadline) {
			break
		}
	}
	cancel()
	draining.Wait()
	if len(got) != 16*200 {
		t.Errorf("%d of %d records came out", len(got), 16*200)
	}
}

func TestTornTailIsCut(t *testing.T) {
	want := numbered(10)
	for name, tear := range map[string]func([]byte) []byte{
		"half a frame":         func(b []byte) []byte { return b[:len(b)-20] },
		"zeros":                func(b []byte) []byte { return append(b, make([]byte, 5000)...) },
		"noise":                func(b []byte) []byte { return append(b, bytes.Repeat([]byte("noise"), 1000)...) },
		"a mark and no more":   func(b []byte) []byte { return append(b, b[len(form):headBytes]...) },
		"a length without end": func(b []byte) []byte { return append(append(b, b[len(form):headBytes]...), 255, 255, 255, 255, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg, log := testConfig(t)
			s := mustOpen(t, cfg)
			mustAppend(t, s, want...)
			mustClose(t, s)
			path := filepath.Join(cfg.Dir, segmentName(1))
			edit(t, path, func(b []byte) []byte { return tear(b[:len(b)-endBytes]) }) // as after a crash
			left := want
			if name == "half a frame" {
				left = want[:9]
			}
			s = mustOpen(t, cfg)
			defer mustClose(t, s)
			if r, _ := s.Size(); r != int64(len(left)) {
				t.Errorf("it counts %d records", r)
			}
			if r, ok := newReader(edit(t, path, nil)); !ok || len(all(r)) != len(left) || r.end != len(r.data) || r.damaged > 0 {
				t.Errorf("the segment is not cut: it ends at %d of %d, %d are damaged", r.end, len(r.data), r.damaged)
			}
			if got := drained(t, s); !slices.Equal(got, left) {
				t.Errorf("out came %v", got)
			}
			if !strings.Contains(log.String(), "cut off the torn end") {
				t.Errorf("it says %s", log)
			}
		})
	}
}

func all(r *reader) (records []Record) {
	for record, ok := r.next(); ok; record, ok = r.next() {
		records = append(records, record)
	}
	return records
}

func edit(t *testing.T, path string, change func([]byte) []byte) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil && change != nil {
		b = change(b)
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDamageCostsOneRecord: a wrong bit costs the record that it is in, whatever it is
// in; and what it was in is kept for whoever can make sense of it.
func TestDamageCostsOneRecord(t *testing.T) {
	want := numbered(10)
	for name, at := range map[string]int{"mark": 0, "length": markBytes, "crc": markBytes + 4, "kind": frameBytes, "body": frameBytes + 30} {
		for _, ended := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", ended ", ended), func(t *testing.T) {
				cfg, log := testConfig(t)
				s := mustOpen(t, cfg)
				mustAppend(t, s, want...)
				mustClose(t, s)
				edit(t, filepath.Join(cfg.Dir, segmentName(1)), func(b []byte) []byte {
					r, _ := newReader(b)
					for range 3 {
						r.next()
					}
					b[r.end+at] ^= 1
					if !ended {
						b = b[:len(b)-endBytes]
					}
					return b
				})
				s = mustOpen(t, cfg)
				defer mustClose(t, s)
				if got, left := drained(t, s), slices.Concat(want[:3], want[4:]); !slices.Equal(got, left) {
					t.Errorf("out came %v", got)
				}
				if names := files(t, cfg.Dir); !slices.Equal(names, []string{segmentName(1) + damagedSuffix}) {
					t.Errorf("there is %v", names)
				}
				if r, b := s.Size(); r != 0 || b != 0 {
					t.Errorf("drained, and it has %d records, %d bytes", r, b)
				}
				if !strings.Contains(log.String(), "damaged") {
					t.Errorf("it says %s", log)
				}
			})
		}
	}
}

func TestSegmentWithoutHead(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"empty": "", "cut": "cspo", "zeros": string(make([]byte, 100))} {
		t.Run(name, func(t *testing.T) {
			cfg, _ := testConfig(t)
			if err := os.WriteFile(filepath.Join(cfg.Dir, segmentName(7)), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			s := mustOpen(t, cfg)
			mustAppend(t, s, "new")
			if got := drained(t, s); !slices.Equal(got, []string{"new"}) {
				t.Errorf("out came %v", got)
			}
			mustClose(t, s)
			var want []string
			if name == "zeros" {
				want = []string{segmentName(7) + damagedSuffix}
			}
			if names := files(t, cfg.Dir); !slices.Equal(names, want) {
				t.Errorf("there is %v", names)
			}
		})
	}
}

func TestNewerFormIsLeftAlone(t *testing.T) {
	cfg, _ := testConfig(t)
	if err := os.WriteFile(filepath.Join(cfg.Dir, segmentName(1)), []byte("cspool2\n12345678"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("it opens with %v", err)
	}
	if names := files(t, cfg.Dir); !slices.Equal(names, []string{segmentName(1)}) {
		t.Errorf("there is %v", names)
	}
}

func TestOneProcess(t *testing.T) {
	cfg, _ := testConfig(t)
	s := mustOpen(t, cfg)
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("a second one opens with %v", err)
	}
	mustClose(t, s)
	mustClose(t, mustOpen(t, cfg))
}

func TestClosedTakesNothing(t *testing.T) {
	cfg, _ := testConfig(t)
	s := mustOpen(t, cfg)
	wait := s.Append(record("appended before"))
	mustClose(t, s)
	if err := <-wait; err != nil {
		t.Errorf("what was appended before fails with %v", err)
	}
	if err := <-s.Append(record("after")); !errors.Is(err, ErrClosed) {
		t.Errorf("what is appended later fails with %v", err)
	}
}

func TestFullAtItsMaximum(t *testing.T) {
	t.Parallel()
	cfg, _ := testConfig(t)
	s := mustOpen(t, cfg)
	defer mustClose(t, s)
	large := strings.Repeat("x", 1<<20)
	var kept []string
	for i := range 100 {
		body := fmt.Sprintf("%02d%s", i, large)
		err := <-s.Append(record(body))
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, body)
	}
	if n := len(kept); n < 14 || n > 16 {
		t.Errorf("%d records of 1 MiB fit into %d bytes", n, cfg.Max)
	}
	if err := s.Room(); !errors.Is(err, ErrFull) {
		t.Errorf("there is room: %v", err)
	}
	if got := drained(t, s); !slices.Equal(got, kept) {
		t.Errorf("%d of %d records came out", len(got), len(kept))
	}
	if err := s.Room(); err != nil {
		t.Errorf("after it was drained there is no room: %v", err)
	}
	mustAppend(t, s, "once more")
}

func TestTooLarge(t *testing.T) {
	cfg, _ := testConfig(t)
	s := mustOpen(t, cfg)
	defer mustClose(t, s)
	if err := <-s.Append(record(strings.Repeat("x", RecordMax))); err == nil || errors.Is(err, ErrFull) {
		t.Errorf("a record that is too large: %v", err)
	}
	mustAppend(t, s, strings.Repeat("x", RecordMax-200))
}

// TestDiskRefuses: whatever the disk refuses, and when, nothing is acknowledged that does
// not come out, and once it works again records are taken again.
func TestDiskRefuses(t *testing.T) {
	for _, what := range []string{"create", "write", "write half", "truncate", "sync", "sync directory"} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprint(what, ", first ", first), func(t *testing.T) {
				cfg, log := testConfig(t)
				d := &failing{disk: directory(cfg.Dir)}
				s, err := open(cfg, d)
				if err != nil {
					t.Fatal(err)
				}
				want := []string{"after"}
				if !first {
					mustAppend(t, s, "before")
					want = append(want, "before")
				}
				no := errors.New("no space left on device")
				d.refuse(what, no)
				if what == "truncate" {
					d.refuse("write half", no)
				}
				// A segment that is being written needs neither of these.
				needless := !first && (what == "create" || what == "sync directory")
				for range 3 {
					if err := <-s.Append(record("maybe")); !needless && (!errors.Is(err, ErrFull) || !errors.Is(err, no)) {
						t.Errorf("it fails with %v", err)
					}
				}
				if err := s.Room(); (err != nil) == needless {
					t.Errorf("room: %v", err)
				}
				if n := strings.Count(log.String(), "cannot write"); !needless && n != 1 {
					t.Errorf("it says %d times that it cannot write", n)
				}
				d.refuse("", nil)
				mustAppend(t, s, "after")
				if n := len(files(t, cfg.Dir)); what == "sync" && !first && n != 2 {
					t.Errorf("a segment that was not synced is written on: there are %d", n)
				}
				mustClose(t, s)
				s = mustOpen(t, cfg)
				defer mustClose(t, s)
				got := drained(t, s)
				got = slices.DeleteFunc(got, func(body string) bool { return body == "maybe" })
				if !slices.Equal(got, want) {
					t.Errorf("out came %v", got)
				}
				if names := files(t, cfg.Dir); len(names) > 0 {
					t.Errorf("drained, and there is %v", names)
				}
			})
		}
	}
}

// TestNearlyFull: where only small records find room there is none, and that is said once.
func TestNearlyFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, log := testConfig(t)
		d := &failing{disk: directory(cfg.Dir)}
		s, err := open(cfg, d)
		if err != nil {
			t.Fatal(err)
		}
		defer mustClose(t, s)
		d.refuse("write large", errors.New("no space left on device"))
		for range 100 {
			mustAppend(t, s, "small")
			if err := <-s.Append(record(strings.Repeat("x", 100_000))); !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			if s.Room() == nil {
				t.Error("there is room on a disk that is nearly full")
			}
			time.Sleep(probeEvery / 3)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("it says\n%s", log)
		}
		d.refuse("", nil)
		for range 6 { // somebody always appends something
			mustAppend(t, s, "small")
			time.Sleep(probeEvery / 3)
		}
		if err := s.Room(); err != nil {
			t.Errorf("there is room, and it says %v", err)
		}
	})
}

// TestRoomIsFoundAgain: nobody appends while there is no room, and yet it is noticed
// when there is.
func TestRoomIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, _ := testConfig(t)
		d := &failing{disk: directory(cfg.Dir)}
		s, err := open(cfg, d)
		if err != nil {
			t.Fatal(err)
		}
		defer mustClose(t, s)
		d.refuse("write", errors.New("no space left on device"))
		if err := <-s.Append(record("x")); !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
		time.Sleep(10 * probeEvery)
		if s.Room() == nil {
			t.Error("there is room on a full disk")
		}
		d.refuse("", nil)
		time.Sleep(2 * probeEvery)
		if err := s.Room(); err != nil {
			t.Errorf("there is room, and it says %v", err)
		}
	})
}

// TestDrainInterval: a destination that fails is tried less and less often, with what it
// did not take and nothing else, and there is never more under way than the bound.
func TestDrainInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, _ := testConfig(t)
		cfg.Max = 1 << 30
		s := mustOpen(t, cfg)
		defer mustClose(t, s)
		large := strings.Repeat("x", 300<<10)
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprintf("%02d%s", i, large))
		}
		mustAppend(t, s, want...)
		taken := map[string]int{}
		var tries []time.Time
		var failing atomic.Bool
		failing.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		var draining sync.WaitGroup
		draining.Go(func() {
			s.Drain(ctx, func(_ context.Context, records []Record) []error {
				tries = append(tries, time.Now())
				bytes := 0
				errs := make([]error, len(records))
				for i, r := range records {
					bytes += len(r.Body)
					if i%2 == 0 && failing.Load() {
						errs[i] = errors.New("not now")
					} else {
						taken[string(r.Body)]++
					}
				}
				if bytes > sendBytes+len(large)+100 {
					t.Errorf("%d bytes are under way", bytes)
				}
				return errs
			})
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := len(tries); n < 20 || n > 30 {
			t.Errorf("%d tries in ten minutes", n)
		}
		failing.Store(false)
		time.Sleep(2 * time.Minute)
		cancel()
		draining.Wait()
		if got := slices.Sorted(maps.Keys(taken)); !slices.Equal(got, want) {
			t.Errorf("%d of %d were taken", len(got), len(want))
		}
		for _, n := range taken {
			if n != 1 {
				t.Errorf("one was taken %d times", n)
			}
		}
	})
}

// TestRefusedForGood: a record that its destination will never take keeps no other from
// it, and is not deleted.
func TestRefusedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, log := testConfig(t)
		s := mustOpen(t, cfg)
		mustAppend(t, s, numbered(10)...)
		var got []string
		send := func(_ context.Context, records []Record) []error {
			errs := make([]error, len(records))
			for i, r := range records {
				if string(r.Body) == "body 000004" {
					errs[i] = fmt.Errorf("%w: too large", ErrRefused)
				} else {
					got = append(got, string(r.Body))
				}
			}
			return errs
		}
		ctx, cancel := context.WithCancel(t.Context())
		var draining sync.WaitGroup
		draining.Go(func() { s.Drain(ctx, send) })
		time.Sleep(time.Minute)
		mustAppend(t, s, "later")
		time.Sleep(time.Minute)
		cancel()
		draining.Wait()
		if want := append(slices.Delete(numbered(10), 4, 5), "later"); !slices.Equal(got, want) {
			t.Errorf("out came %v", got)
		}
		if r, b := s.Size(); r != 1 || b == 0 {
			t.Errorf("it has %d records in %d bytes", r, b)
		}
		if !strings.Contains(log.String(), "refused for good: too large") {
			t.Errorf("it says %s", log)
		}
		mustClose(t, s)
		s = mustOpen(t, cfg)
		defer mustClose(t, s)
		if got := drained(t, s); !slices.Contains(got, "body 000004") {
			t.Errorf("the next process takes %v", got)
		}
	})
}

// TestUnreadableSegmentWaits: a segment that the disk does not read keeps no other waiting.
func TestUnreadableSegmentWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, _ := testConfig(t)
		s := mustOpen(t, cfg)
		mustAppend(t, s, "first")
		mustClose(t, s)
		d := &failing{disk: directory(cfg.Dir)}
		s, err := open(cfg, d)
		if err != nil {
			t.Fatal(err)
		}
		defer mustClose(t, s)
		d.refuse("read "+segmentName(1), errors.New("input/output error"))
		mustAppend(t, s, "second")
		var got []string
		ctx, cancel := context.WithCancel(t.Context())
		var draining sync.WaitGroup
		draining.Go(func() {
			s.Drain(ctx, func(_ context.Context, records []Record) []error {
				for _, r := range records {
					got = append(got, string(r.Body))
				}
				return make([]error, len(records))
			})
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		if !slices.Equal(got, []string{"second"}) {
			t.Errorf("out came %v", got)
		}
		d.refuse("", nil)
		time.Sleep(time.Minute)
		cancel()
		draining.Wait()
		if !slices.Equal(got, []string{"second", "first"}) {
			t.Errorf("out came %v", got)
		}
	})
}
