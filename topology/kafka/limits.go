package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What a topic must take for the largest record that callstitch writes to it. Providers'
// strings are cut where they are read and lists are bounded, so that there is a largest;
// TestLargestRecords makes it.
const (
	// leastExchange is for what a root of a thousand legs hands over, 64 legs at a time.
	leastExchange = recordMaxBytes
	// leastChangelog is for eight legs of a session.
	leastChangelog = defaultMaxBytes
	// leastSessions is for 64 legs with 16 recordings each.
	leastSessions = recordMaxBytes
	// leastRows is for one event, or one leg.
	leastRows = 128 << 10
	// leastAudit is for a book.
	leastAudit = 4 << 10
)

// limits are how large the batches, and so the records, that go to each topic may be.
// They are what the brokers say; where this user may not ask, or a broker refuses what it
// says it takes, they are learnt from what it refuses (K38). Each worker has its own.
type limits struct {
	cfg     *Config
	known   map[string]int32 // max.message.bytes, where it is known
	assumed map[string]int32 // instead of that, once something was refused
	refused map[string]int32 // the smallest that a broker has refused
}

func newLimits(cfg *Config, known map[string]int32) *limits {
	return &limits{cfg: cfg, known: maps.Clone(known), assumed: map[string]int32{}, refused: map[string]int32{}}
}

// of is the largest batch to send to a topic.
func (l *limits) of(topic string) int32 {
	if n, ok := l.assumed[topic]; ok {
		return n
	}
	if n, ok := l.known[topic]; ok {
		return min(n, rejectsMaxBytes)
	}
	return defaultMaxBytes
}

// tooLargeError says that a record, or the batch that it was in, was refused.
type tooLargeError struct {
	topic string
	bytes int32 // of the record
	err   error
}

func (e *tooLargeError) Error() string { return "produce to " + e.topic + ": " + e.err.Error() }
func (e *tooLargeError) Unwrap() error { return e.err }

// untimelyError says that a record was refused for its time (K48).
type untimelyError struct {
	topic string
	err   error
}

func (e *untimelyError) Error() string {
	return "produce to " + e.topic + ": " + e.err.Error() + " Is this machine's clock right, and what do message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic allow?"
}
func (e *untimelyError) Unwrap() error { return e.err }

// produceError is the failure of a record.
func produceError(rec *kgo.Record, err error) error {
	if errors.Is(err, kerr.InvalidTimestamp) {
		return &untimelyError{rec.Topic, err}
	}
	if errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge) {
		return &tooLargeError{rec.Topic, int32(size(rec) + batchOverhead), err}
	}
	return fmt.Errorf("produce to %s: %w", rec.Topic, err)
}

// learn takes in that something was refused as too large: the topic may have another
// limit than at the start. An error says that the topic takes too little for what goes
// there, however it is sent.
func (l *limits) learn(ctx context.Context, adm *kadm.Client, e *tooLargeError) error {
	configs, err := topicConfigs(ctx, adm, []string{e.topic})
	if err != nil {
		return nil // no broker answers; the next time will tell
	}
	n, err := strconv.ParseInt(configs[e.topic]["max.message.bytes"], 10, 32)
	if now := int32(n); err == nil && now != l.known[e.topic] {
		l.known[e.topic] = now
		delete(l.assumed, e.topic)
		delete(l.refused, e.topic)
		for _, s := range l.cfg.topicSpecs() {
			if s.name == e.topic && now < s.least {
				return s.tooSmall(now)
			}
		}
		return nil
	}
	return l.guess(e)
}

// guess finds another limit where the known one is not that of the broker: half of what
// it has refused, or what the record needs that the client itself has refused.
func (l *limits) guess(e *tooLargeError) error {
	sent, needs := l.of(e.topic), e.bytes
	if e.topic == l.cfg.Topics.Rejects {
		needs = rejectLeast // what goes there is cut to what it takes
	}
	if needs > sent {
		l.assumed[e.topic] = min(2*needs, rejectsMaxBytes)
	} else {
		l.refused[e.topic] = sent
		l.assumed[e.topic] = max(sent/2, needs)
	}
	now, refused := l.assumed[e.topic], l.refused[e.topic]
	if now < needs || refused > 0 && now >= refused {
		return mismatch(e.topic, "takes no record of %d bytes: set its max.message.bytes to what docs/operations.md names", needs)
	}
	return nil
}
