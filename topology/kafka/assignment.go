package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// assigned is a partition that the group gave to a worker, with what the last
// owner committed.
type assigned struct {
	topicPartition
	stable
	last       metadata // the parsed form of stable.metadata
	generation int32    // of the group
}

// mailbox carries assignments from franz-go's callbacks to the worker. The
// callbacks hold the session's lock, so they must not wait for the worker (P2):
// the box has no bound, and a worker has few partitions.
type mailbox struct {
	mu       sync.Mutex
	assigned []assigned
	failed   error
}

func (m *mailbox) put(a ...assigned) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.assigned = append(m.assigned, a...)
}

func (m *mailbox) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed == nil {
		m.failed = err
	}
}

func (m *mailbox) take() ([]assigned, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.assigned
	m.assigned = nil
	return a, m.failed
}

// metadata is what a worker commits beside an offset: who owned the partition,
// so that a successor can end its transaction; where the changelog ended, so
// that a restore that sees less knows it (P10); and the state of a decode task.
type metadata struct {
	owner     string // transactional id
	changelog int64  // end offset of the task's changelog partition; 0 for a source partition
	task      string
}

const metadataForm = "1"

func (m metadata) String() string {
	return metadataForm + " " + m.owner + " " + strconv.FormatInt(m.changelog, 10) + " " + m.task
}

func parseMetadata(s string) (m metadata, err error) {
	if s == "" {
		return m, nil // seeded, nobody has owned it yet
	}
	form, rest, _ := strings.Cut(s, " ")
	if form != metadataForm {
		return m, fmt.Errorf("read offset metadata of form %q: %w", form, ErrNewerState)
	}
	var changelog string
	m.owner, rest, _ = strings.Cut(rest, " ")
	changelog, m.task, _ = strings.Cut(rest, " ")
	m.changelog, err = strconv.ParseInt(changelog, 10, 64)
	if err != nil {
		return m, fmt.Errorf("read offset metadata %q: %w: the offset was committed by another program; reset the application", s, err)
	}
	return m, nil
}

// onAssigned runs before the offsets of new partitions are fetched. They stay
// paused until their task is restored, and whoever owned them last is fenced: an
// open transaction of a dead owner would hold back the stable offset fetch that
// comes next, and every reader of what it touched, until it times out.
func (w *worker) onAssigned(ctx context.Context, cl *kgo.Client, added map[string][]int32) {
	if len(added) == 0 {
		return
	}
	cl.PauseFetchPartitions(added)
	if err := w.fenceOwners(ctx, cl, added); err != nil && ctx.Err() == nil {
		// Only time is lost: the stable fetch waits for the open transaction.
		w.log.Warn("could not end the last owners' transactions, waiting for their time-out", "error", err)
	}
}

// onFetched gets the stable committed offsets. From here on no transaction that
// touched these partitions can commit but this worker's: a transaction commits
// the offset of every partition it touched, the fetch waited for those that were
// pending, and the group refuses those of an older generation.
func (w *worker) onFetched(_ context.Context, _ *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	w.fetched = make(map[topicPartition]assigned)
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				m, err := parseMetadata(text(p.Metadata))
				if err != nil {
					w.mailbox.fail(fmt.Errorf("%s-%d: %w", t.Topic, p.Partition, err))
				}
				tp := topicPartition{t.Topic, p.Partition}
				w.fetched[tp] = assigned{topicPartition: tp, stable: stable{p.Offset, text(p.Metadata)}, last: m}
			}
		}
	}
	return nil
}

// onOffsets follows onFetched, in the same goroutine. A partition without an
// offset was added to its topic after the start and is read from its beginning.
func (w *worker) onOffsets(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	var all []assigned
	var added []topicPartition
	for topic, partitions := range offsets {
		for p, o := range partitions {
			tp := topicPartition{topic, p}
			if o.EpochOffset().Offset >= 0 {
				all = append(all, w.fetched[tp])
			} else {
				added = append(added, tp)
			}
		}
	}
	if len(added) > 0 {
		starts, err := listOffsets(ctx, w.cl, added, startOffset)
		if err != nil || len(starts) < len(added) {
			return nil, fmt.Errorf("list the first offsets of new partitions %v: %w", added, errors.Join(err, kerr.LeaderNotAvailable))
		}
		for _, tp := range added {
			at := starts[tp].Offset
			offsets[tp.topic][tp.partition] = kgo.NewOffset().At(at)
			all = append(all, assigned{topicPartition: tp, stable: stable{offset: at}})
		}
	}
	_, generation := w.cl.GroupMetadata()
	for i := range all {
		all[i].generation = generation
	}
	w.mailbox.put(all...)
	return offsets, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
