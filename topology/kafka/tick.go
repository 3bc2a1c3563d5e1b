package kafka

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/topology"
)

// seen is what the worker has seen of its partitions, for the tick that is due: with
// it the worker tells all stitch tasks how far its tasks are.
func (s *session) seen() topology.Seen {
	o := s.observed.Swap(nil)
	if o != nil {
		s.lag = o.exchangeLag
		s.measure(o)
		s.backlog.tick(s.left(o))
	}
	return func(tp topology.TopicPartition) (idle bool, heard call.Arrival) {
		p := s.parts[tp]
		position, _ := s.tasks.Position(tp)
		p.end = max(o.end(p), position)
		p.hear(o)
		return o.idle(p, position, s.throttle), o.heardAt()
	}
}

// observation is what the brokers said about the ends of partitions between two
// ticks. franz-go does not pass on fetches that brought nothing, so the high
// watermarks are asked for: an answer that shows no more than was processed says
// the same as an empty fetch.
type observation struct {
	// heard is the largest timestamp in one exchange partition before the ends
	// were asked for; call.Unheard if it held no record. The broker gave it, to
	// whoever's record: franz-go does not report those of the records produced.
	heard call.Arrival
	at    time.Time // when heard was answered
	ends  map[topology.TopicPartition]int64
	// exchangeLag is the largest lag of any exchange partition, whoever owns it.
	exchangeLag int64
}

// idle reports whether everything that was in a source partition when the ends
// were asked for has been processed. What comes later was appended after the
// timestamp heard.
func (o *observation) idle(p *partition, position int64, paused bool) bool {
	if o == nil || paused {
		return false
	}
	end, ok := o.ends[p.TopicPartition]
	return ok && position >= end
}

func (o *observation) end(p *partition) int64 {
	if o == nil {
		return p.end
	}
	return o.ends[p.TopicPartition]
}

func (o *observation) heardAt() call.Arrival {
	if o == nil {
		return call.Unheard
	}
	return o.heard
}

// observeLimit bounds an observation: one that takes longer is of no use.
const observeLimit = 5 * time.Second

// observe asks for the ends, beside the session's other work. It begins after a
// tick was committed, and the next tick uses it once.
func (s *session) observe(ctx context.Context) {
	if !s.watching.CompareAndSwap(false, true) {
		return
	}
	var owned []topology.TopicPartition
	for tp, p := range s.parts {
		if p.source && p.active {
			owned = append(owned, tp)
		}
	}
	exchange := make([]topology.TopicPartition, s.cfg.ExchangePartitions)
	for p := range exchange {
		exchange[p] = topology.TopicPartition{Topic: s.cfg.ExchangeTopic(), Partition: int32(p)}
	}
	s.asked++
	clock := exchange[s.asked%len(exchange)]
	go func() {
		defer s.watching.Store(false)
		ctx, cancel := context.WithTimeout(ctx, observeLimit)
		defer cancel()
		o, err := ask(ctx, s.cl, s.cfg.ApplicationID, clock, owned, exchange)
		if err != nil {
			s.deaf.CompareAndSwap(0, time.Now().UnixNano())
			return
		}
		s.deaf.Store(0)
		s.observed.Store(o)
	}()
}

// hear notes whether an observation has the end of a source partition.
func (p *partition) hear(o *observation) {
	if o == nil {
		return
	}
	switch _, ok := o.ends[p.TopicPartition]; {
	case ok || !p.source:
		p.unheard = time.Time{}
	case p.unheard.IsZero():
		p.unheard = time.Now()
	}
}

// unheard are the source partitions of which brokers do not say where they end, and since
// when: such a partition holds the clock, and nothing is read of it.
func (s *session) unheard() (since time.Time, names []string) {
	if at := s.deaf.Load(); at > 0 {
		since = time.Unix(0, at)
	}
	failed := !since.IsZero()
	for tp, p := range s.parts {
		if !p.source || !failed && p.unheard.IsZero() || p.dropped() {
			continue
		}
		names = append(names, tp.String())
		if !failed && (since.IsZero() || p.unheard.Before(since)) {
			since = p.unheard
		}
	}
	if len(names) == 0 {
		return time.Time{}, nil
	}
	slices.Sort(names)
	return since, names
}

func ask(ctx context.Context, cl *kgo.Client, group string, clock topology.TopicPartition, owned, exchange []topology.TopicPartition) (*observation, error) {
	o := &observation{heard: call.Unheard, ends: make(map[topology.TopicPartition]int64)}
	newest, err := listOffsets(ctx, cl, []topology.TopicPartition{clock}, maxTimestamp)
	if err != nil {
		return nil, err
	}
	if t := newest[clock].Timestamp; t > 0 { // the clock of idle partitions
		o.heard, o.at = call.Arrival(t), time.Now()
	}
	ends, err := listOffsets(ctx, cl, append(owned, exchange...), endOffset)
	if err != nil {
		return nil, err
	}
	for tp, end := range ends {
		o.ends[tp] = end.Offset
	}
	resp, err := fetchOffsets(ctx, cl, group, false)
	if err != nil {
		return nil, err
	}
	read := make(map[topology.TopicPartition]int64)
	for tp, p := range partitionsIn(resp) {
		read[tp] = max(p.Offset, 0)
	}
	for _, tp := range exchange {
		if end, ok := o.ends[tp]; ok {
			o.exchangeLag = max(o.exchangeLag, end-read[tp])
		}
	}
	return o, nil
}

// purgeInterval is how often the exchange is purged. Each time costs a request
// and a small file for each partition.
const purgeInterval = 30 * time.Second

// purge deletes what every task has consumed from the exchange, as Kafka Streams
// does with its repartition topics: there is no retention that could delete what
// was not consumed. Each worker purges its own partitions, behind offsets that
// are committed, so a crash cannot need what is gone.
func (s *session) purge(ctx context.Context) {
	if time.Since(s.purged) < purgeInterval {
		return
	}
	first := s.purged.IsZero()
	s.purged = time.Now()
	if first {
		return
	}
	offsets := make(kadm.Offsets)
	for _, p := range s.parts {
		if !p.source && p.active && p.stable.offset > 0 {
			offsets.AddOffset(p.Topic, p.Partition, p.stable.offset, -1)
		}
	}
	go func() {
		ctx, cancel := context.WithTimeout(ctx, observeLimit)
		defer cancel()
		resp, err := kadm.NewClient(s.cl).DeleteRecords(ctx, offsets)
		if err == nil {
			err = resp.Error()
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("could not purge the exchange; it keeps growing until this works", "error", err)
		}
	}()
}
