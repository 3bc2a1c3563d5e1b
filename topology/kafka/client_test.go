package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

func TestPartitioner(t *testing.T) {
	p := partitioner{internal: [2]string{"exchange", "changelog"}}
	if got := p.ForTopic("exchange").Partition(&kgo.Record{Partition: 5, Key: []byte("k")}, 8); got != 5 {
		t.Errorf("an exchange record goes to %d, want 5", got)
	}
	for _, key := range []string{"a", "21f1a0b6", "leg"} {
		want := topology.Partition([]byte(key), 8)
		if got := p.ForTopic("call.events").Partition(&kgo.Record{Key: []byte(key)}, 8); int32(got) != want {
			t.Errorf("key %q goes to %d, want %d", key, got, want)
		}
	}
}
