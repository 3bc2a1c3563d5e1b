package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"

	"callstitch/internal/receive/spool"
)

// fakeKafka is a carrier. While it is away it keeps what it is sent, as a client does,
// and acknowledges it when it is back.
type fakeKafka struct {
	mu     sync.Mutex
	away   bool
	refuse func(spool.Record) error // or nil
	held   []func()
	has    []spool.Record
	sends  int
}

func (k *fakeKafka) send(r spool.Record, done func(error)) {
	k.mu.Lock()
	k.sends++
	answer := func() {
		k.mu.Lock()
		var err error
		if k.refuse != nil {
			err = k.refuse(r)
		}
		if err == nil {
			k.has = append(k.has, spool.Record{Time: r.Time, Headers: r.Headers, Body: bytes.Clone(r.Body)})
		}
		k.mu.Unlock()
		done(err)
	}
	if k.away {
		k.held = append(k.held, answer)
		k.mu.Unlock()
		return
	}
	k.mu.Unlock()
	answer()
}

func (k *fakeKafka) ping(ctx context.Context) error {
	k.mu.Lock()
	away := k.away
	k.mu.Unlock()
	if !away {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (k *fakeKafka) close(context.Context) {}

// goes takes Kafka away, or brings it back.
func (k *fakeKafka) goes(away bool) {
	k.mu.Lock()
	k.away = away
	held := k.held
	if !away {
		k.held = nil
	}
	k.mu.Unlock()
	for _, answer := range held {
		if !away {
			answer()
		}
	}
}

// refuses has Kafka refuse records, or with nil none any more.
func (k *fakeKafka) refuses(refuse func(spool.Record) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuse = refuse
}

func (k *fakeKafka) bodies() (bodies []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.has {
		bodies = append(bodies, string(r.Body))
	}
	return bodies
}

func (k *fakeKafka) sent() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sends
}

const testHold = 10 * time.Second

// intakes runs a test of an intake in virtual time, with or without a spool.
func intakes(t *testing.T, spooled bool, test func(t *testing.T, in *Intake, k *fakeKafka), log ...*slog.Logger) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Hold: testHold, MaxInFlight: 64 << 10}
		if len(log) > 0 {
			cfg.Log = log[0]
		}
		in := newIntake(cfg)
		k := new(fakeKafka)
		in.kafka = k
		if spooled {
			s, err := spool.Open(spool.Config{Dir: dir, Max: spool.MaxLeast, Log: in.log})
			if err != nil {
				t.Fatal(err)
			}
			in.spool = s
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { in.Run(ctx) })
		time.Sleep(time.Millisecond) // it has reached Kafka
		test(t, in, k)
		k.goes(false)
		cancel()
		running.Wait()
		if err := in.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func event(body string) Event {
	return Event{Provider: "p", Tenant: "acme", Traceparent: "00-1-2-03", Received: time.UnixMilli(1_700_000_000_123), Body: []byte(body)}
}

// taking is a Take that is under way.
type taking struct {
	begun, ended time.Time
	err          error
	done         bool
}

// take begins to take an event.
func take(in *Intake, e Event) *taking {
	tk := &taking{begun: time.Now()}
	go func() {
		err := in.Take(context.Background(), e)
		tk.err, tk.ended, tk.done = err, time.Now(), true
	}()
	synctest.Wait()
	return tk
}

// synced is what has become of it by now.
func synced(tk *taking) *taking {
	synctest.Wait()
	return tk
}

func (tk *taking) took() time.Duration { return tk.ended.Sub(tk.begun) }

func wantTaken(t *testing.T, tk *taking, after time.Duration) {
	t.Helper()
	synctest.Wait()
	if !tk.done || tk.err != nil || tk.took() != after {
		t.Errorf("taken: %t, %v, after %v; want after %v", tk.done, tk.err, tk.took(), after)
	}
}

func wantRefused(t *testing.T, tk *taking, err error, after time.Duration) {
	t.Helper()
	synctest.Wait()
	if !tk.done || !errors.Is(tk.err, err) || tk.took() != after {
		t.Errorf("refused: %t, %v, after %v; want %v after %v", tk.done, tk.err, tk.took(), err, after)
	}
}

func TestTakeWaitsForKafka(t *testing.T) {
	intakes(t, false, func(t *testing.T, in *Intake, k *fakeKafka) {
		k.goes(true)
		tk := take(in, event("{}"))
		time.Sleep(testHold - time.Second)
		synctest.Wait()
		if tk.done {
			t.Fatal("an event that Kafka does not have was taken")
		}
		k.goes(false)
		synctest.Wait()
		wantTaken(t, tk, testHold-time.Second)
		want := []spool.Record{{
			Time:    time.UnixMilli(1_700_000_000_123),
			Headers: []spool.Header{{Key: "provider", Value: "p"}, {Key: "tenant", Value: "acme"}, {Key: "traceparent", Value: "00-1-2-03"}},
			Body:    []byte("{}"),
		}}
		if d := cmp.Diff(want, k.has); d != "" {
			t.Error(d)
		}
	})
}

// TestRoomThatABodyTakes: a body that came without its length has more room than it
// needs, which is kept with it, and counts.
func TestRoomThatABodyTakes(t *testing.T) {
	intakes(t, false, func(t *testing.T, in *Intake, k *fakeKafka) {
		k.goes(true)
		e := event("")
		e.Body = append(make([]byte, 0, firstRead), "{}"...)
		tk := take(in, e)
		if n := in.Stats().InFlightBytes; n < firstRead {
			t.Errorf("%d bytes are counted, of %d", n, firstRead)
		}
		k.goes(false)
		wantTaken(t, tk, 0)
	})
}

// TestNotInTime: without a spool an event is refused after hold, and what the client has
// not let go of is counted.
func TestNotInTime(t *testing.T) {
	intakes(t, false, func(t *testing.T, in *Intake, k *fakeKafka) {
		k.goes(true)
		first := take(in, event("first"))
		time.Sleep(2 * testHold)
		second := take(in, event("second")) // Kafka may be back any moment
		time.Sleep(2 * testHold)
		wantRefused(t, first, ErrNotInTime, testHold)
		wantRefused(t, second, ErrNotInTime, testHold)
		if n := in.Stats().InFlightBytes; n < 2*recordBytes {
			t.Errorf("%d bytes are counted while the client has two records", n)
		}
		k.goes(false)
		synctest.Wait()
		if n := in.Stats().InFlightBytes; n != 0 {
			t.Errorf("%d bytes are counted, and nothing is under way", n)
		}
	})
}

// TestOutageWithSpool: the first events of an outage wait for hold, the others do not, and
// when it is over all are in Kafka, with the time at which they came.
func TestOutageWithSpool(t *testing.T) {
	intakes(t, true, func(t *testing.T, in *Intake, k *fakeKafka) {
		k.goes(true)
		first := take(in, event("first"))
		time.Sleep(testHold / 2)
		second := take(in, event("second"))
		time.Sleep(2 * testHold)
		wantTaken(t, first, testHold)
		wantTaken(t, second, testHold)
		sent := k.sent()
		for i := range 5 {
			wantTaken(t, take(in, event(fmt.Sprint("straight ", i))), 0)
			time.Sleep(100 * time.Millisecond)
		}
		if n := k.sent() - sent; n > 2 { // what the spool sends
			t.Errorf("%d records were given to a client that is away", n)
		}
		if err := in.Ready(); err != nil {
			t.Errorf("not ready, with a spool: %v", err)
		}
		if s := in.Stats(); s.Spooled != 7 || s.SpoolRecords != 7 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		k.goes(false)
		synctest.Wait()
		wantTaken(t, take(in, event("back")), 0)
		if n := in.Stats().Spooled; n != 7 {
			t.Errorf("%d events were spooled", n)
		}
		time.Sleep(time.Minute)
		want := []string{"back", "first", "second", "straight 0", "straight 1", "straight 2", "straight 3", "straight 4"}
		got := k.bodies()
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("Kafka has %q", got)
		}
		for _, r := range k.has {
			if !r.Time.Equal(time.UnixMilli(1_700_000_000_123)) || len(r.Headers) != 3 {
				t.Errorf("a record came out as %v %v", r.Time, r.Headers)
			}
		}
		if s := in.Stats(); s.SpoolRecords != 0 || s.SpoolBytes != 0 || s.InFlightBytes != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestFewWait: until it is known that Kafka is away, no more wait for it than the door has
// room for; with a spool nobody is refused for that.
func TestFewWait(t *testing.T) {
	intakes(t, true, func(t *testing.T, in *Intake, k *fakeKafka) {
		in.flight.max = 64 << 20
		k.goes(true)
		first := take(in, event("first"))
		for range waitMost - 1 {
			take(in, event("waits"))
		}
		synctest.Wait()
		wantTaken(t, take(in, event("goes to the spool at once")), 0)
		time.Sleep(2 * testHold)
		wantTaken(t, first, testHold)
	})
}

// TestOnePartitionAway: as long as Kafka acknowledges records in time, one that it does
// not acknowledge sends no others to the spool.
func TestOnePartitionAway(t *testing.T) {
	intakes(t, true, func(t *testing.T, in *Intake, k *fakeKafka) {
		k.goes(true)
		take(in, event("of a partition without leader"))
		k.mu.Lock()
		k.away = false
		k.mu.Unlock()
		for range 10 {
			wantTaken(t, take(in, event("of another")), 0)
			time.Sleep(testHold / 2)
		}
		if n := in.Stats().Spooled; n != 1 {
			t.Errorf("%d events were spooled", n)
		}
	})
}

func TestRoomInFlight(t *testing.T) {
	large := strings.Repeat("x", 40<<10)
	t.Run("without spool", func(t *testing.T) {
		intakes(t, false, func(t *testing.T, in *Intake, k *fakeKafka) {
			k.goes(true)
			first := take(in, event(large))
			wantRefused(t, take(in, event(large)), ErrNoRoom, 0)
			time.Sleep(2 * testHold)
			wantRefused(t, first, ErrNotInTime, testHold)
			wantRefused(t, take(in, event(large)), ErrNoRoom, 0) // the client has it still
			k.goes(false)
			synctest.Wait()
			wantTaken(t, take(in, event(large)), 0)
		})
	})
	t.Run("with spool", func(t *testing.T) {
		intakes(t, true, func(t *testing.T, in *Intake, k *fakeKafka) {
			k.goes(true)
			take(in, event(large))
			wantTaken(t, take(in, event(large)), 0)
		})
	})
	t.Run("many small ones", func(t *testing.T) {
		intakes(t, false, func(t *testing.T, in *Intake, k *fakeKafka) {
			k.goes(true)
			n := 0
			for ; n < 1000; n++ {
				if tk := take(in, event("")); tk.done {
					wantRefused(t, tk, ErrNoRoom, 0)
					break
				}
			}
			if n > (64<<10)/recordBytes {
				t.Errorf("%d records are in flight", n)
			}
		})
	})
}

// TestNoRoomAnywhere: Kafka is away and the spool is full: refused, not ready, and both end.
func TestNoRoomAnywhere(t *testing.T) {
	intakes(t, true, func(t *testing.T, in *Intake, k *fakeKafka) {
		k.goes(true)
		large := strings.Repeat("x", 1<<20) // more than may be in flight: straight to the spool
		take(in, event("{}"))
		time.Sleep(2 * testHold)
		taken := 0
		var tk *taking
		for tk = take(in, event(large)); synced(tk).err == nil && taken < 100; tk = take(in, event(large)) {
			wantTaken(t, tk, 0)
			taken++
		}
		wantRefused(t, tk, ErrNoRoom, 0)
		if taken < 14 {
			t.Errorf("%d MiB fill the spool", taken)
		}
		if err := in.Ready(); !errors.Is(err, spool.ErrFull) {
			t.Errorf("ready: %v", err)
		}
		k.goes(false)
		time.Sleep(time.Minute)
		if err := in.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		if n := len(k.bodies()); n < taken+1 {
			t.Errorf("Kafka has %d records of %d", n, taken+1)
		}
		wantTaken(t, take(in, event("{}")), 0)
	})
}

// TestRefused: what Kafka refuses is a fault, or goes to the spool, and is tried again
// from there.
func TestRefused(t *testing.T) {
	no := func(spool.Record) error { return kerr.TopicAuthorizationFailed }
	t.Run("without spool", func(t *testing.T) {
		intakes(t, false, func(t *testing.T, in *Intake, k *fakeKafka) {
			k.refuses(no)
			wantRefused(t, take(in, event("{}")), kerr.TopicAuthorizationFailed, 0)
			if err := in.Ready(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
				t.Errorf("ready: %v", err)
			}
			time.Sleep(refusedFor)
			if err := in.Ready(); err != nil {
				t.Errorf("never ready again: %v", err)
			}
		})
	})
	t.Run("with spool", func(t *testing.T) {
		intakes(t, true, func(t *testing.T, in *Intake, k *fakeKafka) {
			k.refuses(no)
			wantTaken(t, take(in, event("{}")), 0)
			if err := in.Ready(); err != nil {
				t.Errorf("not ready, with a spool: %v", err)
			}
			time.Sleep(time.Hour)
			if n := k.sent(); n < 100 || n > 200 {
				t.Errorf("it was tried %d times in an hour", n)
			}
			k.refuses(nil)
			time.Sleep(time.Minute)
			if got := k.bodies(); !slices.Equal(got, []string{"{}"}) {
				t.Errorf("Kafka has %q", got)
			}
		})
	})
}

// TestTooLargeForKafka: a record that Kafka will never take stays in the spool, and only
// that one: others that were refused with it are taken alone.
func TestTooLargeForKafka(t *testing.T) {
	intakes(t, true, func(t *testing.T, in *Intake, k *fakeKafka) {
		k.goes(true)
		for i := range 6 {
			take(in, event(fmt.Sprint("record ", i)))
		}
		time.Sleep(2 * testHold)
		tries := map[string]int{}
		k.refuses(func(r spool.Record) error {
			body := string(r.Body)
			tries[body]++
			if body == "record 3" || body == "record 4" && tries[body] < 3 { // the first was before it was spooled
				return kerr.MessageTooLarge
			}
			return nil
		})
		k.goes(false)
		time.Sleep(time.Minute)
		got := k.bodies()
		slices.Sort(got)
		if want := []string{"record 0", "record 1", "record 2", "record 4", "record 5"}; !slices.Equal(slices.Compact(got), want) {
			t.Errorf("Kafka has %q", got)
		}
		if n := in.Stats().SpoolRecords; n != 1 {
			t.Errorf("%d records are in the spool", n)
		}
		if err := in.Ready(); err != nil {
			t.Errorf("one record makes it not ready: %v", err)
		}
	})
}

// TestReadyFollowsKafka: nobody sends anything, and yet it is known whether Kafka answers.
// For as long as an event would wait for it, it is not away: who asks whether this
// instance is ready would send nobody here, and events that need only wait would be lost.
func TestReadyFollowsKafka(t *testing.T) {
	intakes(t, false, func(t *testing.T, in *Intake, k *fakeKafka) {
		if err := in.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		k.goes(true)
		for range testHold / time.Second {
			time.Sleep(time.Second)
			if err := in.Ready(); err != nil {
				t.Fatalf("not ready while events wait: %v", err)
			}
		}
		time.Sleep(pingEvery + pingLimit)
		synctest.Wait()
		if in.Ready() == nil {
			t.Error("ready without Kafka")
		}
		k.goes(false)
		time.Sleep(pingEvery + pingLimit)
		synctest.Wait()
		if err := in.Ready(); err != nil {
			t.Errorf("not ready again: %v", err)
		}
	})
	in := newIntake(Config{})
	if in.Ready() == nil {
		t.Error("ready before Kafka was reached")
	}
}

// TestCallerHasGone: what is here as a whole is kept, even if nobody waits any more.
func TestCallerHasGone(t *testing.T) {
	intakes(t, true, func(t *testing.T, in *Intake, k *fakeKafka) {
		k.goes(true)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		go func() {
			if err := in.Take(ctx, event("{}")); err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(2 * testHold)
		if n := in.Stats().SpoolRecords; n != 1 {
			t.Errorf("%d records are in the spool", n)
		}
	})
}

func TestWatchSaysWhatHappens(t *testing.T) {
	var text strings.Builder
	intakes(t, true, func(t *testing.T, in *Intake, k *fakeKafka) {
		k.goes(true)
		take(in, event("{}"))
		time.Sleep(3 * testHold)
		k.goes(false)
		time.Sleep(time.Minute)
	}, slog.New(slog.NewTextHandler(&text, nil)))
	if a, b := strings.Count(text.String(), "events go to the spool"), strings.Count(text.String(), "acknowledges again"); a != 1 || b != 1 {
		t.Errorf("it says\n%s", text.String())
	}
}
