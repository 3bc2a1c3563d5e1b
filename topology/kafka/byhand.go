package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/codec"
	"callstitch/topology"
	"callstitch/topology/kafka/rawlog"
)

// byHand is how a worker gets on where its client does not: with a batch that unpacks
// to too much, or that is damaged. The client is paused there; the batch is fetched
// as it lies in the log and read record by record, in bounded memory (K35):
//
//	client stumbles ─► takeInHand ─► examine ─► processByHand ─► giveBack ─► client goes on
//	                     pauses       fetches     transactions     resumes
//
// A record of it that is too large to be held is rejected by its beginning, length and
// hash, and the others are taken. A batch that nobody can read is rejected whole, one
// reject for each of its offsets, so that the books count what was in the topic; the
// first has its bytes (K36). Its offset is committed with that, as ever.
type byHand struct {
	why    error // what the client said
	paused bool  // the client is; else it may get on by itself
	asked  chan handAnswer
	cancel context.CancelFunc // of what was asked

	batch  *rawlog.Batch
	open   *rawlog.Records // the batch's, where it can be read
	missed int             // examinations in a row in which the broker itself could not read it
	reach  int64           // offset at which the broker reads again, of a batch that may begin before
	again  time.Time
}

// handAnswer is the batch at an offset; nil where there is none that readers may have yet.
type handAnswer struct {
	batch *rawlog.Batch
	err   error
}

// ask fetches the batch at an offset, and looks whether it can be read, beside the worker.
func (s *session) ask(ctx context.Context, h *byHand, tp topology.TopicPartition, offset int64) {
	ctx, h.cancel = context.WithTimeout(ctx, handLimit)
	asked := make(chan handAnswer, 1)
	h.asked = asked
	go func() {
		// The session's own client keeps a connection busy with fetches that wait.
		cl, err := kgo.NewClient(s.cfg.clientOptions(s.id + "-logs")...)
		if err != nil {
			asked <- handAnswer{nil, err}
			return
		}
		defer cl.Close()
		b, err := rawlog.Reader{Client: cl, IDs: s.topics.ids}.Batch(ctx, tp, offset)
		asked <- handAnswer{b, err}
	}()
}

// answer is what was asked for, once it is there.
func (h *byHand) answer() (a handAnswer, ok bool) {
	select {
	case a = <-h.asked:
		h.cancel()
		h.asked = nil
		return a, true
	default:
		return a, false
	}
}

func (h *byHand) close() {
	if h == nil {
		return
	}
	if h.asked != nil {
		h.cancel()
	}
	h.closeRecords()
}

func (h *byHand) closeRecords() {
	if h.open != nil {
		h.open.Close()
		h.open = nil
	}
}

const (
	// handRetry is the wait before a batch is asked for again.
	handRetry = time.Second
	// handLimit bounds asking for one batch.
	handLimit = 30 * time.Second
	// brokerMissed is how many times a broker must have failed to read a batch before it
	// is given up: a disk may come back.
	brokerMissed = 3
	// standstillLimit is how long a partition that has more may stay where it is before
	// its next batch is looked at: franz-go says nothing where a batch is shorter
	// than it claims, or where the broker takes it for corrupt.
	standstillLimit = 5 * time.Second
)

var (
	errStandstill = errors.New("the client does not get on, and says nothing")
	errGap        = errors.New("the client went over offsets")
)

// dense reports whether each offset of a partition should be that of a record, or of a
// marker: nothing is compacted away. Records of aborted transactions are not shown,
// but those of sources are few, and the exchange's are our own.
func (s *session) dense(p *partition) bool { return p.source && !s.topics.compacted[p.Topic] }

// takeInHand pauses a partition that the client cannot read.
func (s *session) takeInHand(p *partition, why error) {
	if p.hand == nil {
		p.hand = new(byHand)
	}
	if p.hand.paused {
		return
	}
	p.hand.why, p.hand.paused, p.fetched = why, true, false
	s.cl.PauseFetchPartitions(map[string][]int32{p.Topic: {p.Partition}})
}

// giveBack lets the client go on from where the task is. Offsets are set only
// between two transactions, here and in dropAhead: franz-go takes them for committed.
func (s *session) giveBack(p *partition) {
	paused := p.hand.paused
	p.hand.close()
	p.hand = nil
	if !paused {
		return
	}
	position, _ := s.tasks.Position(p.TopicPartition)
	s.cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{p.Topic: {p.Partition: {Epoch: -1, Offset: position}}})
}

// readsByHand reports whether there are records to be read by hand.
func (s *session) readsByHand() bool {
	for _, p := range s.parts {
		if p.hand != nil && p.hand.batch != nil {
			return true
		}
	}
	return false
}

// still is since when a partition has not moved.
type still struct {
	position int64
	since    time.Time
}

// stands reports whether a partition that has more records stands still.
func (p *partition) stands(position int64, now time.Time) bool {
	if p.still.position != position || position >= p.end || p.still.since.IsZero() {
		p.still = still{position, now}
		return false
	}
	if now.Sub(p.still.since) < standstillLimit {
		return false
	}
	p.still.since = now
	return true
}

// examine looks at what the client could not read, and gives partitions back to it that
// are past that. Between two transactions.
func (s *session) examine(ctx context.Context) error {
	now := time.Now()
	for _, p := range s.parts {
		if !p.active || p.readAhead || p.source && s.throttle { // what was read ahead comes first
			continue
		}
		position, _ := s.tasks.Position(p.TopicPartition)
		moved := p.still.position != position
		stands := p.stands(position, now)
		switch {
		case p.hand == nil && stands:
			p.hand = &byHand{why: errStandstill} // it may only wait for a transaction to end
		case p.hand != nil && !p.hand.paused && moved:
			s.giveBack(p)
		}
		if p.hand == nil {
			continue
		}
		if err := s.examineOne(ctx, p, position, now); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) examineOne(ctx context.Context, p *partition, position int64, now time.Time) error {
	h := p.hand
	if h.batch != nil {
		if position < h.batch.Next {
			return nil
		}
		// Where the leader could not read the batch, it may not read the next one either.
		if h.reach = h.batch.Reach; position > h.reach && !h.batch.Elsewhere {
			s.giveBack(p)
			return nil
		}
		h.closeRecords()
		h.batch, h.again = nil, now
	}
	if h.asked == nil {
		if !now.Before(h.again) {
			s.ask(ctx, h, p.TopicPartition, max(position, h.reach))
		}
		return nil
	}
	a, ok := h.answer()
	if !ok {
		return nil
	}
	h.again = now.Add(handRetry)
	switch b := a.batch; {
	case errors.Is(a.err, kerr.OffsetOutOfRange), errors.Is(a.err, kerr.UnknownTopicID):
		return a.err
	case a.err != nil && !h.paused && !errors.Is(a.err, rawlog.ErrUnbounded):
		s.giveBack(p) // an outage, of which the client knows
	case a.err != nil:
		h.again = now.Add(standstillLimit)
		s.log.Warn("a batch cannot be read and is asked for again", "topic", p.Topic, "partition", p.Partition, "offset", position, "error", errors.Join(h.why, a.err))
	case b == nil: // nothing is there yet that readers may have
		s.giveBack(p)
	case b.Next <= position: // it got on meanwhile
		h.again = now
	case b.Bytes == nil && h.missed < brokerMissed-1:
		h.missed++
	case b.Damage != "" && !p.source:
		return corrupt(b)
	default:
		if b.Damage != "" {
			s.log.Warn("a batch that nobody can read is rejected", "topic", p.Topic, "partition", p.Partition, "offsets", b.Offsets(), "bytes", len(b.Bytes), "why", b.Damage)
		}
		if b.Elsewhere {
			s.log.Warn("the leader's copy of a batch is damaged, another replica's is read", "topic", p.Topic, "partition", p.Partition, "offsets", b.Offsets())
		}
		s.takeInHand(p, h.why)
		h.batch = b
	}
	return nil
}

// corrupt is the failure that an internal topic holds a batch that nobody can read:
// going on without it would lose state.
func corrupt(b *rawlog.Batch) error {
	return fmt.Errorf("%w: %s at offsets %s holds a batch that cannot be read, %s: %w", errBroken, b.TopicPartition, b.Offsets(), b.Damage, codec.ErrCorrupt)
}

// damaged is corrupt, where the batch at an offset is.
func damaged(ctx context.Context, cl *kgo.Client, tp topology.TopicPartition, offset int64) error {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	b, err := rawlog.Reader{Client: cl}.Batch(ctx, tp, offset)
	if err != nil || b == nil || b.Damage == "" {
		return err
	}
	return corrupt(b)
}

// processByHand hands what is read by hand to its tasks, until the transaction is full.
func (s *session) processByHand(tx *transaction) error {
	for _, p := range s.parts {
		if p.hand == nil || p.hand.batch == nil {
			continue
		}
		for more := true; more && !s.full(tx); {
			var err error
			if more, err = s.nextByHand(tx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// nextByHand takes the next record of a batch, or goes over what holds none.
func (s *session) nextByHand(tx *transaction, p *partition) (more bool, err error) {
	b := p.hand.batch
	position, _ := s.tasks.Position(p.TopicPartition)
	switch {
	case position >= b.Next:
		return false, nil
	case b.Damage != "":
		return true, s.take(tx, p, b.Refused(max(position, b.Base)))
	case b.Hidden():
		return true, s.pass(tx, p, b.Next-1)
	}
	p.epoch = b.Epoch
	if p.hand.open == nil || p.hand.open.At() > position { // of a transaction that was aborted
		p.hand.closeRecords()
		if p.hand.open, err = b.Open(); err != nil {
			return false, fmt.Errorf("unpack %s at %d: %w", p.TopicPartition, b.Base, err)
		}
	}
	for {
		rec, err := p.hand.open.Next()
		switch {
		case err == io.EOF: // what was compacted away stands behind the last record
			return true, s.pass(tx, p, b.Next-1)
		case err != nil:
			return false, fmt.Errorf("unpack %s at %d: %w", p.TopicPartition, b.Base, err)
		case rec.Offset >= position:
			return true, s.take(tx, p, rec)
		}
	}
}
