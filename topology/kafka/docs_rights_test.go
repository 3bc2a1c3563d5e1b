package kafka

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"callstitch/deploy/localkafka"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

// guarded are the properties of a broker that knows three users and lets only
// the first do what no ACL allows. Its own listener is the one that it has.
var guarded = map[string]string{
	"listener.security.protocol.map":       "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
	"inter.broker.listener.name":           "PLAINTEXT",
	"sasl.enabled.mechanisms":              "PLAIN",
	"sasl.mechanism.inter.broker.protocol": "PLAIN",
	"listener.name.plaintext.plain.sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required ` +
		`username="admin" password="admin" user_admin="admin" user_app="app" user_reader="reader";`,
	"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
	"super.users":           "User:admin;User:ANONYMOUS",
}

func as(user string) kgo.Opt { return kgo.SASL(plain.Auth{User: user, Pass: user}.AsMechanism()) }

// TestDocumentedRights has a broker that checks rights, and users with those that
// docs/operations.md lists: with all of them, with those that no run does without, and
// with all but one.
func TestDocumentedRights(t *testing.T) {
	t.Parallel() // most of it is waiting, with a broker of its own
	cluster := localkafka.ForTest(t, localkafka.Options{Props: guarded})
	admin := testConfig(t, cluster.Brokers(), as("admin"))
	t.Run("check", func(t *testing.T) { changesNothing(t, admin) })
	t.Run("all", func(t *testing.T) { haveAllRights(t, admin) })
	t.Run("door", func(t *testing.T) { lackRightsOfTheDoor(t, admin) })
	t.Run("least", func(t *testing.T) { haveLeastRights(t, admin) })
	for i, r := range ownRights(t, &admin) {
		t.Run(r.String(), func(t *testing.T) { lackRight(t, admin, i) })
	}
}

// changesNothing has check ask for rights where nobody has used the broker yet. To look
// for who keeps transactional ids would make the topic that they are in.
func changesNothing(t *testing.T, admin Config) {
	t.Helper()
	Examine(t.Context(), admin)
	cl := client(t, admin)
	defer cl.Close()
	listed, err := kadm.NewClient(cl).ListTopics(t.Context(), "__transaction_state")
	if d := listed["__transaction_state"]; err != nil || !errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
		t.Errorf("check made a topic: %v, %v", d.Err, err)
	}
}

// haveAllRights runs an instance whose user has the documented rights, and no others.
func haveAllRights(t *testing.T, admin Config) {
	t.Helper()
	admin.Workers = 2
	createSource(t, admin, 4)
	grant(t, admin, documentedRights(t, &admin))

	records := onTopic(admin, topologytest.Calls(5, 20, 5*time.Second).Shuffle(5, 4, time.Second, 0.2))
	feed(t, admin, records)
	cfg := admin
	cfg.Client = []kgo.Opt{as("app")}
	log := new(warnings)
	cfg.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	got := newCollector()
	cfg.OnCommit = got.take
	r := startRun(t, cfg)
	got.await(t, inMemory(t, records).Canonical(), 30*time.Second)
	var commands []string
	for _, f := range Examine(t.Context(), cfg) {
		if f.Err != nil {
			t.Errorf("%s: %v", f.What, f.Err)
		}
		if strings.HasPrefix(f.Advice, "whoever runs") {
			commands = append(commands, f.Advice)
		}
	}
	want := []string{
		"whoever runs 'callstitch rejects replay' needs what this user lacks: READ on group app-rejects-replay, READ on topic call.rejects and WRITE on topic call.raw",
		"whoever runs 'callstitch reset' needs what this user lacks: DELETE on group app, DELETE on topic app-stitch-changelog and READ on topic call.sessions",
	}
	if diff := cmp.Diff(want, commands); diff != "" {
		t.Errorf("advice of commands (-want +got):\n%s", diff)
	}
	tp := topology.TopicPartition{Topic: admin.Sources[0].Topic, Partition: 1}
	stranger := admin // whose ids do not begin as ours
	stranger.ApplicationID = "other"
	end := openTransaction(t, stranger, tp)
	if o := openIn(t, cfg, tp); !o.Hidden || o.Hangs() || o.ID != "" {
		t.Errorf("whose id this user may not see is %s", o)
	}
	if o := openIn(t, admin, tp); o.Hidden || o.ID == "" {
		t.Errorf("who may see all ids finds %s", o)
	}
	if f := examined(t, cfg); f.Err != nil {
		t.Errorf("while a transaction is open: %v", f.Err)
	}
	end()
	purgeAndFence(t, cfg)
	if err := r.stop(t); err != nil {
		t.Error(err)
	}
	if text := log.text(); strings.Contains(text, "AUTHORIZATION") { // a young cluster warns of other things
		t.Errorf("logged:\n%s", text)
	}
	reader := admin
	reader.Client = []kgo.Opt{as("reader")}
	if n := len(readRecords(t, reader, cfg.Topics.Sessions)); n == 0 {
		t.Error("a reader sees no session")
	}
	resetNeeds(t, admin, cfg)
}

// openIn is the transaction that is open in a partition.
func openIn(t *testing.T, cfg Config, tp topology.TopicPartition) *OpenTransaction {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	open, err := openTransactions(t.Context(), cl, []topology.TopicPartition{tp})
	if err != nil || len(open) != 1 {
		t.Fatalf("%d transactions are open: %v", len(open), err)
	}
	return &open[0]
}

// warnings keeps what is logged.
type warnings struct {
	mu  sync.Mutex
	log bytes.Buffer
}

// Write adds a line.
func (w *warnings) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(line)
}

func (w *warnings) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// purgeAndFence does at once what an instance does after a while, or after
// another one's crash.
func purgeAndFence(t *testing.T, cfg Config) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	offsets := make(kadm.Offsets)
	offsets.AddOffset(cfg.ExchangeTopic(), 0, 0, -1)
	purged, err := kadm.NewClient(cl).DeleteRecords(t.Context(), offsets)
	if err == nil {
		err = purged.Error()
	}
	if err != nil {
		t.Errorf("purge the exchange: %v", err)
	}
	if err := fence(t.Context(), cl, testApp+"-another-0", time.Second); err != nil {
		t.Errorf("fence another instance: %v", err)
	}
	members, err := liveMembers(t.Context(), cl, testApp)
	if err != nil || len(members) != 1 {
		t.Errorf("members of the group: %v, %v", members, err)
	}
}

// rightsRow is a row of the table of rights: resource and operations.
var rightsRow = regexp.MustCompile(`(?m)^\| ([^|]*) \| ([A-Z_, ]+) \|`)

// documentedRight is one right on one resource.
type documentedRight struct {
	user      string
	kind      kmsg.ACLResourceType
	name      string
	pattern   kadm.ACLPattern
	operation kmsg.ACLOperation
}

// String is the right as check names it.
func (r documentedRight) String() string {
	kind := map[kmsg.ACLResourceType]string{
		kmsg.ACLResourceTypeTopic: "topic ", kmsg.ACLResourceTypeGroup: "group ", kmsg.ACLResourceTypeTransactionalId: "transactional ids that begin with ",
	}[r.kind]
	return r.operation.String() + " on " + kind + r.name
}

// documentedRights are those in the table of docs/operations.md.
func documentedRights(t *testing.T, cfg *Config) (rights []documentedRight) {
	t.Helper()
	page, err := os.ReadFile(operationsPage)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "\n## Rights\n")
	text, _, _ = strings.Cut(text, "\n## ")
	rows := rightsRow.FindAllStringSubmatch(text, -1)
	if len(rows) != 8 {
		t.Fatalf("the table of rights has %d rows with operations", len(rows))
	}
	for _, row := range rows {
		for _, word := range strings.Split(row[2], ", ") {
			operation, err := kmsg.ParseACLOperation(word)
			if err != nil {
				t.Fatalf("%s: %v", row[0], err)
			}
			for _, r := range resources(t, cfg, row[1]) {
				r.operation = operation
				rights = append(rights, r)
			}
		}
	}
	return rights
}

// resources are what a row of the table of rights is about.
func resources(t *testing.T, cfg *Config, named string) (all []documentedRight) {
	t.Helper()
	user := "app"
	topics := func(names ...string) (all []documentedRight) {
		for _, name := range names {
			all = append(all, documentedRight{user: user, kind: kmsg.ACLResourceTypeTopic, name: name, pattern: kadm.ACLPatternLiteral})
		}
		return all
	}
	switch {
	case strings.HasPrefix(named, "each source topic"):
		return topics(cfg.rawTopics()...)
	case strings.HasPrefix(named, "topic `<application_id>-exchange-repartition`"):
		return topics(cfg.ExchangeTopic())
	case strings.HasPrefix(named, "topic `<application_id>-stitch-changelog`"):
		return topics(cfg.ChangelogTopic())
	case strings.HasPrefix(named, "each output topic"):
		return topics(sinkTopics(cfg)...)
	case strings.HasPrefix(named, "group `<application_id>`"):
		return []documentedRight{{user: user, kind: kmsg.ACLResourceTypeGroup, name: cfg.ApplicationID, pattern: kadm.ACLPatternLiteral}}
	case strings.HasPrefix(named, "transactional id, prefix"):
		return []documentedRight{{user: user, kind: kmsg.ACLResourceTypeTransactionalId, name: cfg.ApplicationID + "-", pattern: kadm.ACLPatternPrefixed}}
	case strings.HasPrefix(named, "these topics"):
		return topics(append(sinkTopics(cfg), cfg.ExchangeTopic(), cfg.ChangelogTopic())...)
	case strings.HasPrefix(named, "readers"):
		user = "reader"
		return topics(sinkTopics(cfg)...)
	}
	t.Fatalf("the table of rights names an unknown resource: %s", named)
	return nil
}

// grant gives rights.
func grant(t *testing.T, admin Config, rights []documentedRight) {
	t.Helper()
	cl := client(t, admin)
	defer cl.Close()
	req := kmsg.NewPtrCreateACLsRequest()
	for _, r := range rights {
		req.Creations = append(req.Creations, kmsg.CreateACLsRequestCreation{
			ResourceType: r.kind, ResourceName: r.name, ResourcePatternType: r.pattern,
			Principal: "User:" + r.user, Host: "*", Operation: r.operation, PermissionType: kmsg.ACLPermissionTypeAllow,
		})
	}
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range resp.Results {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			t.Fatalf("grant %v: %v", rights[i], err)
		}
	}
	// The controller has them; the broker that asks for them takes them over a little later.
	missing := rights
	for end := time.Now().Add(20 * time.Second); len(missing) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the broker does not come to know of %v", missing)
		}
		missing = slices.DeleteFunc(slices.Clone(missing), func(r documentedRight) bool {
			ask := kmsg.NewPtrDescribeACLsRequest()
			ask.ResourceType, ask.ResourceName, ask.ResourcePatternType = r.kind, &r.name, r.pattern
			ask.Principal = kmsg.StringPtr("User:" + r.user)
			ask.Operation, ask.PermissionType = r.operation, kmsg.ACLPermissionTypeAllow
			resp, err := ask.RequestWith(t.Context(), cl)
			return err == nil && len(resp.Resources) > 0
		})
	}
}

func sinkTopics(cfg *Config) (topics []string) {
	for _, s := range cfg.Sinks() {
		topics = append(topics, cfg.Topics.Topic(s))
	}
	return topics
}
