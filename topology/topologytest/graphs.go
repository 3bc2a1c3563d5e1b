package topologytest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"callstitch/processor/call"
)

// The graphs of legs and links below are larger than those of telephony calls, and
// their calls are over within seconds: that is what brings many messages of the
// protocol under way at once. Two providers are enough to write them: one whose
// legs name their parent, one whose legs share a value.

// Calls draws calls that begin within a span after Start: trees of legs, and
// chains of them.
func Calls(seed uint64, calls int, span time.Duration) *Corpus {
	return draw(seed, calls, func(d *drawing) {
		at := Start + d.rng.Int64N(span.Milliseconds())
		if d.rng.IntN(7) < 4 {
			d.tree(at, 1+d.rng.IntN(5))
		} else {
			d.chain(at, fmt.Sprintf("%d-%d", seed, d.call))
		}
	})
}

// Trees draws calls of up to a dozen legs, each placed by one before it.
func Trees(seed uint64, calls int, span time.Duration) *Corpus {
	return draw(seed, calls, func(d *drawing) {
		d.tree(Start+d.rng.Int64N(span.Milliseconds()), 1+d.rng.IntN(12))
	})
}

func draw(seed uint64, calls int, next func(*drawing)) *Corpus {
	d := &drawing{rng: rand.New(rand.NewPCG(seed, 2)), corpus: &Corpus{}}
	for d.call = range calls {
		next(d)
	}
	return d.corpus
}

// drawing is a corpus that is being drawn.
type drawing struct {
	rng    *rand.Rand
	corpus *Corpus
	call   int
	kind   Kind
}

// tree draws legs of which each but the first has one before it as its parent,
// which Opentact names, and shows as it stands, in every event of the leg.
func (d *drawing) tree(at int64, n int) {
	type leg struct {
		id       string
		created  int64
		from, to string
		parent   int
	}
	legs := []leg{{d.uuid(), at, d.number(), d.number(), -1}}
	for len(legs) < n {
		p := d.rng.IntN(len(legs))
		legs = append(legs, leg{d.uuid(), d.after(legs[p].created, 800), d.number(), d.number(), p})
	}
	var ids []string
	for _, l := range legs {
		ids = append(ids, l.id)
		facts := object{
			"uuid": l.id, "direction": []string{"in", "out"}[d.rng.IntN(2)], "from": l.from, "to": l.to,
			"type": "CallSCA", "created_on": iso(l.created),
		}
		if l.parent >= 0 {
			p := legs[l.parent]
			facts["parent"] = object{
				"uuid": p.id, "direction": "in", "from": p.from, "to": p.to, "created_on": iso(p.created),
				"init_on": iso(p.created), "state": "live",
			}
		}
		d.lifecycle(facts, l.created)
	}
	d.corpus.expect("default", call.Opentact, ids)
}

// Parts of what lifecycle writes: of the first event and of the last ones, and what
// stands before the id of each event.
var (
	begun   = []byte(`"state":"init"`)
	hungUp  = []byte(`"q850_cause":16`)
	eventID = []byte(`"type":"call_state","uuid":"`)
)

// lifecycle tells one leg's states, of which some are lost.
func (d *drawing) lifecycle(facts object, at int64) {
	told := false
	for i, state := range []string{"init", "ringing", "live", "hangup", "destroyed"} {
		at = d.after(at, 900)
		if d.lost() && (told || i < 4) {
			continue
		}
		told = true
		leg := maps.Clone(facts)
		leg["state"], leg["modified_on"] = state, iso(at)
		leg[[]string{"init_on", "ring_on", "answer_on", "hangup_on", "destroy_on"}[i]] = iso(at)
		if i >= 3 {
			leg["q850_cause"], leg["q850_cause_string"] = 16, "NORMAL_CLEARING"
		}
		d.say("opentact", d.after(at, 200), object{
			"uuid": d.uuid(), "created_on": iso(at + 1), "modified_on": iso(at + 1), "type": "call_state",
			"payload": object{"state": state, "duration": 1}, "call": leg,
		})
	}
}

// chain draws legs of which each shares a flow with the one before, as Sonetel has
// it. Some hang up more than once, in other words.
func (d *drawing) chain(at int64, name string) {
	var ids []string
	flow := func(i int) string { return fmt.Sprintf("flow-%s-%d", name, i) }
	for i := range 1 + d.rng.IntN(4) {
		at = d.after(at, 500)
		id := fmt.Sprintf("%s.%d", name, i)
		ids = append(ids, id)
		facts := object{
			"date": time.UnixMilli(at).UTC().Format(time.DateTime), "callId": id,
			"callerFlowId": flow(i), "calleeFlowId": flow(i + 1), "callerPhoneNumber": "+15550100001", "calleeUser": "7",
		}
		notify := func(kind string, at int64) {
			d.say("sonetel", at, object{"messageType": "notification", "notificationType": kind, "notification": facts})
		}
		notify("newCallEvent", d.after(at, 50))
		if !d.lost() {
			notify("callConnectedEvent", d.after(at, 1500))
		}
		for hang := 0; hang == 0 || d.rng.IntN(6) == 0 && hang < 2; hang++ {
			if !d.lost() {
				facts["duration"] = fmt.Sprint(1 + hang)
				notify("callHungUpEvent", d.after(at, 4000))
				d.kind = Variant
			}
		}
		d.kind = NewEvent
	}
	d.corpus.expect("default", call.Sonetel, ids)
}

// object is a JSON object; its names are sorted when it is written.
type object = map[string]any

// say adds what a provider tells at an instant.
func (d *drawing) say(provider string, at int64, o object) {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	d.corpus.Records = append(d.corpus.Records, Message{
		Headers: sentBy(provider), Timestamp: at, Value: b, Kind: d.kind, Call: d.call,
	})
}

func (d *drawing) uuid() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", d.rng.Uint32(), d.rng.IntN(1<<16), d.rng.IntN(1<<12),
		d.rng.IntN(1<<12), d.rng.Int64N(1<<48))
}

func (d *drawing) number() string { return fmt.Sprintf("+1555010%04d", d.rng.IntN(10000)) }

func (d *drawing) after(at int64, upTo int64) int64 { return at + 1 + d.rng.Int64N(upTo) }

func iso(at int64) string { return time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z") }

// lost reports whether the provider never tells of something.
func (d *drawing) lost() bool { return d.rng.IntN(12) == 0 }
