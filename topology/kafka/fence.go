package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

// fenceOwners fences the last owners of partitions that are no longer members of
// the group. A live member is left alone: it has given the partition up, and
// fencing it would stop the rest of its work for nothing.
func (s *session) fenceOwners(ctx context.Context, cl *kgo.Client, added map[string][]int32) error {
	owners, err := s.lastOwners(ctx, cl, added)
	if err != nil || len(owners) == 0 {
		return err
	}
	live, err := liveMembers(ctx, cl, s.cfg.ApplicationID)
	if err != nil {
		return err
	}
	for owner := range owners {
		if live[owner] {
			continue
		}
		if err := fence(ctx, cl, owner, s.cfg.TransactionTimeout); err != nil {
			return fmt.Errorf("fence %s: %w", owner, err)
		}
		s.log.Info("fenced the last owner of a partition", "owner", owner)
	}
	return nil
}

// lastOwners reads the owners in committed metadata. The fetch is not stable on
// purpose: a stable one would wait for the very transaction to be ended.
func (s *session) lastOwners(ctx context.Context, cl *kgo.Client, of map[string][]int32) (map[string]bool, error) {
	resp, err := fetchOffsets(ctx, cl, s.cfg.ApplicationID, false)
	if err != nil {
		return nil, fmt.Errorf("fetch offsets: %w", err)
	}
	wanted := make(map[topology.TopicPartition]bool)
	for topic, partitions := range of {
		for _, p := range partitions {
			wanted[topology.TopicPartition{Topic: topic, Partition: p}] = true
		}
	}
	owners := make(map[string]bool)
	for tp, p := range partitionsIn(resp) {
		m, err := parseMetadata(text(p.Metadata))
		if err == nil && wanted[tp] && m.owner != "" && m.owner != s.id {
			owners[m.owner] = true
		}
	}
	return owners, nil
}

// liveMembers are the instance ids in the group.
func liveMembers(ctx context.Context, cl *kgo.Client, group string) (map[string]bool, error) {
	members, err := groupMembers(ctx, cl, group)
	live := make(map[string]bool)
	for _, m := range members {
		live[m.instance] = true
	}
	return live, err
}

// classify turns what ended a session into what it means.
func (s *session) classify(ctx context.Context, err error) error {
	var group *kgo.ErrGroupSession
	var loss *kgo.ErrDataLoss
	switch {
	case errors.Is(err, kerr.FencedInstanceID):
		return s.namesake()
	case errors.Is(err, kerr.OffsetOutOfRange), errors.As(err, &loss):
		return fmt.Errorf("%w: %w: records were deleted before they were read; raise the topic's retention, then reset the application with 'callstitch reset'", ErrLostOffsets, err)
	case errors.Is(err, kerr.UnknownTopicID):
		return s.recreated(ctx, err)
	case errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch),
		errors.Is(err, kerr.InvalidTxnState): // the answer to a commit of what somebody else has aborted: its epoch is only one too old (KIP-890)
		return s.fenced(ctx, err)
	case errors.As(err, &group):
		return fmt.Errorf("group %s: %w", s.cfg.ApplicationID, err)
	}
	return err
}

// fenced tells apart who raised this producer's epoch: a process under the same
// name, or the broker or a successor, because this worker had been silent for too
// long. The first ends this process, the elder of the two; the second only its
// session. A namesake joins the group right after, as the same static member, and
// the next heartbeat says so. The member id in the group would not: this client
// itself may be there under a new one, if the group had given it up meanwhile.
func (s *session) fenced(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.SessionTimeout/3)
	defer cancel()
	for ctx.Err() == nil {
		fetches := s.cl.PollRecords(ctx, pollRecords) // of a session that ends here
		for _, e := range fetches.Errors() {
			if errors.Is(e.Err, kerr.FencedInstanceID) {
				return s.namesake()
			}
		}
	}
	// An application of another id may make the same name (K51).
	return fmt.Errorf("the producer was fenced: %w: if it is again and again, another application has the transactional id %s", cause, s.id)
}

func (s *session) namesake() error {
	return fmt.Errorf("%w: %s has joined the group from elsewhere: give each instance its own instance_id", ErrFenced, s.id)
}
