package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"
)

// Graph is a call that no telephony makes: more legs than calls have, over within
// seconds. It brings many of the stitcher's messages under way at once.
type Graph struct {
	Provider string
	CallIDs  []string // of its legs
	Told     []Told   // in no order of time
}

// Told is what the provider tells of one of its legs.
type Told struct {
	At      int64 // epoch ms
	Value   []byte
	Variant bool // the same transition once more, in other words
}

// Parts of what a tree's legs tell: of the first event, of the last ones, and what
// stands before the id of each event.
var (
	GraphBegun   = []byte(`"state":"init"`)
	GraphHungUp  = []byte(`"q850_cause":16`)
	GraphEventID = []byte(`"type":"call_state","uuid":"`)
)

type object = map[string]any

// Tree draws n legs of which each but the first has one before it as its parent, which
// is shown as it stands in every event of the leg.
func Tree(rng *rand.Rand, at int64, n int) Graph {
	type leg struct {
		id       string
		created  int64
		from, to string
		parent   int
	}
	g := graph{rng: rng, Graph: Graph{Provider: "opentact"}}
	legs := []leg{{g.uuid(), at, g.number(), g.number(), -1}}
	for len(legs) < n {
		p := rng.IntN(len(legs))
		legs = append(legs, leg{g.uuid(), g.after(legs[p].created, 800), g.number(), g.number(), p})
	}
	for _, l := range legs {
		g.CallIDs = append(g.CallIDs, l.id)
		facts := object{
			"uuid": l.id, "direction": []string{"in", "out"}[rng.IntN(2)], "from": l.from, "to": l.to,
			"type": "CallSCA", "created_on": graphTime(l.created),
		}
		if l.parent >= 0 {
			p := legs[l.parent]
			facts["parent"] = object{
				"uuid": p.id, "direction": "in", "from": p.from, "to": p.to, "created_on": graphTime(p.created),
				"init_on": graphTime(p.created), "state": "live",
			}
		}
		g.lifecycle(facts, l.created)
	}
	return g.Graph
}

// Chain draws legs of which each shares a flow with the one before. Some hang up more
// than once, in other words.
func Chain(rng *rand.Rand, at int64, name string) Graph {
	g := graph{rng: rng, Graph: Graph{Provider: "sonetel"}}
	flow := func(i int) string { return fmt.Sprintf("flow-%s-%d", name, i) }
	for i := range 1 + rng.IntN(4) {
		at = g.after(at, 500)
		id := fmt.Sprintf("%s.%d", name, i)
		g.CallIDs = append(g.CallIDs, id)
		facts := object{
			"date": time.UnixMilli(at).UTC().Format(time.DateTime), "callId": id,
			"callerFlowId": flow(i), "calleeFlowId": flow(i + 1), "callerPhoneNumber": "+15550100001", "calleeUser": "7",
		}
		notify := func(kind string, at int64, variant bool) {
			g.tell(at, object{"messageType": "notification", "notificationType": kind, "notification": facts}, variant)
		}
		notify("newCallEvent", g.after(at, 50), false)
		if !g.lost() {
			notify("callConnectedEvent", g.after(at, 1500), false)
		}
		variant := false
		for hang := 0; hang == 0 || rng.IntN(6) == 0 && hang < 2; hang++ {
			if !g.lost() {
				facts["duration"] = fmt.Sprint(1 + hang)
				notify("callHungUpEvent", g.after(at, 4000), variant)
				variant = true
			}
		}
	}
	return g.Graph
}

// graph is one that is being drawn.
type graph struct {
	Graph
	rng *rand.Rand
}

// lifecycle tells one leg's states, of which some are lost.
func (g *graph) lifecycle(facts object, at int64) {
	told := false
	for i, state := range []string{"init", "ringing", "live", "hangup", "destroyed"} {
		at = g.after(at, 900)
		if g.lost() && (told || i < 4) {
			continue
		}
		told = true
		leg := maps.Clone(facts)
		leg["state"], leg["modified_on"] = state, graphTime(at)
		leg[[]string{"init_on", "ring_on", "answer_on", "hangup_on", "destroy_on"}[i]] = graphTime(at)
		if i >= 3 {
			leg["q850_cause"], leg["q850_cause_string"] = 16, "NORMAL_CLEARING"
		}
		g.tell(g.after(at, 200), object{
			"uuid": g.uuid(), "created_on": graphTime(at + 1), "modified_on": graphTime(at + 1), "type": "call_state",
			"payload": object{"state": state, "duration": 1}, "call": leg,
		}, false)
	}
}

// tell adds what the provider tells at an instant; names of objects are sorted.
func (g *graph) tell(at int64, o object, variant bool) {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	g.Told = append(g.Told, Told{at, b, variant})
}

func (g *graph) uuid() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", g.rng.Uint32(), g.rng.IntN(1<<16), g.rng.IntN(1<<12),
		g.rng.IntN(1<<12), g.rng.Int64N(1<<48))
}

func (g *graph) number() string { return fmt.Sprintf("+1555010%04d", g.rng.IntN(10000)) }

func (g *graph) after(at, upTo int64) int64 { return at + 1 + g.rng.Int64N(upTo) }

// lost reports whether the provider never tells of something.
func (g *graph) lost() bool { return g.rng.IntN(12) == 0 }

func graphTime(at int64) string { return time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z") }
