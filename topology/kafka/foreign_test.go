package kafka

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// somebody is a consumer that was given callstitch's group by mistake.
func somebody(t *testing.T, cfg Config, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl := client(t, cfg, append([]kgo.Opt{
		kgo.ClientID("report-loader"), kgo.ConsumerGroup(cfg.ApplicationID), kgo.ConsumeTopics(cfg.Sources[0].Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
	}, opts...)...)
	t.Cleanup(cl.Close)
	return cl
}

// takes has somebody read and commit so many records, and leave.
func takes(t *testing.T, cl *kgo.Client, records int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for records > 0 {
		fetches := cl.PollRecords(ctx, records)
		if ctx.Err() != nil {
			t.Fatalf("somebody else waits for %d records: %v", records, fetches.Err())
		}
		records -= fetches.NumRecords()
	}
	silent := kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error { // as the Java client commits
		for _, topic := range req.Topics {
			for i := range topic.Partitions {
				topic.Partitions[i].Metadata = kmsg.StringPtr("")
			}
		}
		return nil
	})
	if err := cl.CommitUncommittedOffsets(silent); err != nil {
		t.Fatal(err)
	}
	cl.Close()
}

// moved commits an offset as tools do: with no metadata, or with what was there.
func moved(t *testing.T, cfg Config, at topology.TopicPartition, by int64, keep bool) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	committed, err := adm.FetchOffsets(t.Context(), cfg.ApplicationID)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := committed.Lookup(at.Topic, at.Partition)
	o.At += by
	if !keep {
		o.Metadata = ""
	}
	offsets := make(kadm.Offsets)
	offsets.Add(o.Offset)
	if err := adm.CommitAllOffsets(t.Context(), cfg.ApplicationID, offsets); err != nil {
		t.Fatal(err)
	}
}

// refused runs an instance that must end before it has lost anything.
func refused(t *testing.T, cfg Config, want error, words ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	endedWith(t, Run(ctx, cfg, nil), want, words...)
}

func endedWith(t *testing.T, err, want error, words ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("ended with %v, want %v", err, want)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// TestForeignOffsetsAtStart has somebody else commit offsets of callstitch's group
// while no instance runs, in the ways in which that happens.
func TestForeignOffsetsAtStart(t *testing.T) {
	cfg := apache(t, 2)
	source := topology.TopicPartition{Topic: cfg.Sources[0].Topic}
	calls := onTopic(cfg, topologytest.Calls(21, 40, 10*time.Second).Shuffle(21, 2, time.Second, 0))
	half := len(calls) / 2
	feed(t, cfg, calls[:half])
	r := startRun(t, cfg)
	awaitBalance(t, cfg, half, time.Minute)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	feed(t, cfg, calls[half:])

	moved(t, cfg, source, 5, true) // as a tool that copies offsets from cluster to cluster does
	refused(t, cfg, ErrLostOffsets, source.String())
	moved(t, cfg, source, -5, true)
	const gap = 3
	move := seek(t, cfg, source, committedAt(t, cfg, source)+gap)
	if move.About || move.To != move.From+gap {
		t.Errorf("the move is %+v", move)
	}
	r = startRun(t, cfg)
	awaitGap(t, cfg, len(calls), gap)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	exchange := topology.TopicPartition{Topic: cfg.ExchangeTopic(), Partition: 1}
	moved(t, cfg, exchange, 0, false)
	refused(t, cfg, ErrLostOffsets, exchange.String()+" stands at")
	for _, f := range Examine(t.Context(), cfg) {
		if f.Err != nil && strings.Contains(f.Err.Error(), exchange.String()) {
			return
		}
	}
	t.Error("check does not see it")
}

func committedAt(t *testing.T, cfg Config, tp topology.TopicPartition) int64 {
	t.Helper()
	return committedFor(t, cfg, tp).At
}

func committedFor(t *testing.T, cfg Config, tp topology.TopicPartition) kadm.OffsetResponse {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	committed, err := kadm.NewClient(cl).FetchOffsets(t.Context(), cfg.ApplicationID)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := committed.Lookup(tp.Topic, tp.Partition)
	return o
}

func seek(t *testing.T, cfg Config, tp topology.TopicPartition, to int64) Move {
	t.Helper()
	before, away := committedAt(t, cfg, tp), cfg
	away.Brokers = slices.Concat(slices.Repeat([]string{"127.0.0.1:1"}, 9), cfg.Brokers) // as where most brokers are down
	if _, err := Seek(t.Context(), away, tp, to, false); err != nil {
		t.Fatal(err)
	}
	if now := committedAt(t, cfg, tp); now != before {
		t.Fatalf("a dry run moved the offset from %d to %d", before, now)
	}
	move, err := Seek(t.Context(), cfg, tp, to, true)
	if err != nil {
		t.Fatal(err)
	}
	return move
}

// awaitGap waits until the books cover the whole input, and holds that they tell how
// much of it was passed over.
func awaitGap(t *testing.T, cfg Config, records, gap int) {
	t.Helper()
	awaitBalance(t, cfg, records, time.Minute) // of the events
	books := map[any]map[string]any{}
	missing := 0.0
	for _, b := range decoded(t, cfg, cfg.Topics.Audit, schemas.Audit) {
		books[b["partition"]] = b
	}
	for _, b := range books {
		missing += b["read"].(float64) - b["decoded"].(float64) - b["ignored"].(float64) - b["rejected"].(float64)
	}
	if missing != float64(gap) {
		t.Errorf("the books miss %v records, want %d: %v", missing, gap, books)
	}
}

// TestForeignConsumerWhileStopped has an ordinary consumer of the same group read on
// while no instance runs.
func TestForeignConsumerWhileStopped(t *testing.T) {
	cfg := apache(t, 2)
	calls := onTopic(cfg, topologytest.Calls(21, 40, 10*time.Second).Shuffle(21, 2, time.Second, 0))
	half := len(calls) / 2
	feed(t, cfg, calls[:half])
	r := startRun(t, cfg)
	awaitBalance(t, cfg, half, time.Minute)
	tp := topology.TopicPartition{Topic: cfg.Sources[0].Topic}
	if _, err := Seek(t.Context(), cfg, tp, 0, true); err == nil || !strings.Contains(err.Error(), "stop all instances") {
		t.Errorf("an offset was moved under a running instance: %v", err)
	}
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	if _, err := Seek(t.Context(), cfg, tp, 1<<40, true); err == nil || !strings.Contains(err.Error(), "has offsets from 0 to") {
		t.Errorf("an offset was moved beyond the end: %v", err)
	}
	feed(t, cfg, calls[half:])
	takes(t, somebody(t, cfg), len(calls)-half)
	refused(t, cfg, ErrLostOffsets, cfg.Sources[0].Topic+"-0", cfg.Sources[0].Topic+"-1", "callstitch had read to")

	// Who takes the gap for granted says so, and the books show it.
	gap := 0
	for p := range int32(2) {
		tp := topology.TopicPartition{Topic: cfg.Sources[0].Topic, Partition: p}
		move := seek(t, cfg, tp, committedAt(t, cfg, tp))
		if !move.About {
			t.Errorf("the move is %+v", move)
		}
		gap += int(move.To - move.From)
	}
	startRun(t, cfg)
	last := calls[len(calls)-1:]
	feed(t, cfg, last)
	awaitGap(t, cfg, len(calls)+1, gap)
	if gap < len(calls)-half || gap > len(calls) {
		t.Errorf("%d offsets are missing, %d were taken away", gap, len(calls)-half)
	}
}

// TestForeignConsumerBeforeTheFirstStart gives callstitch a group that was somebody's.
func TestForeignConsumerBeforeTheFirstStart(t *testing.T) {
	cfg := apache(t, 2)
	calls := onTopic(cfg, topologytest.Calls(21, 40, 10*time.Second).Shuffle(21, 2, time.Second, 0))
	feed(t, cfg, calls)
	takes(t, somebody(t, cfg), len(calls))
	refused(t, cfg, ErrLostOffsets, cfg.Sources[0].Topic+"-0")
}

// TestForeignConsumerUnderTraffic has a consumer of the new protocol join under traffic:
// the broker upgrades the group, and gives it what it wants.
func TestForeignConsumerUnderTraffic(t *testing.T) {
	for name, commits := range map[string]bool{"it commits and leaves": true, "it stays": false} {
		t.Run(name, func(t *testing.T) {
			cfg := apache(t, 4)
			calls := onTopic(cfg, topologytest.Calls(21, 60, 10*time.Second).Shuffle(21, 4, time.Second, 0))
			half := len(calls) / 2
			feed(t, cfg, calls[:half])
			r := startRun(t, cfg)
			awaitBalance(t, cfg, half, time.Minute)
			other := somebody(t, cfg, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
			time.Sleep(time.Second)
			feed(t, cfg, calls[half:])
			if commits {
				takes(t, other, 1)
			}
			select {
			case err := <-r.done:
				r.done <- nil
				endedWith(t, err, ErrLostOffsets)
			case <-time.After(15 * time.Second):
				t.Fatal("it went on")
			}
		})
	}
}

// TestForeignMemberAtStart starts callstitch while somebody else is in its group.
func TestForeignMemberAtStart(t *testing.T) {
	for name, opts := range map[string][]kgo.Opt{
		"classic": nil,
		"new":     {kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer())},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := apache(t, 2)
			feed(t, cfg, onTopic(cfg, topologytest.Calls(21, 5, 10*time.Second).Shuffle(21, 2, time.Second, 0)))
			other := somebody(t, cfg, opts...)
			other.PollRecords(t.Context(), 1)
			refused(t, cfg, ErrLostOffsets, "report-loader")
		})
	}
}

// TestForeignOffsetAtAssignment fetches the offset with which a partition comes back
// from somebody who has committed and left meanwhile.
func TestForeignOffsetAtAssignment(t *testing.T) {
	for name, c := range map[string]struct {
		metadata string
		foreign  bool
	}{
		"his":       {"", true},
		"a copy":    {metadata{owner: "app-two-0", at: 6}.String(), true},
		"ours":      {metadata{owner: "app-two-0", at: 7}.String(), false},
		"of before": {metadata{owner: "app-two-0", at: -1}.String(), false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Config: testTopology(4)}
			s := &session{worker: &worker{cfg: &cfg}, mailbox: new(mailbox)}
			p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			p.Partition, p.Offset, p.Metadata = 3, 7, &c.metadata
			topic := kmsg.NewOffsetFetchResponseGroupTopic()
			topic.Topic, topic.Partitions = topologytest.Topic, append(topic.Partitions, p)
			group := kmsg.NewOffsetFetchResponseGroup()
			group.Topics = append(group.Topics, topic)
			if err := s.onFetched(t.Context(), nil, &kmsg.OffsetFetchResponse{Groups: []kmsg.OffsetFetchResponseGroup{group}}); err != nil {
				t.Fatal(err)
			}
			err := s.receive(t.Context())
			if errors.Is(err, ErrLostOffsets) != c.foreign {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// TestSeedsOfTheFirstVersion takes up a group that the first version had seeded, when it
// wrote nothing beside an offset, and that nobody had worked with since.
func TestSeedsOfTheFirstVersion(t *testing.T) {
	cfg := apache(t, 2)
	calls := onTopic(cfg, topologytest.Calls(21, 20, 10*time.Second).Shuffle(21, 2, time.Second, 0))
	feed(t, cfg, calls)
	cl := client(t, cfg)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	full := cfg.withDefaults()
	if _, err := prepareTopics(t.Context(), &full, adm); err != nil {
		t.Fatal(err)
	}
	seeds := make(kadm.Offsets)
	for p := range int32(2) {
		seeds.AddOffset(cfg.Sources[0].Topic, p, 0, -1)
	}
	for p := range cfg.ExchangePartitions {
		seeds.AddOffset(cfg.ExchangeTopic(), p, 0, -1)
	}
	if err := adm.CommitAllOffsets(t.Context(), cfg.ApplicationID, seeds); err != nil {
		t.Fatal(err)
	}
	r := startRun(t, cfg)
	awaitBooks(t, cfg, len(calls), 20*time.Second)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	moved(t, cfg, topology.TopicPartition{Topic: cfg.Sources[0].Topic}, 0, false)
	refused(t, cfg, ErrLostOffsets, cfg.Sources[0].Topic+"-0") // only once
}
