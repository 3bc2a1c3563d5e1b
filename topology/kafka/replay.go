package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/kafka/rawlog"
)

// ReplayConfig says how rejects are sent in again.
type ReplayConfig struct {
	Config
	Execute bool // else nothing is sent, and no other replay disturbed
	Again   bool // those too that were sent before
	Rate    int  // at most so many records a second; 0: as many as go
}

// Replay sends rejects in again, each once. Records and bookmark commit in one
// transaction, under an id of which there is one in an application:
//
//	read ─► choose ─► batch ─► begin, produce, bookmark, commit ─► batch …
//
// A crash before the commit leaves nothing, and one after it nothing to do. Who begins a
// replay ends what another had open, and the other finds out. It goes to the ends that
// the rejects had when it was opened: what is rejected again lies behind them.
type Replay struct {
	cfg    ReplayConfig
	name   string      // transactional id, and group of the bookmark
	reader *kgo.Client // of rejects and sources
	sender *kgo.Client // nil in a dry run

	id           kadm.TopicID // of the rejects
	starts, ends map[int32]int64
	offsets      int64           // from where each is begun to its end
	outlives     bool            // rejects are kept for longer than a bookmark is
	origin       map[string]bool // the topics that are there
	limits       *limits         // of the sources
	dates        map[string]dates
	notes        []string

	marks map[int32]*bookmark
	batch replayBatch
	sent  atomic.Int64

	beforeCommit func() // of tests: a crash
}

// replayBatch is what is sent in one transaction.
type replayBatch struct {
	records []*kgo.Record
	bytes   int
	done    []stretch // of the rejects' partition
}

const (
	// replayBatchMax bounds a transaction, and with replayBatchBytes the memory that it
	// takes. While it is open, whoever reads its sources waits.
	replayBatchMax   = 500
	replayBatchBytes = 4 << 20
	// replayBatches is how many transactions a second a rate is cut into.
	replayBatches = 4
	// replayOpenLimit bounds finding out what there is.
	replayOpenLimit = 3 * attemptLimit
)

// OpenReplay finds out what rejects there are, and which of them were sent before. If they
// are to be sent it ends any other replay of the application.
func OpenReplay(ctx context.Context, cfg ReplayConfig) (_ *Replay, err error) {
	cfg.Config = cfg.withDefaults()
	r := &Replay{cfg: cfg, name: cfg.ApplicationID + "-rejects-replay", origin: map[string]bool{}}
	ctx, cancel := context.WithTimeout(ctx, replayOpenLimit)
	defer cancel()
	cl, reached := reach(ctx, &r.cfg.Config)
	if cl == nil {
		return nil, fmt.Errorf("ask brokers %v: %w", cfg.Brokers, reached.Err)
	}
	r.reader = cl
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	if err := r.look(ctx); err != nil {
		return nil, err
	}
	if cfg.Execute {
		if err := r.begin(ctx); err != nil {
			return nil, err
		}
	}
	return r, r.readBookmarks(ctx)
}

// Close ends the replay's connections.
func (r *Replay) Close() {
	r.reader.Close()
	if r.sender != nil {
		r.sender.Close()
	}
}

// look finds the topics, what they take, and where the rejects begin and end.
func (r *Replay) look(ctx context.Context) error {
	if err := requireTransactionVersion(ctx, r.reader); err != nil {
		return err
	}
	adm, rejects := kadm.NewClient(r.reader), r.cfg.Topics.Rejects
	names := append(r.cfg.rawTopics(), rejects)
	details, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	for name, d := range details { // order: a set has none
		if d.Err == nil {
			r.origin[name] = true
		} else if !errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
			return fmt.Errorf("list topic %s: %w", name, d.Err)
		}
	}
	if !r.origin[rejects] {
		return fmt.Errorf("there is no topic %s: nothing was rejected, or topics.prefix and topics.rejects.name name another", rejects)
	}
	r.id = details[rejects].ID
	known := make(map[string]int32)
	configs, _ := topicConfigs(ctx, adm, names) // of what this user may not ask about, the brokers' defaults are assumed
	for topic, c := range configs {             // order: each has its own
		if n, err := strconv.ParseInt(c["max.message.bytes"], 10, 32); err == nil {
			known[topic] = int32(n)
		}
	}
	r.dates = make(map[string]dates)
	for topic, c := range configs { // order: each has its own
		r.dates[topic] = datesOf(c)
	}
	r.outlives = outlivesBookmark(configs[rejects]["retention.ms"])
	r.limits = newLimits(&r.cfg.Config, known)
	r.starts, r.ends, err = span(ctx, r.reader, &TailConfig{Topic: rejects, From: "earliest"})
	if err != nil {
		return fmt.Errorf("find offsets of topic %s: %w", rejects, err)
	}
	return nil
}

// begin takes the transactional id: what another replay has open ends with that.
func (r *Replay) begin(ctx context.Context) (err error) {
	r.sender, err = kgo.NewClient(append(r.cfg.clientOptions(r.name),
		kgo.TransactionalID(r.name),
		kgo.TransactionTimeout(r.cfg.TransactionTimeout),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), // as every Kafka client does (K26)
		kgo.ProducerBatchMaxBytesFn(r.limits.of),
	)...)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if _, _, err := r.sender.ProducerID(ctx); err != nil {
		return fmt.Errorf("take transactional id %s: %w", r.name, err)
	}
	return nil
}

// readBookmarks finds out what was sent before. A replay that sends waits until the
// last one's transaction is over.
func (r *Replay) readBookmarks(ctx context.Context) error {
	resp, err := whenLoaded(ctx, func() (*kmsg.OffsetFetchResponse, error) { return r.fetchBookmarks(ctx) })
	if err != nil {
		return fmt.Errorf("fetch the offsets of group %s: %w", r.name, err)
	}
	r.marks = make(map[int32]*bookmark)
	for tp, p := range partitionsIn(resp) {
		if _, ok := r.ends[tp.Partition]; !ok || tp.Topic != r.cfg.Topics.Rejects || p.Offset < 0 {
			continue
		}
		b, err := parseBookmark(p.Offset, text(p.Metadata), r.id)
		switch {
		case errors.Is(err, errOtherTopic):
			r.note("%s was made anew since the last replay: of the new one nothing was sent", tp.Topic)
		case err == nil && p.Offset > r.ends[tp.Partition]:
			r.note("%s ends at %d, and was replayed to %d: it was truncated, and nothing is known of what is in it now", tp, r.ends[tp.Partition], p.Offset)
		case err != nil && !r.cfg.Again:
			return fmt.Errorf("the offset of %s in group %s is not a replay's: %w: give --again to look at all rejects, and the group to nobody else", tp, r.name, err)
		case err == nil:
			r.marks[tp.Partition] = b
		}
	}
	if len(r.marks) == 0 && r.outlives && !r.cfg.Again {
		r.note("nothing is known of an earlier replay: brokers keep its bookmark for %v (offsets.retention.minutes), and %s keeps rejects for longer; what was sent before that, if anything was, would be sent again, and --since leaves it out", bookmarkKept, r.cfg.Topics.Rejects)
	}
	for p, start := range r.starts { // order: each has its own
		if r.marks[p] == nil {
			r.marks[p] = new(bookmark)
		}
		r.marks[p].rise(start)
	}
	for p, end := range r.ends { // order: a sum has none
		r.offsets += max(end-r.from(p), 0)
	}
	return nil
}

// bookmarkKept is how long brokers keep the offsets of a group that nobody uses, unless
// they are told otherwise (offsets.retention.minutes).
const bookmarkKept = 7 * 24 * time.Hour

// outlivesBookmark reports whether what is kept for so long is kept for longer than that.
func outlivesBookmark(retention string) bool {
	ms, err := strconv.ParseInt(retention, 10, 64)
	return err == nil && (ms < 0 || ms > bookmarkKept.Milliseconds())
}

func (r *Replay) fetchBookmarks(ctx context.Context) (*kmsg.OffsetFetchResponse, error) {
	const again = 100 * time.Millisecond
	for {
		resp, err := fetchOffsets(ctx, r.reader, r.name, r.cfg.Execute)
		if err != nil {
			return nil, err
		}
		for _, g := range resp.Groups {
			if err = kerr.ErrorForCode(g.ErrorCode); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
				return nil, err
			}
		}
		err = nil
		for _, p := range partitionsIn(resp) {
			err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
		}
		if !errors.Is(err, kerr.UnstableOffsetCommit) || ctx.Err() != nil {
			return resp, err
		}
		wait(ctx, again)
	}
}

func (r *Replay) note(format string, args ...any) {
	if note := fmt.Sprintf(format, args...); !slices.Contains(r.notes, note) {
		r.notes = append(r.notes, note)
	}
}

// Notes are what is odd about what was found, and, after Run, about what was done, in words.
func (r *Replay) Notes() []string { return r.notes }

// Sent is how many records were sent, and committed. It may be called beside Run.
func (r *Replay) Sent() int64 { return r.sent.Load() }

// Offsets is how many offsets Run goes through at most.
func (r *Replay) Offsets() int64 { return r.offsets }

func (r *Replay) from(p int32) int64 {
	if r.cfg.Again {
		return r.starts[p]
	}
	return r.marks[p].floor
}

// Run goes through the rejects, partition by partition and each in order, and sends what
// choose makes of them; nil leaves one where it is. Those that were sent before are not
// shown to it. It ends where choose says io.EOF, and with ctx after the transaction at hand.
func (r *Replay) Run(ctx context.Context, choose func(topology.Record) (*topology.Record, error)) error {
	for _, p := range slices.Sorted(maps.Keys(r.ends)) {
		enough, err := r.runPartition(ctx, p, choose)
		if at := r.marks[p].passed; at > 0 {
			r.note("%s-%d: what was left before offset %d is looked at again only with --again: by turns so many were sent and left that a bookmark has no room for all", r.cfg.Topics.Rejects, p, at)
		}
		if err != nil || enough {
			return err
		}
	}
	return nil
}

// runPartition is enough where choose says io.EOF. What brokers say may hold that, too.
func (r *Replay) runPartition(ctx context.Context, p int32, choose func(topology.Record) (*topology.Record, error)) (enough bool, err error) {
	from, topic := r.from(p), r.cfg.Topics.Rejects
	if from >= r.ends[p] {
		return false, ctx.Err()
	}
	r.reader.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {p: kgo.NewOffset().At(from)}})
	defer r.reader.RemoveConsumePartitions(map[string][]int32{topic: {p}})
	t := &tailer{cfg: TailConfig{Topic: topic}, next: map[int32]int64{p: from}, ends: r.ends, open: map[int32]bool{p: true}}
	w := walk{unbroken: true, reached: from}
	err = t.read(ctx, r.reader, func(rec topology.Record) error {
		if !r.cfg.Again && r.marks[p].has(rec.Offset) {
			done := w.over(rec.Offset)
			r.marks[p].add(done.from, done.to)
			return nil
		}
		again, err := choose(rec)
		if err != nil || again == nil {
			w.unbroken, enough = false, errors.Is(err, io.EOF)
			return err
		}
		return r.add(ctx, p, *again, w.over(rec.Offset))
	})
	if enough {
		err = nil
	}
	if err = errors.Join(err, ctx.Err()); err != nil {
		return false, err
	}
	return enough, r.send(ctx, p)
}

// walk goes through a partition. Offsets of markers between two rejects that were sent
// are taken for sent, or every commit of the processor would be a gap in the bookmark.
type walk struct {
	unbroken bool // the last reject was sent, now or before
	reached  int64
}

// over goes over a reject that is sent, or was before, and is what is done with that.
func (w *walk) over(offset int64) stretch {
	if !w.unbroken {
		w.reached = offset
	}
	done := stretch{w.reached, offset + 1}
	w.unbroken, w.reached = true, offset+1
	return done
}

// add puts a record into the batch, and sends that if it is full.
func (r *Replay) add(ctx context.Context, p int32, rec topology.Record, done stretch) error {
	if r.sender == nil {
		return nil
	}
	out := &kgo.Record{Topic: rec.Topic, Key: slices.Clone(rec.Key), Value: slices.Clone(rec.Value), Headers: appendHeaders(nil, rec.Headers)}
	if at := time.UnixMilli(rec.Timestamp); rec.Timestamp > 0 && r.dates[rec.Topic].has(time.Since(at)) {
		out.Timestamp = at
	}
	b := &r.batch
	b.records, b.done = append(b.records, out), append(b.done, done)
	b.bytes += size(out)
	most := replayBatchMax
	if r.cfg.Rate > 0 {
		most = min(most, max(1, r.cfg.Rate/replayBatches))
	}
	if len(b.records) < most && b.bytes < replayBatchBytes {
		return nil
	}
	return r.send(ctx, p)
}

// send sends the batch in a transaction with the bookmark, and waits as the rate asks.
// A signal does not end it in the middle: it is short.
func (r *Replay) send(ctx context.Context, p int32) error {
	n := len(r.batch.records)
	if n == 0 {
		return nil
	}
	begun := time.Now()
	if err := r.transact(context.WithoutCancel(ctx), p); err != nil {
		return err
	}
	r.sent.Add(int64(n))
	r.batch = replayBatch{}
	if r.cfg.Rate > 0 {
		wait(ctx, time.Until(begun.Add(time.Duration(n)*time.Second/time.Duration(r.cfg.Rate))))
	}
	return ctx.Err()
}

func (r *Replay) transact(ctx context.Context, p int32) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.TransactionTimeout)
	defer cancel()
	if err := r.sender.BeginTransaction(); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	// Crash here, or at any step up to the end: the transaction is aborted by the next
	// replay, or at the time-out; no reader sees its records, and the bookmark stays.
	err := within(ctx, func() error {
		if err := r.produce(ctx); err != nil {
			return err
		}
		for _, done := range r.batch.done {
			r.marks[p].add(done.from, done.to)
		}
		return r.commitBookmark(ctx, p)
	})
	if err != nil {
		return r.failed(ctx, fmt.Errorf("send %d records: %w", len(r.batch.records), err))
	}
	if r.beforeCommit != nil {
		r.beforeCommit()
	}
	if err := within(ctx, func() error { return r.sender.EndTransaction(ctx, kgo.TryCommit) }); err != nil {
		if fenced := r.fencedBy(err); fenced != nil {
			return fenced
		}
		// Crash here, too: records and bookmark are both committed, or neither.
		return fmt.Errorf("end a transaction: %w: what became of it is not known here, but to the bookmark: run it again, and it goes on after what was sent", err)
	}
	return nil
}

func (r *Replay) produce(ctx context.Context) error {
	for _, result := range r.sender.ProduceSync(ctx, r.batch.records...) {
		if result.Err != nil {
			return produceError(result.Record, result.Err)
		}
	}
	return nil
}

// commitBookmark adds the offset with its metadata to the transaction. The group has no
// members: whoever has the transactional id has the bookmark.
func (r *Replay) commitBookmark(ctx context.Context, p int32) error {
	metadata := r.marks[p].metadata(r.id)
	at := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	at.Partition, at.Offset, at.LeaderEpoch, at.Metadata = p, r.marks[p].floor, -1, &metadata
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic, topic.TopicID = r.cfg.Topics.Rejects, r.id
	topic.Partitions = append(topic.Partitions, at)
	for {
		id, epoch, err := r.sender.ProducerID(ctx)
		if err != nil {
			return fmt.Errorf("commit the bookmark: %w", err)
		}
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = r.name, r.name, id, epoch
		req.Topics = append(req.Topics, topic)
		resp, err := req.RequestWith(ctx, r.sender)
		if err == nil {
			err = bookmarkError(resp)
		}
		// The coordinator of a new group may still be made.
		if err == nil || ctx.Err() != nil || !loading(err) && !errors.Is(err, kerr.ConcurrentTransactions) {
			return err
		}
		wait(ctx, loadingPause)
	}
}

func bookmarkError(resp *kmsg.TxnOffsetCommitResponse) error {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("commit the bookmark: %w", err)
			}
		}
	}
	return nil
}

// failed ends a transaction that cannot be committed. One that belongs to another by now
// is left alone: the client would take the id back to end it.
func (r *Replay) failed(ctx context.Context, cause error) error {
	if fenced := r.fencedBy(cause); fenced != nil {
		return fenced
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortLimit)
	defer cancel()
	if err := within(ctx, func() error { return r.sender.EndTransaction(ctx, kgo.TryAbort) }); err != nil {
		return fmt.Errorf("%w; its transaction stays open for up to %v, and readers of its sources wait: %w", cause, r.cfg.TransactionTimeout, err)
	}
	return cause
}

// fencedBy is the failure that another replay has begun; nil where it is another.
func (r *Replay) fencedBy(err error) error {
	for _, code := range []error{kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidTxnState} {
		if errors.Is(err, code) {
			return &fencedReplay{r.name, r.cfg.TransactionTimeout, r.sent.Load(), err}
		}
	}
	return nil
}

type fencedReplay struct {
	name    string
	timeout time.Duration
	sent    int64
	cause   error
}

func (e *fencedReplay) Unwrap() []error { return []error{ErrFenced, e.cause} }

func (e *fencedReplay) Error() string {
	return fmt.Sprintf("another replay has begun and taken transactional id %s, or this one stood still for more than %v: it ends, after %d records; what it had not sent, the other looks at: %v",
		e.name, e.timeout, e.sent, e.cause)
}

// Takes is why a source does not take a record; nil where it does.
func (r *Replay) Takes(rec topology.Record) error {
	if !r.origin[rec.Topic] {
		return fmt.Errorf("topic %s is not there any more", rec.Topic)
	}
	out := &kgo.Record{Key: rec.Key, Value: rec.Value, Headers: appendHeaders(nil, rec.Headers)}
	if most := int(r.limits.of(rec.Topic)); size(out)+batchOverhead > most {
		return fmt.Errorf("topic %s takes no records of more than %d bytes (max.message.bytes)", rec.Topic, most)
	}
	return nil
}

// Fetch reads a raw record where it was read before. The errors say why it is not to be
// had.
func (r *Replay) Fetch(ctx context.Context, at call.Source) (rec topology.Record, err error) {
	if !r.origin[at.Topic] {
		return rec, fmt.Errorf("topic %s is not there any more", at.Topic)
	}
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	tp := topology.TopicPartition{Topic: at.Topic, Partition: at.Partition}
	b, err := rawlog.Reader{Client: r.reader}.Batch(ctx, tp, at.Offset)
	found := false
	if err == nil && b != nil && b.Damage == "" {
		err = b.Each(at.Offset, func(next topology.Record) error {
			rec, found = next, next.Offset == at.Offset
			return errRead
		})
	}
	switch {
	case errors.Is(err, kerr.OffsetOutOfRange):
		return rec, fmt.Errorf("%s has no offset %d any more: retention took it, or the topic was made anew", tp, at.Offset)
	case err != nil && !errors.Is(err, errRead):
		return rec, fmt.Errorf("fetch %s at %d: %w", tp, at.Offset, err)
	case b != nil && b.Damage != "":
		return rec, fmt.Errorf("%s at %d is of a batch that cannot be read", tp, at.Offset)
	case !found:
		return rec, fmt.Errorf("%s has no record at %d", tp, at.Offset)
	case rec.Refused != nil:
		return rec, fmt.Errorf("%s at %d is too large to be read", tp, at.Offset)
	}
	return rec, nil
}

// errRead ends a look through a batch after its first record.
var errRead = errors.New("read")
