package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/processor/call"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/kafka"
	"callstitch/topology/memory"
)

// archive is what the topics of a broker keep of the calls that are asked about.
type archive struct {
	cfg        memory.Config
	configured bool             // the sources are known
	broker     kafka.TailConfig // without a topic
	from       string           // where outputs are searched from
	registry   *schemas.Registry
	own        map[schemas.Subject]*schemas.Reader // where the registry gives no schema
	noSchema   error                               // why it first gave none

	names    map[string]bool          // the ids that outputs are searched for
	legs     map[call.LegID]bool      // of the calls
	sources  map[call.Source]bool     // their raw records
	since    int64                    // when the first of those arrived, epoch ms
	until    int64                    // when the last did
	sessions map[string]storedSession // the last record of each id
}

// storedSession is what is needed of a record of call.sessions.
type storedSession struct {
	ID          string   `json:"session_id"`
	State       string   `json:"record_state"`
	Revision    int      `json:"revision"`
	Disposition string   `json:"disposition"`
	Merged      []string `json:"merged_session_ids"`
	Legs        []struct {
		ID     string `json:"leg_id"`
		CallID string `json:"provider_call_id"`
	} `json:"legs"`
}

// storedEvent is what is needed of a record of call.events.
type storedEvent struct {
	Tenant    string `json:"tenant_id"`
	Scope     string `json:"scope"`
	Leg       string `json:"leg_id"`
	CallID    string `json:"provider_call_id"`
	ParentID  string `json:"provider_parent_call_id"`
	At        int64  `json:"ingested_at"`
	Topic     string `json:"src_topic"`
	Partition int32  `json:"src_partition"`
	Offset    int64  `json:"src_offset"`
}

func openArchive(o *explainOptions, c *config.Config, cfg memory.Config) (*archive, error) {
	if len(c.Kafka.Brokers) == 0 {
		return nil, usageError{errors.New("--file, --brokers or kafka.brokers is required")}
	}
	runtime, err := c.Runtime()
	if err != nil {
		return nil, err
	}
	registry, err := c.Registry.Open()
	return &archive{
		cfg: cfg, configured: len(c.Sources) > 0,
		broker: kafka.TailConfig{Brokers: runtime.Brokers, Client: runtime.Client},
		from:   o.from, registry: registry, own: map[schemas.Subject]*schemas.Reader{},
		names: map[string]bool{}, legs: map[call.LegID]bool{}, sources: map[call.Source]bool{}, sessions: map[string]storedSession{},
	}, err
}

// find finds the calls' raw records in the outputs.
func (a *archive) find(ctx context.Context, q question) error {
	if q.at != nil {
		if err := a.findRecord(ctx, q); err != nil || len(a.legs) == 0 {
			return err
		}
	} else {
		a.names[q.id] = true
		if q.leg != (call.LegID{}) {
			a.add(q.leg)
		}
	}
	if err := a.findSessions(ctx); err != nil {
		return err
	}
	if err := a.findEvents(ctx, q); err != nil {
		return err
	}
	if len(a.sources) == 0 {
		return fmt.Errorf("%s is neither in %s nor in %s at %s", q, a.cfg.Topics.Sessions, a.cfg.Topics.Events, strings.Join(a.broker.Brokers, ","))
	}
	return nil
}

// findRecord reads the raw record that is asked about, for the legs of its events.
func (a *archive) findRecord(ctx context.Context, q question) error {
	t := a.broker
	t.Partitions = []int32{q.at.Partition}
	err := a.tail(ctx, t, q.at.Topic, strconv.FormatInt(q.at.Offset, 10), func(r topology.Record) error {
		if !q.isAbout(source(&r)) {
			return errEnough // the offset holds no record any more, or a commit marker
		}
		a.met(*q.at, r.Timestamp)
		for _, e := range decodeRecord(newDecoder(a.cfg.SourceOf(r.Topic)), &r).Events {
			a.add(e.Leg)
		}
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if len(a.sources) == 0 {
		return fmt.Errorf("there is no %s at %s: the offset was not written yet, was deleted, or is a commit marker",
			q, strings.Join(a.broker.Brokers, ","))
	}
	return nil
}

func (a *archive) add(leg call.LegID) {
	a.legs[leg] = true
	a.names[leg.String()] = true
}

// met widens the time by a raw record of the calls.
func (a *archive) met(s call.Source, at int64) {
	if len(a.sources) == 0 || at < a.since {
		a.since = at
	}
	a.until = max(a.until, at)
	a.sources[s] = true
}

// findSessions finds the legs of the sessions that have one of the names: their
// own, that of one they absorbed, or that of a leg.
func (a *archive) findSessions(ctx context.Context) error {
	err := a.tail(ctx, a.broker, a.cfg.Topics.Sessions, a.from, func(r topology.Record) error { return a.keepSession(ctx, r) })
	if err != nil {
		return err
	}
	for _, s := range a.sessions { // order: a set has none
		for _, l := range s.Legs {
			if leg, ok := call.ParseLegID(l.ID); ok {
				a.add(leg)
			}
		}
	}
	return nil
}

// keepSession keeps a session while its last record has one of the names. The
// topic may hold many more that only contain one: they are not kept.
func (a *archive) keepSession(ctx context.Context, r topology.Record) error {
	if _, earlier := a.sessions[string(r.Key)]; !earlier && !a.mayName(r.Value) {
		return nil
	}
	var s storedSession
	if err := a.decode(ctx, schemas.Sessions, r, &s); err != nil {
		return err
	}
	if a.named(s) {
		a.sessions[s.ID] = s
	} else {
		delete(a.sessions, s.ID)
	}
	return nil
}

// mayName says whether a value has one of the names in it. Avro keeps text as it
// is, so a value without it need not be decoded.
func (a *archive) mayName(value []byte) bool {
	for name := range a.names { // order: any one is enough
		if bytes.Contains(value, []byte(name)) {
			return true
		}
	}
	return false
}

func (a *archive) named(s storedSession) bool {
	if a.names[s.ID] || slices.ContainsFunc(s.Merged, func(id string) bool { return a.names[id] }) {
		return true
	}
	for _, l := range s.Legs {
		if a.names[l.ID] || a.names[l.CallID] {
			return true
		}
	}
	return false
}

// findEvents finds the raw records of the legs, and when they arrived. The key of
// an event is its leg.
func (a *archive) findEvents(ctx context.Context, q question) error {
	id := []byte(q.id)
	return a.tail(ctx, a.broker, a.cfg.Topics.Events, a.from, func(r topology.Record) error {
		leg, _ := call.ParseLegID(string(r.Key))
		if !a.legs[leg] && (q.at != nil || !bytes.Contains(r.Value, id)) {
			return nil
		}
		var e storedEvent
		if err := a.decode(ctx, schemas.Events, r, &e); err != nil {
			return err
		}
		if a.legs[leg] || e.CallID == q.id || e.ParentID == q.id { // of a parent nothing else may have come
			a.legs[leg] = true
			a.met(call.Source{Topic: e.Topic, Partition: e.Partition, Offset: e.Offset}, e.At)
			a.learn(e)
		}
		return nil
	})
}

// learn takes the settings of a source from its events, where no configuration
// tells them.
func (a *archive) learn(e storedEvent) {
	if a.configured || slices.ContainsFunc(a.cfg.Sources, func(s topology.Source) bool { return s.Topic == e.Topic && s.Tenant != "" }) {
		return
	}
	s := a.cfg.SourceOf(e.Topic)
	s.Tenant, s.Scope = e.Tenant, e.Scope
	a.cfg.Sources = append([]topology.Source{s}, a.cfg.Sources...)
}

// tail reads a topic to its end, as far as the config and yield let it.
func (a *archive) tail(ctx context.Context, t kafka.TailConfig, topic, from string, yield func(topology.Record) error) error {
	t.Topic, t.From = topic, from
	return errors.Join(kafka.Tail(ctx, t, yield), ctx.Err())
}

// decode reads an output record with the schema that it was written with, or,
// where the registry does not give it, with this program's own.
func (a *archive) decode(ctx context.Context, subject schemas.Subject, r topology.Record, into any) error {
	reader, avro, err := a.reader(ctx, subject, r.Value)
	if err != nil {
		return fmt.Errorf("decode %s %d %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	text, err := reader.AppendJSON(nil, avro)
	if err != nil {
		return fmt.Errorf("decode %s %d %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	return json.Unmarshal(text, into)
}

func (a *archive) reader(ctx context.Context, subject schemas.Subject, value []byte) (*schemas.Reader, []byte, error) {
	id, avro, err := schemas.ParseFrame(value)
	if err != nil || a.own[subject] != nil {
		return a.own[subject], avro, err
	}
	reader, err := a.registry.Reader(ctx, id)
	if err != nil {
		a.noSchema = cmp.Or(a.noSchema, err)
		reader, err = schemas.NewReader(subject.Schema())
		a.own[subject] = reader
	}
	return reader, avro, err
}

// read reads the raw records around those of the calls.
func (a *archive) read(ctx context.Context, window time.Duration) (evidence, error) {
	from, until := time.UnixMilli(a.since).Add(-window), time.UnixMilli(a.until).Add(window)
	e := evidence{cfg: a.cfg, through: a.through(time.Now().UnixMilli())}
	topics := a.topics()
	for _, topic := range topics {
		t := a.broker
		t.Until = until
		if err := a.tail(ctx, t, topic, from.Format(time.RFC3339Nano), e.pile.add); err != nil {
			return e, err
		}
	}
	e.pile.merge()
	e.where = fmt.Sprintf("%d raw records of %s between %s and %s", len(e.pile.records), strings.Join(topics, ", "),
		from.Format(time.DateTime), until.Format(time.DateTime))
	if a.noSchema != nil {
		e.remarks = append(e.remarks, "outputs were read with this program's own schemas: "+printable(a.noSchema.Error()))
	}
	if n := a.gone(e.pile); n > 0 {
		e.remarks = append(e.remarks, fmt.Sprintf("%d of the call's raw records are gone from their topic: the story has gaps", n))
	}
	for _, id := range slices.Sorted(maps.Keys(a.sessions)) {
		e.stored = append(e.stored, a.sessions[id])
	}
	return e, nil
}

// topics are those of the configured sources, and those that the calls' records
// came from.
func (a *archive) topics() []string {
	topics := map[string]bool{}
	for s := range a.sources {
		topics[s.Topic] = true
	}
	if a.configured {
		for _, s := range a.cfg.Sources {
			topics[s.Topic] = true
		}
	}
	return slices.Sorted(maps.Keys(topics))
}

// through is how far time has come for the calls: to now, but no further than
// what closes them, for they would be forgotten after their retention.
func (a *archive) through(now int64) int64 {
	c := a.cfg.Stitch
	return min(now, a.until+max(c.Grace, c.UnansweredTimeout, c.AnsweredTimeout).Milliseconds()+1)
}

// gone counts the calls' raw records that were not read.
func (a *archive) gone(p pile) int {
	missing := len(a.sources)
	for i := range p.records {
		if a.sources[source(&p.records[i].Record)] {
			missing--
		}
	}
	return missing
}
