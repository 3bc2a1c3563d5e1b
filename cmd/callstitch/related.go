package main

import (
	"slices"

	"callstitch/processor/call"
	"callstitch/processor/decode"
	"callstitch/processor/stitch"
	"callstitch/topology"
)

// explainLegs bounds the legs that are told of, the nearest first: as many as a
// session's record lists.
const explainLegs = 64

// related is which of many raw records have to do with a question: those of the
// legs it asks about, and of every leg that links join to them.
type related struct {
	q    question
	of   [][]call.LegID                // the legs of each record's events
	near map[call.NodeID][]call.NodeID // the graph of legs and links, both ways

	asked []call.NodeID  // the nodes that the question is about
	met   *decode.Result // what became of the raw record that it is about

	legs  map[call.LegID]bool
	calls map[call.LegID]string // the provider's id of each leg that is known
	cut   bool                  // there are more legs than are told of
}

func relate(e evidence, q question) *related {
	r := &related{
		q: q, of: make([][]call.LegID, len(e.pile.records)), near: map[call.NodeID][]call.NodeID{},
		legs: map[call.LegID]bool{}, calls: map[call.LegID]string{},
	}
	decoders := map[string]*decode.Decoder{}
	for i := range e.pile.records {
		record := &e.pile.records[i].Record
		if decoders[record.Topic] == nil {
			decoders[record.Topic] = newDecoder(e.cfg.SourceOf(record.Topic))
		}
		r.read(i, source(record), decodeRecord(decoders[record.Topic], record))
	}
	r.spread()
	return r
}

// found says whether any record has to do with the question.
func (r *related) found() bool { return r.met != nil || len(r.asked) > 0 }

// has says whether an event of record i belongs to one of the legs.
func (r *related) has(i int) bool {
	return slices.ContainsFunc(r.of[i], func(id call.LegID) bool { return r.legs[id] })
}

// count is the number of records that have to do with the question.
func (r *related) count() (n int) {
	for i := range r.of {
		if r.has(i) {
			n++
		}
	}
	return n
}

func (r *related) read(i int, at call.Source, result decode.Result) {
	if r.q.isAbout(at) {
		r.met = &result
	}
	for _, e := range result.Events {
		if !slices.Contains(r.of[i], e.Leg) {
			r.of[i] = append(r.of[i], e.Leg)
		}
		r.calls[e.Leg] = e.CallID
		if r.q.isAbout(at) {
			r.ask(call.LegNode(e.Leg))
		}
		r.meet(call.LegNode(e.Leg), e.CallID)
		for _, l := range e.Links {
			r.link(e, l)
		}
	}
}

func (r *related) link(e *call.Event, l call.Link) {
	leg, to := call.LegNode(e.Leg), stitch.LinkedNode(e, l)
	if l.Kind == call.Parent {
		r.calls[to.Leg()] = l.Value
		r.meet(to, l.Value)
	}
	if !slices.Contains(r.near[leg], to) {
		r.near[leg] = append(r.near[leg], to)
		r.near[to] = append(r.near[to], leg)
	}
}

// meet notes a leg that the question names.
func (r *related) meet(leg call.NodeID, callID string) {
	if r.q.at == nil && (callID == r.q.id || leg.Leg() == r.q.leg) {
		r.ask(leg)
	}
}

func (r *related) ask(node call.NodeID) {
	if !slices.Contains(r.asked, node) {
		r.asked = append(r.asked, node)
	}
}

// spread follows the links from what was asked about.
func (r *related) spread() {
	seen := map[call.NodeID]bool{}
	queue := slices.Clone(r.asked)
	for len(queue) > 0 {
		node := queue[0]
		queue = queue[1:]
		if seen[node] {
			continue
		}
		seen[node] = true
		if node.IsLeg() {
			if len(r.legs) == explainLegs {
				r.cut = true
				return
			}
			r.legs[node.Leg()] = true
		}
		queue = append(queue, r.near[node]...)
	}
}

func newDecoder(s topology.Source) *decode.Decoder {
	return decode.New(decode.Settings{Provider: s.Provider, Tenant: s.Tenant, Scope: s.Scope, LinkByTag: s.LinkByTag})
}

func decodeRecord(d *decode.Decoder, r *topology.Record) decode.Result {
	return d.Decode(decode.Input{Value: r.Value, Headers: r.Headers, Timestamp: max(r.Timestamp, 0), Source: source(r)})
}
