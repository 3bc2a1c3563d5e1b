package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
	"callstitch/topology"
)

// tickInterval is how often a worker tells all stitch tasks how far its tasks
// are. It bounds how exact timers are; per commit it would cost a record for
// each worker and exchange partition.
const tickInterval = 500 * time.Millisecond

// worker is one goroutine, one group member and one transactional producer. All
// fields but those that say otherwise belong to its goroutine.
type worker struct {
	cfg     *Config
	id      string // transactional id, group instance id and client id
	topics  topics
	encoder *encoder
	slots   chan struct{} // restores of the process
	log     *slog.Logger
	metrics *metrics
	status  *Status

	// Of one session; made anew after every failure.
	session  *kgo.GroupTransactSession
	cl       *kgo.Client
	mailbox  *mailbox                    // shared with callbacks
	fetched  map[topicPartition]assigned // of the group's goroutine only
	parts    map[topicPartition]*partition
	aborts   int  // in a row
	more     bool // timers are due: the next transaction must not wait for records
	nextTick time.Time
	observed *atomic.Pointer[observation] // shared with observe; nil when it was used
	watching atomic.Bool                  // shared: an observe is under way
	asked    int                          // observations so far
	lag      int64                        // of the exchange, as last observed
	throttle bool                         // raw partitions are paused
	purged   time.Time                    // when the exchange was
	reported time.Time                    // when the status was
}

// partition is a partition that this worker was assigned, with its task.
type partition struct {
	topicPartition
	generation int32 // of the group, when it was assigned
	epoch      int32
	position   int64  // next offset, as of what was processed; control records count
	stable     stable // what the group has committed
	confirmed  bool   // franz-go has taken it in too: from now on its absence means that it is lost
	touched    bool   // by the open transaction

	decode        *topology.DecodeTask // one of the two is set once it is active
	stitch        *topology.StitchTask
	restore       *restore // under way
	changelogNext int64    // end of the task's changelog partition, as far as it matters

	end    int64 // high watermark, as last observed
	newest int64 // timestamp of the newest record processed, epoch ms; -1 before the first

	// What metrics have counted already.
	records    int64
	duplicates int64
	ignored    map[string]int64
}

// takeRecords is the number of records of the transaction, once.
func (p *partition) takeRecords() int64 {
	n := p.records
	p.records = 0
	return n
}

func (p *partition) active() bool { return p.confirmed && (p.decode != nil || p.stitch != nil) }

// metadata is what is committed beside the partition's offset.
func (p *partition) metadata(owner string) metadata {
	m := metadata{owner: owner, changelog: p.changelogNext}
	if p.decode != nil {
		m.task = p.decode.Metadata()
	}
	return m
}

// run keeps a session going until ctx ends or something fails for good. Whatever
// else fails costs the session: client and state are thrown away and made anew,
// because after most failures of a transactional producer only the changelog
// knows what is true (P3, P13).
func (w *worker) run(ctx, hard context.Context) error {
	const firstBackoff, lastBackoff = 200 * time.Millisecond, 10 * time.Second
	backoff := firstBackoff
	for {
		begun := time.Now()
		err := w.sessionOnce(ctx, hard)
		switch {
		case err == nil, final(err):
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("stop worker %s: %w", w.id, err)
		}
		if time.Since(begun) > time.Minute {
			backoff = firstBackoff
		}
		w.metrics.sessions.Inc()
		w.log.Warn("starting over from the changelog", "error", err, "in", backoff)
		wait(ctx, backoff)
		if ctx.Err() != nil {
			return nil
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// sessionOnce is one life of a client.
func (w *worker) sessionOnce(ctx, hard context.Context) error {
	w.parts, w.mailbox = make(map[topicPartition]*partition), new(mailbox)
	w.more, w.throttle, w.lag, w.nextTick = false, false, 0, time.Time{}
	w.observed = new(atomic.Pointer[observation])
	if err := w.open(hard); err != nil {
		return err
	}
	defer w.close()
	// The first thing is to end what a crash of this id left open (P11).
	if _, _, err := w.cl.ProducerID(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("fence the last transaction of %s: %w", w.id, err)
	}
	for ctx.Err() == nil {
		if err := w.turn(ctx, hard); err != nil {
			return w.classify(ctx, err)
		}
	}
	w.leave(hard)
	return nil
}

func (w *worker) open(hard context.Context) error {
	ready := make(chan struct{}) // the callbacks use w.cl
	session, err := kgo.NewGroupTransactSession(append(w.cfg.workerOptions(w.id, w.topics.batchBytes),
		kgo.WithContext(hard),
		kgo.WithHooks(w.metrics.hooks()...),
		kgo.OnPartitionsAssigned(func(ctx context.Context, cl *kgo.Client, added map[string][]int32) {
			<-ready
			w.onAssigned(ctx, cl, added)
		}),
		kgo.OnOffsetsFetched(w.onFetched),
		kgo.AdjustFetchOffsetsFn(w.onOffsets),
	)...)
	if err != nil {
		return fmt.Errorf("%w: make a client: %w", errBroken, err)
	}
	w.session, w.cl = session, session.Client()
	close(ready)
	return nil
}

func (w *worker) close() {
	for _, p := range w.parts {
		w.drop(p)
		if p.restore != nil {
			<-p.restore.result
		}
	}
	w.session.Close()
	w.status.expect(w.id)
}

// leaveLimit bounds leaving the group: who does not manage it is given up after
// the session time-out.
const leaveLimit = 2 * time.Second

// leave hands the partitions to the others at once. A static member that only
// goes away keeps them until its session times out (P24).
func (w *worker) leave(hard context.Context) {
	ctx, cancel := context.WithTimeout(hard, leaveLimit)
	defer cancel()
	if err := leaveGroup(ctx, w.cl, w.cfg.ApplicationID, w.id); err != nil {
		w.log.Warn("could not leave the group; its partitions move when the session times out", "error", err)
	}
}

// turn is one round: take in assignments, and one transaction if there is
// anything to do.
func (w *worker) turn(ctx, hard context.Context) error {
	if err := w.receive(ctx); err != nil {
		return err
	}
	w.reconcile()
	if err := w.finishRestores(); err != nil {
		return err
	}
	w.balanceInput()
	w.report()
	first, err := w.poll(ctx, w.idleWait())
	if err != nil {
		return err
	}
	if first.NumRecords() == 0 && !w.more && !w.tickDue() {
		return nil
	}
	return w.transact(ctx, hard, first)
}

// receive takes in what the group assigned. A partition that is here already was
// lost and assigned again unnoticed: its state may be old, so it starts over (P1).
func (w *worker) receive(ctx context.Context) error {
	all, err := w.mailbox.take()
	if err != nil {
		return err
	}
	for _, a := range all {
		if old := w.parts[a.topicPartition]; old != nil {
			w.drop(old)
		}
		p := &partition{
			topicPartition: a.topicPartition, generation: a.generation, epoch: -1,
			position: a.offset, stable: a.stable, changelogNext: a.last.changelog, newest: -1,
		}
		w.parts[a.topicPartition] = p
		if a.topic == w.cfg.ExchangeTopic() {
			p.restore = startRestore(ctx, &restore{cfg: w.cfg, slots: w.slots, raw: w.topics.raw, of: a, log: w.log.With("partition", a.partition)})
			continue
		}
		task := topology.NewDecodeTask(&w.cfg.Config, w.cfg.source(a.topic), a.partition)
		if err := task.Restore(a.last.task); err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		p.decode = task
	}
	return nil
}

// reconcile drops what the group took away. franz-go's session passes on only
// the first revocation between two transactions, so the callbacks cannot be
// trusted with it; the offsets that it keeps for its partitions can (P1).
func (w *worker) reconcile() {
	if len(w.parts) == 0 {
		return
	}
	owned := w.cl.CommittedOffsets()
	_, generation := w.cl.GroupMetadata()
	for tp, p := range w.parts {
		_, ok := owned[tp.topic][tp.partition]
		switch {
		case ok && !p.confirmed:
			p.confirmed = true
			if p.decode != nil {
				w.resume(p)
			}
		case !ok && p.lost(generation):
			w.log.Info("partition revoked", "topic", tp.topic, "partition", tp.partition)
			w.drop(p)
		}
	}
}

// lost says whether a partition that franz-go does not hold is gone, or only not
// taken in yet: what was assigned in one generation is taken in before the next.
func (p *partition) lost(generation int32) bool {
	return p.confirmed || p.generation != generation
}

func (w *worker) drop(p *partition) {
	if p.restore != nil {
		p.restore.cancel()
	}
	delete(w.parts, p.topicPartition)
}

func (w *worker) resume(p *partition) {
	if p.decode != nil && w.throttle {
		return
	}
	w.cl.ResumeFetchPartitions(map[string][]int32{p.topic: {p.partition}})
}

// finishRestores takes up the tasks whose restore is done.
func (w *worker) finishRestores() error {
	for _, p := range w.parts {
		if p.restore == nil || !p.confirmed {
			continue
		}
		select {
		case r := <-p.restore.result:
			if r.err != nil {
				return fmt.Errorf("restore %s-%d: %w", p.topic, p.partition, r.err)
			}
			p.restore, p.stitch, p.changelogNext = nil, r.task, r.changelog
			p.duplicates = r.task.Counts().Duplicate
			w.metrics.restored.Add(float64(r.records))
			w.log.Info("task restored", "partition", p.partition, "records", r.records, "took", r.took.Round(time.Millisecond))
			w.resume(p)
		default:
		}
	}
	return nil
}

const (
	// exchangeLagMax is where raw records wait until the exchange was worked off.
	// Messages between stitch tasks never wait, so nothing can deadlock.
	exchangeLagMax = 50_000
	exchangeLagLow = exchangeLagMax / 2
)

// balanceInput pauses the sources while any exchange partition lags too much.
func (w *worker) balanceInput() {
	switch {
	case !w.throttle && w.lag > exchangeLagMax:
		w.throttle = true
		w.cl.PauseFetchPartitions(w.sourcePartitions())
	case w.throttle && w.lag < exchangeLagLow:
		w.throttle = false
		w.cl.ResumeFetchPartitions(w.sourcePartitions())
	}
}

func (w *worker) sourcePartitions() map[string][]int32 {
	m := make(map[string][]int32)
	for tp, p := range w.parts {
		if p.decode != nil && p.active() {
			m[tp.topic] = append(m[tp.topic], tp.partition)
		}
	}
	return m
}

// idleWait is how long to wait for records: not past the next tick, and not so
// long that a finished restore has to wait.
func (w *worker) idleWait() time.Duration {
	if w.more {
		return 0
	}
	return min(w.cfg.CommitInterval, max(time.Until(w.nextTick), 0))
}

func (w *worker) tickDue() bool { return !time.Now().Before(w.nextTick) && w.anyActive() }

func (w *worker) anyActive() bool {
	for _, p := range w.parts {
		if p.active() {
			return true
		}
	}
	return false
}

// poll fetches what is there, waiting at most so long for a first record.
func (w *worker) poll(ctx context.Context, wait time.Duration) (kgo.Fetches, error) {
	ctx, cancel := context.WithTimeout(ctx, max(wait, time.Millisecond))
	defer cancel()
	fetches := w.cl.PollRecords(ctx, pollRecords)
	if fetches.IsClientClosed() {
		return nil, errors.New("the client was closed")
	}
	return fetches, fetchError(fetches)
}

// transact is one transaction: it gathers records for up to the commit interval,
// starting with those that were polled already.
func (w *worker) transact(ctx, hard context.Context, first kgo.Fetches) error {
	if err := w.session.Begin(); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	tx := &transaction{begun: time.Now(), changelog: make([]*kgo.Record, w.cfg.ExchangePartitions)}
	if err := w.gather(ctx, hard, tx, first); err != nil {
		return errors.Join(err, w.abort(hard))
	}
	w.finish(hard, tx)
	begun := time.Now()
	how, err := w.end(hard, tx)
	w.metrics.commits.WithLabelValues(how.String()).Inc()
	w.metrics.commitLatency.Observe(time.Since(begun).Seconds())
	switch how {
	case committed:
		w.commit(ctx, tx)
		w.aborts = 0
		return nil
	case aborted:
		w.rollback(tx)
		w.aborts++
		wait(ctx, min(time.Duration(w.aborts)*abortPause, maxAbortPause))
	}
	return err
}

const (
	// abortPause is the wait after an abort, and grows with each one in a row: a
	// rebalance needs a moment to end.
	abortPause    = 20 * time.Millisecond
	maxAbortPause = 500 * time.Millisecond
)

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// gather processes records until the transaction is old or large enough. Once
// the run is to stop, it takes no further ones.
func (w *worker) gather(ctx, hard context.Context, tx *transaction, fetches kgo.Fetches) error {
	for {
		if err := w.process(tx, fetches); err != nil {
			return err
		}
		w.produce(hard, tx)
		wait := time.Until(tx.begun.Add(w.cfg.CommitInterval))
		if wait <= 0 || tx.full(w.cfg) || ctx.Err() != nil || w.more || w.tickDue() {
			return nil
		}
		wait = min(wait, max(time.Until(w.nextTick), 0))
		var err error
		if fetches, err = w.poll(ctx, wait); err != nil {
			return err
		}
	}
}

// process hands records to their tasks, those of the exchange first: what is
// further on its way goes before what is new.
func (w *worker) process(tx *transaction, fetches kgo.Fetches) error {
	var failed error
	topic := w.cfg.ExchangeTopic()
	for _, exchange := range []bool{true, false} {
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			if failed == nil && len(f.Records) > 0 && (f.Topic == topic) == exchange {
				failed = w.processPartition(tx, f)
			}
		})
	}
	return failed
}

func (w *worker) processPartition(tx *transaction, f kgo.FetchTopicPartition) error {
	p := w.parts[topicPartition{f.Topic, f.Partition}]
	if p == nil || !p.active() || f.Records[0].Offset < p.position {
		return fmt.Errorf("fetched %s-%d at %d, for which there is no task here", f.Topic, f.Partition, f.Records[0].Offset)
	}
	tx.touch(p)
	for _, rec := range f.Records {
		tx.records++
		tx.bytes += len(rec.Key) + len(rec.Value)
		p.position, p.epoch = rec.Offset+1, rec.LeaderEpoch
		if rec.Attrs.IsControl() {
			continue
		}
		p.newest = rec.Timestamp.UnixMilli()
		p.records++
		if p.decode != nil {
			p.decode.Process(fromKafka(rec), &tx.fx)
		} else if err := p.stitch.Process(fromKafka(rec), &tx.fx); err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
	}
	return nil
}

func fromKafka(rec *kgo.Record) topology.Record {
	r := topology.Record{
		Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset,
		Timestamp: rec.Timestamp.UnixMilli(), Key: rec.Key, Value: rec.Value,
	}
	if len(rec.Headers) > 0 {
		r.Headers = make([]call.Header, len(rec.Headers))
		for i, h := range rec.Headers {
			r.Headers[i] = call.Header{Key: h.Key, Value: h.Value}
		}
	}
	return r
}

// finish closes the batch: timers, changelog, and where one is due the tick,
// which must follow the events of its own transaction.
func (w *worker) finish(ctx context.Context, tx *transaction) {
	tick := w.tickDue()
	due := w.more
	w.more = false
	for _, p := range w.sorted() {
		if !p.active() || p.stitch == nil || !p.touched && !due && !tick {
			continue
		}
		tx.touch(p)
		w.more = p.stitch.Finish(&tx.fx) || w.more
	}
	if tick {
		w.tick(tx)
	}
	w.produce(ctx, tx)
}

// sorted lists the partitions in a fixed order, so that equal runs are equal.
func (w *worker) sorted() []*partition {
	all := make([]*partition, 0, len(w.parts))
	for _, p := range w.parts {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *partition) int { return compareTP(a.topicPartition, b.topicPartition) })
	return all
}

// tick tells all stitch tasks how far this worker's tasks are. It speaks for the
// partitions, so it commits their offsets too: a worker that lost one cannot
// vouch for it any more.
func (w *worker) tick(tx *transaction) {
	seen := w.observed.Swap(nil)
	if seen != nil {
		w.lag = seen.exchangeLag
	}
	var k topology.Tick
	for _, p := range w.sorted() {
		if !p.active() {
			continue
		}
		tx.touch(p)
		p.end = max(seen.end(p), p.position)
		if p.decode != nil {
			k.Progress = append(k.Progress, p.decode.Progress(seen.idle(p, w.throttle), seen.heardAt()))
			continue
		}
		k.Clocks = append(k.Clocks, p.stitch.Clock())
		k.Answers = append(k.Answers, p.stitch.Answers()...)
	}
	tx.ticked = true
	tx.fx.Exchange = append(tx.fx.Exchange, k.Envelopes(&w.cfg.Config)...)
}

// commit makes the transaction this worker's state.
func (w *worker) commit(ctx context.Context, tx *transaction) {
	for _, p := range tx.touched {
		p.touched = false
		p.stable = stable{p.position, p.metadata(w.id).String()}
		if p.decode != nil {
			p.decode.Commit()
		} else {
			p.stitch.Commit(p.position)
		}
	}
	w.metrics.committed(tx)
	w.status.committed(tx)
	if w.cfg.OnCommit != nil && len(tx.fx.Outputs) > 0 {
		w.cfg.OnCommit(tx.fx.Outputs)
	}
	if tx.ticked {
		w.nextTick = time.Now().Add(tickInterval)
		w.observe(ctx)
		w.purge(ctx)
	}
}

// rollback drops all of the transaction. Aborts are part of every rebalance
// (P22); franz-go has gone back to the committed offsets, and so does this.
func (w *worker) rollback(tx *transaction) {
	for _, p := range tx.touched {
		p.touched = false
		p.position, p.records = p.stable.offset, 0
		if p.decode != nil {
			p.decode.Abort()
		} else {
			p.stitch.Abort()
		}
	}
	w.more = true // what was due before is due again
}

// classify turns what ended a session into what it means.
func (w *worker) classify(ctx context.Context, err error) error {
	var group *kgo.ErrGroupSession
	var loss *kgo.ErrDataLoss
	switch {
	case errors.Is(err, kerr.FencedInstanceID):
		return fmt.Errorf("%w: %s has joined the group from elsewhere: give each instance its own instance_id", ErrFenced, w.id)
	case errors.Is(err, kerr.OffsetOutOfRange), errors.As(err, &loss):
		return fmt.Errorf("%w: %w: records were deleted before they were read; raise the topic's retention, then reset the application", ErrLostOffsets, err)
	case errors.Is(err, kerr.UnknownTopicID):
		return fmt.Errorf("%w: %w: a topic was deleted and made anew while it was read; reset the application", ErrTopicMismatch, err) // P27
	case errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch):
		return w.fenced(ctx, err)
	case errors.As(err, &group):
		return fmt.Errorf("group %s: %w", w.cfg.ApplicationID, err)
	}
	return err
}

// fenced tells apart who raised this producer's epoch: a process under the same
// name, which joins the group at once and then is there under another member id,
// or the broker or a successor, because this worker had been silent for too long.
// The first ends this process, the elder of the two; the second only its session.
func (w *worker) fenced(ctx context.Context, cause error) error {
	member, _ := w.cl.GroupMetadata()
	deadline := time.Now().Add(w.cfg.SessionTimeout / 3)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		now, err := memberOf(ctx, w.cl, w.cfg.ApplicationID, w.id)
		if err == nil && now != "" && now != member {
			return fmt.Errorf("%w: %s has joined the group from elsewhere: give each instance its own instance_id", ErrFenced, w.id)
		}
		if err == nil && now == "" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the producer was fenced: %w", cause)
}
