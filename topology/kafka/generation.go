package kafka

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/schemas"
	"callstitch/topology"
)

// NoGeneration is the generation of a topic without sessions.
const NoGeneration = -1

// Published is what the topic of sessions holds, and how much was read to know it.
//
// The largest version may be anywhere in the topic: a record is the last of its session
// only, a run with a lower generation may have come after one with a higher, and what
// compaction or retention has not taken yet is what readers still see. So all of the
// committed records are read, and of each only its first fields.
type Published struct {
	Topic      string `json:"topic"`
	Records    int64  `json:"records"`
	Bytes      int64  `json:"bytes"`
	Generation int32  `json:"generation"` // the highest; NoGeneration where there is none
	// Foreign are records that are no sessions. They have no version, so nobody takes
	// them for a newer one.
	Foreign int64 `json:"foreign"`
	// Hidden are offsets behind a transaction that is still open: nobody has seen what is
	// there, and nobody will if it is aborted.
	Hidden int64 `json:"hidden"`

	ends map[int32]int64 // up to which each partition was read
}

// readOn reads what was committed since the last time; at first, all. Progress may be nil.
func (p *Published) readOn(ctx context.Context, cfg *Config, cl *kgo.Client, progress func(done, all int64)) error {
	adm := kadm.NewClient(cl)
	first, stable, high, err := edges(ctx, adm, p.Topic)
	if err != nil {
		return err
	}
	p.Hidden = 0
	var done, all int64
	from := make(map[int32]int64)
	for partition, end := range stable {
		p.Hidden += high[partition] - end
		from[partition] = max(first[partition], p.ends[partition])
		all += max(end-from[partition], 0)
	}
	whole := len(p.ends) == 0
	for partition, end := range stable {
		if end <= from[partition] {
			continue
		}
		part := TailConfig{Brokers: cfg.Brokers, Client: cfg.Client, Topic: p.Topic, Partitions: []int32{partition}, From: strconv.FormatInt(from[partition], 10)}
		if whole {
			part.Partitions, part.From = nil, "earliest"
		}
		next := make(map[int32]int64) // of each partition, the offset behind the last record
		err := Tail(ctx, part, func(r topology.Record) error {
			p.take(&r)
			done += r.Offset + 1 - max(next[r.Partition], from[r.Partition])
			next[r.Partition] = r.Offset + 1
			if progress != nil {
				progress(min(done, all), all)
			}
			return nil
		})
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return fmt.Errorf("look for the highest generation: %w", err)
		}
		if whole {
			break
		}
	}
	p.ends = stable
	return nil
}

func (p *Published) take(r *topology.Record) {
	p.Records++
	p.Bytes += int64(len(r.Value))
	_, avro, err := schemas.ParseFrame(r.Value)
	generation := int32(NoGeneration)
	if err == nil {
		generation, err = schemas.GenerationOf(avro)
	}
	if err != nil {
		p.Foreign++
		return
	}
	p.Generation = max(p.Generation, generation)
}

// edges are the first offset of each partition of a topic, its last stable one, and its end;
// nothing where the topic is not there.
func edges(ctx context.Context, adm *kadm.Client, topic string) (first, stable, high map[int32]int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	details, err := adm.ListTopics(ctx, topic)
	if err == nil && details.Has(topic) {
		// The end comes last: it is not below the stable offset, whatever is written meanwhile.
		if first, err = offsets(adm.ListStartOffsets(ctx, topic)); err == nil {
			if stable, err = offsets(adm.ListCommittedOffsets(ctx, topic)); err == nil {
				high, err = offsets(adm.ListEndOffsets(ctx, topic))
			}
		}
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("list offsets of %s: %w", topic, err)
	}
	return first, stable, high, nil
}

// checkGeneration holds that the configured generation is above those of the records that
// are published, and of the group, whose state remembers the last that it was worked with.
// A topic of sessions that was emptied may get records of the same again, where same is set.
func checkGeneration(own int32, published Published, group int32, same bool) error {
	highest := max(published.Generation, group)
	switch {
	case own > highest, same && own > published.Generation:
		return nil
	case published.Generation >= own:
		return fmt.Errorf("%w: %s holds records of generation %d, and generation is %d: they would hide what is reprocessed: set generation: %d",
			ErrGeneration, published.Topic, published.Generation, own, int64(highest)+1)
	default:
		return fmt.Errorf("%w: the group has worked with generation %d, and generation is %d; %s holds none of that any more, but its readers may: set generation: %d; or, where their copies were emptied too, --same-generation",
			ErrGeneration, group, own, published.Topic, int64(highest)+1)
	}
}
