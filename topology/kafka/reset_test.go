package kafka

import (
	"context"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// resetNow resets an application to the next generation.
func resetNow(ctx context.Context, cfg Config, to string) error {
	cfg.Stitch.Generation++
	plan, err := PlanReset(ctx, cfg, ResetOptions{To: to, Execute: true})
	if err != nil {
		return err
	}
	return plan.Execute(ctx, func(string) {})
}

// reset resets an application, and gives the configuration to go on with.
func reset(t *testing.T, cfg Config) Config {
	t.Helper()
	if err := resetNow(t.Context(), cfg, ""); err != nil {
		t.Fatal(err)
	}
	cfg.Stitch.Generation++
	return cfg
}

// planned is the plan of a reset.
func planned(t *testing.T, cfg Config, opts ResetOptions) *ResetPlan {
	t.Helper()
	plan, err := PlanReset(t.Context(), cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// awaitGeneration waits until the topic holds the reference in a generation.
func awaitGeneration(t *testing.T, cfg Config, want []string, within time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(200 * time.Millisecond) {
		last := map[string]map[string]any{}
		for _, s := range decoded(t, cfg, cfg.Topics.Sessions, schemas.Sessions) {
			if s["generation"] == float64(cfg.Stitch.Generation) {
				last[s["session_id"].(string)] = s
			}
		}
		got := canonicalOf(last)
		if reflect.DeepEqual(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %s", within, difference(got, want))
		}
	}
}

// worked has an instance work on all of the records, and stop.
func worked(t *testing.T, cfg Config, want []string) {
	t.Helper()
	r := startRun(t, cfg)
	awaitGeneration(t, cfg, want, 30*time.Second)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
}

// TestResetKilled kills a reset at each of its requests that change something, one after
// the other: whatever is left, an instance that is started then says that it lacks its
// offsets, until there is nothing left that it could go on with; and the last reset
// completes them all.
func TestResetKilled(t *testing.T) {
	cfg := apache(t, 2)
	calls := onTopic(cfg, topologytest.Calls(51, 40, 10*time.Second).Shuffle(51, 2, time.Second, 0.1))
	want := reference(t, calls)
	feed(t, cfg, calls)
	worked(t, cfg, want)
	dies := func(to string, at crashPoint) {
		t.Helper()
		in := startChild(t, childConfig{Brokers: cfg.Brokers, Name: t.Name(), Reset: true, From: cfg.Stitch.Generation, To: to, Crash: at})
		if !in.ends(40 * time.Second) {
			t.Fatalf("the reset did not die at %s:\n%s", at, in.log)
		}
		if at.Key == 42 && !at.Read { // it is under way
			awaitNoGroup(t, cfg)
		}
	}
	for _, at := range []crashPoint{{false, 42, 1}, {true, 8, 1}, {true, 20, 1}, {true, 20, 2}, {true, 19, 3}} { // the first of 19 asks whether it may
		dies("earliest", at)
		refused(t, cfg, ErrLostOffsets, "callstitch reset")
	}
	if err := resetNow(t.Context(), cfg, "earliest"); err != nil {
		t.Fatal(err)
	}
	cfg.Stitch.Generation++
	worked(t, cfg, want)

	dies("", crashPoint{true, 20, 1})
	refused(t, cfg, ErrLostOffsets, cfg.ChangelogTopic(), "callstitch reset")
	dies("", crashPoint{true, 20, 2})
	cfg.Stitch.Generation++
	worked(t, cfg, want) // both topics are gone, as before the first start

	// Somebody by hand, who forgets the exchange.
	cl := client(t, cfg)
	defer cl.Close()
	if _, err := kadm.NewClient(cl).DeleteGroup(t.Context(), cfg.ApplicationID); err != nil {
		t.Fatal(err)
	}
	deleted(t, cfg, cfg.ChangelogTopic())
	refused(t, cfg, ErrLostOffsets, cfg.ExchangeTopic(), "callstitch reset")
}

// awaitNoGroup waits until a request that was under way has deleted the group.
func awaitNoGroup(t *testing.T, cfg Config) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		committed, err := committedOffsets(t.Context(), &cfg, kadm.NewClient(cl))
		if err == nil && len(committed) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the group is still there: %v", err)
		}
	}
}

// TestResetRefuses holds that nothing is changed where anybody is in the group, whether he
// came before the plan was made or after, nor where somebody else resets at the same time.
func TestResetRefuses(t *testing.T) {
	cfg := apache(t, 2)
	calls := onTopic(cfg, topologytest.Calls(52, 10, 5*time.Second).Shuffle(52, 2, time.Second, 0))
	want := reference(t, calls)
	feed(t, cfg, calls)
	next := cfg
	next.Stitch.Generation = 1
	executed := func(p *ResetPlan) error {
		return p.Execute(t.Context(), func(step string) { t.Log(step) })
	}
	if first := planned(t, next, ResetOptions{Execute: true}); !first.Nothing || first.Refused() != nil {
		t.Fatalf("before the first start the plan is %+v, %v", first, first.Refused())
	}

	r := startRun(t, cfg)
	awaitGeneration(t, cfg, want, 20*time.Second)
	now := planned(t, next, ResetOptions{})
	endedWith(t, now.Refused(), ErrInUse, cfg.ApplicationID+"-one-0 at 127.0.0.1", "UTC")
	endedWith(t, executed(now), ErrInUse)
	if now.Published.Generation != 0 || len(now.Sources) != 2 || now.Sources[0].Begin != 0 {
		t.Errorf("the plan of what is refused is %+v", now)
	}
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}

	before, other := planned(t, next, ResetOptions{Execute: true}), planned(t, next, ResetOptions{Execute: true})
	if !reflect.DeepEqual(before, other) {
		t.Errorf("two plans of the same differ: %+v and %+v", before, other)
	}
	r = startRun(t, cfg)
	awaitReady(t, r, 20*time.Second)
	endedWith(t, executed(before), ErrInUse)
	feed(t, cfg, onTopic(cfg, topologytest.Calls(53, 10, 5*time.Second).Shuffle(53, 2, time.Second, 0)))
	awaitBooks(t, cfg, len(calls)+len(topologytest.Calls(53, 10, 5*time.Second).Shuffle(53, 2, time.Second, 0)), 20*time.Second)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	if err := executed(before); err == nil || !strings.Contains(err.Error(), "have moved") {
		t.Errorf("a plan is executed after instances have worked: %v", err)
	}

	before = planned(t, next, ResetOptions{Execute: true})
	late := sessionOf(t, cfg, 0, 7)
	late.Key = []byte("late")
	produce(t, cfg, []*kgo.Record{late})
	endedWith(t, executed(before), ErrGeneration, "set generation: 8")
	if again := planned(t, cfg, ResetOptions{}); len(again.committed) == 0 {
		t.Error("the group was deleted all the same")
	}
	next.Stitch.Generation = 8
	one, two := planned(t, next, ResetOptions{Execute: true}), planned(t, next, ResetOptions{Execute: true})
	if err := executed(one); err != nil {
		t.Fatal(err)
	}
	if err := executed(two); err == nil {
		t.Error("two resets have deleted the same topics")
	}
	cl := client(t, cfg)
	defer cl.Close()
	second := resetting{ResetPlan: two, cl: cl, adm: kadm.NewClient(cl)} // it may have looked before the first was done
	for _, topic := range two.Topics {
		if err := second.deleteTopic(t.Context(), topic); err == nil || !strings.Contains(err.Error(), "somebody else") {
			t.Errorf("the second deletes the %s that the first has made: %v", topic.Name, err)
		}
	}
	third := resetting{ResetPlan: planned(t, next, ResetOptions{Execute: true, To: "latest"}), cl: cl, adm: kadm.NewClient(cl)}
	if err := third.seedExchange(t.Context()); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("a reset completes the offsets that another has deleted: %v", err)
	}
	if again := planned(t, next, ResetOptions{Execute: true}); !again.Nothing || again.Refused() != nil || executed(again) != nil {
		t.Errorf("after a reset there is something to reset: %+v", again)
	}
}

// TestResetPlan holds what a plan says of sources, topics and transactions, against what is
// there; and that a reset does that.
func TestResetPlan(t *testing.T) {
	cfg := apache(t, 2)
	calls := onTopic(cfg, topologytest.Calls(54, 20, 5*time.Second).Shuffle(54, 2, time.Second, 0))
	feed(t, cfg, calls)
	worked(t, cfg, reference(t, calls))
	cl := client(t, cfg)
	defer cl.Close()
	adm := kadm.NewClient(cl)

	// Retention has taken the beginning of one partition; of the other there is more.
	first := make(kadm.Offsets)
	first.AddOffset(cfg.Sources[0].Topic, 0, 5, -1)
	if _, err := adm.DeleteRecords(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	produce(t, cfg, []*kgo.Record{{Topic: cfg.Sources[0].Topic, Partition: 1, Value: []byte("[]")}})
	// An instance that is gone has left a transaction open. Another application, whose name
	// begins with ours, is at work.
	open := leaves(t, cfg, cfg.ApplicationID+"-gone-0", cfg.ExchangeTopic(), cfg.Topics.Sessions)
	defer open.Close()
	others := leaves(t, cfg, cfg.ApplicationID+"-green-one-0", cfg.Topics.Events)
	defer others.Close()

	cfg.Stitch.Generation, cfg.ExchangePartitions = 1, 3
	in := map[int32]int64{}
	for _, r := range calls {
		in[r.Partition]++
	}
	plan := planned(t, cfg, ResetOptions{To: "latest", Execute: true})
	if err := plan.Refused(); err != nil {
		t.Fatal(err)
	}
	source := cfg.Sources[0].Topic
	if want := []ResetPartition{
		{Topic: source, Partition: 0, First: 5, Read: in[0], End: in[0], Begin: in[0]},
		{Topic: source, Partition: 1, First: 0, Read: in[1], End: in[1] + 1, Begin: in[1] + 1},
	}; !reflect.DeepEqual(plan.Sources, want) {
		t.Errorf("sources are %+v, want %+v", plan.Sources, want)
	}
	if len(plan.Transactions) != 1 || plan.Transactions[0].ID != cfg.ApplicationID+"-gone-0" || plan.Published.Hidden == 0 {
		t.Errorf("open transactions are %+v, hidden %d", plan.Transactions, plan.Published.Hidden)
	}
	says := strings.Join(append(plan.Warns, planned(t, cfg, ResetOptions{}).Warns...), "\n")
	for _, words := range []string{"1 partitions do not reach back", "1 offsets that were not read yet are passed over", "has 4 partitions, and is made anew with 3", "behind a transaction"} {
		if !strings.Contains(says, words) {
			t.Errorf("it warns of\n%s\nand not of %q", says, words)
		}
	}
	stuck := hanging(t.Context(), cl, []topology.TopicPartition{{Topic: cfg.Topics.Sessions}}).Error()
	if !regexp.MustCompile(`-0 has an open transaction of producer \d+ \(transactional id \S+-gone-0\) from offset \d+ on, since .*: wait until [-0-9]+ [0-9:]+Z$`).MatchString(stuck) {
		t.Errorf("of a transaction that does not end it says %q", stuck)
	}
	if err := plan.Execute(t.Context(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	if err := others.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Errorf("another application's transaction was ended: %v", err)
	}
	if err := open.EndTransaction(t.Context(), kgo.TryCommit); err == nil {
		t.Error("the transaction was not ended")
	}
	committed, err := committedOffsets(t.Context(), &cfg, adm)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range plan.Sources {
		if o, ok := committed.Lookup(s.Topic, s.Partition); !ok || o.At != s.Begin {
			t.Errorf("%s-%d goes on at %d, and the plan said %d", s.Topic, s.Partition, o.At, s.Begin)
		}
	}
	if again := planned(t, cfg, ResetOptions{To: "earliest"}).Refused(); again != nil {
		t.Errorf("before anybody has worked with it, another reset to the same generation is refused: %v", again)
	}
	more := onTopic(cfg, topologytest.Calls(55, 10, 5*time.Second).Shuffle(55, 2, time.Second, 0))
	feed(t, cfg, more)
	worked(t, cfg, reference(t, more)) // and nothing else is read
}

// leaves begins a transaction that writes to topics, and leaves it open.
func leaves(t *testing.T, cfg Config, id string, topics ...string) *kgo.Client {
	t.Helper()
	cl := client(t, cfg, kgo.TransactionalID(id), kgo.TransactionTimeout(time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte("nobody sees this")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return cl
}

// TestHighestGeneration looks for the highest generation where it is not what was written
// last, among what is no session, and not in what was aborted.
func TestHighestGeneration(t *testing.T) {
	cfg := apache(t, 1)
	cl := client(t, cfg)
	defer cl.Close()
	published := Published{Topic: cfg.Topics.Sessions, Generation: NoGeneration}
	read := func(records int64, generation int32, foreign int64) {
		t.Helper()
		if err := published.readOn(t.Context(), &cfg, cl, nil); err != nil {
			t.Fatal(err)
		}
		if published.Records != records || published.Generation != generation || published.Foreign != foreign {
			t.Errorf("found %+v, want %d records, generation %d, %d foreign", published, records, generation, foreign)
		}
	}
	read(0, NoGeneration, 0) // there is no such topic
	created(t, cfg, cfg.Topics.Sessions, 2, nil)
	cl = client(t, cfg) // one that does not remember
	defer cl.Close()
	read(0, NoGeneration, 0)
	produce(t, cfg, []*kgo.Record{
		sessionOf(t, cfg, 0, 1), sessionOf(t, cfg, 1, 5), sessionOf(t, cfg, 1, 2), sessionOf(t, cfg, 0, 3),
		{Topic: cfg.Topics.Sessions, Value: []byte("\x00\x00\x00\x00\x01no session")},
		{Topic: cfg.Topics.Sessions, Key: []byte("a tombstone")},
	})
	read(6, 5, 2)
	tx := client(t, cfg, kgo.TransactionalID(t.Name()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer tx.Close()
	for _, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := tx.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := tx.ProduceSync(t.Context(), sessionOf(t, cfg, 1, 9)).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if read(6, 5, 2); published.Hidden == 0 {
			t.Error("nothing is hidden behind an open transaction")
		}
		if err := tx.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		if err := awaitStable(t.Context(), cl, cfg.Topics.Sessions); err != nil {
			t.Fatal(err)
		}
		if end == kgo.TryAbort {
			read(6, 5, 2)
		}
	}
	read(7, 9, 2)
}

// sessionOf is a session record of a generation.
func sessionOf(t *testing.T, cfg Config, partition, generation int32) *kgo.Record {
	t.Helper()
	avro, err := schemas.AppendAvro(schemas.AppendFrame(nil, 1), &call.Session{Generation: generation, Revision: 1})
	if err != nil {
		t.Fatal(err)
	}
	return &kgo.Record{Topic: cfg.Topics.Sessions, Partition: partition, Value: avro}
}

func TestCheckGeneration(t *testing.T) {
	for _, c := range []struct {
		what             string
		own              int32
		published, group int32
		same             bool
		wants            string // empty: nothing
	}{
		{"a first run", 0, NoGeneration, NoGeneration, false, ""},
		{"raised", 4, 3, 3, false, ""},
		{"raised by more", 9, 3, 3, false, ""},
		{"forgotten", 3, 3, 3, false, "set generation: 4"},
		{"lower", 2, 3, 2, false, "set generation: 4"},
		{"of an earlier life, whose group is gone", 1, 7, NoGeneration, false, "set generation: 8"},
		{"retention has emptied the topic", 3, NoGeneration, 3, false, "or, where their copies were emptied too, --same-generation"},
		{"and the readers' copies are empty too", 3, NoGeneration, 3, true, ""},
		{"not everything was emptied", 3, 3, 3, true, "set generation: 4"},
		{"the group was worked with and has published nothing", 4, 3, 4, false, "set generation: 5"},
		{"the last that there is", 1<<31 - 1, 1<<31 - 1, 0, false, "set generation: 2147483648"},
	} {
		err := checkGeneration(c.own, Published{Generation: c.published}, c.group, c.same)
		if (c.wants == "") != (err == nil) || err != nil && (!errors.Is(err, ErrGeneration) || !strings.Contains(err.Error(), c.wants)) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// resetNeeds holds that a reset looks for the rights that it needs beside those of a run
// before it does anything, and that they are enough.
func resetNeeds(t *testing.T, admin, cfg Config) {
	t.Helper()
	cfg.Stitch.Generation = 1
	for _, opts := range []ResetOptions{{}, {Execute: true}} {
		plan := planned(t, cfg, opts)
		for _, lacks := range []string{"DELETE on group " + cfg.ApplicationID, "DELETE on topic " + cfg.ChangelogTopic(), "READ on topic " + cfg.Topics.Sessions} {
			if err := plan.Refused(); err == nil || !strings.Contains(err.Error(), lacks) {
				t.Errorf("it is refused for %v, and not for %s", err, lacks)
			}
		}
	}
	cl := client(t, admin)
	defer cl.Close()
	allow := func() *kadm.ACLBuilder {
		return kadm.NewACLs().Allow("User:app").AllowHosts().ResourcePatternType(kadm.ACLPatternLiteral)
	}
	for _, acl := range []*kadm.ACLBuilder{
		allow().Groups(cfg.ApplicationID).Operations(kadm.OpDelete),
		allow().Topics(cfg.ExchangeTopic(), cfg.ChangelogTopic()).Operations(kadm.OpDelete),
		allow().Topics(cfg.Topics.Sessions).Operations(kadm.OpRead),
	} {
		if _, err := kadm.NewClient(cl).CreateACLs(t.Context(), acl); err != nil {
			t.Fatal(err)
		}
	}
	open := leaves(t, admin, cfg.ApplicationID+"-gone-0", cfg.ExchangeTopic(), cfg.Topics.Sessions)
	defer open.Close()
	var plan *ResetPlan
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) { // brokers learn of rights in a moment
		if plan = planned(t, cfg, ResetOptions{Execute: true, To: "earliest"}); plan.Refused() == nil || time.Now().After(deadline) {
			break
		}
	}
	if err := plan.Execute(t.Context(), func(string) {}); err != nil || len(plan.Transactions) != 1 {
		t.Errorf("with the rights that it needs a reset, which ends %v, says %v", plan.Transactions, err)
	}
}
