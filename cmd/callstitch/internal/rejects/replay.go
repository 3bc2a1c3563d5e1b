package rejects

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"callstitch/processor/call"
	"callstitch/topology"
)

// Fate is what becomes of a reject in a replay.
type Fate uint8

// Only the first two are sent; the others stay what they are.
const (
	WouldBeTaken   Fate = iota // it is sent, and would be taken now
	SentAnyway                 // it is sent, though it would not be
	RejectedAgain              // its cause is not mended
	IgnoredNow                 // it holds no event of a call any more
	NotToBeHad                 // the rejects do not have it whole, and its source does not either
	NotEdited                  // the command did not give a value for it
	NoTopic                    // no source takes it
	ReplayedEnough             // it was sent in again as often as it may be
	fateCount
)

// fateNames are the names of the fates in JSON.
var fateNames = [fateCount]string{
	"would_be_taken", "sent_all_the_same", "would_be_rejected_again", "would_be_ignored",
	"not_to_be_had", "not_edited", "no_topic_takes_it", "replayed_enough",
}

func (f Fate) String() string { return fateNames[f] }

// Sent reports whether a record of this fate is sent.
func (f Fate) Sent() bool { return f <= SentAnyway }

// Replay says which rejects are sent in again, and how. The functions must be given, but
// for Edit.
type Replay struct {
	Config    *topology.Config
	Selection Selection
	Max       int // end after so many that are meant; 0 does not count

	Set  []call.Header // headers instead of those of the record
	To   string        // the source that all are sent to; empty: where each came from
	Now  bool          // events that have no time but their record's happen now
	Edit func(value []byte) ([]byte, error)

	EvenIfRejected bool
	MaxReplays     int
	LateBefore     time.Time // records that came first before this may be late

	Fetch func(call.Source) (topology.Record, error) // a raw record out of its source
	Takes func(topology.Record) error                // why a topic does not take a record

	Tally Tally
}

// Choose is what to send of a record of the rejects topic; nil leaves it. It counts what
// becomes of it. Its error is io.EOF where enough were met.
func (p *Replay) Choose(r topology.Record) (*topology.Record, error) {
	if p.Max > 0 && p.Tally.Matched.Load() >= int64(p.Max) {
		return nil, io.EOF
	}
	p.Tally.Read.Add(1)
	e, err := Read(p.Config, r)
	if err != nil {
		p.Tally.Foreign++
		return nil, nil
	}
	if !p.Selection.Matches(&e) {
		return nil, nil
	}
	p.Tally.Matched.Add(1)
	again, fate, why := p.judge(&e)
	p.Tally.add(&e, fate, why)
	if !fate.Sent() {
		return nil, nil
	}
	if e.Reject.Timestamp > 0 && e.Reject.Timestamp < p.LateBefore.UnixMilli() {
		p.Tally.Late++
	}
	return &again, nil
}

// judge is what becomes of an entry, and why. It takes into the entry what is fetched.
func (p *Replay) judge(e *Entry) (again topology.Record, fate Fate, why string) {
	if e.Replays >= p.MaxReplays { // known without its source
		return again, ReplayedEnough, p.enough(e)
	}
	conflict := conflicting(e)
	if missing := e.Missing(); missing != "" {
		if err := p.complete(e); err != nil {
			return again, NotToBeHad, missing + ", and " + err.Error()
		}
	}
	if e.Replays >= p.MaxReplays {
		return again, ReplayedEnough, p.enough(e)
	}
	raw := e.Reject
	if p.Now {
		raw.Timestamp = 0
	}
	again = topology.Again(&raw, e.Replays, e.source())
	again.Headers = set(again.Headers, p.Set)
	src := e.Source
	if p.To != "" {
		again.Topic = p.To
		src, e.Known = sourceOf(p.Config, p.To)
	}
	if !e.Known {
		return again, NoTopic, fmt.Sprintf("topic %s is not among the sources: nobody would read it; name one with --to", again.Topic)
	}
	if p.Edit != nil {
		value, err := p.Edit(again.Value)
		if err != nil {
			return again, NotEdited, "--edit: " + err.Error()
		}
		again.Value = value
	}
	fate, why = p.verdict(src, again, conflict)
	if !fate.Sent() && p.EvenIfRejected {
		fate = SentAnyway
	}
	if !fate.Sent() {
		return again, fate, why
	}
	if err := p.Takes(again); err != nil {
		return again, NoTopic, err.Error()
	}
	return again, fate, why
}

func (p *Replay) enough(e *Entry) string {
	return fmt.Sprintf("it was sent in again %d times", e.Replays)
}

// verdict is what the present decoder makes of a record that comes again, and, of one
// that was in conflict, whether it would be so again.
func (p *Replay) verdict(src topology.Source, again topology.Record, conflict call.EventID) (Fate, string) {
	if v := Judge(src, again); v.Rejected() {
		return RejectedAgain, v.String()
	} else if v.Ignored != "" {
		return IgnoredNow, v.String()
	}
	if conflict == (call.EventID{}) {
		return WouldBeTaken, ""
	}
	for _, e := range src.Decode(again).Events {
		if e.ID == conflict {
			return RejectedAgain, "would be rejected again as ID_CONFLICT: its id is still that of an accepted event; where servers share ids, give each its --set scope=…"
		}
	}
	return WouldBeTaken, ""
}

// conflicting is the id that an entry is in conflict about; zero where it is not.
func conflicting(e *Entry) (id call.EventID) {
	if e.Reject.Reason == call.RejectIDConflict {
		_, _ = hex.Decode(id[:], []byte(eventOf(e).ID)) // of a text of another length nothing is believed
	}
	return id
}

// conflictEvent is what the value of an ID_CONFLICT tells of its raw record.
type conflictEvent struct {
	ID  string `json:"event_id"`
	Sum string `json:"raw_sha256"`
}

func eventOf(e *Entry) (event conflictEvent) {
	if json.Unmarshal(e.Reject.Value, &event) != nil || len(event.ID) != 2*len(call.EventID{}) {
		return conflictEvent{Sum: event.Sum}
	}
	return event
}

// complete fetches the raw record of an entry from its source, and holds that it is the
// one that was rejected.
func (p *Replay) complete(e *Entry) error {
	r := &e.Reject
	if r.Reason == call.RejectUnreadable {
		return errors.New("none ever will: have it sent again by its sender")
	}
	raw, err := p.Fetch(r.Source)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(raw.Value)
	switch {
	case r.Cut != nil && (sum != r.Cut.SHA256 || int64(len(raw.Value)) != r.Cut.Length):
		return errors.New("its source has another record there now")
	case r.Cut == nil && eventOf(e).Sum != hex.EncodeToString(sum[:]):
		return errors.New("its source has another record there now")
	}
	e.Replays = max(e.Replays, topology.Replays(raw.Headers))
	r.Timestamp, r.Key, r.Value, r.Headers, r.Cut = topology.Original(&raw), raw.Key, raw.Value, raw.Headers, nil
	return nil
}

// source is the place of an entry.
func (e *Entry) source() call.Source {
	return call.Source{Topic: e.Topic, Partition: e.Partition, Offset: e.Offset}
}

// set puts headers in the place of those with their names.
func set(headers, to []call.Header) []call.Header {
	for _, h := range to {
		headers = slices.DeleteFunc(headers, func(old call.Header) bool { return old.Key == h.Key })
	}
	return append(headers, to...)
}
