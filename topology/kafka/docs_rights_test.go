package kafka

import (
	"bytes"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"callstitch/deploy/localkafka"
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

// TestDocumentedRights runs an instance whose user has the rights that
// docs/operations.md lists, and no others, on a broker that checks them.
func TestDocumentedRights(t *testing.T) {
	cluster := localkafka.ForTest(t, localkafka.Options{Props: guarded})
	admin := testConfig(t, cluster.Brokers(), as("admin"))
	admin.Workers = 2
	createSource(t, admin, 4)
	grant(t, admin)

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
	for _, f := range Examine(t.Context(), cfg) {
		if f.Err != nil {
			t.Errorf("%s: %v", f.What, f.Err)
		}
	}
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

// grant gives the rights in the table to the users app and reader.
func grant(t *testing.T, cfg Config) {
	t.Helper()
	page, err := os.ReadFile(operationsPage)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "\n## Rights\n")
	text, _, _ = strings.Cut(text, "\n## ")
	cl := client(t, cfg)
	defer cl.Close()
	rows := rightsRow.FindAllStringSubmatch(text, -1)
	for _, row := range rows {
		acl := resource(t, &cfg, row[1])
		for _, word := range strings.Split(row[2], ", ") {
			operation, err := kmsg.ParseACLOperation(word)
			if err != nil {
				t.Fatalf("%s: %v", row[0], err)
			}
			acl.Operations(operation)
			created, err := kadm.NewClient(cl).CreateACLs(t.Context(), acl)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range created {
				if c.Err != nil {
					t.Fatalf("%s: %v", row[0], c.Err)
				}
			}
		}
	}
	if len(rows) != 8 {
		t.Fatalf("the table of rights has %d rows with operations", len(rows))
	}
}

// resource is what a row of the table of rights is about.
func resource(t *testing.T, cfg *Config, named string) *kadm.ACLBuilder {
	t.Helper()
	acl := kadm.NewACLs().Allow("User:app").AllowHosts().ResourcePatternType(kadm.ACLPatternLiteral)
	switch {
	case strings.HasPrefix(named, "each source topic"):
		return acl.Topics(cfg.rawTopics()...)
	case strings.HasPrefix(named, "topic `<application_id>-exchange-repartition`"):
		return acl.Topics(cfg.ExchangeTopic())
	case strings.HasPrefix(named, "topic `<application_id>-stitch-changelog`"):
		return acl.Topics(cfg.ChangelogTopic())
	case strings.HasPrefix(named, "each output topic"):
		return acl.Topics(sinkTopics(cfg)...)
	case strings.HasPrefix(named, "group `<application_id>`"):
		return acl.Groups(testApp)
	case strings.HasPrefix(named, "transactional id, prefix"):
		return acl.TransactionalIDs(testApp + "-").ResourcePatternType(kadm.ACLPatternPrefixed)
	case strings.HasPrefix(named, "these topics"):
		return acl.Topics(append(sinkTopics(cfg), cfg.ExchangeTopic(), cfg.ChangelogTopic())...)
	case strings.HasPrefix(named, "readers"):
		return kadm.NewACLs().Allow("User:reader").AllowHosts().ResourcePatternType(kadm.ACLPatternLiteral).Topics(sinkTopics(cfg)...)
	}
	t.Fatalf("the table of rights names an unknown resource: %s", named)
	return nil
}

func sinkTopics(cfg *Config) (topics []string) {
	for _, s := range cfg.Sinks() {
		topics = append(topics, cfg.Topics.Topic(s))
	}
	return topics
}
