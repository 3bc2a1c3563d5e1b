package kafka

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ExamineTarget looks at everything that somebody who writes raw events to a topic needs
// of the brokers, and changes nothing. largest is the largest of them, in bytes.
func ExamineTarget(ctx context.Context, cfg Config, topic string, largest int64) []Finding {
	cfg = cfg.withDefaults()
	cl, reached := reach(ctx, &cfg)
	if cl == nil {
		return []Finding{reached}
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	details, err := listVisible(ctx, adm, topic)
	if err != nil {
		return []Finding{reached, {What: "topics can be listed", Err: err}}
	}
	write, err := askTopicRights(ctx, adm, []rightsOn{{topic, targetRights}})
	if err != nil {
		return []Finding{reached, {What: "rights can be asked for", Err: err}}
	}
	d := details[topic]
	if hidden(d) {
		return append([]Finding{reached}, write...)
	}
	configs, err := topicConfigs(ctx, adm, []string{topic})
	if err != nil {
		return []Finding{reached, {What: "topics can be described", Err: err}}
	}
	found := []Finding{reached, {
		What: fmt.Sprintf("topic %s, to which events go, has %d partitions", topic, len(d.Partitions)), Err: missing(topic, d),
	}}
	if found[1].Err != nil {
		return found
	}
	found[1].Advice = adviseInSync(topic, d, configs[topic])
	found = append(found, targetLimit(topic, configs[topic], largest), targetPolicy(topic, configs[topic]))
	found = append(found, write...)
	if slices.Contains(cfg.rawTopics(), topic) {
		return found // examineReplicas has looked at it
	}
	return append(found, adviseReplicas(ctx, adm, []string{topic}, nil)...)
}

// targetRights are those of somebody who writes raw events. What comes of others that he
// lacks, targetLimit says.
var targetRights = []right{{operation: kmsg.ACLOperationWrite}}

// targetLimit holds the largest event against what a topic takes, which is told to those
// with the right. What a batch has beside it, some hundred bytes, is made up for by
// compression, or there is no such event.
func targetLimit(topic string, config map[string]string, largest int64) Finding {
	f := Finding{What: fmt.Sprintf("topic %s takes events of %d bytes", topic, largest)}
	takes, err := strconv.ParseInt(config["max.message.bytes"], 10, 64)
	switch {
	case err != nil:
		f.Advice = "max.message.bytes of topic " + topic + " is not told: grant DESCRIBE_CONFIGS"
	case takes < largest:
		f.Err = fmt.Errorf("max.message.bytes is %d: raise it, or lower receive.max_body", takes)
	}
	return f
}

// targetPolicy looks whether a topic takes records without a key, as raw events are: one
// that is compacted refuses them.
func targetPolicy(topic string, config map[string]string) Finding {
	f := Finding{What: "topic " + topic + " takes records without a key"}
	if policy := config["cleanup.policy"]; strings.Contains(policy, "compact") {
		f.Err = fmt.Errorf("cleanup.policy is %s, and every event will be refused: make it delete", policy)
	}
	return f
}

// adviseInSync warns of acknowledgements that one broker alone may give.
func adviseInSync(topic string, d kadm.TopicDetail, config map[string]string) string {
	for _, p := range d.Partitions {
		if len(p.Replicas) > 1 && config["min.insync.replicas"] == "1" {
			return fmt.Sprintf("min.insync.replicas of topic %s is 1 of %d replicas: what one broker alone has is acknowledged, and lost with it; set it to 2", topic, len(p.Replicas))
		}
	}
	return ""
}
