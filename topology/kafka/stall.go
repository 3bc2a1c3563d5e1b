package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

const (
	// pulseInterval is how often pulses are felt.
	pulseInterval = time.Second
	// stallReminder is how often a stall is said again while it lasts.
	stallReminder = time.Minute
	// deletedLimit is how long brokers must say that an internal topic is not there before
	// it is believed: its state is then given up. One broker may be behind for a moment.
	deletedLimit = 10 * time.Second
)

// stalls is what a process knows of its worker that stands still.
type stalls struct {
	begun, said, asked time.Time
	reasons            []string             // what the brokers said when they were last asked
	missing            map[string]time.Time // internal topics, since when
}

// feel feels the worker's pulse, and whether each partition is somebody's. A stall makes
// the instance not ready, and is said with what is waited for and what the brokers say is
// away; it ends by itself, or, where the state is gone for good, the run.
func (p *process) feel(ctx context.Context, cl *kgo.Client, s *stalls) error {
	now := time.Now()
	found := p.orphans.feel()
	if ill, ok := p.worker.pulse.feel(now); ok && (found.since.IsZero() || ill.since.Before(found.since)) {
		found = ill
	}
	if found.since.IsZero() {
		if !s.begun.IsZero() {
			p.cfg.Log.Info("work goes on", "after", now.Sub(s.begun).Round(time.Second))
		}
		*s = stalls{}
		p.status.setStall(stall{})
		return nil
	}
	if now.Sub(s.asked) >= retryInterval {
		s.asked = now
		if err := p.diagnose(ctx, cl, s, now); err != nil {
			return err
		}
	}
	if len(s.reasons) > 0 {
		found.why += ": " + strings.Join(s.reasons, "; ")
	}
	p.status.setStall(found)
	if s.begun.IsZero() {
		s.begun = found.since
		p.metrics.stalls.Inc()
	}
	if now.Sub(s.said) >= stallReminder {
		s.said = now
		p.cfg.Log.Warn("work stands still", "for", now.Sub(found.since).Round(time.Second), "waits_for", found.why)
	}
	return nil
}

// diagnose asks the brokers what is away of all that callstitch needs, and how much
// waits to be read meanwhile. Its error ends the run: an internal topic that was deleted
// has taken the state with it.
func (p *process) diagnose(ctx context.Context, cl *kgo.Client, s *stalls, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, retryInterval)
	defer cancel()
	s.reasons = nil
	adm := kadm.NewClient(cl)
	internal := []string{p.cfg.ExchangeTopic(), p.cfg.ChangelogTopic()}
	names := slices.Concat(internal, p.cfg.rawTopics())
	for _, sink := range p.cfg.Sinks() {
		names = append(names, p.cfg.Topics.Topic(sink))
	}
	var details kadm.TopicDetails
	err := within(ctx, func() (err error) {
		details, err = adm.ListTopics(ctx, names...)
		return err
	})
	if err != nil { // details may still be written
		s.reasons = append(s.reasons, "brokers do not describe topics: "+err.Error())
		return nil
	}
	if err := p.lostState(s, details, now); err != nil {
		return err
	}
	configs, _ := topicConfigs(ctx, adm, names) // without the right to it, in-sync replicas are not judged
	for _, name := range names {
		least, _ := strconv.Atoi(configs[name]["min.insync.replicas"])
		s.reasons = append(s.reasons, whatIsAway(details[name], least)...)
	}
	s.reasons = append(s.reasons, p.coordinators(ctx, adm)...)
	s.reasons = append(s.reasons, p.heldOffsets(ctx, cl)...)
	p.measureLag(ctx, cl)
	return nil
}

// lostState is the failure that an internal topic was deleted: what the tasks knew, or
// what was on its way between them, is gone. One that was made anew is noticed by its id.
func (p *process) lostState(s *stalls, details kadm.TopicDetails, now time.Time) error {
	for _, name := range []string{p.cfg.ExchangeTopic(), p.cfg.ChangelogTopic()} {
		if !errors.Is(details[name].Err, kerr.UnknownTopicOrPartition) {
			delete(s.missing, name)
			continue
		}
		if s.missing == nil {
			s.missing = make(map[string]time.Time)
		}
		if s.missing[name].IsZero() {
			s.missing[name] = now
		}
		if now.Sub(s.missing[name]) >= deletedLimit {
			return fmt.Errorf("%w: %s was deleted, and what callstitch kept in it is gone: reset the application with 'callstitch reset', or restore the topic", ErrLostOffsets, name)
		}
	}
	return nil
}

// coordinators says which coordinators are away.
func (p *process) coordinators(ctx context.Context, adm *kadm.Client) (reasons []string) {
	for _, g := range adm.FindGroupCoordinators(ctx, p.cfg.ApplicationID) {
		if g.Err != nil {
			reasons = append(reasons, "the coordinator of group "+g.Name+": "+g.Err.Error())
		}
	}
	for _, t := range adm.FindTxnCoordinators(ctx, p.worker.id) {
		if t.Err != nil {
			reasons = append(reasons, "the coordinator of transactional id "+t.Name+": "+t.Err.Error())
		}
	}
	slices.Sort(reasons)
	return reasons
}

// heldOffsets names the partitions whose offsets an open transaction holds, where the
// worker waits for such. It may be one whose markers were dropped (KAFKA-20734): nobody
// but an operator ends that.
func (p *process) heldOffsets(ctx context.Context, cl *kgo.Client) []string {
	if !p.worker.pulse.lacksOffsets() {
		return nil
	}
	const onlyStable = true
	resp, err := fetchOffsets(ctx, cl, p.cfg.ApplicationID, onlyStable)
	if err != nil {
		return []string{"the offsets of group " + p.cfg.ApplicationID + ": " + err.Error()}
	}
	var held []string
	for tp, o := range partitionsIn(resp) {
		if errors.Is(kerr.ErrorForCode(o.ErrorCode), kerr.UnstableOffsetCommit) {
			held = append(held, tp.String())
		}
	}
	if len(held) == 0 { // they come, or the group has given those partitions to others meanwhile
		p.worker.pulse.taken()
		return nil
	}
	slices.Sort(held)
	at, err := offsetsPartition(ctx, cl, p.cfg.ApplicationID)
	if err != nil {
		return []string{"an open transaction holds those of " + some(held) + ", in a partition that is not known: " + err.Error()}
	}
	pending := &OpenTransaction{TopicPartition: at}
	what, do := "an open transaction", pending.Command()
	if open, err := openTransactions(ctx, cl, []topology.TopicPartition{at}); err == nil && len(open) > 0 {
		what, do = open[0].String(), open[0].Remedy()
	}
	return []string{what + " holds those of " + some(held) + ", in " + at.String() + ": " + do}
}

// measureLag has the status know what waits to be read: the worker, which tells it
// otherwise, stands.
func (p *process) measureLag(ctx context.Context, cl *kgo.Client) {
	var all []topology.TopicPartition
	for _, t := range p.status.Snapshot().Tasks {
		all = append(all, topology.TopicPartition{Topic: t.Topic, Partition: t.Partition})
	}
	ends, err := listOffsets(ctx, cl, all, endOffset)
	if err != nil {
		return
	}
	p.status.setEnds(func(tp topology.TopicPartition) (int64, bool) {
		end, ok := ends[tp]
		return end.Offset, ok
	})
}
