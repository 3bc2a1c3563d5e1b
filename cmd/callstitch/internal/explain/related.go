package explain

import (
	"slices"

	"callstitch/processor/call"
	"callstitch/processor/decode"
	"callstitch/processor/stitch"
)

// legsMax bounds the legs that are told of, the nearest first: as many as a
// session's record lists.
const legsMax = 64

// related is which of many raw records have to do with a question: those of the
// legs it asks about, and of every leg that links join to them.
type related struct {
	q          Question
	legsOf     [][]call.LegID                // the legs of each record's events
	neighbours map[call.NodeID][]call.NodeID // the graph of legs and links, both ways

	asked  []call.NodeID  // the nodes that the question is about
	result *decode.Result // what became of the raw record that it is about

	legs      map[call.LegID]bool
	callIDs   map[call.LegID]string // the provider's id of each leg that is known
	truncated bool                  // there are more legs than are told of
}

func relate(e Evidence, q Question) *related {
	r := &related{
		q: q, legsOf: make([][]call.LegID, len(e.pile.records)), neighbours: map[call.NodeID][]call.NodeID{},
		legs: map[call.LegID]bool{}, callIDs: map[call.LegID]string{},
	}
	decoders := map[string]*decode.Decoder{}
	for i := range e.pile.records {
		record := &e.pile.records[i].Record
		if decoders[record.Topic] == nil {
			decoders[record.Topic] = newDecoder(e.cfg.SourceOf(record.Topic))
		}
		r.read(i, sourceOf(record), decodeRecord(decoders[record.Topic], record))
	}
	r.follow()
	return r
}

// found reports whether any record has to do with the question.
func (r *related) found() bool { return r.result != nil || len(r.asked) > 0 }

// has reports whether an event of record i belongs to one of the legs.
func (r *related) has(i int) bool {
	return slices.ContainsFunc(r.legsOf[i], func(id call.LegID) bool { return r.legs[id] })
}

// count is the number of records that have to do with the question.
func (r *related) count() (n int) {
	for i := range r.legsOf {
		if r.has(i) {
			n++
		}
	}
	return n
}

func (r *related) read(i int, at call.Source, result decode.Result) {
	if r.q.isAbout(at) {
		r.result = &result
	}
	for _, e := range result.Events {
		if !slices.Contains(r.legsOf[i], e.Leg) {
			r.legsOf[i] = append(r.legsOf[i], e.Leg)
		}
		r.callIDs[e.Leg] = e.CallID
		if r.q.isAbout(at) {
			r.ask(call.LegNode(e.Leg))
		}
		r.askIfNamed(call.LegNode(e.Leg), e.CallID)
		for _, l := range e.Links {
			r.link(e, l)
		}
	}
}

func (r *related) link(e *call.Event, l call.Link) {
	leg, to := call.LegNode(e.Leg), stitch.LinkedNode(e, l)
	if l.Kind == call.LinkParent {
		r.callIDs[to.Leg()] = l.Value
		r.askIfNamed(to, l.Value)
	}
	if !slices.Contains(r.neighbours[leg], to) {
		r.neighbours[leg] = append(r.neighbours[leg], to)
		r.neighbours[to] = append(r.neighbours[to], leg)
	}
}

// askIfNamed notes a leg that the question names.
func (r *related) askIfNamed(leg call.NodeID, callID string) {
	if r.q.at == nil && (callID == r.q.id || leg.Leg() == r.q.leg) {
		r.ask(leg)
	}
}

func (r *related) ask(node call.NodeID) {
	if !slices.Contains(r.asked, node) {
		r.asked = append(r.asked, node)
	}
}

// follow follows the links from what was asked about.
func (r *related) follow() {
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
			if len(r.legs) == legsMax {
				r.truncated = true
				return
			}
			r.legs[node.Leg()] = true
		}
		queue = append(queue, r.neighbours[node]...)
	}
}
