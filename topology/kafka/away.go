package kafka

import (
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// whatIsAway says what keeps a topic from being written and read.
func whatIsAway(d kadm.TopicDetail, leastInSync int) (reasons []string) {
	switch {
	case errors.Is(d.Err, kerr.UnknownTopicOrPartition):
		return []string{"topic " + d.Topic + " does not exist"}
	case d.Err != nil:
		return []string{"topic " + d.Topic + ": " + d.Err.Error()}
	}
	var leaderless, thin []string
	for _, p := range d.Partitions.Sorted() {
		name := d.Topic + "-" + itoa(p.Partition)
		if p.Leader < 0 {
			leaderless = append(leaderless, name)
		} else if len(p.ISR) < min(leastInSync, len(p.Replicas)) { // as brokers count (KIP-966)
			thin = append(thin, name)
		}
	}
	if len(leaderless) > 0 {
		reasons = append(reasons, some(leaderless)+" without a leader")
	}
	if len(thin) > 0 {
		reasons = append(reasons, fmt.Sprintf("%s with fewer in-sync replicas than the %d of min.insync.replicas", some(thin), leastInSync))
	}
	return reasons
}

// toldPartitions is how many partitions a reason names.
const toldPartitions = 3

// some names the first of many.
func some(names []string) string {
	if more := len(names) - toldPartitions; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:toldPartitions], ", "), more)
	}
	return strings.Join(names, ", ")
}
