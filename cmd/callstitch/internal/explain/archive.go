package explain

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/processor/call"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/kafka"
	"callstitch/topology/memory"
)

// Topics are where the topics of a broker are, and how they are read.
type Topics struct {
	Config  *config.Config // of brokers and registry
	Runtime memory.Config  // of the core
	From    string         // where outputs are searched from, as for kafka.TailConfig
	// Window is how long before a call's first record and after its last one raw
	// records are read.
	Window time.Duration
}

// ReadTopics looks up in the output topics which raw records a question is about,
// and reads those of that time.
func ReadTopics(ctx context.Context, q Question, t Topics) (Evidence, error) {
	a, err := openArchive(t)
	if err != nil {
		return Evidence{}, err
	}
	if err := a.find(ctx, q); err != nil {
		return Evidence{}, err
	}
	return a.read(ctx, t.Window)
}

// errEnough ends the reading of a topic.
var errEnough = errors.New("enough")

// archive is what the topics of a broker keep of the calls that are asked about.
type archive struct {
	cfg        memory.Config
	configured bool             // the sources are known
	broker     kafka.TailConfig // without a topic
	from       string           // where outputs are searched from
	registry   *schemas.Registry
	own        map[schemas.Subject]*schemas.Reader // where the registry gives no schema
	noSchema   error                               // why it first gave none
	left       []string                            // what could not be read

	names    map[string]bool          // the ids that outputs are searched for
	legs     map[call.LegID]bool      // of the calls
	sources  map[call.Source]bool     // their raw records
	since    int64                    // when the first of those arrived, epoch ms
	until    int64                    // when the last did
	sessions map[string]storedSession // the last record of each id
}

func openArchive(t Topics) (*archive, error) {
	runtime, err := t.Config.Runtime()
	if err != nil {
		return nil, err
	}
	registry, err := t.Config.Registry.Open()
	return &archive{
		cfg: t.Runtime, configured: len(t.Config.Sources) > 0,
		broker: kafka.TailConfig{Brokers: runtime.Brokers, Client: runtime.Client},
		from:   t.From, registry: registry, own: map[schemas.Subject]*schemas.Reader{},
		names: map[string]bool{}, legs: map[call.LegID]bool{}, sources: map[call.Source]bool{}, sessions: map[string]storedSession{},
	}, err
}

// find finds the calls' raw records in the outputs.
func (a *archive) find(ctx context.Context, q Question) error {
	if q.at != nil {
		if err := a.findRecord(ctx, q); err != nil || len(a.legs) == 0 {
			return err
		}
	} else {
		a.names[q.id] = true
		if q.leg != (call.LegID{}) {
			a.addLeg(q.leg)
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
func (a *archive) findRecord(ctx context.Context, q Question) error {
	t := a.broker
	t.Partitions = []int32{q.at.Partition}
	err := a.tail(ctx, t, q.at.Topic, strconv.FormatInt(q.at.Offset, 10), func(r topology.Record) error {
		if !q.isAbout(sourceOf(&r)) {
			return errEnough // the offset holds no record any more, or a commit marker
		}
		a.addSource(*q.at, r.Timestamp)
		for _, e := range decodeRecord(newDecoder(a.cfg.SourceOf(r.Topic)), &r).Events {
			a.addLeg(e.Leg)
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

func (a *archive) addLeg(leg call.LegID) {
	a.legs[leg] = true
	a.names[leg.String()] = true
}

// addSource widens the time by a raw record of the calls.
func (a *archive) addSource(s call.Source, at int64) {
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
				a.addLeg(leg)
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

// mayName reports whether a value has one of the names in it. Avro keeps text as it
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
func (a *archive) findEvents(ctx context.Context, q Question) error {
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
			a.addSource(call.Source{Topic: e.Topic, Partition: e.Partition, Offset: e.Offset}, e.At)
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
	t.Left = func(partitions []int32) {
		a.left = append(a.left, fmt.Sprintf("of %s partitions %v are left out: %v", topic, partitions, kafka.ErrNoLeader))
	}
	return errors.Join(kafka.Tail(ctx, t, yield), ctx.Err())
}

// read reads the raw records around those of the calls.
func (a *archive) read(ctx context.Context, window time.Duration) (Evidence, error) {
	from, until := time.UnixMilli(a.since).Add(-window), time.UnixMilli(a.until).Add(window)
	e := Evidence{cfg: a.cfg}
	topics := a.topics()
	for _, topic := range topics {
		t := a.broker
		t.Until = until
		if err := a.tail(ctx, t, topic, from.Format(time.RFC3339Nano), e.pile.add); err != nil {
			return e, err
		}
	}
	if err := a.readLater(ctx, &e.pile); err != nil {
		return e, err
	}
	e.through = a.through(call.Arrival(time.Now().UnixMilli()))
	e.pile.merge()
	e.where = fmt.Sprintf("%d raw records of %s between %s and %s", len(e.pile.records), strings.Join(topics, ", "),
		from.Format(time.DateTime), until.Format(time.DateTime))
	if a.noSchema != nil {
		e.remarks = append(e.remarks, "outputs were read with this program's own schemas: "+terminal.Printable(a.noSchema.Error()))
	}
	e.remarks = append(e.remarks, a.left...)
	if n := a.gone(e.pile); n > 0 && len(a.left) == 0 {
		e.remarks = append(e.remarks, fmt.Sprintf("%d of the call's raw records are gone from their topic: the story has gaps", n))
	} else if n > 0 {
		e.remarks = append(e.remarks, fmt.Sprintf("%d of the call's raw records are gone from their topic, or in what was left out: the story has gaps", n))
	}
	for _, id := range slices.Sorted(maps.Keys(a.sessions)) {
		e.stored = append(e.stored, a.sessions[id])
	}
	return e, nil
}

// laterMax is how many records are read one by one. More of one call were hardly
// rejected.
const laterMax = 100

// readLater reads the calls' raw records that lie far behind the time that they tell: they
// were rejects, and came again.
func (a *archive) readLater(ctx context.Context, p *pile) error {
	missing := maps.Clone(a.sources)
	for i := range p.records {
		delete(missing, sourceOf(&p.records[i].Record))
	}
	places := slices.SortedFunc(maps.Keys(missing), func(s, o call.Source) int {
		return cmp.Or(cmp.Compare(s.Topic, o.Topic), cmp.Compare(s.Partition, o.Partition), cmp.Compare(s.Offset, o.Offset))
	})
	for _, s := range places[:min(len(places), laterMax)] {
		t := a.broker
		t.Topic = s.Topic
		r, found, err := kafka.RecordAt(ctx, t, s.Partition, s.Offset)
		if err == nil && found { // else it is gone
			a.until = max(a.until, r.Timestamp)
			err = p.add(r)
		}
		if err != nil && !errors.Is(err, kafka.ErrNoLeader) {
			return err
		}
	}
	return nil
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
func (a *archive) through(now call.Arrival) call.Arrival {
	c := a.cfg.Stitch
	return min(now, call.Arrival(a.until).Add(max(c.Grace, c.UnansweredTimeout, c.AnsweredTimeout))+1)
}

// gone counts the calls' raw records that were not read.
func (a *archive) gone(p pile) int {
	missing := len(a.sources)
	for i := range p.records {
		if a.sources[sourceOf(&p.records[i].Record)] {
			missing--
		}
	}
	return missing
}
