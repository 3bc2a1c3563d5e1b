package topologytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"callstitch/processor/call"
	"callstitch/topology"
)

// Corpus is a set of calls as their providers tell of them, with what must come
// out. It knows the providers' formats and nothing of how they are read.
type Corpus struct {
	Records []Message
	Calls   []Call
}

// Message is one raw record without a place in a topic.
type Message struct {
	Provider  string
	Timestamp int64 // epoch ms
	Value     []byte
	Kind      Kind
	More      int // events of its kind that it tells beside the first
	Call      int // number of the call that it is about
}

// Kind is what must become of a message.
type Kind uint8

// The kinds of message.
const (
	NewEvent   Kind = iota // an event that no other message tells
	Variant                // an event that another message tells in other words
	Conflict               // an event with the id of another one and other content
	Conflicted             // that other one
	Rejected               // cannot be decoded
	Ignored                // is no call event
	LateEvent              // comes after its leg's retention
	kinds
)

// Call is one session that must come out: the legs that it must have.
type Call struct {
	Legs []call.LegID // sorted
}

// Topic is the raw topic of every corpus.
const Topic = "call.raw"

// Start is when every corpus begins, 2026-03-02 09:00 UTC.
const Start = 1_772_442_000_000

// Calls draws a corpus of calls that begin within a span after Start.
func Calls(seed uint64, calls int, span time.Duration) *Corpus {
	return draw(seed, calls, span, 10)
}

// LinkedCalls draws calls of which many have several legs, on links over which
// their tasks must talk.
func LinkedCalls(seed uint64, calls int, span time.Duration) *Corpus {
	return draw(seed, calls, span, 7)
}

// Trees draws calls of up to a dozen legs, each placed by one before it.
func Trees(seed uint64, calls int, span time.Duration) *Corpus {
	g := &drawing{rng: rand.New(rand.NewPCG(seed, 2)), corpus: &Corpus{}}
	for g.call = range calls {
		g.opentact(Start+g.rng.Int64N(span.Milliseconds()), 1+g.rng.IntN(12))
	}
	return g.corpus
}

func draw(seed uint64, calls int, span time.Duration, kinds int) *Corpus {
	g := &drawing{rng: rand.New(rand.NewPCG(seed, 2)), corpus: &Corpus{}}
	for g.call = range calls {
		at := Start + g.rng.Int64N(span.Milliseconds())
		g.prefix = fmt.Sprintf("%d-%d", seed, g.call)
		switch g.rng.IntN(kinds) {
		case 0, 1, 2, 3:
			g.opentact(at, 1+g.rng.IntN(5))
		case 4, 5, 6:
			g.sonetel(at)
		case 7, 8:
			g.bandwidth(at)
		case 9:
			g.stringee(at)
		}
	}
	return g.corpus
}

// Noise adds messages that are no call events.
func (c *Corpus) Noise(seed uint64, n int) *Corpus {
	rng := rand.New(rand.NewPCG(seed, 3))
	last := c.Records[len(c.Records)-1].Timestamp
	for i := range n {
		m := Message{Timestamp: Start + rng.Int64N(last-Start+1), Call: i}
		switch i % 4 {
		case 0:
			m.Provider, m.Value, m.Kind = "opentact", []byte(`{"type":"call_state"`), Rejected
		case 1:
			m.Provider, m.Kind = "stringee", Ignored
		case 2:
			m.Provider, m.Value, m.Kind = "bandwidth", []byte(`[]`), Ignored
		case 3:
			m.Provider, m.Value, m.Kind = "nobody", []byte(`{}`), Rejected
		}
		c.Records = append(c.Records, m)
	}
	return c
}

// Conflicts adds to n events another one with its id and other content.
func (c *Corpus) Conflicts(n int) *Corpus {
	for i := range c.Records {
		m := &c.Records[i]
		if n == 0 || m.Provider != "stringee" || m.Kind != NewEvent {
			continue
		}
		n--
		other := *m
		other.Value = bytes.Replace(m.Value, []byte(`"agent1"`), []byte(`"agent2"`), 1)
		m.Kind, other.Kind = Conflicted, Conflict
		c.Records = append(c.Records, other)
	}
	return c
}

// Stragglers adds to n calls of one leg an event that comes as much later.
func (c *Corpus) Stragglers(n int, kind Kind, later time.Duration) *Corpus {
	for _, m := range slices.Clone(c.Records) {
		if n == 0 || m.Provider != "stringee" || !bytes.Contains(m.Value, []byte(`"created"`)) {
			continue
		}
		n--
		m.Timestamp += later.Milliseconds()
		m.Kind = kind
		m.Value = bytes.Replace(m.Value, []byte(`"event_id":"`), []byte(fmt.Sprintf(`"event_id":"%s-`, later)), 1)
		c.Records = append(c.Records, m)
	}
	return c
}

// Arrays tells two events at a time of n calls, in a JSON array.
func (c *Corpus) Arrays(n int) *Corpus {
	for i := 1; i < len(c.Records) && n > 0; i++ {
		a, b := c.Records[i-1], c.Records[i]
		if a.Call != b.Call || a.Kind != NewEvent || b.Kind != NewEvent || a.More+b.More > 0 {
			continue
		}
		n--
		b.More = 1
		b.Value = slices.Concat([]byte("["), a.Value, []byte(","), b.Value, []byte("]"))
		c.Records = slices.Replace(c.Records, i-1, i+1, b)
	}
	return c
}

// Coarse rounds the timestamps down, so that many are equal.
func (c *Corpus) Coarse(to time.Duration) *Corpus {
	for i := range c.Records {
		c.Records[i].Timestamp -= c.Records[i].Timestamp % to.Milliseconds()
	}
	return c
}

// Shuffle is the corpus as it may lie in a raw topic: its messages at random
// over the partitions, in order but for a disorder of at most the given time,
// with a share of them repeated.
func (c *Corpus) Shuffle(seed uint64, partitions int32, disorder time.Duration, repeats float64) []Raw {
	rng := rand.New(rand.NewPCG(seed, 4))
	return c.log(rng, disorder, repeats, func(Message) int32 { return rng.Int32N(partitions) })
}

// Keyed is Shuffle with all messages of a call in one partition.
func (c *Corpus) Keyed(seed uint64, partitions int32, disorder time.Duration, repeats float64) []Raw {
	rng := rand.New(rand.NewPCG(seed, 4))
	return c.log(rng, disorder, repeats, func(m Message) int32 { return int32(m.Call) % partitions })
}

func (c *Corpus) log(rng *rand.Rand, disorder time.Duration, repeats float64, place func(Message) int32) []Raw {
	var log []Raw
	write := func(m Message) {
		log = append(log, Raw{Kind: m.Kind, More: m.More, At: m.Timestamp + rng.Int64N(disorder.Milliseconds()+1), Record: topology.Record{
			Topic: Topic, Partition: place(m), Timestamp: m.Timestamp, Value: m.Value,
			Headers: []call.Header{{Key: "provider", Value: []byte(m.Provider)}},
		}})
	}
	for _, m := range c.Records {
		write(m)
		for m.Kind != Conflict && m.Kind != Conflicted && rng.Float64() < repeats {
			m.Timestamp += rng.Int64N(1000)
			write(m)
		}
	}
	slices.SortStableFunc(log, func(a, b Raw) int { return int(a.At - b.At) })
	return log
}

type drawing struct {
	rng    *rand.Rand
	corpus *Corpus
	prefix string
	call   int
	kind   Kind
}

// object is a JSON object; its names are sorted when it is written.
type object = map[string]any

func (d *drawing) say(provider string, at int64, o object) {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	d.corpus.Records = append(d.corpus.Records, Message{
		Provider: provider, Timestamp: at, Value: b, Kind: d.kind, Call: d.call,
	})
}

// legs notes a call that must come out.
func (d *drawing) legs(provider call.Provider, ids ...string) {
	var c Call
	for _, id := range ids {
		c.Legs = append(c.Legs, call.NewLegID("default", provider, "", id))
	}
	slices.SortFunc(c.Legs, func(a, b call.LegID) int { return slices.Compare(a[:], b[:]) })
	d.corpus.Calls = append(d.corpus.Calls, c)
}

func (d *drawing) uuid() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", d.rng.Uint32(), d.rng.IntN(1<<16), d.rng.IntN(1<<12),
		d.rng.IntN(1<<12), d.rng.Int64N(1<<48))
}

func (d *drawing) number() string { return fmt.Sprintf("+1555010%04d", d.rng.IntN(10000)) }

func (d *drawing) after(at int64, upTo int64) int64 { return at + 1 + d.rng.Int64N(upTo) }

func iso(at int64) string { return time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z") }

// lost says whether the provider never tells of something.
func (d *drawing) lost() bool { return d.rng.IntN(12) == 0 }

// opentact draws a tree of legs, each embedding its parent in its events.
func (d *drawing) opentact(at int64, n int) {
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
		base := object{
			"uuid": l.id, "direction": []string{"in", "out"}[d.rng.IntN(2)], "from": l.from, "to": l.to,
			"type": "CallSCA", "created_on": iso(l.created),
		}
		if l.parent >= 0 {
			p := legs[l.parent]
			base["parent"] = object{
				"uuid": p.id, "direction": "in", "from": p.from, "to": p.to, "created_on": iso(p.created),
				"init_on": iso(p.created), "state": "live",
			}
		}
		d.lifecycle(base, l.created)
	}
	d.legs(call.Opentact, ids...)
}

// lifecycle tells one leg's states, of which some are lost.
func (d *drawing) lifecycle(base object, at int64) {
	told := false
	for i, state := range []string{"init", "ringing", "live", "hangup", "destroyed"} {
		at = d.after(at, 900)
		if d.lost() && (told || i < 4) {
			continue
		}
		told = true
		c := object{}
		for k, v := range base {
			c[k] = v
		}
		c["state"], c["modified_on"] = state, iso(at)
		c[[]string{"init_on", "ring_on", "answer_on", "hangup_on", "destroy_on"}[i]] = iso(at)
		if i >= 3 {
			c["q850_cause"], c["q850_cause_string"] = 16, "NORMAL_CLEARING"
		}
		d.say("opentact", d.after(at, 200), object{
			"uuid": d.uuid(), "created_on": iso(at + 1), "modified_on": iso(at + 1), "type": "call_state",
			"payload": object{"state": state, "duration": 1}, "call": c,
		})
	}
}

// sonetel draws a chain of calls, each sharing a flow with the one before.
func (d *drawing) sonetel(at int64) {
	var ids []string
	n := 1 + d.rng.IntN(4)
	flow := func(i int) string { return fmt.Sprintf("flow-%s-%d", d.prefix, i) }
	for i := range n {
		at = d.after(at, 500)
		id := fmt.Sprintf("%s.%d", d.prefix, i)
		ids = append(ids, id)
		notify := func(kind string, at int64, more object) {
			n := object{
				"date": time.UnixMilli(at).UTC().Format("2006-01-02 15:04:05"), "callId": id,
				"callerFlowId": flow(i), "calleeFlowId": flow(i + 1), "callerPhoneNumber": "+15550100001", "calleeUser": "7",
			}
			for k, v := range more {
				n[k] = v
			}
			d.say("sonetel", at, object{"messageType": "notification", "notificationType": kind, "notification": n})
		}
		date := time.UnixMilli(at).UTC().Format("2006-01-02 15:04:05")
		notify("newCallEvent", d.after(at, 50), object{"date": date})
		if !d.lost() {
			notify("callConnectedEvent", d.after(at, 1500), object{"date": date})
		}
		for hang := 0; hang == 0 || d.rng.IntN(6) == 0 && hang < 2; hang++ {
			if !d.lost() {
				notify("callHungUpEvent", d.after(at, 4000), object{"date": date, "duration": fmt.Sprint(1 + hang)})
				d.kind = Variant
			}
		}
		d.kind = NewEvent
	}
	d.legs(call.Sonetel, ids...)
}

// bandwidth draws a call and the calls that it is transferred to.
func (d *drawing) bandwidth(at int64) {
	a := "c-" + d.uuid()
	ids := []string{a}
	say := func(id, kind string, at int64, more object) {
		o := object{
			"eventType": kind, "eventTime": iso(at), "accountId": "5000000", "applicationId": "app", "callId": id,
			"from": "+15550100001", "to": "+15550100002", "direction": "inbound", "startTime": iso(at),
		}
		for k, v := range more {
			o[k] = v
		}
		if kind == "answer" && d.rng.IntN(2) == 0 {
			delete(o, "startTime") // then the event alone does not tell when the leg began
		}
		d.say("bandwidth", d.after(at, 300), o)
	}
	start := iso(at)
	say(a, "initiate", at, object{"startTime": start})
	if !d.lost() {
		say(a, "answer", d.after(at, 700), object{"startTime": start})
	}
	for range d.rng.IntN(3) {
		b := "c-" + d.uuid()
		ids = append(ids, b)
		begun := d.after(at, 2000)
		link := object{
			"parentCallId": a, "direction": "outbound", "transferCallerId": "+15550100001",
			"transferTo": "+15550100003", "startTime": iso(begun),
		}
		answered := !d.lost()
		if answered {
			say(b, "transferAnswer", d.after(begun, 500), link)
		}
		if !answered || !d.lost() {
			end := begun + 1000 + d.rng.Int64N(2000)
			link := cloned(link)
			link["endTime"], link["cause"] = iso(end), "hangup"
			say(b, "transferDisconnect", end, link)
		}
	}
	if !d.lost() {
		end := at + 5000 + d.rng.Int64N(2000)
		say(a, "disconnect", end, object{"startTime": start, "endTime": iso(end), "cause": "hangup"})
	}
	d.legs(call.Bandwidth, ids...)
}

func cloned(o object) object {
	c := object{}
	for k, v := range o {
		c[k] = v
	}
	return c
}

// stringee draws a conversation under one id.
func (d *drawing) stringee(at int64) {
	id := "call-vn-1-" + d.prefix
	for i, status := range []string{"created", "started", "ringing", "answered", "ended"} {
		at = d.after(at, 900)
		if i > 0 && d.lost() {
			continue
		}
		d.say("stringee", d.after(at, 200), object{
			"call_status": status, "call_id": id, "event_id": d.uuid(), "timestamp_ms": at, "project_id": 1,
			"from": object{"number": "15550100001", "alias": "15550100001", "is_online": false, "type": "external"},
			"to":   object{"number": "agent1", "alias": "15550100009", "is_online": true, "type": "internal"},
			"type": "stringee_call", "callCreatedReason": "EXTERNAL_CALL_IN",
		})
	}
	d.legs(call.Stringee, id)
}
