package kafka

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/deploy/localkafka"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// standing is an instance that has done its work so far, and more to come.
type standing struct {
	t             *testing.T
	cfg           Config
	own           Config // the instance's
	log           *warnings
	quiet         int // how long the log was before the fault
	r             *run
	before, after []topologytest.Raw
	want          []string // when all is done
	kept          []string // when the first part was
}

// stand has an instance work on the first part of its traffic.
func stand(t *testing.T, cfg Config, as ...kgo.Opt) *standing {
	t.Helper()
	s := &standing{t: t, cfg: cfg, own: cfg, log: new(warnings)}
	s.own.Workers = 2
	if as != nil {
		s.own.Client = as
	}
	s.own.Log = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.log.text())
		}
	})
	s.before = onTopic(cfg, topologytest.Calls(61, 30, 20*time.Second).Shuffle(61, 2, time.Second, 0.1))
	s.after = onTopic(cfg, topologytest.Calls(62, 30, 20*time.Second).Noise(62, 8).Shuffle(62, 2, time.Second, 0.1))
	s.kept, s.want = reference(t, s.before), reference(t, slices.Concat(s.before, s.after))
	s.r = startRun(t, s.own)
	feed(t, cfg, s.before)
	return s
}

// works waits until the first part is done.
func (s *standing) works() {
	s.t.Helper()
	s.until(Snapshot.Ready, "ready")
	awaitPublished(s.t, s.cfg, s.kept, 30*time.Second)
	s.quiet = len(s.log.text())
}

// begins sends the first of the traffic that meets a fault.
func (s *standing) begins() { feed(s.t, s.cfg, s.after[:len(s.after)/2]) }

// stalls expects the instance to say what it waits for. Meanwhile the rest of the
// traffic comes.
func (s *standing) stalls(words ...string) {
	s.t.Helper()
	begun := time.Now()
	s.until(func(snap Snapshot) bool {
		told := !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(snap.Waiting, w) })
		return !snap.Ready() && snap.Stalled > 0 && told
	}, words...)
	s.t.Logf("told after %v: %s", time.Since(begun).Round(100*time.Millisecond), s.r.status.Snapshot().Waiting)
	feed(s.t, s.cfg, s.after[len(s.after)/2:])
}

// lags expects what waits to show as lag. It does not while sessions end one after the
// other: between them no task is anybody's.
func (s *standing) lags() {
	s.t.Helper()
	s.until(func(snap Snapshot) bool {
		lag := snap.ExchangeLag
		for _, task := range snap.Tasks {
			lag += task.Lag()
		}
		return lag > 0
	}, "lag")
}

// until waits for a status. A stall for which sessions fail one after the other may take
// half of that on an idle machine: each commits a tick before it fails, so that it begins
// when the wait between two has grown to more than stallLimit, and that is the sixth.
func (s *standing) until(is func(Snapshot) bool, what ...string) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(s.r.status.Snapshot()); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("after 30 s, and not %q: %+v", what, s.r.status.Snapshot())
		}
	}
}

// said expects a stall to have been said once, and to be over, and not much else.
func (s *standing) said() {
	s.t.Helper()
	text := s.log.text()[s.quiet:]
	for line, want := range map[string]int{"work stands still": 1, "work goes on": 1} {
		if n := strings.Count(text, line); n != want {
			s.t.Errorf("said %d times %q:\n%s", n, line, text)
		}
	}
	if n := strings.Count(text, "client="); n > 20 {
		s.t.Errorf("the client said %d lines:\n%s", n, text)
	}
}

// done expects the truth, of what the topics still hold, each event once, books that
// balance, and an instance that stops in order.
func (s *standing) done(lost ...string) {
	s.t.Helper()
	var kept []string
	if slices.Contains(lost, s.cfg.Topics.Sessions) {
		kept = s.kept
	}
	begun, half := time.Now(), false
	for {
		got := slices.Concat(kept, canonicalOf(published(s.t, s.cfg)))
		slices.Sort(got)
		want := slices.Sorted(slices.Values(s.want))
		if slices.Equal(got, want) {
			break
		}
		took := time.Since(begun)
		if !half && took > 30*time.Second { // what has not moved until the end of the test stands still
			half = true
			s.t.Logf("after %v: %d of %d sessions; %s", took, len(got), len(want), circumstances(s.own, s.r.status))
		}
		if took > time.Minute {
			s.t.Fatalf("after a minute: %s", difference(got, want))
		}
		time.Sleep(300 * time.Millisecond)
	}
	if all := len(s.before) + len(s.after); slices.Contains(lost, s.cfg.Topics.Events) {
		awaitBalance(s.t, s.cfg, all, 20*time.Second)
	} else {
		awaitBooks(s.t, s.cfg, all, 20*time.Second)
	}
	if err := s.r.stop(s.t); err != nil {
		s.t.Errorf("stopped with %v", err)
	}
}

// stopsAtOnce expects an end in order although nothing can be committed: within what a
// worker may take where brokers answer nothing, and only one of several stands still by
// then. The rest is for the machine.
func (s *standing) stopsAtOnce() {
	s.t.Helper()
	begun := time.Now()
	if err := s.r.stop(s.t); err != nil {
		s.t.Errorf("stopped with %v", err)
	}
	took := time.Since(begun)
	s.t.Logf("stopped after %v", took.Round(100*time.Millisecond))
	if limit := stopLimit + closeLimit + time.Second; took > limit {
		s.t.Errorf("it took %v to stop, more than %v", took, limit)
	}
}

// ends expects the run to end by itself, and the next one too.
func (s *standing) ends(want error, words ...string) {
	s.t.Helper()
	begun := time.Now()
	select {
	case err := <-s.r.done:
		s.r.done <- nil
		endedWith(s.t, err, want, words...)
		s.t.Logf("ended after %v", time.Since(begun).Round(100*time.Millisecond))
	case <-time.After(30 * time.Second):
		s.t.Fatalf("it goes on: %+v", s.r.status.Snapshot())
	}
	refused(s.t, s.own, want)
}

// deleteTopic deletes a topic, and returns when the broker takes nothing for it any more:
// it answers before that.
func deleteTopic(t testing.TB, cfg Config, topic string) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	resp, err := adm.DeleteTopic(t.Context(), topic)
	if err == nil {
		err = resp.Err
	}
	for there := true; there && err == nil; time.Sleep(300 * time.Millisecond) {
		var details kadm.TopicDetails
		details, err = adm.ListTopics(t.Context(), topic)
		there = !errors.Is(details[topic].Err, kerr.UnknownTopicOrPartition)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCommitsThatStandStill takes away topics that a transaction needs: the instance says
// so, and goes on when they are back, or ends where its state is gone. A signal meanwhile
// ends it in order. The ways wait together, so that they cost the time of one.
func TestCommitsThatStandStill(t *testing.T) {
	t.Parallel() // most of it is waiting
	type way struct {
		name  string
		topic func(Config) string
		anew  bool // it is made anew at once
		words []string
		back  func(*standing)
		end   func(*standing)
	}
	sessions := func(c Config) string { return c.Topics.Sessions }
	events := func(c Config) string { return c.Topics.Events }
	rejects := func(c Config) string { return c.Topics.Rejects }
	changelog := func(c Config) string { return c.ChangelogTopic() }
	exchange := func(c Config) string { return c.ExchangeTopic() }
	again := func(s *standing) { makeTopics(t, s.cfg) }
	ends := func(s *standing) { s.ends(ErrLostOffsets, "reset the application with 'callstitch reset'") }
	ways := []way{
		{"stopped", sessions, false, []string{"acknowledgements from"}, func(s *standing) {
			s.stopsAtOnce()
			s.r = startRun(t, s.own) // makes it
		}, func(s *standing) { s.done(s.cfg.Topics.Sessions) }},
		{"waited", events, false, []string{"acknowledgements from"}, again, func(s *standing) {
			s.done(s.cfg.Topics.Events)
			s.said()
			if !strings.Contains(s.log.text(), "an output topic was deleted and made anew") {
				t.Error("nothing was said of what is gone")
			}
		}},
		{"seldom", rejects, false, []string{"acknowledgements from"}, again, func(s *standing) { s.done(); s.said() }},
		{"changelog", changelog, false, []string{"acknowledgements from"}, nil, ends},
		{"changelog-anew", changelog, true, nil, nil, ends},
		{"exchange", exchange, false, nil, nil, ends},
		{"exchange-anew", exchange, true, nil, nil, ends},
	}
	configs := make([]Config, len(ways))
	for i, w := range ways {
		configs[i] = testConfig(t, localkafka.Shared(t).Brokers())
		configs[i].Config = named(configs[i].Config, t.Name()+"-"+w.name)
		createSource(t, configs[i], 2)
	}
	standings := make([]*standing, len(ways))
	for i := range ways {
		standings[i] = stand(t, configs[i])
	}
	for i, w := range ways {
		standings[i].works()
		deleteTopic(t, standings[i].cfg, w.topic(standings[i].cfg))
		if w.anew {
			again(standings[i])
		}
		standings[i].begins()
	}
	for i, w := range ways {
		if w.words != nil {
			standings[i].stalls(append(w.words, "topic "+w.topic(standings[i].cfg)+" does not exist")...)
			standings[i].lags()
		}
	}
	for i, w := range ways {
		if w.back != nil {
			w.back(standings[i])
		}
	}
	for i, w := range ways {
		w.end(standings[i])
	}
}

// TestBrokerThatFreezes has the only broker stop answering, and a right be taken away.
//
// The broker stays the leader of its partitions meanwhile. After the 9 s that are the
// default it would have none until it was taken up again, and the markers of a transaction
// that ended just before would be dropped (KAFKA-20734), as those of a lone broker are that
// goes away: nobody gets past them, and the restore says so for ever.
func TestBrokerThatFreezes(t *testing.T) {
	props := maps.Clone(guarded)
	props["broker.session.timeout.ms"] = "60000"
	cluster := localkafka.ForTest(t, localkafka.Options{Props: props})
	cfg := testConfig(t, cluster.Brokers(), as("admin"))
	createSource(t, cfg, 2)
	grant(t, cfg, documentedRights(t, &cfg))
	s := stand(t, cfg, as("app"))
	s.works()
	change := func(deny bool) {
		t.Helper()
		cl := client(t, cfg)
		defer cl.Close()
		acl := kadm.NewACLs().Topics(cfg.Topics.Sessions).ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpWrite).Deny("User:app").DenyHosts()
		var err error
		if deny {
			_, err = kadm.NewClient(cl).CreateACLs(t.Context(), acl)
		} else {
			_, err = kadm.NewClient(cl).DeleteACLs(t.Context(), acl)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change(true)
	s.begins()
	s.stalls("TOPIC_AUTHORIZATION_FAILED", cfg.Topics.Sessions)
	change(false)
	s.until(Snapshot.Ready, "ready with its right back")
	if err := cluster.Pause(0); err != nil {
		t.Fatal(err)
	}
	s.until(func(snap Snapshot) bool { return !snap.Ready() && snap.Stalled > 0 }, "stalled")
	s.stopsAtOnce()
	if err := cluster.Continue(0); err != nil {
		t.Fatal(err)
	}
	s.r = startRun(t, s.own)
	s.done()
}

// TestHeldOffsets has somebody's open transaction hold an offset, as one does whose
// markers a broker has dropped, while an instance is assigned its partition.
func TestHeldOffsets(t *testing.T) {
	cfg := apache(t, 2)
	s := stand(t, cfg)
	s.works()
	if err := s.r.stop(t); err != nil {
		t.Fatal(err)
	}
	s.begins()
	release := hold(t, cfg, topology.TopicPartition{Topic: cfg.Sources[0].Topic, Partition: 1})
	s.r = startRun(t, s.own)
	s.stalls("the offsets of its partitions: an open transaction of producer ", "(transactional id "+cfg.ApplicationID+"-somebody)",
		"holds those of "+cfg.Sources[0].Topic+"-1, in __consumer_offsets-", ": wait until ")
	s.stopsAtOnce()
	s.r = startRun(t, s.own)
	release()
	s.done()
}

// hold commits the offset of a partition once more, in a transaction that stays open
// until it is released.
func hold(t *testing.T, cfg Config, at topology.TopicPartition) (release func()) {
	t.Helper()
	name := cfg.ApplicationID + "-somebody"
	cl := client(t, cfg, kgo.TransactionalID(name), kgo.TransactionTimeout(time.Minute))
	t.Cleanup(cl.Close)
	adm := kadm.NewClient(cl)
	details, err := adm.ListTopics(t.Context(), at.Topic)
	if err != nil {
		t.Fatal(err)
	}
	committed, err := adm.FetchOffsets(t.Context(), cfg.ApplicationID)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := committed.Lookup(at.Topic, at.Partition)
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.Generation = name, cfg.ApplicationID, -1
	if req.ProducerID, req.ProducerEpoch, err = cl.ProducerID(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = at.Partition, o.At, -1, &o.Metadata
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic, topic.TopicID = at.Topic, details[at.Topic].ID
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(t.Context(), cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := fence(t.Context(), cl, name, time.Minute); err != nil {
			t.Error(err)
		}
	}
}
