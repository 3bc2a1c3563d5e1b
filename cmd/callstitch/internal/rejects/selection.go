package rejects

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"callstitch/processor/call"
)

// Selection says which rejects are meant. The zero value means all of them.
type Selection struct {
	Reasons   []call.RejectReason
	Providers []call.Provider // NoProvider: those of which neither header nor source names one
	Tenants   []string
	Sources   []SourcePart
	// Since and Until are instants of the raw records, the first included; zero where
	// there is no bound.
	Since, Until time.Time
	Grep         *regexp.Regexp // some bytes of the value
}

// Matches reports whether an entry is meant.
func (s *Selection) Matches(e *Entry) bool {
	at := time.UnixMilli(e.Reject.Timestamp)
	return among(s.Reasons, e.Reject.Reason) && among(s.Providers, e.Provider) && among(s.Tenants, e.Tenant) &&
		(s.Sources == nil || slices.ContainsFunc(s.Sources, func(p SourcePart) bool { return p.has(e.Reject.Source) })) &&
		(s.Since.IsZero() || !at.Before(s.Since)) && (s.Until.IsZero() || at.Before(s.Until)) &&
		(s.Grep == nil || s.Grep.Match(e.Reject.Value))
}

func among[T comparable](wanted []T, one T) bool {
	return wanted == nil || slices.Contains(wanted, one)
}

// SourcePart is a source topic, a partition of it, or one record.
type SourcePart struct {
	Topic     string
	Partition int32 // -1: all
	Offset    int64 // -1: all
}

func (p SourcePart) has(s call.Source) bool {
	return p.Topic == s.Topic && (p.Partition < 0 || p.Partition == s.Partition) && (p.Offset < 0 || p.Offset == s.Offset)
}

// ParseSource reads TOPIC, TOPIC/PARTITION or TOPIC/PARTITION/OFFSET.
func ParseSource(text string) (SourcePart, error) {
	part := SourcePart{Partition: -1, Offset: -1}
	parts := strings.Split(text, "/")
	partition, err1 := uint64(0), error(nil)
	offset, err2 := uint64(0), error(nil)
	part.Topic = parts[0]
	if len(parts) > 1 {
		partition, err1 = strconv.ParseUint(parts[1], 10, 31)
		part.Partition = int32(partition)
	}
	if len(parts) > 2 {
		offset, err2 = strconv.ParseUint(parts[2], 10, 63)
		part.Offset = int64(offset)
	}
	if part.Topic == "" || len(parts) > 3 || err1 != nil || err2 != nil {
		return part, errors.New("it must be TOPIC, TOPIC/PARTITION or TOPIC/PARTITION/OFFSET")
	}
	return part, nil
}

// ParseReason reads a reason in upper or lower case.
func ParseReason(text string) (call.RejectReason, error) {
	r, ok := call.ParseRejectReason(strings.ToUpper(text))
	if !ok {
		return 0, fmt.Errorf("it must be of %s", strings.Join(call.RejectReasonNames(), ", "))
	}
	return r, nil
}

// NoProvider is the word for rejects of which nothing tells whose they are.
const NoProvider = "none"

// ParseProvider reads a provider, or NoProvider.
func ParseProvider(text string) (call.Provider, error) {
	p, ok := call.ParseProvider(text)
	if !ok && text != NoProvider {
		return p, fmt.Errorf("it must be of %s, or %s", strings.Join(call.ProviderNames(), ", "), NoProvider)
	}
	return p, nil
}

// ParseInstant reads an RFC 3339 instant, a day, or how long before now, such as -2h or
// -7d.
func ParseInstant(text string, now time.Time) (time.Time, error) {
	if ago, ok := strings.CutPrefix(text, "-"); ok {
		if days, ok := strings.CutSuffix(ago, "d"); ok {
			if n, err := strconv.ParseUint(days, 10, 16); err == nil {
				return now.AddDate(0, 0, -int(n)), nil
			}
		}
		if d, err := time.ParseDuration(ago); err == nil && d >= 0 {
			return now.Add(-d), nil
		}
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("it must be an RFC 3339 instant, a day such as 2026-03-01 (UTC), or how long ago, such as -2h or -7d")
}
