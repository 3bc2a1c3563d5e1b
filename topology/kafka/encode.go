package kafka

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"callstitch/processor/call"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/kafka/rawlog"
)

// encoder turns outputs into records. Schema ids are fetched once, at the start:
// a registry that is down later changes nothing. Each thread has its own.
type encoder struct {
	cfg     *Config
	ids     [topology.SinkCount]int
	rejects *rejectRules // shared by all threads
	values  chunks[byte]
	records chunks[kgo.Record]
}

const (
	valueChunk  = 64 << 10
	recordChunk = 256
	// valueRoom is what a value mostly fits into; others get memory of their own.
	valueRoom = valueChunk / 16
)

// rejectRules are what the rejects topic takes.
type rejectRules struct {
	limit int   // of a record, bytes; a session sets it
	dates dates // that the topic takes and keeps; a session sets them
	now   bool  // rejects have the time of their writing: the topic has refused another
}

// dated reports whether a reject has the date of its record. One that is as old as the
// topic keeps records would be deleted before anybody has seen it. Of a topic of which
// nothing is known it is tried.
func (r *rejectRules) dated(at time.Time) bool {
	return !r.now && (r.dates == dates{} || r.dates.has(time.Since(at)))
}

// newEncoder fetches the schema ids of all output topics, all at once: a registry
// that is slow is slow once. What it learns before it fails the registry's
// client knows when it is called again (K45).
func newEncoder(ctx context.Context, cfg *Config, registry schemaRegistry) (*encoder, error) {
	e := &encoder{cfg: cfg, rejects: new(rejectRules)}
	fetch := registry.Lookup
	if cfg.Registry.AutoRegister {
		fetch = registry.Register
	}
	var all errgroup.Group // without a context: the failure of one does not undo the others
	for _, sink := range cfg.Sinks() {
		subject, avro := sink.Subject()
		if !avro {
			continue
		}
		all.Go(func() (err error) {
			e.ids[sink], err = fetch(ctx, subject, cfg.Topics.Topic(sink))
			return err
		})
	}
	return e, all.Wait()
}

// schemaRegistry is what the runtime needs of a schema registry. Its String is the
// address, fit for a log.
type schemaRegistry interface {
	fmt.Stringer
	Register(ctx context.Context, s schemas.Subject, topic string) (id int, err error)
	Lookup(ctx context.Context, s schemas.Subject, topic string) (id int, err error)
}

func (c RegistryConfig) open() (schemaRegistry, error) {
	return schemas.NewRegistry(c.RegistryConfig)
}

// forks are encoders for n threads.
func (e *encoder) forks(n int) (all []*encoder) {
	for range n {
		all = append(all, &encoder{
			cfg: e.cfg, ids: e.ids, rejects: e.rejects,
			values: chunks[byte]{size: valueChunk}, records: chunks[kgo.Record]{size: recordChunk},
		})
	}
	return all
}

// again has the memory of what it has made used again: brokers have acknowledged it.
func (e *encoder) again() {
	e.values.again()
	e.records.again()
}

// forget gives up the memory of what it has made: the client may hold it still.
func (e *encoder) forget() {
	e.values.forget()
	e.records.forget()
}

// record is the Kafka record of an output.
func (e *encoder) record(o topology.Output) (*kgo.Record, error) {
	if r, ok := o.Value.(*call.Reject); ok {
		return e.reject(r), nil
	}
	sink := o.Sink()
	topic := e.cfg.Topics.Topic(sink)
	value, err := e.avro(e.ids[sink], o.Value)
	if err != nil {
		return nil, fmt.Errorf("encode a record for %s: %w", topic, err)
	}
	return e.next(topic, 0, o.Key, value), nil
}

// avro is the value of an output in Confluent's wire format.
func (e *encoder) avro(id int, value call.Output) ([]byte, error) {
	b, err := schemas.AppendAvro(schemas.AppendFrame(e.values.room(valueRoom), id), value)
	if err != nil {
		return nil, err
	}
	return e.values.keep(b), nil
}

// next is a record that the producer may keep until again.
func (e *encoder) next(topic string, partition int32, key, value []byte) *kgo.Record {
	return &e.records.keep(append(e.records.room(1), kgo.Record{Topic: topic, Partition: partition, Key: key, Value: value}))[0]
}

const (
	// rejectLeast is what a topic must take for a reject to say where it came from and why.
	rejectLeast = 4 << 10
	// batchOverhead is room for the batch around a record.
	batchOverhead = 128
	// cutRoom is room for the headers that tell of a cut.
	cutRoom = 256
)

// reject is the record of something that was not taken: as it came, with why and
// where from. It commits with the rest, so it is written once (K21), and it
// always fits, so it cannot stop the pipeline (K20).
func (e *encoder) reject(r *call.Reject) *kgo.Record {
	rec := &kgo.Record{Topic: e.cfg.Topics.Rejects, Key: r.Key, Value: r.Value}
	if at := time.UnixMilli(r.Timestamp); r.Timestamp > 0 && e.rejects.dated(at) {
		rec.Timestamp = at
	}
	rec.Headers = appendHeaders(nil, r.Headers)
	own := appendHeaders(nil, topology.RejectHeaders(r))
	cut := fit(rec, e.rejects.limit-batchOverhead-cutRoom-headersSize(own))
	if cut != nil && r.Cut != nil {
		// It came cut: the value is the beginning of another.
		cut.Length, cut.SHA256, cut.Dropped = r.Cut.Length, r.Cut.SHA256, slices.Concat(r.Cut.Dropped, cut.Dropped)
	}
	if cut != nil {
		r = &call.Reject{Reason: r.Reason, Detail: r.Detail, Timestamp: r.Timestamp, Source: r.Source, Batch: r.Batch, Cut: cut}
		own = appendHeaders(nil, topology.RejectHeaders(r))
	}
	rec.Headers = append(rec.Headers, own...)
	return rec
}

// fit cuts a record to room bytes, and tells what it was; nil where it fits. Headers
// go that take more than half of the room, then a key that takes more than half of the
// rest: they are hostile on purpose. Of the value stays the beginning.
func fit(rec *kgo.Record, room int) *call.Cut {
	if size(rec) <= room {
		return nil
	}
	cut := &call.Cut{Length: int64(len(rec.Value)), SHA256: sha256.Sum256(rec.Value)}
	if headersSize(rec.Headers) > room/2 {
		rec.Headers = nil
		cut.Dropped = append(cut.Dropped, "headers")
	}
	if room -= headersSize(rec.Headers); len(rec.Key) > room/2 {
		rec.Key = nil
		cut.Dropped = append(cut.Dropped, "key")
	}
	room -= len(rec.Key) + 2*perField
	rec.Value = rec.Value[:max(0, min(len(rec.Value), rawlog.Kept, room))]
	return cut
}

// perField is room for lengths and deltas.
const perField = 8

func size(rec *kgo.Record) int {
	return len(rec.Key) + len(rec.Value) + 2*perField + headersSize(rec.Headers)
}

func headersSize(headers []kgo.RecordHeader) (n int) {
	for _, h := range headers {
		n += len(h.Key) + len(h.Value) + perField
	}
	return n
}

func appendHeaders(to []kgo.RecordHeader, headers []call.Header) []kgo.RecordHeader {
	for _, h := range headers {
		to = append(to, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return to
}

func fromKafka(rec *kgo.Record) topology.Record {
	r := topology.Record{
		Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset,
		Timestamp: rec.Timestamp.UnixMilli(), Key: rec.Key, Value: rec.Value,
	}
	if len(rec.Headers) > 0 {
		r.Headers = make([]call.Header, len(rec.Headers))
		for i, h := range rec.Headers {
			r.Headers[i] = call.Header{Key: h.Key, Value: h.Value}
		}
	}
	return r
}
