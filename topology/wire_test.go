package topology

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/processor/codec"
	"callstitch/processor/stitch"
)

func TestEventOnTheWire(t *testing.T) {
	e := &call.Event{Tenant: "t", Provider: call.Opentact, CallID: "c", Source: call.Source{Topic: "raw", Partition: 2, Offset: 9}}
	e.Leg = call.NewLegID(e.Tenant, e.Provider, e.Scope, e.CallID)
	got, arrival, err := parseEvent(appendEvent(nil, e, -5))
	if err != nil || arrival != -5 {
		t.Fatal(arrival, err)
	}
	if d := cmp.Diff(e, got); d != "" {
		t.Error(d)
	}
}

func TestMessageOnTheWire(t *testing.T) {
	m := stitch.Message{To: call.LegNode(call.LegID{7}), Trig: 1 << 50, Body: []byte("body")}
	got, err := parseMessage(m.To[:], appendMessage(nil, m))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, got); d != "" {
		t.Error(d)
	}
	if _, err := parseMessage([]byte("short"), appendMessage(nil, m)); err == nil {
		t.Error("a message to no node was read")
	}
}

// Progress and clocks go to every partition, an answer only to the one that
// keeps the book.
func TestTickOnTheWire(t *testing.T) {
	cfg := &Config{ExchangePartitions: 5}
	k := Tick{
		Progress: []Progress{{Source: part(3), Time: call.Unheard, Arrival: 4, Offset: 5, Totals: Totals{1, 2, 3, 4, 5}}},
		Clocks:   []Clock{{Task: 1, Time: 2, Position: 3}},
		Answers:  []Answer{answer(1, 7), {Source: part(4), Task: 1, Offset: 8, Counts: Counts{1, 2, 3, 4}}},
	}
	var answers []Answer
	for p := range cfg.ExchangePartitions {
		e := k.EnvelopeFor(cfg, p)
		if e.Partition != p || e.From != -1 {
			t.Errorf("envelope %d is %+v", p, e)
		}
		got, err := parseTick(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range got.Answers {
			if Partition([]byte(a.Source.String()), 5) != p {
				t.Errorf("partition %d got the answer for %s", p, a.Source)
			}
		}
		answers = append(answers, got.Answers...)
		got.Answers = nil
		if d := cmp.Diff(&Tick{Progress: k.Progress, Clocks: k.Clocks}, got); d != "" {
			t.Error(d)
		}
	}
	if len(answers) != 2 {
		t.Errorf("answers %+v", answers)
	}
}

// What cannot be read is an error for the runtime: never a panic, never a
// record that is passed over.
func TestUnreadable(t *testing.T) {
	good := (&Tick{Progress: []Progress{{Source: part(0)}}}).EnvelopeFor(&Config{ExchangePartitions: 1}, 0).Value
	for name, value := range map[string][]byte{
		"empty":          {},
		"event":          {eventKind},
		"cut event":      {eventKind, 2, 1},
		"message":        {messageKind},
		"tick":           {tickKind},
		"cut tick":       good[:len(good)-1],
		"long tick":      append(good[:len(good):len(good)], 0),
		"clock of none":  (&Tick{Clocks: []Clock{{Task: 3}}}).EnvelopeFor(&Config{ExchangePartitions: 1}, 0).Value,
		"answer of none": (&Tick{Answers: []Answer{answer(3, 1)}}).EnvelopeFor(&Config{ExchangePartitions: 1}, 0).Value,
	} {
		task := NewStitchTask(&Config{ExchangePartitions: 1}, 0, nil)
		err := task.Process(Record{Topic: "exchange", Value: value}, &Effects{})
		if !errors.Is(err, codec.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, value := range map[string][]byte{
		"unknown kind": {99},
		"event":        {eventKind, 0, 2},
		"message":      {messageKind, 0, 99}, // what follows a kind that is not known may have any form
	} {
		task := NewStitchTask(&Config{ExchangePartitions: 1}, 0, nil)
		err := task.Process(Record{Key: make([]byte, len(call.NodeID{})), Value: value}, &Effects{})
		if !errors.Is(err, codec.ErrNewerState) {
			t.Errorf("newer %s: %v", name, err)
		}
	}
}

// TestClocksTold reads out of the exchange's records what ticks tell, and nothing of others.
func TestClocksTold(t *testing.T) {
	cfg := &Config{ExchangePartitions: 2}
	clocks := []Clock{{Task: 1, Time: 1_795_898_005_444, Position: 7}, {Task: 0, Time: call.Unheard}}
	tick := Tick{Clocks: clocks}
	for p := range int32(2) {
		got, err := ClocksTold(tick.EnvelopeFor(cfg, p).Value)
		if err != nil || !slices.Equal(got, clocks) {
			t.Errorf("a tick to partition %d tells %v, error %v", p, got, err)
		}
	}
	for _, other := range [][]byte{nil, {}, {eventKind, 1, 2}, {messageKind}} {
		if got, err := ClocksTold(other); got != nil || err != nil {
			t.Errorf("% x tells %v, error %v", other, got, err)
		}
	}
	value := tick.EnvelopeFor(cfg, 0).Value
	if _, err := ClocksTold(value[:len(value)-1]); !errors.Is(err, codec.ErrCorrupt) {
		t.Errorf("a tick that is cut: %v", err)
	}
}
