package kafka

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology/topologytest"
)

// lackRight takes one of the documented rights away. check names that one and no other; a
// start that cannot do without says so, too, and has written nothing.
func lackRight(t *testing.T, admin Config, i int) {
	t.Helper()
	cfg := admin
	cfg.Config = named(admin.Config, fmt.Sprintf("lack%02d", i))
	rights := ownRights(t, &cfg)
	lost := rights[i]
	createSource(t, cfg, 1)
	what := lost.String()
	if lost.operation == kmsg.ACLOperationCreate {
		what = "topic " + lost.name + " is missing and this user lacks CREATE"
	} else {
		makeTopics(t, cfg)
	}
	grant(t, admin, slices.Delete(rights, i, i+1))
	cfg.Client = []kgo.Opt{as("app")}
	problems, advice := awaitLacks(t, cfg, 1)
	said, other := problems, advice
	if !required(lost) {
		said, other = advice, problems
	}
	if len(said) != 1 || !strings.Contains(said[0], what) || len(other) > 0 {
		t.Fatalf("check finds %q, and advises %q", problems, advice)
	}
	if !required(lost) {
		return // haveLeastRights runs without
	}
	cfg.StartupTimeout = time.Nanosecond
	err := runFor(t, cfg, 10*time.Second)
	if lost.kind == kmsg.ACLResourceTypeTransactionalId {
		what = "WRITE on transactional id " + cfg.ApplicationID + "-one-0"
	}
	if err == nil || !strings.Contains(err.Error(), what) {
		t.Errorf("a start ends with %v", err)
	}
	cl := client(t, admin)
	defer cl.Close()
	offsets, err := kadm.NewClient(cl).FetchOffsets(t.Context(), cfg.ApplicationID)
	if err != nil || len(offsets) > 0 {
		t.Errorf("it left offsets: %v, %v", offsets, err)
	}
}

// lackRightsOfTheDoor takes away what somebody who writes raw events needs.
func lackRightsOfTheDoor(t *testing.T, admin Config) {
	t.Helper()
	admin.Config = named(admin.Config, "door")
	createSource(t, admin, 1)
	topic := admin.Sources[0].Topic
	cfg := admin
	cfg.Client = []kgo.Opt{as("app")}
	rights := func(operations ...kmsg.ACLOperation) (all []documentedRight) {
		for _, o := range operations {
			all = append(all, documentedRight{"app", kmsg.ACLResourceTypeTopic, topic, kadm.ACLPatternLiteral, o})
		}
		return all
	}
	for _, c := range []struct {
		granted []documentedRight
		found   string
	}{
		{nil, "this user lacks WRITE on topic door.raw: grant it"},
		{rights(kmsg.ACLOperationDescribeConfigs), "this user lacks WRITE on topic door.raw: grant it"},
		{rights(kmsg.ACLOperationDescribe), "this user lacks WRITE on topic door.raw: grant it"},
		{rights(kmsg.ACLOperationWrite), ""},
	} {
		grant(t, admin, c.granted)
		var found []string
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			found = nil
			for _, f := range ExamineTarget(t.Context(), cfg, topic, 1) {
				if f.Err != nil {
					found = append(found, f.Err.Error())
				}
			}
			if strings.Join(found, "; ") == c.found {
				break
			}
		}
		if got := strings.Join(found, "; "); got != c.found {
			t.Errorf("with %v check finds %q, want %q", c.granted, got, c.found)
		}
	}
}

// required reports whether no run does without a right.
func required(r documentedRight) bool {
	return slices.Contains([]kmsg.ACLOperation{kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationCreate}, r.operation)
}

// haveLeastRights runs an instance without the rights that a run does without, and has a
// topic take less than is assumed of one that its user may not describe.
func haveLeastRights(t *testing.T, admin Config) {
	t.Helper()
	const limit = 600_000
	admin.Config = named(admin.Config, "least")
	createSource(t, admin, 2)
	makeTopics(t, admin)
	setLimit(t, admin, admin.Topics.Rejects, limit)
	grant(t, admin, slices.DeleteFunc(ownRights(t, &admin), func(r documentedRight) bool { return !required(r) || r.operation == kmsg.ACLOperationCreate }))
	records := onTopic(admin, topologytest.Calls(5, 20, 5*time.Second).Shuffle(5, 2, time.Second, 0.2))
	feed(t, admin, records)
	noise := make([]byte, 900_000)
	rand.NewChaCha8([32]byte{5}).Read(noise) // what can be compressed fits anywhere
	produce(t, admin, []*kgo.Record{{Topic: admin.Sources[0].Topic, Value: noise, Timestamp: time.UnixMilli(1)}})

	cfg := admin
	cfg.Client = []kgo.Opt{as("app")}
	problems, advice := awaitLacks(t, cfg, 1+2+len(cfg.Sinks())) // a line for each topic
	both := "lacks DELETE on topic least-exchange-repartition: it is not purged, and only grows; this user lacks DESCRIBE_CONFIGS on topic least-exchange-repartition: "
	if len(problems) > 0 || !strings.Contains(strings.Join(advice, "\n"), both) {
		t.Errorf("check finds %q, and advises %q", problems, advice)
	}
	got := newCollector()
	cfg.OnCommit = got.take
	r := startRun(t, cfg)
	got.await(t, inMemory(t, records).Canonical(), 30*time.Second)
	awaitBooks(t, admin, len(records)+1, 20*time.Second)
	if err := r.stop(t); err != nil {
		t.Error(err)
	}
	rejects := readRecords(t, admin, cfg.Topics.Rejects)
	if len(rejects) != 1 || len(rejects[0].Value) > limit || headersOf(rejects[0])["callstitch.length"] != strconv.Itoa(len(noise)) {
		t.Errorf("%d rejects, of a record that is larger than what their topic takes", len(rejects))
	}
	if err := planned(t, cfg, ResetOptions{Execute: true}).Refused(); err == nil || !strings.Contains(err.Error(), "CREATE on topic "+cfg.ExchangeTopic()) {
		t.Errorf("a reset by who cannot make the topics again is refused for %v", err)
	}
}

// ownRights are those of the program's user.
func ownRights(t *testing.T, cfg *Config) []documentedRight {
	t.Helper()
	return slices.DeleteFunc(documentedRights(t, cfg), func(r documentedRight) bool { return r.user != "app" })
}

// awaitLacks is what check finds wrong, and what it advises for a run, once that is so
// much: brokers learn of a right a moment after it was granted.
func awaitLacks(t *testing.T, cfg Config, n int) (problems, advice []string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		problems, advice = nil, nil
		for _, f := range Examine(t.Context(), cfg) {
			if f.Err != nil {
				problems = append(problems, f.Err.Error())
			}
			if strings.HasPrefix(f.Advice, "this user lacks") {
				advice = append(advice, f.Advice)
			}
		}
		if len(problems)+len(advice) == n || time.Now().After(deadline) {
			return problems, advice
		}
	}
}
