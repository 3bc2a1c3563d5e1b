package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
)

// replicatedFrom is how many brokers a cluster has of which one may go away.
const replicatedFrom = 3

// brokersOwnTopics are where brokers keep offsets and transactions. They are as bound to
// their only replica as ours are to theirs.
var brokersOwnTopics = []string{"__consumer_offsets", "__transaction_state"}

// examineReplicas looks at the topics of a run, at those that it would make, and at the
// brokers' own as far as this user may see them.
func examineReplicas(ctx context.Context, cfg *Config, adm *kadm.Client) []Finding {
	names, specs := append(cfg.rawTopics(), brokersOwnTopics...), cfg.topicSpecs()
	if !cfg.Output.NoCreate {
		return adviseReplicas(ctx, adm, names, specs)
	}
	for _, s := range specs {
		names = append(names, s.name)
	}
	return adviseReplicas(ctx, adm, names, nil)
}

// adviseReplicas looks for topics that one broker alone has, where there are others, and
// for those that it would have: what goes away with it is more than records (KAFKA-20734).
func adviseReplicas(ctx context.Context, adm *kadm.Client, names []string, toMake []topicSpec) []Finding {
	for _, s := range toMake {
		names = append(names, s.name)
	}
	brokers, err1 := adm.ListBrokers(ctx)
	details, err2 := listVisible(ctx, adm, names...)
	if err1 != nil || err2 != nil || len(brokers) < replicatedFrom {
		return nil
	}
	var alone []string
	for _, name := range names {
		if hasLonePartition(details[name]) {
			alone = append(alone, name)
		}
	}
	for _, s := range toMake {
		if d := details[s.name]; hidden(d) || missing(s.name, d) == nil {
			continue
		}
		if replicas, err := tryCreateTopic(ctx, adm, s); err == nil && replicas == 1 {
			alone = append(alone, s.name+" (once it is made)")
		}
	}
	if len(alone) == 0 {
		return nil
	}
	return []Finding{{Advice: fmt.Sprintf(
		"of %d brokers, one alone has %s: what goes away with it is lost, and transactions that were committed can be torn; give each topic 3 replicas (topics.replication_factor, or the brokers' default.replication.factor) and min.insync.replicas 2",
		len(brokers), and(alone))}}
}

// hasLonePartition reports whether one broker alone has a partition of a topic.
func hasLonePartition(d kadm.TopicDetail) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(d.Partitions)), func(p kadm.PartitionDetail) bool { return len(p.Replicas) == 1 })
}
