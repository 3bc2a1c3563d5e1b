package kafka

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLoneReplicaOfAnOwnTopic has a user with no more rights than a run needs, who may not
// see the brokers' own topics: of his own he is told.
func TestLoneReplicaOfAnOwnTopic(t *testing.T) {
	cluster := fakeKafka(t, kfake.NumBrokers(replicatedFrom))
	cfg := testConfig(t, cluster.ListenAddrs())
	cluster.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := req.(*kmsg.MetadataRequest).Topics
		if len(asked) == 0 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		for _, a := range asked {
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic = a.Topic
			if strings.HasPrefix(text(a.Topic), "__") {
				topic.ErrorCode = kerr.TopicAuthorizationFailed.Code
			} else {
				p := kmsg.NewMetadataResponseTopicPartition()
				p.Replicas = []int32{0}
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, nil, true
	})
	cl := client(t, cfg)
	defer cl.Close()
	found := adviseReplicas(t.Context(), kadm.NewClient(cl), append([]string{"call.raw"}, brokersOwnTopics...), nil)
	if len(found) != 1 || !strings.HasPrefix(found[0].Advice, "of 3 brokers, one alone has call.raw: ") {
		t.Errorf("found %+v", found)
	}
}
