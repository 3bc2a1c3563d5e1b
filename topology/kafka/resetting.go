package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology"
)

// Execute does what the plan says, and did hears of each step when it is done. Killed or
// failed after any of them, the next plan has what is left.
func (p *ResetPlan) Execute(ctx context.Context, did func(step string)) error {
	if err := p.Refused(); err != nil || p.Nothing {
		return err
	}
	cl, err := connect(ctx, &p.cfg, "reset")
	if err != nil {
		return err
	}
	defer cl.Close()
	r := resetting{ResetPlan: p, cl: cl, adm: kadm.NewClient(cl)}
	for _, step := range r.steps() {
		err := ctx.Err()
		if err == nil {
			err = step.do(ctx)
		}
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("stopped before all was done: run this again, it does the rest: %w", ctx.Err())
		}
		if err != nil {
			return fmt.Errorf("reset group %s: %w", p.Group, err)
		}
		if step.done != "" {
			did(step.done)
		}
	}
	return nil
}

// resetting is a plan that is executed.
type resetting struct {
	*ResetPlan
	cl  *kgo.Client
	adm *kadm.Client
}

type resetStep struct {
	done string // what has happened when it is done; empty where nothing was changed
	do   func(context.Context) error
}

// steps are what the plan comes to, in an order in which it may end after any of them.
func (r *resetting) steps() []resetStep {
	steps := []resetStep{{"", r.unchanged}}
	if len(r.Transactions) > 0 {
		steps = append(steps, resetStep{fmt.Sprintf("ended %d open transactions", len(r.Transactions)), r.endTransactions})
	}
	steps = append(steps,
		resetStep{"", r.lookAgain},
		resetStep{"deleted group " + r.Group, r.deleteGroup})
	if r.Seeds {
		steps = append(steps, resetStep{"committed where the sources begin", r.seedSources})
	}
	for _, t := range r.Topics { // the changelog last: with the state a start ends that finds the rest gone
		if t.ID != "" {
			steps = append(steps, resetStep{"deleted topic " + t.Name, func(ctx context.Context) error { return r.deleteTopic(ctx, t) }})
		}
	}
	steps = append(steps, resetStep{"", r.awaitGone})
	if !r.cfg.Output.NoCreate {
		steps = append(steps, resetStep{fmt.Sprintf("made %s and %s anew", r.Topics[0].Name, r.Topics[1].Name), r.makeTopics})
	}
	switch {
	case r.Seeds:
		steps = append(steps, resetStep{"committed where the exchange begins", r.seedExchange})
	case !r.cfg.Output.NoCreate:
		steps = append(steps, resetStep{fmt.Sprintf("committed that generation %d begins", r.Generation), r.markGeneration})
	}
	return steps
}

// unchanged holds that all is as it was when the plan was made: reading the sessions may
// have taken minutes.
func (r *resetting) unchanged(ctx context.Context) error {
	if err := requireEmpty(ctx, r.cl, r.Group); err != nil {
		return err
	}
	committed, err := committedOffsets(ctx, &r.cfg, r.adm)
	if err != nil {
		return err
	}
	if !maps.EqualFunc(committed, r.committed, func(a, b map[int32]kadm.OffsetResponse) bool {
		return maps.EqualFunc(a, b, func(x, y kadm.OffsetResponse) bool { return x.At == y.At && x.Metadata == y.Metadata })
	}) {
		return errors.New("its offsets have moved since this began: somebody works with it; nothing was changed: stop them, and run this again")
	}
	return r.sameTopics(ctx)
}

// sameTopics holds that the topics to delete are still those of the plan.
func (r *resetting) sameTopics(ctx context.Context) error {
	have, err := r.idsNow(ctx)
	if err != nil {
		return err
	}
	for _, t := range r.Topics {
		if have[t.Name] != t.id {
			return r.meddled(t)
		}
	}
	return nil
}

// idsNow are the ids of sources and internal topics. What the client remembers of topics is
// not asked: it may be of before they were deleted.
func (r *resetting) idsNow(ctx context.Context) (topicIDs, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range append(r.cfg.rawTopics(), r.Topics[0].Name, r.Topics[1].Name) {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, topic)
	}
	resp, err := req.RequestWith(ctx, r.cl)
	if err != nil {
		return nil, fmt.Errorf("ask for topics: %w", err)
	}
	ids := make(topicIDs)
	for _, t := range resp.Topics {
		if t.ErrorCode == 0 {
			ids[text(t.Topic)] = kadm.TopicID(t.TopicID)
		}
	}
	return ids, nil
}

func (r *resetting) meddled(t ResetTopic) error {
	return fmt.Errorf("topic %s was deleted or made anew since this began: somebody else resets, or starts, the application at the same time: run this again when they are done", t.Name)
}

func (r *resetting) endTransactions(ctx context.Context) error {
	return endOpen(ctx, &r.cfg, r.cl, r.Transactions)
}

// lookAgain reads what has come to light in the topic of sessions since the plan was made,
// above all what was behind open transactions.
func (r *resetting) lookAgain(ctx context.Context) error {
	if err := awaitStable(ctx, r.cl, r.Published.Topic); err != nil {
		return err
	}
	if err := r.Published.readOn(ctx, &r.cfg, r.cl, nil); err != nil {
		return err
	}
	return checkGeneration(r.Generation, *r.Published, r.Worked, r.opts.SameGeneration)
}

// deleteGroup is refused by the brokers where somebody has joined it.
func (r *resetting) deleteGroup(ctx context.Context) error {
	if err := r.sameTopics(ctx); err != nil {
		return err
	}
	_, err := whenLoaded(ctx, func() (kadm.DeleteGroupResponse, error) {
		resp, err := r.adm.DeleteGroup(ctx, r.Group)
		if err == nil {
			err = resp.Err
		}
		return resp, err
	})
	switch {
	case err == nil, errors.Is(err, kerr.GroupIDNotFound):
		return nil
	case errors.Is(err, kerr.NonEmptyGroup):
		return fmt.Errorf("%w: an instance has started since this began; nothing was deleted: stop it, and run this again", ErrInUse)
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return fmt.Errorf("delete the group: %w: grant DELETE on it; nothing was deleted", err)
	}
	return fmt.Errorf("delete the group: %w", err)
}

// deleteTopic deletes the topic of the plan, and none that has got its name since.
func (r *resetting) deleteTopic(ctx context.Context, t ResetTopic) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = int32(attemptLimit.Milliseconds())
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.TopicID = t.id
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, r.cl)
	if err == nil && len(resp.Topics) == 1 {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	switch {
	case errors.Is(err, kerr.UnknownTopicID):
		return r.meddled(t)
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return fmt.Errorf("delete topic %s: %w: grant DELETE and DESCRIBE on it, and run this again", t.Name, err)
	case errors.Is(err, kerr.TopicDeletionDisabled):
		return fmt.Errorf("delete topic %s: %w: the brokers have delete.topic.enable=false: allow it, and run this again", t.Name, err)
	case err != nil:
		return fmt.Errorf("delete topic %s: %w: run this again", t.Name, err)
	}
	return nil
}

// spreadLimit is how long brokers may take to learn of topics that were deleted or made.
const spreadLimit = 30 * time.Second

// awaitGone waits until no broker knows the old topics: a start that asked one which does
// would find state without offsets.
func (r *resetting) awaitGone(ctx context.Context) error {
	return r.everywhere(ctx, "to forget the old topics", func(t ResetTopic, known kmsg.MetadataResponseTopic) bool {
		return known.ErrorCode != 0 || t.ID == "" || kadm.TopicID(known.TopicID) != t.id
	})
}

// makeTopics makes the topics as the next start would, and waits until each broker knows them.
func (r *resetting) makeTopics(ctx context.Context) error {
	for _, t := range r.Topics {
		if err := createTopic(ctx, r.adm, t.spec); err != nil {
			return err
		}
	}
	return r.everywhere(ctx, "to know the new topics", func(t ResetTopic, known kmsg.MetadataResponseTopic) bool {
		return known.ErrorCode == 0 && kadm.TopicID(known.TopicID) != t.id && !slices.ContainsFunc(known.Partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.Leader < 0 })
	})
}

// everywhere waits until something holds of the internal topics at every broker.
func (r *resetting) everywhere(ctx context.Context, awaited string, holds func(ResetTopic, kmsg.MetadataResponseTopic) bool) error {
	ctx, cancel := context.WithTimeout(ctx, spreadLimit)
	defer cancel()
	for {
		behind, err := r.notYet(ctx, holds)
		if err == nil && len(behind) == 0 {
			return nil
		}
		if wait(ctx, loadingPause); ctx.Err() != nil {
			return fmt.Errorf("waited %v for brokers %v %s: %w: run this again", spreadLimit, behind, awaited, errors.Join(err, ctx.Err()))
		}
	}
}

// notYet are the brokers at which it does not hold.
func (r *resetting) notYet(ctx context.Context, holds func(ResetTopic, kmsg.MetadataResponseTopic) bool) (behind []int32, err error) {
	brokers, err := r.adm.ListBrokers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list brokers: %w", err)
	}
	for _, b := range brokers {
		req := kmsg.NewPtrMetadataRequest()
		for _, t := range r.Topics {
			topic := kmsg.NewMetadataRequestTopic()
			topic.Topic = kmsg.StringPtr(t.Name)
			req.Topics = append(req.Topics, topic)
		}
		resp, err := r.cl.Broker(int(b.NodeID)).RetriableRequest(ctx, req)
		if err != nil {
			return []int32{b.NodeID}, fmt.Errorf("ask broker %d for topics: %w", b.NodeID, err)
		}
		for _, known := range resp.(*kmsg.MetadataResponse).Topics {
			i := slices.IndexFunc(r.Topics, func(t ResetTopic) bool { return t.Name == text(known.Topic) })
			if i >= 0 && !holds(r.Topics[i], known) {
				behind = append(behind, b.NodeID)
				break
			}
		}
	}
	return behind, nil
}

// seedSources commits where the plan has the sources begin. The group is not taken up
// before the exchange has offsets too.
func (r *resetting) seedSources(ctx context.Context) error {
	ids, err := r.idsNow(ctx)
	if err != nil {
		return err
	}
	at := make(map[topology.TopicPartition]int64)
	for _, s := range r.Sources {
		at[topology.TopicPartition{Topic: s.Topic, Partition: s.Partition}] = s.Begin
	}
	return r.seed(ctx, ids, at)
}

// seedExchange has the group be taken up, if it still begins where the plan says.
func (r *resetting) seedExchange(ctx context.Context) error {
	committed, err := committedOffsets(ctx, &r.cfg, r.adm)
	if err != nil {
		return err
	}
	for _, s := range r.Sources {
		if o, ok := committed.Lookup(s.Topic, s.Partition); !ok || o.At != s.Begin {
			return fmt.Errorf("where %s-%d begins was changed since it was committed: somebody else resets the application at the same time: run this again when they are done", s.Topic, s.Partition)
		}
	}
	return r.seedsExchange(ctx)
}

// markGeneration leaves the generation beside where the exchange begins, so that a start
// with a lower one ends. Where an instance has begun meanwhile, that has done so.
func (r *resetting) markGeneration(ctx context.Context) error {
	committed, err := committedOffsets(ctx, &r.cfg, r.adm)
	if err != nil || !untouched(&r.cfg, committed) {
		return err
	}
	if err := r.seedsExchange(ctx); !errors.Is(err, ErrInUse) {
		return err
	}
	return nil
}

func (r *resetting) seedsExchange(ctx context.Context) error {
	ids, err := r.idsNow(ctx)
	if err != nil {
		return err
	}
	at := make(map[topology.TopicPartition]int64)
	for p := range r.cfg.ExchangePartitions {
		at[topology.TopicPartition{Topic: r.cfg.ExchangeTopic(), Partition: p}] = 0 // it was just made
	}
	return r.seed(ctx, ids, at)
}

// seed commits first offsets, and waits until they stand: what brokers delete with a
// topic, they may still be deleting under its name.
func (r *resetting) seed(ctx context.Context, ids topicIDs, at map[topology.TopicPartition]int64) error {
	offsets := make(kadm.Offsets)
	for tp, offset := range at {
		m := seeded(&r.cfg, tp, offset)
		m.made = ids.made(&r.cfg, tp.Topic)
		offsets.Add(kadm.Offset{Topic: tp.Topic, Partition: tp.Partition, At: offset, LeaderEpoch: -1, Metadata: m.String()})
	}
	for begun := time.Now(); ; {
		err := r.adm.CommitAllOffsets(ctx, r.Group, offsets)
		if errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.IllegalGeneration) {
			return fmt.Errorf("%w: an instance has started before all was done: stop it, and run this again", ErrInUse)
		}
		if err != nil {
			return fmt.Errorf("commit where to begin: %w: run this again", err)
		}
		wait(ctx, loadingPause)
		committed, err := committedOffsets(ctx, &r.cfg, r.adm)
		if err != nil {
			return err
		}
		var lacking []string
		for tp, offset := range at {
			if o, ok := committed.Lookup(tp.Topic, tp.Partition); !ok || o.At != offset {
				lacking = append(lacking, tp.String())
			}
		}
		switch {
		case len(lacking) == 0:
			return nil
		case ctx.Err() != nil || time.Since(begun) > attemptLimit:
			slices.Sort(lacking)
			return fmt.Errorf("where to begin was committed, and is not there, for %s: run this again", strings.Join(lacking, ", "))
		}
	}
}
