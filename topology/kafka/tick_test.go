package kafka

import (
	"testing"

	"callstitch/topology"
)

func TestIdle(t *testing.T) {
	p := &partition{TopicPartition: topology.TopicPartition{Topic: "call.raw", Partition: 3}}
	at := func(end int64) *observation {
		return &observation{heard: 99, ends: map[topology.TopicPartition]int64{p.TopicPartition: end}}
	}
	for name, c := range map[string]struct {
		seen   *observation
		paused bool
		want   bool
	}{
		"all read":          {at(10), false, true},
		"one record more":   {at(11), false, false},
		"paused":            {at(10), true, false},
		"no answer":         {nil, false, false},
		"not in the answer": {&observation{heard: 99}, false, false},
	} {
		if got := c.seen.idle(p, 10, c.paused); got != c.want {
			t.Errorf("%s: idle is %v", name, got)
		}
	}
}
