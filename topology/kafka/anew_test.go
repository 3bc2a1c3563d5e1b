package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// deleted deletes a topic, and gives the id that it had as tools show it.
func deleted(t *testing.T, cfg Config, topic string) (id string) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	details, err := adm.ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adm.DeleteTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	return idText(details[topic].ID)
}

// remade deletes a topic and makes it anew, with the configs of the old one. It gives the
// old id and the new.
func remade(t *testing.T, cfg Config, topic string, partitions int32) (was, is string) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	configs := map[string]*string{}
	described, err := adm.DescribeTopicConfigs(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range described[0].Configs {
		if c.Source == 1 { // set for this topic
			configs[c.Key] = c.Value
		}
	}
	was = deleted(t, cfg, topic)
	return was, created(t, cfg, topic, partitions, configs)
}

// created makes a topic that may just have been deleted, and gives its id.
func created(t *testing.T, cfg Config, topic string, partitions int32, configs map[string]*string) (id string) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		adm := kadm.NewClient(cl)
		resp, err := adm.CreateTopic(t.Context(), partitions, 1, configs, topic)
		if err == nil {
			for details, _ := adm.ListTopics(t.Context(), topic); !details.Has(topic); { // brokers learn of it in a moment
				time.Sleep(20 * time.Millisecond)
				details, _ = adm.ListTopics(t.Context(), topic)
			}
			return idText(resp.ID)
		}
		if time.Now().After(deadline) {
			t.Fatalf("make %s anew: %v", topic, err)
		}
	}
}

// follows has every partition of the source go on at an offset of the new topic.
func follows(t *testing.T, cfg Config, partitions int32, at int64) {
	t.Helper()
	emptied(t, cfg)
	for p := range partitions {
		tp := topology.TopicPartition{Topic: cfg.Sources[0].Topic, Partition: p}
		if move, err := Seek(t.Context(), cfg, tp, at, true); err != nil || !move.Anew || move.Passed != at {
			t.Fatalf("the move is %+v, %v", move, err)
		}
	}
}

// emptied waits until the group has given up the members that did not leave.
func emptied(t *testing.T, cfg Config) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		members, err := groupMembers(t.Context(), cl, cfg.ApplicationID)
		if err == nil && len(members) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the group has members: %v, %v", members, err)
		}
	}
}

// in gives records to so many partitions.
func in(records []topologytest.Raw, partitions int32) []topologytest.Raw {
	records = slices.Clone(records)
	for i := range records {
		records[i].Partition = int32(i) % partitions
	}
	return records
}

// checked holds that check finds what a start would end with.
func checked(t *testing.T, cfg Config, words ...string) {
	t.Helper()
	var found strings.Builder
	for _, f := range Examine(t.Context(), cfg) {
		if f.Err != nil {
			fmt.Fprintln(&found, f.Err)
		}
	}
	for _, w := range words {
		if !strings.Contains(found.String(), w) {
			t.Errorf("check finds %q, which does not say %q", found.String(), w)
		}
	}
}

// TestSourceMadeAnewWhileStopped deletes the source and makes it anew while no instance
// runs, again and again: whatever is in the new one, the start says so, and has read
// nothing; and once it was said where to go on, all of it is read and the books balance.
func TestSourceMadeAnewWhileStopped(t *testing.T) {
	cfg := apache(t, 2)
	source := cfg.Sources[0].Topic
	calls := onTopic(cfg, topologytest.Calls(41, 40, 10*time.Second).Shuffle(41, 2, time.Second, 0))
	read := len(calls) / 4
	feed(t, cfg, calls[:read])
	r := startRun(t, cfg)
	awaitBooks(t, cfg, read, 20*time.Second)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what       string
		partitions int32
		records    int
	}{
		{"it is empty", 2, 0},
		{"it has fewer records than were read", 2, 20},
		{"it has more, and more partitions", 3, len(calls) / 2},
	} {
		t.Log(c.what)
		was, is := remade(t, cfg, source, c.partitions)
		feed(t, cfg, in(calls[read:min(read+c.records, len(calls))], c.partitions))
		refused(t, cfg, ErrLostOffsets, source+"-0", was, is, "callstitch seek")
		checked(t, cfg, was, is)
		follows(t, cfg, 2, 0)
		r := startRun(t, cfg)
		feed(t, cfg, in(calls[:10], c.partitions)) // and what comes later
		read += c.records + 10
		awaitBooks(t, cfg, read, 20*time.Second)
		if err := r.stop(t); err != nil {
			t.Fatal(err)
		}
	}

	remade(t, cfg, source, 2)
	refused(t, cfg, ErrLostOffsets, source+"-0", "--partitions 3")
	tp := topology.TopicPartition{Topic: source}
	if _, err := Seek(t.Context(), cfg, tp, 0, true); err == nil || !strings.Contains(err.Error(), "--partitions 3") {
		t.Errorf("a topic with fewer partitions is gone on with: %v", err)
	}
	feed(t, cfg, calls[:20])
	startRun(t, reset(t, cfg))
	awaitBooksOf(t, cfg, 2, 20)
}

// awaitBooksOf waits until the newest books of the first partitions hold so many records,
// and nothing of before.
func awaitBooksOf(t *testing.T, cfg Config, partitions, records int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		read, events := make([]float64, partitions), make([]float64, partitions)
		for _, b := range decoded(t, cfg, cfg.Topics.Audit, schemas.Audit) {
			if p := int(b["partition"].(float64)); p < partitions {
				read[p] = b["read"].(float64)
				events[p] = b["accepted"].(float64) + b["duplicate"].(float64) + b["conflicting"].(float64) + b["late"].(float64)
			}
		}
		sum := 0.0
		for _, n := range read {
			sum += n
		}
		if sum == float64(records) && slices.Equal(read, events) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the books hold %v records and %v events, want %d", read, events, records)
		}
	}
}

// TestInternalTopicsMadeAnew deletes the topics that hold the state and makes them anew
// under traffic: there is nothing to go on with.
func TestInternalTopicsMadeAnew(t *testing.T) {
	for name, topic := range map[string]func(Config) string{
		"changelog": func(c Config) string { return c.ChangelogTopic() },
		"exchange":  func(c Config) string { return c.ExchangeTopic() },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := apache(t, 2)
			calls := onTopic(cfg, topologytest.Calls(46, 40, 10*time.Second).Shuffle(46, 2, time.Second, 0))
			half := len(calls) / 2
			feed(t, cfg, calls[:half])
			r := startRun(t, cfg)
			awaitBooks(t, cfg, half, 20*time.Second)
			was, is := remade(t, cfg, topic(cfg), cfg.ExchangePartitions)
			feed(t, cfg, calls[half:])
			endedWith(t, ends(t, r, 20*time.Second), ErrLostOffsets, topic(cfg), was, is, "reset")
			refused(t, cfg, ErrLostOffsets, topic(cfg), "reset")
		})
	}
}

// TestOffsetsOfATopicThatIsGone has offsets that belong to another topic than there is:
// the brokers did not delete them with it, or a tool has copied them from elsewhere.
func TestOffsetsOfATopicThatIsGone(t *testing.T) {
	cfg := apache(t, 2)
	calls := onTopic(cfg, topologytest.Calls(41, 20, 10*time.Second).Shuffle(41, 2, time.Second, 0))
	feed(t, cfg, calls)
	r := startRun(t, cfg)
	awaitBooks(t, cfg, len(calls), 20*time.Second)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{cfg.Sources[0].Topic, cfg.ChangelogTopic(), cfg.ExchangeTopic()} {
		t.Run(topic, func(t *testing.T) {
			cl := client(t, cfg)
			defer cl.Close()
			adm := kadm.NewClient(cl)
			committed, err := adm.FetchOffsets(t.Context(), cfg.ApplicationID)
			if err != nil {
				t.Fatal(err)
			}
			details, err := adm.ListTopics(t.Context(), topic)
			if err != nil {
				t.Fatal(err)
			}
			is := idText(details[topic].ID)
			was := idText(kadm.TopicID{1, 2, 3})
			before, after := committed.Offsets(), make(kadm.Offsets)
			before.Each(func(o kadm.Offset) {
				if own := o.Topic == topic || o.Topic == cfg.ExchangeTopic(); own && !strings.Contains(o.Metadata, topic+"="+is) {
					t.Errorf("%s-%d does not say what it belongs to: %q", o.Topic, o.Partition, o.Metadata)
				}
				o.Metadata = strings.ReplaceAll(o.Metadata, topic+"="+is, topic+"="+was)
				after.Add(o)
			})
			if err := adm.CommitAllOffsets(t.Context(), cfg.ApplicationID, after); err != nil {
				t.Fatal(err)
			}
			refused(t, cfg, ErrLostOffsets, topic, was, is)
			checked(t, cfg, was, is)
			if err := adm.CommitAllOffsets(t.Context(), cfg.ApplicationID, before); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestOffsetOfASourceIsGone deletes the offset of a partition, as its expiry does: it was
// read, and so is no new one.
func TestOffsetOfASourceIsGone(t *testing.T) {
	cfg := apache(t, 2)
	calls := onTopic(cfg, topologytest.Calls(42, 40, 10*time.Second).Shuffle(42, 2, time.Second, 0))
	half := len(calls) / 2
	feed(t, cfg, calls[:half])
	r := startRun(t, cfg)
	awaitBooks(t, cfg, half, 20*time.Second)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	source := topology.TopicPartition{Topic: cfg.Sources[0].Topic, Partition: 1}
	at := committedAt(t, cfg, source)
	cl := client(t, cfg)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	drop := func(topic string) {
		set := make(kadm.TopicsSet)
		set.Add(topic, 1)
		if _, err := adm.DeleteOffsets(t.Context(), cfg.ApplicationID, set); err != nil {
			t.Fatal(err)
		}
	}
	drop(source.Topic)
	feed(t, cfg, calls[half:])
	refused(t, cfg, ErrLostOffsets, fmt.Sprintf("%s, which was read to %d", source, at), "expired", "callstitch seek")
	checked(t, cfg, source.String())
	if move, err := Seek(t.Context(), cfg, source, at, true); err != nil || move.From != at || move.Anew {
		t.Errorf("the move is %+v, %v", move, err)
	}
	r = startRun(t, cfg)
	awaitBooks(t, cfg, len(calls), 20*time.Second)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	drop(cfg.ExchangeTopic())
	refused(t, cfg, ErrLostOffsets, cfg.ExchangeTopic()+"-1", "reset")
}

// TestSourceMadeAnewUnderTraffic deletes the source and makes it anew while two instances
// read it, at once or after a while: they have just read what no tick tells yet, and what
// they had counted goes with it. The books balance all the same.
func TestSourceMadeAnewUnderTraffic(t *testing.T) {
	for name, pause := range map[string]time.Duration{"at once": 0, "after a while": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			cfg := apache(t, 2)
			source := cfg.Sources[0].Topic
			calls := onTopic(cfg, topologytest.Calls(43, 60, 10*time.Second).Shuffle(43, 2, time.Second, 0))
			third := len(calls) / 3
			var events atomic.Int64
			cfg.OnCommit = func(outputs []topology.Output) {
				for _, o := range outputs {
					if o.Sink() == topology.Events {
						events.Add(1)
					}
				}
			}
			second := cfg
			second.InstanceID = "two"
			one, two := startRun(t, cfg), startRun(t, second)
			stop := trickle(t, cfg, calls[:third])
			for deadline := time.Now().Add(20 * time.Second); events.Load() < int64(third/3); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d events came", events.Load())
				}
			}
			id := deleted(t, cfg, source)
			stop()
			time.Sleep(pause)
			created(t, cfg, source, 2, map[string]*string{"retention.ms": kadm.StringPtr("-1")})
			feed(t, cfg, calls[third:2*third])
			for _, r := range []*run{one, two} {
				endedWith(t, ends(t, r, 15*time.Second), ErrLostOffsets, source, id)
			}
			refused(t, cfg, ErrLostOffsets, source, id)
			follows(t, cfg, 2, 0)
			startRun(t, cfg)
			feed(t, cfg, calls[2*third:])
			awaitWhole(t, cfg)
		})
	}
}

// TestSourceDeletedUnderTraffic deletes the source, and does not make it anew.
func TestSourceDeletedUnderTraffic(t *testing.T) {
	cfg := apache(t, 2)
	calls := onTopic(cfg, topologytest.Calls(44, 20, 10*time.Second).Shuffle(44, 2, time.Second, 0))
	feed(t, cfg, calls)
	r := startRun(t, cfg)
	awaitBooks(t, cfg, len(calls), 20*time.Second)
	deleted(t, cfg, cfg.Sources[0].Topic)
	for r.status.Snapshot().Ready() && len(r.done) == 0 {
		time.Sleep(20 * time.Millisecond)
	}
	if len(r.done) > 0 {
		t.Error("it was ready to its end")
	}
	endedWith(t, ends(t, r, 30*time.Second), ErrTopicMismatch, cfg.Sources[0].Topic, "deleted")
}

// ends waits for what an instance ends with.
func ends(t *testing.T, r *run, within time.Duration) error {
	t.Helper()
	select {
	case err := <-r.done:
		r.done <- nil
		return err
	case <-time.After(within):
		t.Fatalf("it goes on after %v: %+v", within, r.status.Snapshot())
		return nil
	}
}

// trickle writes records little by little, until it is stopped.
func trickle(t *testing.T, cfg Config, records []topologytest.Raw) (stop func()) {
	t.Helper()
	cl := client(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, r := range records {
			cl.ProduceSync(ctx, toKafka(r.Record)) // until the topic is gone
			wait(ctx, 5*time.Millisecond)
		}
	}()
	t.Cleanup(func() {
		cancel()
		cl.Close()
		<-done
	})
	return cancel
}

// awaitWhole waits until the books cover all that is in the source now, and holds that
// they balance, with all that was read before.
func awaitWhole(t *testing.T, cfg Config) (read float64) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), cfg.Sources[0].Topic)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		books := map[int32]map[string]any{}
		for _, b := range decoded(t, cfg, cfg.Topics.Audit, schemas.Audit) {
			books[int32(b["partition"].(float64))] = b
		}
		missing := 0
		ends.Each(func(end kadm.ListedOffset) {
			if b := books[end.Partition]; b == nil || b["next_offset"] != float64(end.Offset) {
				missing++
			}
		})
		if missing == 0 {
			return balanced(t, cfg, books)
		}
		if time.Now().After(deadline) {
			t.Fatalf("the books do not cover the source: %v, want %v", books, ends)
		}
	}
}

func balanced(t *testing.T, cfg Config, books map[int32]map[string]any) (read float64) {
	t.Helper()
	published := 0.0
	for _, b := range books {
		n := func(field string) float64 { return b[field].(float64) }
		if n("events") != n("accepted")+n("duplicate")+n("conflicting")+n("late") || n("read") != n("decoded")+n("ignored")+n("rejected") {
			t.Errorf("a book is out of balance: %v", b)
		}
		published += n("accepted") + n("late")
		read += n("read")
	}
	if n := len(readRecords(t, cfg, cfg.Topics.Events)); float64(n) != published {
		t.Errorf("%d events were published, the books hold %v", n, published)
	}
	return read
}
