package kafka

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

// PlanAbort finds the transaction that nobody ends, behind which readers of a partition
// wait. It is one of a source, or of an internal topic. Nothing is changed.
func PlanAbort(ctx context.Context, cfg Config, tp topology.TopicPartition) (*OpenTransaction, error) {
	cfg = cfg.withDefaults()
	return onlyHanging(ctx, &cfg, tp, nil)
}

// ExecuteAbort ends a transaction that was planned to be, in its partition, as aborted:
// its records there are never read. What it wrote elsewhere stays as it is. It needs the
// right to ALTER the cluster.
func ExecuteAbort(ctx context.Context, cfg Config, planned *OpenTransaction) error {
	cfg = cfg.withDefaults()
	_, err := onlyHanging(ctx, &cfg, planned.TopicPartition, func(ctx context.Context, cl *kgo.Client, now *OpenTransaction) error {
		if now.First != planned.First || now.Producer != planned.Producer || now.Epoch != planned.Epoch {
			return fmt.Errorf("another transaction is open in %s meanwhile, of producer %d from offset %d on: look again", now.TopicPartition, now.Producer, now.First)
		}
		marker := kadm.TxnMarkers{ProducerID: now.Producer, ProducerEpoch: now.Epoch, CoordinatorEpoch: max(now.Coordinator, 0), Topics: make(kadm.TopicsSet)}
		marker.Topics.Add(now.Topic, now.Partition)
		written, err := kadm.NewClient(cl).WriteTxnMarkers(ctx, marker)
		written.EachPartition(func(p kadm.TxnMarkersPartitionResponse) {
			if err == nil {
				err = p.Err
			}
		})
		if err != nil {
			return fmt.Errorf("write the marker that aborts the transaction of producer %d to %s: %w", now.Producer, now.TopicPartition, err)
		}
		return nil
	})
	return err
}

// onlyHanging finds the transaction in a partition, holds that it hangs, and does something
// with it.
func onlyHanging(ctx context.Context, cfg *Config, tp topology.TopicPartition, do func(context.Context, *kgo.Client, *OpenTransaction) error) (*OpenTransaction, error) {
	ctx, cancel := context.WithTimeout(ctx, clocksLimit)
	defer cancel()
	cl, err := connect(ctx, cfg, "abort")
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	details, err := kadm.NewClient(cl).ListTopics(ctx, tp.Topic)
	if err != nil {
		return nil, fmt.Errorf("list topic %s: %w", tp.Topic, err)
	}
	if p, ok := details[tp.Topic].Partitions[tp.Partition]; !ok {
		return nil, fmt.Errorf("there is no partition %s", tp)
	} else if p.Leader < 0 {
		return nil, fmt.Errorf("%s has no leader: bring %s back first", tp, brokersWord(p.Replicas))
	}
	open, err := openTransactions(ctx, cl, []topology.TopicPartition{tp})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(open, func(o OpenTransaction) bool { return o.TopicPartition == tp })
	if i < 0 {
		return nil, fmt.Errorf("no transaction holds up the readers of %s", tp)
	}
	found := &open[i]
	if found.Hidden && !found.Hangs() {
		return found, fmt.Errorf("%s has %s: to abort a part of what is under way would tear it: grant DESCRIBE on transactional ids first", tp, found)
	}
	if !found.Hangs() {
		return found, fmt.Errorf("%s has %s: wait for that, for to abort a part of it would tear it", tp, found)
	}
	if do == nil {
		return found, nil
	}
	return found, do(ctx, cl, found)
}
