package kafka

import (
	"testing"
	"time"
)

// A topic has a date if it leaves it to the producer, within its bounds, and does not
// delete the record for it.
func TestDates(t *testing.T) {
	const day, unbounded = 24 * time.Hour, "9223372036854775807"
	config := func(kind, before, after, retention string) map[string]string {
		return map[string]string{
			"message.timestamp.type": kind, "message.timestamp.before.max.ms": before,
			"message.timestamp.after.max.ms": after, "retention.ms": retention,
		}
	}
	for name, c := range map[string]struct {
		config map[string]string
		age    time.Duration
		want   bool
	}{
		"Kafka's own settings":    {config("CreateTime", unbounded, "3600000", "604800000"), day, true},
		"no retention":            {config("CreateTime", unbounded, "3600000", "-1"), 900 * day, true},
		"soon deleted":            {config("CreateTime", unbounded, "3600000", "604800000"), 6 * day, false},
		"deleted at once":         {config("CreateTime", unbounded, "3600000", "3600000"), day, false},
		"out of bounds":           {config("CreateTime", "3600000", "3600000", "-1"), day, false},
		"within bounds":           {config("CreateTime", "3600000", "3600000", "-1"), time.Minute, true},
		"a little ahead":          {config("CreateTime", unbounded, "3600000", "-1"), -time.Minute, true},
		"too far ahead":           {config("CreateTime", unbounded, "60000", "-1"), -time.Hour, false},
		"the topic dates records": {config("LogAppendTime", unbounded, "3600000", "-1"), time.Minute, false},
		"nobody told":             {nil, time.Minute, false},
		"some were not told":      {map[string]string{"message.timestamp.type": "CreateTime"}, time.Minute, false},
	} {
		if got := datesOf(c.config).has(c.age); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
