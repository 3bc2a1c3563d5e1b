package rejects

import (
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

// judge is what becomes of an entry, and why.
func (p *Replay) judge(e *Entry) (again topology.Record, fate Fate, why string) {
	raw, replays := e.Reject, e.Replays
	if missing := e.Missing(); missing != "" {
		whole, err := p.fetch(e)
		if err != nil {
			return again, NotToBeHad, fmt.Sprintf("%s, and %v", missing, err)
		}
		// A conflict has no headers that could say how often it came.
		replays = max(replays, topology.Replays(whole.Headers))
		raw.Timestamp, raw.Key, raw.Value, raw.Headers = topology.Original(&whole), whole.Key, whole.Value, whole.Headers
	}
	if replays >= p.MaxReplays {
		return again, ReplayedEnough, fmt.Sprintf("it was sent in again %d times", replays)
	}
	if p.Now {
		raw.Timestamp = 0
	}
	again = topology.Again(&raw, replays, call.Source{Topic: e.Topic, Partition: e.Partition, Offset: e.Offset})
	again.Headers = set(again.Headers, p.Set)
	src, known := e.Source, e.Known
	if p.To != "" {
		again.Topic = p.To
		src, known = sourceOf(p.Config, p.To)
	}
	if !known {
		return again, NoTopic, fmt.Sprintf("%s is none of the sources: nobody would read it; name one with --to", again.Topic)
	}
	if p.Edit != nil {
		value, err := p.Edit(again.Value)
		if err != nil {
			return again, NotEdited, "--edit: " + err.Error()
		}
		again.Value = value
	}
	if fate, why = verdict(e, src, again); fate != WouldBeTaken {
		if !p.EvenIfRejected {
			return again, fate, why
		}
		fate = SentAnyway
	}
	if err := p.Takes(again); err != nil {
		return again, NoTopic, err.Error()
	}
	return again, fate, why
}

// verdict is what the present decoder makes of a record that comes again, and, of one
// that was in conflict, whether it would be so again.
func verdict(e *Entry, src topology.Source, again topology.Record) (Fate, string) {
	v := Judge(src, again)
	switch {
	case v.Rejected():
		return RejectedAgain, v.String()
	case v.Ignored != "":
		return IgnoredNow, v.String()
	case e.InConflict(&v):
		return RejectedAgain, "would be in conflict again: it is of the same leg still; where servers share ids, give each a scope, with --set scope=…"
	}
	return WouldBeTaken, ""
}

// fetch is the raw record of an entry from its source.
func (p *Replay) fetch(e *Entry) (topology.Record, error) {
	if !e.Fetchable() {
		return topology.Record{}, errors.New("none ever will: have it sent again by its sender")
	}
	raw, err := p.Fetch(e.Reject.Source)
	if err == nil {
		err = e.Same(&raw)
	}
	if err != nil {
		return raw, fmt.Errorf("from %s it could not be read again: %w", e.Origin(), err)
	}
	return raw, nil
}

// set puts headers in the place of those with their names.
func set(headers, to []call.Header) []call.Header {
	for _, h := range to {
		headers = slices.DeleteFunc(headers, func(old call.Header) bool { return old.Key == h.Key })
	}
	return append(headers, to...)
}
