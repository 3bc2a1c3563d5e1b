package rejects

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"callstitch/processor/call"
	"callstitch/topology"
)

// Place is where a record is.
type Place struct {
	topology.TopicPartition
	Offset int64
}

// String is the place as the arguments of commands have it.
func (p Place) String() string { return fmt.Sprintf("%s %d %d", p.Topic, p.Partition, p.Offset) }

// Compare orders by topic, partition and offset.
func (p Place) Compare(o Place) int {
	if c := p.TopicPartition.Compare(o.TopicPartition); c != 0 {
		return c
	}
	return int(min(1, max(-1, p.Offset-o.Offset)))
}

// ParsePlace reads a place whose parts have slashes between them, as headers have it.
func ParsePlace(text string) (Place, bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 || parts[0] == "" {
		return Place{}, false
	}
	partition, err1 := strconv.ParseUint(parts[1], 10, 31)
	offset, err2 := strconv.ParseUint(parts[2], 10, 63)
	return Place{topology.TopicPartition{Topic: parts[0], Partition: int32(partition)}, int64(offset)}, err1 == nil && err2 == nil
}

// PlaceOf is where a record is.
func PlaceOf(r topology.Record) Place {
	return Place{topology.TopicPartition{Topic: r.Topic, Partition: r.Partition}, r.Offset}
}

// Entry is one record of the rejects topic.
type Entry struct {
	Place
	Reject call.Reject
	// Replays is how often the raw record was sent in again before it came here.
	Replays int
	// Source is what the configuration says of the topic that it came from; Known
	// reports whether it says anything.
	Source topology.Source
	Known  bool
	// Provider is whose event it should have been, as far as headers and configuration
	// tell; its shape, which may tell more, is not asked.
	Provider call.Provider
	Tenant   string
}

// Read is the entry that a record of the rejects topic is. The errors quote nothing of it.
func Read(cfg *topology.Config, r topology.Record) (e Entry, err error) {
	e = Entry{Place: PlaceOf(r)}
	if e.Reject, e.Replays, err = topology.ParseReject(r); err != nil {
		return e, fmt.Errorf("%s: %w", e.Place, err)
	}
	e.Source, e.Known = sourceOf(cfg, e.Reject.Source.Topic)
	e.Provider, e.Tenant = e.whose()
	return e, nil
}

// sourceOf is the source of a topic; one that is not among them has no settings.
func sourceOf(cfg *topology.Config, topic string) (topology.Source, bool) {
	for _, s := range cfg.Sources {
		if s.Topic == topic {
			return s, true
		}
	}
	return topology.Source{Topic: topic}, false
}

// badTenant stands for what a header has that can name nobody, and may be anything.
const badTenant = "(bad header)"

// whose is the provider and the tenant of an entry.
func (e *Entry) whose() (p call.Provider, tenant string) {
	if e.Reject.Reason == call.RejectIDConflict { // without headers: the event says it
		var event struct {
			Provider string `json:"provider"`
			Tenant   string `json:"tenant_id"`
		}
		_ = json.Unmarshal(e.Reject.Value, &event) // one that was cut says nothing
		p, _ = call.ParseProvider(event.Provider)
		if event.Tenant != "" {
			return p, event.Tenant
		}
	}
	if p == call.NoProvider {
		p = e.Source.Provider
	}
	tenant = e.Source.Tenant
	for _, h := range e.Reject.Headers { // of several the last counts
		switch h.Key {
		case "provider":
			p, _ = call.ParseProvider(string(h.Value))
		case "tenant":
			if tenant = string(h.Value); !call.IsName(h.Value) || tenant == "" {
				tenant = badTenant
			}
		}
	}
	if tenant == "" {
		tenant = call.DefaultTenant
	}
	return p, tenant
}

// Missing is what the rejects topic does not have of the raw record, so that it must be
// fetched from its source; empty where it has all.
func (e *Entry) Missing() string {
	switch c := e.Reject.Cut; {
	case e.Reject.Reason == call.RejectIDConflict:
		return "the value is the event as it was understood, not the record"
	case e.Reject.Reason == call.RejectUnreadable:
		return "no client can read the record"
	case c != nil && len(c.Dropped) > 0:
		return fmt.Sprintf("%d of %d bytes are here, without %s", len(e.Reject.Value), c.Length, strings.Join(c.Dropped, " and "))
	case c != nil:
		return fmt.Sprintf("%d of %d bytes are here", len(e.Reject.Value), c.Length)
	}
	return ""
}

// Raw is the raw record as the rejects topic has it: whole where nothing is missing.
func (e *Entry) Raw() topology.Record {
	r := &e.Reject
	return topology.Record{
		Topic: r.Source.Topic, Partition: r.Source.Partition, Offset: r.Source.Offset,
		Timestamp: r.Timestamp, Key: r.Key, Value: r.Value, Headers: r.Headers,
	}
}

// Origin is where the raw record was read.
func (e *Entry) Origin() Place {
	s := e.Reject.Source
	return Place{topology.TopicPartition{Topic: s.Topic, Partition: s.Partition}, s.Offset}
}

// Fetchable reports whether the source can have what is missing here: not where nobody
// can read it.
func (e *Entry) Fetchable() bool { return e.Reject.Reason != call.RejectUnreadable }

var (
	// errAnother says that a source topic was made anew, or that a value was damaged.
	errAnother = errors.New("the record there is another one")
	// errUnsure says that so little is here that any record would do.
	errUnsure = errors.New("whether the record there is the same cannot be told")
)

// Same holds that the record at the origin is the one that was rejected, as far as the
// reject tells.
func (e *Entry) Same(r *topology.Record) error {
	sum := sha256.Sum256(r.Value)
	switch c := e.Reject.Cut; {
	case e.Reject.Reason == call.RejectIDConflict && c != nil: // the event was cut, and with it the hash of the record
		return errUnsure
	case e.Reject.Reason == call.RejectIDConflict:
		var event struct {
			SHA256 string `json:"raw_sha256"`
		}
		if json.Unmarshal(e.Reject.Value, &event) != nil || event.SHA256 != hex.EncodeToString(sum[:]) {
			return errAnother
		}
	case c != nil && sum != c.SHA256:
		return errAnother
	}
	return nil
}
