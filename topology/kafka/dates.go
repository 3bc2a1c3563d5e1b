package kafka

import (
	"math"
	"strconv"
	"time"
)

// dates are the dates of records that a topic takes from their producer, and keeps. The
// zero value has none: then nobody but the topic dates them, or nothing is known of it.
type dates struct {
	before, after time.Duration // how far from the brokers' clock they may be
	kept          time.Duration // how old records become before brokers delete them
}

// datesOf are the dates of a topic with these settings; none where they are not known.
func datesOf(config map[string]string) dates {
	if config["message.timestamp.type"] != "CreateTime" {
		return dates{}
	}
	span := func(key string) time.Duration {
		ms, err := strconv.ParseInt(config[key], 10, 64)
		if err != nil {
			return 0
		}
		if ms < 0 { // retention without a bound
			ms = math.MaxInt64
		}
		return time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	}
	return dates{
		before: span("message.timestamp.before.max.ms"),
		after:  span("message.timestamp.after.max.ms"),
		kept:   span("retention.ms"),
	}
}

// has reports whether the topic takes a record that is so old, and keeps it for a quarter
// of its retention at least: one that is deleted before it is read ends a run (K15). An age
// below 0 is a date ahead.
func (d dates) has(age time.Duration) bool {
	return age < d.before && -age <= d.after && age < d.kept/4*3
}
