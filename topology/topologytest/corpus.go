package topologytest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/topology"
)

// Corpus is a set of calls as their providers tell of them, with what must come
// out. It knows nothing of how providers are read.
type Corpus struct {
	Records []Message
	Calls   []Call
}

// Message is one raw record without a place in a topic.
type Message struct {
	Headers   []call.Header
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

// Noise adds messages that are no call events.
func (c *Corpus) Noise(seed uint64, n int) *Corpus {
	rng := rand.New(rand.NewPCG(seed, 3))
	last, providers := c.Records[len(c.Records)-1].Timestamp, call.ProviderNames()
	for i := range n {
		m := Message{Timestamp: Start + rng.Int64N(last-Start+1), Call: i}
		switch i % 4 {
		case 0:
			m.Headers, m.Value, m.Kind = sentBy(providers[0]), []byte(`{"type":"call_state"`), Rejected
		case 1:
			m.Headers, m.Kind = sentBy(providers[1]), Ignored
		case 2:
			m.Headers, m.Value, m.Kind = sentBy(providers[3]), []byte(`[]`), Ignored
		case 3:
			m.Headers, m.Value, m.Kind = sentBy("nobody"), []byte(`{}`), Rejected
		}
		c.Records = append(c.Records, m)
	}
	return c
}

// Conflicts adds to n events another one with its id and other content.
func (c *Corpus) Conflicts(n int) *Corpus {
	for i := range c.Records {
		m := &c.Records[i]
		if n == 0 || m.Kind != NewEvent || !bytes.Contains(m.Value, simulator.GraphHungUp) {
			continue
		}
		n--
		other := *m
		other.Value = bytes.Replace(m.Value, simulator.GraphHungUp, []byte(`"q850_cause":17`), 1)
		m.Kind, other.Kind = Conflicted, Conflict
		c.Records = append(c.Records, other)
	}
	return c
}

// Stragglers adds to n calls of one leg an event that comes as much later.
func (c *Corpus) Stragglers(n int, kind Kind, later time.Duration) *Corpus {
	for _, m := range slices.Clone(c.Records) {
		if n == 0 || len(c.Calls[m.Call].Legs) > 1 || !bytes.Contains(m.Value, simulator.GraphBegun) {
			continue
		}
		n--
		m.Timestamp += later.Milliseconds()
		m.Kind = kind
		m.Value = bytes.Replace(m.Value, simulator.GraphEventID, fmt.Appendf(nil, "%s%s-", simulator.GraphEventID, later), 1)
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
			Headers: m.Headers,
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

func sentBy(provider string) []call.Header {
	return []call.Header{{Key: "provider", Value: []byte(provider)}}
}

// expect notes a call that must come out.
func (c *Corpus) expect(tenant string, provider call.Provider, ids []string) {
	var legs []call.LegID
	for _, id := range ids {
		legs = append(legs, call.NewLegID(tenant, provider, "", id))
	}
	slices.SortFunc(legs, func(a, b call.LegID) int { return slices.Compare(a[:], b[:]) })
	c.Calls = append(c.Calls, Call{legs})
}
