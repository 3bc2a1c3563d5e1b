package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// observation is what the brokers said about the ends of partitions between two
// ticks. franz-go does not pass on fetches that brought nothing, so the high
// watermarks are asked for: an answer that shows no more than was processed says
// the same as an empty fetch.
type observation struct {
	// heard is the broker's timestamp of a tick that was in the exchange before
	// the ends were asked for, epoch ms; 0 if there was none. franz-go does not
	// report the timestamps that the broker gave to produced records, so the
	// largest in one exchange partition is asked for.
	heard int64
	ends  map[topicPartition]int64
	// exchangeLag is the largest lag of any exchange partition, whoever owns it.
	exchangeLag int64
}

// idle says whether everything that was in a source partition when the ends were
// asked for has been processed. What comes later was appended after the
// timestamp heard.
func (o *observation) idle(p *partition, paused bool) bool {
	if o == nil || paused {
		return false
	}
	end, ok := o.ends[p.topicPartition]
	return ok && p.position >= end
}

func (o *observation) end(p *partition) int64 {
	if o == nil {
		return p.end
	}
	return o.ends[p.topicPartition]
}

func (o *observation) heardAt() int64 {
	if o == nil {
		return 0
	}
	return o.heard
}

// observeLimit bounds an observation: one that takes longer is of no use.
const observeLimit = 5 * time.Second

// observe asks for the ends, beside the worker. It begins after a tick was
// committed, and the next tick uses it once.
func (w *worker) observe(ctx context.Context) {
	if !w.watching.CompareAndSwap(false, true) {
		return
	}
	var owned []topicPartition
	for tp, p := range w.parts {
		if p.decode != nil && p.active() {
			owned = append(owned, tp)
		}
	}
	exchange := make([]topicPartition, w.cfg.ExchangePartitions)
	for p := range exchange {
		exchange[p] = topicPartition{w.cfg.ExchangeTopic(), int32(p)}
	}
	w.asked++
	cl, clock := w.cl, exchange[w.asked%len(exchange)]
	into := w.observed // of this session: a late answer must not reach the next one
	go func() {
		defer w.watching.Store(false)
		ctx, cancel := context.WithTimeout(ctx, observeLimit)
		defer cancel()
		o, err := ask(ctx, cl, w.cfg.ApplicationID, clock, owned, exchange)
		if err == nil {
			into.Store(o)
		}
	}()
}

func ask(ctx context.Context, cl *kgo.Client, group string, clock topicPartition, owned, exchange []topicPartition) (*observation, error) {
	o := &observation{ends: make(map[topicPartition]int64)}
	newest, err := listOffsets(ctx, cl, []topicPartition{clock}, maxTimestamp)
	if err != nil {
		return nil, err
	}
	o.heard = max(newest[clock].Timestamp, 0)
	ends, err := listOffsets(ctx, cl, append(owned, exchange...), endOffset)
	if err != nil {
		return nil, err
	}
	for tp, end := range ends {
		o.ends[tp] = end.Offset
	}
	read, err := committedOffsets(ctx, cl, group)
	if err != nil {
		return nil, err
	}
	for _, tp := range exchange {
		if end, ok := o.ends[tp]; ok {
			o.exchangeLag = max(o.exchangeLag, end-read[tp])
		}
	}
	return o, nil
}

// committedOffsets are the group's offsets as they are, pending ones aside.
func committedOffsets(ctx context.Context, cl *kgo.Client, group string) (map[topicPartition]int64, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	req.Groups = append(req.Groups, g)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	offsets := make(map[topicPartition]int64)
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				offsets[topicPartition{t.Topic, p.Partition}] = max(p.Offset, 0)
			}
		}
	}
	return offsets, nil
}

// purgeInterval is how often the exchange is purged. Each time costs a request
// and a small file for each partition.
const purgeInterval = 30 * time.Second

// purge deletes what every task has consumed from the exchange, as Kafka Streams
// does with its repartition topics: there is no retention that could delete what
// was not consumed. Each worker purges its own partitions, behind offsets that
// are committed, so a crash cannot need what is gone.
func (w *worker) purge(ctx context.Context) {
	if time.Since(w.purged) < purgeInterval {
		return
	}
	first := w.purged.IsZero()
	w.purged = time.Now()
	if first {
		return
	}
	offsets := make(kadm.Offsets)
	for _, p := range w.parts {
		if p.stitch != nil && p.stable.offset > 0 {
			offsets.AddOffset(p.topic, p.partition, p.stable.offset, -1)
		}
	}
	cl, log := w.cl, w.log
	go func() {
		ctx, cancel := context.WithTimeout(ctx, observeLimit)
		defer cancel()
		resp, err := kadm.NewClient(cl).DeleteRecords(ctx, offsets)
		if err == nil {
			err = resp.Error()
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("could not purge the exchange; it keeps growing until this works", "error", err)
		}
	}()
}
