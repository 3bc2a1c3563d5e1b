package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/deploy/localkafka"
	"callstitch/processor/call"
	"callstitch/topology"
)

// replayed is what a test of replays works with: a source of two partitions, and rejects
// of it with a marker behind every few, as the processor's commits leave them.
func replayed(t *testing.T, n int) Config {
	t.Helper()
	cfg := testConfig(t, localkafka.Shared(t).Brokers())
	cfg.Config = named(cfg.Config, t.Name())
	fill(t, cfg, n)
	return cfg
}

func fill(t *testing.T, cfg Config, n int) {
	t.Helper()
	createSource(t, cfg, 2)
	cl := client(t, cfg)
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 2, 1, nil, cfg.Topics.Rejects); err != nil {
		t.Fatal(err)
	}
	reject(t, cfg, 0, n)
}

// reject writes rejects, three in a transaction.
func reject(t *testing.T, cfg Config, from, to int) {
	t.Helper()
	cl := client(t, cfg, kgo.TransactionalID(cfg.ApplicationID+"-writer"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	for i := from; i < to; i += 3 {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for k := i; k < min(i+3, to); k++ {
			r := &call.Reject{Source: call.Source{Topic: cfg.Sources[0].Topic, Offset: int64(k)}, Reason: call.RejectUnknownProvider, Timestamp: 1_772_442_000_000}
			rec := &kgo.Record{Topic: cfg.Topics.Rejects, Partition: int32(k % 2), Value: fmt.Append(nil, k), Headers: appendHeaders(nil, topology.RejectHeaders(r))}
			if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
}

// but sends everything but some values.
func but(cfg Config, left ...string) func(topology.Record) (*topology.Record, error) {
	return func(r topology.Record) (*topology.Record, error) {
		if slices.Contains(left, string(r.Value)) {
			return nil, nil
		}
		return &topology.Record{Topic: cfg.Sources[0].Topic, Key: r.Key, Value: r.Value}, nil
	}
}

func openReplay(t *testing.T, cfg ReplayConfig) *Replay {
	t.Helper()
	r, err := OpenReplay(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// inSource are the values that readers of the source have, in order.
func inSource(t *testing.T, cfg Config) []int {
	t.Helper()
	var values []int
	for _, r := range readRecords(t, cfg, cfg.Sources[0].Topic) {
		var n int
		if _, err := fmt.Sscan(string(r.Value), &n); err != nil {
			t.Fatal(err)
		}
		values = append(values, n)
	}
	slices.Sort(values)
	return values
}

func upTo(n int, but ...int) (all []int) {
	for i := range n {
		if !slices.Contains(but, i) {
			all = append(all, i)
		}
	}
	return all
}

// Each reject is sent once, over any number of replays; what was left is looked at again.
// A dry run sends nothing, and shows what the next run will.
func TestReplay(t *testing.T) {
	cfg := replayed(t, 40)
	look := openReplay(t, ReplayConfig{Config: cfg})
	shown := 0
	if err := look.Run(t.Context(), func(r topology.Record) (*topology.Record, error) { shown++; return but(cfg)(r) }); err != nil {
		t.Fatal(err)
	}
	if n := len(inSource(t, cfg)); shown != 40 || n != 0 {
		t.Errorf("a dry run shows %d and sends %d", shown, n)
	}
	for i, round := range []struct {
		left []string
		want []int
		sent int64
	}{
		{[]string{"0", "7", "8", "9", "21"}, upTo(40, 0, 7, 8, 9, 21), 35},
		{[]string{"0", "21"}, upTo(40, 0, 21), 3},
		{nil, upTo(40), 2},
		{nil, upTo(40), 0},
	} {
		r := openReplay(t, ReplayConfig{Config: cfg, Execute: true, Rate: 40}) // ten in a transaction
		if err := r.Run(t.Context(), but(cfg, round.left...)); err != nil {
			t.Fatal(err)
		}
		if r.Sent() != round.sent {
			t.Errorf("round %d: %d were sent, want %d", i, r.Sent(), round.sent)
		}
		if got := inSource(t, cfg); !slices.Equal(got, round.want) {
			t.Errorf("round %d: the source has %v", i, got)
		}
		for p, b := range r.marks {
			if len(b.sent) > 2*len(round.left) {
				t.Errorf("round %d: markers are gaps in the bookmark of partition %d: %+v", i, p, b)
			}
		}
	}
	again := openReplay(t, ReplayConfig{Config: cfg, Execute: true, Again: true})
	if err := again.Run(t.Context(), but(cfg)); err != nil || again.Sent() != 40 {
		t.Errorf("again: %d, %v", again.Sent(), err)
	}
}

// A bookmark that has no room for all says what it passes over.
func TestReplayOfMoreTurnsThanFit(t *testing.T) {
	cfg := replayed(t, 10)
	r := openReplay(t, ReplayConfig{Config: cfg, Execute: true})
	for i := range int64(5000) {
		r.marks[1].add(1_000_000+2_000*i, 1_000_000+2_000*i+500)
	}
	if err := r.Run(t.Context(), but(cfg, "3")); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(r.Notes(), "\n")
	if !strings.Contains(said, fmt.Sprintf("%s-1: what was left before offset %d is looked at again only with --again", cfg.Topics.Rejects, r.marks[1].floor)) || strings.Contains(said, cfg.Topics.Rejects+"-0") {
		t.Errorf("it says %q", said)
	}
}

// What a partition ends with, sent before, says nothing of the next one's rejects.
func TestReplayKeepsPartitionsApart(t *testing.T) {
	cfg := replayed(t, 12)
	for _, choose := range []func(topology.Record) (*topology.Record, error){
		but(cfg, strings.Fields("0 1 2 3 4 5 6 7 8 9 11")...), // the last of partition 0
		but(cfg),
	} {
		if err := openReplay(t, ReplayConfig{Config: cfg, Execute: true, Rate: replayBatches}).Run(t.Context(), choose); err != nil { // one in a transaction
			t.Fatal(err)
		}
	}
	if got := inSource(t, cfg); !slices.Equal(got, upTo(12)) {
		t.Errorf("the source has %v", got)
	}
}

// A record that comes again keeps its timestamp where its source does, and is dated now
// where that would refuse it, or delete it at once.
func TestReplayDates(t *testing.T) {
	cfg := replayed(t, 2)
	source := cfg.Sources[0].Topic
	adm := client(t, cfg)
	defer adm.Close()
	then, begun := time.Now().Add(-24*time.Hour).UnixMilli(), time.Now()
	for _, c := range []struct {
		key, value string
		kept       bool
	}{
		{"message.timestamp.type", "CreateTime", true},
		{"message.timestamp.before.max.ms", "3600000", false},
		{"message.timestamp.type", "LogAppendTime", false},
	} {
		alter := []kadm.AlterConfig{{Name: c.key, Value: &c.value}}
		if _, err := kadm.NewClient(adm).AlterTopicConfigs(t.Context(), alter, source); err != nil {
			t.Fatal(err)
		}
		before := len(readRecords(t, cfg, source))
		r := openReplay(t, ReplayConfig{Config: cfg, Execute: true, Again: true})
		if err := r.Run(t.Context(), func(r topology.Record) (*topology.Record, error) {
			return &topology.Record{Topic: source, Value: r.Value, Timestamp: then}, nil
		}); err != nil {
			t.Fatal(err)
		}
		sent := 0
		for _, rec := range readRecords(t, cfg, source) {
			if kept := rec.Timestamp.UnixMilli() == then; kept == c.kept && (kept || rec.Timestamp.After(begun.Add(-time.Minute))) {
				sent++
			}
		}
		if want := max(before, 2); sent != want { // those of the first round, or all since
			t.Errorf("%s=%s: %d of %d records have the date that they should have", c.key, c.value, sent, before+2)
		}
	}
}

// A replay that ends between what it has produced and the commit has sent nothing. The
// next one sends that, once; and a first one that was only slow finds out.
func TestReplayIsFenced(t *testing.T) {
	cfg := replayed(t, 30)
	first := openReplay(t, ReplayConfig{Config: cfg, Execute: true, Rate: 40})
	batches := 0
	first.beforeCommit = func() {
		if batches++; batches < 2 {
			return
		}
		second := openReplay(t, ReplayConfig{Config: cfg, Execute: true})
		if err := second.Run(t.Context(), but(cfg)); err != nil || second.Sent() != 20 {
			t.Errorf("the second sent %d: %v", second.Sent(), err)
		}
	}
	err := first.Run(t.Context(), but(cfg))
	if !errors.Is(err, ErrFenced) || !strings.Contains(err.Error(), "another replay has begun") || first.Sent() != 10 {
		t.Errorf("the first sent %d, and says: %v", first.Sent(), err)
	}
	if got := inSource(t, cfg); !slices.Equal(got, upTo(30)) {
		t.Errorf("the source has %v", got)
	}
}

// A replay that was given enough says whether the last of it was committed.
func TestReplayOfAFewFails(t *testing.T) {
	cfg := replayed(t, 10)
	r, chosen := openReplay(t, ReplayConfig{Config: cfg, Execute: true}), 0
	r.beforeCommit = func() { openReplay(t, ReplayConfig{Config: cfg, Execute: true}) }
	err := r.Run(t.Context(), func(rec topology.Record) (*topology.Record, error) {
		if chosen++; chosen > 2 {
			return nil, io.EOF
		}
		return but(cfg)(rec)
	})
	if !errors.Is(err, ErrFenced) || r.Sent() != 0 {
		t.Errorf("%d were sent, and it says: %v", r.Sent(), err)
	}
}

// What was sent of one partition before is nothing of the next, wherever a batch ends.
func TestReplayGoesFromPartitionToPartition(t *testing.T) {
	cfg := replayed(t, 6)
	for _, sent := range [][]string{{"4"}, {"2", "1"}, {"0", "1", "2", "3", "4", "5"}} {
		r := openReplay(t, ReplayConfig{Config: cfg, Execute: true, Rate: 4}) // one in a transaction
		if err := r.Run(t.Context(), func(rec topology.Record) (*topology.Record, error) {
			if !slices.Contains(sent, string(rec.Value)) {
				return nil, nil
			}
			return but(cfg)(rec)
		}); err != nil {
			t.Fatal(err)
		}
	}
	if got := inSource(t, cfg); !slices.Equal(got, upTo(6)) {
		t.Errorf("the source has %v", got)
	}
}

// What comes into the rejects while a replay runs is not its own: what it sends may come
// back for ever.
func TestReplayEnds(t *testing.T) {
	cfg := replayed(t, 10)
	r, n := openReplay(t, ReplayConfig{Config: cfg, Execute: true, Rate: 4}), 10
	err := r.Run(t.Context(), func(rec topology.Record) (*topology.Record, error) {
		if n < 13 {
			reject(t, cfg, n, n+1) // comes back
			n++
		}
		return but(cfg)(rec)
	})
	if err != nil || r.Sent() != 10 || n != 13 {
		t.Errorf("%d were sent, of %d: %v", r.Sent(), n, err)
	}
}

// A bookmark belongs to the topic that it was made for.
func TestReplayOfATopicMadeAnew(t *testing.T) {
	cfg := replayed(t, 10)
	if err := openReplay(t, ReplayConfig{Config: cfg, Execute: true}).Run(t.Context(), but(cfg)); err != nil {
		t.Fatal(err)
	}
	cl := client(t, cfg)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.DeleteTopic(t.Context(), cfg.Topics.Rejects); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if _, err := adm.CreateTopic(t.Context(), 2, 1, nil, cfg.Topics.Rejects); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	reject(t, cfg, 10, 20)
	r := openReplay(t, ReplayConfig{Config: cfg, Execute: true})
	if err := r.Run(t.Context(), but(cfg)); err != nil || r.Sent() != 10 {
		t.Errorf("%d were sent: %v", r.Sent(), err)
	}
	// A stranger's offset is not taken for a bookmark.
	offsets := make(kadm.Offsets)
	offsets.Add(kadm.Offset{Topic: cfg.Topics.Rejects, At: 3, LeaderEpoch: -1})
	if err := adm.CommitAllOffsets(t.Context(), r.name, offsets); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReplay(t.Context(), ReplayConfig{Config: cfg}); !errors.Is(err, errForeign) {
		t.Errorf("a stranger's offset: %v", err)
	}
	openReplay(t, ReplayConfig{Config: cfg, Again: true})
}

// A raw record is fetched from where it is, and what is not there is said.
func TestReplayFetches(t *testing.T) {
	cfg := replayed(t, 3)
	source := cfg.Sources[0].Topic
	produce(t, cfg, []*kgo.Record{{Topic: source, Value: []byte("a")}, {Topic: source, Value: []byte("b")}, {Topic: source, Value: []byte("c")}})
	cl := client(t, cfg)
	defer cl.Close()
	gone := make(kadm.Offsets)
	gone.Add(kadm.Offset{Topic: source, At: 1})
	if _, err := kadm.NewClient(cl).DeleteRecords(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	r := openReplay(t, ReplayConfig{Config: cfg})
	for _, c := range []struct {
		at        call.Source
		want, err string
	}{
		{call.Source{Topic: source, Offset: 1}, "b", ""},
		{call.Source{Topic: source, Offset: 2}, "c", ""},
		{call.Source{Topic: source, Offset: 0}, "", "retention took it"},
		{call.Source{Topic: source, Offset: 3}, "", "no record at 3"},
		{call.Source{Topic: source, Offset: 9}, "", "retention took it"},
		{call.Source{Topic: source, Partition: 7}, "", "find the leader"},
		{call.Source{Topic: "gone"}, "", "is not there any more"},
	} {
		rec, err := r.Fetch(context.Background(), c.at)
		if string(rec.Value) != c.want && c.err == "" || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %q, %v", c.at, rec.Value, err)
		}
	}
	if err := r.Takes(topology.Record{Topic: source, Value: make([]byte, 1<<20)}); err == nil {
		t.Error("a topic takes a record of more than its max.message.bytes")
	}
}

func TestRejectsMayOutliveTheBookmark(t *testing.T) {
	for retention, want := range map[string]bool{"-1": true, "604800000": false, "604800001": true, "60000": false, "": false} {
		if outlivesBookmark(retention) != want {
			t.Errorf("retention.ms %q: %t", retention, !want)
		}
	}
}

// A user with the rights that docs/operations.md lists for it can replay, and without any
// one of them cannot.
func TestReplayHasItsRights(t *testing.T) {
	t.Parallel() // most of it is waiting, with a broker of its own
	cluster := localkafka.ForTest(t, localkafka.Options{Props: guarded})
	admin := testConfig(t, cluster.Brokers(), as("admin"))
	createSource(t, admin, 2)
	cl := client(t, admin)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(t.Context(), 2, 1, nil, admin.Topics.Rejects); err != nil {
		t.Fatal(err)
	}
	reject(t, admin, 0, 4)
	page, err := os.ReadFile(operationsPage)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "\n### Sending rejects in again\n")
	text, _, _ = strings.Cut(text, "\n## ")
	var rights []*kadm.ACLBuilder
	for _, row := range rightsRow.FindAllStringSubmatch(text, -1) {
		for word := range strings.SplitSeq(row[2], ", ") {
			operation, err := kmsg.ParseACLOperation(word)
			if err != nil {
				t.Fatalf("%s: %v", row[0], err)
			}
			acl := kadm.NewACLs().Allow("User:app").AllowHosts().ResourcePatternType(kadm.ACLPatternLiteral).Operations(operation)
			switch {
			case strings.HasPrefix(row[1], "each source topic"):
				acl.Topics(admin.rawTopics()...)
			case strings.HasPrefix(row[1], "topic `call.rejects`"):
				acl.Topics(admin.Topics.Rejects)
			case strings.HasPrefix(row[1], "group `<application_id>-rejects-replay`"):
				acl.Groups(testApp + "-rejects-replay")
			case strings.HasPrefix(row[1], "transactional id `<application_id>-rejects-replay`"):
				acl.TransactionalIDs(testApp + "-rejects-replay")
			default:
				t.Fatalf("the table of rights names an unknown resource: %s", row[1])
			}
			rights = append(rights, acl)
		}
	}
	if len(rights) != 5 {
		t.Fatalf("the table has %d rights", len(rights))
	}
	cfg := admin
	cfg.Client = []kgo.Opt{as("app")}
	replay := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := OpenReplay(ctx, ReplayConfig{Config: cfg, Execute: true, Again: true})
		if err != nil {
			return err
		}
		defer r.Close()
		_, fetched := r.Fetch(ctx, call.Source{Topic: cfg.Sources[0].Topic, Partition: 0, Offset: 0})
		if fetched != nil && !strings.Contains(fetched.Error(), "no record") {
			return fetched
		}
		return r.Run(ctx, but(cfg))
	}
	for left := range rights { // one is left out
		for i, acl := range rights {
			if i == left {
				continue
			}
			if created, err := adm.CreateACLs(t.Context(), acl); err != nil || created[0].Err != nil {
				t.Fatal(err, created)
			}
		}
		if err := replay(); err == nil {
			t.Errorf("right %d is not needed", left)
		} else if !strings.Contains(err.Error(), "AUTHORIZATION_FAILED") && !strings.Contains(err.Error(), "there is no topic") {
			t.Errorf("without right %d: %v", left, err)
		}
		if left < len(rights)-1 {
			for _, acl := range rights {
				if _, err := adm.DeleteACLs(t.Context(), acl); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if created, err := adm.CreateACLs(t.Context(), rights[len(rights)-1]); err != nil || created[0].Err != nil {
		t.Fatal(err, created)
	}
	if err := replay(); err != nil {
		t.Errorf("with all rights: %v", err)
	}
}

// A replay whose broker takes connections and answers nothing ends in time.
func TestReplayOfABrokerThatFreezes(t *testing.T) {
	t.Parallel() // most of it is waiting, with a broker of its own
	cluster := localkafka.ForTest(t, localkafka.Options{})
	cfg := testConfig(t, cluster.Brokers())
	cfg.TransactionTimeout = 2 * time.Second
	fill(t, cfg, 10)
	r, chosen := openReplay(t, ReplayConfig{Config: cfg, Execute: true}), 0
	var begun time.Time
	err := r.Run(t.Context(), func(rec topology.Record) (*topology.Record, error) {
		if chosen++; chosen == 2 {
			begun = time.Now()
			if err := cluster.Pause(0); err != nil {
				t.Fatal(err)
			}
			return nil, io.EOF
		}
		return but(cfg)(rec)
	})
	if took := time.Since(begun); err == nil || took > 2*time.Second+abortLimit+5*time.Second {
		t.Errorf("after %v it says: %v", took, err)
	}
	if err := cluster.Continue(0); err != nil {
		t.Fatal(err)
	}
}
