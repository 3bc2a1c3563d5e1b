package config

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"callstitch/topology/kafka"
)

// A limit is what may still be configured.
func TestLimitsAreAllowed(t *testing.T) {
	for key, test := range map[string]struct{ low, high int64 }{
		"workers":                          {0, maxWorkers},
		"exchange_partitions":              {1, maxExchangePartitions},
		"topics.partitions":                {1, maxPartitions},
		"topics.replication_factor":        {1, maxReplicas},
		"topics.events.replication_factor": {kafka.BrokersReplicas, maxReplicas},
		"topics.min_isr":                   {0, maxReplicas},
	} {
		for n, allowed := range map[int64]bool{test.low - 1: false, test.low: true, test.high: true, test.high + 1: false} {
			l := newLoader()
			l.readFlag(key, fmt.Sprint(n), "--flag")
			if _, err := l.finish(0); (err == nil) != allowed {
				t.Errorf("%s: %d: %v, want it allowed: %t", key, n, err, allowed)
			}
		}
	}
	for n, allowed := range map[int]bool{kafka.BrokersReplicas - 1: false, kafka.BrokersReplicas: true, 0: false} {
		l := newLoader()
		l.readFlag("topics.replication_factor", fmt.Sprint(n), "--flag")
		if _, err := l.finish(0); (err == nil) != allowed {
			t.Errorf("topics.replication_factor: %d: %v, want it allowed: %t", n, err, allowed)
		}
	}
	for d, allowed := range map[time.Duration]bool{
		0: false, time.Millisecond: true, maxCommitInterval: true, maxCommitInterval + 1: false,
	} {
		l := newLoader()
		l.readFlag("commit_interval", d.String(), "--flag")
		if _, err := l.finish(0); (err == nil) != allowed {
			t.Errorf("commit_interval: %s: %v, want it allowed: %t", d, err, allowed)
		}
	}
}

// A key of the right name in the wrong place is told where its place is, unless one
// beside it is at most two letters away.
func TestNearestKey(t *testing.T) {
	cfg := Default()
	top := reflect.ValueOf(&cfg).Elem()
	for key, want := range map[string]string{
		"grcae":  "grace",
		"url":    "schema_registry.url", // http is three letters away
		"format": "log.format",
		"listen": "http.listen",
		"level":  "log.level",
	} {
		if got := nearest(key, "", top); got != want {
			t.Errorf("the nearest key to %q is %q, want %q", key, got, want)
		}
	}
}
