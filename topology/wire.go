package topology

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"callstitch/processor/call"
	"callstitch/processor/codec"
	"callstitch/processor/stitch"
)

// The exchange carries three kinds of record. The first byte of a value tells
// which; a changed form takes a new byte, so a reader never guesses.
const (
	eventKind   = 1 // arrival, call.Event; key: the leg's node
	messageKind = 2 // trig, body; key: the node it is for
	tickKind    = 3 // a Tick; no key
)

// TopicPartition names one partition of a topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String is the name as Kafka tools write it, such as call.raw-0.
func (p TopicPartition) String() string {
	return p.Topic + "-" + strconv.Itoa(int(p.Partition))
}

// Compare orders by topic, then partition.
func (p TopicPartition) Compare(o TopicPartition) int {
	switch {
	case p.Topic < o.Topic, p.Topic == o.Topic && p.Partition < o.Partition:
		return -1
	case p == o:
		return 0
	}
	return 1
}

// Totals are what a source partition's records came to since the generation
// began: Read = Decoded + Ignored + Rejected.
type Totals struct {
	Read, Decoded, Ignored, Rejected int64 // records
	Events                           int64 // events decoded from them
}

// Add adds o to t.
func (t *Totals) Add(o Totals) {
	t.Read += o.Read
	t.Decoded += o.Decoded
	t.Ignored += o.Ignored
	t.Rejected += o.Rejected
	t.Events += o.Events
}

// Counts are what a source partition's events came to since the generation
// began, in one stitch task or in all.
type Counts struct {
	Accepted, Duplicate, Conflicting, Late int64
}

// Add adds o to c.
func (c *Counts) Add(o Counts) {
	c.Accepted += o.Accepted
	c.Duplicate += o.Duplicate
	c.Conflicting += o.Conflicting
	c.Late += o.Late
}

// Progress is how far the decode task of a source partition has come. No event
// that it sends later arrives at or before Time, save from a partition that
// seemed idle.
type Progress struct {
	Source  TopicPartition
	Time    call.Arrival // call.Unheard before anything is known
	Arrival call.Arrival // of the last record; call.Unheard before the first
	Offset  int64        // next raw offset
	Totals  Totals
}

// Clock is how far a stitch task has come.
type Clock struct {
	Task     int32
	Time     call.Arrival // no message of the task caused at or before it is unacknowledged; may go back
	Position int64        // committed position in the task's exchange partition: what was sent to it below is acknowledged
}

// Answer is a stitch task's part of the book of one source partition: what the
// events before Offset came to in this task.
type Answer struct {
	Source  TopicPartition
	Task    int32
	Offset  int64
	Arrival call.Arrival
	Totals  Totals
	Counts  Counts
}

// Tick is what a worker tells every exchange partition about twice a second:
// one snapshot of its decode tasks and of its stitch tasks.
type Tick struct {
	Progress []Progress // but of those that are told in memory
	Clocks   []Clock
	Answers  []Answer
}

// EnvelopeFor is the tick as a record for one exchange partition. An answer goes only to
// the task that keeps the book. It must follow the events of the same transaction: an
// event that comes after the progress that covers it is one too many in the book of its
// partition.
func (k *Tick) EnvelopeFor(cfg *Config, partition int32) Envelope {
	answers := answersFor(k.Answers, partition, cfg.ExchangePartitions)
	c := codec.NewWriter([]byte{tickKind})
	codec.List(c, &k.Progress, (*Progress).Visit)
	codec.List(c, &k.Clocks, (*Clock).Visit)
	codec.List(c, &answers, (*Answer).Visit)
	return Envelope{Partition: partition, Value: c.Buf, From: -1}
}

func answersFor(all []Answer, partition, n int32) (own []Answer) {
	for _, a := range all {
		if bookKeeper(a.Source, n) == partition {
			own = append(own, a)
		}
	}
	return own
}

// bookKeeper is the stitch task, out of n, that keeps the book of a source
// partition.
func bookKeeper(p TopicPartition, n int32) int32 { return Partition([]byte(p.String()), n) }

func parseTick(b []byte) (*Tick, error) {
	c := codec.NewReader(b[1:])
	k := new(Tick)
	codec.List(c, &k.Progress, (*Progress).Visit)
	codec.List(c, &k.Clocks, (*Clock).Visit)
	codec.List(c, &k.Answers, (*Answer).Visit)
	return k, c.Done()
}

// ClocksTold are the clocks of stitch tasks that a record of the exchange tells; none where
// it is no tick.
func ClocksTold(value []byte) ([]Clock, error) {
	if len(value) == 0 || value[0] != tickKind {
		return nil, nil
	}
	k, err := parseTick(value)
	if err != nil {
		return nil, fmt.Errorf("read a tick: %w", err)
	}
	return k.Clocks, nil
}

// Visit visits the form.
func (p *Progress) Visit(c *codec.Codec) {
	p.Source.Visit(c)
	p.Time.Visit(c)
	p.Arrival.Visit(c)
	c.Int64(&p.Offset)
	p.Totals.Visit(c)
}

// Visit visits the form.
func (k *Clock) Visit(c *codec.Codec) {
	c.Int32(&k.Task)
	k.Time.Visit(c)
	c.Int64(&k.Position)
}

// Visit visits the form.
func (a *Answer) Visit(c *codec.Codec) {
	a.Source.Visit(c)
	c.Int32(&a.Task)
	c.Int64(&a.Offset)
	a.Arrival.Visit(c)
	a.Totals.Visit(c)
	a.Counts.Visit(c)
}

// Visit visits the form.
func (p *TopicPartition) Visit(c *codec.Codec) {
	c.String(&p.Topic)
	c.Int32(&p.Partition)
}

// Visit visits the form.
func (t *Totals) Visit(c *codec.Codec) {
	c.Int64(&t.Read)
	c.Int64(&t.Decoded)
	c.Int64(&t.Ignored)
	c.Int64(&t.Rejected)
	c.Int64(&t.Events)
}

// Visit visits the form.
func (n *Counts) Visit(c *codec.Codec) {
	c.Int64(&n.Accepted)
	c.Int64(&n.Duplicate)
	c.Int64(&n.Conflicting)
	c.Int64(&n.Late)
}

func appendEvent(b []byte, e *call.Event, arrival call.Arrival) []byte {
	c := codec.NewWriter(append(b, eventKind))
	arrival.Visit(c)
	e.Visit(c)
	return c.Buf
}

func parseEvent(b []byte) (*call.Event, call.Arrival, error) {
	arrival, n := binary.Varint(b[1:])
	if n <= 0 {
		return nil, 0, codec.ErrCorrupt
	}
	c, e := codec.NewReader(b[1+n:]), new(call.Event)
	e.Visit(c)
	return e, call.Arrival(arrival), c.Done()
}

func appendMessage(b []byte, m stitch.Message) []byte {
	c := codec.NewWriter(append(b, messageKind))
	m.Trig.Visit(c)
	return append(c.Buf, m.Body...)
}

func parseMessage(key, b []byte) (m stitch.Message, err error) {
	trig, n := binary.Varint(b[1:])
	if n <= 0 || len(key) != len(m.To) {
		return m, codec.ErrCorrupt
	}
	copy(m.To[:], key)
	m.Trig, m.Body = call.Arrival(trig), b[1+n:]
	return m, nil
}

func unknownKind(kind byte) error {
	err := codec.ErrNewerState
	if kind == 0 {
		err = codec.ErrCorrupt
	}
	return fmt.Errorf("exchange record of kind %d: %w", kind, err)
}
