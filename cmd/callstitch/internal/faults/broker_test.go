package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

// broker answers what readers cannot tell: for them a topic ends where an open
// transaction begins.
type broker struct {
	client *kgo.Client
	admin  *kadm.Client
}

func newBroker(t *testing.T, addresses []string) *broker {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addresses...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(10*time.Millisecond), // else topics that were just made are not listed
		kgo.ProducerBatchMaxBytes(2<<20))        // for what is too large for the decoder
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &broker{client, kadm.NewClient(client)}
}

// written is the partition that records are written to, by hand.
const written = 1

// write appends a record to a topic.
func (b *broker) write(t *testing.T, topic string, key, value []byte) {
	t.Helper()
	if err := b.client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: written, Key: key, Value: value}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// writeAll appends records as they are, to the partitions that they name.
func (b *broker) writeAll(t *testing.T, records ...topology.Record) {
	t.Helper()
	var all []*kgo.Record
	for _, r := range records {
		rec := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Timestamp: time.UnixMilli(r.Timestamp), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		all = append(all, rec)
	}
	if err := b.client.ProduceSync(t.Context(), all...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// set changes a setting of a topic.
func (b *broker) set(t *testing.T, topic, key, value string) {
	t.Helper()
	if _, err := b.admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: key, Value: &value}}, topic); err != nil {
		t.Fatal(err)
	}
}

// remark puts metadata beside the offset that a group has committed.
func (b *broker) remark(t *testing.T, group, topic, metadata string) {
	t.Helper()
	offset := b.committed(t, group, topic)[written].Offset
	offset.Metadata = metadata
	offsets := make(kadm.Offsets)
	offsets.Add(offset)
	if err := b.admin.CommitAllOffsets(t.Context(), group, offsets); err != nil {
		t.Fatal(err)
	}
}

// read is how many records of a topic a group has read.
func (b *broker) read(t *testing.T, group, topic string) (n int64) {
	t.Helper()
	for _, o := range b.committed(t, group, topic) {
		n += o.At
	}
	return n
}

// records is how many have been written to a topic.
func (b *broker) records(t *testing.T, topic string) (n int) {
	t.Helper()
	ends, err := b.admin.ListEndOffsets(t.Context(), topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) { n += int(o.Offset) })
	return n
}

// everyTaskHasRead reports whether a group has read of each partition of its exchange.
func (b *broker) everyTaskHasRead(t *testing.T, group string) bool {
	t.Helper()
	tasks := b.committed(t, group, group+"-exchange-repartition")
	for _, o := range tasks {
		if o.At == 0 {
			return false
		}
	}
	return len(tasks) > 0
}

func (b *broker) committed(t *testing.T, group, topic string) map[int32]kadm.OffsetResponse {
	t.Helper()
	offsets, err := b.admin.FetchOffsets(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	return offsets[topic]
}

// ownTopics is how many topics it has: exchange, changelog, events, sessions, rejects and
// audit, and where sessions settle, that of those.
func (a *application) ownTopics() int {
	if a.settles {
		return 7
	}
	return 6
}

// noTransactionIsOpen expects that of an application without instances.
func (a *application) noTransactionIsOpen() {
	a.t.Helper()
	topics := a.broker.topics(a.t, a.id+"-")
	if len(topics) != a.ownTopics() {
		a.t.Fatalf("%s has the topics %v, not %d", a.id, topics, a.ownTopics())
	}
	// The markers of a transaction are written just after the answer that ends it. One
	// that nobody ends is open for 10 s and more.
	var open []string
	for deadline := time.Now().Add(time.Second); ; {
		open = append(a.broker.transactions(a.t, a.id+"-"), a.broker.unread(a.t, topics)...)
		if len(open) == 0 || time.Now().After(deadline) {
			break
		}
	}
	for _, what := range open {
		a.t.Error("a transaction is open: ", what)
	}
}

// topics are those whose name begins with prefix.
func (b *broker) topics(t *testing.T, prefix string) (names []string) {
	t.Helper()
	listed, err := b.admin.ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range listed.Names() {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

// transactions are the ids of open ones that begin with prefix.
func (b *broker) transactions(t *testing.T, prefix string) (ids []string) {
	t.Helper()
	listed, err := b.admin.ListTransactions(t.Context(), nil, []string{"Ongoing", "PrepareCommit", "PrepareAbort"})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range listed.TransactionalIDs() {
		if strings.HasPrefix(id, prefix) {
			ids = append(ids, id)
		}
	}
	return ids
}

// members are the static members of a group whose id begins with prefix.
func (b *broker) members(t *testing.T, group, prefix string) (ids []string) {
	t.Helper()
	described, err := b.admin.DescribeGroups(t.Context(), group)
	if err == nil {
		err = described.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range described[group].Members {
		if m.InstanceID != nil && strings.HasPrefix(*m.InstanceID, prefix) {
			ids = append(ids, *m.InstanceID)
		}
	}
	return ids
}

// unread are the partitions of which readers of committed records do not reach the end.
func (b *broker) unread(t *testing.T, topics []string) (partitions []string) {
	t.Helper()
	committed, err := b.admin.ListCommittedOffsets(t.Context(), topics...)
	if err == nil {
		err = committed.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	ends, err := b.admin.ListEndOffsets(t.Context(), topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		if c, _ := committed.Lookup(end.Topic, end.Partition); c.Offset != end.Offset {
			partitions = append(partitions, fmt.Sprintf("%s %d can be read to %d of %d", end.Topic, end.Partition, c.Offset, end.Offset))
		}
	})
	return partitions
}
