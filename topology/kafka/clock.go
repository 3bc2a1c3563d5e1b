package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/topology"
)

// The clock that closes sessions is the smallest of what was vouched for the partitions of
// all sources, and stands beside their offsets. So who looks at the brokers alone can tell
// which partition holds it, since when and why: while instances run, and while none does.

// tickInterval is how often a worker tells all stitch tasks how far its tasks
// are. It bounds how exact timers are; per commit it would cost a record for
// each worker and exchange partition.
const tickInterval = 500 * time.Millisecond

// heldLimit is how long a clock may stand before the brokers are asked why: ten ticks.
const heldLimit = 10 * tickInterval

// LeadMax is how far dates may be ahead of the brokers' clock before this is told. What
// is less comes of clocks that differ as clocks do, and of ticks.
const LeadMax = topology.Leeway

// SourceState is how a source partition is with the clock.
type SourceState string

// The states, in the words of programs.
const (
	SourceIdle        SourceState = "idle"             // nothing waits in it, and it goes by the brokers' clock
	SourceBehind      SourceState = "behind"           // records wait in it, and can be read
	SourceOpen        SourceState = "open_transaction" // its readers wait behind an open transaction
	SourceLeaderless  SourceState = "no_leader"        // no broker leads it
	SourceSilent      SourceState = "no_answer"        // its leader does not say how far it reaches
	SourceUnowned     SourceState = "no_owner"         // nobody reads it
	SourceUnread      SourceState = "not_read"         // nothing was committed for it
	SourceDropped     SourceState = "dropped"          // it does not hold the clock until it is read again
	SourceUnavailable SourceState = "no_partition"     // the topic has it no more
)

// SourceClock is what the brokers tell of a source partition.
type SourceClock struct {
	topology.TopicPartition
	State SourceState
	// Vouched is the latest time that an instance has vouched for: arrivals of the partition
	// come after it, so nothing closes by a later one. call.Unheard where that is not known.
	Vouched  call.Arrival
	Position int64     // where it goes on; -1 without an offset
	End      int64     // its high watermark; -1 where no broker says
	Leader   int32     // -1 without one
	Replicas []int32   // the brokers that have it
	Owner    string    // the instance that reads it; empty where none does
	Dropped  time.Time // when it was dropped from the clock; zero: it is in it
	Open     *OpenTransaction
}

// Waiting is how many offsets are still to be read; -1 where no broker says.
func (c *SourceClock) Waiting() int64 {
	if c.End < 0 || c.Position < 0 {
		return -1
	}
	return max(c.End-c.Position, 0)
}

// Why says in a sentence why the partition stands where it does.
func (c *SourceClock) Why() string {
	switch c.State {
	case SourceIdle:
		return "nothing waits in it"
	case SourceBehind:
		return fmt.Sprintf("%d offsets wait to be read, from %d on", c.Waiting(), c.Position)
	case SourceOpen:
		return "it is read no further than " + c.Open.String()
	case SourceLeaderless:
		return "it has no leader; " + brokersWord(c.Replicas) + " has it"
	case SourceSilent:
		return fmt.Sprintf("broker %d, which leads it, does not say how far it reaches", c.Leader)
	case SourceUnowned:
		return "no instance reads it"
	case SourceUnread:
		return "nothing was read of it yet"
	case SourceDropped:
		return fmt.Sprintf("it was dropped from the clock at %s, until it is read again from offset %d on", clockTime(c.Dropped), c.Position)
	}
	return "its topic has it no more"
}

// Remedy says what to do where the partition holds the clock; empty where that is nothing.
func (c *SourceClock) Remedy() string {
	switch c.State {
	case SourceBehind:
		return "wait, or scale; where its offset stands, see the log of the instance that owns it"
	case SourceOpen:
		return c.Open.Remedy()
	case SourceLeaderless, SourceSilent:
		return fmt.Sprintf("bring %s back; where it is gone for good: callstitch clock drop %s %d", brokersWord(c.Replicas), c.Topic, c.Partition)
	case SourceUnowned:
		return "start callstitch, with this topic in its sources"
	}
	return ""
}

func brokersWord(replicas []int32) string {
	ids := make([]string, len(replicas))
	for i, r := range replicas {
		ids[i] = itoa(r)
	}
	if len(ids) == 1 {
		return "broker " + ids[0]
	}
	return "one of brokers " + strings.Join(ids, ", ")
}

// Clocks is what holds the clocks of an application, as the brokers tell it.
type Clocks struct {
	// Sources are the source partitions, with that first which holds the leg clock.
	Sources []SourceClock
	// Open are the transactions that are open for longer than heldLimit, or that nobody ends,
	// of all that callstitch reads: sources, exchange and changelog.
	Open []OpenTransaction
	// Unknown is why it is not known which transactions are open, if it is not: such as a
	// coordinator that does not answer.
	Unknown error
	// Members is the number of instances.
	Members int
}

// HeldBy is the partition that holds the leg clock; false where there is none, or nothing
// was read yet.
func (c *Clocks) HeldBy() (SourceClock, bool) {
	begun := c.Members > 0 || slices.ContainsFunc(c.Sources, func(s SourceClock) bool { return s.Position >= 0 })
	if len(c.Sources) == 0 || !begun {
		return SourceClock{}, false
	}
	return c.Sources[0], true
}

// Held reports whether a partition holds the leg clock up, by more than what ticks and
// clocks differ by, so that something is to be done, or waited for: soon where it cannot be
// read. Where all are idle the clock stands only because nothing runs.
func (c *Clocks) Held(now time.Time) (SourceClock, bool) {
	first, ok := c.HeldBy()
	if !ok || first.State == SourceIdle || first.State == SourceDropped || first.State == SourceUnavailable {
		return first, false
	}
	limit := LeadMax
	if first.State.unreadable() {
		limit = heldLimit
	}
	return first, first.Vouched == call.Unheard || now.Sub(time.UnixMilli(int64(first.Vouched))) > limit
}

// clocksLimit bounds a look at the clocks.
const clocksLimit = 3 * attemptLimit

// ReadClocks asks the brokers what holds the clock. It changes nothing.
func ReadClocks(ctx context.Context, cfg Config) (*Clocks, error) {
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, clocksLimit)
	defer cancel()
	cl, err := connect(ctx, &cfg, "clock")
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	return readClocks(ctx, &cfg, cl)
}

func readClocks(ctx context.Context, cfg *Config, cl *kgo.Client) (*Clocks, error) {
	members, err := whenLoaded(ctx, func() ([]groupMember, error) { return groupMembers(ctx, cl, cfg.ApplicationID) })
	if err != nil {
		return nil, err
	}
	adm := kadm.NewClient(cl)
	committed, err := committedOffsets(ctx, cfg, adm)
	if err != nil {
		return nil, err
	}
	details, err := adm.ListTopics(ctx, cfg.rawTopics()...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	c := &Clocks{Members: len(members)}
	for _, topic := range cfg.rawTopics() {
		of, err := sourceClocks(cfg, details[topic], committed[topic], members)
		if err != nil {
			return nil, err
		}
		c.Sources = append(c.Sources, of...)
	}
	if err := c.askLeaders(ctx, cfg, cl); err != nil {
		return nil, err
	}
	slices.SortStableFunc(c.Sources, func(a, b SourceClock) int {
		return cmp.Or(cmp.Compare(a.State.rank(), b.State.rank()), cmp.Compare(a.Vouched, b.Vouched), a.Compare(b.TopicPartition))
	})
	return c, nil
}

// unreadable reports whether no instance gets on with the partition, as it is.
func (s SourceState) unreadable() bool {
	return s == SourceLeaderless || s == SourceSilent || s == SourceOpen
}

// rank has what the clock does not wait for stand behind the rest.
func (s SourceState) rank() int {
	switch s {
	case SourceIdle:
		return 1
	case SourceDropped, SourceUnavailable:
		return 2
	}
	return 0
}

// sourceClocks is what offsets and metadata tell of the partitions of a topic.
func sourceClocks(cfg *Config, d kadm.TopicDetail, committed map[int32]kadm.OffsetResponse, members []groupMember) (all []SourceClock, err error) {
	numbers := d.Partitions.Numbers()
	for p := range committed {
		if !slices.Contains(numbers, p) {
			numbers = append(numbers, p)
		}
	}
	slices.Sort(numbers)
	for _, p := range numbers {
		c := SourceClock{
			TopicPartition: topology.TopicPartition{Topic: d.Topic, Partition: p},
			State:          SourceUnavailable, Vouched: call.Unheard, Position: -1, End: -1, Leader: -1,
		}
		if detail, ok := d.Partitions[p]; ok {
			c.Leader, c.Replicas, c.State = detail.Leader, detail.Replicas, ""
		}
		for _, m := range members {
			if slices.Contains(m.owns[d.Topic], p) {
				c.Owner = m.instance
			}
		}
		if o, ok := committed[p]; ok && o.At >= 0 {
			if err := c.read(cfg, o); err != nil {
				return nil, err
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// read takes in what is committed for the partition.
func (c *SourceClock) read(cfg *Config, o kadm.OffsetResponse) error {
	task, _, err := committedTask(cfg, c.TopicPartition, o)
	if err != nil {
		return err
	}
	c.Position = o.At
	r := task.Report()
	c.Vouched = max(r.Vouched, r.Arrival)
	if r.Dropped > 0 {
		c.Dropped = time.UnixMilli(r.Dropped)
	}
	return nil
}

// committedTask is the decode task as it was committed with an offset.
func committedTask(cfg *Config, tp topology.TopicPartition, o kadm.OffsetResponse) (*topology.DecodeTask, metadata, error) {
	m, err := parseCommitted(o.At, o.Metadata)
	if err != nil {
		return nil, m, committedBy(err, cfg.ApplicationID, tp, o.At)
	}
	task := topology.NewDecodeTask(&cfg.Config, cfg.SourceOf(tp.Topic), tp.Partition)
	return task, m, task.Restore(m.task)
}

// askLeaders asks how far partitions reach, and for transactions that are open in them, and
// says of each source how it is.
func (c *Clocks) askLeaders(ctx context.Context, cfg *Config, cl *kgo.Client) error {
	var all []topology.TopicPartition
	for _, s := range c.Sources {
		if s.State != SourceUnavailable && s.Leader >= 0 {
			all = append(all, s.TopicPartition)
		}
	}
	for p := range cfg.ExchangePartitions {
		for _, topic := range []string{cfg.ExchangeTopic(), cfg.ChangelogTopic()} {
			all = append(all, topology.TopicPartition{Topic: topic, Partition: p})
		}
	}
	asking, cancel := halfOf(ctx) // one that hangs must not keep the others from telling
	defer cancel()
	ends, err := listOffsets(asking, cl, all, endOffset)
	if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) { // nothing is there before the first start
		return fmt.Errorf("ask where partitions end: %w", err)
	}
	all = slices.DeleteFunc(all, func(tp topology.TopicPartition) bool { _, ok := ends[tp]; return !ok })
	open, err := openTransactions(ctx, cl, all)
	if err != nil {
		open, c.Unknown = nil, err // the rest is known
	}
	c.Open = slices.DeleteFunc(open, func(o OpenTransaction) bool { return !o.Hangs() && time.Since(o.Since) < heldLimit })
	for i := range c.Sources {
		s := &c.Sources[i]
		if end, ok := ends[s.TopicPartition]; ok {
			s.End = end.Offset
		}
		for j := range c.Open {
			if c.Open[j].TopicPartition == s.TopicPartition && s.Position >= c.Open[j].First {
				s.Open = &c.Open[j]
			}
		}
		s.State = cmp.Or(s.State, s.state())
	}
	return nil
}

// halfOf is a context that ends when half of what is left of another has passed.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := attemptLimit
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/2)
	}
	return context.WithTimeout(ctx, limit)
}

func (c *SourceClock) state() SourceState {
	switch {
	case !c.Dropped.IsZero():
		return SourceDropped
	case c.Leader < 0:
		return SourceLeaderless
	case c.End < 0:
		return SourceSilent
	case c.Position < 0:
		return SourceUnread
	case c.Open != nil:
		return SourceOpen
	case c.Owner == "":
		return SourceUnowned
	case c.Waiting() > 0:
		return SourceBehind
	}
	return SourceIdle
}
