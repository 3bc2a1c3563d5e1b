package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

// A reset forgets what an application knows: its offsets and its state. The sources are
// then read again, and what is published is published anew, under a higher generation.
// What it deletes holds each other up, so that a start between two of its steps ends with
// ErrLostOffsets, and another reset completes the first (K15):
//
//	group ──▶ exchange ──▶ changelog ──▶ all are gone ──▶ made anew ──▶ where to go on
//	no offsets, but records in the topics    │ as before the first start
//
// What it leaves is where the exchange begins, and beside that the generation, so that
// nobody starts with an older file, whose records would be hidden by those of before: that
// the group has worked with those is forgotten. With --to the offsets of the sources are there from the first step on and those of the
// exchange come last: a group that has the one without the other is not taken up either.

// ResetOptions are what the configuration does not say of a reset.
type ResetOptions struct {
	// To is where the sources are begun at: "earliest", "latest" or an RFC 3339 instant.
	// It needs topics that are made at once. Empty: where the next start finds that
	// Config.Start is.
	To string
	// SameGeneration lets a topic of sessions that was emptied have the same again.
	SameGeneration bool
	// Execute is set where the plan is to be executed: planning ends early where it could
	// not be.
	Execute bool
	// Progress hears how many offsets of the topic of sessions were read, of how many.
	Progress func(done, all int64)
}

// ResetPlan is what a reset does, and what it found. Nothing is changed before Execute.
type ResetPlan struct {
	Group   string           `json:"group"`
	Sources []ResetPartition `json:"sources"`
	// Others are topics that are no sources any more, of which the group has offsets.
	Others       []string     `json:"other_topics"`
	Transactions []LeftOpen   `json:"transactions"`
	Published    *Published   `json:"published"`        // nil where it was not looked at
	Generation   int32        `json:"generation"`       // of the configuration
	Worked       int32        `json:"group_generation"` // that the group has worked with; NoGeneration where it does not say
	Topics       []ResetTopic `json:"topics"`
	Start        string       `json:"start"` // where the sources begin, as it was said
	Seeds        bool         `json:"seeds"` // the sources' offsets are committed, and not left to the next start
	// Nothing reports whether there is nothing to reset: no offsets and no state.
	Nothing bool     `json:"nothing"`
	Warns   []string `json:"warnings"`

	refusals  []error
	opts      ResetOptions
	cfg       Config
	committed kadm.OffsetResponses // of the group
}

// ResetPartition is a partition of a source, in offsets.
type ResetPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	First     int64  `json:"first"`
	Read      int64  `json:"read_to"` // -1: the group has no offset of it
	End       int64  `json:"end"`
	Begin     int64  `json:"begins_at"`
}

// ResetTopic is an internal topic, which is deleted and made anew.
type ResetTopic struct {
	Name       string `json:"name"`
	ID         string `json:"id"` // of the one that is deleted; empty where there is none
	Partitions int    `json:"partitions"`
	Replicas   int    `json:"replicas"`
	Records    bool   `json:"records"` // whether it holds some
	Makes      bool   `json:"makes"`   // it is made anew at once

	id   kadm.TopicID
	spec topicSpec
}

// Again is how many offsets are read again or for the first time.
func (p ResetPartition) Again() int64 { return p.End - p.Begin }

// Passed is how many offsets were not read yet and will not be.
func (p ResetPartition) Passed() int64 { return max(p.Begin-max(p.Read, p.First), 0) }

// Refused is why the plan is not executed, and what to do; nil where it may be.
func (p *ResetPlan) Refused() error { return errors.Join(p.refusals...) }

// PlanReset looks at all that a reset touches, and changes nothing. A plan that it refuses
// is as complete as it could be.
func PlanReset(ctx context.Context, cfg Config, opts ResetOptions) (*ResetPlan, error) {
	if opts.To != "" {
		cfg.Start = opts.To
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if opts.To != "" && cfg.Output.NoCreate {
		return nil, errors.New("offsets can be committed only with topics that are made at once")
	}
	p := &ResetPlan{
		Group: cfg.ApplicationID, Generation: cfg.Stitch.Generation, Worked: NoGeneration, Start: cfg.Start, Seeds: opts.To != "",
		Sources: []ResetPartition{}, Others: []string{}, Transactions: []LeftOpen{}, Warns: []string{}, cfg: cfg, opts: opts,
	}
	cl, err := connect(ctx, &cfg, "reset")
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	attempt, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	if err := p.look(attempt, cl); err != nil {
		return nil, err
	}
	if opts.Execute && p.Refused() != nil {
		return p, nil
	}
	return p, p.lookAtGeneration(ctx, cl)
}

// look is everything but the topic of sessions.
func (p *ResetPlan) look(ctx context.Context, cl *kgo.Client) error {
	used := requireEmpty(ctx, cl, p.Group)
	if errors.Is(used, ErrInUse) {
		p.refuse(used)
	} else if used != nil {
		return used
	}
	adm := kadm.NewClient(cl)
	committed, err := whenLoaded(ctx, func() (kadm.OffsetResponses, error) { return committedOffsets(ctx, &p.cfg, adm) })
	if err != nil {
		return err
	}
	p.committed = committed
	if used == nil { // those of who is at work are not left
		if p.Transactions, err = leftOpen(ctx, &p.cfg, cl, ownersIn(committed)); err != nil {
			return err
		}
	}
	p.lookAtGroup(committed)
	if p.cfg.Stitch.Settled {
		p.warn("%s is not compacted: what settled is appended once more, with the new generation: who bills from it takes each session_id once, or begins anew", p.cfg.Topics.Settled)
	}
	if err := p.lookAtSources(ctx, adm, committed); err != nil {
		return err
	}
	if err := p.lookAtTopics(ctx, adm); err != nil {
		return err
	}
	return p.lookAtRights(ctx, cl)
}

// lookAtRights finds what this user may not do, before something is done of what it may.
func (p *ResetPlan) lookAtRights(ctx context.Context, cl *kgo.Client) error {
	adm := kadm.NewClient(cl)
	topics, err := askTopicRights(ctx, adm, p.cfg.resetRights())
	if err != nil {
		return err
	}
	problems := mayMakeAnew(ctx, &p.cfg, adm)
	for _, f := range topics {
		problems = append(problems, f.Err)
	}
	if len(p.committed) > 0 {
		problems = append(problems, mayDelete(ctx, cl, p.Group))
	}
	if !p.cfg.Output.NoCreate {
		problems = append(problems, mayJoin(ctx, cl, p.Group))
	}
	if err := errors.Join(problems...); err != nil {
		p.refuse(err)
	}
	return nil
}

func (p *ResetPlan) refuse(err error) { p.refusals = append(p.refusals, err) }

func (p *ResetPlan) warn(format string, args ...any) {
	p.Warns = append(p.Warns, fmt.Sprintf(format, args...))
}

// lookAtGroup compares what the group has worked with with the configuration: another
// one's group is deleted as easily as one's own.
func (p *ResetPlan) lookAtGroup(committed kadm.OffsetResponses) {
	for topic := range committed {
		if topic != p.cfg.ExchangeTopic() && !slices.Contains(p.cfg.rawTopics(), topic) {
			p.Others = append(p.Others, topic)
		}
	}
	slices.Sort(p.Others)
	var marks []outputsMark
	for _, o := range committed[p.cfg.ExchangeTopic()] {
		if m, err := parseMetadata(o.Metadata); err == nil && m.outputs.hash != "" {
			marks = append(marks, m.outputs)
			if m.owner != "" { // not only a place to begin at, which another reset has written
				p.Worked = max(p.Worked, m.outputs.generation)
			}
		}
	}
	if slices.ContainsFunc(marks, func(m outputsMark) bool { return m.hash != p.cfg.outputs().hash }) {
		p.warn("group %s has published to other topics than %s and those beside it: is this its configuration?", p.Group, p.cfg.Topics.Sessions)
	}
	if len(p.Others) > 0 {
		p.warn("group %s has read %s, no source of this configuration: those offsets go too", p.Group, strings.Join(p.Others, ", "))
	}
}

// lookAtSources finds how far each source was read, and where it is begun at.
func (p *ResetPlan) lookAtSources(ctx context.Context, adm *kadm.Client, committed kadm.OffsetResponses) error {
	details, err := adm.ListTopics(ctx, p.cfg.rawTopics()...)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	there := p.cfg
	there.Sources = slices.DeleteFunc(slices.Clone(there.Sources), func(s topology.Source) bool { return !details.Has(s.Topic) })
	for _, topic := range p.cfg.rawTopics() {
		if err := missing(topic, details[topic]); err != nil {
			p.warn("%v", err)
		}
	}
	if len(there.Sources) == 0 {
		return nil
	}
	first, err1 := adm.ListStartOffsets(ctx, there.rawTopics()...)
	end, err2 := adm.ListEndOffsets(ctx, there.rawTopics()...)
	begin, err3 := listStart(ctx, &there, adm)
	if err := cmp.Or(err1, err2, err3, first.Error(), end.Error(), begin.Error()); err != nil {
		return fmt.Errorf("the sources %v cannot be looked at: %w: a start could not begin with them either: bring the leaders of their partitions back first, or take a source out of the configuration", there.rawTopics(), err)
	}
	begin.Each(func(b kadm.ListedOffset) {
		f, _ := first.Lookup(b.Topic, b.Partition)
		e, _ := end.Lookup(b.Topic, b.Partition)
		at := ResetPartition{Topic: b.Topic, Partition: b.Partition, First: f.Offset, Read: -1, End: e.Offset, Begin: min(b.Offset, e.Offset)}
		if o, ok := committed.Lookup(b.Topic, b.Partition); ok && o.At >= 0 {
			at.Read = o.At
		}
		p.Sources = append(p.Sources, at)
	})
	slices.SortFunc(p.Sources, func(a, b ResetPartition) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	p.warnOfGaps()
	return nil
}

// warnOfGaps says what is not read again: what retention has taken, and what is passed over.
func (p *ResetPlan) warnOfGaps() {
	gone, passed := make(map[string]int), make(map[string]int64)
	for _, s := range p.Sources {
		if s.First > 0 && s.Begin == s.First && s.Read != 0 && p.Start != "latest" {
			gone[s.Topic]++
		}
		passed[s.Topic] += s.Passed()
	}
	for _, topic := range slices.Sorted(maps.Keys(passed)) {
		if n := gone[topic]; n > 0 {
			p.warn("%s: %d partitions do not reach back to their beginning, since retention has deleted records: sessions of those keep their old generation, and calls cut there have start_lost", topic, n)
		}
		if n := passed[topic]; n > 0 {
			p.warn("%s: %d offsets that were not read yet are passed over, and never read: see --to, or start", topic, n)
		}
	}
}

// lookAtTopics finds the internal topics.
func (p *ResetPlan) lookAtTopics(ctx context.Context, adm *kadm.Client) error {
	specs := p.cfg.topicSpecs()[:2]
	details, err := adm.ListTopics(ctx, specs[0].name, specs[1].name)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	for _, s := range specs {
		t := ResetTopic{Name: s.name, Partitions: int(s.partitions), Makes: !p.cfg.Output.NoCreate, spec: s}
		if d := details[s.name]; d.Err == nil && len(d.Partitions) > 0 {
			first, _, high, err := edges(ctx, adm, s.name)
			if err != nil { // that of a broker which is gone for good may be what a reset is for
				p.warn("what %s holds cannot be looked at, and is taken for state: %v", s.name, err)
				t.Records = true
			}
			for partition, end := range high {
				t.Records = t.Records || end > first[partition]
			}
			t.ID, t.id = idText(d.ID), d.ID
			t.Partitions, t.Replicas = len(d.Partitions), d.Partitions.NumReplicas()
			p.warnOfChange(t)
		}
		p.Topics = append(p.Topics, t)
	}
	if p.cfg.Output.NoCreate {
		p.warn("topics.create is false: make %s and %s by hand before the next start", specs[0].name, specs[1].name)
	}
	p.Nothing = p.nothingCommitted() && len(p.Transactions) == 0 && !slices.ContainsFunc(p.Topics, ResetTopic.used) && !p.Seeds
	return nil
}

// nothingCommitted reports whether the group has no offsets, or what an earlier reset to
// this generation has left.
func (p *ResetPlan) nothingCommitted() bool {
	for topic, partitions := range p.committed {
		for _, o := range partitions {
			m, _ := parseMetadata(o.Metadata)
			if topic != p.cfg.ExchangeTopic() || !isMark(o) || m.outputs != p.cfg.outputs() {
				return false
			}
		}
	}
	return true
}

// used reports whether a start would not take the topic for one that was just made.
func (t ResetTopic) used() bool {
	return t.Records || t.ID != "" && t.Partitions != int(t.spec.partitions)
}

// warnOfChange says where a topic that is made anew differs from the old one.
func (p *ResetPlan) warnOfChange(t ResetTopic) {
	if !t.Makes {
		return
	}
	if int(t.spec.partitions) != t.Partitions {
		p.warn("%s has %d partitions, and is made anew with %d (exchange_partitions)", t.Name, t.Partitions, t.spec.partitions)
	}
	if t.spec.replicas > 0 && int(t.spec.replicas) < t.Replicas {
		p.warn("%s has %d replicas, and is made anew with %d (topics.replication_factor)", t.Name, t.Replicas, t.spec.replicas)
	}
}

// lookAtGeneration reads the topic of sessions.
func (p *ResetPlan) lookAtGeneration(ctx context.Context, cl *kgo.Client) error {
	p.Published = &Published{Topic: p.cfg.Topics.Sessions, Generation: NoGeneration}
	err := p.Published.readOn(ctx, &p.cfg, cl, p.opts.Progress)
	if errors.Is(err, kerr.TopicAuthorizationFailed) && p.Refused() != nil { // for that
		p.Published = nil
		return nil
	}
	if err != nil {
		return err
	}
	if p.Published.Hidden > 0 && p.Refused() == nil {
		p.warn("%d offsets of %s are behind a transaction that is open, and were not read: --execute ends it, and looks at them, before it deletes anything", p.Published.Hidden, p.Published.Topic)
	}
	if err := checkGeneration(p.Generation, *p.Published, p.Worked, p.opts.SameGeneration); err != nil {
		p.refuse(err)
	}
	if !p.opts.SameGeneration || p.Worked < p.Generation {
		return nil
	}
	// Legs have versions as sessions have, and what has settled is there once for each.
	var problems []error
	for _, topic := range []string{p.cfg.Topics.Legs, p.cfg.Topics.Settled} {
		problems = append(problems, p.lookAtEmptied(ctx, cl, topic))
	}
	return errors.Join(problems...)
}

// lookAtEmptied refuses --same-generation where a topic of versions holds records.
func (p *ResetPlan) lookAtEmptied(ctx context.Context, cl *kgo.Client, topic string) error {
	first, _, high, err := edges(ctx, kadm.NewClient(cl), topic)
	for partition, end := range high {
		if end > first[partition] {
			p.refuse(fmt.Errorf("%w: --same-generation is for output topics that were emptied, and %s holds records: empty it too, or set generation: %d",
				ErrGeneration, topic, int64(max(p.Worked, p.Published.Generation))+1))
			break
		}
	}
	return err
}
