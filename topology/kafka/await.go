package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/processor/call"
	"callstitch/topology"
)

// Standing is how far all instances of an application have come, as the brokers tell it.
type Standing struct {
	Instances int
	// Records are how many of the sources were not read yet, Exchange how many of the
	// exchange. Of the exchange there always are some, since its ticks never end.
	Records, Exchange int64
	// SessionClock is how far all stitch tasks have come; call.Unheard before that is
	// known. Late is how far it is behind the brokers' time.
	SessionClock call.Arrival
	Late         time.Duration
	// Lacking is what is further behind than it may be, the worst first; empty where
	// nothing is.
	Lacking []string
}

// Await waits until an application is no further behind than within: everything that was
// in the sources and the exchange so long ago was processed, and the session clock is no
// further behind the brokers' time. It needs no clock but the brokers', and asks no
// instance: which of several would answer, and whether one runs, does not matter. Each
// look is told to each. The error is that of ctx where that ends first; the standing is
// then the last.
func Await(ctx context.Context, cfg Config, within time.Duration, each func(Standing)) (Standing, error) {
	cfg = cfg.withDefaults()
	w := &awaiter{cfg: &cfg, within: within, ends: map[topology.TopicPartition][]endAt{}, read: map[int32]int64{}}
	defer w.close()
	last := Standing{SessionClock: call.Unheard, Lacking: []string{"no broker has answered yet"}}
	for {
		s, err := w.look(ctx)
		switch {
		case ctx.Err() != nil:
			return last, ctx.Err()
		case errors.Is(err, ErrTopicMismatch), errors.Is(err, kerr.SaslAuthenticationFailed): // waiting mends neither
			return last, err
		case refusedForGood(err):
			return last, fmt.Errorf("%w: an await needs READ on %s, and DESCRIBE on the sources and on group %s", err, cfg.ExchangeTopic(), cfg.ApplicationID)
		case err != nil:
			last.Lacking = []string{strings.ReplaceAll(err.Error(), "\n", "; ")}
			w.close()
		default:
			last = s
		}
		if each(last); len(last.Lacking) == 0 {
			return last, nil
		}
		wait(ctx, min(lookInterval, max(within/4, lookIntervalLeast)))
	}
}

// lookInterval is between two looks. With less than four in the time that an application
// may be behind, it is measured too coarsely.
const (
	lookInterval      = time.Second
	lookIntervalLeast = 100 * time.Millisecond
)

// refusedForGood reports whether brokers have refused a right, which no waiting brings.
func refusedForGood(err error) bool {
	for _, refusal := range []error{
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// awaiter looks at an application from outside.
type awaiter struct {
	cfg    *Config
	within time.Duration
	cl     *kgo.Client // nil where it is to be made anew

	// ends are where partitions ended at each look of the last while, the oldest first.
	ends map[topology.TopicPartition][]endAt
	told clocksTold
	// read is how far the partitions of the exchange were read at this look; last is where
	// they ended when nothing lacked for the first time, nil before.
	read map[int32]int64
	last []int64
}

type endAt struct {
	at  time.Time
	end int64
}

// clocksTold are what ticks in one partition of the exchange have told: each worker writes
// its own to every partition.
type clocksTold struct {
	next int64 // offset to read on from
	// since is where the partition ended when the looking began. What stands before it may
	// be of instances that ended long ago.
	since  int64
	latest map[int32]toldClock
	// newest is the brokers' time of the last tick, and seen when it was read here.
	newest call.Arrival
	seen   time.Time // zero before a tick at since or later
}

type toldClock struct {
	topology.Clock
	at call.Arrival // the brokers' time of the tick
}

func (w *awaiter) close() {
	if w.cl != nil {
		w.cl.Close()
		w.cl = nil
	}
}

// look is one look at everything.
func (w *awaiter) look(ctx context.Context) (Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	if err := w.open(ctx); err != nil {
		return Standing{}, err
	}
	s := Standing{SessionClock: call.Unheard}
	members, err := whenLoaded(ctx, func() ([]groupMember, error) { return groupMembers(ctx, w.cl, w.cfg.ApplicationID) })
	if err != nil {
		return s, err
	}
	s.Instances = countOurs(members, w.cfg.ApplicationID)
	if s.Instances == 0 {
		s.Lacking = append(s.Lacking, "no instance is in group "+w.cfg.ApplicationID)
	}
	if err := w.lookAtOffsets(ctx, &s); err != nil {
		return s, err
	}
	if err := w.readTicks(ctx); err != nil {
		return s, err
	}
	w.told.settle(&s, w.cfg.ExchangePartitions, w.within, time.Now())
	return s, w.lookAgain(ctx, &s)
}

// lookAgain holds that tasks have taken in what was told when nothing lacked any more: only
// then does each know that the clocks of the others have come so far, and has closed what
// was to be closed by them.
func (w *awaiter) lookAgain(ctx context.Context, s *Standing) (err error) {
	switch {
	case len(s.Lacking) > 0:
		w.last = nil
	case w.last == nil:
		if w.last, err = exchangeEnds(ctx, w.cl, w.cfg); err != nil {
			return err
		}
		s.Lacking = append(s.Lacking, takingIn)
	default:
		for p, end := range w.last {
			if w.read[int32(p)] < end {
				s.Lacking = append(s.Lacking, takingIn)
				return nil
			}
		}
	}
	return nil
}

// takingIn is what lacks for a moment after everything else.
const takingIn = "tasks are taking in how far the others have come"

func countOurs(members []groupMember, application string) (n int) {
	for _, m := range members {
		if m.ours(application) {
			n++
		}
	}
	return n
}

// tickBack is how much of the exchange is read when a look begins: some ticks of each worker.
const tickBack = 6 * tickInterval

// open makes the client, which reads one partition of the exchange from a few ticks before
// its newest record.
func (w *awaiter) open(ctx context.Context) error {
	if w.cl != nil {
		return nil
	}
	cl, err := kgo.NewClient(append(w.cfg.clientOptions(w.cfg.ApplicationID+"-await"), kgo.UnknownTopicRetries(-1))...)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if err := meet(ctx, cl); err != nil {
		cl.Close()
		return fmt.Errorf("brokers %s do not answer: %w", strings.Join(w.cfg.Brokers, ", "), err)
	}
	w.cl = cl
	adm, exchange := kadm.NewClient(cl), w.cfg.ExchangeTopic()
	newest, err := adm.ListMaxTimestampOffsets(ctx, exchange)
	if err != nil {
		return fmt.Errorf("list the offsets of %s: %w", exchange, err)
	}
	n, ok := newest.Lookup(exchange, 0)
	if errors.Is(n.Err, kerr.UnknownTopicOrPartition) || !ok {
		return fmt.Errorf("topic %s is not there: no instance has started yet", exchange)
	}
	if n.Err != nil {
		return fmt.Errorf("list the offsets of %s: %w", exchange, n.Err)
	}
	end, err := w.committedEnd(ctx)
	if err != nil {
		return err
	}
	from, err := adm.ListOffsetsAfterMilli(ctx, max(n.Timestamp-tickBack.Milliseconds(), 0), exchange)
	if err != nil {
		return fmt.Errorf("list the offsets of %s: %w", exchange, err)
	}
	o, _ := from.Lookup(exchange, 0)
	if o.Err != nil {
		return fmt.Errorf("list the offsets of %s: %w", exchange, o.Err)
	}
	w.told = clocksTold{next: o.Offset, since: end.Offset, latest: map[int32]toldClock{}, newest: call.Unheard}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{exchange: {0: kgo.NewOffset().At(o.Offset)}})
	return nil
}

// readTicks reads what has come to the exchange, to where it ends now.
func (w *awaiter) readTicks(ctx context.Context) error {
	exchange := w.cfg.ExchangeTopic()
	end, err := w.committedEnd(ctx)
	if err != nil {
		return err
	}
	for w.told.next < end.Offset {
		fetches := w.cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("read %s-0: %w", exchange, ctx.Err())
		}
		if err := fetchError(fetches); err != nil {
			return err
		}
		for it := fetches.RecordIter(); !it.Done(); {
			if err := w.told.take(it.Next()); err != nil {
				return err
			}
		}
	}
	return nil
}

// committedEnd is where what is committed of the partition ends.
func (w *awaiter) committedEnd(ctx context.Context) (kadm.ListedOffset, error) {
	exchange := w.cfg.ExchangeTopic()
	ends, err := kadm.NewClient(w.cl).ListCommittedOffsets(ctx, exchange)
	end, _ := ends.Lookup(exchange, 0)
	if err = cmp.Or(err, end.Err); err != nil {
		return end, fmt.Errorf("list the end offset of %s-0: %w", exchange, err)
	}
	return end, nil
}

func (t *clocksTold) take(r *kgo.Record) error {
	t.next = r.Offset + 1
	if r.Attrs.IsControl() {
		return nil
	}
	clocks, err := topology.ClocksTold(r.Value)
	if err != nil {
		return fmt.Errorf("%s-%d at %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	at := call.Arrival(r.Timestamp.UnixMilli())
	if len(clocks) > 0 && r.Offset >= t.since {
		t.seen = time.Now()
	}
	for _, c := range clocks {
		t.latest[c.Task] = toldClock{c, at}
	}
	t.newest = max(t.newest, at)
	return nil
}

// unheardMax is how long a stitch task may tell no clock before it counts as being
// restored, or nobody's.
const unheardMax = 10 * tickInterval

// settle says where the session clock is, of so many tasks, and what of it lacks.
func (t *clocksTold) settle(s *Standing, tasks int32, within time.Duration, now time.Time) {
	if t.seen.IsZero() {
		if s.Instances > 0 {
			s.Lacking = append(s.Lacking, "no instance has told yet how far it is: it restores, or waits for partitions")
		}
		return
	}
	var silent []string
	slowest := call.Arrival(math.MaxInt64)
	for task := range tasks {
		c, ok := t.latest[task]
		if !ok || t.newest-c.at > call.Arrival(unheardMax.Milliseconds()) {
			silent = append(silent, itoa(task))
			continue
		}
		slowest = min(slowest, c.Time)
	}
	if len(silent) > 0 {
		if s.Instances > 0 {
			s.Lacking = append(s.Lacking, "no instance tells how far the stitch tasks "+strings.Join(silent, ", ")+" have come: they are being restored, or have no owner yet")
		}
		return
	}
	if slowest == call.Unheard {
		s.Lacking = append(s.Lacking, "not all source partitions were heard of yet")
		return
	}
	s.SessionClock = slowest
	s.Late = max(time.Duration(t.newest-slowest)*time.Millisecond, 0)
	if quiet := now.Sub(t.seen); quiet > tickInterval { // the brokers' time goes on, though nothing tells it
		s.Late += quiet
	}
	if s.Late > within {
		s.Lacking = append(s.Lacking, fmt.Sprintf("the session clock is %v behind, at %s", s.Late.Round(time.Millisecond*100), instant(slowest)))
	}
}

func instant(at call.Arrival) string { return time.UnixMilli(int64(at)).UTC().Format(time.RFC3339) }

// lookAtOffsets compares what the group has committed with where partitions end, and ended.
func (w *awaiter) lookAtOffsets(ctx context.Context, s *Standing) error {
	sources, exchange, err := w.partitions(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	found, err := listOffsets(ctx, w.cl, slices.Concat(sources, exchange), endOffset)
	if err != nil {
		return fmt.Errorf("list the end offsets of the sources and of %s: %w", w.cfg.ExchangeTopic(), err)
	}
	resp, err := whenLoaded(ctx, func() (*kmsg.OffsetFetchResponse, error) { return fetchOffsets(ctx, w.cl, w.cfg.ApplicationID, false) })
	if err != nil {
		return fmt.Errorf("fetch the offsets of group %s: %w", w.cfg.ApplicationID, err)
	}
	committed := map[topology.TopicPartition]stable{}
	for tp, p := range partitionsIn(resp) {
		committed[tp] = stable{p.Offset, text(p.Metadata)}
	}
	var late []lateness
	for _, tp := range slices.Concat(sources, exchange) {
		end, ok := found[tp]
		if !ok {
			if was, known := w.report(tp, committed[tp]); known && was.Dropped != 0 {
				continue // nobody waits for it
			}
			s.Lacking = append(s.Lacking, "no broker says how far "+tp.String()+" reaches")
			continue
		}
		read := max(committed[tp].offset, 0)
		left := max(end.Offset-read, 0)
		if tp.Topic == w.cfg.ExchangeTopic() {
			w.read[tp.Partition] = read
			s.Exchange += left
		} else {
			s.Records += left
		}
		if w.note(tp, now, end.Offset); read < w.ends[tp][0].end {
			late = append(late, lateness{tp, left, committed[tp]})
		}
	}
	s.Lacking = append(s.Lacking, w.tell(late)...)
	return nil
}

// note remembers where a partition ends now, and forgets what is too long ago to tell of.
func (w *awaiter) note(tp topology.TopicPartition, now time.Time, end int64) {
	kept := slices.DeleteFunc(w.ends[tp], func(e endAt) bool { return now.Sub(e.at) > w.within || e.end > end })
	w.ends[tp] = append(kept, endAt{now, end})
}

// lateness is a partition that is further behind than it may be.
type lateness struct {
	topology.TopicPartition
	records int64
	at      stable
}

// latestTold bounds the partitions that are named.
const latestTold = 3

// tell says which partitions are behind, the furthest first.
func (w *awaiter) tell(late []lateness) (lines []string) {
	slices.SortFunc(late, func(a, b lateness) int {
		return cmp.Or(cmp.Compare(b.records, a.records), a.Compare(b.TopicPartition))
	})
	for i, l := range late {
		if i == latestTold {
			lines = append(lines, fmt.Sprintf("and %d more partitions are behind", len(late)-i))
			break
		}
		line := fmt.Sprintf("%s is %d records behind", l, l.records)
		if at, ok := w.reads(l); ok {
			line += ", at " + instant(at)
		}
		lines = append(lines, line)
	}
	return lines
}

// reads is the arrival time that a source partition has come to.
func (w *awaiter) reads(l lateness) (at call.Arrival, ok bool) {
	r, ok := w.report(l.TopicPartition, l.at)
	return r.Arrival, ok && r.Arrival != call.Unheard
}

// report is what the task of a source partition has left beside its offset.
func (w *awaiter) report(tp topology.TopicPartition, at stable) (r topology.Report, ok bool) {
	if !slices.Contains(w.cfg.rawTopics(), tp.Topic) {
		return r, false
	}
	task, _, err := committedTask(w.cfg, tp, kadm.OffsetResponse{Offset: kadm.Offset{At: at.offset, Metadata: at.metadata}})
	if err != nil {
		return r, false
	}
	return task.Report(), true
}

// partitions are those of the sources and of the exchange, as they are now.
func (w *awaiter) partitions(ctx context.Context) (sources, exchange []topology.TopicPartition, err error) {
	names := append(w.cfg.rawTopics(), w.cfg.ExchangeTopic())
	details, err := kadm.NewClient(w.cl).ListTopics(ctx, names...)
	if err != nil {
		return nil, nil, fmt.Errorf("list topics: %w", err)
	}
	for _, name := range names {
		d := details[name]
		if err := missing(name, d); err != nil {
			return nil, nil, err
		}
		for _, p := range slices.Sorted(maps.Keys(d.Partitions)) {
			tp := topology.TopicPartition{Topic: name, Partition: p}
			if name == w.cfg.ExchangeTopic() {
				exchange = append(exchange, tp)
			} else {
				sources = append(sources, tp)
			}
		}
	}
	if n := int32(len(exchange)); n != w.cfg.ExchangePartitions {
		return nil, nil, mismatch(w.cfg.ExchangeTopic(), "has %d partitions where exchange_partitions is %d: is this the configuration of what runs?", n, w.cfg.ExchangePartitions)
	}
	return sources, exchange, nil
}
